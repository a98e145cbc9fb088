"""All parameters of a model as one flat vector θ with named views into it, and their gradients likewise.

An optimiser step is then a few vector operations for the whole model, the global norm is one dot product, a complex
step adds one number to one element, and gradients are sent between processes as one message.

Every module has one protocol, whether it is a layer, a model or a user's own:

    y, tape = module.forward(x, …)            or  y, state, tape,  of a module that takes and returns a state
    dx, grads = module.backward(tape, dy, …)  or  dx, d_state, grads;  ``grads.theta`` is the flat vector
    y = module(x, …)                          or  y, state:  inference, without dropout
"""

from __future__ import annotations

import copy
import html
import math
import os
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from . import losses
from .flat import Gradients, Shapes, accepted, checked_dtype, entries, given, views_of
from .validation import as_array

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Self = TypeVar("Self", bound="Module")


class Tape(NamedTuple):
    """What backward needs of a module's forward pass: ``kept``, and the module that it is of."""

    kept: Any
    owner: bytes


class Module:
    """Base class of everything with parameters.

    Modules that are attributes of a module, or in lists, tuples or dicts of its attributes, are its parts. Their
    parameters follow its own in θ, under the attribute's name and a dot, and whatever is done to the module (copies,
    dtypes, state_dict, files, gradient checks) is done to them. θ is built when it, ``params`` or ``shapes`` is first
    asked for; all parts must be there by then. A subclass defines ``forward`` and ``backward``:

        class Net(npseq.Module):
            def __init__(self, rng=None):
                super().__init__(rnn=npseq.GRU(2, 8, batch_first=True, rng=rng), fc=npseq.Linear(8, 1, rng=rng))

            def forward(self, x):
                hs, _, rnn = self.rnn.forward(x)
                y, fc = self.fc.forward(hs)
                return y, (rnn, fc)

            def backward(self, tape, dy):
                rnn, fc = tape
                d_hs, d_fc = self.fc.backward(fc, dy)
                dx, _, d_rnn = self.rnn.backward(rnn, d_hs)
                return dx, self.new_gradients(rnn=d_rnn, fc=d_fc)

    Args:
        shapes: name -> shape of each parameter of the module itself, in torch's names and order; they start as zeros.
        dtype: float32, float64 or complex128; None for that of the parts, or float32.
        parts: modules, which become attributes of these names.

    Attributes:
        theta: (n,), all parameters as one flat vector. An assignment copies the values into it.
        params: name -> parameter, a view into theta.
        shapes: name -> shape of every parameter.
        loss: for ``loss_and_grad``: a name of ``losses.LOSSES``, or a function of (y, target, weights=…) that returns
            the loss and dy.
        every_step: True if y (B, T, …) has an output for every step, of which those past a sequence's length do not
            count in the loss; None: if there are lengths and y has three dimensions or more.

    Raises:
        TypeError: for another dtype, or parts of different dtypes.
        ValueError: for a part that belongs to another module already.
    """

    theta: np.ndarray
    params: dict[str, np.ndarray]
    shapes: dict[str, tuple[int, ...]]
    loss: Any = "mse"
    every_step: bool | None = None
    _made_by: tuple[list[Any], dict[str, Any]]  # the arguments of the constructor, without generators
    _identity: bytes  # what its tapes are known by; that of a copy or a pickle, which may be in another process, too
    _parts: dict[str, Module]  # name -> part, each once
    _slices: dict[str, slice]  # name of a part -> its slice of θ; also under further names of the same part

    def __new__(cls, *args: Any, **options: Any) -> Any:
        self = object.__new__(cls)
        given = [None if isinstance(value, np.random.Generator) else value for value in args]
        made_by = given, {name: value for name, value in options.items() if not isinstance(value, np.random.Generator)}
        vars(self).update(_identity=os.urandom(12), _made_by=made_by)
        return self

    def __init__(self, shapes: Shapes | None = None, dtype: Any = None, **parts: Module) -> None:
        vars(self)["_own"] = dict(shapes or {}), None if dtype is None else checked_dtype(dtype)
        for name, part in parts.items():
            setattr(self, name, part)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name == "shapes":
                vars(self)["shapes"] = self._shapes()
            elif name in ("theta", "params", "_parts", "_slices") and "theta" not in vars(self):
                self._adopt(np.zeros(sum(map(math.prod, self.shapes.values())), self.dtype))
            else:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            return vars(self)[name]

        def __setattr__(self, name: str, value: Any) -> None:
            if name == "theta" and name in vars(self):
                self.theta[...] = as_array("theta", value, "fiub" + "c" * (self.dtype.kind == "c"))  # params are views
                return
            if "shapes" in vars(self):
                known = list(_parts_of(self).values())
                if any(all(part is not one for one in known) for _, part in _modules(name, value)):
                    raise AttributeError(
                        f"{name} cannot become a part of {type(self).__name__} any more, whose parameters are one "
                        "vector already: assign parts before theta, params or shapes is used"
                    )
            super().__setattr__(name, value)

    def __repr__(self) -> str:
        parts = ", ".join(f"{name}={part!r}" for name, part in _parts_of(self).items())
        return f"{type(self).__name__}({parts or ', '.join(f'{name} {shape}' for name, shape in self.shapes.items())})"

    def _repr_html_(self) -> str:
        lines = [repr(self), *(f"{name} {shape}" for name, shape in self.shapes.items())]
        return f"<pre>{html.escape(chr(10).join(lines))}</pre>"

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """Return name -> shape of the module's own parameters and those of its parts."""
        own, parts = vars(self).get("_own", ({}, None))[0], _parts_of(self)
        below = {f"{name}.{n}": shape for name, part in parts.items() for n, shape in part.shapes.items()}
        return {name: tuple(shape) for name, shape in own.items() if name not in below} | below

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the parameters."""
        if "theta" in vars(self):
            return self.theta.dtype
        own, parts = vars(self).get("_own", ({}, None))[1], _parts_of(self)
        dtypes = {part.dtype for part in parts.values()} | ({own} if own else set())
        if len(dtypes) > 1:
            found = ", ".join(f"{name} {part.dtype}" for name, part in parts.items())
            raise TypeError(f"the parts of {type(self).__name__} must have one dtype, {own or 'any'}; {found} given")
        return dtypes.pop() if dtypes else np.dtype(np.float32)

    def bind(self, theta: np.ndarray) -> None:
        """Move the parameters into ``theta``, a flat vector (or a slice of one) of matching size.

        The current values are copied. A module binds its parts to consecutive slices of one vector.
        """
        theta[...] = self.theta if "theta" in vars(self) else 0
        self._adopt(theta)

    def _adopt(self, theta: np.ndarray) -> None:
        """Take ``theta`` as the vector of the parameters, with its values (the parts' are put into it), and build the
        views into it."""
        params, parts, slices = views_of(self.shapes, theta), _parts_of(self), {}
        for part in parts.values():
            owner = vars(part).get("_owner", lambda: None)()
            if owner is not None and owner is not self and vars(owner).get("theta") is not theta:
                raise ValueError(f"{part!r} is a part of a {type(owner).__name__} already: use a copy (copy.deepcopy)")
        end = theta.size
        for name, part in reversed(parts.items()):
            vars(part)["_owner"] = weakref.ref(self)
            slices[name] = slice(end - sum(map(math.prod, part.shapes.values())), end)
            part.bind(theta[slices[name]])
            end = slices[name].start
        for name, part in _modules("", _attributes(self)):
            slices.setdefault(name, next(slices[first] for first, one in parts.items() if one is part))
        vars(self).update(theta=theta, params=params, _parts=parts, _slices=slices)

    def __getstate__(self) -> dict[str, Any]:
        self.theta  # noqa: B018  (a copy has its own, so it is built first)
        return {name: value for name, value in vars(self).items() if name not in REBUILT}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # pickle and deepcopy copy each array separately, so the views are rebuilt
        vars(self).update(state)
        self._adopt(self.theta if self.theta.flags.writeable else self.theta.copy())  # a file mapped into memory is not

    def astype(self: Self, dtype: Any) -> Self:
        """Return a copy in another dtype, with its own flat vector, its own parts and its own generators in the same
        state. Other attributes are shared.

        Raises:
            TypeError: if the dtype is not float32, float64 or complex128.
        """
        return self._converted(checked_dtype(dtype), {})

    def _converted(self: Self, dtype: Any, memo: dict[int, Any]) -> Self:
        """``memo``: id -> copy, so that what two parts share their copies share."""
        if id(self) not in memo:
            memo[id(self)] = other = object.__new__(type(self))
            for name, value in self.__getstate__().items():
                if name == "rng" or isinstance(value, np.random.Generator):
                    vars(other)[name] = copy.deepcopy(value, memo)
                else:
                    vars(other)[name] = _replaced(value, lambda part: part._converted(dtype, memo))
            vars(other)["_identity"] = os.urandom(12)
            other._adopt(self.theta.astype(dtype))
        converted: Self = memo[id(self)]
        return converted

    def new_gradients(self, **found: Any) -> Gradients:
        """Return the gradients of all parameters: zero but for those given, in the order of θ.

        Args:
            found: name of a parameter of the module itself -> its gradient; name of a part -> its ``Gradients``, or a
                list (or dict) of them where the attribute is one. Those of a part with two names are added.

        Raises:
            ValueError: for an unknown name, or a gradient of another shape.
        """
        grads, filled = Gradients(self.shapes, np.zeros_like(self.theta)), set()
        for name, d in entries("", found):
            place: Any = self._slices.get(name, name)  # of a part with two names the same slice
            if place is name and name not in grads:
                raise ValueError(f"{type(self).__name__} has no part or parameter {name!r}")
            to, d = (grads[name], np.asarray(d)) if place is name else (grads.theta[place], d.theta)
            if d.shape != to.shape:
                raise ValueError(f"the gradient of {name} has the shape {d.shape}; {to.shape} expected")
            to[...] = to + d if id(place) in filled else d
            filled.add(id(place))
        return grads

    def _check_tape(self, tape: Any, kind: Any) -> Any:
        """Return the tape, if it is one of this module's. TypeError: it is of another kind. ValueError: another's."""
        if not isinstance(tape, kind):
            raise TypeError(f"the tape must be the last value that forward returned; {type(tape).__name__} given")
        if tape.owner != self._identity:
            raise ValueError(f"the tape is of another module's forward; one of this {type(self).__name__}'s expected")
        return tape

    # ---- running: a subclass defines forward and backward ----

    def forward(self, *args: Any, **options: Any) -> Any:
        """Return y (and the final state, of a module that has one) and the tape."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, tape: Any, *args: Any, **options: Any) -> Any:
        """Return dx (and d_state of the initial state) and the ``Gradients``, given the tape and dy."""
        raise NotImplementedError(f"{type(self).__name__} has no backward")

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Return y, or (y, state): ``forward`` without the tape."""
        *found, _ = self.forward(*args, **options)
        return found[0] if len(found) == 1 else tuple(found)

    def outputs(self, x: Any, lengths: ArrayLike | None = None) -> np.ndarray:
        """Return y alone, whether or not the module has a state: inference. ``x`` as ``forward`` takes it."""
        found = self(x) if lengths is None else self(x, lengths=lengths)
        y: np.ndarray = found[0] if isinstance(found, tuple) else found
        return y

    def loss_of(self, batch: Any, **state: Any) -> Any:
        """Return the mean loss over the batch, without a tape and without dropout. Arguments as ``loss_and_grad``; with
        ``state=…`` the final state is returned besides."""
        x, target, lengths, *weights = batch
        found = self(x, **given(lengths=lengths), **state)
        y, *final = found if isinstance(found, tuple) else (found,)
        loss, _ = self._loss(y, target, lengths, *weights)
        return (loss, *final) if state else loss

    def loss_and_grad(self, batch: Any, training: bool = True, **state: Any) -> tuple[Any, ...]:
        """Return the mean loss over the batch and its gradient as one flat vector.

        Args:
            batch: (x, target, lengths), or (x, target, lengths, weights) with a weight (B,) for each sequence, by which
                its loss is multiplied (``losses``). x may be a tuple of arrays, if ``forward`` takes one.
            training: True enables dropout.
            state: ``state=…``, the initial state, None for the module's own. The final state is then returned as a
                third value. The initial state is a constant: the gradient is that of truncated backpropagation through
                time.
        """
        x, target, lengths, *weights = batch
        options = {**given(lengths=lengths), **accepted(self.forward, training=training)}
        y, *final, tape = self.forward(x, **options, **state)
        loss, dy = self._loss(y, target, lengths, *weights)
        *_, grads = self.backward(tape, dy, **accepted(self.backward, need_dx=False))
        return (loss, grads.theta, *final) if state else (loss, grads.theta)

    def _loss(
        self, y: np.ndarray, target: Any, lengths: ArrayLike | None, weights: np.ndarray | None = None
    ) -> tuple[Any, np.ndarray]:
        """Return the mean loss and dy; of outputs at every step, without the steps past the lengths."""
        loss_of = losses.LOSSES[self.loss] if isinstance(self.loss, str) else self.loss
        if weights is not None:  # (B,): of a sequence, and so of all its outputs
            target = as_array("target", target)
            weights = np.broadcast_to(np.reshape(weights, (-1,) + (1,) * (target.ndim - 1)), target.shape)
        if lengths is None or not (y.ndim > 2 if self.every_step is None else self.every_step):
            return loss_of(y, target, **given(weights=weights))
        there = np.arange(y.shape[1]) < np.asarray(lengths)[:, None]
        dy = np.zeros_like(y)
        weights = None if weights is None else weights[there]
        loss, dy[there] = loss_of(y[there], as_array("target", target)[there], **given(weights=weights))
        return loss, dy

    def named(self, theta: np.ndarray) -> dict[str, np.ndarray]:
        """Return name -> view into ``theta``, any flat vector of the parameters' size, such as a gradient."""
        return views_of(self.shapes, theta)

    def to_torch_convention(self, name: str, array: np.ndarray) -> np.ndarray:
        """Return one parameter in torch's convention, or in npseq's if it is torch's, as a copy."""
        self.turn(name, array := np.array(array))
        return array

    def turn(self, name: str, array: np.ndarray) -> None:
        """Convert one parameter between the two conventions in place; twice changes nothing. A GRU overrides it."""
        for prefix, part in self._parts.items():
            if name.startswith(prefix + "."):
                part.turn(name[len(prefix) + 1 :], array)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return name -> a copy of each parameter, in torch's names, shapes, convention and order."""
        return {name: self.to_torch_convention(name, array) for name, array in self.params.items()}

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
        shapes, faults, arrays = self.shapes, list[str](), dict[str, np.ndarray]()
        given = {name[len(prefix) :]: value for name, value in mapping.items() if name.startswith(prefix)}
        missing = [name for name in shapes if name not in given]
        unexpected = [name for name in given if name not in shapes]
        if strict and missing:
            faults.append("missing: " + ", ".join(prefix + name for name in missing))
        if strict and unexpected:
            faults.append("unexpected: " + ", ".join(prefix + name for name in unexpected))
        kinds = "fiubc" if self.dtype.kind == "c" else "fiub"
        for name, shape in shapes.items():
            if name in given:
                arrays[name] = array = np.asarray(given[name])
                if array.shape != shape:
                    faults.append(f"wrong shape: {prefix}{name} is {array.shape}, expected {shape}")
                if array.dtype.kind not in kinds:
                    faults.append(f"wrong dtype: {prefix}{name} is {array.dtype}, the parameters are {self.dtype}")
        if faults:
            raise ValueError(f"cannot load into {self!r}: " + "; ".join(faults))
        params = self.params  # made now: not for shapes that a file only claims
        for name, array in arrays.items():
            params[name][...] = array
            self.turn(name, params[name])


REBUILT = "params", "_weights", "_parts", "_slices", "_owner"  # attributes that no copy takes over
WITHOUT_PARTS = {"_made_by", "_own", "shapes", *REBUILT}  # attributes in which no parts are sought


def _modules(name: str, value: Any) -> Iterator[tuple[str, Module]]:
    """Yield name and module for every module in an attribute's value; in lists, tuples and dicts with the number or key
    after a dot."""
    return ((at, part) for at, part in entries(name, value) if isinstance(part, Module))


def _attributes(module: Module) -> dict[str, Any]:
    """Return the attributes in which parts are found."""
    found = {name: value for name, value in vars(module).items() if isinstance(value, Module | list | tuple | dict)}
    return {name: value for name, value in found.items() if name not in WITHOUT_PARTS}


def _parts_of(module: Module) -> dict[str, Module]:
    """Return name -> part, each part once, under its first name."""
    parts: dict[int, tuple[str, Module]] = {}
    for name, part in _modules("", _attributes(module)):
        parts.setdefault(id(part), (name, part))
    return dict(parts.values())


def _replaced(value: Any, change: Callable[[Any], Any]) -> Any:
    """Return ``value`` with every module in it, or in lists, tuples and dicts, changed."""
    if isinstance(value, Module):
        return change(value)
    if not any(_modules("", value)):
        return value
    if isinstance(value, dict):
        twin = copy.copy(value)
        twin.update((key, _replaced(entry, change)) for key, entry in value.items())
        return twin
    changed = [_replaced(entry, change) for entry in value]
    return type(value)(*changed) if hasattr(value, "_fields") else type(value)(changed)
