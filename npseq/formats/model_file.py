"""Models in weights files: a ``.pth`` of torch's, with what is needed to make the model again beside the weights."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..bptt import Cell
from ..nn.layers import RNN, Recurrent, from_state_dict, sizes_in
from ..nn.losses import LOSSES
from ..nn.model import OUTPUTS, READS, Model
from ..nn.own_parameters import cell_name
from ..nn.registry import MODELS, OWN
from ..nn.scaling import Scaling
from . import schema
from .checkpoint import load, save
from .unpickler import CheckpointError

# What to do with a file that holds weights, but no such model.
DOOR = (
    "; its recurrent layers alone: npseq.layers.from_state_dict(npseq.checkpoint.load(path).state_dict, prefix), with "
    "the prefix of their names"
)
VERSION = 2  # of npseq's own record in a weights file; 2 added the base of a forecast (``skip`` in its scaling)

# The arguments of a Model. Sizes are compared with the arrays besides: a file may claim any.
CONFIG = {
    "kind": schema.one_of(MODELS),
    "cell": schema.optional(schema.TEXT),
    "loss": schema.one_of(LOSSES),
    "input_size": schema.COUNT,
    "hidden_size": schema.COUNT,
    "output_size": schema.COUNT,
    "num_layers": schema.missing(schema.COUNT, 1),
    "bias": schema.missing(schema.BOOLEAN, True),
    "bidirectional": schema.missing(schema.BOOLEAN, False),
    "dropout": schema.missing(schema.PROBABILITY, 0.0),
    "proj_size": schema.missing(schema.NATURAL, 0),
    "recurrent_dropout": schema.missing(schema.PROBABILITY, 0.0),
    "learn_initial_state": schema.missing(schema.BOOLEAN, False),
    "forget_bias": schema.optional(schema.NUMBER),
    "recurrent_init": schema.missing(schema.one_of(("uniform", "orthogonal")), "uniform"),
    "nonlinearity": schema.missing(schema.one_of(("tanh", "relu")), "tanh"),
    "read": schema.missing(schema.one_of(READS), "final"),
    "outputs": schema.missing(schema.one_of(OUTPUTS), "last"),
    "embedding_size": schema.missing(schema.NATURAL, 0),
    "checkpoint_every": schema.Field(
        lambda k: k is None or k == "sqrt" or schema.COUNT.fits(k), "a whole number, 'sqrt' or null", None
    ),
}


def save_model(path: str | os.PathLike[str], model: Model, metadata: Mapping[str, Any] | None = None) -> None:
    """Write a ``Model``: its weights in torch's convention, and beside them what is needed to make it again.

    Args:
        path: of the file.
        model: to write.
        metadata: further entries for JSON, which ``model.metadata`` has after loading.

    Raises:
        ValueError: for a model that could not be made again: its layer or its cell is not that of its kind, or an
            argument is one that no file may have.
        TypeError, OSError: as ``checkpoint.save``.
    """
    _check_nameable(model)
    try:
        schema.check({**model.config, "cell": None}, CONFIG, "its config")  # as it is read
    except ValueError as error:
        raise ValueError(f"the model cannot be saved: {error}") from None
    save(path, model.state_dict(), {**describe(model), **(metadata or {})})


def describe(model: Model) -> dict[str, Any]:
    """Return the entries of a weights file that make the model again, for JSON."""
    scaling = None if model.scaling is None else model.scaling.to_json()
    config = dict(model.config)
    if model.kind not in OWN:
        config["cell"] = cell_name(model.rnn.cell)
    version = 1 if scaling is None or "skip" not in scaling else VERSION  # files without a base are read by 0.1.0 too
    return {"npseq": version, "config": config, "scaling": scaling}


def _check_nameable(model: Model) -> None:
    layer_class = MODELS.get(model.kind)
    own = vars(model.rnn).get("cell", layer_class.cell if layer_class else None)
    if layer_class is None or type(model.rnn) is not layer_class or own is not _cell_of(layer_class, model.rnn):
        raise ValueError(
            f"the model cannot be saved: {model.kind!r} names another layer or cell than "
            f"{type(model.rnn).__name__} with {cell_name(model.rnn.cell)}: give that layer a name with "
            "npseq.nn.registry.register, and make the model by that name"
        )


def _cell_of(layer_class: type[Recurrent], layer: Recurrent) -> Cell:
    """The cell that a layer of this class has when it is made anew."""
    cell: Cell = RNN.cells[layer.nonlinearity] if isinstance(layer, RNN) else layer_class.cell
    return cell


def load_model(path: str | os.PathLike[str], nonlinearity: str | None = None, read: str | None = None) -> Model:
    """Return the ``Model`` of a weights file. ``metadata`` has what ``save_model`` was given, or is None.

    A file that torch alone has written opens too, if it holds one recurrent layer and one linear layer that reads its
    hidden state, whatever their names; kind and sizes follow from the shapes. What does not follow from them is
    assumed, with a warning unless it is given:

    Args:
        path: of the file.
        nonlinearity: of an RNN, ``"tanh"`` (assumed) or ``"relu"``.
        read: what the head reads of two directions, ``"final"`` (assumed: the final states of both) or ``"last"`` (the
            output at the last step, torch's ``output[:, -1]``).

    Warns:
        UserWarning: for what was assumed, and for objects beside the weights that were passed over unread.

    Raises:
        CheckpointError: for a file that cannot be read, that holds no such model, or of a newer format.
        ValueError: for an unknown ``nonlinearity`` or ``read``.
        OSError: when the file cannot be opened.
    """
    if read is not None and read not in READS:
        raise ValueError(f"read is {read!r}; one of {', '.join(READS)} expected")
    file, path = load(path), os.fspath(path)
    assumed = []
    try:
        if isinstance(file.metadata, dict) and "config" in file.metadata:
            schema.check_version(file.metadata.get("npseq"), VERSION, "the file")
            model, state = _own(file.metadata, file.state_dict), file.state_dict
        else:
            model, state = _of_torch(file.state_dict, nonlinearity or "tanh", read or "final")
            if isinstance(model.rnn, RNN) and nonlinearity is None:
                assumed.append("nonlinearity='tanh' (or 'relu')")
            if model.rnn.num_directions == 2 and read is None:
                assumed.append("read='final', the final states of both directions (or 'last', output[:, -1])")
        model.load_state_dict(state)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path!s} holds no model that npseq knows: {error}") from None
    model.metadata = file.metadata
    if file.passed_over:
        warnings.warn(f"{path!s}: passed over unread: {', '.join(file.passed_over)}", stacklevel=2)
    if assumed:
        warnings.warn(f"{path!s} does not say what this model needs; assumed: {'; '.join(assumed)}", stacklevel=2)
    return model


def _own(metadata: dict[str, Any], state: dict[str, np.ndarray]) -> Model:
    """A ``Model`` as the metadata describe it, if the arrays agree."""
    _check_known(metadata["config"])
    config = schema.check(metadata["config"], CONFIG, "its config")
    if config["kind"] in OWN:
        found = vars(from_state_dict(state, "rnn."))
    else:
        found = sizes_in(state, "rnn.")
        gates = len(MODELS[config["kind"]].cell.gates)
        if found["rows"] != gates * found["hidden_size"]:
            raise ValueError(f"rnn.weight_hh_l0 has {found['rows']} rows, {gates * found['hidden_size']} expected")
    there = {name: found[name] for name in ("input_size", "hidden_size", "num_layers")}
    there["output_size"] = len(state.get("fc.weight", ()))
    if config["embedding_size"]:  # the encoder reads its rows
        there["embedding_size"] = there["input_size"]
        there["input_size"] = len(state.get("embedding.weight", ()))
    for name, size in there.items():
        if config[name] != size:
            raise ValueError(f"its metadata have {name} {config[name]}, its arrays {size}")
    scaling = None
    if metadata.get("scaling") is not None:
        sizes = {"input": config["input_size"], "output": config["output_size"]}
        fields = {f"{side}_mean": schema.listed(schema.NUMBER, size) for side, size in sizes.items()}
        fields |= {f"{side}_scale": schema.listed(schema.POSITIVE, size) for side, size in sizes.items()}
        column = schema.Field(
            lambda k: schema.NATURAL.fits(k) and k < config["input_size"], f"a number below {config['input_size']}"
        )
        fields["skip"] = schema.optional(schema.listed(column, config["output_size"]))
        scaling = Scaling.from_json(schema.check(metadata["scaling"], fields, "its scaling"))
    options = {name: value for name, value in metadata["config"].items() if name != "cell"}
    return Model(**options, dtype=np.result_type(*state.values()), scaling=scaling)


def _check_known(config: Any) -> None:
    """Refuse the model of a cell of the user's own if its layer has not been registered, and say which it is."""
    kind, cell = (config.get(name) if isinstance(config, dict) else None for name in ("kind", "cell"))
    if isinstance(cell, str) and cell.isidentifier() and isinstance(kind, str) and kind not in MODELS:
        raise ValueError(
            f"it holds the user-defined cell {cell[:60]} as {kind[:60]!r}: give --cell FILE.py:{cell[:60]}, "
            f"or in Python first call npseq.nn.registry.register({kind[:60]!r}, …) with its layer"
        )


def _of_torch(state: dict[str, np.ndarray], nonlinearity: str, read: str) -> tuple[Model, dict[str, np.ndarray]]:
    """Return a ``Model`` that fits a state_dict of torch's, and the state_dict with the names that it has here."""
    prefixes = [name[: -len("weight_ih_l0")] for name in state if name.endswith("weight_ih_l0")]
    if len(prefixes) != 1:
        found = "".join(f" {prefix!r}" for prefix in prefixes[:6])
        raise ValueError(f"{len(prefixes)} recurrent layers in it{found and ', under' + found}, one expected{DOOR}")
    layer = from_state_dict(state, prefixes[0], nonlinearity=nonlinearity)
    rest = {
        name: value
        for name, value in state.items()
        if not name.startswith(prefixes[0]) or name[len(prefixes[0]) :] not in layer.shapes
    }
    heads = [name[: -len("weight")] for name, value in rest.items() if name.endswith("weight") and value.ndim == 2]
    if len(heads) != 1 or set(rest) - {heads[0] + "weight", heads[0] + "bias"}:
        raise ValueError(
            f"unexpected parameters besides the recurrent layer: {', '.join(rest) or 'none'}; the weight and bias of "
            f"one linear layer expected{DOOR}"
        )
    weight = rest[heads[0] + "weight"]
    size = layer.num_directions * layer.output_size
    if weight.shape[1] != size:
        raise ValueError(
            f"the linear layer reads {weight.shape[1]} numbers; the recurrent layer's last hidden state has {size}"
            f"{DOOR}"
        )
    options: dict[str, Any] = {
        "num_layers": layer.num_layers,
        "bidirectional": layer.bidirectional,
        "bias": layer.bias,
        "proj_size": layer.proj_size,
        "learn_initial_state": layer.learn_initial_state,
        "read": read,
    }
    if isinstance(layer, RNN):
        options["nonlinearity"] = nonlinearity
    kind = type(layer).__name__.lower()
    model = Model(kind, layer.input_size, layer.hidden_size, len(weight), dtype=layer.dtype, **options)
    names = {f"rnn.{name}": state[prefixes[0] + name] for name in layer.shapes}
    bias = rest.get(heads[0] + "bias", np.zeros(len(weight), layer.dtype))
    return model, {**names, "fc.weight": weight, "fc.bias": bias}
