"""Twenty bugs to plant in a layer: what a gradient checker has to catch.

Some come from published code. Each is a small change to correct code: to the cell's derivative, to the tape before
backward, or to the gradient after it. Those about z and about the reset are planted in backward only; planted in
forward as well, they would give the correct gradient of a different function.

A bug in a cell or in a tape is planted into ``reference.py``: its cells (for a user-defined cell, that cell) and its
recurrence, even if the layer is an optimized one. Errors in ``cells.py`` and ``bptt.py`` therefore do not change what a
planted bug looks like.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...bptt import State, Weights
from .. import reference
from ..layer_case import Case
from ..reference import blocks_of, reference_of
from ..reference import logistic as sigmoid
from .planting import Bug, each, in_cell, in_gradient, in_tape

__all__ = ["BUGS", "CLIP_NORM", "Bug", "Case", "plant"]

CLIP_NORM = 0.1  # bound of the planted clipping
Change = Callable[..., Any]
BUGS: dict[str, Bug] = {}


def plant(name: str, layer: Any) -> Any:
    """Return a copy of ``layer`` that has the bug ``name`` of ``BUGS``."""
    layer = layer.astype(layer.dtype)
    layer.checkpoint_every = None  # several bugs are changes to what a tape keeps
    BUGS[name].plant(layer)
    return layer


# ---- the cases in which a bug changes something ----


def _any_step(case: Case) -> bool:
    return case.longest > 0


def _carried(case: Case) -> bool:
    return case.longest > 1 or case.with_state and case.longest > 0


def _gated(case: Case) -> bool:
    return _any_step(case) and len(case.gates) > 1


def _padded(case: Case) -> bool:
    if case.lengths is None:
        return False
    padded = np.array(case.lengths) < case.T
    if _relu(case) and not (case.layer.bias or case.with_state):
        padded &= np.array(case.lengths) > 0  # relu(0) is 0, and so is its gradient
    return bool(padded.any())


def _relu(case: Case) -> bool:
    return reference_of(case.layer.cell) is reference.ReLURNNCell


def _lstm(case: Case) -> bool:
    return _any_step(case) and case.gates == "ifgo"


def _gru(case: Case) -> bool:
    return _any_step(case) and case.gates == "rzn"


def _biased(case: Case) -> bool:
    return _any_step(case) and case.layer.bias


# ---- the bugs ----


def _bug(
    what: str, acts: Callable[[Case], bool], place: Callable[[Any], Any] = lambda plant: plant
) -> Callable[[Change], Change]:
    """Register a function as the bug of its name, planted in a place: what it does, and the cases in which it acts."""

    def register(change: Change) -> Change:
        name = change.__name__.strip("_").replace("_", "-")
        BUGS[name] = Bug(name, what, place(change), acts)
        return change

    return register


@_bug("dW_h is summed with the state after each step, not before it", _any_step, in_tape)
def _h_of_this_step(weights: Weights, tape: Any) -> tuple[Weights, Any]:
    return weights, tape._replace(slots=(np.roll(tape.slots[0], -1, axis=0), *tape.slots[1:]))


@_bug("the loop going back stops before t = 0", _any_step, in_tape)
def _first_step_skipped(weights: Weights, tape: Any) -> tuple[Weights, Any]:
    T, _, B = tape.x.shape
    valid = np.ones((T, 1, B), bool) if tape.valid is None else tape.valid.copy()
    valid[0] = False
    return weights, tape._replace(valid=valid)


def _scaled(gates: str, slope: Callable[[np.ndarray], np.ndarray], cell: Any, d_state: State, cache: Any) -> Any:
    """Multiply the da of some gates by wrong slope / correct slope = ``slope(value)``."""
    da_x, da_h, d_before = cell.backward(d_state, cache)
    da_x, da_h = da_x.copy(), da_h.copy()
    for da in (da_x, da_h):
        for gate, block, value in zip(cell.gates, blocks_of(da, cell.gates), cache):
            if gate in gates:
                block *= slope(value)
    return da_x, da_h, d_before


@_bug("the slope of the sigmoid is taken at its value instead of its argument", _gated, in_cell)
def _sigmoid_slope_of_value(cell: Any, d_state: State, cache: Any) -> Any:
    return _scaled("ifoorz", lambda s: sigmoid(s) * (1 - sigmoid(s)) / (s * (1 - s)), cell, d_state, cache)


def _tanh_slope_twice(n: np.ndarray) -> np.ndarray:
    return np.asarray((1 - np.tanh(n) ** 2) / (1 - n * n))


@_bug("the slope of tanh is taken at tanh(a) instead of a", lambda case: _any_step(case) and not _relu(case), in_cell)
def _tanh_twice(cell: Any, d_state: State, cache: Any) -> Any:
    da_x, da_h, d_before = _scaled("hgn", _tanh_slope_twice, cell, d_state, cache)
    if cell.gates == "rzn":  # dr is a multiple of da_xn (26)
        for da in (da_x, da_h):
            blocks_of(da, "rzn")[0] *= _tanh_slope_twice(cache[2])
    return da_x, da_h, d_before


@_bug("df is computed with c instead of c', the one before the step", _lstm, in_cell)
def _c_of_this_step(cell: Any, d_state: State, cache: Any) -> Any:
    i, f, g, o, c_prev, tanh_c = cache
    return cell.backward(d_state, (i, f, g, o, f * c_prev + i * g, tanh_c))


@_bug("dc is not passed to the step before", lambda case: _carried(case) and _lstm(case), in_cell)
def _dc_not_carried(cell: Any, d_state: State, cache: Any) -> Any:
    da_x, da_h, (dh, dc) = cell.backward(d_state, cache)
    return da_x, da_h, (dh, np.zeros_like(dc))


@_bug("dh from the output overwrites dh from the next step, where the two should be added", _carried)
def _dh_overwritten(layer: Any) -> None:
    """No gradient reaches dh from the next step, neither directly through the cell nor through W_h."""

    def backward(cell: Any, d_state: State, cache: Any) -> tuple[Any, ...]:
        da_x, da_h, d_before = cell.backward(d_state, cache)
        return da_x, da_h, (np.zeros_like(d_before[0]), *d_before[1:])

    in_cell(backward)(layer)
    in_tape(lambda weights, tape: (weights._replace(W_h=np.zeros_like(weights.W_h)), tape))(layer)


@_bug("b_h gets no gradient", _biased, in_gradient)
def _bias_without_gradient(weights: Weights, tape: Any, d_weights: Weights, d_x: np.ndarray) -> Any:
    return d_weights if weights.b_h is None else d_weights._replace(b_h=np.zeros_like(weights.b_h)), d_x


@_bug("the bias gradient of one gate is a copy of another's", lambda case: _gated(case) and case.layer.bias)
def _bias_of_another_gate(layer: Any) -> None:
    gates = layer.cell.gates

    def change(weights: Weights, tape: Any, d_weights: Weights, d_x: np.ndarray) -> Any:
        if d_weights.b_x is None:
            return d_weights, d_x
        b_x = d_weights.b_x.copy()
        blocks = blocks_of(b_x, gates)
        blocks[0] = blocks[1]
        return d_weights._replace(b_x=b_x), d_x

    in_gradient(change)(layer)


@_bug(
    "dx of the reverse direction is left in reverse order",
    lambda case: _any_step(case) and case.layer.bidirectional and case.T > 1,
    in_gradient,
)
def _reverse_not_turned_back(weights: Weights, tape: Any, d_weights: Weights, d_x: np.ndarray) -> Any:
    return d_weights, d_x[::-1] if tape.reverse else d_x


@_bug("padded steps count in the gradient", _padded, in_tape)
def _padding_contributes(weights: Weights, tape: Any) -> tuple[Weights, Any]:
    return weights, tape._replace(valid=None)


@_bug(
    "weight gradients are averaged over steps and sequences",
    lambda case: _any_step(case) and case.T * case.B > 1,
    in_gradient,
)
def _mean_for_sum(weights: Weights, tape: Any, d_weights: Weights, d_x: np.ndarray) -> Any:
    T, _, B = d_x.shape
    return each(lambda W, dW: dW / (T * B))(weights, tape, d_weights, d_x)


@_bug("backward overwrites an array of the tape", _any_step, in_cell)
def _cache_overwritten(cell: Any, d_state: State, cache: Any) -> Any:
    result = cell.backward(d_state, cache)
    cache[len(cell.gates) - 1][...] = 0  # the last gate's value
    return result


@_bug(
    "backward applies the reset gate before the product, forward after it",
    lambda case: _gru(case) and (_carried(case) or case.layer.bias),  # else a_hn = 0
    in_cell,
)
def _reset_before(cell: Any, d_state: State, cache: Any) -> Any:
    """As if n = tanh(a_xn + W (r ⊙ h')): da_hn would then not be multiplied by r, and dr would contain h' for a_hn."""
    r, z, n, a_hn, h_prev = cache
    da_x, da_h, d_before = cell.backward(d_state, (r, z, n, h_prev, h_prev))
    H = len(r)
    return da_x, np.concatenate([da_h[: 2 * H], da_x[2 * H :]]), d_before


@_bug(
    "backward draws the dropout mask again",
    lambda case: _any_step(case) and case.training and case.layer.dropout > 0 and case.layer.num_layers > 1,
)
def _mask_drawn_again(layer: Any) -> None:
    class MaskDrawnAgain(type(layer)):  # type: ignore[misc]  # of the layer that is given
        def backward(self, tape: Any, *args: Any, **options: Any) -> Any:
            again = [mask if mask is None else self._another(mask) for mask in tape.dropout]
            return super().backward(tape._replace(dropout=again), *args, **options)

        def _another(self, mask: np.ndarray) -> np.ndarray:
            drawn = mask
            while np.array_equal(drawn, mask):
                drawn = self._dropout_mask(self.dropout, mask.shape, True, self.rng)
            return drawn

    layer.__class__ = MaskDrawnAgain


@_bug("the gradient is clipped inside backward", _any_step, in_gradient)
def _clipped_inside(weights: Weights, tape: Any, d_weights: Weights, d_x: np.ndarray) -> Any:
    every = [dW for dW in d_weights[:5] if dW is not None] + list((d_weights.own or {}).values())
    norm = np.sqrt(sum((dW * dW).sum() for dW in every))
    factor = CLIP_NORM / norm if norm > CLIP_NORM else 1
    return each(lambda W, dW: dW * factor)(weights, tape, d_weights, d_x)


@_bug("the gradient's buffer starts from the weights", lambda case: True, in_gradient)
def _starts_from_weights(weights: Weights, tape: Any, d_weights: Weights, d_x: np.ndarray) -> Any:
    return each(lambda W, dW: W + dW)(weights, tape, d_weights, d_x)


@_bug("the last gate's gradient is computed but not stored", _any_step, in_cell)
def _gate_not_stored(cell: Any, d_state: State, cache: Any) -> Any:
    da_x, da_h, d_before = cell.backward(d_state, cache)
    H = len(da_x) // len(cell.gates)
    return tuple(np.concatenate([da[:-H], np.zeros_like(da[-H:])]) for da in (da_x, da_h)) + (d_before,)


@_bug("all gates are initialised with the same matrix", lambda case: len(case.gates) > 1)
def _gates_alike(layer: Any) -> None:
    for name, array in layer.params.items():
        if name.startswith(("weight_ih", "weight_hh")):
            blocks = blocks_of(array, layer.cell.gates)
            blocks[1:] = blocks[0]


@_bug("backward takes z for 1 - z", _gru, in_cell)
def _z_swapped(cell: Any, d_state: State, cache: Any) -> Any:
    r, z, n, a_hn, h_prev = cache
    da_x, da_h, d_before = cell.backward(d_state, (r, 1 - z, n, a_hn, h_prev))
    H = len(r)
    da_x[H : 2 * H] *= -1
    da_h[H : 2 * H] *= -1
    return da_x, da_h, d_before
