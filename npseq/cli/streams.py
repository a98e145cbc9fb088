"""Standard output and standard error that are closed, full, or in an encoding that lacks a character."""

from __future__ import annotations

import codecs
import contextlib
import os
import sys
import unicodedata
from collections.abc import Iterator
from typing import Any, TextIO

from ..status import OK, UNEXPECTED

# What a terminal without the character shows instead; characters that are missing here too become "?".
_SPELLING = {
    **dict(
        zip("−–—·×⊙∂‖√→←▲’‘“”", ("-", "-", "-", "*", "x", "*", "d", "||", "sqrt", "->", "<-", "^", "'", "'", '"', '"'))
    ),
    **dict(zip("▁▂▃▄▅▆▇█", "12345678")),
    **dict(zip("≤≥≈≠±µμ½Σ", ("<=", ">=", "~", "!=", "+-", "u", "u", "1/2", "sum"))),
    **dict(zip("αβγδεηθλπσφτΔ", "alpha beta gamma delta epsilon eta theta lambda pi sigma phi tau Delta".split())),
    **dict(zip("⌈⌉⌊⌋ß", ("ceil(", ")", "floor(", ")", "ss"))),
}
_HANDLER = "npseq.spell"


def spelled(character: str) -> str:
    """Return an ASCII spelling of a character: σ is sigma, é is e; "?" if there is none."""
    if character in _SPELLING:
        return _SPELLING[character]
    return unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode() or "?"


def _spell(error: UnicodeError) -> tuple[str | bytes, int]:
    """The error handler of the streams: one character at a time."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    if "\udc80" <= character <= "\udcff":  # an undecodable byte of a file name, as it was
        return bytes([ord(character) - 0xDC00]), error.start + 1
    return spelled(character), error.start + 1


def one_line(text: str, longest: int = 1000) -> str:
    """Return a text in one line that a terminal only shows: what a file says must not move its cursor or clear it."""
    line = shown(" ".join(text.split()))
    return line if len(line) <= longest else line[: longest - 1] + "…"


def shown(text: str, kept: str = "") -> str:
    """Return a text whose control characters, marks of direction and the like, but for those ``kept``, are written as
    escapes, such as ``\\x1b``."""
    return "".join(c if c.isprintable() or c in kept or _is_plain(c) else repr(c)[1:-1] for c in text)


def _is_plain(c: str) -> bool:
    return "\udc80" <= c <= "\udcff" or unicodedata.category(c) == "Zs"  # a byte of a file name; a wide blank


codecs.register_error(_HANDLER, _spell)


class Stream:
    """A text stream that survives the loss of its reader.

    Args:
        stream: to write to. In a terminal control characters, which names in data and texts of models may have, are
            written as escapes.
        bars: True if a text that starts with a carriage return is a progress bar, and written as it is.
        on_loss: called once with the OSError of the first write that fails; later ones go nowhere.
    """

    def __init__(self, stream: TextIO, on_loss: Any, bars: bool = False) -> None:
        self.stream, self.on_loss, self.bars = stream, on_loss, bars
        self.terminal = stream.isatty()
        self.error: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        as_it_is = not self.terminal or self.bars and text.startswith("\r")
        self._try(self.stream.write, text if as_it_is else shown(text, kept="\n\t"))
        return len(text)

    def flush(self) -> None:
        self._try(self.stream.flush)

    @property
    def lost(self) -> bool:
        """True if something could not be written, for another reason than that the reader has left."""
        return self.error is not None and not isinstance(self.error, BrokenPipeError)

    def _try(self, function: Any, *args: Any) -> None:
        if self.error is not None:
            return
        try:
            function(*args)
        except OSError as error:
            self.error = error
            self._discard()
            self.on_loss(error)

    def _discard(self) -> None:
        """Let what is still in the buffer go nowhere, so that closing the stream cannot fail again."""
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self.stream.fileno())
            os.close(null)


@contextlib.contextmanager
def guarded(prog: str, runs_unseen: bool) -> Iterator[Stream]:
    """Standard streams that never end in a traceback, for the time of a command.

    A reader that leaves, as with ``| head``, is no error. If the output cannot be written for another reason, one line
    on standard error says so.

    Args:
        prog: the command's name, for that line.
        runs_unseen: True if the command continues without its output, because it also writes files; otherwise it ends
            at once.

    Yields:
        The ``Stream`` of standard output; its ``error`` is what was lost.
    """
    for descriptor in range(3):  # a file that is opened later must not become standard output
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    before = sys.stdin, sys.stdout, sys.stderr
    sys.stdin = before[0] or open(os.devnull, encoding="utf-8")
    out, err = (stream or open(os.devnull, "w", encoding="utf-8") for stream in before[1:])

    def lost(error: OSError) -> None:
        closed = isinstance(error, BrokenPipeError)
        if not closed:
            print(f"{prog}: standard output cannot be written: {error.strerror or error}", file=sys.stderr, flush=True)
        if not runs_unseen:
            raise SystemExit(OK if closed else UNEXPECTED)

    with contextlib.ExitStack() as stack:
        stack.callback(_restore, before)
        for stream in (out, err):
            stack.enter_context(_spelling(stream))
        stdout = Stream(out, lost)
        sys.stdout, sys.stderr = stdout, Stream(err, lambda error: None, bars=True)
        try:
            yield stdout
        finally:
            sys.stderr.flush()
            stdout.flush()


def _restore(streams: tuple[Any, Any, Any]) -> None:
    sys.stdin, sys.stdout, sys.stderr = streams


@contextlib.contextmanager
def _spelling(stream: TextIO) -> Iterator[None]:
    """Let ``stream`` spell what its encoding lacks."""
    if not hasattr(stream, "reconfigure"):
        yield
        return
    before = stream.errors
    stream.reconfigure(errors=_HANDLER)
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):
            stream.reconfigure(errors=before)
