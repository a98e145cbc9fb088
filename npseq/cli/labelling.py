"""``--label-each-row``: a class for each row of a sequence, in ``npseq train``, ``evaluate`` and ``predict``."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from .. import data, tasks
from ..nn.losses import probabilities
from ..nn.model import Model
from ..tasks.metadata import Metadata
from ..tasks.scoring import outputs
from . import data_options, output, progress
from .tables import comparison, confusion_table


def make_task(args: argparse.Namespace) -> tasks.SequenceTask:
    """Return the task that the options describe.

    Raises:
        DataError: if a column is not named, or for data that do not fit.
    """
    if not args.sequence or not args.label or args.regress:
        raise data.DataError(
            "--label-each-row needs --sequence COLUMN (which rows belong together) and --label COLUMN (the class of "
            "each row), and no --regress"
        )
    return tasks.SequenceTask(_load(args, args.label, args.inputs), target="row", seed=args.seed)


def _load(args: argparse.Namespace, label: str | None, inputs: Any, unused: Any = ()) -> data.Sequences:
    options = data_options.table_options(args)
    found, _ = data.load_sequences(
        args.data, args.sequence, label, inputs, args.time, options, unused=unused, each_row=label is not None
    )
    return found


def evaluate(args: argparse.Namespace, model: Model, trained: Metadata, part: str) -> list[str]:
    """Return the lines of the accuracy over rows, beside the most frequent class's, and the confusion matrix.

    ``part`` is in words.
    """
    sequences = _load(args, args.label, trained.recipe.inputs)
    rows = np.arange(len(sequences.names))
    if args.part == "test":
        rows = tasks.SequenceTask(sequences, target="row", seed=trained.seed).parts["test"]
    task = tasks.SequenceDataset.from_recipe(trained.recipe, sequences)
    results = task.metrics(outputs(model, task, rows), rows)
    labels = task.labels[task.rows_of(rows)]
    labels = labels[labels >= 0]
    most = {"accuracy": float(np.bincount(labels).max() / max(len(labels), 1))} if len(labels) else {"accuracy": 0.0}
    return [
        f"{len(labels):,} rows with a label in {len(rows):,} sequences, {part}",
        "",
        comparison(model.kind, results, {"one answer for all": most}, part),
        confusion_table(results, task.classes),
    ]


def write(args: argparse.Namespace, model: Model, trained: Metadata) -> list[str]:
    """Write a line for each row of each sequence: its class and the probability of each. No labels are needed.

    Returns:
        lines to print.
    """
    unused = [] if args.label in (None, "none") else [args.label]
    sequences = _load(args, None, trained.recipe.inputs, unused)
    task = tasks.SequenceDataset.from_recipe(trained.recipe, sequences)
    p = probabilities(outputs(model, task, np.arange(len(sequences.names)), progress=progress.bar("labelling")))
    with output.csv_writer(args.output) as writer:
        writer.writerow(["sequence", "row", "answer", *(f"p_{name}" for name in task.classes)])
        for name, start, end in zip(sequences.names, sequences.starts, sequences.starts[1:]):
            for row in range(start, end):
                answer = task.classes[p[row].argmax()]
                writer.writerow([name, row - start + 1, answer, *(f"{value:.4f}" for value in p[row])])
    return [
        *(f"{sequences.name}: {note}" for note in sequences.notes),
        f"{len(p):,} rows of {len(sequences.names):,} sequences labelled in {args.output}",
    ]
