"""The exception of this room, and the words its messages share."""

from __future__ import annotations

from collections.abc import Iterable

from ..formats.messages import ArgumentError


class DataError(ArgumentError):
    """Invalid input data; the message is one line."""


def no_column(source: str, name: object, columns: Iterable[str]) -> DataError:
    """Return the error for a column that does not exist; it lists those that do."""
    names = list(columns)
    return DataError(f"{source} has no column {name!r}; it has {', '.join(names[:12])}{', …' * (len(names) > 12)}")


def listed(names: Iterable[str]) -> str:
    """Return the names separated by commas, at most six of them."""
    names = list(names)
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
