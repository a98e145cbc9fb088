"""A text: at every step, predict the next symbol.

The symbols t of each part are predicted from those before them, in the order of the text. Training reads B streams side
by side, of equal length, in chunks of ``window`` symbols; the state is carried from a stream's chunk to its next one,
the gradient is not: truncated backpropagation through time (Williams & Peng, Neural Computation 2, 1990). Each pass
starts from the zero state.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..data.corpus import Corpus, Vocabulary
from ..data.errors import DataError
from .base import BATCH_ROWS, Batch, Progress, Task
from .ngrams import mean_surprise
from .recipe import TextRecipe

SPLIT = 0.9, 0.05, 0.05
PARTS = "train", "validation", "test"
STREAM, STREAMS = 1024, 32  # symbols of a stream at least, and streams at most, that are scored side by side
CHUNK = 1024  # symbols of the one stream that is scored exactly, at a time


class Text(Task):
    """Predict each symbol of a text from those before it.

    A row is a position t of the text: the input is symbol t, the target symbol t + 1. ``parts`` has ranges of
    positions; a symbol belongs to one part, and every one but the text's first is predicted. The rows of a batch are
    (B, T) positions, T steps of B streams. ``scored`` is "test", or "validation" where there is no test part.

    Args:
        corpus: a ``data.Corpus``.
        window: symbols in a chunk.
        split: fractions of the training, validation and test part, in the order of the text; without a test part (0)
            the validation part is scored.
        vocabulary: by default that of the training part.
        carries: False starts every chunk from the zero state, in training and scoring.

    Raises:
        DataError: for a window below 1, a split that is not three fractions that add up to 1, or a text too short for
            its parts.
    """

    kind, loss, outputs = "text", "cross_entropy", "all"

    def __init__(
        self,
        corpus: Corpus,
        window: int = 64,
        split: Sequence[float] = SPLIT,
        vocabulary: Vocabulary | None = None,
        carries: bool = True,
    ):
        if window < 1:
            raise DataError(f"a window of {window} symbols given; at least 1 expected")
        split = tuple(float(share) for share in split)
        if len(split) != 3 or min(split) < 0 or min(split[:2]) == 0 or not abs(sum(split) - 1) <= 1e-9:
            raise DataError(
                f"a split into {', '.join(f'{share:g}' for share in split)} given; fractions of the training, "
                "validation and test part expected, which add up to 1, the first two greater than 0"
            )
        n = len(corpus)
        parts = 2 if split[2] == 0 else 3
        if n <= parts:
            kind = corpus.tokens[:-1] if n == 1 else corpus.tokens
            raise DataError(
                f"{corpus.name} has {n} {kind}; at least {parts + 1} expected, one to start from and one for "
                f"each of the parts {', '.join(PARTS[:parts])}"
            )
        # at least one symbol to predict in every part, and one before the first
        second = min(max(int(n * split[0]), 2), n - parts + 1)
        third = n if parts == 2 else min(max(int(n * (split[0] + split[1]) + 1e-9), second + 1), n - 1)
        self.corpus, self.name, self.window, self.split, self.carries = corpus, corpus.name, int(window), split, carries
        self.vocabulary = vocabulary or Vocabulary.of(corpus.tokens, corpus.symbols[:second])
        self.symbols = self.vocabulary.numbers(corpus.symbols)
        self.parts = {
            "train": range(0, second - 1),
            "validation": range(second - 1, third - 1),
            "test": range(third - 1, n - 1) if parts == 3 else range(second - 1, n - 1),
        }
        self.scored = "test" if parts == 3 else "validation"
        self.input_size = self.output_size = self.vocabulary.size

    @classmethod
    def from_recipe(cls, recipe: TextRecipe, corpus: Corpus) -> Text:
        """Return the same task of a text, with the vocabulary of the training. Errors as the class."""
        return cls(corpus, recipe.window, recipe.split, recipe.alphabet, recipe.carries)

    def streams(self, rows: range, batch_size: int, rng: np.random.Generator | None = None) -> Iterator[np.ndarray]:
        """Yield the rows (B, T) of each batch of one pass: chunks of B streams of equal length, always in order.

        ``rows`` are consecutive positions. Fewer than B of them, at the end, are left out; B is ``batch_size``, or
        their number if that is smaller.
        """
        B = min(batch_size, len(rows))
        length = len(rows) // B
        starts = rows[0] + length * np.arange(B)[:, None]
        for start in range(0, length, self.window):
            yield starts + np.arange(start, min(start + self.window, length))

    def steps(self, batch_size: int) -> int:
        """Return the number of batches in one pass over the training part."""
        rows = len(self.parts["train"])
        return math.ceil(rows // min(batch_size, rows) / self.window)

    def weight(self, rows: np.ndarray) -> int:
        """Return the number of predictions in a batch."""
        return int(rows.size)

    def examples(self, rows: np.ndarray, dtype: Any = np.float32) -> Batch:
        """Return the symbols at the positions ``rows`` (B, T), without a target."""
        return Batch(self.symbols[rows].astype(np.int64), None)

    def batch(self, rows: np.ndarray, dtype: Any = np.float32) -> Batch:
        """Return the symbols at the positions ``rows`` (B, T), and those after them."""
        return Batch(self.symbols[rows].astype(np.int64), self.symbols[rows + 1].astype(np.int64))

    def scored_side_by_side(self, rows: range) -> int:
        """Return the number of streams in which a part is scored during training: few and long ones, because each
        starts from the zero state."""
        return max(1, min(STREAMS, len(rows) // STREAM))

    def predictions(
        self, model: Any, rows: range, batch_size: int = BATCH_ROWS, progress: Progress = iter
    ) -> np.ndarray:
        """Return −log p of each symbol after the positions ``rows``, in nats: one stream, from the zero state on.

        Without ``carries`` every chunk of ``window`` symbols starts from the zero state.
        """
        nats, state = np.empty(len(rows)), None
        n = CHUNK if self.carries else self.window
        for start in range(0, len(rows), n):
            some = np.arange(rows[start], rows[min(start + n, len(rows)) - 1] + 1)[None]
            logits, end = model(self.symbols[some].astype(np.int64), state)
            state = end if self.carries else None
            logits = logits[0].astype(np.float64)
            logits -= logits.max(axis=1, keepdims=True)
            chosen = np.take_along_axis(logits, self.symbols[some + 1].astype(np.int64).T, axis=1)[:, 0]
            nats[start : start + n] = np.log(np.exp(logits).sum(axis=1)) - chosen
        return nats

    def metrics(self, surprises: np.ndarray, rows: range) -> dict[str, Any]:
        """Return the mean of ``surprises`` (from ``predictions``), and the same in bits."""
        return _both(float(np.mean(surprises)))

    def baselines(self) -> dict[str, dict[str, Any]]:
        """Return the scores on the test part of what needs no network: the uniform distribution over the V symbols, and
        interpolated n-grams of the training part (``ngrams.py``)."""
        rows, known = self.parts["test"], self.symbols[: self.parts["train"][-1] + 2]
        start = rows[0] + 1
        found = mean_surprise(known, self.symbols[max(0, start - 16) : rows[-1] + 2], self.input_size, min(16, start))
        names = {n: "unigram" if n == 1 else f"{n}-gram, Witten–Bell" for n in found}
        return {**self.uniform(), **{names[n]: _both(nats) for n, nats in found.items()}}

    def uniform(self) -> dict[str, dict[str, Any]]:
        """Return the score of the uniform distribution over the V symbols: ln V nats."""
        return {"uniform": _both(math.log(self.output_size))}

    def describe(self) -> list[str]:
        """Return the lines about the data that the command prints first."""
        kind, n = self.corpus.tokens, len(self.symbols)
        known = (
            f"{len(self.vocabulary.characters):,} different in the training part" if kind != "bytes" else "256 values"
        )
        lines = [f"data        {self.name}: {n:,} {kind}, {known}"]
        if self.vocabulary.unknown is not None:
            count = int((self.symbols == self.vocabulary.unknown).sum())
            if count:
                lines.append(f"            {count:,} not in the training part, predicted as one unknown character")
        counts = {part: len(rows) + (part == "train") for part, rows in self.parts.items()}  # and the text's first
        if not self.split[2]:
            del counts["test"]
        lines.append(f"split       {', '.join(f'{count:,} {part}' for part, count in counts.items())} {kind}, in order")
        carried = "the state is carried from chunk to chunk" if self.carries else "each from the zero state"
        return [*lines, f"chunks      of {self.window} {kind}; {carried}"]

    def recipe(self) -> TextRecipe:
        """Return what a weights file must keep to prepare another text in the same way."""
        return TextRecipe(
            data=self.name,
            tokens=self.vocabulary.tokens,
            vocabulary=self.vocabulary.characters,
            window=self.window,
            split=list(self.split),
            carries=self.carries,
            digest=self.corpus.digest(),
            count=len(self.corpus),
        )


def _both(nats: float) -> dict[str, Any]:
    return {"nats": nats, "bits": nats / math.log(2)}
