"""``npseq sample``: text that a trained model writes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import islice

from .. import status
from ..fused import blas
from ..tasks import text_samples
from ..tasks.metadata import load_trained
from . import arguments, own_cell


def parser() -> arguments.Parser:
    """Return the parser of the command."""
    p = arguments.Parser(
        prog="npseq sample",
        description="Write text as a trained model does, to standard output as it is made.",
        epilog='example: npseq sample rnn_lstm_best.pth --length 500 --temperature 0.8 --prime "ROMEO:" --seed 1',
    )
    arguments.add(p, "file FILE.pth", "of npseq train, trained on a text")
    own_cell.add_option(p, "of a file that npseq train --cell has written: that cell")
    arguments.add(p, "--length N", "characters or bytes to write", arguments.natural, 500)
    about = "0 takes the likeliest character, 1 draws from the model's distribution; up to 2"
    arguments.add(p, "--temperature T", about, temperature, 1.0)
    arguments.add(p, "--top-k K", "draw from the K likeliest only", arguments.positive_int)
    arguments.add(p, "--prime TEXT", "what the text starts with; it is printed too", default="")
    arguments.add(p, "--seed N", "the same seed gives the same text; default: a new one", arguments.seed)
    return p


temperature = arguments.number(float, lambda v: 0 <= v <= 2, "a number from 0 to 2")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status. Ctrl-C ends the text, and its line."""
    p = parser()
    args = p.parse_args(argv)
    with p.refusing():
        model, _ = load_trained(args.file)
        own_cell.check_needed(args, model)
        parts = text_samples.stream(model, args.prime, args.temperature, args.top_k, args.seed)
    sys.stdout.write(args.prime)
    try:
        with blas.limited(1):
            for part in islice(parts, args.length):
                sys.stdout.write(part)
                sys.stdout.flush()
    except KeyboardInterrupt:
        print(flush=True)
        return status.INTERRUPTED
    print(flush=True)
    return status.OK
