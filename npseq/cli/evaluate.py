"""``npseq evaluate``: evaluate a trained model on the test part of its data, or on new data."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import data, status, tasks
from ..forecast import recursive
from ..formats import paths
from ..fused import blas
from ..nn.model import Model
from ..tasks import text_samples
from ..tasks.metadata import Metadata
from ..tasks.scoring import outputs
from . import arguments, data_options, labelling, output, plots, progress, trained_files
from .evaluate_forecast import evaluate_forecast
from .tables import comparison, confusion_table, part_name


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
    p.add_argument(
        "--steps",
        type=arguments.positive_int,
        metavar="K",
        help=f"rows to forecast by feeding forecasts back; default: {recursive.STEPS}, or as many as the data allow",
    )
    arguments.add_json(p)
    p.add_argument("--plot", metavar="FILE.png", help="draw the error by step there (.png or .svg)")
    p.add_argument(
        "--interval",
        default=0.9,
        type=arguments.share,
        metavar="P",
        help="nominal coverage of the prediction interval; default: 0.9",
    )
    trained_files.add_column_options(p)
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status."""
    p = parser()
    args = p.parse_args(argv)
    try:
        members = trained_files.load(args)
        model, trained = members[0]
        recipe = trained.recipe
        known = (*data.sources.NAMES, tasks.Adding.name)
        if args.data is None and recipe.data not in known:
            raise data.DataError(
                f"{args.file} was trained on {recipe.data}: give its location, or other data, with --data"
            )
        args.data = args.data or recipe.data
        p.check_files(args)
        if recipe.task != "forecast" and (len(members) > 1 or args.steps or args.json or args.plot):
            raise data.DataError(f"{args.file} is no forecaster: several files, --steps, --json and --plot need one")
        if args.plot:
            plots.check(args.plot)
            output.check_file(args.plot)
        with blas.limited(1):
            if recipe.task == "forecast":
                lines = evaluate_forecast(args, members)
            else:
                if args.part is None and recipe.task != "text":
                    args.part = "test" if paths.name_of(args.data) == recipe.data else "all"
                lines = EVALUATE[recipe.task](args, model, trained)
    except (OSError, ValueError) as error:
        p.error(str(error))
    print("\n".join(lines))
    return status.OK


def evaluate_sequences(args: argparse.Namespace, model: Model, trained: Metadata) -> list[str]:
    """Return the lines of the metrics beside those of one answer for all, and the confusion matrix of classes."""
    recipe = trained.recipe
    names = data_options.sequence_columns({"sequence": args.sequence, "label": args.label}, args.data, recipe.data)
    regress, options = recipe.task == "regress", data_options.table_options(args)
    train, test = data.load_sequences(
        args.data, inputs=recipe.inputs, time=args.time, options=options, regress=regress, **names
    )
    if args.part == "test":
        drawn = tasks.SequenceTask(train, test, "number" if regress else "class", trained.seed)
        sequences, rows = drawn.sequences, drawn.parts["test"]
    else:
        sequences = train if test is None else train.followed_by(test)
        rows = np.arange(len(sequences.names))
    task = tasks.SequenceDataset.from_recipe(recipe, sequences)
    predicting = "predicting" if regress else "classifying"
    results = task.metrics(outputs(model, task, rows, progress=progress.bar(predicting)), rows)
    part = part_name(args.part, sequences.name)
    lines = [f"{len(rows):,} sequences, {part}", ""]
    if regress:
        mean = np.full((len(rows), 1), recipe.target_scaler.mean)
        return [*lines, comparison(model.kind, results, {"mean of the training": task.metrics(mean, rows)}, part)]
    most = {"accuracy": float(np.bincount(task.labels[rows]).max() / len(rows))}
    table = comparison(model.kind, results, {"one answer for all": most}, part)
    return [*lines, table, confusion_table(results, task.classes)]


def evaluate_adding(args: argparse.Namespace, model: Model, trained: Metadata) -> list[str]:
    """Return the lines of the mean squared error beside chance, on the test part that the training's seed generates."""
    if args.data != tasks.Adding.name:
        raise data.DataError(f"{args.file} was trained on the adding problem: leave out --data")
    task = tasks.Adding.from_recipe(trained.recipe)
    rows = task.parts["test"]
    results = task.metrics(outputs(model, task, rows), rows)
    return [f"{len(rows):,} sequences, the test part", "", comparison(model.kind, results, task.baselines())]


def evaluate_text(args: argparse.Namespace, model: Model, trained: Metadata) -> list[str]:
    """Return the lines of the nats and bits a symbol, on the test part beside the n-grams of the training part, or on
    all of another text, known by its content, beside the uniform distribution."""
    vocabulary = text_samples.vocabulary_of(model)
    recipe: Any = trained.recipe
    corpus = data.load_corpus(args.data, vocabulary.tokens, args.max_memory)
    task = tasks.Text.from_recipe(recipe, corpus)
    if args.part is None:
        args.part = "test" if recipe.is_of(corpus) else "all"
    if args.part == "test":
        rows, others = task.parts["test"], task.baselines()
    else:
        rows, others = range(len(task.symbols) - 1), task.uniform()
    unknown = int((task.symbols[rows[0] + 1 : rows[-1] + 2] == vocabulary.unknown).sum())
    results = task.metrics(outputs(model, task, rows), rows)
    part = f"the {task.scored} part" if args.part == "test" else part_name(args.part, task.name)
    lines = [f"{len(rows):,} {vocabulary.tokens}, {part}"]
    if args.part == "all" and corpus.name == recipe.data and not recipe.is_of(corpus):
        lines.append("the text is no longer the one that the model was trained on")
    if unknown:
        lines.append(f"{unknown:,} of them unknown to the model, predicted as one symbol")
    return [*lines, "", comparison(model.kind, results, others, part)]


def evaluate_labels(args: argparse.Namespace, model: Model, trained: Metadata) -> list[str]:
    """Return the lines of a model with a class for each row (``labelling.evaluate``)."""
    return labelling.evaluate(args, model, trained, part_name(args.part, paths.name_of(args.data)))


EVALUATE = {
    "classify": evaluate_sequences,
    "regress": evaluate_sequences,
    "adding": evaluate_adding,
    "text": evaluate_text,
    "label": evaluate_labels,
}
