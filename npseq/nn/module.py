"""All parameters of a model as one flat vector θ with named views into it, and their gradients likewise.

An optimiser step is then a few vector operations for the whole model, the global norm is one dot product, a complex
step adds one number to one element, and gradients are sent between processes as one message.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from .parameters import draws

DTYPES = np.float32, np.float64, np.complex128

Shapes = Mapping[str, tuple[int, ...]]
Self = TypeVar("Self", bound="Module")


class Gradients(dict[str, np.ndarray]):
    """name -> gradient, each a view into the flat vector ``theta`` (in the order of the parameters).

    Args:
        shapes: name -> shape of each parameter.
        theta: (n,), as many elements as the parameters have.

    Raises:
        ValueError: if theta has another number of elements.
    """

    def __init__(self, shapes: Shapes, theta: np.ndarray) -> None:
        super().__init__(_views(shapes, theta))
        self.theta = theta

    def __reduce__(self) -> tuple[Any, ...]:
        # pickle and deepcopy copy each array separately, so the views are rebuilt
        return type(self), ({name: view.shape for name, view in self.items()}, self.theta)


class Module:
    """Base class of everything with parameters.

    Args:
        shapes: name -> shape of each parameter, in torch's names and order.
        dtype: float32, float64 or complex128.

    Attributes:
        theta: (n,), all parameters as one flat vector.
        params: name -> parameter, a view into theta.

    Raises:
        TypeError: if the dtype is another one.
    """

    def __init__(self, shapes: Shapes, dtype: Any) -> None:
        self.shapes = dict(shapes)
        self._adopt(np.zeros(sum(map(math.prod, self.shapes.values())), _checked(dtype)))

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the parameters."""
        return self.theta.dtype

    def bind(self, theta: np.ndarray) -> None:
        """Move the parameters into ``theta``, a flat vector (or a slice of one) of matching size.

        The current values are copied. A model binds its parts to consecutive slices of one vector.
        """
        if draws():
            theta[...] = self.theta
        self._adopt(theta)

    def _adopt(self, theta: np.ndarray) -> None:
        """Take ``theta`` as the vector of the parameters, with its values, and build the views into it."""
        self.theta, self.params = theta, _views(self.shapes, theta)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("params", "_weights")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # pickle and deepcopy copy each array separately, so the views are rebuilt
        vars(self).update(state)
        self._adopt(self.theta if self.theta.flags.writeable else self.theta.copy())  # a file mapped into memory is not

    def astype(self: Self, dtype: Any) -> Self:
        """Return a copy in another dtype, with its own flat vector and its own generator in the same state, if any.

        Raises:
            TypeError: if the dtype is not float32, float64 or complex128.
        """
        other = self._copy()
        other._adopt(self.theta.astype(_checked(dtype)))
        return other

    def _copy(self: Self) -> Self:
        other = copy.copy(self)
        vars(other)["rng"] = copy.deepcopy(getattr(self, "rng", None))
        return other

    def new_gradients(self) -> Gradients:
        """Return a zeroed gradient buffer for all parameters. Assign to its entries; do not accumulate into them."""
        return Gradients(self.shapes, np.zeros_like(self.theta))

    def named(self, theta: np.ndarray) -> dict[str, np.ndarray]:
        """Return name -> view into ``theta``, any flat vector of the parameters' size, such as a gradient."""
        return _views(self.shapes, theta)

    def to_torch_convention(self, name: str, array: np.ndarray) -> np.ndarray:
        """Convert one parameter between npseq's and torch's convention (the conversion is its own inverse).

        Only the GRU overrides this.
        """
        return array

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return name -> a copy of each parameter, in torch's names, shapes, convention and order."""
        return {name: np.array(self.to_torch_convention(name, array)) for name, array in self.params.items()}

    def load_state_dict(self, mapping: Mapping[str, Any], prefix: str = "", strict: bool = True) -> None:
        """Load the parameters from a state_dict.

        Args:
            mapping: name -> array, in torch's convention.
            prefix: the parameters' names in ``mapping`` start with this; names that do not are ignored.
            strict: True if every parameter, and no other name, must stand under the prefix; otherwise missing and
                unexpected names are ignored.

        Raises:
            ValueError: with every missing and unexpected name, and every array of another shape or of something else
                than numbers (real ones, for real parameters), in one message. Nothing is changed then.
        """
        given = {name[len(prefix) :]: value for name, value in mapping.items() if name.startswith(prefix)}
        faults: list[str] = []
        arrays: dict[str, np.ndarray] = {}
        missing = [name for name in self.shapes if name not in given]
        unexpected = [name for name in given if name not in self.shapes]
        if strict and missing:
            faults.append("missing: " + ", ".join(prefix + name for name in missing))
        if strict and unexpected:
            faults.append("unexpected: " + ", ".join(prefix + name for name in unexpected))
        kinds = "fiubc" if self.dtype.kind == "c" else "fiub"
        for name, shape in self.shapes.items():
            if name in given:
                arrays[name] = array = np.asarray(given[name])
                if array.shape != shape:
                    faults.append(f"wrong shape: {prefix}{name} is {array.shape}, expected {shape}")
                if array.dtype.kind not in kinds:
                    faults.append(f"wrong dtype: {prefix}{name} is {array.dtype}, the parameters are {self.dtype}")
        if faults:
            raise ValueError(f"cannot load into {self!r}: " + "; ".join(faults))
        for name, array in arrays.items():
            self.params[name][...] = self.to_torch_convention(name, array)


def _checked(dtype: Any) -> np.dtype[Any]:
    checked: np.dtype[Any] = np.dtype(dtype)
    if checked not in DTYPES:
        raise TypeError(f"dtype {checked} given; float32, float64 or complex128 expected")
    return checked


def _views(shapes: Shapes, theta: np.ndarray) -> dict[str, np.ndarray]:
    views, start = {}, 0
    for name, shape in shapes.items():
        end = start + math.prod(shape)
        views[name] = theta[start:end].reshape(shape)
        start = end
    if start != theta.size:
        raise ValueError(f"a flat vector of {theta.size} elements given; {start} expected")
    return views
