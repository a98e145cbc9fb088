"""The adding problem in ``npseq train`` and ``evaluate``."""

from __future__ import annotations

import argparse

from .. import data, tasks
from ..tasks.scoring import outputs
from . import trained_files
from .tables import comparison


def read(args: argparse.Namespace) -> None:
    """Return None: the sequences are generated.

    Raises:
        DataError: for a length below 2.
    """
    if args.length < 2:
        raise data.DataError(f"--length {args.length} given; at least 2 expected: one marked value in each half")


def make(args: argparse.Namespace, loaded: None) -> tasks.Adding:
    """Return the task."""
    return tasks.Adding(args.length, seed=args.seed)


def evaluate(args: argparse.Namespace, members: trained_files.Members) -> list[str]:
    """Return the lines of the mean squared error beside chance, on the test part that the training's seed generates."""
    model, trained = trained_files.only(args, members, "steps", "json", "plot")
    if args.data != tasks.Adding.name:
        raise data.DataError(f"{args.file} was trained on the adding problem: leave out --data")
    task = tasks.Adding.from_recipe(trained.recipe)
    rows = task.parts["test"]
    results = task.metrics(outputs(model, task, rows), rows)
    return [f"{len(rows):,} sequences, the test part", "", comparison(model.kind, results, task.baselines())]
