"""``npseq evaluate``: evaluate a trained model on the test part of its data, or on new data."""

from __future__ import annotations

from collections.abc import Sequence

from .. import data, status, tasks
from ..forecast import recursive
from ..fused import blas
from . import arguments, kinds, plots, trained_files


def parser() -> arguments.Parser:
    """Return the parser of the command."""
    p = arguments.Parser(
        prog="npseq evaluate",
        description="Evaluate a trained model on the test part of its data, or on new data.",
        epilog="example: npseq evaluate rnn_lstm_best.pth",
    )
    trained_files.add_options(p)
    p.add_argument("--data", metavar="NAME|FILE", help="default: the shipped data that the model was trained on")
    p.add_argument(
        "--part",
        choices=["test", "all"],
        help="of the data; default: test, the rows that the model was not trained or validated on, known by their "
        "content; all scores those too",
    )
    about = f"rows to forecast by feeding forecasts back; default: {recursive.STEPS}, or as many as the data allow"
    arguments.add_number(p, "--steps", arguments.positive_int, about, metavar="K")
    arguments.add_jobs(p)
    arguments.add_json(p)
    p.add_argument("--scores", metavar="FILE.csv", help="many series: write the scores of each one there")
    p.add_argument(
        "--plot", metavar="FILE.png", help="draw the error by step there, or a grid of many series (.png or .svg)"
    )
    about = "nominal coverage of the prediction interval, or of several; default: 0.9"
    p.add_argument("--interval", type=arguments.several(arguments.share), default=[0.9], metavar="P[,P]", help=about)
    about = "also the share of the values below these quantiles, such as 0.05,0.5,0.95"
    p.add_argument("--quantiles", type=arguments.several(arguments.share), metavar="P,P", help=about)
    trained_files.add_column_options(p)
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status."""
    p = parser()
    args = p.parse_args(argv)
    try:
        args, members = trained_files.load(args)
        trained_on = members[0][1].recipe.data
        if args.data is None and trained_on not in (*data.sources.NAMES, tasks.Adding.name):
            raise data.DataError(
                f"{args.file} was trained on {trained_on}: give its location, or other data, with --data"
            )
        args = arguments.changed(args, data=args.data or trained_on)
        p.check_files(args)
        plots.check_files(args.scores, plot=args.plot)
        with blas.limited(1):
            lines = kinds.of(members).evaluate(args, members)
    except (OSError, ValueError) as error:
        p.error(error)
    print("\n".join(map(arguments.told, lines)))
    return status.OK
