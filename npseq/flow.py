"""How the gradient fares on its way back: ‖∂L/∂h_t‖ against the distance from the loss, ``npseq flow``.

In a plain RNN it goes through the same matrix and the same tanh at every step, so over a distance it vanishes or, with
larger weights, explodes (Bengio et al., IEEE Trans. Neural Networks 5, 1994; Pascanu et al. 2013, arXiv 1211.5063v2). The
LSTM's cell state is carried by the forget gate alone, and so is its gradient.
"""

import csv
import sys

import numpy as np

from . import bptt, jobs, options, optim, plots, threads
from .data import DataError
from .fit import Diverged, fit
from .model import MODELS, Model

DEFAULT = ["rnn", "lstm", "gru"]  # the optimized ones have the same gradients
SATURATED = 0.1  # a gate below this, or above 1 minus it (Karpathy et al. 2015, arXiv 1506.02078v2)


def gradient_flow(layer, x, d_h):
    """‖∂L/∂state_t‖ for every t, of a loss that reads the final h of a one-layer, one-direction layer.

    Args:
        layer: a ``Recurrent``.
        x: (T, B, I). d_h: (B, H), the gradient of the loss with respect to the final h.

    Returns:
        letter of the state -> (T + 1,) norms over units, averaged over sequences, distance 0 (the last step) first; and
        gate -> share of its values that are saturated (below 0.1 or above 0.9), for gates that are logistic.
    """
    cell, weights, (T, B, _) = layer.cell, layer.weights(), x.shape
    state = tuple(np.zeros((size, B), layer.dtype) for size in layer.state_sizes())
    tapes, gates = [], []
    for t in range(T):  # a tape for each step, so that the gradient can be read between them
        _, state, tape = bptt.forward_through_time(cell, weights, x[t:t + 1].transpose(0, 2, 1), state)
        tapes.append(tape)
        gates.append(np.stack(tape.segments[0].caches[0][0][:len(cell.gates)]))
    d_state = (np.ascontiguousarray(d_h.T), *(np.zeros_like(part) for part in state[1:]))
    norms = [[_norm(d) for d in d_state]]
    for tape in reversed(tapes):
        _, _, d_state = bptt.backward_through_time(cell, weights, tape, None, d_state, need_dx=False)
        norms.append([_norm(d) for d in d_state])
    values = np.stack(gates)
    saturated = {gate: float(((values[:, k] < SATURATED) | (values[:, k] > 1 - SATURATED)).mean())
                 for k, gate in enumerate(cell.gates) if gate in "ifozr"}
    return dict(zip(cell.state, np.array(norms).T)), saturated


def _norm(d):
    return float(np.sqrt((d.astype(np.float64) ** 2).sum(axis=0)).mean())


def measure(model, task, count=64):
    """``gradient_flow`` of a ``Model``'s own loss on ``count`` training examples of full length."""
    rows = task.parts["train"][:count]
    batch = task.batch(rows, model.dtype)
    if batch.lengths is not None:  # only the longest, so that every distance is one of real steps
        longest = batch.lengths == batch.lengths.max()
        batch = type(batch)(batch.x[longest], batch.target[longest])
    y, (_, head_tape) = model.forward(batch.x)
    from .losses import LOSSES
    _, dy = LOSSES[model.loss](y, batch.target)
    d_h, _ = model.fc.backward(head_tape, dy)
    return gradient_flow(model.rnn, batch.x.swapaxes(0, 1), d_h)


def text_picture(flows, width=60):
    """The curves as text: for each model and state a line of marks, one a step, from 1 (full) down to 1e-8 (empty)."""
    marks = "█▇▆▅▄▃▂▁ "
    lines = [f"each mark: ‖∂L/∂h‖ relative to the last step's, from {marks[0]} = 1 or more to blank = 1e-8 or less; right: further back"]
    for panel, curves in flows.items():
        lines.append(f"\n{panel}")
        for name, norms in curves.items():
            picked = norms[np.linspace(0, len(norms) - 1, min(width, len(norms))).astype(int)]
            level = np.clip(-np.log10(np.where(picked > 0, picked, 1e-300)), 0, 8)
            shown = "".join(marks[int(round(v))] for v in level)
            lines.append(f"  {name:18} {shown} {norms[-1]:.1e}")
    return "\n".join(lines)


def main(argv=None):
    """``npseq flow``; -> exit status."""
    p = options.Parser(prog="npseq flow", description="The gradient's norm against the distance from the loss.",
                       epilog="example: npseq flow --data adding --length 50 --epochs 2")
    p.add_argument("--models", default=DEFAULT, type=lambda text: [options.name(m) for m in options.names(text)], metavar="M,M",
                   help=f"of {', '.join(MODELS)}; default: {','.join(DEFAULT)}")
    p.add_argument("--epochs", default=3, type=options.positive_int, metavar="N", help="of training; default: 3")
    p.add_argument("--hidden-size", default=32, type=options.positive_int, metavar="N", help="default: 32")
    p.add_argument("--lr", default=0.001, type=options.positive, metavar="RATE", help="default: 0.001")
    p.add_argument("--gain", default=4.0, type=options.positive, metavar="G", help="of the third panel, whose recurrent weights "
                   "are so many times as large; default: 4")
    jobs.add_data_options(p)
    jobs.add_training_options(p)
    p.add_argument("--output", metavar="FILE.csv", help="write the numbers there")
    p.add_argument("--plot", metavar="FILE.png", help="draw the picture there (.png or .svg)")
    p.set_defaults(data="adding", forget_bias=1.0)
    args = p.parse_args(argv)
    args.num_layers, args.bidirectional, args.dropout, args.recurrent_dropout = 1, False, 0.0, 0.0
    unknown = [name for name in args.models if name not in MODELS]
    flows, saturation = {"untrained": {}, "trained": {}, f"untrained, recurrent weights × {args.gain:g}": {}}, {}
    try:
        if unknown:
            raise ValueError(f"argument --models: {unknown[0]!r} given, names of {', '.join(MODELS)} expected")
        if args.plot:
            plots.check(args.plot)
        task = jobs.make_task(args)
        with threads.limited(args.threads or 1):
            for name in args.models:
                args.model = name
                args.forget_bias = 1.0 if "lstm" in name else None
                model = jobs.make_model(args, task, np.random.default_rng(args.seed))
                _record(flows["untrained"], saturation, name, "untrained", measure(model, task))
                larger = jobs.make_model(args, task, np.random.default_rng(args.seed))
                larger.params["rnn.weight_hh_l0"][...] *= args.gain
                _record(list(flows.values())[2], {}, name, "", measure(larger, task))
                print(f"training {name}", file=sys.stderr, flush=True)
                fit(model, task, jobs.make_optimizer(args, model) or optim.Adam(model.theta, args.lr), epochs=args.epochs,
                    batch_size=args.batch_size, clip=args.clip, rng=np.random.default_rng(args.seed))
                _record(flows["trained"], saturation, name, "trained", measure(model, task))
        if args.output:
            _write(args.output, flows)
        if args.plot:
            plots.flow(args.plot, flows, f"Gradient flow: {task.name}")
    except (OSError, ValueError, DataError, Diverged) as error:
        p.error(str(error))
    print(text_picture(flows))
    print("\nshare of saturated gate values (below 0.1 or above 0.9)")
    for (name, when), gates in saturation.items():
        if gates:
            print(f"  {name:18} {when:10} " + "  ".join(f"{gate} {share:4.0%}" for gate, share in gates.items()))
    return 0


def _record(curves, saturation, name, when, measured):
    norms, gates = measured
    scale = norms["h"][0] or 1.0
    for letter, values in norms.items():
        values[values == 0] = np.nan  # c is reached from the step before the last on
        curves[name if letter == "h" else f"{name} {letter}"] = values / scale
    saturation[name, when] = gates


def _write(path, flows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["panel", "curve", "steps_before_the_loss", "relative_norm"])
        for panel, curves in flows.items():
            for name, norms in curves.items():
                writer.writerows([panel, name, k, repr(float(v))] for k, v in enumerate(norms))


if __name__ == "__main__":
    sys.exit(main())
