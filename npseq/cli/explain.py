"""``npseq explain``: every equation of a small network with numbers substituted."""

from .. import status
from ..explain.as_text import describe, render
from ..explain.equations import CELLS
from ..explain.worked_example import WorkedExample, disagreements, explain
from . import arguments

EXAMPLE = "example: npseq explain --model lstm --hidden-size 2 --steps 2 --only dW_h"
LARGEST = 16  # hidden units, and steps: of more, nobody reads every number


def _parser():
    parser = arguments.Parser(
        prog="npseq explain",
        epilog=EXAMPLE,
        description="One small network with every equation's numbers put in, forward and backward.",
    )
    parser.add_argument("--model", type=arguments.name, choices=list(CELLS), default="lstm", help="default: lstm")
    parser.add_argument("--hidden-size", type=arguments.positive_int, default=2, metavar="N", help="default: 2")
    parser.add_argument("--steps", type=arguments.positive_int, default=2, metavar="N", help="default: 2")
    parser.add_argument(
        "--seed", type=arguments.natural, default=0, metavar="N", help="of the numbers given; default: 0"
    )
    parser.add_argument("--only", metavar="NAME", help="follow one tensor, such as dW_h, dc or a_xi")
    return parser


def main(argv=None):
    """Run the command; -> 0, or 1 if an equation and its check disagree. Wrong usage: SystemExit with status 2."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    for name in "hidden_size", "steps":
        if getattr(arguments, name) > LARGEST:
            parser.error(
                f"--{name.replace('_', '-')} {getattr(arguments, name)} given, at most {LARGEST} expected: "
                "every "
                "number is printed"
            )
    network = WorkedExample(arguments.model, arguments.hidden_size, arguments.steps, arguments.seed)
    lines, steps, gradients = explain(network)
    text = "\n".join(render(lines, arguments.only))
    if not text:
        names = ", ".join(dict.fromkeys(line.group for line in lines))
        parser.error(
            f"--only {arguments.only}: no such name in the {arguments.model}; one of {names} expected, "
            "with or without a gate's letter"
        )
    if arguments.only is None:
        print("\n".join(describe(network)))
    print(text if arguments.only is None else text.lstrip("\n"))
    wrong = disagreements(network, lines, steps, gradients)
    print(
        "\n"
        + (
            "all of it agrees with the complex step and with bptt.py to 1e-13"
            if not wrong
            else f"WRONG: {len(wrong)} values differ, first {wrong[0]}"
        )
    )
    return status.UNEXPECTED if wrong else status.OK
