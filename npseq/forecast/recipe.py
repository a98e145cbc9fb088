"""What a weights file keeps of a forecast, so that the model can be used on new rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from ..data.errors import DataError
from ..formats import schema
from ..nn.scaling import Scaler
from ..tasks.recipe import NUMBERS, SCALER, TEXTS, Needs, Recipe, register
from . import features
from .bases import BaseModels

if TYPE_CHECKING:
    from typing_extensions import Self


@register
@dataclass(frozen=True)
class ForecastRecipe(Recipe):
    """How the rows of a table become windows (``windows.WindowDataset``).

    ``scaler`` has the targets' columns first and those known ahead last.
    """

    task: ClassVar[str] = "forecast"

    target: Annotated[list[str], TEXTS]
    inputs: Annotated[list[str], TEXTS]
    window: Annotated[int, schema.COUNT]
    horizon: Annotated[int, schema.COUNT]
    lags: Annotated[list[int], schema.listed(schema.COUNT)]
    scale: Annotated[str, schema.one_of(["standard", "none"])]
    step: Annotated[int | None, schema.optional(schema.COUNT)]  # seconds between rows; None where they are irregular
    calendar: Annotated[bool, schema.BOOLEAN]
    scaler: Annotated[Scaler, SCALER]
    future: Annotated[list[str], schema.missing(TEXTS, [])] = field(default_factory=list)
    base: Annotated[BaseModels | None, schema.optional(schema.MAPPING)] = None

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as a weights file keeps it: ``future`` and ``base`` only if there are any."""
        values = super().to_json()
        values["base"] = self.base and self.base.to_json()
        return {name: value for name, value in values.items() if name not in ("future", "base") or value}

    @property
    def first(self) -> int:
        """The first row that has a whole window, its lagged values, and the values that the base reads, before it."""
        return self.window + max(max(self.lags, default=1) - 1, self.base.reach if self.base else 0)

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> Self:
        """Return the recipe of values that have been checked, each by itself. Raises ValueError as ``Recipe``."""
        if values["base"] is not None:
            values["base"] = BaseModels.from_json(values["base"], len(values["target"]), values["horizon"])
            members = [part for base in values["base"].parts for _, part in base.members]
            if any(len(part.known) not in (0, len(values["future"])) for part in members):
                raise ValueError(f"its base does not fit its {len(values['future'])} columns known ahead")
        return cls(**values)

    @property
    def input_size(self) -> int:
        """The number of inputs of a row (``windows.WindowDataset``)."""
        O, h, base = len(self.target), int(self.horizon), self.base
        calendar = (len(features.CALENDAR) + 2 * (base is not None)) * bool(self.calendar)
        of_the_base = 0 if base is None else O * (1 + len(base.lags)) + h * O
        ahead = h * (len(self.future) + len(set(self.lags)) * O)
        return O + len(self.inputs) + of_the_base + calendar + ahead

    def needs(self) -> Needs:
        """Return what the recipe needs of its model."""
        return Needs(self.input_size, self.horizon * len(self.target), NUMBERS)


def of_forecast(recipe: Recipe) -> ForecastRecipe:
    """Return the recipe, which must be that of a forecast.

    Raises:
        DataError: for that of another task.
    """
    if not isinstance(recipe, ForecastRecipe):
        raise DataError(f"a model of the task {recipe.task!r} given; one that forecasts expected")
    return recipe
