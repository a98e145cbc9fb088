"""Plots, drawn by matplotlib (``pip install 'npseq[plot]'``) as PNG or SVG.

Each has its own white background and dark text, so that it can be read on a light page and on a dark one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ..formats import atomic, paths
from . import output

COLOURS = ["#1b6ca8", "#d1495b", "#3c8d5a", "#8f5aa8", "#c77d0a", "#5b6770"]  # told apart also by lightness
STYLE = {
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "text.color": "#222222",
    "axes.labelcolor": "#222222",
    "xtick.color": "#222222",
    "ytick.color": "#222222",
    "axes.edgecolor": "#888888",
    "axes.grid": True,
    "grid.color": "#dddddd",
    "axes.axisbelow": True,
    "font.size": 11,
    "axes.titlesize": 13,
    "legend.frameon": False,
    "svg.hashsalt": "npseq",
    "axes.spines.top": False,
    "axes.spines.right": False,
}


class PlotError(ValueError):
    """A picture cannot be drawn; the message is one line that says what to do."""


def check(path: str) -> None:
    """Check in advance that the plot can be drawn and that its file name is valid.

    Raises:
        PlotError: if matplotlib is missing, or the file name ends in neither .png nor .svg.
    """
    if not str(path).lower().endswith((".png", ".svg")):
        raise PlotError(f"{path}: a picture is written as .png or .svg")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise PlotError("pictures need matplotlib: pip install 'npseq[plot]'") from None


def check_files(*files: str | None, plot: str | None = None) -> None:
    """Check in advance that the files and the plot that are named can be written. Errors as ``check``; OSError as
    ``output.check_file``.
    """
    if plot:
        check(plot)
    for file in filter(None, (*files, plot)):
        output.check_file(file)


@contextmanager
def _figure(path, rows=1, columns=1, size=(9, 4.5), **options):
    check(path)
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with matplotlib.rc_context(STYLE):
        figure, axes = pyplot.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained", **options)
        try:
            yield axes
            metadata = {"Date": None} if str(path).lower().endswith(".svg") else {}
            with atomic.replacing(path) as file:
                figure.savefig(file, format=str(path).lower()[-3:], dpi=120, metadata=metadata)
        finally:
            pyplot.close(figure)


def _plain(text: str) -> str:
    """Return a name as it can be drawn: names of files and columns are no formulas, and may hold any character."""
    text = paths.text_of(text).encode("utf-8", "replace").decode("utf-8")
    return "".join(c if c.isprintable() else "?" for c in text).replace("$", r"\$")


ROWS = 336  # of forecasts in a picture, the last ones
FIRST_STEPS = 3  # of a longer horizon: each has a line of its own


def lines_ahead(steps: np.ndarray) -> dict[str, np.ndarray]:
    """Return the lines of forecasts: of the first steps (horizon, n), each at the rows that it forecasts."""
    lines = {}
    for step, forecast in enumerate(steps[:FIRST_STEPS]):
        name = "forecast" if len(steps) == 1 else f"{step + 1} ahead"
        lines[name] = np.append(np.full(step, np.nan), forecast[: len(forecast) - step])
    return lines


class Panel(NamedTuple):
    """One column over time: its name, actual values (n,), which may be fewer than the forecasts where those lie beyond
    the end of the data, label -> forecasts (m,), and the interval of the first ones, or None."""

    name: str
    actual: np.ndarray
    forecasts: dict[str, np.ndarray]
    low: np.ndarray | None = None
    high: np.ndarray | None = None


def forecasts(path: str, x: np.ndarray, panels: Sequence[Panel], title: str, interval: float | None = None) -> None:
    """Draw actual values and forecasts over time (``x``: times or rows), one ``Panel`` below the other."""
    with _figure(path, len(panels), 1, (9, 1.5 + 3 * len(panels))) as axes:
        for ax, panel in zip(axes[:, 0], panels):
            if panel.low is not None and np.isfinite(panel.low).any():
                ax.fill_between(
                    x, panel.low, panel.high, color=COLOURS[0], alpha=0.2, lw=0, label=f"{interval:.0%} interval"
                )
            ax.plot(x[: len(panel.actual)], panel.actual, color="#222222", lw=1.2, label="actual")
            for k, (label, predicted) in enumerate(panel.forecasts.items()):
                ax.plot(x, predicted, color=COLOURS[k % len(COLOURS)], lw=1.4 if k == 0 else 1, label=label)
            if len(panel.actual) < len(x):
                ax.axvline(x[len(panel.actual)], color="#888888", lw=1, ls=":")
            ax.set(ylabel=_plain(panel.name))
            for label in ax.get_xticklabels():
                label.set(rotation=20, ha="right")
        axes[0, 0].set_title(_plain(title), loc="left")
        axes[-1, 0].set(xlabel="time" if np.asarray(x).dtype.kind == "M" else "row")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        axes[0, 0].figure.legend(handles, labels, ncol=3, loc="outside lower center")


def by_step(path: str, lines: Mapping[str, Sequence[float]], title: str) -> None:
    """The error by step of a forecast: name -> the RMSE of step 1, 2, …"""
    with _figure(path) as axes:
        ax = axes[0, 0]
        for k, (name, errors) in enumerate(lines.items()):
            last = k == len(lines) - 1
            ax.plot(
                np.arange(1, len(errors) + 1),
                errors,
                color=COLOURS[0] if last else COLOURS[(k + 1) % len(COLOURS)],
                lw=2.2 if last else 1.2,
                label=name,
            )
        ax.set_title(_plain(title), loc="left")
        ax.set(xlabel="rows ahead", ylabel="RMSE", ylim=(0, None))
        ax.figure.legend(ncol=3, loc="outside lower center")


def curves(path: str, histories: Mapping[str, Any], title: str, level: float | None = None, first: int = 1) -> None:
    """Draw validation loss by epoch: name -> list of runs, each a list of losses from epoch ``first`` on; mean as a
    line, runs as a band."""
    with _figure(path) as axes:
        ax = axes[0, 0]
        for colour, (name, runs) in zip(COLOURS, histories.items()):
            n = min(map(len, runs))
            losses = np.array([run[:n] for run in runs])
            epochs = np.arange(first, first + n)
            ax.fill_between(epochs, losses.min(0), losses.max(0), color=colour, alpha=0.2, lw=0)
            dashes = "--" if name.startswith("optimized_") else "-"  # it may coincide with its twin's curve
            ax.plot(epochs, losses.mean(0), color=colour, ls=dashes, marker="o", ms=3.5, lw=1.6, label=name)
        if level is not None:
            ax.axhline(level, color="#888888", ls=":", lw=1, label=f"level {level:.4g}")
        ax.set(title=_plain(title), xlabel="epoch", ylabel="validation loss")
        low, high = ax.dataLim.intervaly
        if low > 0 and high > 10 * low:
            ax.set_yscale("log")
            ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend()


def confusion(path: str, table: Any, classes: Sequence[str], title: str) -> None:
    """Draw how often each class (row) was answered with each class (column)."""
    table, classes = np.asarray(table), [_plain(name) for name in classes]
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    with _figure(path, size=(1.5 + 0.5 * len(classes), 1.5 + 0.45 * len(classes))) as axes:
        ax = axes[0, 0]
        ax.grid(False)
        ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
        for i, j in np.ndindex(table.shape):
            if table[i, j]:
                ax.text(
                    j,
                    i,
                    table[i, j],
                    ha="center",
                    va="center",
                    fontsize=9,
                    color="white" if share[i, j] > 0.5 else "#222222",
                )
        ax.set(
            title=_plain(title), xlabel="answer", ylabel="class", xticks=range(len(classes)), yticks=range(len(classes))
        )
        ax.set_xticklabels(classes, rotation=45 if max(map(len, classes)) > 3 else 0)
        ax.set_yticklabels(classes)


def flow(path: str, flows: dict, title: str) -> None:
    """Draw gradient norms by distance from the loss, the paths measured separately, and the gates: one column a panel.

    Args:
        flows: panel -> model -> ``explain.gradient_flow.Flow``.
    """
    first = next(iter(flows.values()))
    colour = dict(zip(first, COLOURS))
    two_paths = any(flow.paths for flow in first.values())
    bars = [(name, gate) for name, flow in first.items() for gate in flow.gates or [None]]
    heights = [4.2, 3.2 if two_paths else None, 0.9 + 0.32 * len(bars)]
    heights = [height for height in heights if height is not None]
    with _figure(path, len(heights), len(flows), (4.8 * len(flows), sum(heights) + 0.6), height_ratios=heights) as axes:
        for column, (panel, models) in enumerate(flows.items()):
            _norms(axes[0, column], models, colour)
            axes[0, column].set(title=panel, xlabel="steps before the loss")
            if two_paths:
                _paths(axes[1, column], models, colour)
                axes[1, column].set_xlabel("steps before the loss")
            _gates(axes[-1, column], models, bars, colour)
        for row in axes[:-1]:
            limits = [ax.get_ylim() for ax in row]
            for ax in row:
                ax.set_ylim(max(min(low for low, _ in limits), 1e-14), max(high for _, high in limits))
        axes[0, 0].set_ylabel("gradient norm, last step's ‖dh‖ = 1")
        axes[0, 0].legend(loc="lower left")
        if two_paths:
            axes[1, 0].set_ylabel("norm with one path only")
            axes[1, 0].legend(loc="lower left", fontsize=8, frameon=True, framealpha=0.9, edgecolor="none")
        axes[0, 0].figure.suptitle(_plain(title))


def _norms(ax, models, colour):
    for name, flow in models.items():
        for letter, norms in flow.norms.items():
            relative = np.where(norms > 0, norms, np.nan) / (flow.norms["h"][0] or 1.0)
            label = f"{name} d{letter}" if len(flow.norms) > 1 else name
            ax.plot(relative, lw=1.8, color=colour[name], ls="-" if letter == "h" else "--", label=label)
    ax.set_yscale("log")


PATH_STYLES = {"both": ("-", "both paths"), "direct": ("--", "past W_h"), "W_h": (":", "through W_h")}


def _paths(ax, models, colour):
    for name, flow in models.items():
        for path, norms in flow.paths.items():
            relative = np.where(norms > 0, norms, np.nan) / (flow.norms["h"][0] or 1.0)
            line, label = PATH_STYLES[path]
            ax.plot(relative, lw=1.6, color=colour[name], ls=line, label=f"{name}, {label}")
    ax.set_yscale("log")


def _gates(ax, models, bars, colour):
    """Draw a bar of three parts for each gate: below 0.1, between, above 0.9; a line of text for a model without."""
    ax.grid(False)
    for place, (name, gate) in enumerate(bars):
        if gate is None:
            ax.text(0.5, place, "no gates", ha="center", va="center", color="#666666", fontsize=9)
            continue
        shut, opened = models[name].gates[gate].mean(axis=0)
        ax.barh(place, shut, color=colour[name], height=0.7)
        ax.barh(place, 1 - shut - opened, left=shut, color="#eeeeee", height=0.7)
        ax.barh(place, opened, left=1 - opened, color=colour[name], alpha=0.45, hatch="///", height=0.7)
        ax.text(0.01, place, f"{shut:.0%}", va="center", fontsize=8, color="white" if shut > 0.1 else "#222222")
        ax.text(0.99, place, f"{opened:.0%}", va="center", ha="right", fontsize=8)
    ax.set(xlim=(0, 1), ylim=(len(bars) - 0.4, -0.6), xlabel="gates: below 0.1 | between | above 0.9")
    ax.set_yticks(range(len(bars)), [name if gate is None else f"{name} {gate}" for name, gate in bars])
    ax.xaxis.set_major_formatter(lambda fraction, _: f"{fraction:.0%}")
