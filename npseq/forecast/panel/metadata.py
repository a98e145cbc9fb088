"""Metadata of a weights file of a panel: the errors and quantiles over all series, beside the recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from ...formats import schema
from ...nn.model import Model
from ...tasks.metadata import Metadata, load_as, register
from ...tasks.seen import SeenSeries
from .combination import LEVELS, Errors
from .recipe import PanelRecipe

_ERRORS = schema.listed(schema.NUMBER, 3)
_ROWS = schema.listed(schema.listed(schema.NUMBER))
_QUANTILES = schema.Field(
    lambda value: _ROWS.fits(value) and len(value) == len(LEVELS) and len({len(row) for row in value}) == 1,
    f"a table of {len(LEVELS)} rows of numbers",
)


@dataclass(frozen=True)
class PanelMetadata(Metadata):
    """What ``npseq train`` keeps beside the network of a panel.

    errors: mean errors over all series, of closed forms, network and combination; quantiles (levels, horizon) of the
    combination's errors (``combination.py``); seen: which rows the training has known, or None.
    """

    recipe: Annotated[PanelRecipe, schema.MAPPING]
    errors: Annotated[list[float], _ERRORS] = ()  # type: ignore[assignment]
    quantiles: Annotated[np.ndarray, _QUANTILES] = ()  # type: ignore[assignment]
    seen: Annotated[SeenSeries | None, schema.optional(schema.MAPPING)] = None

    @property
    def known(self) -> Errors:
        """What holds for all series."""
        return Errors(np.array(self.errors[:2]), float(self.errors[2]))

    def told(self) -> list[tuple[str, str]]:
        """Return lines on the target, the base and the series: a title and a text each."""
        recipe, seen = self.recipe, self.seen
        parts = [
            recipe.target,
            *(f"reads {name}" for name in recipe.inputs),
            *(f"{name} known ahead" for name in recipe.future),
        ]
        parts.append(
            f"{recipe.horizon} rows ahead, from windows of {recipe.window} × {recipe.patch}; season {recipe.season}"
        )
        base = ", ".join(f"{weight:.3g} × that of {lag}" for lag, weight in zip(recipe.lags, recipe.weights))
        lines = [("target", "; ".join(parts)), ("base", f"{base} rows before, and closed forms")]
        if seen is not None:
            text = f"{len(seen.names):,} series of {seen.count:,} rows, those held out included; others are new to it"
            lines.append(("trained on", text))
        return lines

    def to_json(self) -> dict[str, Any]:
        """Return the entries of the weights file."""
        values = {**super().to_json(), "errors": list(self.errors), "quantiles": np.asarray(self.quantiles).tolist()}
        return values if self.seen is None else {**values, "seen": vars(self.seen)}

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> PanelMetadata:
        """Return the metadata of values that have been checked, each by itself. Raises ValueError as ``Metadata``."""
        values["quantiles"] = np.array(values["quantiles"], np.float64)
        if values["quantiles"].shape[1] != values["recipe"].horizon:
            raise ValueError(f"its quantiles are of {values['quantiles'].shape[1]} steps, its horizon is another")
        if min(values["errors"]) <= 0:
            raise ValueError("its errors are not all greater than 0")
        if values["seen"] is not None:
            values["seen"] = SeenSeries.from_json(values["seen"])
        return cls(**values)


register(PanelRecipe, PanelMetadata)


def load_panel(path: str, weights: str | None = None) -> tuple[Model, PanelMetadata]:
    """Return the network of a weights file that forecasts many series, and what its training has kept.

    Raises:
        CheckpointError: for a model of another task, or as ``load_trained``. OSError: if it cannot be opened.
    """
    return load_as(PanelMetadata, path, weights, "does not forecast many series")
