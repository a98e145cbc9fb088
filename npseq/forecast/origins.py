"""Forecasts of ``Forecaster`` from several origins in time: ``backtest`` and ``cross_validation``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..data import load_series
from ..data.errors import DataError
from ..data.panel import Panel
from ..data.sources import TableOptions
from ..data.table import Table
from ..fused import blas
from . import drawing
from .asked import steps_of, whole
from .ensemble import Ensemble
from .panel.forecaster import PanelForecaster, form_of, on_panels

BACKTEST_SHARE = 0.85  # of the rows of the next origin


class Origins:
    """A forecaster that can be trained again on fewer rows."""

    settings: dict[str, Any]
    _inputs: dict[str, Any]
    _asked: dict[str, Any]
    _panel: PanelForecaster | None
    _known: Any
    _fit: Any
    members: list[Any]

    @on_panels
    def backtest(self, folds: int = 4, steps: int | None = None) -> list[dict[str, Any]]:
        """Train anew at ``folds`` origins in time, and score each on the rows that follow.

        This forecaster is not changed.

        The last origin has all rows, each one before 85 % of the rows of the next, so that the test parts follow each
        other.

        Returns:
            For each origin what ``score`` returns, and "rows", the number of rows that it had.

        Raises:
            DataError: before ``fit``, for too few rows, or for folds or steps that are not a whole number from 1.
            KeyboardInterrupt: if it is interrupted.
        """
        _, table = self._known()
        folds, steps = whole("folds", folds), steps_of(steps)
        found = []
        for rows in backtest_rows(len(table.values), folds):
            other = self._trained(table.first(rows), self._asked)
            with blas.limited(1):
                found.append({"rows": rows, **drawing.score(other.members, table.first(rows), steps, None)})
        return found

    def cross_validation(
        self,
        df: Any = None,
        h: int = 1,
        n_windows: int = 1,
        step_size: int | None = None,
        refit: bool = True,
        *,
        target: str | None = None,
        time: str | None = None,
        id: str | None = None,
    ) -> Any:
        """Forecast the last rows of one series, or of many, from several origins; this forecaster is not changed.

        Args:
            df: as ``fit`` takes data; None for those of ``fit`` or ``update``.
            h: rows to forecast from each origin. n_windows: origins, the last one h rows before the end.
            step_size: rows between two origins; by default h.
            refit: train at each origin; False: at the first one only, whose model forecasts from the others too.
            target, time, id: columns, as for ``fit``; with df only.

        Returns:
            A DataFrame with the columns unique_id, ds, cutoff (the last time before the origin), y and npseq.

        Raises:
            DataError: for too few rows, or counts that are not whole numbers from 1.
        """
        h, n_windows = whole("h", h), whole("n_windows", n_windows)
        step = h if step_size is None else whole("step_size", step_size)
        asked: dict[str, Any] = {"target": [target] if target else None, "inputs": None, "future": None}
        if df is None:
            data: Any = self._panel.known() if self._panel is not None else self._known()[1]
            asked = dict(self._panel.asked if self._panel is not None else self._asked)
        else:
            said = TableOptions(id=id) if id else None
            data = load_series(df, time, "past", options=said)
        asked["horizon"] = h
        if isinstance(data, Panel):
            jobs = 1 if self._panel is None else self._panel.jobs
            forecaster = PanelForecaster(self.settings, self._inputs["window"], jobs)
            forecaster.form = form_of(df, said) if self._panel is None or df is not None else self._panel.form
            return forecaster.cross_validation(data, asked, h, n_windows, step, refit)
        return self._validated(data, asked, h, range(h + (n_windows - 1) * step, h - 1, -step), refit)

    def _validated(self, table: Table, asked: dict[str, Any], h: int, backs: Sequence[int], refit: bool) -> Any:
        import pandas as pd

        if asked["inputs"] or asked["future"]:
            raise DataError("cross_validation is of columns that are forecast from their own values: leave others out")
        frames, other, n = [], None, len(table.values)
        times = np.arange(n) if table.times is None else table.times
        for back in backs:
            if back >= n:
                raise DataError(f"{table.name} has {n:,} rows; more than {back:,} expected, as the first origin needs")
            known = table.first(n - back)
            if refit or other is None:
                other = self._trained(known, asked)
            with blas.limited(1):
                found = Ensemble(other.members, known, in_use=True).predict(h)
            rows = slice(n - back, n - back + h)
            for k, name in enumerate(other.members[0][1].recipe.target):
                columns = {"unique_id": table.ids[0] if table.ids else name, "ds": times[rows]}
                columns |= {"cutoff": times[n - back - 1], "y": table.values[rows, table.column(name)]}
                frames.append(pd.DataFrame({**columns, "npseq": found.values[:, k]}))
        return pd.concat(frames, ignore_index=True)

    def _trained(self, table: Table, asked: dict[str, Any]) -> Any:
        other = type(self)(**self.settings, **self._inputs)
        other._fit(table, asked, {})
        return other


def backtest_rows(n: int, folds: int) -> list[int]:
    """Return how many of ``n`` rows each origin of a backtest has."""
    return [int(round(n * BACKTEST_SHARE ** (folds - 1 - k))) for k in range(folds)]
