"""Pictures, drawn by matplotlib (``pip install 'npseq[plot]'``) as PNG or SVG.

Each has its own white background and dark text, so that it can be read on a light page and on a dark one.
"""

from contextlib import contextmanager

import numpy as np

from ..formats import atomic

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


def check(path):
    """See, before the work is done, that a picture can be drawn and named so.

    Raises:
        PlotError: when matplotlib is missing, or the file's ending is neither .png nor .svg.
    """
    if not str(path).lower().endswith((".png", ".svg")):
        raise PlotError(f"{path}: a picture is written as .png or .svg")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise PlotError("pictures need matplotlib: pip install 'npseq[plot]'") from None


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


def forecast(path, x, actual, predicted, name, title, low=None, high=None, interval=None):
    """Actual and predicted values of one column over time (``x``: times or rows), with the interval where there is one.

    ``actual`` may be shorter than ``predicted``: the rest lies beyond the end of the data.
    """
    with _figure(path) as axes:
        ax = axes[0, 0]
        if low is not None and np.isfinite(low).any():
            ax.fill_between(x, low, high, color=COLOURS[0], alpha=0.2, lw=0, label=f"{interval:.0%} interval")
        ax.plot(x[: len(actual)], actual, color="#222222", lw=1.2, label="actual")
        ax.plot(x, predicted, color=COLOURS[0], lw=1.4, label="forecast")
        if len(actual) < len(predicted):
            ax.axvline(x[len(actual)], color="#888888", lw=1, ls=":")
        ax.set_title(title, loc="left")
        ax.set(ylabel=name, xlabel="time" if np.asarray(x).dtype.kind == "M" else "row")
        ax.figure.legend(ncol=3, loc="outside lower center")
        for label in ax.get_xticklabels():
            label.set(rotation=20, ha="right")


def curves(path, histories, title, level=None):
    """Validation loss by epoch: name -> list of runs, each a list of losses. The mean as a line, the runs as a band."""
    with _figure(path) as axes:
        ax = axes[0, 0]
        for colour, (name, runs) in zip(COLOURS, histories.items()):
            n = min(map(len, runs))
            losses = np.array([run[:n] for run in runs])
            epochs = np.arange(1, n + 1)
            ax.fill_between(epochs, losses.min(0), losses.max(0), color=colour, alpha=0.2, lw=0)
            dashes = "--" if name.startswith("optimized_") else "-"  # it may lie on its twin's
            ax.plot(epochs, losses.mean(0), color=colour, ls=dashes, marker="o", ms=3.5, lw=1.6, label=name)
        if level is not None:
            ax.axhline(level, color="#888888", ls=":", lw=1, label=f"level {level:.4g}")
        ax.set(title=title, xlabel="epoch", ylabel="validation loss", yscale="log")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend()


def confusion(path, table, classes, title):
    """How often each class (row) was answered with each (column)."""
    table = np.asarray(table)
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
        ax.set(title=title, xlabel="answer", ylabel="class", xticks=range(len(classes)), yticks=range(len(classes)))
        ax.set_xticklabels(classes, rotation=45 if max(map(len, classes)) > 3 else 0)
        ax.set_yticklabels(classes)


def flow(path, flows, title):
    """Gradient norms by distance from the loss, and below them the saturated gates: panel -> model -> ``flow.Flow``."""
    models = list(next(iter(flows.values())))
    colour = dict(zip(models, COLOURS))
    gates = [(name, gate) for name, flow in next(iter(flows.values())).items() for gate in flow.gates]
    rows = 2 if gates else 1
    with _figure(
        path,
        rows,
        len(flows),
        (4.8 * len(flows), 4.2 + 0.32 * len(gates) + 0.9 * (rows - 1)),
        height_ratios=[4.2, 0.9 + 0.32 * len(gates)][:rows],
    ) as axes:
        for column, (panel, lines) in enumerate(flows.items()):
            top = axes[0, column]
            for name, flow in lines.items():
                for letter, norms in flow.norms.items():
                    relative = np.where(norms > 0, norms, np.nan) / (flow.norms["h"][0] or 1.0)
                    top.plot(
                        np.arange(len(norms)),
                        relative,
                        lw=1.8,
                        color=colour[name],
                        ls="-" if letter == "h" else "--",
                        label=f"{name} ∂{letter}" if len(flow.norms) > 1 else name,
                    )
            top.set(title=panel, xlabel="steps before the loss", yscale="log")
            for place, (name, gate) in enumerate(gates):  # shut gates to the left, open ones to the right
                shut, opened = lines[name].gates[gate].mean(axis=0)
                axes[1, column].barh(place, [-shut, opened], color=colour[name], height=0.7)
        limits = [ax.get_ylim() for ax in axes[0]]
        low, high = max(min(low for low, _ in limits), 1e-14), max(high for _, high in limits)
        for ax in axes[0]:
            ax.set_ylim(low, high)
        axes[0, 0].set_ylabel("gradient norm, last step's ‖∂L/∂h‖ = 1")
        axes[0, 0].legend(loc="lower left")
        axes[0, 0].figure.suptitle(title)
        widest = max([0.05, *(abs(end) for ax in axes[1:].flat for end in ax.get_xlim())])
        for ax in axes[1:].flat:
            ax.set(xlim=(-widest, widest), xlabel="below 0.1   ←   share of gate values   →   above 0.9")
            ax.set_yticks(range(len(gates)), [f"{name} {gate}" for name, gate in gates])
            ax.xaxis.set_major_formatter(lambda share, _: f"{abs(share):.0%}")
            ax.axvline(0, color="#888888", lw=1)
            ax.invert_yaxis()
