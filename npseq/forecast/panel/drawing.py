"""Pictures and tables of the forecasts of many series: for ``Forecaster``, its scores, and the commands."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...data.panel import Panel
from ...tasks import pictures
from .ensemble import Member, PanelEnsemble, PanelForecast
from .scores import METRICS
from .series import observed

GRID = 12  # series in a picture, at most
BEFORE = 96  # rows before the forecasts


def grid(path: str | None, panel: Panel, found: PanelForecast, coverage: float, title: str) -> Any:
    """Draw the last rows of the first series that were forecast, and the forecasts with their intervals.

    Args:
        panel: that was forecast, with the rows ahead that are known.
    """
    tiles, column = [], panel.column(found.target)
    for k, (one, place, end) in enumerate(zip(found.ids[:GRID], found.places, found.ends)):
        rows = panel.rows(place)
        values = panel.values[rows, column]
        if panel.filled is not None:
            values = np.where(panel.filled[rows, column], np.nan, values)
        shown = values[max(end - BEFORE, 0) : end + len(found.mean[k])]
        tiles.append(
            pictures.Tile(one, shown, min(end, BEFORE), found.mean[k], found.low[coverage][k], found.high[coverage][k])
        )
    return pictures.grid(path, tiles, title, coverage)


def scored(path: str | None, panel: Panel, members: list[Member], steps: int, coverage: float) -> Any:
    """Draw the forecasts of the last rows of the first series."""
    whole = observed(panel, members[0][1].recipe.target)
    some = whole.take(np.flatnonzero(whole.lengths > steps)[:GRID])
    found = PanelEnsemble(members, some, held_out=steps).predict(steps, (coverage,))
    return grid(path, some, found, coverage, f"{panel.name}: the last {steps} rows")


class PanelScore(dict[str, Any]):
    """The scores of many series: a dict (``scores.evaluate``), which also draws itself and is a table in a notebook.

    Args:
        found: the scores. draw: of a path, or None: draws the forecasts.
    """

    def __init__(self, found: Mapping[str, Any], draw: Callable[[str | None], Any]) -> None:
        super().__init__(found)
        self._draw = draw

    def plot(self, path: str | None = None) -> Any:
        """Draw the forecasts of the last rows of the first series beside their values.

        Args:
            path: of the file to write (.png, .svg), or None.

        Returns:
            matplotlib's figure.

        Raises:
            PlotError: without matplotlib.
        """
        return self._draw(path)

    def _repr_html_(self) -> str:
        rows = [["", *(name for name, _ in METRICS.values())]]
        for name, each in self["scores"].items():
            cells = ("" if each[key] is None else f"{each[key]:{form}}" for key, (_, form) in METRICS.items())
            rows.append([name, *cells])
        lines = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows]
        return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"
