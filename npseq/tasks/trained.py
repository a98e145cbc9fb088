"""What ``npseq train`` keeps in a weights file beside the model, and how it is read back, type by type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..formats import schema
from ..formats.model_file import load_model
from ..formats.unpickler import CheckpointError
from ..nn.model import Model
from . import agreement
from .bases import Base
from .recipe import ForecastRecipe, Recipe
from .recipe import from_json as recipe_from_json
from .row_hashes import SeenRows
from .width import Width


def _is_table(value: Any) -> bool:
    rows = schema.listed(schema.listed(schema.NUMBER))
    return rows.fits(value) and len(value) > 1 and len({len(row) for row in value}) == 1


_QUANTILES = schema.Field(lambda value: value is None or _is_table(value), "a table of numbers", None)
TRAINED = {
    "recipe": schema.MAPPING,
    "columns": schema.Field(
        lambda value: (
            schema.MAPPING.fits(value)
            and set(value) <= {"time", "sequence", "label"}
            and all(map(schema.TEXT.fits, value.values()))
        ),
        "names of the columns time, sequence and label",
        {},
    ),
    "seed": schema.missing(schema.SEED, 0),
    "best_epoch": schema.missing(schema.NATURAL, 0),
    "residual_quantiles": _QUANTILES,
    "ahead_quantiles": _QUANTILES,
    "blend": schema.Field(
        lambda value: (
            value is None
            or schema.listed(schema.listed(schema.SHARE)).fits(value)
            and len(value) > 0
            and len({len(row) for row in value}) == 1
        ),
        "a table of numbers from 0 to 1",
        None,
    ),
    "width": schema.optional(schema.MAPPING),
    "baselines": schema.missing(
        schema.Field(
            lambda value: (
                schema.MAPPING.fits(value)
                and set(value) <= {"ar", "ar_slot"}
                and all(schema.listed(schema.MAPPING).fits(parts) for parts in value.values())
            ),
            "an object of ar and ar_slot, each a list of objects",
        ),
        {},
    ),
    "seen": schema.optional(schema.MAPPING),
    "range": schema.optional(schema.listed(schema.listed(schema.NUMBER, 2))),
}


@dataclass(frozen=True)
class Trained:
    """What ``npseq train`` keeps beside the model.

    recipe; columns: option -> column, of ``--time``, ``--sequence`` and ``--label`` where they were given; seed and
    best_epoch of the training; the quantiles of the validation residuals, (levels, outputs) or None
    (``intervals.py``); blend (steps, targets) of recursive forecasts with their base, or None (``multistep.py``);
    width: of the interval whose width follows the state, or None; baselines: the autoregressions that the model is
    compared with (``baselines.fit``); seen: hashes of the rows of training and validation, or None;
    range: smallest and largest value of each column in the training rows, or None.
    """

    recipe: Recipe
    columns: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    best_epoch: int = 0
    residual_quantiles: np.ndarray | None = None
    ahead_quantiles: np.ndarray | None = None
    blend: np.ndarray | None = None
    width: Width | None = None
    baselines: Mapping[str, Sequence[Base]] = field(default_factory=dict)
    seen: SeenRows | None = None
    range: list[list[float]] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the entries of the weights file; quantiles only if there are some."""
        values = {
            "recipe": self.recipe.to_json(),
            "columns": dict(self.columns),
            "seed": self.seed,
            "best_epoch": self.best_epoch,
        }
        for name in ("residual_quantiles", "ahead_quantiles", "blend"):
            if (table := getattr(self, name)) is not None:
                values[name] = np.asarray(table).tolist()
        if self.width is not None:
            values["width"] = self.width.to_json()
        if self.baselines:
            values["baselines"] = {name: [part.to_json() for part in parts] for name, parts in self.baselines.items()}
        if self.seen is not None:
            values["seen"] = self.seen.to_json()
        if self.range is not None:
            values["range"] = self.range
        return values

    @classmethod
    def from_json(cls, metadata: Any) -> Trained:
        """Return what the metadata of a weights file say.

        Raises:
            ValueError: for the first fault.
        """
        values = schema.check(metadata, {**_OF_THE_MODEL, **TRAINED}, "the file")
        for name in _OF_THE_MODEL:
            del values[name]
        values["recipe"] = recipe_from_json(values["recipe"])
        if values["width"] is not None:
            recipe = values["recipe"]
            if not isinstance(recipe, ForecastRecipe):
                raise ValueError("it has an interval, but is no forecaster")
            O = len(recipe.target)
            values["width"] = Width.from_json(values["width"], recipe.horizon * O, O)
        targets = len(getattr(values["recipe"], "target", ()))  # 0 of a recipe that does not forecast
        if values["baselines"] and (not targets or any(len(p) != targets for p in values["baselines"].values())):
            raise ValueError(f"its baselines have another number of targets than its recipe, which has {targets}")
        values["baselines"] = {
            name: [Base.from_json(part) for part in parts] for name, parts in values["baselines"].items()
        }
        if values["seen"] is not None:
            values["seen"] = SeenRows.from_json(values["seen"])
        for name in ("residual_quantiles", "ahead_quantiles", "blend"):
            if values[name] is not None:
                values[name] = np.array(values[name], np.float64)  # whole numbers, too, however large
        return cls(**values)


# read by ``formats.model_file``
_OF_THE_MODEL = {
    "npseq": schema.COUNT,
    "config": schema.MAPPING,
    "scaling": schema.optional(schema.MAPPING),
}


def load_trained(path: str) -> tuple[Model, Trained]:
    """Return the model of a weights file and what ``npseq train`` has kept beside it.

    Raises:
        CheckpointError: for a file that ``npseq train`` has not written. OSError: if it cannot be opened.
    """
    model = load_model(path)
    if not isinstance(model.metadata, dict) or "recipe" not in model.metadata:
        raise CheckpointError(
            f"{path} does not say how its data were prepared: a file of npseq train expected; in Python, "
            "npseq.load(path).predict(x) takes any"
        )
    try:
        trained = Trained.from_json(model.metadata)
        agreement.check(model, trained)
    except ValueError as error:
        raise CheckpointError(f"{path}: its data description is invalid: {error}") from None
    return model, trained
