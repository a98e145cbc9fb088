"""Forecasts that a recurrent network should beat: the mean, persistence, the season before, linear autoregression.

Nothing at or after a predicted row is used to predict it. Autoregressions are fitted to training targets alone; several
steps are forecast by feeding the forecast back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..data.table import Table
from ..fused import blas
from .base_model import LONGEST, BaseModel, impute
from .bases import SAME_TIME
from .calendar_slots import Slots, periods, row_times, slots_of, time_before
from .candidates import MANY, Design, Series, Terms, regressions
from .combination import with_filled_gaps
from .features import DAY, WEEK
from .windows import WindowDataset

RIDGES = [1e-10, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3]  # penalties, for each row; the first only makes solutions unique
SMALL_RIDGES = [1e-10, 1e-3, 1e-2, 1e-1]  # where there are few rows
SHORT = (1, 2, 3, 6, 12)  # orders that are tried besides the periods, where there are few rows
TIMES = 3  # a period fits the training rows so often
LABELS = {"mean": "mean", "persistence": "persistence"}


class Baselines:
    """The baselines of a table's targets.

    Args:
        windows: of the table.
        fitted: name to one ``BaseModel`` for each target, from ``fit``.

    Attributes:
        names: those of the baselines that this table has, in the order mean, persistence, seasonal_day, seasonal_week
            (or another period; seasonal for one that was found in the training rows), ar, ar_slot.
        first: the first row that all of them can forecast.
    """

    def __init__(self, windows: WindowDataset, fitted: Mapping[str, Sequence[BaseModel]]):
        self.windows, O = windows, len(windows.target_columns)
        self.parts: dict[str, list[BaseModel]] = {
            "mean": [BaseModel("mean", np.zeros(0), np.zeros(1))] * O,
            "persistence": [BaseModel("last", np.ones(1), np.zeros(1))] * O,
        }
        for name, rows in seasons(windows.table).items():
            self.parts[f"seasonal_{name}"] = [the_season_before(rows)] * O
        self.parts |= {name: list(parts) for name, parts in fitted.items()}
        self.names = list(self.parts)
        self.first = max(part.order for parts in self.parts.values() for part in parts)
        filling = self.parts.get("ar_slot") or self.parts.get("ar")
        self._past = np.ascontiguousarray(windows.target_scaler.standardise(windows.values[:, :O]).T)
        self._z = self._past if windows.base is not None or windows.filled is None else self._past.copy()
        if windows.base is None and windows.filled is not None and filling:
            for k, part in enumerate(filling):
                impute(part, self._z[k], self._drive(part, len(windows.values)), windows.filled[:, k])

    def _drive(self, part: BaseModel, stop: int) -> np.ndarray:
        times = None if part.slots.kind == "one" else row_times(self.windows.table, 0, stop)
        return part.drive(part.slots.of(times, stop), None)

    def forecast(self, name: str, rows: np.ndarray, steps: int) -> np.ndarray:
        """Return the forecasts (len(rows), steps, targets) of the rows r … r + steps − 1 in data units."""
        series = self._past if name == "persistence" else self._z
        stop = max(len(self.windows.values), int(rows.max()) + steps)
        columns = [part.forecasts(z, self._drive(part, stop), rows, steps) for part, z in zip(self.parts[name], series)]
        return self.windows.target_scaler.to_units(np.stack(columns, axis=2))

    def before(self, row: int) -> list[str]:
        """Return the names of the baselines that can forecast from this row on."""
        return [name for name in self.names if max(part.order for part in self.parts[name]) <= row]

    def label(self, name: str) -> str:
        """Return the name of a baseline as tables show it."""
        step = self.windows.table.step
        part = self.parts[name][0]
        if name.startswith("seasonal"):
            return SAME_TIME["year"] if name == "seasonal_year" else season_name(part.order, step)
        if name == "ar_slot":
            slot = {3600: "hour", 86_400: "day"}.get(step or 0, "slot")
            period = {WEEK: "week"}.get(part.slots.count * part.slots.seconds, "day")
            return f"AR({part.order}) + " + ("month" if part.slots.kind == "month" else f"{slot} of {period}")
        return f"AR({part.order})" if name == "ar" else LABELS[name]


def seasons(table: Table) -> dict[str, int]:
    """Return name -> rows of the periods of the calendar that fit ``TIMES`` times into the table."""
    return {name: rows for name, rows in periods(table).items() if rows <= len(table.values) // TIMES}


def the_season_before(rows: int) -> BaseModel:
    """Return the baseline that repeats the value of so many rows before."""
    return BaseModel("seasonal", np.eye(1, rows, rows - 1)[0], np.zeros(1))


@blas.limited(1)
def fit(windows: WindowDataset, train_end: int, validation_end: int, season: int | None) -> dict[str, list[BaseModel]]:
    """Return the baselines that depend on the training rows, one model for each target: ``seasonal``, the ``season``
    that was found there if the calendar has none, and the autoregressions ``ar`` and ``ar_slot``, fitted to them.

    The order is the longest period that fits ``TIMES`` times into them; where rows are few, it is the best one on the
    validation rows, as the penalty is. ``ar_slot`` is missing if the calendar has no such period.
    """
    table, scaler = windows.table, windows.target_scaler
    z = scaler.standardise(windows.values[:, : len(scaler)]).T
    found: dict[str, list[BaseModel]] = {}
    if season and not seasons(table):
        found["seasonal"] = [the_season_before(season)] * len(scaler)
    for name, asked in _designs(table, season, train_end).items():
        parts = []
        for k, column in enumerate(z):
            filled = None if windows.filled is None else windows.filled[:, k]
            series = Series(np.ascontiguousarray(column), times=table.times, filled=filled)

            def best(given: Series, asked: list[Design] = asked) -> BaseModel | None:
                models = [model for _, model in regressions(given.first(train_end), asked)]
                return min(models, key=lambda model: _error(model, given, train_end, validation_end), default=None)

            # with a base, gaps are filled already
            whole = windows.base is not None
            model = best(series) if whole else with_filled_gaps(series, season, validation_end, best)
            if model is not None:
                parts.append(model)
        if len(parts) == len(z):
            found[name] = parts
    return found


def _designs(table: Table, season: int | None, rows: int) -> dict[str, list[Design]]:
    whole = {p for p in periods(table).values() if 2 <= p <= min(LONGEST, rows // TIMES)}
    lengths = whole | ({season} if season and 2 <= season <= min(LONGEST, rows // TIMES) else set())
    longest = max(whole or lengths, default=None)  # of the calendar, if it has one
    if longest is not None and rows > MANY:
        orders, pairs = [longest], [(longest, longest)]
    else:
        short = [p for p in (*SHORT, 24) if p <= rows // 8 and (longest is None or p < longest)]
        orders = [*sorted(lengths, reverse=True), *short]
        pairs = [(p, q) for p in orders for q in lengths if q <= p or q == longest]
    plain = [(order, Slots()) for order in orders]
    slotted = [(order, slots_of(table, period)) for order, period in pairs]
    return {
        name: [Design(order, Terms(slots), penalty=ridge * rows) for order, slots in which for ridge in
               (RIDGES if rows > MANY else SMALL_RIDGES)]
        for name, which in (("ar", plain), ("ar_slot", [pair for pair in slotted if pair[1].kind != "one"]))
    }  # fmt: skip


def _error(model: BaseModel, series: Series, start: int, stop: int) -> float:
    """The mean squared one-step error on the rows start … stop − 1 whose values were there."""
    rows = np.arange(max(start, model.order), stop)
    if series.filled is not None:
        rows = rows[~series.filled[rows]]
    forecasts = model.forecasts(series.z, model.drive_at(series.times, len(series.z)), rows, 1)[:, 0]
    return float(((series.z[rows] - forecasts) ** 2).mean()) if len(rows) else 0.0


def season_name(period: int, step: int | None) -> str:
    """Return how tables call the value one period before: in units of time, where the step is known."""
    named = {WEEK: SAME_TIME["week"], DAY: SAME_TIME["day"]}.get(period * step if step else 0)
    if named is None:
        return f"{time_before(period, step)} before"
    return named.replace("time", "hour") if step == 3600 else named
