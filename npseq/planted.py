"""Wrong gradients, each by the name of its bug: what the checker must catch, and what it compares a wrong gradient with.

Every one was found in published code (thinc, neon, learn_dl, nicklashansen/rnn_lstm_from_scratch, nicodjimenez/lstm,
MXNet, …) or is the like of one that was. ``plant(name, layer)`` gives a copy of a right layer with the bug in it. Bugs are
planted in backward alone: the forward pass stays right, so that there is a right gradient to compare with.
"""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Callable

import numpy as np

from . import bptt
from .cells import GRUCell, LSTMCell, ReLURNNCell, RNNCell, sigmoid
from .optim import clip_by_global_norm


@dataclass
class Bug:
    """``make(layer)`` puts the bug into a copy; ``acts(layer, T, B, lengths, training)``: can it be seen there?"""

    description: str
    make: Callable
    acts: Callable = lambda layer, T, B, lengths, training: True


def plant(name, layer):
    """A copy of ``layer`` with the bug of that name in its backward pass (or its initialisation)."""
    return BUGS[name].make(layer._copy())


# ---- bugs in a cell ----

def _in_cell(backward):
    """The cell's backward is replaced by ``backward(cell, d_state, cache)``."""
    def make(layer):
        cell = layer.cell
        layer.cell = type("Broken" + cell.__name__, (cell,),
                          {"backward": staticmethod(lambda d_state, cache: backward(cell, d_state, cache))})
        layer.through_time = bptt  # fused.py knows its cells by themselves
        return layer
    return make


def _sigmoid_of_gate(cell, d_state, cache):
    """σ'(a) taken as σ(s)(1 − σ(s)) with s = σ(a) already: each gate's da is off by that ratio."""
    da_x, da_h, d_prev = cell.backward(d_state, cache)
    da_x, da_h = da_x.copy(), da_h.copy()
    H = cache[0].shape[0]
    for k, letter in enumerate(cell.gates):
        if letter in "iforz":
            s = cache[k]
            ratio = sigmoid(s) * (1 - sigmoid(s)) / (s * (1 - s))
            da_x[k * H:(k + 1) * H] *= ratio
            da_h[k * H:(k + 1) * H] *= ratio
    return da_x, da_h, d_prev


def _tanh_twice(cell, d_state, cache):
    """tanh' taken at tanh(a) instead of a, which is 1 − tanh²(tanh a)."""
    if issubclass(cell, LSTMCell):
        *gates, c_prev, tanh_c = cache
        return cell.backward(d_state, (*gates, c_prev, np.tanh(tanh_c)))
    if issubclass(cell, RNNCell):
        return cell.backward(d_state, (np.tanh(cache[0]),))
    da_x, da_h, d_prev = cell.backward(d_state, cache)
    n, H = cache[2], len(cache[2])
    ratio = (1 - np.tanh(n) ** 2) / (1 - n * n)
    da_x, da_h = da_x.copy(), da_h.copy()
    da_x[2 * H:] *= ratio
    da_h[2 * H:] *= ratio
    return da_x, da_h, d_prev


def _c_off_by_one(cell, d_state, cache):
    i, f, g, o, c_prev, tanh_c = cache
    return cell.backward(d_state, (i, f, g, o, f * c_prev + i * g, tanh_c))


def _dc_not_carried(cell, d_state, cache):
    da_x, da_h, (dh, dc) = cell.backward(d_state, cache)
    return da_x, da_h, (dh, np.zeros_like(dc))


def _reset_before(cell, d_state, cache):
    """The derivative of n = tanh(a_xn + W_hn (r ⊙ h)): r is no factor of da_hn, and dr has h where a_hn belongs."""
    (dh,), (r, z, n, a_hn, h_prev) = d_state, cache
    da_x, da_h, d_prev = cell.backward(d_state, cache)
    H = len(r)
    da_n = da_x[2 * H:]
    da_r = da_n * h_prev * r * (1 - r)
    return np.concatenate([da_r, da_x[H:]]), np.concatenate([da_r, da_h[H:2 * H], da_n]), d_prev


def _not_stored(cell, d_state, cache):
    da_x, da_h, d_prev = cell.backward(d_state, cache)
    return np.zeros_like(da_x), np.zeros_like(da_h), d_prev


def _z_for_one_minus_z(cell, d_state, cache):
    r, z, *rest = cache
    return cell.backward(d_state, (r, 1 - z, *rest))


# ---- bugs in the loop ----

def _in_loop(backward):
    """``backward(cell, weights, tape, d_hs, d_state, need_dx)`` takes the place of ``bptt.backward_through_time``."""
    def make(layer):
        layer.through_time = SimpleNamespace(
            forward_through_time=bptt.forward_through_time,
            backward_through_time=lambda cell, weights, tape, d_hs, d_state, need_dx=True:
                backward(cell, weights, tape, d_hs, d_state))
        return layer
    return make


def _each_step(tape):
    """A tape of one step each, in the order of the steps; tapes of one segment only."""
    (segment,) = tape.segments
    for t in range(len(tape.x)):
        one = bptt.Segment(slice(0, 1), None, tuple(slot[t:t + 2] for slot in segment.slots), segment.caches[t:t + 1])
        valid = None if tape.valid is None else tape.valid[t:t + 1]
        yield bptt.Tape(tape.x[t:t + 1], valid, False, tape.h_mask, [one])


def _step_by_step(edit, skip=()):
    """BPTT one step at a time, with ``edit(d_state)`` before each step, and without the steps ``skip``."""
    def backward(cell, weights, tape, d_hs, d_state):
        T = len(tape.x)
        order = range(T)[::-1] if tape.reverse else range(T)
        d_x = np.zeros_like(tape.x)
        total = [None if W is None else np.zeros_like(W) for W in weights]
        for k, one in reversed(list(enumerate(_each_step(tape)))):
            if k in skip:
                continue
            d_weights, d_x[order[k]], d_state = (lambda a, b, c: (a, b[0], c))(
                *bptt.backward_through_time(cell, weights, one, d_hs[order[k]][None], edit(d_state)))
            for part, d in zip(total, d_weights):
                if part is not None:
                    part += d
        return bptt.Weights(*total), d_x, d_state
    return backward


def _h_of_this_step(cell, weights, tape, d_hs, d_state):
    """dW_h = Σ da_h h_tᵀ: the slots shifted by one."""
    segments = []
    for segment in tape.segments:
        h = segment.slots[0]
        segments.append(segment._replace(slots=(np.concatenate([h[1:], h[-1:]]), *segment.slots[1:])))
    return bptt.backward_through_time(cell, weights, tape._replace(segments=segments), d_hs, d_state)


def _one_bias_missing(cell, weights, tape, d_hs, d_state):
    d_weights, d_x, d_state = bptt.backward_through_time(cell, weights, tape, d_hs, d_state)
    return d_weights._replace(b_h=np.zeros_like(d_weights.b_h)), d_x, d_state


def _bias_of_another_gate(cell, weights, tape, d_hs, d_state):
    d_weights, d_x, d_state = bptt.backward_through_time(cell, weights, tape, d_hs, d_state)
    H = len(d_weights.b_x) // len(cell.gates)
    b_x = d_weights.b_x.copy()
    b_x[:H] = b_x[H:2 * H]
    return d_weights._replace(b_x=b_x), d_x, d_state


def _not_turned_back(cell, weights, tape, d_hs, d_state):
    d_weights, d_x, d_state = bptt.backward_through_time(cell, weights, tape, d_hs, d_state)
    return d_weights, d_x[::-1] if tape.reverse else d_x, d_state


def _padding_contributes(cell, weights, tape, d_hs, d_state):
    return bptt.backward_through_time(cell, weights, tape._replace(valid=None), d_hs, d_state)


def _mean_for_sum(cell, weights, tape, d_hs, d_state):
    d_weights, d_x, d_state = bptt.backward_through_time(cell, weights, tape, d_hs, d_state)
    T, _, B = tape.x.shape
    return bptt.Weights(*(None if d is None else d / (T * B) for d in d_weights)), d_x, d_state


def _cache_overwritten(cell, weights, tape, d_hs, d_state):
    result = bptt.backward_through_time(cell, weights, tape, d_hs, d_state)
    for segment in tape.segments:
        for cache, _ in segment.caches:
            cache[0][...] *= 0.5  # as if da had been written into the gate's own array
    return result


# ---- bugs in the layer ----

def _in_layer(backward):
    """``backward(right, layer, tape, dy, d_state)`` takes the place of the layer's ``backward``."""
    def make(layer):
        right = type(layer)
        layer.__class__ = type("Broken" + right.__name__, (right,), {
            "backward": lambda self, tape, dy, d_state=None, need_dx=True:
                backward(right.backward, self, tape, dy, d_state)})
        return layer
    return make


def _clipped_inside(right, layer, tape, dy, d_state):
    dx, d_state, grads = right(layer, tape, dy, d_state)
    clip_by_global_norm(grads.theta, 0.1)
    return dx, d_state, grads


def _from_the_weights(right, layer, tape, dy, d_state):
    dx, d_state, grads = right(layer, tape, dy, d_state)
    grads.theta += layer.theta
    return dx, d_state, grads


def _mask_drawn_again(right, layer, tape, dy, d_state):
    rng = np.random.default_rng(0)
    masks = [None if mask is None else layer._dropout_mask(layer.dropout, mask.shape, True, rng) for mask in tape.dropout]
    return right(layer, tape._replace(dropout=masks), dy, d_state)


def _one_matrix(layer):
    other = layer.astype(layer.dtype)
    for name, array in other.params.items():
        if name.startswith("weight_hh"):
            blocks = array.reshape(len(layer.cell.gates), -1)
            blocks[...] = blocks[0]
    return other


def _is(*cells):
    return lambda layer, T, B, lengths, training: issubclass(layer.cell, cells)


def _with_bias(layer, T, B, lengths, training):
    return layer.bias


BUGS = {
    "h-of-this-step": Bug("dW_h pairs da_t with h_t instead of h_{t−1}", _in_loop(_h_of_this_step)),
    "first-step-skipped": Bug("the step t = 0 is left out going back", _in_loop(_step_by_step(lambda d: d, skip=(0,)))),
    "sigmoid-of-gate": Bug("σ' is taken of the gate's value as if that were its pre-activation",
                           _in_cell(_sigmoid_of_gate), _is(LSTMCell, GRUCell)),
    "tanh-twice": Bug("tanh' is taken at tanh(a) instead of a", _in_cell(_tanh_twice), _is(RNNCell, LSTMCell, GRUCell)),
    "c-off-by-one": Bug("df uses c_t instead of c_{t−1}", _in_cell(_c_off_by_one), _is(LSTMCell)),
    "dc-not-carried": Bug("the cell state's gradient is not handed to the step before", _in_cell(_dc_not_carried),
                          _is(LSTMCell)),
    "dh-overwritten": Bug("dh of the step after is overwritten by the loss's instead of added to it",
                          _in_loop(_step_by_step(lambda d: (np.zeros_like(d[0]), *d[1:])))),
    "one-bias-missing": Bug("b_h gets no gradient", _in_loop(_one_bias_missing), _with_bias),
    "bias-of-another-gate": Bug("the first gate's bias gets the second gate's gradient", _in_loop(_bias_of_another_gate),
                                lambda layer, *_: layer.bias and len(layer.cell.gates) > 1),
    "reverse-not-turned-back": Bug("dx of the reverse direction stays in the order of its steps", _in_loop(_not_turned_back),
                                   lambda layer, T, *_: layer.bidirectional and T > 1),
    "padding-contributes": Bug("steps past a sequence's length contribute", _in_loop(_padding_contributes),
                               lambda layer, T, B, lengths, training: lengths is not None and min(lengths) < T),
    "mean-for-sum": Bug("the weight gradients are means over steps and sequences where the loss is a sum",
                        _in_loop(_mean_for_sum), lambda layer, T, B, *_: T * B > 1),
    "cache-overwritten": Bug("backward overwrites a cached array: the second call is wrong", _in_loop(_cache_overwritten)),
    "reset-before": Bug("the GRU's gradient of reset before the product, for reset after", _in_cell(_reset_before),
                        _is(GRUCell)),
    "mask-drawn-again": Bug("the dropout mask is drawn again in backward", _in_layer(_mask_drawn_again),
                            lambda layer, T, B, lengths, training: training and layer.dropout and layer.num_layers > 1),
    "clipped-inside": Bug("the gradient is clipped inside backward", _in_layer(_clipped_inside)),
    "starts-from-the-weights": Bug("the gradient buffer starts from the weights instead of zeros", _in_layer(_from_the_weights)),
    "not-stored": Bug("the gates' gradients are computed but never stored", _in_cell(_not_stored)),
    "one-matrix": Bug("all gates of W_h started from one matrix", _one_matrix, _is(LSTMCell, GRUCell)),
    "z-for-one-minus-z": Bug("z is taken for 1 − z in backward", _in_cell(_z_for_one_minus_z), _is(GRUCell)),
}


def place(name, layer, lengths):
    """The layer with the bug planted, and a configuration near the one given in which it acts: -> layer, lengths,
    training; layer is None where it cannot act."""
    training = name == "mask-drawn-again"
    if training:
        layer = type(layer)(layer.input_size, layer.hidden_size, max(layer.num_layers, 2), dropout=0.5,
                            bidirectional=layer.bidirectional, dtype=layer.dtype, rng=layer.rng)
    if not BUGS[name].acts(layer, 4, 4, lengths, training):
        return None, lengths, training
    return plant(name, layer), lengths, training


def recognise(layer, gradient, T, B, lengths, training):
    """Lines for the bugs whose gradient is the wrong one that ``layer`` gives.

    ``gradient(layer)`` -> name -> array. A right layer of the same kind is made from ``layer``'s parameters, each bug
    that acts is planted into it, and its gradient compared. A cell that npseq does not know is taken as right itself.
    """
    def right():
        base = layer._copy()
        base.__dict__.pop("through_time", None)
        base.__dict__.pop("cell", None)
        kinds = [k for k in type(layer).__mro__ if not k.__name__.startswith("Broken")]
        base.__class__ = kinds[0]
        if "cell" in layer.__dict__:
            base.cell = next(k for k in layer.cell.__mro__ if not k.__name__.startswith("Broken"))
        base.through_time = bptt
        return base

    found = gradient(layer)
    lines = []
    for name, bug in BUGS.items():
        base = right()
        if name in ("one-matrix", "cache-overwritten") or not bug.acts(base, T, B, lengths, training):
            continue
        try:
            wrong = gradient(bug.make(base))
        except ValueError:  # a foreign cell's cache is not what the bug expects
            continue
        if all(np.allclose(wrong[k], found[k], rtol=1e-9, atol=1e-12 * (np.abs(found[k]).max() or 1.0)) for k in found):
            lines.append(f"this is exactly the gradient of the bug {name}: {bug.description}")
    return lines
