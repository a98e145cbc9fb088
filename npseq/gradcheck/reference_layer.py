"""A whole layer, stated once more: runs of the reference recurrence, from named arrays to y and the final state.

As ``reference.py`` this favours clarity over speed, imports no equation from npseq, and runs in complex numbers. x and
y are (T, B, ·); states are (L·D, B, ·), one array a letter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..bptt import Weights
from . import reference

Arrays = Mapping[str, np.ndarray]
NAMES = "weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"  # of a layer's parameters, in the order of Weights


class Shape(NamedTuple):
    """What a layer is, beside its arrays: the cell, L, D, and the masks of dropout.

    ``h_masks``: one (P, B) array or None for each run (layer and direction); ``y_masks``: one (T, B, D·P) array or None
    for each layer.
    """

    cell: Any
    L: int
    D: int
    lengths: Any = None
    h_masks: Sequence[Any] = ()
    y_masks: Sequence[Any] = ()


def run_names(shape: Shape) -> list[str]:
    """Return how the names of the parameters of each run end."""
    return [f"_l{k}{end}" for k in range(shape.L) for end in ("", "_reverse")[: shape.D]]


def weights_of(arrays: Arrays, end: str, own: Sequence[str] = ()) -> Weights:
    """Return the weights of the run whose names have that end; vectors as columns."""

    def column(name: str) -> Any:
        array = arrays.get(name + end)
        return array if array is None or array.ndim != 1 else array[:, None]

    return Weights._make([*map(column, NAMES), {name: column(name) for name in own} or None])


def one_hot(x: np.ndarray, I: int) -> np.ndarray:
    """Return the vectors (T, B, I) that indices (T, B) stand for."""
    return np.asarray(np.eye(I)[x])


def initial(arrays: Arrays, shape: Shape, x: np.ndarray, sizes: Sequence[int]) -> list[np.ndarray]:
    """Return the initial state: the arrays named by the letters; else the learned ``h_0``, …; else zeros."""
    parts = []
    for letter, size in zip(shape.cell.state, sizes):
        learned = arrays.get(letter + "_0")
        if letter in arrays:
            parts.append(arrays[letter])
        elif learned is not None:
            parts.append(np.repeat(learned[:, None, :], x.shape[1], axis=1))
        else:
            parts.append(np.zeros((shape.L * shape.D, x.shape[1], size), arrays["weight_hh_l0"].dtype))
    return parts


def forward(
    arrays: Arrays, shape: Shape, own: Sequence[str] = (), engine: Any = reference
) -> tuple[np.ndarray, list[np.ndarray], list[Any]]:
    """Return y, the final state (one array a letter), and what ``backward`` needs, of ``arrays["x"]`` (T, B, I)."""
    x, (GH, P) = arrays["x"], arrays["weight_hh_l0"].shape
    state = initial(arrays, shape, x, [P] + [GH // len(shape.cell.gates)] * (len(shape.cell.state) - 1))
    final, tapes = [], []
    for k in range(shape.L):
        outputs = []
        for d in range(shape.D):
            run = k * shape.D + d
            weights = weights_of(arrays, run_names(shape)[run], own)
            columns, before = x.transpose(0, 2, 1), tuple(part[run].T for part in state)
            mask = shape.h_masks[run] if shape.h_masks else None
            hs, last, tape = engine.forward_through_time(
                shape.cell, weights, columns, before, shape.lengths, d == 1, h_mask=mask
            )
            outputs.append(hs.transpose(0, 2, 1))
            final.append(last)
            tapes.append((weights, tape))
        y = np.concatenate(outputs, axis=2)
        mask = shape.y_masks[k] if shape.y_masks else None
        x = y if mask is None else y * mask
    end = [np.array([last[n].T for last in final]) for n in range(len(shape.cell.state))]
    return y, end, tapes


def backward(
    tapes: list[Any], arrays: Arrays, shape: Shape, dy: Any, d_state: Sequence[Any], engine: Any = reference
) -> dict[str, np.ndarray]:
    """Return name -> gradient of all ``arrays`` (of the state that was used, whatever it was called)."""
    ends, grads = run_names(shape), {}
    d_before: list[Any] = [None] * len(ends)
    P = arrays["weight_hh_l0"].shape[1]
    dx: Any = dy
    for k in reversed(range(shape.L)):
        mask = shape.y_masks[k] if shape.y_masks else None
        dy, dx = dx if mask is None or dx is None else dx * mask, 0
        for d in range(shape.D):
            run = k * shape.D + d
            weights, tape = tapes[run]
            d_hs = None if dy is None else dy[:, :, d * P : (d + 1) * P].transpose(0, 2, 1)
            d_end = tuple(part[run].T for part in d_state)
            d_weights, d_columns, d_before[run] = engine.backward_through_time(shape.cell, weights, tape, d_hs, d_end)
            for name, d_array in {**dict(zip(NAMES, d_weights[:5])), **(d_weights.own or {})}.items():
                if d_array is not None:
                    grads[name + ends[run]] = d_array.reshape(arrays[name + ends[run]].shape)
            assert d_columns is not None  # it is asked for
            dx = dx + d_columns.transpose(0, 2, 1)
    grads["x"] = dx
    for n, letter in enumerate(shape.cell.state):
        d_initial = np.array([before[n].T for before in d_before])
        if letter in arrays:
            grads[letter] = d_initial
        if letter + "_0" in arrays:
            grads[letter + "_0"] = 0 * arrays[letter + "_0"] if letter in arrays else d_initial.sum(1)
    return grads


# ---- losses and models ----


def loss(name: str, y: np.ndarray, target: np.ndarray, weights: Any = None, **options: Any) -> Any:
    """Return a loss of ``npseq.losses`` by its formula, term by term."""
    terms, total = [], target.size
    if name == "cross_entropy":
        ignored, smoothing = options.get("ignore_index", -100), options.get("label_smoothing", 0.0)
        total = max(int((target != ignored).sum()), 1)
        for index in np.ndindex(target.shape):
            logits, K = y[index], y.shape[-1]
            if target[index] == ignored:
                terms.append(0 * logits.sum())
                continue
            log_p = logits - np.log(np.exp(logits - logits.real.max()).sum()) - logits.real.max()
            q = np.full(K, smoothing / K)
            q[target[index]] += 1 - smoothing
            terms.append(-(q * log_p).sum())
    else:
        delta = options.get("delta", 1.0)
        for index in np.ndindex(target.shape):
            e = y[index] - target[index]
            size = e if e.real > 0 else -e
            inside = size.real <= delta
            huber = e * e / 2 if inside else delta * (size - delta / 2)
            terms.append({"mse": e * e, "mae": size, "huber": huber}[name])
    factors = np.ones(len(terms)) if weights is None else np.reshape(weights, -1)
    return sum(factor * term for factor, term in zip(factors, terms)) / total


def model(arrays: Arrays, shape: Shape, options: Mapping[str, Any], batch: Sequence[Any]) -> tuple[np.ndarray, Any]:
    """Return y and the loss of a ``Model`` by its parts' names: ``embedding.``, ``rnn.``, ``fc.``.

    ``options``: ``loss``, ``every_step`` and ``read``. The batch is (x, target, lengths), or with weights too.
    """
    x, target, lengths, *weights = batch
    table, T = arrays.get("embedding.weight"), x.shape[1]
    inner = {name.removeprefix("rnn."): array for name, array in arrays.items() if name.startswith("rnn.")}
    if x.ndim == 2:
        x = table[x] if table is not None else one_hot(x, inner["weight_ih_l0"].shape[1])
    hs, state, _ = forward({**inner, "x": x.swapaxes(0, 1)}, shape._replace(lengths=lengths))
    hs, B = hs.swapaxes(0, 1), x.shape[0]
    n = np.full(B, T) if lengths is None else np.asarray(lengths)
    read = hs if options["every_step"] else _read(options["read"], hs, state[0], shape.D, n)
    y = np.einsum("...i,oi->...o", read, arrays["fc.weight"])
    y = y + arrays["fc.bias"] if "fc.bias" in arrays else y
    of_sequence = weights[0] if weights else np.ones(B)
    factors = np.broadcast_to(np.reshape(of_sequence, (B,) + (1,) * (np.ndim(target) - 1)), np.shape(target))
    if not options["every_step"]:
        return y, loss(options["loss"], y, target, factors)
    there = [(b, t) for b in range(B) for t in range(n[b])]
    chosen = [np.array([array[place] for place in there]) for array in (y, np.asarray(target), factors)]
    return y, loss(options["loss"], *chosen)


def _read(read: str, hs: np.ndarray, h: np.ndarray, D: int, lengths: np.ndarray) -> np.ndarray:
    """Return what the head reads of each sequence: hs (B, T, D·P), h (L·D, B, P) the final state."""
    rows, P = [], h.shape[2]
    for b, n in enumerate(lengths):
        steps = hs[b, :n]
        final = np.concatenate([h[len(h) - D + d, b] for d in range(D)])
        mean = steps.sum(0) / max(n, 1)
        largest = np.array([column[np.argmax(column.real)] if n else 0 * final[0] for column in steps.T])
        last = final
        if read == "last" and D == 2:
            last = np.concatenate([final[:P], steps[n - 1, P:] if n else final[P:]])
        both = np.concatenate([mean, largest])
        rows.append({"final": final, "last": last, "mean": mean, "max": largest, "mean+max": both}[read])
    return np.array(rows)
