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
    arguments.add(p, "--data NAME|FILE", "default: the shipped data that the model was trained on")
    about = (
        "of the data; default: test, the rows that the model was not trained or validated on, known by their "
        "content; all scores those too"
    )
    arguments.add(p, "--part", about, choices=["test", "all"])
    about = f"rows to forecast by feeding forecasts back; default: {recursive.STEPS}, or as many as the data allow"
    arguments.add(p, "--steps K", about, arguments.positive_int)
    arguments.add_jobs(p)
    arguments.add_json(p)
    arguments.add(p, "--scores FILE.csv", "many series: write the scores of each one there")
    arguments.add(p, "--plot FILE.png", "draw there the error by step, many series, or the confusion matrix")
    about = "nominal coverage of the prediction interval, or of several; default: 0.9"
    arguments.add(p, "--interval P[,P]", about, arguments.several(arguments.share), [0.9])
    about = "also the share of the values below these quantiles, such as 0.05,0.5,0.95"
    arguments.add(p, "--quantiles P,P", about, arguments.several(arguments.share))
    trained_files.add_column_options(p)
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status."""
    p = parser()
    args = p.parse_args(argv)
    with p.refusing():
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
    print("\n".join(map(arguments.told, lines)))
    return status.OK
