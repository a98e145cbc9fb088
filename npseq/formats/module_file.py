"""Any module in a weights file: the name of its registered class, and the arguments that make it again.

    {"kind": "sequential", "config": {"*": [{"npseq.module": {"kind": "lstm", "config": {…}}}, …], "loss": "mse"}}

A name is looked up in the registry, never imported. Arrays are not allocated before the shapes that follow from the
arguments are those of the arrays in the file.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..nn.layers import RNN
from ..nn.losses import LOSSES
from ..nn.model import OUTPUTS, Model
from ..nn.module import Module
from ..nn.own_parameters import cell_name
from ..nn.parameters import undrawn
from ..nn.reading import READS
from ..nn.recurrent import ARGUMENTS, Recurrent
from ..nn.registry import MODELS, MODULES, OWN
from ..nn.scaling import Scaling
from . import schema

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
# Of them, those of a recurrent layer alone.
LAYER = {name: CONFIG[name] for name in ARGUMENTS if name in CONFIG}
LAYER |= {"batch_first": schema.missing(schema.BOOLEAN, False)}

NESTED = "npseq.module"  # the key of a module among arguments
POSITIONAL = "*"  # the key of the arguments without a name


def names_layer(kind: str, layer: Any) -> bool:
    """True if the registry's class of this name makes a layer with this one's class and cell."""
    layer_class = MODELS.get(kind)
    if layer_class is None or type(layer) is not layer_class:
        return False
    cell = RNN.cells[layer.nonlinearity] if isinstance(layer, RNN) else layer_class.cell
    return vars(layer).get("cell", cell) is cell


def kept(module: Module) -> dict[str, Any]:
    """Return what makes a module again, for JSON.

    Raises:
        ValueError: for a class without a name in the registry, an argument that no file may have, or arguments that
            make another module.
    """
    found = _description(module)
    try:
        with undrawn():
            shapes = made(found, len(module.shapes)).shapes
    except (TypeError, ValueError) as error:
        raise ValueError(f"{type(module).__name__} cannot be made again: {error}") from None
    if shapes != module.shapes:
        raise ValueError(f"{type(module).__name__} cannot be made again: {found['config']} gives other parameters")
    return found


def _description(module: Module) -> dict[str, Any]:
    kind = next((name for name, known in _kinds().items() if known is type(module)), None)
    if kind is None or isinstance(module, Recurrent) and not names_layer(kind, module):
        own = f" with {cell_name(module.cell)}" if isinstance(module, Recurrent) else ""
        name = type(module).__name__
        raise ValueError(
            f"{name}{own} has no name in files: npseq.nn.registry.register({name.lower()!r}, {name}) gives it one"
        )
    config = getattr(module, "config", None)
    if type(module) is Model:
        config = {**module.config, "scaling": module.scaling and module.scaling.to_json()}
    elif isinstance(module, Recurrent) and kind not in OWN:  # a subclass may have arguments of its own
        config = {name: value for name, value in _arguments(module).items() if name != POSITIONAL} | module.config
    elif not isinstance(config, dict) or isinstance(module, Model):
        config = _arguments(module)
    return {"kind": kind, "config": {name: _plain(value, f"{kind}'s {name}") for name, value in config.items()}}


def _kinds() -> dict[str, type[Module]]:
    return {**MODELS, **MODULES, "model": Model}


def _arguments(module: Module) -> dict[str, Any]:
    """Return the arguments that a module was made with, but for ``rng`` and ``dtype``."""
    args, options = module._made_by
    bound = inspect.signature(type(module).__init__).bind_partial(module, *args, **options)
    config: dict[str, Any] = {}
    for name, value in list(bound.arguments.items())[1:]:
        kind = bound.signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            config |= value
        else:
            config[POSITIONAL if kind is inspect.Parameter.VAR_POSITIONAL else name] = value
    return {name: value for name, value in config.items() if name not in ("rng", "dtype")}


def _plain(value: Any, what: str) -> Any:
    if isinstance(value, Module):
        return {NESTED: _description(value)}
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, list | tuple):
        return [_plain(entry, what) for entry in value]
    if isinstance(value, dict) and all(isinstance(name, str) and name != NESTED for name in value):
        return {name: _plain(entry, f"{what}[{name!r}]") for name, entry in value.items()}
    if value is None or type(value) in (bool, int, str) or type(value) is float and math.isfinite(value):
        return value
    raise ValueError(
        f"{what} is {type(value).__name__} {str(value)[:60]!r}; numbers, texts, modules, and lists and dicts of them "
        "can be kept in a file"
    )


def made(found: Any, tensors: int) -> Module:
    """Return the module of a description, in float32 where its class takes a dtype.

    Args:
        found: the description, from a file.
        tensors: the number of arrays in the file, which bounds the number of layers.

    Raises:
        ValueError, TypeError: for a description that makes no module, or a kind that is not registered.
    """
    found = schema.check(found, {"kind": schema.TEXT, "config": schema.MAPPING}, "its module")
    kind, config = found["kind"], found["config"]
    module_class = _kinds().get(kind)
    if module_class is None:
        raise ValueError(
            f"it holds a {kind[:60]!r}: first call npseq.nn.registry.register({kind[:60]!r}, …) with its class"
        )
    given = {name: _value(value, tensors) for name, value in config.items()}
    if kind in OWN:
        _check_own(kind, module_class, given, tensors)
    if "dtype" in inspect.signature(module_class.__init__).parameters or kind in MODELS:
        given["dtype"] = np.float32
    module: Module = module_class(*given.pop(POSITIONAL, []), **given)
    return module


def _check_own(kind: str, module_class: Any, config: dict[str, Any], tensors: int) -> None:
    """Check the arguments of one of npseq's own modules. Raises ValueError."""
    fields: Mapping[str, schema.Field] = {name: schema.COUNT for name in ("count", "size")}
    if kind == "sequential":
        fields = {POSITIONAL: schema.Field(lambda parts: isinstance(parts, list), "a list of modules")}
        fields |= {"loss": schema.missing(schema.one_of(LOSSES), "mse")}
    elif kind == "linear":
        fields = {name: CONFIG[name] for name in ("input_size", "output_size", "bias")}
    elif kind == "model":
        fields = CONFIG | {"scaling": schema.optional(schema.MAPPING)}
    elif kind in MODELS:
        fields = LAYER | ({"nonlinearity": CONFIG["nonlinearity"]} if issubclass(module_class, RNN) else {})
    checked = schema.check(config, fields, "its config")
    if checked.get("num_layers", 0) > tensors:
        raise ValueError(f"its config has {checked['num_layers']} layers; the file holds {tensors} arrays")
    if kind == "model":
        config["scaling"] = checked_scaling(config.get("scaling"), checked)


def checked_scaling(lists: Any, config: Mapping[str, Any]) -> Scaling | None:
    """Return the scaling of a model's file, whose lists have the sizes of its config. Raises ValueError."""
    if lists is None:
        return None
    sizes = {"input": config["input_size"], "output": config["output_size"]}
    fields = {f"{side}_mean": schema.listed(schema.NUMBER, size) for side, size in sizes.items()}
    fields |= {f"{side}_scale": schema.listed(schema.POSITIVE, size) for side, size in sizes.items()}
    column = schema.Field(
        lambda k: schema.NATURAL.fits(k) and k < config["input_size"], f"a number below {config['input_size']}"
    )
    fields["skip"] = schema.optional(schema.listed(column, config["output_size"]))
    rows = schema.Field(
        lambda p: schema.COUNT.fits(p) and config["input_size"] % p == 0, f"a divisor of {config['input_size']}"
    )
    fields["patch"] = schema.missing(rows, 1)
    return Scaling.from_json(schema.check(lists, fields, "its scaling"))


def _value(value: Any, tensors: int) -> Any:
    if isinstance(value, dict) and NESTED in value:
        return made(value[NESTED], tensors)
    if isinstance(value, dict):
        return {name: _value(entry, tensors) for name, entry in value.items()}
    return [_value(entry, tensors) for entry in value] if isinstance(value, list) else value
