"""All parameters of a model as one flat vector θ with named views into it, and their gradients likewise.

An optimiser step is then a few vector operations for the whole model, the global norm is one dot product, a complex
step is one scalar added to one element, and gradients travel between processes as one message.
"""

import copy
import math

import numpy as np

DTYPES = np.float32, np.float64, np.complex128


class Gradients(dict):
    """name -> gradient, each a view into the flat vector ``theta`` (in the order of the parameters)."""

    def __init__(self, shapes, theta):
        super().__init__(_views(shapes, theta))
        self.theta = theta


class Module:
    """Something with parameters: ``theta`` (flat), ``params`` (name -> view into theta), ``state_dict``."""

    def __init__(self, shapes, dtype):
        self.shapes = dict(shapes)
        self._adopt(np.zeros(sum(map(math.prod, self.shapes.values())), _checked(dtype)))

    @property
    def dtype(self):
        return self.theta.dtype

    def bind(self, theta):
        """Keep the parameters in ``theta``, a flat vector (or a part of one) of the right size, from now on.

        The present values are copied there. A model binds its parts to consecutive parts of one vector.
        """
        theta[...] = self.theta
        self._adopt(theta)

    def _adopt(self, theta):
        self.theta, self.params = theta, _views(self.shapes, theta)

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if name not in ("params", "_weights")}

    def __setstate__(self, state):  # pickle and deepcopy copy arrays one by one: the views are made anew
        vars(self).update(state)
        self._adopt(self.theta)

    def astype(self, dtype):
        """A copy in another dtype, with a flat vector (and, where there is one, a generator in the same state) of its
        own."""
        other = self._copy()
        other._adopt(self.theta.astype(_checked(dtype)))
        return other

    def _copy(self):
        other = copy.copy(self)
        other.rng = copy.deepcopy(getattr(self, "rng", None))
        return other

    def new_gradients(self):
        """Room for the gradients of every parameter, to be assigned to, never added to: it starts from zeros."""
        return Gradients(self.shapes, np.zeros_like(self.theta))

    def named(self, theta):
        """name -> view into ``theta``, any flat vector of the parameters' size, such as a gradient."""
        return _views(self.shapes, theta)

    def _to_torch(self, name, array):
        """One parameter in torch's sense. Its own inverse. Only the GRU differs."""
        return array

    def state_dict(self):
        """name -> a copy of each parameter in torch's names, shapes and sense, in torch's order."""
        return {name: np.array(self._to_torch(name, array)) for name, array in self.params.items()}

    def load_state_dict(self, mapping, prefix="", strict=True):
        """Take every parameter from ``mapping`` (name -> array, in torch's sense), under names that start with
        ``prefix``.

        With ``strict`` there must be no other name under the prefix; without it missing and unexpected names are passed
        over. Nothing is changed unless everything fits.

        Raises:
            ValueError: with every missing, unexpected and wrongly shaped name in one message.
        """
        given = {name[len(prefix) :]: value for name, value in mapping.items() if name.startswith(prefix)}
        faults, arrays = [], {}
        missing = [name for name in self.shapes if name not in given]
        unexpected = [name for name in given if name not in self.shapes]
        if strict and missing:
            faults.append("missing: " + ", ".join(prefix + name for name in missing))
        if strict and unexpected:
            faults.append("unexpected: " + ", ".join(prefix + name for name in unexpected))
        for name, shape in self.shapes.items():
            if name in given:
                arrays[name] = array = np.asarray(given[name])
                if array.shape != shape:
                    faults.append(f"wrong shape: {prefix}{name} is {array.shape}, expected {shape}")
        if faults:
            raise ValueError(f"cannot load into {self!r}: " + "; ".join(faults))
        for name, array in arrays.items():
            self.params[name][...] = self._to_torch(name, array)


def _checked(dtype):
    dtype = np.dtype(dtype)
    if dtype not in DTYPES:
        raise TypeError(f"dtype {dtype} given; float32, float64 or complex128 expected")
    return dtype


def _views(shapes, theta):
    views, start = {}, 0
    for name, shape in shapes.items():
        end = start + math.prod(shape)
        views[name] = theta[start:end].reshape(shape)
        start = end
    if start != theta.size:
        raise ValueError(f"a flat vector of {theta.size} elements given; {start} expected")
    return views
