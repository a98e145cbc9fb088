"""What a weights file keeps of a panel's network, so that it can be used on new rows and new series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from ...formats import schema
from ...tasks.recipe import NUMBERS, Needs, Recipe, register

_LAGS = schema.listed(schema.COUNT)


@register
@dataclass(frozen=True)
class PanelRecipe(Recipe):
    """How the rows of many series become windows (``windows.py``).

    season, longer: of the panel, in rows; patch: rows of a step; window: steps; log: True if logarithms are windows,
    too; lags, weights: of the base.
    """

    task: ClassVar[str] = "panel"

    target: Annotated[str, schema.TEXT]
    horizon: Annotated[int, schema.COUNT]
    season: Annotated[int, schema.COUNT]
    longer: Annotated[list[int], _LAGS]
    patch: Annotated[int, schema.COUNT]
    window: Annotated[int, schema.COUNT]
    log: Annotated[bool, schema.BOOLEAN]
    lags: Annotated[list[int], _LAGS]
    weights: Annotated[list[float], schema.listed(schema.SHARE)]

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> PanelRecipe:
        """Return the recipe of values that have been checked, each by itself. Raises ValueError as ``Recipe``."""
        if len(values["weights"]) != len(values["lags"]) or not values["lags"]:
            raise ValueError(f"its base has {len(values['weights'])} weights and {len(values['lags'])} lags")
        return cls(**values)

    def needs(self) -> Needs:
        """Return what the recipe needs of its model."""
        return Needs(self.patch + 1, self.horizon, NUMBERS)
