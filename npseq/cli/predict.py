"""``npseq predict``: write a trained model's predictions for new data.

The weights file alone carries what is needed: the names of the columns, window, scaler, calendar, classes, and the
quantiles of the validation residuals, from which intervals are made.
"""

from __future__ import annotations

from collections.abc import Sequence

from .. import status
from ..fused import blas
from . import arguments, kinds, plots, trained_files


def parser() -> arguments.Parser:
    """Return the parser of the command."""
    p = arguments.Parser(
        prog="npseq predict",
        description="Write a trained model's predictions for new data.",
        epilog="example: npseq predict rnn_lstm_best.pth --data metro_traffic --output forecast.csv --steps 24",
    )
    trained_files.add_options(p)
    arguments.add(p, "--data NAME|FILE", "with the columns that the model was trained on", required=True)
    arguments.add(p, "--output FILE.csv", "to write the predictions to", required=True)
    about = (
        "forecast only the N rows after the last value; default: the rows at the end whose target is empty, or, "
        "if there are none, every row and the first one after the end"
    )
    arguments.add(p, "--steps N", about, arguments.positive_int)
    about = "also write prediction intervals with coverage P, such as 0.9 or 0.8,0.95"
    arguments.add(p, "--interval P[,P]", about, arguments.several(arguments.share))
    about = (
        "also write quantiles, such as 0.05,0.5,0.95: those are the bounds of the interval with coverage 0.9, and "
        "the forecast"
    )
    arguments.add(p, "--quantiles P,P", about, arguments.several(arguments.share))
    arguments.add_jobs(p)
    arguments.add(p, "--whole", "write whole numbers, for counts")
    arguments.add(p, "--plot FILE.png", "draw the forecast there (.png or .svg)")
    trained_files.add_column_options(p)
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status."""
    p = parser()
    args = p.parse_args(argv)
    with p.refusing():
        args, members = trained_files.load(args)
        plots.check_files(args.output, plot=args.plot)
        with blas.limited(1):
            lines = kinds.of(members).write(args, members)
    print("\n".join(map(arguments.told, lines)))
    return status.OK
