"""Arrays in torch's shapes and in columns: what a layer is given and returns, and what the recurrence runs on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .validation import as_array, check_dtype, checked_indices, checked_lengths

State = tuple[np.ndarray, ...]


def inputs(
    x: Any, lengths: Any, size: int, dtype: np.dtype, batch_first: bool
) -> tuple[np.ndarray, np.ndarray | None, bool]:
    """Return x as a view (T, B, size), or, for integers of up to two dimensions, the indices of one-hot vectors (T, B)
    with 0 in the padding; the lengths as ``checked_lengths``; and True if x had no batch dimension.

    Raises:
        ValueError: for an index that is not from 0 to ``size`` − 1, and as ``time_major`` and ``checked_lengths``.
    """
    x = as_array("x", x)
    if x.dtype.kind not in "iu" or x.ndim > 2:
        x, unbatched = time_major(x, "x", size, dtype, batch_first)
        return x, checked_lengths(lengths, *x.shape[:2]), unbatched
    if x.ndim == 0 or x.size == 0:
        raise ValueError(f"x must have at least one time step and one sequence; x of shape {x.shape} given")
    unbatched = x.ndim == 1
    x = x[:, None] if unbatched else x.T if batch_first else x
    lengths = checked_lengths(lengths, *x.shape)
    if lengths is not None:
        x = np.where(np.arange(len(x))[:, None] < lengths, x, 0)
    return checked_indices(x, size), lengths, unbatched


def time_major(x: Any, name: str, size: int, dtype: np.dtype, batch_first: bool) -> tuple[np.ndarray, bool]:
    """Return x as a view of shape (T, B, size), and True if it had no batch dimension.

    Raises:
        ValueError, TypeError: naming what was given and what was expected; ``name`` is the name of the array.
    """
    x = as_array(name, x)
    check_dtype(name, x, dtype)
    x = x.astype(dtype, copy=False)
    if x.ndim not in (2, 3):
        raise ValueError(f"{name} must have 2 dimensions (unbatched) or 3; {name} of shape {x.shape} given")
    if x.shape[-1] != size:
        raise ValueError(f"the last dimension of {name} must be {size}; {name} of shape {x.shape} given")
    if x.ndim == 2:
        x, unbatched = x[:, None, :], True
    else:
        x, unbatched = x.swapaxes(0, 1) if batch_first else x, False
    if x.shape[0] < 1 or x.shape[1] < 1:
        raise ValueError(
            f"{name} must have at least one time step and one sequence; {x.shape[0]} steps of "
            f"{x.shape[1]} sequences given"
        )
    return x, unbatched


def as_given(y: np.ndarray, unbatched: bool, batch_first: bool) -> np.ndarray:
    """Return y (T, B, ·) in the form in which x was given: a view."""
    return y[:, 0] if unbatched else y.swapaxes(0, 1) if batch_first else y


def checked_state(
    state: Any, name: str, letters: str, sizes: Sequence[int], runs: int, B: int, unbatched: bool, dtype: np.dtype
) -> list[np.ndarray]:
    """Return the arrays of a state in torch's form, (L·D, B, size) each.

    Raises:
        ValueError, TypeError: naming what was given and what was expected; ``name`` is ``"state"`` or ``"d_state"``.
    """
    if len(letters) == 1:
        state = (state,)
    elif not isinstance(state, (tuple, list)) or len(state) != len(letters):
        raise TypeError(f"{name} must be a tuple ({', '.join(letters)}); {type(state).__name__} given")
    parts = [as_array(name, part) for part in state]
    for letter, part, size in zip(letters, parts, sizes):
        check_dtype(f"{name} {letter}", part, dtype)
        expected = (runs, size) if unbatched else (runs, B, size)
        if part.shape != expected:
            raise ValueError(f"{name} {letter} must have the shape {expected}; {part.shape} given")
    return [part[:, None, :] for part in parts] if unbatched else parts


def columns(parts: Sequence[np.ndarray], runs: int, dtype: np.dtype) -> list[State]:
    """Return for each layer and direction a tuple of (size, B) arrays, copies of the parts (L·D, B, size)."""
    return [tuple(np.array(part[run].T, dtype, order="C") for part in parts) for run in range(runs)]


def rows(states: Sequence[State], dtype: np.dtype) -> State:
    """Return one (L·D, B, size) array for each array of the state: the inverse of ``columns``."""
    parts = [np.empty((len(states), part.shape[1], len(part)), dtype) for part in states[0]]
    for run, state in enumerate(states):
        for whole, part in zip(parts, state):
            whole[run] = part.T
    return tuple(parts)


def joined(state: State, unbatched: bool) -> np.ndarray | State:
    """Return h alone, or (h, c); without the batch dimension if there was none."""
    state = tuple(part[:, 0] for part in state) if unbatched else state
    return state if len(state) > 1 else state[0]
