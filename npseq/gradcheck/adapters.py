"""Other people's code in the form that ``check`` takes: a loss, its gradient, and named arrays."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]


class Adapter:
    """An object with ``forward`` and ``backward`` that keeps its parameters and gradients in attributes.

    The loss is Σ R ⊙ forward(x) with random R, so backward is called with R. The object itself is not changed.

    Args:
        net: the object.
        x: the argument of forward, an array; its gradient is what backward returns, unless that is None.
        params, grads: names of attributes with a dict or a list of arrays of the same keys, or lists of names of
            attributes that are arrays: ``params=["Wxh", "Whh"], grads=["dWxh", "dWhh"]``.
        forward, backward: names of the methods.
        rng: generator or seed of R.

    Raises:
        AttributeError: if there is no such attribute.
        ValueError: if the numbers of parameters and gradients differ.
    """

    def __init__(
        self,
        net: Any,
        x: Any,
        *,
        params: str | Sequence[str] = "params",
        grads: str | Sequence[str] = "grads",
        forward: str = "forward",
        backward: str = "backward",
        rng: Any = 0,
    ) -> None:
        self.net, self.names = net, (params, grads, forward, backward)
        self.x = np.asarray(x)
        self.R = np.random.default_rng(rng).standard_normal(np.shape(self._called(net, self.x)))
        self.arrays: Arrays = {name: np.array(a, np.float64) for name, a in _kept(net, params).items()}
        if self.x.dtype.kind == "f":
            self.arrays["x"] = self.x.astype(np.float64)
        used = copy.deepcopy(net)
        self._called(used, self.x)
        self.returns_dx = getattr(used, backward)(self.R) is not None
        counts = len(_kept(net, params)), len(_kept(used, grads))
        if counts[0] != counts[1]:
            raise ValueError(f"{counts[0]} parameters in {params!r} and {counts[1]} gradients in {grads!r}")
        if not self.returns_dx:
            self.arrays.pop("x", None)

    def _called(self, net: Any, x: np.ndarray) -> Any:
        return getattr(net, self.names[2])(x)

    def _with(self, arrays: Mapping[str, np.ndarray]) -> tuple[Any, np.ndarray]:
        """Return a copy of the object that has other parameters, and x."""
        net, of_x = copy.deepcopy(self.net), {"x"} & self.arrays.keys()
        _keep(net, self.names[0], {name: array for name, array in arrays.items() if name not in of_x})
        return net, arrays.get("x", self.x)

    def loss(self, **arrays: np.ndarray) -> Any:
        """Return Σ R ⊙ forward(x)."""
        net, x = self._with(arrays)
        return (self.R * self._called(net, x)).sum()

    def grad(self, **arrays: np.ndarray) -> Arrays:
        """Return name -> gradient that backward has left, and of x the one that it returns."""
        net, x = self._with(arrays)
        self._called(net, x)
        dx = getattr(net, self.names[3])(self.R.copy())
        names = [name for name in self.arrays if name != "x"]
        found = dict(zip(names, _kept(net, self.names[1]).values()))
        if "x" in self.arrays:
            found["x"] = dx[0] if isinstance(dx, tuple) else dx
        return found


def _kept(net: Any, where: str | Sequence[str]) -> dict[str, Any]:
    """Return name -> array of the arrays in an attribute, or in several."""
    if not isinstance(where, str):
        return {name: getattr(net, name) for name in where}
    value = getattr(net, where)
    if isinstance(value, Mapping):
        return dict(value)
    return {f"{where}_{k}": array for k, array in enumerate(value)}


def _keep(net: Any, where: str | Sequence[str], arrays: Mapping[str, np.ndarray]) -> None:
    """Put arrays in place of those of an attribute, or of several."""
    if not isinstance(where, str):
        for name, array in arrays.items():
            setattr(net, name, array)
        return
    value = getattr(net, where)
    if isinstance(value, Mapping):
        value.update(arrays)  # type: ignore[attr-defined]  # a dict
    else:
        for k, array in enumerate(arrays.values()):
            value[k] = array


def drawn(shapes: Mapping[str, Sequence[int]], rng: Any = 0) -> Arrays:
    """Return name -> standard normal numbers of that shape."""
    rng = np.random.default_rng(rng)
    return {name: rng.standard_normal(tuple(shape)) for name, shape in shapes.items()}
