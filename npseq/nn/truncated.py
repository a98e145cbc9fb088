"""Truncated backpropagation through time."""

import numpy as np


def truncated_bptt(layer, x, d_loss, chunk, state=None, lengths=None, training=False):
    """Truncated backpropagation through time (Williams & Peng, Neural Computation 2, 1990): the sequence in chunks, the
    state carried from one to the next, the gradient not.

    A generator, so that the parameters may be updated between chunks and one chunk's tape at a time is in memory. With
    a chunk as long as the sequence it is full backpropagation through time.

    Args:
        layer: a ``Recurrent`` of one direction.
        x, state, lengths, training: as for ``layer.forward``.
        d_loss: called with (y, steps) for each chunk, ``steps`` being its slice of the time axis -> dy, of y's shape.
        chunk: steps in a chunk; the last may be shorter.

    Yields:
        (steps, y, dx, grads, state after the chunk).

    Raises:
        ValueError: for a chunk below 1, and for two directions: the reverse one starts at the end, which a chunk has
            not seen.
    """
    if chunk < 1:
        raise ValueError(f"chunk must be at least 1; {chunk!r} given")
    if layer.bidirectional:
        raise ValueError("truncated backpropagation carries the state forward in time; a bidirectional layer given")
    time = 1 if layer.batch_first and x.ndim == 3 else 0
    for start in range(0, x.shape[time], chunk):
        steps = slice(start, min(start + chunk, x.shape[time]))
        left = None if lengths is None else np.clip(np.asarray(lengths) - start, 0, steps.stop - start)
        y, state, tape = layer.forward(x[:, steps] if time else x[steps], state, left, training)
        dx, _, grads = layer.backward(tape, d_loss(y, steps))
        yield steps, y, dx, grads, state
