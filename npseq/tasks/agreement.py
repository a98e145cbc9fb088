"""Whether the parts of a weights file agree: its model, and what it says of its task. Each may be valid by itself."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..nn.losses import LOSSES
from . import features

CLASSES = ["cross_entropy"]
NUMBERS = [name for name in LOSSES if name not in CLASSES]


class Needs(NamedTuple):
    """What a recipe needs of its model: ``input_size``, ``output_size``, one of ``losses``, and ``outputs``, the steps
    at which it answers."""

    input_size: int
    output_size: int
    losses: list[str]
    outputs: str = "last"


def forecast_inputs(recipe: Any) -> int:
    """Return the number of inputs of a row (``windows.Windows``)."""
    O, h, base = len(recipe.target), int(recipe.horizon), recipe.base
    calendar = (len(features.CALENDAR) + 2 * (base is not None)) * bool(recipe.calendar)
    of_the_base = 0 if base is None else O * (1 + len(base.lags)) + h * O
    ahead = h * (len(recipe.future) + len(set(recipe.lags)) * O)
    return O + len(recipe.inputs) + of_the_base + calendar + ahead


def needs(recipe: Any) -> Needs:
    """Return what a recipe of ``recipe.RECIPES`` needs of its model."""
    if recipe.task == "forecast":
        return Needs(forecast_inputs(recipe), recipe.horizon * len(recipe.target), NUMBERS)
    if recipe.task == "adding":
        return Needs(2, 1, NUMBERS)
    if recipe.task == "regress":
        return Needs(len(recipe.inputs), 1, NUMBERS)
    if recipe.task == "text":
        return Needs(recipe.alphabet.size, recipe.alphabet.size, CLASSES, "all")
    return Needs(len(recipe.inputs), len(recipe.classes), CLASSES, "all" if recipe.task == "label" else "last")


def check(model: Any, trained: Any) -> None:
    """Compare a model with what its file says besides.

    Args:
        model: ``Model``. trained: ``trained.Trained``.

    Raises:
        ValueError: for the first disagreement, naming both.
    """
    needed = needs(trained.recipe)
    for name in "input_size", "output_size":
        if model.config[name] != getattr(needed, name):
            raise ValueError(f"the model has {name} {model.config[name]}; its recipe needs {getattr(needed, name)}")
    if model.loss not in needed.losses or model.every_step != (needed.outputs == "all"):
        raise ValueError(
            f"the model has the loss {model.loss} and {'an' if model.every_step else 'no'} output at every step, which "
            f"does not fit the task {trained.recipe.task}"
        )
    if trained.recipe.task != "forecast":
        return
    targets, columns = len(trained.recipe.target), {"residual_quantiles": needed.output_size}
    for name in "residual_quantiles", "ahead_quantiles", "blend":
        if (table := getattr(trained, name)) is None:
            continue
        count = table.shape[1]
        if count % targets or count != columns.get(name, count) or name == "blend" and count != targets:
            raise ValueError(f"its {name} are of {count} columns, which do not fit its {targets} targets")
    if trained.width is not None and trained.width.weight.shape[1] != model.fc.shapes["weight"][1]:
        raise ValueError(
            f"its interval reads {trained.width.weight.shape[1]} numbers; the model's head reads "
            f"{model.fc.shapes['weight'][1]}"
        )
