"""``npseq gradcheck``: every layer and loss of npseq checked."""

import itertools

import numpy as np

from .. import status
from ..gradcheck import planted_bugs
from ..gradcheck.checks import THRESHOLD, check, check_initialisation, check_layer
from ..nn import losses
from ..nn.registry import MODELS
from . import arguments

LENGTHS = [5, 0, 3, 1]  # the "mixed" ones: unsorted, with T = 5, 1 and 0
VARIANTS = {"rnn": [{}, {"nonlinearity": "relu"}], "lstm": [{}, {"proj_size": 2}], "gru": [{}]}


def _parser():
    parser = arguments.Parser(
        prog="npseq gradcheck",
        description="Check the hand-written gradients of npseq's layers and losses to 1e-13.",
        epilog="example: npseq gradcheck --model gru --break z-swapped",
    )
    parser.add_argument(
        "--model",
        type=arguments.name,
        nargs="+",
        choices=list(MODELS),
        metavar="NAME",
        help=f"any of {', '.join(MODELS)} (default: all six, and the losses)",
    )
    parser.add_argument(
        "--layers", type=arguments.positive_int, nargs="+", metavar="L", help="numbers of layers (default: 1 2)"
    )
    parser.add_argument("--directions", type=int, nargs="+", choices=[1, 2], help="1, 2 or both (default: 1 2)")
    parser.add_argument(
        "--lengths",
        nargs="+",
        choices=["equal", "mixed"],
        help=f"all sequences as long as the batch, or {LENGTHS} (default: both)",
    )
    parser.add_argument(
        "--method",
        choices=list(THRESHOLD),
        default="complex",
        help="complex step, or the textbook's central differences (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=arguments.natural, default=0, help="of weights, data and masks (default: %(default)s)"
    )
    parser.add_argument(
        "--break",
        dest="bug",
        type=lambda text: text.replace("_", "-"),
        choices=list(planted_bugs.BUGS),
        metavar="BUG",
        help="plant a bug, in configurations in which it acts, and see it caught",
    )
    parser.add_argument("--list-bugs", action="store_true", help="the bugs that --break takes, one a line")
    return parser


def _cases(arguments):
    """The configurations to check, as (description, Case)."""
    defaults = ([1, 2], [1, 2], ["equal", "mixed"])
    if arguments.bug:  # one configuration of each model is enough to see it
        defaults = ([2], [2], ["mixed"])
    given = (arguments.layers, arguments.directions, arguments.lengths)
    grid = [values or default for values, default in zip(given, defaults)]
    for name in arguments.model or MODELS:
        for L, D, ends, variant in itertools.product(*grid, VARIANTS[name.split("_")[-1]]):
            extra = dict(variant, dropout=0.3) if L > 1 else variant
            layer = MODELS[name](2, 3, num_layers=L, bidirectional=D == 2, rng=arguments.seed, **extra)
            text = f"{name} layers={L} directions={D} lengths={ends}" + "".join(f" {k}={v}" for k, v in extra.items())
            lengths = LENGTHS if ends == "mixed" else None
            yield text, planted_bugs.Case(layer, max(LENGTHS), len(LENGTHS), lengths, training=L > 1)


def _check_case(case, arguments):
    layer = planted_bugs.plant(arguments.bug, case.layer) if arguments.bug else case.layer
    result = check_layer(
        layer,
        T=case.T,
        B=case.B,
        lengths=case.lengths,
        training=case.training,
        method=arguments.method,
        rng=arguments.seed,
    )
    result.faults += check_initialisation(layer)
    return result


def _check_loss(loss, arguments):
    rng = np.random.default_rng(arguments.seed)
    y = rng.standard_normal((4, 3))
    target = rng.integers(3, size=4) if loss is losses.cross_entropy else rng.standard_normal((4, 3))
    return check(lambda y: loss(y, target)[0], lambda y: {"y": loss(y, target)[1]}, {"y": y}, method=arguments.method)


def main(argv=None):
    """Run the command; -> 0 if every gradient is right, 1 if one is wrong. Wrong usage: SystemExit with status 2."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.list_bugs:
        width = max(map(len, planted_bugs.BUGS))
        for bug in planted_bugs.BUGS.values():
            print(f"{bug.name:{width}}  {bug.what}")
        return status.OK
    acts = planted_bugs.BUGS[arguments.bug].acts if arguments.bug else lambda case: True
    checks = [(text, _check_case, case) for text, case in _cases(arguments) if acts(case)]
    if not checks:
        parser.error(
            f"{arguments.bug} acts in none of these configurations; "
            "leave out --model, --layers, --directions and --lengths"
        )
    if not arguments.bug and not arguments.model:
        checks += [(f"loss {name}", _check_loss, loss) for name, loss in losses.LOSSES.items()]
    width = max(len(text) for text, _, _ in checks)
    results = []
    for text, run, subject in checks:
        result = run(subject, arguments)
        results.append(result)
        print(
            f"{text:{width}}  {'ok   ' if result.ok else 'WRONG'}  {result.worst.error:.1e} in {result.worst.name}",
            flush=True,
        )
        for line in result.faults + result.diagnosis:
            print(f"    {line}")
    worst = max((result.worst for result in results), key=lambda found: found.error)
    wrong = sum(not result.ok for result in results)
    print(
        f"{len(results)} configurations, {wrong} wrong; worst error {worst.error:.1e} in {worst.name}, "
        f"{THRESHOLD[arguments.method]:.0e} allowed"
    )
    return status.UNEXPECTED if wrong else status.OK
