"""One time step of each recurrent cell and its derivative, written as the papers write them.

A cell is an element-wise function of two pre-activations, ``a_x = W_x x_t + b_x`` from the input and
``a_h = W_h h_t + b_h`` from the hidden state, and of the state before step t. The matrix products and the time loop,
which are the same for every cell, are in ``bptt.py``. All arrays have one column per sequence (letters:
``npseq/__init__.py``).

A cell is a class with

``gates``, ``state``
    one letter for each gate block of a_x and a_h, in the order of the rows; one letter for each array of the state.
``forward(a_x, a_h, state) -> new state, cache``
    a_x, a_h (G·H, B); a state is always a tuple of (H, B) arrays, the first of which is h; the cache is a tuple that
    starts with the gates' values, in order, and holds whatever else backward needs.
``backward(d_state, cache) -> da_x, da_h, d_state of the step before``
    the forward pass, line by line in reverse; d_state is the gradient of the new state. The returned d_state omits the
    contribution through W_h, which ``bptt.py`` adds. Every gradient has the shape of what it is the gradient of.

Neither function changes its arguments.

A cell may have parameters of its own, such as peepholes or gains. It then declares

``own``
    name -> shape in the legend's letters: ``{"p_i": "H", "W_n": "H,H"}``. A shape is one or more sizes with commas in
    between, a size a product of letters (H, G, I, P) and numbers, as in ``"G·H"`` or ``"2*H"``; ``""`` is a single
    number.
``own_init`` (optional)
    name -> initial value, a number or ``f(rng, shape)``; U(−1/√H, 1/√H) for a name that is missing.

and its functions take and return one more dict, in which a vector is a column, (H, 1) for ``"H"``:
``forward(a_x, a_h, state, own)`` and ``backward(d_state, cache, own) -> da_x, da_h, d_state, d_own``. In d_own each
gradient is summed over the columns. ``examples/peephole.py`` is such a cell; ``npseq.gradcheck.check_cell`` checks it.

Numbers such as (17) are those of the equations in ``docs/derivation.md``, which derives every line.

Everything here runs in float32, float64 and complex128: no ``abs``, no conjugate, comparisons of real parts only, so
that the complex-step check runs over this very code.
"""

from __future__ import annotations

import numpy as np

State = tuple[np.ndarray, ...]
Cache = tuple[np.ndarray, ...]


def sigmoid(a: np.ndarray) -> np.ndarray:
    """Return the logistic function σ(a) = 1 / (1 + e^−a) = ½ tanh(a/2) + ½, which cannot overflow; a of any shape."""
    return 0.5 * np.tanh(0.5 * a) + 0.5  # (5)


def gate_blocks(a: np.ndarray, gates: str) -> np.ndarray:
    """Return the rows of each gate of a (G·H, B) as a separate array: a view of shape (G, H, B)."""
    return a.reshape(len(gates), a.shape[0] // len(gates), *a.shape[1:])


class RNNCell:
    """h = tanh(a_x + a_h) (Elman, "Finding structure in time", Cognitive Science 14, 1990)."""

    gates, state = "h", "h"

    @staticmethod
    def forward(a_x: np.ndarray, a_h: np.ndarray, state: State) -> tuple[State, Cache]:
        """Compute one step: a_x, a_h (H, B), state ((H, B),). Returns the new state (h,) and the cache."""
        h = np.tanh(a_x + a_h)  # (9)
        return (h,), (h,)

    @staticmethod
    def backward(d_state: State, cache: Cache) -> tuple[np.ndarray, np.ndarray, State]:
        """Given d_state ((H, B),), return da_x, da_h (H, B) and the direct gradient of h', which is zero."""
        (dh,), (h,) = d_state, cache
        da = dh * (1 - h * h)  # (10): the slope of tanh is 1 − tanh²
        return da, da, (np.zeros_like(dh),)


class ReLURNNCell:
    """h = max(a_x + a_h, 0), the Elman cell with a rectifier (Le, Jaitly & Hinton 2015, arXiv 1504.00941v2)."""

    gates, state = "h", "h"

    @staticmethod
    def forward(a_x: np.ndarray, a_h: np.ndarray, state: State) -> tuple[State, Cache]:
        """Compute one step: a_x, a_h (H, B), state ((H, B),). Returns the new state (h,) and the cache."""
        a = a_x + a_h
        h = np.where(a.real <= 0, 0, a)  # (11); NaN stays NaN
        return (h,), (h,)

    @staticmethod
    def backward(d_state: State, cache: Cache) -> tuple[np.ndarray, np.ndarray, State]:
        """Given d_state ((H, B),), return da_x, da_h (H, B) and the direct gradient of h', which is zero."""
        (dh,), (h,) = d_state, cache
        da = np.where(h.real <= 0, 0, dh)  # (12): the slope at a = 0 is taken as 0, at NaN as 1, as torch does
        return da, da, (np.zeros_like(dh),)


class LSTMCell:
    """Long short-term memory (Hochreiter & Schmidhuber, Neural Computation 9, 1997) with the forget gate of
    Gers, Schmidhuber & Cummins (Neural Computation 12, 2000).

        i = σ(a_i), f = σ(a_f), g = tanh(a_g), o = σ(a_o)    with a = a_x + a_h
        c = f ⊙ c' + i ⊙ g
        h = o ⊙ tanh(c)

    Along c the gradient is only multiplied by f, never by a matrix: dc' = f ⊙ dc. Where f is close to 1 it does not
    vanish.
    """

    gates, state = "ifgo", "hc"

    @staticmethod
    def forward(a_x: np.ndarray, a_h: np.ndarray, state: State) -> tuple[State, Cache]:
        """Compute one step: a_x, a_h (4·H, B), state ((H, B), (H, B)). Returns the new state (h, c) and the cache."""
        _, c_prev = state
        a_i, a_f, a_g, a_o = gate_blocks(a_x + a_h, "ifgo")
        i, f, g, o = sigmoid(a_i), sigmoid(a_f), np.tanh(a_g), sigmoid(a_o)  # (13)
        c = f * c_prev + i * g  # (14)
        tanh_c = np.tanh(c)
        h = o * tanh_c  # (15)
        return (h, c), (i, f, g, o, c_prev, tanh_c)

    @staticmethod
    def backward(d_state: State, cache: Cache) -> tuple[np.ndarray, np.ndarray, State]:
        """Given d_state (dh, dc), (H, B) each, return da_x, da_h (4·H, B) and the direct gradients of h' (0) and c'."""
        dh, dc = d_state
        i, f, g, o, c_prev, tanh_c = cache
        # h = o ⊙ tanh(c): c affects the loss through h and through the next step; the latter is already in dc
        do = dh * tanh_c  # (16)
        dc = dc + dh * o * (1 - tanh_c * tanh_c)  # (17)
        # c = f ⊙ c' + i ⊙ g
        df, dc_prev = dc * c_prev, dc * f  # (18)
        di, dg = dc * g, dc * i  # (19)
        # (20): the slope of σ is σ (1 − σ), that of tanh 1 − tanh²
        da = np.concatenate([di * i * (1 - i), df * f * (1 - f), dg * (1 - g * g), do * o * (1 - o)])
        return da, da, (np.zeros_like(dh), dc_prev)


class GRUCell:
    """Gated recurrent unit, reset after the product (Cho et al. 2014, arXiv 1406.1078v1), with z defined as in
    Chung et al. 2014 (arXiv 1412.3555): z weights the new value. Cho's z, and torch's, is 1 − z here.

        r = σ(a_r), z = σ(a_z)    with a = a_x + a_h
        n = tanh(a_xn + r ⊙ a_hn)
        h = (1 − z) ⊙ h' + z ⊙ n
    """

    gates, state = "rzn", "h"

    @staticmethod
    def forward(a_x: np.ndarray, a_h: np.ndarray, state: State) -> tuple[State, Cache]:
        """Compute one step: a_x, a_h (3·H, B), state ((H, B),). Returns the new state (h,) and the cache."""
        (h_prev,) = state
        a_xr, a_xz, a_xn = gate_blocks(a_x, "rzn")
        a_hr, a_hz, a_hn = gate_blocks(a_h, "rzn")
        r, z = sigmoid(a_xr + a_hr), sigmoid(a_xz + a_hz)  # (21)
        n = np.tanh(a_xn + r * a_hn)  # (22)
        h = (1 - z) * h_prev + z * n  # (23)
        return (h,), (r, z, n, a_hn, h_prev)

    @staticmethod
    def backward(d_state: State, cache: Cache) -> tuple[np.ndarray, np.ndarray, State]:
        """Given d_state ((H, B),), return da_x, da_h (3·H, B) and the direct gradient of h'."""
        (dh,) = d_state
        r, z, n, a_hn, h_prev = cache
        # h = (1 − z) ⊙ h' + z ⊙ n
        dz, dn, dh_prev = dh * (n - h_prev), dh * z, dh * (1 - z)  # (24)
        # n = tanh(a_xn + r ⊙ a_hn): a_xn enters directly, a_hn multiplied by r
        da_xn = dn * (1 - n * n)  # (25)
        dr, da_hn = da_xn * a_hn, da_xn * r  # (26)
        # r, z = σ(a_x + a_h)
        da_r, da_z = dr * r * (1 - r), dz * z * (1 - z)  # (27)
        return np.concatenate([da_r, da_z, da_xn]), np.concatenate([da_r, da_z, da_hn]), (dh_prev,)
