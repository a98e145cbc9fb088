"""Truncated backpropagation through time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .flat import Gradients
from .recurrent import Recurrent
from .validation import checked_lengths

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def truncated_bptt(
    layer: Recurrent,
    x: np.ndarray,
    d_loss: Callable[[np.ndarray, slice], np.ndarray],
    chunk: int,
    state: Any = None,
    lengths: ArrayLike | None = None,
    training: bool = False,
) -> Iterator[tuple[slice, np.ndarray, np.ndarray | None, Gradients, Any]]:
    """Truncated backpropagation through time (Williams & Peng, Neural Computation 2, 1990).

    The sequence is processed in chunks; the state is passed from one chunk to the next, the gradient is not. This is a
    generator, so the parameters may be updated between chunks, and only one chunk's tape is in memory. With a chunk as
    long as the sequence it is full backpropagation through time.

    Args:
        layer: a ``Recurrent`` of one direction.
        x, state, lengths, training: as for ``layer.forward``.
        d_loss: ``d_loss(y, steps)`` returns dy, of y's shape, for each chunk; ``steps`` is its slice of the time axis.
        chunk: steps in a chunk; the last may be shorter.

    Yields:
        (steps, y, dx, grads, state after the chunk).

    Raises:
        ValueError: for a chunk below 1, or a bidirectional layer, whose reverse direction would need the end of the
            sequence; for lengths as ``layer.forward``.
    """
    if chunk < 1:
        raise ValueError(f"chunk must be at least 1; {chunk!r} given")
    if layer.bidirectional:
        raise ValueError("truncated backpropagation needs one direction; a bidirectional layer given")
    batched = x.ndim == 3 or x.ndim == 2 and x.dtype.kind in "iu"  # integers are the indices of one-hot vectors
    time = 1 if layer.batch_first and batched else 0
    T, B = x.shape[time], x.shape[1 - time] if batched else 1
    lengths = checked_lengths(lengths, T, B)
    for start in range(0, T, chunk):
        steps = slice(start, min(start + chunk, T))
        left = None if lengths is None else np.clip(lengths - start, 0, steps.stop - start)
        y, state, tape = layer.forward(x[:, steps] if time else x[steps], state, left, training)
        dx, _, grads = layer.backward(tape, d_loss(y, steps))
        yield steps, y, dx, grads, state
