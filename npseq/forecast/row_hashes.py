"""Which rows of a table a model was trained on, decided by their content: a weights file keeps hashes of them.

The rows of the training and validation part are hashed as a whole and in blocks of ``BLOCK`` rows, with their times and
the columns that the model uses; missing values count as missing, however they were filled. In other data the blocks are
found at any offset.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.table import Table
from ..formats import schema

BLOCK = 1024  # rows
MOST_BLOCKS = 1000
DIGITS = 16  # hexadecimal digits of a hash
MULTIPLIERS = np.random.default_rng(20240229).integers(1 << 62, size=64, dtype=np.uint64) * np.uint64(2) + np.uint64(1)

_HASH = schema.Field(
    lambda text: isinstance(text, str) and len(text) == DIGITS and set(text) <= set("0123456789abcdef"),
    f"{DIGITS} hexadecimal digits",
)


@dataclass(frozen=True)
class SeenRows:
    """Hashes of the rows that a model was trained and validated on.

    count: the number of rows; train: how many of them are training rows; whole: the hash of all; size: rows of a block;
    blocks: (start, hash of its first row, hash of the block), in order.
    """

    count: int
    train: int
    whole: str
    size: int
    blocks: list[list[Any]]

    FIELDS = {
        "count": schema.COUNT,
        "train": schema.NATURAL,
        "whole": _HASH,
        "size": schema.COUNT,
        "blocks": schema.Field(
            lambda value: (
                isinstance(value, list)
                and len(value) <= MOST_BLOCKS + 1
                and all(
                    isinstance(b, list) and len(b) == 3 and schema.NATURAL.fits(b[0]) and all(map(_HASH.fits, b[1:]))
                    for b in value
                )
            ),
            "a list of blocks: start and two hashes",
        ),
    }

    @classmethod
    def of(cls, table: Table, columns: list[int], count: int, train: int) -> SeenRows:
        """Return the hashes of the first ``count`` rows, ``train`` of them training rows, in these columns."""
        content, firsts = _content(table, columns)
        size = min(BLOCK, count)
        starts = np.unique([*range(0, count - size + 1, size), count - size])
        if len(starts) > MOST_BLOCKS:
            starts = starts[np.linspace(0, len(starts) - 1, MOST_BLOCKS).astype(int)]
        blocks = [[int(k), f"{firsts[k]:016x}", _hash(content[k : k + size])] for k in starts]
        return cls(count, train, _hash(content[:count]), size, blocks)

    def to_json(self) -> dict[str, Any]:
        """Return what a weights file keeps."""
        return dict(vars(self))

    @classmethod
    def from_json(cls, mapping: Mapping[str, Any]) -> SeenRows:
        """Return the hashes of a weights file.

        Raises:
            ValueError: for the first fault.
        """
        return cls(**schema.check(mapping, cls.FIELDS, "its hashes of rows"))

    def find(self, table: Table, columns: list[int]) -> np.ndarray:
        """Return (n,) True for each row of the table that the model was trained or validated on.

        Rows between two blocks that are found at the same offset count too.
        """
        n = len(table.values)
        seen = np.zeros(n, bool)
        content, firsts = _content(table, columns)
        if n >= self.count and _hash(content[: self.count]) == self.whole:
            seen[: self.count] = True
            return seen
        spans: dict[int, list[int]] = {}
        candidates = np.flatnonzero(np.isin(firsts, [int(first, 16) for _, first, _ in self.blocks]))
        by_first: dict[str, list[list[Any]]] = {}
        for block in self.blocks:
            by_first.setdefault(block[1], []).append(block)
        for row in candidates:
            if row + self.size > n:
                continue
            found = None
            for start, _, expected in by_first.get(f"{firsts[row]:016x}", ()):
                found = found or _hash(content[row : row + self.size])
                if found == expected:
                    spans.setdefault(int(row) - start, []).append(int(row))
        for rows in spans.values():
            seen[min(rows) : max(rows) + self.size] = True
        return seen


def _content(table: Table, columns: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """(n, C) the rows as whole numbers, missing values as one number of their own, with the times; (n,) a quick hash of
    each row."""
    values = np.array(table.values[:, columns], np.float64)
    values += 0.0  # −0 is 0
    bits = values.view(np.uint64)
    filled = table.filled
    if filled is not None:
        bits[filled[:, columns]] = np.uint64(0xFFF8_0000_0000_0001)
    times = table.times
    if times is not None:
        seconds = times.astype("datetime64[s]").astype(np.int64).view(np.uint64)
        bits = np.concatenate([bits, seconds[:, None]], axis=1)
    quick = np.zeros(len(bits), np.uint64)
    for k in range(bits.shape[1]):
        quick = (quick ^ bits[:, k]) * MULTIPLIERS[k % len(MULTIPLIERS)]
        quick ^= quick >> np.uint64(29)
    return np.ascontiguousarray(bits), quick


def _hash(rows: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(rows).astype("<u8", copy=False).data).hexdigest()[:DIGITS]
