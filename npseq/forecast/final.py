"""The base that is fitted again to all rows after the scores were taken: what is forecast from then on stands on it.

The network's weights stay those that the validation part chose. Its correction is multiplied by a factor from 0 to 1,
which is measured on the test part with a base that was chosen and fitted on the rows before it: a correction that helps
the refitted base less than the old one shrinks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from ..data.table import Table
from ..formats import schema
from ..nn.model import Model
from ..tasks.scoring import shrunk_factor
from .bases import BaseModels
from .windows import WindowDataset

if TYPE_CHECKING:
    from .task import ForecastTask


@dataclass(frozen=True)
class Final(schema.Record):
    """base: fitted to all rows; factor (h · O,) of the network's outputs; range: smallest and largest value of each
    column; later: the number of rows after the last validation row; until: the time of the last row, or None.
    """

    base: Annotated[BaseModels, schema.MAPPING]
    factor: Annotated[np.ndarray, schema.listed(schema.SHARE)]
    range: Annotated[list[list[float]], schema.listed(schema.listed(schema.NUMBER, 2))]
    later: Annotated[int, schema.NATURAL]
    until: Annotated[str | None, schema.optional(schema.TEXT)]

    def to_json(self) -> dict[str, Any]:
        """Return what a weights file keeps."""
        return {**vars(self), "base": self.base.to_json(), "factor": self.factor.tolist()}

    @classmethod
    def from_json(cls, mapping: Mapping[str, Any], targets: int, horizon: int) -> Final:
        """Return what a weights file keeps.

        Raises:
            ValueError: for the first fault.
        """
        values = schema.check(mapping, cls.FIELDS, "its final base")
        base, factor = BaseModels.from_json(values["base"], targets, horizon), np.array(values["factor"], float)
        if len(factor) != targets * horizon:
            raise ValueError(f"its final base has {len(factor)} factors; {targets * horizon} expected")
        if values["until"] is not None:
            try:
                np.datetime64(values["until"], "s")
            except ValueError:
                raise ValueError(f"its final base is until {values['until'][:30]!r}; a time expected") from None
        return cls(base, factor, values["range"], values["later"], values["until"])

    def after(self, table: Table, seen: np.ndarray | None) -> np.ndarray | None:
        """Return (n,) True for the rows after those that the base was fitted to; None where that cannot be known.

        Args:
            seen: (n,) True for the rows of training and validation, or None.
        """
        times = table.times
        if self.until is not None and times is not None:
            return np.array(times > np.datetime64(self.until, "s"))
        if seen is None or not seen.any():
            return None
        return np.array(np.arange(len(seen)) > np.flatnonzero(seen)[-1] + self.later)


def refitted(model: Model, task: ForecastTask) -> Final | None:
    """Return the base chosen and fitted on all rows, or None if the task keeps one base, or the rows allow none."""
    if task.base is None or not task.refit:
        return None
    n, b = len(task.values), task.split[1]
    base = task.refitted_base(n)
    if base is None:
        return None
    before, rows = task.refitted_base(b), task.parts["test"]
    factor = np.ones(task.output_size)
    if before is not None and model.fc.theta.any():
        windows = WindowDataset.from_recipe(task.recipe(before), task.table)
        rows = rows[rows >= windows.first]
        if len(rows):
            y, target = windows.raw_outputs(model, rows).astype(float), windows.targets(rows)
            target = np.where(windows.observed(rows), target, np.nan)
            repeats = np.repeat(np.arange(1.0, task.horizon + 1), len(task.target_columns))
            factor = shrunk_factor(y, target, repeats)
    times = task.table.times
    until = None if times is None else str(times[-1].astype("datetime64[s]"))
    return Final(base, factor, task.range(n), n - b, until)


def final_model(model: Model, factor: np.ndarray) -> Model:
    """Return the model with its outputs multiplied by the factors: itself if they are all 1."""
    if (factor == 1).all():
        return model
    other = model.astype(model.dtype)
    other.metadata = model.metadata
    for array in other.fc.params.values():
        array *= factor.astype(array.dtype).reshape(-1, *[1] * (array.ndim - 1))
    return other
