"""The pictures of the commands: those of ``tasks.pictures``, and that of ``npseq flow``."""

from __future__ import annotations

import numpy as np

from ..tasks.pictures import COLOURS, PlotError, check, confusion, curves, figure, learning, lines_ahead, plain_text  # noqa: F401
from . import output


def check_files(*files: str | None, plot: str | None = None) -> None:
    """Check in advance that the files and the plot that are named can be written. Errors as ``check``; OSError as
    ``output.check_file``.
    """
    if plot:
        check(plot)
    for file in filter(None, (*files, plot)):
        output.check_file(file)


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
    with figure(path, len(heights), len(flows), (4.8 * len(flows), sum(heights) + 0.6), height_ratios=heights) as axes:
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
        axes[0, 0].figure.suptitle(plain_text(title))


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
