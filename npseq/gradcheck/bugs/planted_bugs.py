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
from .planting import Bug, in_blocks, in_cell, in_gradient, in_tape, in_weights

__all__ = ["BUGS", "CLIP_NORM", "Bug", "Case", "plant"]

CLIP_NORM = 0.1  # bound of the planted clipping
Arrays = dict[str, np.ndarray]  # gate letter -> block
BUGS: dict[str, Bug] = {}


def plant(name: str, layer: Any) -> Any:
    """Return a copy of ``layer`` that has the bug ``name`` of ``BUGS``."""
    layer = layer.astype(layer.dtype)
    layer.checkpoint_every = None  # several bugs are changes to what a tape keeps
    BUGS[name].plant(layer)
    return layer


# ---- the cases in which a bug changes something ----


def _padded(case: Case) -> bool:
    lengths = np.array([case.T] if case.lengths is None else case.lengths)
    zero = not (NEEDS["tanh"](case) or case.layer.bias or case.with_state)  # relu(0) is 0, and so is its gradient
    return bool(((lengths < case.T) & (lengths >= zero)).any())


NEEDS: dict[str, Callable[[Case], bool]] = {
    "step": lambda case: case.longest > 0,
    "state": lambda case: case.longest > (0 if case.with_state else 1),  # before a step, and not zero
    "padding": _padded,
    "gates": lambda case: len(case.gates) > 1,
    "lstm": lambda case: case.gates == "ifgo",
    "gru": lambda case: case.gates == "rzn",
    "tanh": lambda case: reference_of(case.layer.cell) is not reference.ReLURNNCell,
    "bias": lambda case: case.layer.bias,
    "a_hn": lambda case: NEEDS["state"](case) or case.layer.bias,
    "sum": lambda case: case.T * case.B > 1,
    "reverse": lambda case: case.layer.bidirectional and case.T > 1,
    "dropout": lambda case: case.training and case.layer.dropout > 0 and case.layer.num_layers > 1,
}


# ---- the bugs ----


def _bug(what: str, needs: str, place: Callable[[Any], Any] = lambda plant: plant) -> Callable[[Any], Any]:
    """Register a function as the bug of its name, planted in a place: what it does, and what it needs to act."""

    def register(change: Any) -> Any:
        name = change.__name__.strip("_").replace("_", "-")
        BUGS[name] = Bug(name, what, place(change), lambda case: all(NEEDS[word](case) for word in needs.split()))
        return change

    return register


@_bug("dW_h is summed with the state after each step, not before it", "step", in_tape)
def _h_of_this_step(weights: Weights, tape: Any) -> tuple[Weights, Any]:
    return weights, tape._replace(slots=(np.roll(tape.slots[0], -1, axis=0), *tape.slots[1:]))


@_bug("the loop going back stops before t = 0", "step", in_tape)
def _first_step_skipped(weights: Weights, tape: Any) -> tuple[Weights, Any]:
    T, _, B = tape.x.shape
    valid = np.ones((T, 1, B), bool) if tape.valid is None else tape.valid.copy()
    valid[0] = False
    return weights, tape._replace(valid=valid)


@_bug("the slope of the sigmoid is taken at its value instead of its argument", "step gates", in_blocks)
def _sigmoid_slope_of_value(da: Arrays, values: Arrays) -> Arrays:
    logistic = {gate: s for gate, s in values.items() if gate in "ifozr"}
    return {gate: da[gate] * (sigmoid(s) * (1 - sigmoid(s)) / (s * (1 - s))) for gate, s in logistic.items()}


@_bug("the slope of tanh is taken at tanh(a) instead of a", "step tanh", in_blocks)
def _tanh_twice(da: Arrays, values: Arrays) -> Arrays:
    ratios = {gate: (1 - np.tanh(n) ** 2) / (1 - n * n) for gate, n in values.items() if gate in "hgn"}
    if "".join(da) == "rzn":
        ratios["r"] = ratios["n"]  # dr is a multiple of da_xn (26)
    return {gate: da[gate] * ratio for gate, ratio in ratios.items()}


@_bug("df is computed with c instead of c', the one before the step", "step lstm", in_cell)
def _c_of_this_step(cell: Any, d_state: State, cache: Any) -> Any:
    i, f, g, o, c_prev, tanh_c = cache
    return cell.backward(d_state, (i, f, g, o, f * c_prev + i * g, tanh_c))


@_bug("dc is not passed to the step before", "state lstm", in_cell)
def _dc_not_carried(cell: Any, d_state: State, cache: Any) -> Any:
    da_x, da_h, (dh, dc) = cell.backward(d_state, cache)
    return da_x, da_h, (dh, np.zeros_like(dc))


@_bug("dh from the output overwrites dh from the next step, where the two should be added", "state")
def _dh_overwritten(layer: Any) -> None:
    """No gradient reaches dh from the next step, neither directly through the cell nor through W_h."""

    def backward(cell: Any, d_state: State, cache: Any) -> tuple[Any, ...]:
        da_x, da_h, d_before = cell.backward(d_state, cache)
        return da_x, da_h, (np.zeros_like(d_before[0]), *d_before[1:])

    in_cell(backward)(layer)
    in_tape(lambda weights, tape: (weights._replace(W_h=np.zeros_like(weights.W_h)), tape))(layer)


@_bug("b_h gets no gradient", "step bias", in_gradient)
def _bias_without_gradient(weights: Weights, tape: Any, d_weights: Weights, d_x: np.ndarray) -> Any:
    return d_weights if d_weights.b_h is None else d_weights._replace(b_h=np.zeros_like(d_weights.b_h)), d_x


@_bug("the bias gradient of one gate is a copy of another's", "step gates bias")
def _bias_of_another_gate(layer: Any) -> None:
    gates = layer.cell.gates

    def change(weights: Weights, tape: Any, d_weights: Weights, d_x: np.ndarray) -> Any:
        if d_weights.b_x is None:
            return d_weights, d_x
        first, second, *others = blocks_of(d_weights.b_x, gates)
        return d_weights._replace(b_x=np.concatenate([second, second, *others])), d_x

    in_gradient(change)(layer)


@_bug("dx of the reverse direction is left in reverse order", "step reverse", in_gradient)
def _reverse_not_turned_back(weights: Weights, tape: Any, d_weights: Weights, d_x: np.ndarray) -> Any:
    return d_weights, d_x[::-1] if tape.reverse else d_x


@_bug("padded steps count in the gradient", "padding", in_tape)
def _padding_contributes(weights: Weights, tape: Any) -> tuple[Weights, Any]:
    return weights, tape._replace(valid=None)


@_bug("weight gradients are averaged over steps and sequences", "step sum", in_weights)
def _mean_for_sum(W: np.ndarray, dW: np.ndarray, d_weights: Weights, d_x: np.ndarray) -> Any:
    return dW / (len(d_x) * d_x.shape[2])


@_bug("backward overwrites an array of the tape", "step", in_cell)
def _cache_overwritten(cell: Any, d_state: State, cache: Any) -> Any:
    result = cell.backward(d_state, cache)
    cache[len(cell.gates) - 1][...] = 0  # the last gate's value
    return result


@_bug("backward applies the reset gate before the product, forward after it", "step gru a_hn", in_cell)
def _reset_before(cell: Any, d_state: State, cache: Any) -> Any:
    """As if n = tanh(a_xn + W (r ⊙ h')): da_hn would then not be multiplied by r, and dr would contain h' for a_hn."""
    r, z, n, a_hn, h_prev = cache
    da_x, da_h, d_before = cell.backward(d_state, (r, z, n, h_prev, h_prev))
    H = len(r)
    return da_x, np.concatenate([da_h[: 2 * H], da_x[2 * H :]]), d_before


@_bug("backward draws the dropout mask again", "step dropout")
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


@_bug("the gradient is clipped inside backward", "step", in_weights)
def _clipped_inside(W: np.ndarray, dW: np.ndarray, d_weights: Weights, d_x: np.ndarray) -> Any:
    every = [d for d in d_weights[:5] if d is not None] + list((d_weights.own or {}).values())
    norm = np.sqrt(sum((d * d).sum() for d in every))
    return dW * (CLIP_NORM / norm) if norm > CLIP_NORM else dW


@_bug("the gradient's buffer starts from the weights", "", in_weights)
def _starts_from_weights(W: np.ndarray, dW: np.ndarray, d_weights: Weights, d_x: np.ndarray) -> Any:
    return W + dW


@_bug("the last gate's gradient is computed but not stored", "step", in_blocks)
def _gate_not_stored(da: Arrays, values: Arrays) -> Arrays:
    last = list(da)[-1]
    return {last: np.zeros_like(da[last])}


@_bug("all gates are initialised with the same matrix", "gates")
def _gates_alike(layer: Any) -> None:
    for name, array in layer.params.items():
        if name.startswith(("weight_ih", "weight_hh")):
            blocks = blocks_of(array, layer.cell.gates)
            blocks[1:] = blocks[0]


@_bug("backward takes z for 1 - z", "step gru", in_cell)
def _z_swapped(cell: Any, d_state: State, cache: Any) -> Any:
    r, z, *others = cache
    da_x, da_h, d_before = cell.backward(d_state, (r, 1 - z, *others))
    for da in (da_x, da_h):
        blocks_of(da, "rzn")[1] *= -1
    return da_x, da_h, d_before
