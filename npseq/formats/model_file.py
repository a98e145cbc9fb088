"""Models in weights files: a ``.pth`` of torch's, with what is needed to make the model again beside the weights."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..nn.conversion import from_state_dict, sizes_in
from ..nn.layers import RNN
from ..nn.model import Model
from ..nn.module import Module
from ..nn.own_parameters import cell_name
from ..nn.parameters import undrawn
from ..nn.reading import READS, read_size
from ..nn.registry import MODELS, OWN
from . import schema
from .checkpoint import load, save
from .messages import ArgumentError, argument, marked
from .module_file import CONFIG, checked_scaling, kept, made, names_layer
from .state_dicts import recurrent_prefixes
from .unpickler import CheckpointError

VERSION = 2  # of npseq's own record in a weights file
DESCRIBED = {"npseq": schema.COUNT, "config": schema.MAPPING, "scaling": schema.optional(schema.MAPPING)}  # in it
_POOLED = "or 'mean', 'max': over the steps), and no activation after it"
ASSUMED = {  # what the head reads, and the directions -> what is told, where a file does not show it
    ("final", 1): f"read='final', the last hidden state ({_POOLED}",
    ("final", 2): f"read='final', the final states of both directions (or 'last', output[:, -1]; {_POOLED}",
}
ASSUMED |= {("mean+max", D): "read='mean+max', mean and maximum over the steps side by side" for D in (1, 2)}


def save_model(path: str | os.PathLike[str], model: Module, metadata: Mapping[str, Any] | None = None) -> None:
    """Write a module: its weights in torch's convention, and beside them what is needed to make it again.

    Besides npseq's own modules any other may be written whose class ``nn.registry.register`` has given a name. The file
    keeps this name and the arguments that the module was made with: numbers, texts, lists and dicts of them, other
    modules, but no ``rng`` and no ``dtype``. A class with an attribute ``config`` (a dict) says itself which they are.

    Args:
        path: of the file.
        model: to write.
        metadata: further entries for JSON, which ``model.metadata`` has after loading.

    Raises:
        ValueError: for a module that could not be made again: its class is not registered, its layer or its cell is not
            that of its kind, or an argument is one that no file may have. Nothing is written then.
        TypeError, OSError: as ``checkpoint.save``.
    """
    if not isinstance(model, Module):
        raise TypeError(f"a module expected; {type(model).__name__} given")
    try:
        described = describe(model) if type(model) is Model else {"npseq": VERSION, "module": kept(model)}
    except ValueError as error:
        raise ValueError(f"the model cannot be saved: {error}") from None
    save(path, model.state_dict(), {**described, **(metadata or {})})


def describe(model: Model) -> dict[str, Any]:
    """Return the entries of a weights file that make the model again, for JSON."""
    _check_nameable(model)
    schema.check({**model.config, "cell": None}, CONFIG, "its config")  # as it is read
    scaling = None if model.scaling is None else model.scaling.to_json()
    config = dict(model.config)
    if model.kind not in OWN:
        config["cell"] = cell_name(model.rnn.cell)
    return {"npseq": VERSION, "config": config, "scaling": scaling}


def _check_nameable(model: Model) -> None:
    if not names_layer(model.kind, model.rnn):
        raise ValueError(
            f"{model.kind!r} names another layer or cell than {type(model.rnn).__name__} with "
            f"{cell_name(model.rnn.cell)}: give that layer a name with npseq.nn.registry.register, and make the model "
            "by that name"
        )


def load_model(
    path: str | os.PathLike[str],
    nonlinearity: str | None = None,
    read: str | None = None,
    weights: str | None = None,
) -> Any:
    """Return the ``Model``, or other module, of a weights file. ``metadata`` has what ``save_model`` was given, or is
    None. A module of a user's class needs its ``nn.registry.register`` first; nothing is imported by a name in a file.

    A file that torch alone has written opens too, if it holds one recurrent layer and one linear layer that reads its
    hidden state, whatever their names; kind and sizes follow from the shapes. Tensors that are no layer's, such as the
    counter of averaged weights or the weights of a loss, are passed over. What does not follow from the shapes is
    assumed, with a warning unless it is given:

    Args:
        path: of the file.
        nonlinearity: of an RNN, ``"tanh"`` (assumed) or ``"relu"``.
        read: what the head reads, as ``Model`` takes it: ``"final"`` (assumed: the last hidden state), ``"last"``
            (torch's ``output[:, -1]``, which differs with two directions), ``"mean"`` or ``"max"`` over the steps, or
            ``"mean+max"`` (which alone fits a linear layer that reads twice as many numbers). An activation between
            them cannot be read.
        weights: which state_dict of several: ``"model_ema"``, or more as ``Checkpoint.weights`` takes it.

    Warns:
        UserWarning: for what was assumed, and for what was passed over beside the weights.

    Raises:
        CheckpointError: for a file that cannot be read, that holds no such model, or several without ``weights``, or of
            a newer format.
        ValueError: for an unknown ``nonlinearity`` or ``read``.
        OSError: when the file cannot be opened.
    """
    if read is not None and read not in READS:
        raise ValueError(f"read is {read!r}; one of {', '.join(READS)} expected")
    file, path = load(path), os.fspath(path)
    state, assumed, passed_over = file.weights(weights), [], ""
    own = isinstance(file.metadata, dict) and ("config" in file.metadata or "module" in file.metadata)
    model: Any
    try:
        if own:
            schema.check_version(file.metadata.get("npseq"), VERSION, "the file")
            described = "module" in file.metadata
            model = _module(file.metadata["module"], state) if described else _own(file.metadata, state)
        else:
            lists = file.lists_beside(state)
            model, state, passed_over = _of_torch(state, nonlinearity or "tanh", read)
            passed_over = ", ".join([passed_over] * bool(passed_over) + [f"the list {name}" for name in lists])
            if isinstance(model.rnn, RNN) and nonlinearity is None:
                assumed.append("nonlinearity='tanh' (or 'relu')")
            if read is None:
                assumed.append(ASSUMED[model.read, model.rnn.num_directions])
        model.load_state_dict(state)
    except (TypeError, ValueError) as error:
        door = "" if own else file.door()
        raise CheckpointError(f"{path!s} holds no model that npseq knows: {marked(error)}{door}") from None
    model.metadata = file.metadata
    if file.passed_over:
        warnings.warn(f"{path!s}: passed over unread: {', '.join(file.passed_over)}", stacklevel=2)
    if passed_over:
        warnings.warn(f"{path!s}: passed over, as no part of the model: {passed_over}", stacklevel=2)
    if assumed:
        warnings.warn(f"{path!s} does not say what this model needs; assumed: {'; '.join(assumed)}", stacklevel=2)
    return model


def _module(found: Any, state: dict[str, np.ndarray]) -> Module:
    """Return the module of a description, in the dtype of the arrays; ValueError if one has another shape."""
    with undrawn():
        module = made(found, len(state))
        for name, shape in module.shapes.items():  # before they are made: a file may claim any size
            if name in state and state[name].shape != shape:
                raise ValueError(f"wrong shape: {name} is {state[name].shape}, expected {shape}")
        dtype = np.result_type(*state.values()) if state else module.dtype
        return module.astype(dtype) if dtype != module.dtype and module.shapes.keys() <= state.keys() else module


def _own(metadata: dict[str, Any], state: dict[str, np.ndarray]) -> Model:
    """Return the ``Model`` that the metadata describe, if the arrays agree."""
    _check_known(metadata["config"])
    config = schema.check(metadata["config"], CONFIG, "its config")
    sizes = sizes_in(state, "rnn.")
    cell, rows = MODELS[config["kind"]].cell or RNN.cells[config["nonlinearity"]], sizes.pop("rows")
    if rows != len(cell.gates) * sizes["hidden_size"]:
        raise ValueError(f"rnn.weight_hh_l0 has {rows} rows, {len(cell.gates) * sizes['hidden_size']} expected")
    there = {name: sizes[name] for name in ("input_size", "hidden_size", "num_layers")}
    there["output_size"] = len(state.get("fc.weight", ()))
    if config["embedding_size"]:  # the encoder reads its rows
        there["embedding_size"] = there["input_size"]
        there["input_size"] = len(state.get("embedding.weight", ()))
    for name, size in there.items():
        if config[name] != size:
            raise ValueError(f"its metadata have {name} {config[name]}, its arrays {size}")
    options = {name: value for name, value in metadata["config"].items() if name != "cell"}
    with undrawn():
        scaling = checked_scaling(metadata.get("scaling"), config)
        return Model(**options, dtype=np.result_type(*state.values()), scaling=scaling)


def _check_known(config: Any) -> None:
    """Refuse the model of a cell of the user's own if its layer has not been registered, and say which it is."""
    kind, cell = (config.get(name) if isinstance(config, dict) else None for name in ("kind", "cell"))
    if isinstance(cell, str) and cell.isidentifier() and isinstance(kind, str) and kind not in MODELS:
        how = argument("cell", f"FILE.py:{cell[:60]}")
        raise ArgumentError(
            f"it holds the user-defined cell {cell[:60]} as {kind[:60]!r}: give {how}, "
            f"or in Python first call npseq.nn.registry.register({kind[:60]!r}, …) with its layer"
        )


def _of_torch(
    state: dict[str, np.ndarray], nonlinearity: str, read: str | None
) -> tuple[Model, dict[str, np.ndarray], str]:
    """Return a ``Model`` that fits a state_dict of torch's, the state_dict with the names that it has here, and what
    was passed over in it."""
    prefixes = recurrent_prefixes(state)
    if len(prefixes) != 1:
        found = "".join(f" {prefix!r}" for prefix in prefixes[:6])
        what = f"under{found}, one expected" if found else f"one expected; {', '.join(list(state)[:6]) or 'no tensors'}"
        raise ValueError(f"{len(prefixes)} recurrent layers in it, {what}")
    layer = from_state_dict(state, prefixes[0], nonlinearity=nonlinearity)
    rest = {
        name: value
        for name, value in state.items()
        if not name.startswith(prefixes[0]) or name[len(prefixes[0]) :] not in layer.shapes
    }
    size = layer.num_directions * layer.output_size
    weight, bias, foreign = _head(rest)
    read = read or ("mean+max" if weight.shape[1] == read_size("mean+max", size) else "final")
    if weight.shape[1] != read_size(read, size):
        raise ValueError(
            f"the linear layer reads {weight.shape[1]} numbers; the recurrent layer's last hidden state has {size}"
            + (f", and read={read!r} gives {read_size(read, size)}" if read_size(read, size) != size else "")
        )
    bias = np.zeros(len(weight), weight.dtype) if bias is None else bias
    own = "num_layers", "bidirectional", "bias", "proj_size", "learn_initial_state"
    options: dict[str, Any] = {name: getattr(layer, name) for name in own} | {"read": read}
    if isinstance(layer, RNN):
        options["nonlinearity"] = nonlinearity
    kind = type(layer).__name__.lower()
    with undrawn():
        model = Model(kind, layer.input_size, layer.hidden_size, len(weight), dtype=layer.dtype, **options)
    names = {f"rnn.{name}": state[prefixes[0] + name] for name in layer.shapes}
    return model, {**names, "fc.weight": weight, "fc.bias": bias}, foreign


def _head(rest: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray | None, str]:
    """Return weight and bias (or None) of the linear layer among the tensors beside a recurrent layer, and the names of
    those that are no layer's: counters, and single numbers or vectors."""
    heads = [name[: -len("weight")] for name, value in rest.items() if name.endswith("weight") and value.ndim == 2]
    head = heads[0] if len(heads) == 1 else None
    outputs = len(rest[f"{head}weight"]) if head is not None else 0
    own = {f"{head}weight", f"{head}bias"}
    foreign = {name: value for name, value in rest.items() if name not in own}
    if head is None or any(_of_a_layer(name, rest, outputs) for name in foreign):
        raise ValueError(
            f"unexpected parameters besides the recurrent layer: {', '.join(rest) or 'none'}; the weight and bias of "
            "one linear layer expected"
        )
    weight = rest[head + "weight"]
    shown = [f"{name} {value.dtype} {value.shape}" for name, value in foreign.items()]
    more = f", … ({len(shown) - 6} more)" if len(shown) > 6 else ""
    return weight, rest.get(head + "bias"), ", ".join(shown[:6]) + more


def _of_a_layer(name: str, rest: Mapping[str, np.ndarray], outputs: int) -> bool:
    """True if a tensor looks like a parameter of another layer: a matrix, or the vector of a normalisation or an
    activation. The weights of a loss have one element for each output and no bias."""
    value, (owner, _, last) = rest[name], name.rpartition(".")
    if value.dtype.kind not in "fc" or value.ndim > 1:
        return value.dtype.kind in "fc"
    others = {other.rpartition(".")[2] for other in rest if other.rpartition(".")[0] == owner}
    if {"weight", "bias"} <= others or "running_mean" in others:
        return True
    return last in ("weight", "bias") and value.shape not in ((), (outputs,))
