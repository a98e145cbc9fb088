"""The reference: the four cells and their recurrence, stated once more.

People edit ``cells.py`` and ``bptt.py`` and ask the checker what they did. The checker must then know what is right
without asking the edited code. So this module imports no equation from npseq: it states the published forward passes,
the derivatives that known bugs are planted into (``planted_bugs.py``), and a recurrence that favours clarity over
speed: every sum over time is a loop.

``note(name, t, value)``, if given, receives every intermediate value by the name that it has in ``bptt.py``; the
diagnosis compares those of ``bptt.py`` with them. ``t`` counts steps from 0 in the order in which they run.

``TrueDerivative(cell)`` replaces a cell's backward by numerical differentiation of its forward. In the recurrence it
gives the true value of every intermediate for a cell of the user's own too.

Sources of the equations: ``npseq/cells.py``, ``docs/derivation.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..bptt import Weights
from .cases import Step
from .numerical import dtype_of, numerical_gradient

Note = Callable[[str, int, Any], None]
State = tuple[np.ndarray, ...]


def logistic(a: np.ndarray) -> np.ndarray:
    """Return σ(a) = 1 / (1 + e^−a), element by element."""
    return np.asarray(1 / (1 + np.exp(-a)))


def blocks_of(a: np.ndarray, gates: str) -> np.ndarray:
    """Return the rows of each gate of a (G·H, …) as an array of its own: a view of shape (G, H, …)."""
    return a.reshape(len(gates), -1, *a.shape[1:])


class RNNCell:
    """h = tanh(a_x + a_h)."""

    gates, state = "h", "h"

    @staticmethod
    def forward(a_x: np.ndarray, a_h: np.ndarray, state: State) -> tuple[State, tuple[Any, ...]]:
        """Return ((h,), cache); a_x, a_h and h are (H, B)."""
        a = a_x + a_h
        h = np.tanh(a)
        return (h,), (h,)

    @staticmethod
    def backward(d_state: State, cache: tuple[Any, ...]) -> tuple[np.ndarray, np.ndarray, State]:
        """Return da_x, da_h (H, B) and the direct part of the gradient of the state before."""
        ((dh,), (h,)) = d_state, cache
        da = dh - dh * h**2
        return da, da, (np.zeros_like(dh),)


class ReLURNNCell:
    """h = max(a_x + a_h, 0), compared by real parts."""

    gates, state = "h", "h"

    @staticmethod
    def forward(a_x: np.ndarray, a_h: np.ndarray, state: State) -> tuple[State, tuple[Any, ...]]:
        """Return ((h,), cache); a_x, a_h and h are (H, B)."""
        a = a_x + a_h
        h = a * (np.real(a) > 0)
        return (h,), (h,)

    @staticmethod
    def backward(d_state: State, cache: tuple[Any, ...]) -> tuple[np.ndarray, np.ndarray, State]:
        """Return da_x, da_h (H, B) and the direct part of the gradient of the state before."""
        ((dh,), (h,)) = d_state, cache
        da = dh * (np.real(h) > 0)
        return da, da, (np.zeros_like(dh),)


class LSTMCell:
    """i, f, o = σ(a_x + a_h), g = tanh(a_x + a_h), c = f ⊙ c' + i ⊙ g, h = o ⊙ tanh(c)."""

    gates, state = "ifgo", "hc"

    @staticmethod
    def forward(a_x: np.ndarray, a_h: np.ndarray, state: State) -> tuple[State, tuple[Any, ...]]:
        """Return ((h, c), cache); a_x and a_h are (4·H, B), h and c (H, B)."""
        c_prev = state[1]
        a_i, a_f, a_g, a_o = blocks_of(a_x + a_h, "ifgo")
        i = logistic(a_i)
        f = logistic(a_f)
        o = logistic(a_o)
        g = np.tanh(a_g)
        c = i * g + f * c_prev
        tanh_c = np.tanh(c)
        h = tanh_c * o
        return (h, c), (i, f, g, o, c_prev, tanh_c)

    @staticmethod
    def backward(d_state: State, cache: tuple[Any, ...]) -> tuple[np.ndarray, np.ndarray, State]:
        """Return da_x, da_h (4·H, B) and the direct parts of the gradients of h' (zero) and c'."""
        i, f, g, o, c_prev, tanh_c = cache
        dh = d_state[0]
        dc = d_state[1] + o * dh - o * dh * tanh_c**2
        da = np.concatenate(
            [
                g * dc * (i - i**2),
                c_prev * dc * (f - f**2),
                i * dc * (1 - g**2),
                tanh_c * dh * (o - o**2),
            ]
        )
        return da, da, (np.zeros_like(dh), f * dc)


class GRUCell:
    """r, z = σ(a_x + a_h), n = tanh(a_xn + r ⊙ a_hn), h = (1 − z) ⊙ h' + z ⊙ n."""

    gates, state = "rzn", "h"

    @staticmethod
    def forward(a_x: np.ndarray, a_h: np.ndarray, state: State) -> tuple[State, tuple[Any, ...]]:
        """Return ((h,), cache); a_x and a_h are (3·H, B), h (H, B)."""
        h_prev = state[0]
        a_xr, a_xz, a_xn = blocks_of(a_x, "rzn")
        a_hr, a_hz, a_hn = blocks_of(a_h, "rzn")
        r = logistic(a_xr + a_hr)
        z = logistic(a_xz + a_hz)
        n = np.tanh(r * a_hn + a_xn)
        h = h_prev + z * (n - h_prev)
        return (h,), (r, z, n, a_hn, h_prev)

    @staticmethod
    def backward(d_state: State, cache: tuple[Any, ...]) -> tuple[np.ndarray, np.ndarray, State]:
        """Return da_x, da_h (3·H, B) and the direct part of the gradient of h'."""
        r, z, n, a_hn, h_prev = cache
        dh = d_state[0]
        da_xn = z * dh * (1 - n**2)
        da_r = a_hn * da_xn * (r - r**2)
        da_z = (n - h_prev) * dh * (z - z**2)
        return (
            np.concatenate([da_r, da_z, da_xn]),
            np.concatenate([da_r, da_z, r * da_xn]),
            (dh - z * dh,),
        )


CELLS = {cell.__name__: cell for cell in (RNNCell, ReLURNNCell, LSTMCell, GRUCell)}


def reference_of(cell: Any) -> Any | None:
    """Return the reference of a cell of npseq (or of a class that inherits its forward); None for any other cell.

    A cell is known by the name of the class that defines its ``forward``, and by its gates and state, so that an edited
    copy of ``cells.py`` is recognised too.
    """
    kind = cell if isinstance(cell, type) else type(cell)
    for base in kind.__mro__:
        if "forward" in vars(base):
            known = CELLS.get(base.__name__)
            same = known and (known.gates, known.state) == (cell.gates, cell.state) and not getattr(cell, "own", None)
            return known if same else None
    return None


def known(cell: Any) -> Any:
    """Return the reference of a cell of npseq; any other cell itself."""
    return reference_of(cell) or cell


class TrueDerivative:
    """A cell with ``cell``'s forward, and with the numerical derivative of that forward as its backward.

    Args:
        cell: a class with the contract of ``cells.py``.
        method: ``"complex"`` or ``"central"``, as for ``check``.
    """

    def __init__(self, cell: Any, method: str = "complex") -> None:
        self.cell, self.method = cell, method
        self.gates, self.state = cell.gates, cell.state

    def forward(self, a_x: np.ndarray, a_h: np.ndarray, state: State, *own: Any) -> tuple[Any, ...]:
        """Return the cell's new state, and its arguments as the cache."""
        return self.cell.forward(a_x, a_h, state, *own)[0], (a_x, a_h, tuple(state), own)

    def backward(self, d_state: State, cache: tuple[Any, ...], *own: Any) -> tuple[Any, ...]:
        """Return what the cell's backward should return."""
        a_x, a_h, state, own = cache
        step = Step(a_x, a_h, state, own, d_state)
        arrays: dict[str, Any] = {
            name: np.array(array, dtype_of(self.method)) for name, array in step.arrays(self.cell).items()
        }
        found = numerical_gradient(lambda: step.loss(step.new_state(self.cell, arrays)), arrays, self.method)
        d_own = ({name: found[name] for name in mapping} for mapping in step.own)
        return found["a_x"], found["a_h"], tuple(found[letter + "_prev"] for letter in self.state), *d_own


# ---- the recurrence ----


class Tape(NamedTuple):
    """What backward needs of a forward pass, steps in the order in which they ran."""

    x: np.ndarray  # (T, I, B), zero in the padding
    valid: np.ndarray | None  # (T, 1, B): True where the step is within the sequence
    reverse: bool
    h_mask: np.ndarray | None
    slots: tuple[np.ndarray, ...]  # one (T + 1, H, B) array for each array of the state
    caches: list[Any]  # for each step: the cell's cache, and the cell's h before projection


def _ignore(name: str, t: int, value: Any) -> None:
    """Take no note."""


def forward_through_time(
    cell: Any,
    weights: Weights,
    x: np.ndarray,
    state: State,
    lengths: Any = None,
    reverse: bool = False,
    *,
    h_mask: np.ndarray | None = None,
    out: np.ndarray | None = None,
    note: Note = _ignore,
    **options: Any,
) -> tuple[np.ndarray, State, Tape]:
    """Run ``cell`` over the steps of x; arguments and results as those of ``bptt.forward_through_time``.

    ``checkpoint_every`` and ``keep_tape`` are accepted and change nothing: everything is kept.
    """
    W_x, W_h, b_x, b_h, W_p, own = weights
    extra = () if own is None else (own,)
    T, _, B = x.shape
    order = range(T - 1, -1, -1) if reverse else range(T)
    valid = None if lengths is None else np.array([[np.asarray(lengths) > k] for k in order]).reshape(T, 1, B)
    x = np.array([x[k] for k in order]).reshape(x.shape)
    if valid is not None:
        x = np.where(valid, x, 0)
    note("through_time.x", 0, x)
    a_x = np.array([W_x @ x_t + (0 if b_x is None else b_x) for x_t in x])
    note("a_x", 0, a_x)
    slots = tuple(np.empty((T + 1, *part.shape), part.dtype) for part in state)
    for slot, part in zip(slots, state):
        slot[0] = part
    caches = []
    for t in range(T):
        state = tuple(slot[t] for slot in slots)
        note("state", t, state)
        h = state[0] if h_mask is None else h_mask * state[0]
        note("h", t, h)
        a_h = W_h @ h + (0 if b_h is None else b_h)
        note("a_h", t, a_h)
        new_state, cache = cell.forward(a_x[t], a_h, state, *extra)
        note("new_state", t, new_state)
        m = new_state[0]
        note("m", t, m)
        if W_p is not None:
            new_state = (W_p @ m, *new_state[1:])
            note("new_state", t, new_state)
        for slot, new in zip(slots, new_state):
            slot[t + 1] = new if valid is None else np.where(valid[t], new, slot[t])
        caches.append((cache, m))
    hs = np.empty_like(slots[0][1:]) if out is None else out
    for t, place in enumerate(order):
        hs[place] = slots[0][t + 1] if valid is None else np.where(valid[t], slots[0][t + 1], 0)
    return hs, tuple(slot[T].copy() for slot in slots), Tape(x, valid, reverse, h_mask, slots, caches)


def backward_through_time(
    cell: Any,
    weights: Weights,
    tape: Tape,
    d_hs: np.ndarray | None,
    d_state: State,
    *,
    need_dx: bool = True,
    note: Note = _ignore,
) -> tuple[Weights, np.ndarray | None, State]:
    """Return d_weights, d_x and d_state of the initial state, as ``bptt.backward_through_time`` does."""
    x, _, reverse, h_mask, slots, caches = tape
    T = len(x)
    d_own_total = {name: np.zeros_like(part) for name, part in (weights.own or {}).items()}
    d_weights = Weights._make([*(None if W is None else np.zeros_like(W) for W in weights[:5]), d_own_total or None])
    dW_x, dW_h, db_x, db_h, dW_p = d_weights[:5]
    da_xs: list[np.ndarray] = []
    da_hs: list[np.ndarray] = []
    hs_before: list[np.ndarray] = []
    d_x = np.empty(x.shape, weights.W_x.dtype)
    if d_hs is not None:
        note("through_time.d_hs", 0, d_hs[::-1] if reverse else d_hs)
    for t in range(T - 1, -1, -1):
        place = T - 1 - t if reverse else t
        d_output = None if d_hs is None else d_hs[place]
        da_x, da_h, d_projected, d_own, d_state = _backward_step(cell, weights, tape, t, d_output, d_state, note)
        h_before = slots[0][t] if h_mask is None else h_mask * slots[0][t]
        dW_x += da_x @ x[t].T
        dW_h += da_h @ h_before.T
        if db_x is not None:
            db_x += da_x.sum(1, keepdims=True)
            db_h += da_h.sum(1, keepdims=True)
        if dW_p is not None:
            dW_p += d_projected @ caches[t][1].T
        for name, part in d_own.items():
            d_own_total[name] += part
        d_x[place] = weights.W_x.T @ da_x
        da_xs.insert(0, da_x)
        da_hs.insert(0, da_h)
        hs_before.insert(0, h_before)
    if T:
        note("da_h", 0, np.array(da_hs))
        note("da_x", 0, np.array(da_xs))
        note("h_before", 0, np.array(hs_before))
        note("ms", 0, np.array([m for _, m in caches]))
    return d_weights, d_x if need_dx else None, d_state


def _backward_step(
    cell: Any, weights: Weights, tape: Tape, t: int, d_output: np.ndarray | None, d_state: State, note: Note
) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, np.ndarray], State]:
    """Return da_x, da_h, the gradient of h after the projection, d_own, and d_state before step t.

    ``d_output`` is the gradient of the step's output (None for zeros), ``d_state`` that of the state after the step.
    """
    extra = () if weights.own is None else (weights.own,)
    d_new = d_state
    note("d_new", t, d_new)
    if d_output is not None:
        d_output = d_output if tape.valid is None else np.where(tape.valid[t], d_output, 0)
        note("d_output", t, d_output)
        d_new = (d_new[0] + d_output, *d_new[1:])
        note("d_new", t, d_new)
    d_past = None
    if tape.valid is not None:
        d_past = tuple(np.where(tape.valid[t], 0, part) for part in d_new)
        note("d_past", t, d_past)
        d_new = tuple(np.where(tape.valid[t], part, 0) for part in d_new)
        note("d_new", t, d_new)
    d_projected = d_new[0]
    note("d_projected[t]", t, d_projected)
    if weights.W_p is not None:
        d_new = (weights.W_p.T @ d_projected, *d_new[1:])
        note("d_new", t, d_new)
    da_x, da_h, d_direct, *d_own = cell.backward(d_new, tape.caches[t][0], *extra)
    for name, value in (("da_x", da_x), ("da_h", da_h), ("d_direct", d_direct), ("d_own", d_own)):
        note(name, t, value)
    note("da_xs[t]", t, da_x)
    note("da_hs[t]", t, da_h)
    dh = weights.W_h.T @ da_h
    if tape.h_mask is not None:
        dh = tape.h_mask * dh
    note("dh", t, dh)
    if weights.W_p is None:
        dh = dh + d_direct[0]
        note("dh", t, dh)
    d_state = (dh, *d_direct[1:])
    note("d_state", t, d_state)
    if d_past is not None:
        d_state = tuple(inside + past for inside, past in zip(d_state, d_past))
        note("d_state", t, d_state)
    return da_x, da_h, d_projected, d_own[0] if d_own else {}, d_state
