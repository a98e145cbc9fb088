"""Parsing of options: one-line errors with exit status 2, and types that say what they expect."""

from __future__ import annotations

import argparse
import difflib
import functools
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from ..formats import paths, schema
from ..formats.messages import shown
from ..status import USAGE
from . import files
from .streams import one_line


class UsageError(ValueError):
    """An option is wrong; the message is one line."""


MEANT = {  # names of other programs -> the option
    **dict.fromkeys(("--learning-rate", "--learning_rate"), "--lr"),
    **dict.fromkeys(("--units", "--neurons", "--width"), "--hidden-size"),
    **dict.fromkeys(("--layers", "--depth"), "--num-layers"),
    **dict.fromkeys(("--lookback", "--look-back", "--seq-len", "--sequence-length", "--context"), "--window"),
}


class Parser(argparse.ArgumentParser):
    """argparse with its errors in one line, and option names taken with ``-`` or ``_``.

    ``rare``: names (argparse's dest) of the options that only ``-h all`` shows.
    """

    def __init__(self, **options: Any):
        form = argparse.RawDescriptionHelpFormatter
        super().__init__(allow_abbrev=False, formatter_class=form, add_help=False, **options)
        about = "show the usual options, or all"
        self.add_argument("-h", "--help", nargs="?", action=_Help, metavar="all", help=about)
        self.raises, self.rare = False, set[str]()

    def format_help(self) -> str:
        """Return the help, without the ``rare`` options."""
        hidden = {action: action.help for action in self._actions if action.dest in self.rare}
        places = [f"{action.metavar}{' …' * (action.nargs == '+')}" for action in self._get_positional_actions()]
        more = f"     (-h all: {len(hidden)} more)"
        self.usage = " ".join(["%(prog)s [options]", *places, more]) if hidden else None
        for action in hidden:
            action.help = argparse.SUPPRESS
        try:
            text = super().format_help()
        finally:
            for action, about in hidden.items():
                action.help = about
        return text

    def parse_known_args(self, args: Sequence[Any] | None = None, namespace: Any = None) -> tuple[Any, list[str]]:
        args = sys.argv[1:] if args is None else [str(arg) for arg in args]
        found, rest = super().parse_known_args([_with_dashes(arg) for arg in args], namespace)
        for name, value in vars(found).items():
            if name not in files.READ + files.WRITTEN + ("out_dir",):  # paths stay as the system has them
                setattr(found, name, _as_utf8(value))
        return found, rest

    def parse_args(self, args: Sequence[Any] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """As argparse does; also refuse one file named for two things."""
        found = super().parse_args(args, namespace)
        self.check_files(found)
        return found

    def check_files(self, found: argparse.Namespace, others: Iterable[files.File] = ()) -> None:
        """End with one line if the options ``found`` (and ``others``, a list of ``File``) name one file for two
        things."""
        try:
            files.check([*files.named(self, found), *others])
        except ValueError as error:
            self.error(str(error))

    def error(self, message: object) -> NoReturn:
        """Exit with status 2 and one line, a text or that of an exception."""
        line = one_line(told(message) + self._advice(str(message)))
        if self.raises:
            raise UsageError(line[:300])
        self.exit(USAGE, f"{self.prog}: error: {line}\n")
        raise AssertionError("exit returns")

    def _advice(self, message: str) -> str:
        """Return what may be meant by an argument that is unknown."""
        head, _, unknown = message.partition("unrecognized arguments: ")
        if head or not unknown:
            return ""
        word, known = unknown.split()[0].partition("=")[0], [*self._option_string_actions]
        if word in ("--gpu", "--cuda", "--device"):
            return "; npseq computes on the CPU"
        if not word.startswith("-"):
            return f"; data are given with --data {word}" if "--data" in known else ""
        longer = [name for name in known if word.startswith("--") and name.startswith(word)]
        meant = [name for name in known if name == MEANT.get(word)] or longer[:1]
        near = meant or ["--" + one for one in difflib.get_close_matches(word[2:], [k[2:] for k in known], 1)]
        if near and word.startswith("--"):
            return f"; the nearest option is {near[0]}"
        return f"; {self.prog} -h lists the options"

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """End with one line on an OSError or a ValueError: of options, files or data that are wrong."""
        try:
            yield
        except (OSError, ValueError) as error:
            self.error(error)

    def given(self, argv: Sequence[Any] | None) -> dict[str, Any]:
        """Return name and value of the options given on the command line, without defaults."""
        return dict(vars(super().parse_args(argv, _NoDefaults())))

    def parse_values(self, values: Mapping[str, Any]) -> argparse.Namespace:
        """Return the options as if these values had been typed: name and value, such as those of an earlier run.

        Raises:
            UsageError: for an unknown name, or a value that an option does not take.
        """
        argv = [word for name, value in values.items() for word in _typed(name, value)]
        self.raises = True
        try:
            return self.parse_args(argv)
        finally:
            self.raises = False


class _Help(argparse.Action):
    """``-h`` and ``-h all``."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        parser.rare = set() if values == "all" else parser.rare
        parser.print_help()
        parser.exit()


class _NoDefaults:
    """A namespace that seems to have every option already, so that argparse sets no defaults."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("_"):
            raise AttributeError(name)


def _with_dashes(arg: str) -> str:
    """--hidden_size=8 -> --hidden-size=8; values are left alone."""
    name, equals, value = arg.partition("=")
    return name.replace("_", "-") + equals + value if name.startswith("--") else arg


def _as_utf8(value: Any) -> Any:
    """Return a column's name as UTF-8 text, whatever the locale in which it was typed."""
    if isinstance(value, list):
        return [_as_utf8(item) for item in value]
    return paths.text_of(value) if isinstance(value, str) else value


def option(name: str) -> str:
    """Return the option as it is typed: hidden_size is --hidden-size."""
    return "--" + name.replace("_", "-")


def changed(args: argparse.Namespace, **values: Any) -> argparse.Namespace:
    """Return the options with other ``values``; ``args`` stay as they are."""
    return argparse.Namespace(**{**vars(args), **values})


def told(message: object) -> str:
    """Return a message of the library, or that of an error, with options in place of the arguments that it names."""
    if isinstance(message, FileNotFoundError) and message.errno and message.filename:
        return f"there is no file {os.fsdecode(message.filename)}"
    return shown(message, _with_value)


def _with_value(name: str, value: str) -> str:
    """Return an option and its value as they are typed: header False is --no-header."""
    if value in ("True", "False"):
        return option(("" if value == "True" else "no_") + name)
    quoted = shlex.quote(value) if value.strip(",.") else f"'{value}'"  # a comma alone is easily overlooked
    return f"{option(name)} {quoted}" if value else option(name)


def _typed(name: str, value: Any) -> list[str]:
    if value is None or value is False:
        return []
    if value is True:
        return [option(name)]
    if isinstance(value, (list, tuple)):
        value = ",".join(map(str, value)) or "none"
    return [f"{option(name)}={value}"]


def name(text: str) -> str:
    """Return the name of a model or a method: optimized-lstm is optimized_lstm."""
    return text.replace("-", "_").lower()


def number(convert: Callable[[str], Any], fits: Callable[[Any], bool], expected: str) -> Callable[[str], Any]:
    """Return the type of an option that takes a number: how it is read, which ones fit, and that in words."""

    def parse(text: str) -> Any:
        try:
            value = convert(text)
        except ValueError:
            value = None
        if value is None or not fits(value):
            raise argparse.ArgumentTypeError(f"{text!r} given, {expected} expected")
        return value

    return parse


@functools.cache
def field(convert: Callable[[str], Any], what: schema.Field) -> Callable[[str], Any]:
    """Return the type of an option whose value a file may keep: what cannot be read back is not taken."""
    return number(convert, what.fits, what.expected)


positive_int = field(int, schema.COUNT)
natural = field(int, schema.NATURAL)
seed = field(int, schema.SEED)
positive = field(float, schema.POSITIVE)
bias = number(float, lambda v: abs(v) <= 1e30, "a number that float32 holds, at most 1e30")
share = number(float, lambda v: 0 < v < 1, "a number between 0 and 1")


def names(text: str) -> list[str]:
    """Return the parts of a comma-separated list."""
    return [part.strip() for part in text.split(",") if part.strip()]


def lags(text: str) -> list[int]:
    """Return the numbers of a comma-separated list of whole numbers greater than 0, or ``none``."""
    return [] if text.lower() == "none" else [positive_int(part) for part in names(text)]


def several(kind: Callable[[str], Any]) -> Callable[[str], list[Any]]:
    """Return the type of an option that takes one value or a comma-separated list."""

    def parse(text: str) -> list[Any]:
        return list(dict.fromkeys(map(kind, names(text) or [text])))

    return parse


def one_of_several(known: Iterable[str], what: str) -> Callable[[str], list[str]]:
    """Return the type of an option that takes a comma-separated list of known names."""
    known = list(known)

    def parse(text: str) -> list[str]:
        chosen = list(dict.fromkeys(map(name, names(text))))
        if not chosen or not set(chosen) <= set(known):
            raise argparse.ArgumentTypeError(
                f"{text!r} given, names of {', '.join(known)} expected, with commas between"
            )
        return chosen

    parse.__name__ = what
    return parse


# ---- options with one meaning in all commands ----


def add(
    p: Any, spec: str, about: str = "", kind: Callable[[str], Any] | None = None, default: Any = None, **more: Any
) -> None:
    """Add an option to a parser or a group of one.

    Args:
        spec: as it is typed: ``--steps N`` takes a value, ``--quiet`` none, ``file FILE.pth`` is no option but a place.
        about: its help, to which a default that is a number is added if it does not say one.
        kind, default, more: argparse's type, default and others.
    """
    name, _, metavar = spec.partition(" ")
    if isinstance(default, (int, float)) and "default" not in about:
        about = "; ".join(filter(None, [about, f"default: {default:g}"]))
    if metavar:
        more["metavar"] = metavar
    elif kind is None and not more:
        more["action"] = "store_true"
    how = {"type": kind, "default": default}
    p.add_argument(name, help=about or None, **{key: value for key, value in how.items() if value is not None}, **more)


def add_seed(p: argparse._ActionsContainer, of: str) -> None:
    """``--seed N``: the same seed gives the same result, bit for bit."""
    add(p, "--seed N", f"of {of}", seed, 0)


def add_jobs(p: Any) -> None:
    """Add ``--jobs``, the processes for the closed forms of many series."""
    add(p, "--jobs N", "processes for the closed forms of many series", positive_int, 1)


def add_quiet(p: argparse._ActionsContainer) -> None:
    """``--quiet``: standard output stays empty if all is well."""
    add(p, "--quiet", "print nothing but errors")


def add_weights(p: argparse._ActionsContainer, of: str = "a file that has several") -> None:
    """``--weights NAME``: which weights of a file."""
    add(p, "--weights NAME", f"which weights of {of}, such as model_ema")


def add_json(p: argparse._ActionsContainer) -> None:
    """``--json``: standard output is one JSON value."""
    add(p, "--json", "print the result as JSON and nothing else")
