"""Pictures, drawn by matplotlib: shown in a notebook, or written as PNG or SVG.

Each has its own white background and dark text, so that it can be read on a light page and on a dark one. Every
function takes the path of the file to write, or None, and returns matplotlib's figure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ..formats import atomic, paths

COLOURS = ["#1b6ca8", "#d1495b", "#3c8d5a", "#8f5aa8", "#c77d0a", "#5b6770"]  # told apart also by lightness
COLOURS += ["#7fb2d6", "#e8a0aa", "#94c7a5", "#c9a9d8", "#e3bd7d"]
STYLE = {
    **dict.fromkeys(["figure.facecolor", "axes.facecolor", "savefig.facecolor"], "white"),
    **dict.fromkeys(["text.color", "axes.labelcolor", "xtick.color", "ytick.color"], "#222222"),
    **dict.fromkeys(["axes.grid", "axes.axisbelow"], True),
    **dict.fromkeys(["legend.frameon", "axes.spines.top", "axes.spines.right"], False),
    **{"axes.edgecolor": "#888888", "grid.color": "#dddddd", "svg.hashsalt": "npseq"},
    **{"font.size": 11, "axes.titlesize": 13},
}


class PlotError(ValueError):
    """A picture cannot be drawn; the message is one line that says what to do."""


def check(path: str | None = None) -> None:
    """Check in advance that a picture can be drawn, and that the name of its file is valid.

    Raises:
        PlotError: if matplotlib is missing, or the file name ends in neither .png nor .svg.
    """
    if path is not None and not str(path).lower().endswith((".png", ".svg")):
        raise PlotError(f"{path}: a picture is written as .png or .svg")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise PlotError("pictures need matplotlib: pip install matplotlib") from None


@contextmanager
def figure(
    path: str | None, rows: int = 1, columns: int = 1, size: tuple[float, float] = (9, 4.5), **options: Any
) -> Iterator[Any]:
    """The axes (rows, columns) of a new figure, which is written in the end if a path is given."""
    check(path)
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type]
        drawn = Figure(figsize=size, layout="constrained")
        yield drawn.subplots(rows, columns, squeeze=False, **options)
        if path is not None:
            svg = str(path).lower().endswith(".svg")
            with atomic.replacing(path) as file:
                drawn.savefig(file, format=str(path).lower()[-3:], dpi=120, metadata={"Date": None} if svg else {})


def plain_text(text: str) -> str:
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


Losses = tuple[Sequence[Mapping[str, Any]], float | None]  # ``history`` and ``start_loss``


class Panel(NamedTuple):
    """One column over time: its name, actual values (n,), which may be fewer than the forecasts where those lie beyond
    the end of the data, label -> forecasts (m,), and the interval of the first ones, or None."""

    name: str
    actual: np.ndarray
    forecasts: dict[str, np.ndarray]
    low: np.ndarray | None = None
    high: np.ndarray | None = None


def forecasts(
    path: str | None,
    x: np.ndarray,
    panels: Sequence[Panel],
    title: str,
    interval: float | None = None,
    losses: Losses | None = None,
) -> Any:
    """Draw actual values and forecasts over time (``x``: times or rows), one ``Panel`` below the other, and in the end
    the ``losses`` of the training."""
    count = len(panels) + (losses is not None)
    with figure(path, count, 1, (9, 1.5 + 3 * count)) as axes:
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
            ax.set(ylabel=plain_text(panel.name))
            if np.asarray(x).dtype.kind == "M":
                from matplotlib import dates

                ax.xaxis.set_major_locator(ticks := dates.AutoDateLocator())  # type: ignore[no-untyped-call]
                ax.xaxis.set_major_formatter(dates.ConciseDateFormatter(ticks))  # type: ignore[no-untyped-call]
        axes[0, 0].set_title(plain_text(title), loc="left")
        axes[len(panels) - 1, 0].set(xlabel="time" if np.asarray(x).dtype.kind == "M" else "row")
        if losses is not None:
            _learning(axes[-1, 0], *losses)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        axes[0, 0].figure.legend(handles, labels, ncol=3, loc="outside lower center")
    return axes[0, 0].figure


def learning(path: str | None, history: Sequence[Mapping[str, Any]], start: float | None, title: str) -> Any:
    """Draw the losses of a training by epoch: ``history`` and ``start_loss`` of its ``Progress``."""
    with figure(path) as axes:
        _learning(axes[0, 0], history, start)
        axes[0, 0].set_title(plain_text(title), loc="left")
    return axes[0, 0].figure


def _learning(ax: Any, history: Sequence[Mapping[str, Any]], start: float | None) -> None:
    epochs = [row["epoch"] for row in history]
    for colour, name in zip(COLOURS[1::-1], ("train", "validation")):
        losses = [row[f"{name}_loss"] for row in history]
        first = name == "validation" and start is not None  # epoch 0: of the base
        ax.plot([0] * first + epochs, [start] * first + losses, color=colour, marker="o", ms=3.5, label=name)
    _loss_axes(ax)


def _loss_axes(ax: Any) -> None:
    ax.set(xlabel="epoch", ylabel="loss")
    low, high = ax.dataLim.intervaly
    if low > 0 and high > 10 * low:
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend()


class Tile(NamedTuple):
    """One of many series: its name, its last values (n,), and the one at which the forecast (m,) begins."""

    name: str
    actual: np.ndarray
    start: int
    forecast: np.ndarray
    low: np.ndarray
    high: np.ndarray


def grid(path: str | None, tiles: Sequence[Tile], title: str, coverage: float) -> Any:
    """Draw many series, three in a row."""
    columns = min(3, len(tiles))
    rows = -(-len(tiles) // columns)
    with figure(path, rows, columns, (4.2 * columns, 1.2 + 2.3 * rows)) as axes:
        for ax, tile in zip(axes.flat, tiles):
            x = tile.start + np.arange(len(tile.forecast))
            ax.fill_between(x, tile.low, tile.high, color=COLOURS[0], alpha=0.2, lw=0, label=f"{coverage:.0%} interval")
            ax.plot(tile.actual, color="#222222", lw=1.1, label="actual")
            ax.plot(x, tile.forecast, color=COLOURS[0], lw=1.4, label="forecast")
            ax.set_title(plain_text(tile.name), loc="left", fontsize=10)
            ax.tick_params(labelsize=8)
        for ax in axes.flat[len(tiles) :]:
            ax.set_visible(False)
        drawn = axes[0, 0].figure
        handles, labels = axes[0, 0].get_legend_handles_labels()
        drawn.suptitle(plain_text(title))
        drawn.legend(handles, labels, ncol=3, loc="outside lower center")
    return drawn


def by_step(path: str | None, lines: Mapping[str, Sequence[float]], title: str) -> Any:
    """The error by step of a forecast: name -> the RMSE of step 1, 2, …"""
    with figure(path) as axes:
        ax = axes[0, 0]
        for k, (name, errors) in enumerate(lines.items()):
            last = k == len(lines) - 1
            colour, width = (COLOURS[0], 2.2) if last else (COLOURS[(k + 1) % len(COLOURS)], 1.2)
            ax.plot(np.arange(1, len(errors) + 1), errors, color=colour, lw=width, label=name)
        ax.set_title(plain_text(title), loc="left")
        ax.set(xlabel="rows ahead", ylabel="RMSE", ylim=(0, None))
        ax.figure.legend(ncol=3, loc="outside lower center")
    return ax.figure


def curves(
    path: str | None, histories: Mapping[str, Any], title: str, level: float | None = None, first: int = 1
) -> Any:
    """Draw validation loss by epoch: name -> list of runs, each a list of losses from epoch ``first`` on; mean as a
    line, runs as a band."""
    with figure(path) as axes:
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
        _loss_axes(ax)
        ax.set(title=plain_text(title), ylabel="validation loss")
    return ax.figure


def confusion(path: str | None, table: Any, classes: Sequence[str], title: str, losses: Losses | None = None) -> Any:
    """Draw how often each class (row) was answered with each class (column), and beside it the ``losses``."""
    table, classes = np.asarray(table), [plain_text(name) for name in classes]
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    accuracy = np.trace(table) / max(table.sum(), 1)
    width, height = max(5.0, 1.5 + 0.5 * len(classes)), max(4.0, 1.5 + 0.45 * len(classes))
    with figure(path, 1, 1 if losses is None else 2, (width * (1 if losses is None else 2), height)) as axes:
        ax = axes[0, 0]
        ax.grid(False)
        ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
        for i, j in np.argwhere(table):
            shade = "white" if share[i, j] > 0.5 else "#222222"
            ax.text(j, i, table[i, j], ha="center", va="center", fontsize=9, color=shade)
        places = range(len(classes))
        ax.set(xlabel="answer", ylabel="class", xticks=places, yticks=places)
        ax.set_title(f"{plain_text(title)}\naccuracy {accuracy:.1%} of {table.sum():,}", loc="left")
        ax.set_xticklabels(classes, rotation=45 if max(map(len, classes)) > 3 else 0)
        ax.set_yticklabels(classes)
        if losses is not None:
            _learning(axes[0, 1], *losses)
    return ax.figure
