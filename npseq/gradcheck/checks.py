"""Gradient checks so strict that a wrong gradient cannot pass.

    check_layer(npseq.LSTM(3, 4)).assert_ok()       a layer
    check_cell(MyCell).assert_ok()                  a cell of your own (the contract is in cells.py)
    check(f, grad, {"x": x, "w": w}).assert_ok()    any function

Complex step (Squire & Trapp, SIAM Review 40, 1998): for f analytic and real on the reals,

    df/dx_j = Im f(x + i h e_j) / h + O(h²)

Nothing is subtracted, so h may be 1e-30 and the derivative is exact to rounding: a right gradient agrees to 1e-15, and
the default threshold is 1e-13. The textbook's central difference, (f(x + h) − f(x − h)) / 2h, is there as
``method="central"``; it loses half the digits to cancellation.

Numbers such as (52) are those of the equations in ``docs/derivation.md``.

``python -m npseq.gradcheck`` checks every layer of npseq, and with ``--break NAME`` shows what a known bug looks like.
"""

import itertools

import numpy as np

from ..nn.recurrent import Recurrent
from . import planted_bugs
from .diagnosis import known_bugs, patterns
from .numerical import numerical_gradient
from .result import Result, compare, largest

THRESHOLD = {"complex": 1e-13, "central": 1e-6}


def check(f, grad, arrays, *, method="complex", threshold=None, steps_of=None):
    """Check a gradient of any function.

    Args:
        f: ``f(**arrays)`` -> a number. It is given complex128 arrays for the complex step, so on its way there must be
            no ``abs``, no conjugate, no ``float``.
        grad: ``grad(**arrays)`` -> name -> gradient, in float64. Every array needs one.
        arrays: name -> array of real numbers.
        method: ``"complex"``, or ``"central"`` for functions that cannot be given complex numbers.
        threshold: the largest relative error that passes; 1e-13 for the complex step, 1e-6 for central differences.
        steps_of: name of an array whose first axis is time; its errors are then reported by time step too.

    Returns:
        Result.

    Raises:
        ValueError: for another method, or a gradient missing or of the wrong shape.

    Example:
        >>> check(lambda x: (x * x).sum(), lambda x: {"x": 2 * x}, {"x": np.arange(3.0)}).ok
        True
    """
    threshold = _threshold(method, threshold)
    arrays = {name: np.asarray(array, np.float64) for name, array in arrays.items()}
    given = grad(**{name: array.copy() for name, array in arrays.items()})
    changed = {name: array.astype(_dtype(method)) for name, array in arrays.items()}
    expected = numerical_gradient(lambda: f(**changed), changed, method)
    missing = [name for name in arrays if name not in given]
    if missing:
        raise ValueError(f"grad returned no gradient for {', '.join(missing)}; it has {', '.join(given) or 'none'}")
    result = _result([{name: given[name] for name in arrays}], expected, threshold, method, steps_of)
    if not result.ok:
        result.diagnosis = patterns(result, given, expected, {}, steps_of)
    return result


def check_cell(cell, *, hidden_size=4, batch=3, method="complex", threshold=None, rng=0):
    """Check a cell with the contract of ``cells.py``: one step by itself, then carried through time by ``bptt.py``.

    One step: the loss is Σ S ⊙ state with random S on every array of the new state; checked are the gradients with
    respect to a_x, a_h and the state before (``h_prev``, …), and that backward, called twice, gives the same twice.
    Through time: as ``check_layer`` does, in a layer of one direction.
    """
    threshold = _threshold(method, threshold)
    rng = np.random.default_rng(rng)
    shape = (hidden_size, batch)
    rows = (len(cell.gates) * hidden_size, batch)
    before = [letter + "_prev" for letter in cell.state]
    arrays = {"a_x": rng.standard_normal(rows), "a_h": rng.standard_normal(rows)}
    arrays.update({name: rng.standard_normal(shape) for name in before})
    S = tuple(rng.standard_normal(shape) for _ in cell.state)

    def forward(arrays):
        return cell.forward(arrays["a_x"], arrays["a_h"], tuple(arrays[name] for name in before))

    def gradients(cache):
        da_x, da_h, d_state = cell.backward(S, cache)
        return {name: np.array(d) for name, d in zip(arrays, (da_x, da_h, *d_state))}

    cache = forward(arrays)[1]
    given, again = gradients(cache), gradients(cache)
    changed = {name: array.astype(_dtype(method)) for name, array in arrays.items()}

    def loss():
        return sum((s * new).sum() for s, new in zip(S, forward(changed)[0]))

    expected = numerical_gradient(loss, changed, method)
    result = _result([given, again], expected, threshold, method)
    if not result.ok:
        result.diagnosis = patterns(result, given, expected, {"a_x": cell.gates, "a_h": cell.gates})

    name = getattr(cell, "__name__", type(cell).__name__)  # an instance may be a cell too
    layer = type(f"{name}Layer", (Recurrent,), {"cell": cell})(2, hidden_size, rng=rng)
    carried = check_layer(layer, T=4, B=batch, method=method, threshold=threshold, rng=rng)
    result.arrays.update(carried.arrays)
    result.steps = carried.steps
    result.faults += carried.faults
    result.diagnosis += carried.diagnosis
    return result


def _near(a, b, threshold=1e-12):
    return np.abs(a - b).max() <= max(threshold, 1e-12) * max(1.0, np.abs(b).max())


def _other_forms(layer, tape, R, S):
    """What is wrong with ``backward`` called in its other forms. The gradient is linear in dy and d_state."""
    faults, grads = [], layer.backward(tape, R, S)[2]
    if not np.array_equal(grads.theta, np.concatenate([grads[name].reshape(-1) for name in layer.params])):
        faults.append("grads.theta is not the named gradients one after another")
    if not _near(layer.backward(tape, R, S, need_dx=False)[2].theta, grads.theta):
        faults.append("backward with need_dx=False gives another gradient")
    parts = layer.backward(tape, R, None)[2].theta, layer.backward(tape, None, S)[2].theta
    if not _near(parts[0] + parts[1], grads.theta):
        faults.append("the gradients without d_state and without dy do not add up to that with both")
    return faults


def check_layer(
    layer, *, T=7, B=3, lengths=None, with_state=True, training=False, method="complex", threshold=None, rng=0
):
    """Check a layer with the contract of ``Recurrent``, at its own weights, in float64.

    The loss is Σ R ⊙ y + Σ S ⊙ state with random R on every step (in the padding too, where it must not count) and
    random S on the final state. x and the initial state are random, and in the copy that is checked the biases (and a
    learned initial state) are drawn anew, so that none of them is zero: a zero hides an error. Checked are all
    parameters, x and the initial state, that backward called twice gives the same twice, that it leaves the parameters
    and its arguments as they were, and that its other forms (without dy, without d_state, ``need_dx=False``) and the
    layer's inference fit to it.

    Args:
        T, B, lengths: time steps, sequences, and the length of each (None: T).
        with_state: False gives no initial state: zeros, or the learned one.
        training: True for dropout, with the same masks in every pass.
        method, threshold: as ``check``.
        rng: generator or seed.

    Returns:
        Result, whose ``steps`` has an entry for each time step of x.
    """
    threshold = _threshold(method, threshold)
    rng = np.random.default_rng(rng)
    layer = layer.astype(np.float64)
    for name, array in layer.params.items():
        if name.startswith(("bias", "h_0", "c_0")):
            array[...] = rng.uniform(-1, 1, array.shape)
    x = rng.standard_normal((T, B, layer.input_size))
    runs, letters = layer.num_layers * layer.num_directions, layer.cell.state
    S = [rng.standard_normal((runs, B, size)) for size in layer.state_sizes()]
    state = [rng.standard_normal(s.shape) for s in S] if with_state else []
    R = rng.standard_normal((T, B, layer.num_directions * layer.output_size))
    mask_seed = int(rng.integers(2**31))

    def as_given(array):
        return array.swapaxes(0, 1) if layer.batch_first else array

    def joined(parts):
        return None if not parts else parts[0] if len(parts) == 1 else tuple(parts)

    def forward(layer, x, state):
        masks = np.random.default_rng(mask_seed)
        return layer.forward(as_given(x), joined(state), lengths, training=training, rng=masks)

    def gradients(layer, tape):
        dx, d_state, grads = layer.backward(tape, as_given(R), joined(S))
        found = {name: grads[name] for name in layer.params}
        found["x"] = as_given(dx)
        if with_state:
            found.update(zip(letters, d_state if len(letters) > 1 else (d_state,)))
        return {name: np.array(d) for name, d in found.items()}

    y, _, tape = forward(layer, x, state)
    read_only = [layer.theta, x, R, *S, *state]
    before = [array.copy() for array in read_only]
    given, again = gradients(layer, tape), gradients(layer, tape)
    unchanged = all(map(np.array_equal, read_only, before))

    changed = layer.astype(_dtype(method))
    arrays = dict(changed.params, x=x.astype(changed.dtype))
    if with_state:
        arrays.update(zip(letters, [s.astype(changed.dtype) for s in state]))

    def loss():
        y, end, _ = forward(changed, arrays["x"], [arrays[letter] for letter in letters] if with_state else [])
        end = end if len(letters) > 1 else (end,)
        return (as_given(R) * y).sum() + sum((s * e).sum() for s, e in zip(S, end))  # (54)

    expected = numerical_gradient(loss, arrays, method)
    result = _result([given, again], expected, threshold, method, "x")
    if not unchanged:
        result.faults.append("backward has changed the parameters or its arguments")
    if result.ok:
        result.faults += _other_forms(layer, tape, as_given(R), joined(S))
        if not training and not _near(layer(as_given(x), joined(state), lengths)[0], y, threshold):
            result.faults.append("layer(x) gives another output than layer.forward(x)")
    if not result.ok:
        padding = None if lengths is None else np.arange(T)[:, None] >= np.asarray(lengths)
        gates = {name: layer.cell.gates for name in given if name.startswith(("weight_ih", "weight_hh", "bias"))}
        case = planted_bugs.Case(layer, T, B, lengths, with_state, training)
        result.diagnosis = known_bugs(
            case, given, expected, lambda layer: gradients(layer, forward(layer, x, state)[2])
        )
        result.diagnosis += patterns(result, given, expected, gates, "x", padding)
        if not result.diagnosis and T > 1:  # a pattern that later steps blur may be plain in one step
            single = check_layer(layer, T=1, B=B, with_state=with_state, training=training, method=method, rng=rng)
            result.diagnosis = [f"with T = 1: {line}" for line in single.diagnosis]
    return result


def check_initialisation(layer):
    """Two gates that start from one matrix stay alike in ways nobody wants, and no gradient shows it.

    Returns:
        a line for each weight matrix of which two gate blocks are equal; empty when all is well.
    """
    lines = []
    for name, array in layer.params.items():
        if name.startswith(("weight_ih", "weight_hh")):
            blocks = dict(zip(layer.cell.gates, np.split(array, len(layer.cell.gates))))
            alike = [
                f"{a} and {b}" for a, b in itertools.combinations(blocks, 2) if np.array_equal(blocks[a], blocks[b])
            ]
            if alike:
                lines.append(f"{name}: gates start from one matrix: {', '.join(alike)}")
    return lines


def _threshold(method, threshold):
    if method not in THRESHOLD:
        raise ValueError(f"method must be 'complex' or 'central'; {method!r} given")
    return THRESHOLD[method] if threshold is None else threshold


def _dtype(method):
    return np.complex128 if method == "complex" else np.float64


def _result(calls, expected, threshold, method, steps_of=None):
    """The worst of the gradients that backward gave, called once or twice."""
    arrays = {
        name: max((compare(name, given[name], expected[name]) for given in calls), key=lambda found: found.error)
        for name in expected
    }
    result = Result(arrays, threshold, method)
    if steps_of is not None:
        given, true = calls[0][steps_of], expected[steps_of]
        result.steps = [compare(f"{steps_of}[{t}]", given[t], true[t], largest(true)) for t in range(len(true))]
    differ = [name for name in expected if not np.array_equal(calls[0][name], calls[-1][name], equal_nan=True)]
    if differ:
        result.faults.append(f"backward called twice gives two different gradients of {', '.join(differ)}")
    return result
