"""``npseq flow``: how the gradient changes on its way back through time, in several models."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from .. import optim, status, tasks
from ..explain.gradient_flow import OPEN, PATHS, SHUT, measure
from ..fused import blas
from ..nn.model import Model
from ..nn.registry import OWN
from ..training.fit import Diverged, fit
from . import arguments, options, output, own_cell, plots, progress
from .kinds import make_task
from .tables import Flows, flow_picture, saturation_table

DEFAULT = ["rnn", "lstm", "gru"]  # an optimized twin has the same gradients


def parser() -> arguments.Parser:
    """Return the parser of the command."""
    p = arguments.Parser(
        prog="npseq flow",
        description="The gradient's norm against the distance from the loss.",
        epilog="example: npseq flow --length 30 --epochs 1 --output flow.csv",
    )
    arguments.add(p, "--models M,M", f"default: {','.join(DEFAULT)}", options.models, DEFAULT)
    own_cell.add_option(p, "also that of a cell of your own")
    arguments.add(p, "--epochs N", "of training", arguments.positive_int, 5)
    arguments.add(p, "--hidden-size N", kind=arguments.positive_int, default=32)
    arguments.add(p, "--lr RATE", "learning rate", arguments.positive, 0.001)
    arguments.add(p, "--forget-bias B", "of the LSTM's forget gate, at the start", arguments.bias, 1.0)
    about = "also show the untrained network with recurrent weights scaled by this factor"
    arguments.add(p, "--gain G", about, arguments.positive, 4.0)
    arguments.add_seed(p, "weights and data")
    options.add_data_options(p, default=tasks.Adding.name)
    p.rare -= {"length"}
    arguments.add(p, "--output FILE.csv", "write the numbers there")
    arguments.add(p, "--plot FILE.png", "draw the picture there (.png or .svg)")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """``npseq flow``; -> exit status."""
    p = parser()
    args = p.parse_args(argv)
    try:
        plots.check_files(args.output, plot=args.plot)
        task = make_task(args)
        larger = f"untrained, recurrent weights × {args.gain:g}"
        flows = {"untrained": {}, "trained": {}, larger: {}}
        with blas.limited(1):
            for name in [*args.models, *([args.cell.name] if args.cell else [])]:
                of_npseq = name in OWN
                more = {"forget_bias": args.forget_bias} if "lstm" in name and of_npseq else {}
                kind = "optimized_" + name.removeprefix("optimized_") if of_npseq else name
                sizes = task.input_size, args.hidden_size, task.output_size
                model = Model(kind, *sizes, loss=task.loss, rng=args.seed, **more)
                flows["untrained"][name] = measure(model, task)
                model.params["rnn.weight_hh_l0"] *= args.gain
                flows[larger][name] = measure(model, task)
                model.params["rnn.weight_hh_l0"] /= args.gain
                train(model, task, args, name)
                flows["trained"][name] = measure(model, task)
    except Diverged as error:
        print(f"{p.prog}: {name}: {error}: try a smaller --lr (now {args.lr:g})", file=sys.stderr)
        return status.DIVERGED
    except (OSError, ValueError) as error:
        p.error(error)
    if args.output:
        write(args.output, flows)
    if args.plot:
        plots.flow(args.plot, flows, f"{task.name}: gradient by distance from the loss")
    # last: a reader that leaves ends the command
    print("\n".join([*flow_picture(flows), "", *saturation_table(flows), "", *paths_table(flows)]))
    return status.OK


def paths_table(flows: Flows) -> list[str]:
    """Return lines: how much of the gradient arrives at the first step, with both paths and with each of them alone."""
    rows = [
        (panel, name, [flow.paths[path][-1] / flow.paths["both"][0] for path in PATHS])
        for panel, models in flows.items()
        for name, flow in models.items()
        if flow.paths
    ]
    if not rows:
        return []
    width = max(len(f"{panel}, {name}") for panel, name, _ in rows)
    titles = ["both paths", "past W_h", "through W_h"]
    lines = [f"{'gradient at the first step, as a multiple':{width}}" + "".join(f"{title:>14}" for title in titles)]
    return lines + [
        f"{f'{panel}, {name}':{width}}" + "".join(f"{value:14.1e}" for value in v) for panel, name, v in rows
    ]


def train(model: Model, task: Any, args: argparse.Namespace, name: str) -> None:
    """Train as ``npseq train`` does: Adam, clipping at 1; batches of 32."""
    steps = args.epochs * -(-len(task.parts["train"]) // 32)
    bar = iter(progress.bar(f"training {name}")(range(steps)))
    adam, on_step = optim.Adam(model.theta, lr=args.lr), lambda *_: next(bar, None)
    if fit(model, task, adam, epochs=args.epochs, rng=args.seed, on_step=on_step).interrupted:
        raise KeyboardInterrupt


def write(path: str, flows: Flows) -> None:
    """Write one row for each number: norms as they are, not relative ones."""
    with output.csv_writer(path) as writer:
        writer.writerow(["panel", "model", "quantity", "steps_before_the_loss", "value"])
        for panel, models in flows.items():
            for name, flow in models.items():
                columns = {f"norm of d{letter}": norms for letter, norms in flow.norms.items()}
                columns |= {f"norm of the state's gradient, path {path}": norms for path, norms in flow.paths.items()}
                for gate, shares in flow.gates.items():
                    columns[f"{gate} below {SHUT}"], columns[f"{gate} above {OPEN}"] = shares.T
                for quantity, values in columns.items():
                    writer.writerows([panel, name, quantity, k, float(value)] for k, value in enumerate(values))
