"""What the commands have in common: one-line errors with exit status 2, and types that say what they expect."""

import argparse
import math
import sys

from ..status import USAGE


class Parser(argparse.ArgumentParser):
    """argparse with its errors in one line, and option names taken with ``-`` or ``_``."""

    def __init__(self, *args, **options):
        super().__init__(*args, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def parse_known_args(self, args=None, namespace=None):
        args = sys.argv[1:] if args is None else [str(arg) for arg in args]
        return super().parse_known_args([_with_dashes(arg) for arg in args], namespace)

    def error(self, message):
        self.exit(USAGE, f"{self.prog}: error: {' '.join(message.split())}\n")


def _with_dashes(arg):
    """--hidden_size=8 -> --hidden-size=8; values are left alone."""
    name, equals, value = arg.partition("=")
    return name.replace("_", "-") + equals + value if name.startswith("--") else arg


def name(text):
    """A model's or a method's name: optimized-lstm is optimized_lstm."""
    return text.replace("-", "_").lower()


def _number(convert, fits, expected):
    def parse(text):
        try:
            value = convert(text)
        except ValueError:
            value = None
        if value is None or not fits(value):
            raise argparse.ArgumentTypeError(f"{text!r} given, {expected} expected")
        return value

    return parse


positive_int = _number(int, lambda v: v > 0, "a whole number greater than 0")
natural = _number(int, lambda v: v >= 0, "a whole number from 0 up")
positive = _number(float, lambda v: v > 0 and math.isfinite(v), "a finite number greater than 0")
not_negative = _number(float, lambda v: v >= 0 and math.isfinite(v), "a finite number from 0 up")
finite = _number(float, math.isfinite, "a finite number")
probability = _number(float, lambda v: 0 <= v < 1, "a probability from 0 up to, not including, 1")
share = _number(float, lambda v: 0 < v < 1, "a number between 0 and 1")


def names(text):
    """A comma-separated list."""
    return [part.strip() for part in text.split(",") if part.strip()]


def lags(text):
    """A comma-separated list of whole numbers greater than 0, or ``none``."""
    return [] if text.lower() == "none" else [positive_int(part) for part in names(text)]


def given(parser, argv):
    """name -> value of the options that stand on the command line, without those that have their default."""
    absent = object()
    parser.set_defaults(**{action.dest: absent for action in parser._actions})
    return {name: value for name, value in vars(parser.parse_args(argv)).items() if value is not absent}
