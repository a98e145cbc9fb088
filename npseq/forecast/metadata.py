"""Metadata of a weights file that forecasts: intervals, baselines and the rows of the training besides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from ..formats import schema
from ..nn.model import Model
from ..tasks.metadata import Metadata, load_as, register
from ..tasks.seen import SeenRows
from .base_model import BaseModel
from .final import Final, final_model
from .interval_scale import HELD, Width
from .recipe import ForecastRecipe

if TYPE_CHECKING:
    from typing_extensions import Self


def _is_table(value: Any, number: schema.Field = schema.NUMBER, least: int = 2) -> bool:
    rows = schema.listed(schema.listed(number))
    return rows.fits(value) and len(value) >= least and len({len(row) for row in value}) == 1


FAR = 0.5  # of the width of the training range: values further outside are told
_TABLES = "residual_quantiles", "ahead_quantiles", "blend", "held"
_QUANTILES = schema.Field(lambda value: value is None or _is_table(value), "a table of numbers", None)
_BLEND = schema.Field(
    lambda value: value is None or _is_table(value, schema.SHARE, 1), "a table of numbers from 0 to 1", None
)
_HELD = schema.Field(
    lambda value: value is None or _is_table(value, schema.SHARE) and len(value) == len(HELD),
    f"a table of {len(HELD)} rows of numbers from 0 to 1",
    None,
)
_FITTED = dict.fromkeys(("seasonal", "ar", "ar_slot"), schema.listed(schema.MAPPING))
_BASELINES = schema.some_of(_FITTED, "an object of seasonal, ar and ar_slot, each a list of objects")
_PART = schema.optional(schema.MAPPING)
_RANGE = schema.listed(schema.listed(schema.NUMBER, 2))


@dataclass(frozen=True)
class ForecastMetadata(Metadata):
    """What ``npseq train`` keeps beside a model that forecasts.

    The quantiles of the validation residuals, (levels, outputs) or None (``intervals.py``); blend (steps, targets) of
    recursive forecasts with their base, or None (``recursive.py``); width: of the interval whose width follows the
    state, or None; held (len(HELD), steps · targets): the coverages that intervals had on the test part, or None;
    baselines: those that were fitted to the training rows (``baselines.fit``); seen: what tells the rows of training
    and validation, or None; range: smallest and largest value of each column in the training rows, or None; final: the
    base that was fitted to all rows, or None (``final.py``).
    """

    recipe: Annotated[ForecastRecipe, schema.MAPPING]
    residual_quantiles: Annotated[np.ndarray | None, _QUANTILES] = None
    ahead_quantiles: Annotated[np.ndarray | None, _QUANTILES] = None
    blend: Annotated[np.ndarray | None, _BLEND] = None
    width: Annotated[Width | None, _PART] = None
    held: Annotated[np.ndarray | None, _HELD] = None
    baselines: Annotated[Mapping[str, Sequence[BaseModel]], _BASELINES] = field(default_factory=dict)
    seen: Annotated[SeenRows | None, _PART] = None
    range: Annotated[list[list[float]] | None, schema.optional(_RANGE)] = None
    final: Annotated[Final | None, _PART] = None

    def to_json(self) -> dict[str, Any]:
        """Return the entries of the weights file: only those that there are."""
        values = super().to_json()
        for name in _TABLES:
            if (table := getattr(self, name)) is not None:
                values[name] = np.asarray(table).tolist()
        for name in ("width", "seen", "final"):
            if (part := getattr(self, name)) is not None:
                values[name] = part.to_json()
        if self.baselines:
            values["baselines"] = {name: [part.to_json() for part in parts] for name, parts in self.baselines.items()}
        return values if self.range is None else {**values, "range": self.range}

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> Self:
        """Return the metadata of values that have been checked, each by itself. Raises ValueError as ``Metadata``."""
        recipe = values["recipe"]
        O = len(recipe.target)
        if values["width"] is not None:
            values["width"] = Width.from_json(values["width"], recipe.horizon * O, O)
        if any(len(parts) != O for parts in values["baselines"].values()):
            raise ValueError(f"its baselines have another number of targets than its recipe, which has {O}")
        values["baselines"] = {
            name: [BaseModel.from_json(part) for part in parts] for name, parts in values["baselines"].items()
        }
        if values["seen"] is not None:
            values["seen"] = SeenRows.from_json(values["seen"])
        if values["final"] is not None:
            values["final"] = Final.from_json(values["final"], O, recipe.horizon)
            if recipe.base is None or values["final"].base.lags != recipe.base.lags:
                raise ValueError("its final base does not fit its recipe")
        for name in _TABLES:
            if values[name] is not None:
                values[name] = np.array(values[name], np.float64)  # whole numbers, too, however large
        return cls(**values)

    def coverage_at(self, nominal: float, steps: np.ndarray) -> np.ndarray | None:
        """Return the share (targets,) of the values of the test part that intervals of this coverage held so many steps
        ahead, in the mean over the ``steps`` that were measured; None if none was."""
        O = len(self.recipe.target)
        if self.held is None or not len(steps := steps[steps <= self.held.shape[1] // O]):
            return None
        shares = self.held.reshape(len(HELD), -1, O)[:, steps - 1].mean(axis=1)
        return np.array([np.interp(nominal, [0, *HELD, 1], [0, *column, 1]) for column in shares.T])

    def far_outside(self, values: np.ndarray) -> np.ndarray:
        """Return (…, C) True for each of the values (…, C) that lies far outside the range of the training rows."""
        if not self.range:
            return np.zeros(values.shape, bool)
        low, high = np.array(self.range).T
        size = np.where(high > low, high - low, np.where(high == 0, 1.0, np.abs(high)))
        return np.asarray(np.maximum(low - values, values - high) > FAR * size)

    @property
    def fitted_until(self) -> str | None:
        """The time of the last row that the base or, if it was not fitted again, the model was fitted to; None if it is
        not known."""
        if self.final is not None:
            return self.final.until
        return None if self.seen is None else self.seen.until

    def in_use(self, model: Model) -> tuple[Model, ForecastMetadata]:
        """Return the model and the metadata by which rows after those of the training are forecast: with the base that
        was fitted to all of these, if there is one.
        """
        if self.final is None:
            return model, self
        recipe = replace(self.recipe, base=self.final.base)
        kept = replace(self, recipe=recipe, range=self.final.range, final=None)
        return final_model(model, self.final.factor), kept

    def check(self, model: Model) -> None:
        """Compare the model with what its file says besides. Raises ValueError as ``Metadata``."""
        super().check(model)
        targets, columns = len(self.recipe.target), {"residual_quantiles": self.recipe.needs().output_size}
        for name in _TABLES:
            if (table := getattr(self, name)) is None:
                continue
            count = table.shape[1]
            if count % targets or count != columns.get(name, count) or name == "blend" and count != targets:
                raise ValueError(f"its {name} have {count} columns, which do not fit its {targets} targets")
        if self.width is not None and self.width.weight.shape[1] != model.fc.shapes["weight"][1]:
            raise ValueError(
                f"its interval reads {self.width.weight.shape[1]} numbers; the model's head reads "
                f"{model.fc.shapes['weight'][1]}"
            )


ALONE = "the network adds nothing here: the forecast is the base alone"


def adds_nothing(model: Model, recipe: ForecastRecipe) -> bool:
    """True if the model corrects a base, and its corrections are all 0."""
    return recipe.base is not None and not model.fc.theta.any()


register(ForecastRecipe, ForecastMetadata)


def load_forecast(path: str, weights: str | None = None) -> tuple[Model, ForecastMetadata]:
    """Return the model of a weights file that forecasts, and what its training has kept.

    Raises:
        CheckpointError: for a model of another task, or as ``load_trained``. OSError: if it cannot be opened.
    """
    return load_as(ForecastMetadata, path, weights, "is no forecaster")
