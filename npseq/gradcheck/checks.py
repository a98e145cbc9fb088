"""Gradient checks so strict that a wrong gradient cannot pass.

    check_layer(npseq.LSTM(3, 4)).assert_ok()       a layer
    check_cell(MyCell).assert_ok()                  a cell of your own (the contract is in cells.py)
    check(f, grad, {"x": x, "w": w}).assert_ok()    any function

Complex step (Squire & Trapp, SIAM Review 40, 1998): for f analytic and real on the reals,

    df/dx_j = Im f(x + i h e_j) / h + O(h²)

Nothing is subtracted, so h may be 1e-30 and the derivative is exact to rounding: a correct gradient agrees to 1e-15,
and the default threshold is 1e-13. The textbook's central difference, (f(x + h) − f(x − h)) / 2h, is there as
``method="central"``; it loses half the digits to cancellation.

A gradient is called wrong only if f is analytic: where the complex step disagrees with the gradient, or a random
direction disagrees with the complex step, central differences are computed too. If they disagree with the complex step
the verdict is "unchecked", and the report says which line of f drops the imaginary part.

Numbers such as (52) are those of the equations in ``docs/derivation.md``.

``python -m npseq.gradcheck`` checks every layer of npseq, and with ``--break NAME`` shows what a known bug looks like.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..bptt import Cell
from ..nn import own_parameters
from ..nn.flat import accepted
from ..nn.recurrent import Recurrent
from . import rounding, second_order
from .adapters import Adapter, drawn
from .cases import RANGES, CellCase, changed_d_state
from .judge import THRESHOLD, judge, threshold_of, unread_by_forward, unused_arrays
from .layer_case import SCALES, Case, LayerCase, prepared
from .result import Result

__all__ = ["THRESHOLD", "check", "check_cell", "check_initialisation", "check_layer", "check_model"]


def check(
    subject: Any,
    grad: Callable[..., Mapping[str, np.ndarray]] | None = None,
    arrays: Mapping[str, Any] | None = None,
    *,
    shapes: Mapping[str, Any] | None = None,
    method: str = "complex",
    threshold: float | None = None,
    steps_of: str | None = None,
    order: int = 1,
    rng: Any = 0,
    **options: Any,
) -> Result:
    """Check a gradient: of a function, a layer, a cell, or an object with ``forward`` and ``backward``.

    Args:
        subject: ``f(**arrays)`` -> a number. For the complex step it receives complex128 arrays, so it must be
            analytic: no ``abs``, no conjugate, no ``float``, no array of a fixed real dtype. Otherwise the verdict is
            "unchecked". Or, without ``grad``: a function that returns the number and the gradients; a layer (then as
            ``check_layer``, which takes the ``options``); a cell (``check_cell``); an ``Adapter``.
        grad: ``grad(**arrays)`` -> name -> gradient, in float64. Every array needs one.
        arrays: name -> array of real numbers.
        shapes: name -> shape, in place of ``arrays``: they are then drawn at random.
        method: ``"complex"``, or ``"central"`` for functions that do not accept complex numbers.
        threshold: the largest relative error that passes; 1e-13 for the complex step, 1e-6 for central differences.
            Where rounding alone explains a larger one, that is a note.
        steps_of: name of an array whose first axis is time; its errors are then reported by time step too.
        order: 2 to check the gradient's own derivative too: the complex step through ``grad``, a Hessian-vector
            product, against differences.
        rng: generator or seed.

    Returns:
        Result.

    Raises:
        ValueError: for another method, a gradient missing or of the wrong shape, or if f does not return a number.
        TypeError: for a subject of another kind.

    Example:
        >>> check(lambda x: (x * x).sum(), lambda x: {"x": 2 * x}, {"x": np.arange(3.0)}).ok
        True
    """
    if grad is None and arrays is None and shapes is None:
        if isinstance(subject, Adapter):
            subject, grad, arrays = subject.loss, subject.grad, subject.arrays
        elif hasattr(subject, "cell") and hasattr(subject, "params"):
            return check_layer(subject, order=order, method=method, threshold=threshold, rng=rng, **options)
        elif hasattr(subject, "gates") and hasattr(subject, "forward"):
            return check_cell(subject, method=method, threshold=threshold, rng=rng, **options)
        else:
            raise TypeError(
                f"{type(subject).__name__} given; a function with its gradient and arrays, a layer, a cell or an "
                "Adapter expected (for a model: check_model(model, batch))"
            )
    if options:
        raise TypeError(f"check of a function has no option {', '.join(options)}")
    arrays = drawn(shapes or {}, rng) if arrays is None else arrays
    f, grad = (subject, grad) if grad is not None else _split(subject)
    return _check_function(f, grad, arrays, method, threshold, steps_of, order)


def _split(both: Callable[..., Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return the loss and the gradient of a function that returns both."""

    def found(arrays: Mapping[str, Any]) -> Any:
        value = both(**arrays)
        if not isinstance(value, tuple) or len(value) < 2 or not isinstance(value[1], Mapping):
            raise ValueError("without grad, a function that returns a number and a dict of gradients is expected")
        return value

    return lambda **arrays: found(arrays)[0], lambda **arrays: found(arrays)[1]


def _check_function(
    f: Callable[..., Any],
    grad: Callable[..., Any],
    given_arrays: Mapping[str, Any],
    method: str,
    threshold: float | None,
    steps_of: str | None,
    order: int,
) -> Result:
    threshold = threshold_of(method, threshold)
    arrays = {name: np.asarray(array, np.float64) for name, array in given_arrays.items()}
    given = grad(**{name: array.copy() for name, array in arrays.items()})
    if not isinstance(given, Mapping):
        raise ValueError(f"grad returned {type(given).__name__}; a dict from names to gradients expected")
    missing = [name for name in arrays if name not in given]
    if missing:
        raise ValueError(f"grad returned no gradient for {', '.join(missing)}; it has {', '.join(given) or 'none'}")

    def make(dtype: type) -> tuple[Any, ...]:
        changed: dict[str, np.ndarray] = {name: array.astype(dtype) for name, array in arrays.items()}
        return lambda: _number(f(**changed)), changed

    def rounding_of() -> Mapping[str, np.ndarray]:
        return rounding.of_gradient(grad, arrays, {name: np.asarray(given[name]) for name in arrays})

    first = {name: given[name] for name in arrays}
    result = judge(make, [first], method, threshold, steps_of, rounding_of=rounding_of)
    result.faults += unused_arrays(make, result)
    result.faults += second_order.faults(grad, arrays) if order > 1 else []
    from . import explain

    explain.function(result, steps_of, (f, grad, arrays))
    return result


def _number(value: Any) -> Any:
    if np.ndim(value):
        raise ValueError(f"f returned an array of shape {np.shape(value)}; a number expected")
    return value


def check_cell(
    cell: Cell,
    *,
    hidden_size: int = 4,
    batch: int = 3,
    method: str = "complex",
    threshold: float | None = None,
    rng: Any = 0,
) -> Result:
    """Check a cell with the contract of ``cells.py``: one step by itself, then carried through time by ``bptt.py``.

    One step: the loss is Σ S ⊙ state with random S on every array of the new state; checked are the gradients with
    respect to a_x, a_h, the state before (``h_prev``, …) and the cell's own parameters, and that backward, called
    twice, returns the same twice. Through time: as ``check_layer`` does, in a layer of one direction.

    Args:
        cell: a class (or an instance) with ``gates``, ``state``, ``forward`` and ``backward``.
        hidden_size, batch: H and B.
        method, threshold: as for ``check``.
        rng: generator or seed.

    Returns:
        Result.

    Raises:
        ValueError: if an array that forward or backward returns does not have the shape of the contract.
    """
    threshold = threshold_of(method, threshold)
    own_parameters.check_declaration(cell)
    rng = np.random.default_rng(rng)
    case = CellCase(cell, hidden_size, batch, rng)
    calls, error = case.calls()
    result = judge(case.make, calls, method, threshold, None, error, lambda: case.rounding(calls[0]))
    backward_is_wrong = result.verdict == "wrong"
    unread_by_forward(result, cell, case.step)
    from . import explain

    explain.cell(case, result, backward_is_wrong)
    if result.right:
        result.faults += at_ranges(cell, hidden_size, batch, method, threshold)
    over_time = LayerCase(Case(prepared(case.layer, rng), 4, batch), rng)
    result.merge(_check_layer(over_time, method, threshold, 1, rng, named=backward_is_wrong))
    return result


def at_ranges(
    cell: Cell, hidden_size: int = 4, batch: int = 3, method: str = "complex", threshold: float | None = None
) -> list[str]:
    """Return a line for each range of pre-activations in which the gradient of a cell is wrong."""
    lines = []
    for span in RANGES:
        case = CellCase(cell, hidden_size, batch, np.random.default_rng(0), span)
        with np.errstate(all="ignore"):
            calls, error = case.calls()
            if error is not None or not all(np.isfinite(part).all() for part in case.step.forward(cell)[0]):
                continue  # such values may be outside of what the cell is for
            excuse = functools.partial(case.rounding, calls[0])
            result = judge(case.make, calls, method, threshold_of(method, threshold), rounding_of=excuse)
        if result.verdict == "wrong":
            lines.append(f"with pre-activations up to ±{span:g}: {result.wrong_arrays()}")
    return lines


def check_layer(
    layer: Any,
    *,
    T: int = 7,
    B: int = 3,
    lengths: Any = None,
    with_state: bool = True,
    training: bool = False,
    method: str = "complex",
    threshold: float | None = None,
    rng: Any = 0,
    order: int = 1,
) -> Result:
    """Check a layer with the contract of ``Recurrent``, at its own weights, in float64.

    The loss is Σ R ⊙ y + Σ S ⊙ state, equation (54), with random R on every step (in the padding too, where it must
    not count) and random S on the final state. x and the initial state are random, and in the copy that is checked the
    biases (and a learned initial state, and the cell's own parameters) are changed at random, so that none of them is
    zero: a zero hides an error. Checked are all parameters, x and the initial state, that backward called twice returns
    the same twice, that it leaves the parameters and its arguments as they were, that its other forms (without dy,
    without d_state, ``need_dx=False``) and the layer's inference agree with it, and that forward reads everything it
    is given.

    Args:
        layer: a ``Recurrent``; it is not changed.
        T, B, lengths: time steps, sequences, and the length of each (None: T).
        with_state: False gives no initial state: zeros, or the learned one.
        training: True for dropout, with the same masks in every pass.
        method, threshold: as for ``check``.
        rng: generator or seed.
        order: 2 to check the complex step through backward too.

    Returns:
        Result, whose ``steps`` has an entry for each time step of x.
    """
    rng = np.random.default_rng(rng)
    case = LayerCase(Case(prepared(layer, rng), T, B, lengths, with_state, training), rng)
    return _check_layer(case, method, threshold_of(method, threshold), order, rng)


def _check_layer(
    case: LayerCase, method: str, threshold: float, order: int, rng: np.random.Generator, named: bool = False
) -> Result:
    """Check a layer; ``named`` says that what is wrong has been named already."""
    y, _, tape = case.forward(case.layer)
    before = [array.copy() for array in case.read_only()]
    calls, error = case.calls(tape)
    unchanged = all(map(np.array_equal, case.read_only(), before))
    result = judge(case.make, calls, method, threshold, "x", error, lambda: case.rounding(calls[0]))
    result.faults += [] if unchanged else ["backward has changed the parameters or its arguments"]
    if result.right:
        result.faults += _other_forms(case, tape)
    backward_is_wrong = result.verdict == "wrong"
    if order > 1 and error is None:
        result.faults += second_order.faults(case.gradient_at, case.make(np.float64)[1])
    unread_by_forward(result, case.layer.cell, case.step())
    from . import explain

    other_forward = explain.layer(case, result, rng, y, backward_is_wrong, named)
    if result.right:
        result.notes += changed_d_state(case.layer.cell, case.step())
        result.faults += _other_outputs(case, y, threshold, with_stream=not other_forward)
    return result


def _near(a: np.ndarray, b: np.ndarray, threshold: float = 1e-12) -> bool:
    return bool(np.abs(a - b).max() <= max(threshold, 1e-12) * max(1.0, np.abs(b).max()))


def _other_forms(case: LayerCase, tape: Any) -> list[str]:
    """Return what is wrong with ``backward`` called in its other forms. The gradient is linear in dy and d_state."""
    layer, R, S = case.layer, *case.given[2:]
    assert R is not None and S is not None
    faults, grads = [], layer.backward(tape, R, S)[2]
    if not np.array_equal(grads.theta, np.concatenate([grads[name].reshape(-1) for name in layer.params])):
        faults.append("grads.theta is not the named gradients one after another")
    if not _near(layer.backward(tape, R, S, need_dx=False)[2].theta, grads.theta):
        faults.append("backward with need_dx=False returns another gradient")
    parts = layer.backward(tape, R, None)[2].theta, layer.backward(tape, None, S)[2].theta
    if not _near(parts[0] + parts[1], grads.theta):
        faults.append("the gradients without d_state and without dy do not add up to that with both")
    for scale in SCALES:
        scaled = tuple(scale * part for part in S) if isinstance(S, tuple) else scale * S
        other = layer.backward(tape, scale * R, scaled)[2]
        names = [name for name in layer.params if not _near(other[name] / scale, grads[name])]
        if names:
            faults.append(
                f"backward is not linear: with dy and d_state times {scale:.0e} the gradient of {', '.join(names)} is "
                f"not {scale:.0e} times as large, as if something were clipped, rounded or compared with a number"
            )
    return faults


def _other_outputs(case: LayerCase, y: np.ndarray, threshold: float, with_stream: bool) -> list[str]:
    """Return what is wrong with the outputs of the layer run in other ways, and with what is in the padding."""
    inference, streamed = case.inference(), case.streamed() if with_stream else None
    ways = {"layer(x)": inference and inference[0], "layer.stream()": streamed}
    faults = [
        f"{way} returns another output than layer.forward(x)"
        for way, other in ways.items()
        if other is not None and not _near(other, y, threshold)
    ]
    names = ", ".join(case.changed_by_padding())
    text = f"padding contributes: with NaN past the end of the sequences {names} is not the same"
    return faults + ([text] if names else [])


def check_model(model: Any, batch: Any, *, method: str = "complex", threshold: float | None = None) -> Result:
    """Check the gradient of a model's loss with respect to every parameter: embedding, encoder and head.

    Args:
        model: a ``Module``, or anything with its ``astype``, ``params``, ``named``, ``loss_and_grad`` and ``loss_of``;
            without dropout.
        batch: x (an array or a tuple of arrays), target and lengths, and weights if there are any, as for
            ``loss_and_grad``.
        method, threshold: as ``check``.

    Returns:
        Result. Errors as ``check``.
    """
    model = model.astype(np.float64)
    x, *rest = batch
    batch = tuple(map(_double, x)) if isinstance(x, tuple) else _double(x), *rest
    twins: dict[Any, Any] = {}

    def holding(arrays: Mapping[str, np.ndarray]) -> Any:
        dtype = next(iter(arrays.values())).dtype
        twin = twins.setdefault(dtype, model.astype(dtype))
        for name, array in arrays.items():
            twin.params[name][...] = array
        return twin

    def loss(**arrays: np.ndarray) -> Any:
        return holding(arrays).loss_of(batch)

    def grad(**arrays: np.ndarray) -> Any:
        twin = holding(arrays)
        return twin.named(twin.loss_and_grad(batch, **accepted(twin.loss_and_grad, training=False))[1])

    result = check(loss, grad, model.params, method=method, threshold=threshold)
    if isinstance(getattr(model, "rnn", None), Recurrent):
        from . import explain

        explain.model(result, model.rnn)
    return result


def _double(array: Any) -> Any:
    """Return floats in float64, and integers, which are indices, as they are."""
    array = np.asarray(array)
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def check_initialisation(layer: Any) -> list[str]:
    """Check that no two gates are initialised with the same matrix, a fault that no gradient check reveals.

    Returns:
        a line for each weight matrix of which two gate blocks are equal; empty if there is none.
    """
    lines, gates = [], layer.cell.gates
    for name, array in layer.params.items():
        if name.startswith(("weight_ih", "weight_hh")):
            pairs = itertools.combinations(zip(gates, np.split(array, len(gates))), 2)
            alike = [f"{a} and {b}" for (a, block), (b, other) in pairs if np.array_equal(block, other)]
            lines += [f"{name}: gates are initialised with the same matrix: {', '.join(alike)}"] if alike else []
    return lines
