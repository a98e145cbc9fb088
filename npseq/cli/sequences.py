"""Sequences in ``npseq train``, ``evaluate`` and ``predict``: a class or a number for each, or a class for each row."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from .. import data, tasks
from ..data.numbers import NUMBER
from ..formats.messages import marked
from ..tasks.scoring import outputs
from ..tasks.seen import find_sequences
from ..tasks.sequences import IGNORED, TARGETS
from . import data_options, output, plots, progress, trained_files
from .tables import comparison, confusion_table, part_name

WORDS = {
    "class": ("classifying", "classified"),
    "number": ("predicting", "predicted"),
    "row": ("labelling", "labelled"),
}

Parts = tuple[data.Sequences, data.Sequences | None]


def read(args: argparse.Namespace) -> Parts:
    """Return the sequences that the options of ``npseq train`` name, and the published test part or None.

    Raises:
        DataError: if a column is not named, or for data that do not fit.
    """
    if args.label_each_row and (not args.sequence or not args.label or args.regress):
        raise data.DataError(
            "--label-each-row needs --sequence COLUMN (which rows belong together) and --label COLUMN (the class of "
            "each row), and no --regress"
        )
    if args.data not in data.SHIPPED_SEQUENCES and args.label is None and data.label_of(args.data) is None:
        raise data.DataError(
            "--sequence says which rows belong together; --label COLUMN, their class (or with --regress their number), "
            "is needed too"
        )
    return _load(args, args.inputs, target=target_of(args))


def make(args: argparse.Namespace, parts: Parts) -> tasks.SequenceTask:
    """Return the task of the sequences.

    Raises:
        DataError: for too few sequences or classes.
    """
    target = target_of(args)
    try:
        return tasks.SequenceTask(*parts, target=target, seed=args.seed, patch=args.patch)
    except data.DataError as error:
        if target == "class" and all(map(NUMBER.fullmatch, parts[0].classes)):
            hint = "if the label is a number to predict, and no class, say --regress"
            raise data.DataError(f"{marked(error)}; {hint}") from None
        raise


def target_of(args: argparse.Namespace) -> str:
    """Return what the options say is predicted (``SequenceDataset``)."""
    return "row" if args.label_each_row else "number" if args.regress else "class"


def _load(args: argparse.Namespace, inputs: Any, *sources: str, target: str | None = None) -> Parts:
    """Return the sequences of ``args.data`` with what is to be predicted; without a ``target`` with no labels."""
    columns, options = {"sequence": args.sequence}, data_options.table_options(args)
    if target is None:
        how = {"label": None, "unused": [] if args.label in (None, "none") else [args.label]}
    else:
        columns["label"] = args.label or data.label_of(args.data)
        how = {"regress": target == "number", "each_row": target == "row"}
    how |= data_options.sequence_columns(columns, args.data, *sources)
    return data.load_sequences(args.data, inputs=inputs, time=args.time, options=options, **how)


def evaluate(args: argparse.Namespace, members: trained_files.Members) -> list[str]:
    """Return the lines to print: the metrics beside those of one answer for all, and the confusion matrix."""
    target = TARGETS[members[0][1].recipe.task]
    model, trained = trained_files.only(args, members, "steps", "json", "quantiles", *["plot"] * (target == "number"))
    recipe = trained.recipe
    train, test = _load(args, recipe.inputs, recipe.data, target=target)
    sequences = train if test is None else train.followed_by(test)
    task = tasks.SequenceDataset.from_recipe(recipe, sequences)
    rows, asked, told = _new(trained, sequences) if args.part != "all" else (np.arange(len(sequences.names)), "all", [])
    results = task.metrics(outputs(model, task, rows, progress=progress.bar(WORDS[target][0])), rows)
    part = part_name(asked, sequences.name)
    if target == "number":
        mean = np.full((len(rows), 1), recipe.target_scaler.mean)
        others = {"mean of the training": task.metrics(mean, rows)}
        return [f"{len(rows):,} sequences, {part}", *told, "", comparison(model.kind, results, others, part)]
    labels = task.truth(rows)
    labels = labels[labels != IGNORED]
    others = {"one answer for all": {"accuracy": np.bincount(labels).max(initial=0) / max(len(labels), 1)}}
    what = f"{len(labels):,} rows with a label in {len(rows):,} sequences" if target == "row" else (
        f"{len(rows):,} sequences")  # fmt: skip
    table = comparison(model.kind, results, others, part)
    if args.plot:
        plots.confusion(args.plot, results["confusion"], task.classes, f"{sequences.name}: {model.kind}")
    return [f"{what}, {part}", *told, "", table, confusion_table(results, task.classes)]


def _new(trained: Any, sequences: data.Sequences) -> tuple[np.ndarray, str, list[str]]:
    """The sequences that the model was not trained or validated on, known by their content; how the part is called; a
    line that tells of the others."""
    if trained.seen is None:
        return np.arange(len(sequences.names)), "all", ["which sequences are new to the model cannot be known"]
    seen = find_sequences(trained.seen, sequences, trained.recipe.inputs)
    if seen.all():
        raise data.DataError(
            f"{sequences.name}: the model was trained or validated on every sequence: nothing to test on; --part all "
            "scores them"
        )
    told = f"{int(seen.sum()):,} sequences that the model was trained or validated on are left out"
    return np.flatnonzero(~seen), "test" if seen.any() else "all", [told] if seen.any() else []


def write(args: argparse.Namespace, members: trained_files.Members) -> list[str]:
    """Write a line for each sequence, or for each row: the class and the probability of each, or the number. No labels
    are needed.

    Returns:
        lines to print.
    """
    model, trained = trained_files.only(args, members, "steps", "interval", "quantiles", "plot", "whole")
    recipe, target = trained.recipe, TARGETS[trained.recipe.task]
    first, second = _load(args, recipe.inputs, recipe.data)
    sequences = first if second is None else second  # shipped: the test part
    task = tasks.SequenceDataset.from_recipe(recipe, sequences)
    doing, done = WORDS[target]
    y = outputs(model, task, np.arange(len(sequences.names)), progress=progress.bar(doing))
    count = f"{len(y):,} sequences"
    header, places = ["sequence"], [[name] for name in sequences.names]
    if target == "row":
        count = f"{len(y):,} rows of {len(places):,} sequences"
        header, lengths = ["sequence", "row"], np.diff(sequences.starts)
        places = [[name, row + 1] for name, length in zip(sequences.names, lengths) for row in range(length)]
    with output.csv_writer(args.output) as writer:
        columns, form = task.answers(y), ".10g" if target == "number" else ".4f"
        writer.writerow([*header, *columns])
        for place, cells in zip(places, zip(*columns.values())):
            writer.writerow([*place, *(cell if isinstance(cell, str) else f"{cell:{form}}" for cell in cells)])
    return [*(f"{sequences.name}: {marked(note)}" for note in sequences.notes), f"{count} {done} in {args.output}"]
