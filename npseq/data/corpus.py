"""A text as a series of symbols: characters (Unicode code points), or the bytes of any file."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

import numpy as np

from ..formats.messages import argument
from ..formats.paths import name_of
from .encodings import utf_16_of
from .errors import DataError
from .sources import NAMES, SHIPPED_TEXTS, existing, open_binary, shipped

TOKENS = "characters", "bytes"
REPLACEMENT = "\ufffd"  # shown for a character that the vocabulary does not have


@dataclass(frozen=True)
class Corpus:
    """A text.

    name: of the file; tokens: ``"characters"`` or ``"bytes"``; symbols (N,): the code points, uint32, or the bytes,
    uint8.
    """

    name: str
    tokens: str
    symbols: np.ndarray

    def __len__(self) -> int:
        return len(self.symbols)

    def digest(self) -> str:
        """Return the SHA-256 of the symbols, by which a text is known again."""
        return hashlib.sha256(np.ascontiguousarray(self.symbols).data).hexdigest()


@dataclass(frozen=True)
class Vocabulary:
    """The symbols that a model knows, numbered from 0.

    Characters are numbered in the order of their code points; the last number stands for every other character. Bytes
    are their own numbers, 0 to 255.

    tokens: ``"characters"`` or ``"bytes"``; characters: those that are known, sorted; empty for bytes.
    """

    tokens: str
    characters: str = ""

    @classmethod
    def of(cls, tokens: str, symbols: np.ndarray) -> Vocabulary:
        """Return the vocabulary of the ``symbols`` of a ``Corpus``."""
        if tokens == "bytes":
            return cls(tokens)
        return cls(tokens, _to_text(np.unique(symbols)))

    @property
    def size(self) -> int:
        """The number V of symbols: the characters and the unknown one, or 256."""
        return 256 if self.tokens == "bytes" else len(self.characters) + 1

    @property
    def unknown(self) -> int | None:
        """The number of the unknown character; None for bytes."""
        return None if self.tokens == "bytes" else len(self.characters)

    def numbers(self, symbols: np.ndarray) -> np.ndarray:
        """Return the numbers of ``symbols``, in the smallest unsigned integers that hold them."""
        if self.tokens == "bytes":
            return symbols
        known = _to_symbols(self.characters)
        at = np.searchsorted(known, symbols).astype(np.min_scalar_type(self.size - 1), copy=False)
        at[known[np.minimum(at, len(known) - 1)] != symbols] = len(known)
        return at

    def encode(self, text: str) -> np.ndarray:
        """Return the numbers of a text's characters; for bytes, of its UTF-8 encoding.

        Raises:
            ValueError: for a character that is not known, naming it.
        """
        if self.tokens == "bytes":
            return np.frombuffer(text.encode("utf-8"), np.uint8)
        for character in text:
            if character not in self.characters:
                shown = self.characters if len(self.characters) <= 200 else self.characters[:200] + "…"
                raise ValueError(f"the model does not know the character {character!r}; it knows {shown!r}")
        return self.numbers(_to_symbols(text))

    def decode(self, numbers: np.ndarray) -> str:
        """Return the text of ``numbers``; what is unknown, or bytes that are not UTF-8, as U+FFFD."""
        if self.tokens == "bytes":
            return np.asarray(numbers, np.uint8).tobytes().decode("utf-8", "replace")
        return "".join((self.characters + REPLACEMENT)[k] for k in numbers)


def load_corpus(source: str | os.PathLike[str], tokens: str = "characters", max_memory: float | None = None) -> Corpus:
    """Read a text: a shipped one, or any file, which may be compressed.

    A file of characters is UTF-8; a byte order mark at its start is left out, line ends are kept as they are.

    Args:
        source: name or path. tokens: "characters" or "bytes".
        max_memory: GiB that a compressed file may open to (``limits.py``).

    Raises:
        DataError: for a file that does not exist, is empty, damaged, opens to more than is allowed, or is not UTF-8 (UTF-16
            is recognised; with ``tokens="bytes"`` any file can be read).
    """
    source = os.fspath(source)
    if tokens not in TOKENS:
        raise DataError(f"tokens {tokens!r} given; one of {', '.join(TOKENS)} expected")
    if source in NAMES and source not in SHIPPED_TEXTS:
        raise DataError(f"{source} is a table; a text expected: {', '.join(SHIPPED_TEXTS)}, or a file")
    path = shipped(SHIPPED_TEXTS[source]) if source in SHIPPED_TEXTS else existing(source)
    name = source if source in SHIPPED_TEXTS else name_of(source)
    file, _, _ = open_binary(path, max_memory)
    with file:
        content = file.read()
    if tokens == "bytes":
        symbols = np.frombuffer(content, np.uint8)
    elif utf_16_of(content[:40]):
        raise DataError(f"{path} is UTF-16: convert it to UTF-8, or read it with {argument('tokens', 'bytes')}")
    else:
        try:
            symbols = _to_symbols(content.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise DataError(
                f"{path} is not UTF-8 (byte {error.start + 1:,} is {content[error.start]:#04x}): convert it, or read "
                f"it with {argument('tokens', 'bytes')}"
            ) from None
    if not len(symbols):
        raise DataError(f"{path} is empty; a text expected")
    return Corpus(name, tokens, symbols)


def _to_symbols(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.dtype("<u4"))


def _to_text(symbols: np.ndarray) -> str:
    return symbols.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
