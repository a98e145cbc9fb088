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


def plant(name: str, layer: Any) -> Any:
    """Return a copy of ``layer`` that has the bug ``name`` of ``BUGS``."""
    layer = layer.astype(layer.dtype)
    layer.checkpoint_every = None  # several bugs are changes to what a tape keeps
    BUGS[name].plant(layer)
    return layer


# ---- the bugs ----


def _h_of_this_step(weights: Weights, tape: Any) -> tuple[Weights, Any]:
    return weights, tape._replace(slots=(np.roll(tape.slots[0], -1, axis=0), *tape.slots[1:]))


def _first_step_skipped(weights: Weights, tape: Any) -> tuple[Weights, Any]:
    T, _, B = tape.x.shape
    valid = np.ones((T, 1, B), bool) if tape.valid is None else tape.valid.copy()
    valid[0] = False
    return weights, tape._replace(valid=valid)


def _scaled(gates: str, slope: Callable[[np.ndarray], np.ndarray]) -> Callable[..., tuple[Any, ...]]:
    """Return a backward that multiplies the da of some gates by wrong slope / correct slope = ``slope(value)``."""

    def backward(cell: Any, d_state: State, cache: Any) -> tuple[Any, ...]:
        da_x, da_h, d_before = cell.backward(d_state, cache)
        da_x, da_h = da_x.copy(), da_h.copy()
        for da in (da_x, da_h):
            for gate, block, value in zip(cell.gates, blocks_of(da, cell.gates), cache):
                if gate in gates:
                    block *= slope(value)
        return da_x, da_h, d_before

    return backward


def _sigmoid_slope_of_value(s: np.ndarray) -> np.ndarray:
    return np.asarray(sigmoid(s) * (1 - sigmoid(s)) / (s * (1 - s)))


def _tanh_slope_twice(n: np.ndarray) -> np.ndarray:
    return np.asarray((1 - np.tanh(n) ** 2) / (1 - n * n))


def _tanh_twice(cell: Any, d_state: State, cache: Any) -> tuple[Any, ...]:
    da_x, da_h, d_before = _scaled("hgn", _tanh_slope_twice)(cell, d_state, cache)
    if cell.gates == "rzn":  # dr is a multiple of da_xn (26)
        for da in (da_x, da_h):
            blocks_of(da, "rzn")[0] *= _tanh_slope_twice(cache[2])
    return da_x, da_h, d_before


def _c_of_this_step(cell: Any, d_state: State, cache: Any) -> tuple[Any, ...]:
    i, f, g, o, c_prev, tanh_c = cache
    result: tuple[Any, ...] = cell.backward(d_state, (i, f, g, o, f * c_prev + i * g, tanh_c))
    return result


def _dc_not_carried(cell: Any, d_state: State, cache: Any) -> tuple[Any, ...]:
    da_x, da_h, (dh, dc) = cell.backward(d_state, cache)
    return da_x, da_h, (dh, np.zeros_like(dc))


def _dh_overwritten(layer: Any) -> None:
    """No gradient reaches dh from the next step, neither directly through the cell nor through W_h."""

    def backward(cell: Any, d_state: State, cache: Any) -> tuple[Any, ...]:
        da_x, da_h, d_before = cell.backward(d_state, cache)
        return da_x, da_h, (np.zeros_like(d_before[0]), *d_before[1:])

    in_cell(backward)(layer)
    in_tape(lambda weights, tape: (weights._replace(W_h=np.zeros_like(weights.W_h)), tape))(layer)


def _bias_without_gradient(
    weights: Weights, tape: Any, d_weights: Weights, d_x: np.ndarray
) -> tuple[Weights, np.ndarray]:
    return d_weights if weights.b_h is None else d_weights._replace(b_h=np.zeros_like(weights.b_h)), d_x


def _bias_of_another_gate(layer: Any) -> None:
    gates = layer.cell.gates

    def change(weights: Weights, tape: Any, d_weights: Weights, d_x: np.ndarray) -> tuple[Weights, np.ndarray]:
        if d_weights.b_x is None:
            return d_weights, d_x
        b_x = d_weights.b_x.copy()
        blocks = blocks_of(b_x, gates)
        blocks[0] = blocks[1]
        return d_weights._replace(b_x=b_x), d_x

    in_gradient(change)(layer)


def _cache_overwritten(cell: Any, d_state: State, cache: Any) -> tuple[Any, ...]:
    result: tuple[Any, ...] = cell.backward(d_state, cache)
    cache[len(cell.gates) - 1][...] = 0  # the last gate's value
    return result


def _reset_before(cell: Any, d_state: State, cache: Any) -> tuple[Any, ...]:
    """As if n = tanh(a_xn + W (r ⊙ h')): da_hn would then not be multiplied by r, and dr would contain h' for a_hn."""
    r, z, n, a_hn, h_prev = cache
    da_x, da_h, d_before = cell.backward(d_state, (r, z, n, h_prev, h_prev))
    H = len(r)
    return da_x, np.concatenate([da_h[: 2 * H], da_x[2 * H :]]), d_before


def _z_swapped(cell: Any, d_state: State, cache: Any) -> tuple[Any, ...]:
    r, z, n, a_hn, h_prev = cache
    da_x, da_h, d_before = cell.backward(d_state, (r, 1 - z, n, a_hn, h_prev))
    H = len(r)
    da_x[H : 2 * H] *= -1
    da_h[H : 2 * H] *= -1
    return da_x, da_h, d_before


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


def _clipped(weights: Weights, tape: Any, d_weights: Weights, d_x: np.ndarray) -> tuple[Weights, np.ndarray]:
    every = [dW for dW in d_weights[:5] if dW is not None] + list((d_weights.own or {}).values())
    norm = np.sqrt(sum((dW * dW).sum() for dW in every))
    factor = CLIP_NORM / norm if norm > CLIP_NORM else 1
    return each(lambda W, dW: dW * factor)(weights, tape, d_weights, d_x)


def _mean_for_sum(weights: Weights, tape: Any, d_weights: Weights, d_x: np.ndarray) -> tuple[Weights, np.ndarray]:
    T, _, B = d_x.shape
    return each(lambda W, dW: dW / (T * B))(weights, tape, d_weights, d_x)


def _gate_not_stored(cell: Any, d_state: State, cache: Any) -> tuple[Any, ...]:
    da_x, da_h, d_before = cell.backward(d_state, cache)
    H = len(da_x) // len(cell.gates)
    return tuple(np.concatenate([da[:-H], np.zeros_like(da[-H:])]) for da in (da_x, da_h)) + (d_before,)


def _gates_alike(layer: Any) -> None:
    for name, array in layer.params.items():
        if name.startswith(("weight_ih", "weight_hh")):
            blocks = blocks_of(array, layer.cell.gates)
            blocks[1:] = blocks[0]


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
    return case.gates == "ifgo"


def _gru(case: Case) -> bool:
    return case.gates == "rzn"


BUGS = {
    bug.name: bug
    for bug in [
        Bug(
            "h-of-this-step",
            "dW_h is summed with the state after each step, not before it",
            in_tape(_h_of_this_step),
            _any_step,
        ),
        Bug("first-step-skipped", "the loop going back stops before t = 0", in_tape(_first_step_skipped), _any_step),
        Bug(
            "sigmoid-slope-of-value",
            "the slope of the sigmoid is taken at its value instead of its argument",
            in_cell(_scaled("ifoorz", _sigmoid_slope_of_value)),
            _gated,
        ),
        Bug(
            "tanh-twice",
            "the slope of tanh is taken at tanh(a) instead of a",
            in_cell(_tanh_twice),
            lambda case: _any_step(case) and not _relu(case),
        ),
        Bug(
            "c-of-this-step",
            "df is computed with c instead of c', the one before the step",
            in_cell(_c_of_this_step),
            lambda case: _any_step(case) and _lstm(case),
        ),
        Bug(
            "dc-not-carried",
            "dc is not passed to the step before",
            in_cell(_dc_not_carried),
            lambda case: _carried(case) and _lstm(case),
        ),
        Bug(
            "dh-overwritten",
            "dh from the output overwrites dh from the next step, where the two should be added",
            _dh_overwritten,
            _carried,
        ),
        Bug(
            "bias-without-gradient",
            "b_h gets no gradient",
            in_gradient(_bias_without_gradient),
            lambda case: _any_step(case) and case.layer.bias,
        ),
        Bug(
            "bias-of-another-gate",
            "the bias gradient of one gate is a copy of another's",
            _bias_of_another_gate,
            lambda case: _gated(case) and case.layer.bias,
        ),
        Bug(
            "reverse-not-turned-back",
            "dx of the reverse direction is left in reverse order",
            in_gradient(lambda weights, tape, d_weights, d_x: (d_weights, d_x[::-1] if tape.reverse else d_x)),
            lambda case: _any_step(case) and case.layer.bidirectional and case.T > 1,
        ),
        Bug(
            "padding-contributes",
            "padded steps count in the gradient",
            in_tape(lambda weights, tape: (weights, tape._replace(valid=None))),
            _padded,
        ),
        Bug(
            "mean-for-sum",
            "weight gradients are averaged over steps and sequences",
            in_gradient(_mean_for_sum),
            lambda case: _any_step(case) and case.T * case.B > 1,
        ),
        Bug(
            "cache-overwritten",
            "backward overwrites an array of the tape",
            in_cell(_cache_overwritten),
            _any_step,
        ),
        Bug(
            "reset-before",
            "backward applies the reset gate before the product, forward after it",
            in_cell(_reset_before),
            lambda case: _gru(case) and (_carried(case) or _any_step(case) and case.layer.bias),
        ),  # else a_hn = 0
        Bug(
            "mask-drawn-again",
            "backward draws the dropout mask again",
            _mask_drawn_again,
            lambda case: _any_step(case) and case.training and case.layer.dropout > 0 and case.layer.num_layers > 1,
        ),
        Bug("clipped-inside", "the gradient is clipped inside backward", in_gradient(_clipped), _any_step),
        Bug(
            "starts-from-weights",
            "the gradient's buffer starts from the weights",
            in_gradient(each(lambda W, dW: W + dW)),
            lambda case: True,
        ),
        Bug(
            "gate-not-stored",
            "the last gate's gradient is computed but not stored",
            in_cell(_gate_not_stored),
            _any_step,
        ),
        Bug(
            "gates-alike",
            "all gates are initialised with the same matrix",
            _gates_alike,
            lambda case: len(case.gates) > 1,
        ),
        Bug(
            "z-swapped", "backward takes z for 1 - z", in_cell(_z_swapped), lambda case: _any_step(case) and _gru(case)
        ),
    ]
}
