"""``npseq flow``: how the gradient fares on its way back, ‖∂L/∂h_t‖ against the distance of step t from the loss.

In a plain RNN it goes through the same matrix and a tanh at every step, so with the distance it vanishes or, with
larger weights, explodes (Bengio et al., IEEE Trans. Neural Networks 5, 1994; Pascanu et al. 2013, arXiv
1211.5063v2). The LSTM's cell state is carried by the forget gate alone, and so is its gradient.
"""

import csv
import os
import sys
from typing import NamedTuple

import numpy as np

from .. import bptt, optim
from ..cli import arguments, experiment, plots
from ..fused import batch_parallel
from ..nn import losses
from ..nn.model import Model
from ..training.fit import Diverged, fit

DEFAULT = ["rnn", "lstm", "gru"]  # an optimized twin has the same gradients
LOGISTIC = "ifozr"  # letters of the gates that are between 0 and 1
SHUT, OPEN = 0.1, 0.9  # a gate is saturated below and above these (Karpathy et al. 2015, arXiv 1506.02078v2)
EXAMPLES = 64  # over which everything is averaged
MARKS = "█▇▆▅▄▃▂▁ "  # of the text picture, a factor of ten each


class Flow(NamedTuple):
    """norms: letter of the state -> (T + 1,) ‖∂L/∂state‖ at 0 … T steps before the loss; gates: letter -> (T, 2) the
    shares of its values below ``SHUT`` and above ``OPEN``, at 0 … T − 1 steps before the loss."""

    norms: dict
    gates: dict


def gradient_flow(layer, x, d_h):
    """The ``Flow`` of a loss that reads the final h of a layer of one level and one direction.

    Norms are over the units, averaged over the sequences.

    Args:
        layer: a ``Recurrent``. x: (T, B, I). d_h: (B, H), the gradient of the loss with respect to the final h.
    """
    cell, weights, (T, B, _) = layer.cell, layer.weights(), x.shape
    state = tuple(np.zeros((size, B), layer.dtype) for size in layer.state_sizes())
    tapes, values = [], []
    for t in range(T):  # a tape for each step, so that the gradient can be read between the steps
        _, state, tape = bptt.forward_through_time(cell, weights, x[t:t + 1].transpose(0, 2, 1), state)
        cache, _ = tape.segments[0].caches[0]
        tapes.append(tape)
        values.append(np.stack(cache[:len(cell.gates)]))  # a cache starts with the gates' values
    d_state = (np.ascontiguousarray(d_h.T), *(np.zeros_like(part) for part in state[1:]))
    norms = [[_norm(d) for d in d_state]]
    for tape in reversed(tapes):
        _, _, d_state = bptt.backward_through_time(cell, weights, tape, None, d_state, need_dx=False)
        norms.append([_norm(d) for d in d_state])
    values = np.stack(values[::-1])  # (T, G, H, B)
    saturated = np.stack([(values < SHUT).mean((2, 3)), (values > OPEN).mean((2, 3))], axis=-1)
    return Flow(dict(zip(cell.state, np.array(norms).T)),
                {gate: saturated[:, k] for k, gate in enumerate(cell.gates) if gate in LOGISTIC})


def _norm(d):
    return np.sqrt((d * d).sum(axis=0)).mean()


def measure(model, task):
    """The ``Flow`` of a model's own loss on training examples, of a classifier's the longest ones, in float64."""
    model, rows = model.astype(np.float64), task.parts["train"][:EXAMPLES]
    x, target, lengths = task.batch(rows, np.float64)
    if lengths is not None:  # so that every distance is one of real steps
        x, target = x[lengths == lengths.max()], target[lengths == lengths.max()]
    y, (_, head_tape) = model.forward(x)
    _, dy = losses.LOSSES[model.loss](y, target)
    d_h, _ = model.fc.backward(head_tape, dy)
    return gradient_flow(model.rnn, x.swapaxes(0, 1), d_h)


def parser():
    p = arguments.Parser(prog="npseq flow", description="The gradient's norm against the distance from the loss.",
                       epilog="example: npseq flow --length 30 --epochs 1 --output flow.csv")
    p.add_argument("--models", default=DEFAULT, type=experiment.models, metavar="M,M", help=f"default: {','.join(DEFAULT)}")
    p.add_argument("--epochs", default=5, type=arguments.positive_int, metavar="N", help="of training; default: 5")
    p.add_argument("--hidden-size", default=32, type=arguments.positive_int, metavar="N", help="default: 32")
    p.add_argument("--lr", default=0.001, type=arguments.positive, metavar="RATE", help="learning rate; default: 0.001")
    p.add_argument("--forget-bias", default=1.0, type=arguments.finite, metavar="B",
                   help="of the LSTM's forget gate, at the start; default: 1")
    p.add_argument("--gain", default=4.0, type=arguments.positive, metavar="G",
                   help="also show recurrent weights that are so many times as large; default: 4")
    p.add_argument("--seed", default=0, type=arguments.natural, metavar="N", help="default: 0")
    experiment.add_data_options(p, default=experiment.ADDING)
    p.add_argument("--output", metavar="FILE.csv", help="write the numbers there")
    p.add_argument("--plot", metavar="FILE.png", help="draw the picture there (.png or .svg)")
    return p


def main(argv=None):
    """``npseq flow``; -> exit status."""
    p = parser()
    args = p.parse_args(argv)
    try:
        if args.plot:
            plots.check(args.plot)
        for file in (args.output, args.plot):
            if file:
                arguments.check_file(file)
        task = experiment.make_task(args)
        larger = f"untrained, recurrent weights × {args.gain:g}"
        flows = {"untrained": {}, "trained": {}, larger: {}}
        with batch_parallel.limited(1):
            for name in args.models:
                more = {"forget_bias": args.forget_bias} if "lstm" in name else {}
                model = Model("optimized_" + name.removeprefix("optimized_"), task.input_size, args.hidden_size,
                              task.output_size, loss=task.loss, rng=args.seed, **more)
                flows["untrained"][name] = measure(model, task)
                model.params["rnn.weight_hh_l0"] *= args.gain
                flows[larger][name] = measure(model, task)
                model.params["rnn.weight_hh_l0"] /= args.gain
                train(model, task, args, name)
                flows["trained"][name] = measure(model, task)
    except Diverged as error:
        print(f"{p.prog}: {name}: {error}: try a smaller --lr (now {args.lr:g})", file=sys.stderr)
        return arguments.DIVERGED
    except (OSError, ValueError) as error:
        p.error(str(error))
    except KeyboardInterrupt:
        print(f"{p.prog}: interrupted", file=sys.stderr)
        return arguments.INTERRUPTED
    print("\n".join([*text_picture(flows), "", *saturation_table(flows)]))
    if args.output:
        write(args.output, flows)
    if args.plot:
        plots.flow(args.plot, flows, f"{task.name}: gradient by distance from the loss")
    return arguments.OK


def train(model, task, args, name):
    """Adam, clipping at 1 as in ``npseq train``, and batches of 32."""
    steps = args.epochs * -(-len(task.parts["train"]) // 32)
    bar = iter(arguments.progress(range(steps), f"training {name}"))
    done = fit(model, task, optim.Adam(model.theta, lr=args.lr), epochs=args.epochs, rng=args.seed,
               on_step=lambda *_: next(bar, None))
    if done.interrupted:
        raise KeyboardInterrupt


def text_picture(flows, width=60):
    """Lines: for each panel, model and state a row of marks, the distance growing to the right."""
    lines = [f"‖∂L/∂h‖ by the distance from the loss, relative to the last step: {MARKS[0]} is 1, each lower mark a",
             "tenth, blank below 1e-8, ▲ above 10; the number is that of the first step"]
    for panel, models in flows.items():
        lines += ["", panel]
        for name, flow in models.items():
            for letter, norms in flow.norms.items():
                relative = norms / (flow.norms["h"][0] or 1.0)
                shown = relative[np.linspace(0, len(norms) - 1, min(width, len(norms))).astype(int)]
                tenths = np.clip(-np.log10(np.maximum(shown, 1e-9)), 0, len(MARKS) - 1).round().astype(int)
                marks = "".join("▲" if value > 10 else MARKS[k] for value, k in zip(shown, tenths))
                lines.append(f"  {name + ' ∂' + letter:18} {marks} {relative[-1]:.1e}")
    return lines


def saturation_table(flows):
    """Lines: for each panel, model and gate the shares of its values near 0 and near 1."""
    lines = [f"saturated gates: share of the values below {SHUT} and above {OPEN}"]
    for panel, models in flows.items():
        for name, flow in models.items():
            shares = ["{} {:4.0%} {:4.0%}".format(gate, *share.mean(axis=0)) for gate, share in flow.gates.items()]
            if shares:
                lines.append("   ".join([f"  {name:15}", *shares, panel]))
    return lines


def write(path, flows):
    """A line for each number: norms as they are, not relative ones."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["panel", "model", "quantity", "steps_before_the_loss", "value"])
        for panel, models in flows.items():
            for name, flow in models.items():
                columns = {f"norm of d{letter}": norms for letter, norms in flow.norms.items()}
                for gate, shares in flow.gates.items():
                    columns[f"{gate} below {SHUT}"], columns[f"{gate} above {OPEN}"] = shares.T
                for quantity, values in columns.items():
                    writer.writerows([panel, name, quantity, k, float(value)] for k, value in enumerate(values))


if __name__ == "__main__":
    sys.exit(main())
