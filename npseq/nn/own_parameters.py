"""A cell's own parameters, and the shapes of what its functions return: the contract of ``cells.py``, checked."""

from __future__ import annotations

import inspect
import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from ..bptt import Cell, State

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

TAKEN = "weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr", "a_x", "a_h"


def own_shapes(cell: Cell, **sizes: int) -> dict[str, tuple[int, ...]]:
    """Return name -> shape of the cell's own parameters, empty if it declares none.

    Args:
        cell: a class with the contract of ``cells.py``.
        sizes: the legend's letters and their values: H, G, I, P.

    Raises:
        ValueError: for a declaration that is not as ``cells.py`` says.
    """
    return {name: _shape(cell, name, text, sizes) for name, text in (getattr(cell, "own", None) or {}).items()}


def check_declaration(cell: Cell) -> None:
    """Check the attributes of a cell: ``gates``, ``state``, ``own`` and ``own_init`` if it has them, and the arguments
    of its functions.

    Raises:
        ValueError: with one sentence that names the attribute, what is given and what is expected.
    """
    missing = [name for name in ("gates", "state", "forward", "backward") if not hasattr(cell, name)]
    if missing:
        raise ValueError(
            f"{cell_name(cell)} has no {', '.join(missing)}; a class with gates, state, forward and backward expected"
        )
    for name, example in (("gates", "'ifgo'"), ("state", "'hc'")):
        letters = getattr(cell, name)
        are_texts = isinstance(letters, (str, tuple, list)) and all(isinstance(letter, str) for letter in letters)
        if not are_texts or not letters or len(set(letters)) < len(letters):
            raise ValueError(f"{cell_name(cell)}.{name} is {letters!r}; different letters such as {example} expected")
    if "x" in cell.state:
        raise ValueError(f"{cell_name(cell)}.state is {cell.state!r}; letters other than x, the input's, expected")
    own, initial = (getattr(cell, name, None) for name in ("own", "own_init"))
    for name, value in (("own", own), ("own_init", initial)):
        if value is not None and not isinstance(value, dict):
            raise ValueError(f"{cell_name(cell)}.{name} is {value!r}; a dict with the names of parameters expected")
    unknown = [name for name in initial or () if name not in (own or ())]
    if unknown:
        declared = ", ".join(own or ()) or "nothing"
        raise ValueError(f"{cell_name(cell)}.own_init has {', '.join(map(str, unknown))}; own declares {declared}")
    extra = ("own",) if own else ()
    _check_arguments(cell, "forward", ("a_x", "a_h", "state", *extra))
    _check_arguments(cell, "backward", ("d_state", "cache", *extra))


def _check_arguments(cell: Cell, name: str, expected: tuple[str, ...]) -> None:
    """Check that a function of a cell can be called with the arguments of the contract."""
    function = getattr(cell, name)
    if not callable(function):
        raise ValueError(f"{cell_name(cell)}.{name} is {function!r}; a function of {', '.join(expected)} expected")
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):  # not written in Python
        return
    try:
        signature.bind(*expected)
    except TypeError:
        wanted = f"({', '.join(expected)}) expected"
        if "self" in signature.parameters:
            wanted += ": a @staticmethod, or an instance of the class as the cell"
        raise ValueError(f"{cell_name(cell)}.{name} takes {signature}; {wanted}") from None


def _shape(cell: Cell, name: str, text: Any, sizes: dict[str, int]) -> tuple[int, ...]:
    taken = (*TAKEN, *(f"{letter}_prev" for letter in cell.state))
    if not isinstance(name, str) or not name.isidentifier() or name in taken or re.search(r"_l\d+(_reverse)?$", name):
        raise ValueError(
            f"{cell_name(cell)}.own: {name!r} given; a name in letters, digits and underscores expected, other than "
            f"{', '.join(taken)}, and without the number of a layer (_l0) at its end"
        )
    if text == "":
        return ()
    factors = [[factor.strip() for factor in re.split(r"[·*]", size)] for size in str(text).split(",")]
    if not all(factor in sizes or factor.isdecimal() and int(factor) for size in factors for factor in size):
        raise ValueError(
            f"{cell_name(cell)}.own: the shape of {name} is {text!r}; sizes such as 'H', 'G·H', 'H,H' or '2*H' "
            f"expected, of the letters {', '.join(sizes)} and numbers, or '' for a single number"
        )
    return tuple(math.prod(sizes.get(factor) or int(factor) for factor in size) for size in factors)


def initial_value(cell: Cell, name: str, shape: tuple[int, ...], rng: np.random.Generator, bound: float) -> np.ndarray:
    """Return the initial value of a parameter: that of ``own_init``, or U(−bound, bound).

    Raises:
        ValueError: if ``own_init`` does not give a finite number or an array of the parameter's shape.
    """
    value = (getattr(cell, "own_init", None) or {}).get(name)
    if value is None:
        return rng.uniform(-bound, bound, shape)
    try:
        array = np.asarray(value(rng, shape) if callable(value) else value)
    except Exception as error:
        raise ValueError(
            f"{cell_name(cell)}.own_init: the function of {name} fails for (rng, {shape}): "
            f"{type(error).__name__}: {error}"
        ) from error
    if array.shape not in ((), shape) or array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise ValueError(
            f"{cell_name(cell)}.own_init: the value of {name} is {array.dtype} of shape {array.shape}; a finite number "
            f"or an array of finite numbers of shape {shape} expected"
        )
    return array


def cell_name(cell: Cell) -> str:
    """Return the name of a cell: of the class, also where the cell is an object."""
    return getattr(cell, "__name__", type(cell).__name__)


# ---- what a cell's functions must return ----


def check_forward(
    cell: Cell, H: int, P: int, B: int, dtype: DTypeLike, own: dict[str, np.ndarray] | None
) -> tuple[State, Any]:
    """Run one step of a cell on random arrays and check the shapes that forward returns.

    Args:
        cell: a class with the contract of ``cells.py``.
        H, P, B: rows of the state, rows of the first array of the state (P with projection, else H), and columns.
        dtype, own: of the arrays; the cell's own parameters, or None.

    Returns:
        the new state and the cache.

    Raises:
        ValueError: with one sentence that names the function, what it returned and what is expected.
    """
    rng, where = np.random.default_rng(0), f"{cell_name(cell)}.forward"
    a_x, a_h = (rng.standard_normal((len(cell.gates) * H, B)).astype(dtype) for _ in range(2))
    state = tuple(rng.standard_normal((H if k else P, B)).astype(dtype) for k in range(len(cell.state)))
    extra = () if own is None else (own,)
    with np.errstate(all="ignore"):
        try:
            returned = cell.forward(a_x, a_h, state, *extra)
        except Exception as error:
            raise ValueError(
                f"{where} fails for a_x {a_x.shape}, a_h {a_h.shape}, state {_shapes(state)}"
                f"{_own_text(own)}: {type(error).__name__}: {error}"
            ) from error
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise ValueError(f"{where} returns {_shapes(returned)}; two values expected, the new state and the cache")
    new_state, cache = returned
    expected = ((H, B),) * len(cell.state)
    if not isinstance(new_state, tuple) or tuple(map(np.shape, new_state)) != expected:
        raise ValueError(
            f"{where} returns a new state of shape {_shapes(new_state)}; a tuple ({', '.join(cell.state)}) of shape "
            f"{_text(expected)} expected"
        )
    return new_state, cache


def check_backward(cell: Cell, H: int, P: int, B: int, dtype: DTypeLike, own: dict[str, np.ndarray] | None) -> None:
    """Run one step of a cell on random arrays and check the shapes that backward returns; arguments as above.

    Raises:
        ValueError: with one sentence that names the function, what it returned and what is expected.
    """
    new_state, cache = check_forward(cell, H, P, B, dtype, own)
    where, rows = f"{cell_name(cell)}.backward", (len(cell.gates) * H, B)
    count = 3 if own is None else 4
    with np.errstate(all="ignore"):
        try:
            returned = cell.backward(new_state, cache, *(() if own is None else (own,)))
        except Exception as error:
            raise ValueError(
                f"{where} fails for d_state {_shapes(new_state)} and the cache {_shapes(cache)} that forward returned: "
                f"{type(error).__name__}: {error}"
            ) from error
    if not isinstance(returned, tuple) or len(returned) != count:
        names = "da_x, da_h, d_state" + ("" if own is None else ", d_own")
        raise ValueError(f"{where} returns {_shapes(returned)}; {count} values expected: {names}")
    for name, d in zip(("da_x", "da_h"), returned):
        if np.shape(d) != rows:
            raise ValueError(f"{where} returns {name} of shape {_shapes(d)}; {rows} expected, as {name[1:]}")
    d_state = returned[2]
    expected = [((H, B),) if k else ((H, B), (P, B)) for k in range(len(cell.state))]
    if (
        not isinstance(d_state, tuple)
        or len(d_state) != len(expected)
        or any(np.shape(d) not in shapes for d, shapes in zip(d_state, expected))
    ):
        raise ValueError(
            f"{where} returns a d_state of shape {_shapes(d_state)}; a tuple ({', '.join(cell.state)}) of shape "
            f"{_text(((H, B),) * len(cell.state))} expected"
        )
    if own is not None:
        _check_own(where, returned[3], own)


def _check_own(where: str, d_own: Any, own: dict[str, np.ndarray]) -> None:
    if not isinstance(d_own, dict) or set(d_own) != set(own):
        given = ", ".join(d_own) if isinstance(d_own, dict) else type(d_own).__name__
        raise ValueError(f"{where} returns d_own with {given or 'nothing'}; a dict with {', '.join(own)} expected")
    for name, part in own.items():
        if np.shape(d_own[name]) != part.shape:
            raise ValueError(
                f"{where} returns a gradient of {name} of shape {np.shape(d_own[name])}; {part.shape} expected, summed "
                "over the columns"
            )


def _shapes(value: Any) -> str:
    """Return the shape of an array, or the shapes of the arrays in a tuple or a list."""
    if isinstance(value, list):
        return f"[{', '.join(map(_shapes, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(_shapes, value))}{',' if len(value) == 1 else ''})"
    return str(np.shape(value)) if isinstance(value, (np.ndarray, np.generic, float, int)) else type(value).__name__


def _text(shapes: tuple[tuple[int, ...], ...]) -> str:
    return f"({', '.join(map(str, shapes))}{',' if len(shapes) == 1 else ''})"


def _own_text(own: dict[str, np.ndarray] | None) -> str:
    return "" if own is None else f", own {', '.join(f'{name} {part.shape}' for name, part in own.items())}"
