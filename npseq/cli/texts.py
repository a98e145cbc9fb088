"""A text in ``npseq train`` and ``evaluate``."""

from __future__ import annotations

import argparse

from .. import data, tasks
from ..tasks import text_samples
from ..tasks.scoring import outputs
from . import arguments, data_options, text_options, trained_files
from .tables import comparison, part_name


def read(args: argparse.Namespace) -> data.Corpus:
    """Return the text.

    Raises:
        DataError: for options that a text does not have, or a file that is no text.
    """
    columns = "target", "time", "inputs", "sequence", "label", "label_each_row", "regress"
    others = {**dict.fromkeys([*columns, *data_options.SAID]), **text_options.OF_FORECASTS}
    for name, default in others.items():
        if getattr(args, name) not in (default, False):
            raise data.DataError(f"{arguments.option(name)} is for tables; leave it out with a text")
    if args.bidirectional:
        raise data.DataError("--bidirectional reads the symbols that a text's model shall predict: leave it out")
    return data.load_corpus(args.data, args.tokens, args.max_memory)


def make(args: argparse.Namespace, corpus: data.Corpus) -> tasks.Text:
    """Return the task of a text."""
    return tasks.Text(corpus, args.window, args.split or tasks.text.SPLIT, carries=not args.reset_state)


def evaluate(args: argparse.Namespace, members: trained_files.Members) -> list[str]:
    """Return the lines of the nats and bits a symbol, on the test part beside the n-grams of the training part, or on
    all of another text, known by its content, beside the uniform distribution."""
    model, trained = trained_files.only(args, members, "steps", "json", "plot")
    vocabulary, recipe = text_samples.vocabulary_of(model), trained.recipe
    corpus = data.load_corpus(args.data, vocabulary.tokens, args.max_memory)
    task = tasks.Text.from_recipe(recipe, corpus)
    asked = args.part or ("test" if recipe.is_of(corpus) else "all")
    if asked == "test":
        rows, others = task.parts["test"], task.baselines()
    else:
        rows, others = range(len(task.symbols) - 1), task.uniform()
    unknown = int((task.symbols[rows[0] + 1 : rows[-1] + 2] == vocabulary.unknown).sum())
    results = task.metrics(outputs(model, task, rows), rows)
    part = f"the {task.scored} part" if asked == "test" else part_name(asked, task.name)
    lines = [f"{len(rows):,} {vocabulary.tokens}, {part}"]
    if asked == "all" and corpus.name == recipe.data and not recipe.is_of(corpus):
        lines.append("the text is no longer the one that the model was trained on")
    if unknown:
        lines.append(f"{unknown:,} of them unknown to the model, predicted as one symbol")
    return [*lines, "", comparison(model.kind, results, others, part)]
