"""``npseq neurons``: a page that shows what the units of a text's model follow."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import data, status, tasks
from ..explain import neurons, neurons_page
from ..formats import atomic
from ..fused import blas
from ..tasks import text_samples
from ..tasks.metadata import load_trained
from . import arguments, data_options, output, own_cell

NEWLINE = 10  # the symbol, of characters and of bytes


def parser() -> arguments.Parser:
    """Return the parser of the command."""
    p = arguments.Parser(
        prog="npseq neurons",
        description="Write a page that shows what the units of a text's model follow, and what each character's loss "
        "depends on.",
        epilog="example: npseq neurons rnn_lstm_best.pth --data tiny_shakespeare --output neurons.html",
    )
    arguments.add(p, "file FILE.pth", "of npseq train, trained on a text")
    own_cell.add_option(p, "of a file that npseq train --cell has written: that cell")
    arguments.add(p, "--data NAME|FILE", "a text; default: the shipped one that the model was trained on")
    arguments.add(p, "--output FILE.html", "the page to write; it needs no other file", required=True)
    about = "characters: from the first line of the test part, or of another text"
    arguments.add(p, "--length N", about, arguments.positive_int, 1500)
    arguments.add(p, "--window N", "characters that a gradient is followed back", arguments.positive_int, 64)
    data_options.add_memory_option(p)
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status."""
    p = parser()
    args = p.parse_args(argv)
    with p.refusing():
        output.check_file(args.output)
        model, trained = load_trained(args.file)
        own_cell.check_needed(args, model)
        vocabulary = text_samples.vocabulary_of(model)
        recipe: Any = trained.recipe
        name = recipe.data
        if args.data is None and name not in data.SHIPPED_TEXTS:
            raise data.DataError(f"{args.file} was trained on {name}: give its location, or another text, with --data")
        args = arguments.changed(args, data=args.data or name)
        p.check_files(args)
        corpus = data.load_corpus(args.data, vocabulary.tokens, args.max_memory)
        start = 0
        if recipe.is_of(corpus):
            start = tasks.Text.from_recipe(recipe, corpus).parts["test"][0] + 1
            lines = np.flatnonzero(corpus.symbols[start - 1 : -1] == NEWLINE)  # from the next line's start
            start += int(lines[0]) if len(lines) else 0
        symbols = corpus.symbols[start : start + args.length]
        shown = data.Vocabulary.of(corpus.tokens, symbols)
        # each byte by itself is shown as the character of its number
        text = "".join(map(chr, symbols)) if corpus.tokens == "bytes" else shown.decode(shown.numbers(symbols))
        with blas.limited(1):
            measured = neurons.measure(model, vocabulary.numbers(symbols).astype(np.int64), text, args.window)
    units = f"{os.path.basename(args.file)}: {model.rnn.output_size} units"
    title = f"{units} over {len(text):,} {corpus.tokens[:-1] if len(text) == 1 else corpus.tokens} of {corpus.name}"
    with atomic.replacing(args.output) as file:
        file.write(neurons_page.render(measured, text, title).encode("utf-8", "replace"))
    print(f"{args.output}: {title}")
    for prop, r in measured.tracking.items():
        best = int(np.abs(r).argmax())
        print(f"  {prop:14} unit {best:4d}, r = {r[best]:.2f}")
    return status.OK
