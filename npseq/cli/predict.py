"""``npseq predict``: write a trained model's predictions for new data.

The weights file alone carries what is needed: the names of the columns, window, scaler, calendar, classes, and the
quantiles of the validation residuals, from which intervals are made.
"""

from __future__ import annotations

from collections.abc import Sequence

from .. import status
from ..fused import blas
from . import arguments, kinds, output, plots, trained_files


def parser() -> arguments.Parser:
    """Return the parser of the command."""
    p = arguments.Parser(
        prog="npseq predict",
        description="Write a trained model's predictions for new data.",
        epilog="example: npseq predict rnn_lstm_best.pth --data metro_traffic --output forecast.csv --steps 24",
    )
    trained_files.add_options(p)
    p.add_argument("--data", required=True, metavar="NAME|FILE", help="with the columns that the model was trained on")
    p.add_argument("--output", required=True, metavar="FILE.csv", help="to write the predictions to")
    p.add_argument(
        "--steps",
        type=arguments.positive_int,
        metavar="N",
        help="forecast only the N rows after the last value; default: the rows at the end whose target is empty, or, "
        "if there are none, every row and the first one after the end",
    )
    p.add_argument(
        "--interval",
        type=arguments.several(arguments.share),
        metavar="P[,P]",
        help="also write prediction intervals with coverage P, such as 0.9 or 0.8,0.95",
    )
    p.add_argument(
        "--quantiles",
        type=arguments.several(arguments.share),
        metavar="P,P",
        help="also write quantiles, such as 0.05,0.5,0.95: those are the bounds of the interval with coverage 0.9, and "
        "the forecast",
    )
    arguments.add_jobs(p)
    p.add_argument("--whole", action="store_true", help="write whole numbers, for counts")
    p.add_argument("--plot", metavar="FILE.png", help="draw the forecast there (.png or .svg)")
    trained_files.add_column_options(p)
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status."""
    p = parser()
    args = p.parse_args(argv)
    try:
        args, members = trained_files.load(args)
        if args.plot:
            plots.check(args.plot)
        for file in (args.output, args.plot):
            if file:
                output.check_file(file)
        with blas.limited(1):
            lines = kinds.of(members).write(args, members)
    except (OSError, ValueError) as error:
        p.error(error)
    print("\n".join(map(arguments.told, lines)))
    return status.OK
