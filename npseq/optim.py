"""Optimisers on the flat parameter vector, in order of increasing complexity, and clipping.

    optimizer = Adam(model.theta, lr=1e-3)
    optimizer.step(grad)                     # theta changes in place

The rules, and the names and defaults of the options, are torch's (2.13). θ is theta and g the gradient. With
``weight_decay`` λ, g is the gradient of loss + λ/2 ‖θ‖², that is grad + λ θ; with ``maximize``, of −loss + λ/2 ‖θ‖².
``optimizer.lr`` may be set between steps. All arithmetic is in theta's dtype.

L-BFGS is a function (``lbfgs.py``). It and the learning-rate schedules (``schedules.py``) can be imported from here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .lbfgs import LBFGSResult, lbfgs
from .schedules import SCHEDULES, Constant, Cosine, OneCycle, Plateau, Schedule, Step, make_schedule

__all__ = [
    "Optimizer", "SGD", "Adagrad", "RMSprop", "Adam", "AdamW", "OPTIMIZERS",
    "lbfgs", "LBFGSResult", "clip_by_global_norm",
    "Schedule", "Constant", "Step", "Cosine", "OneCycle", "Plateau", "SCHEDULES", "make_schedule",
]  # fmt: skip


class Optimizer:
    """Base class of the optimisers.

    Args:
        theta: (n,) contiguous vector of floats; ``step`` changes it in place.
        lr: learning rate, from 0 up.
        weight_decay: λ above, from 0 up.
        maximize: True to maximise the loss instead.
        not_negative: further options that must be finite numbers from 0 up.

    Attributes:
        state: names of the vectors and counters that a step changes.

    Raises (all optimisers):
        TypeError: if theta is not such a vector.
        ValueError: if an option is out of range, and in ``step`` if the gradient's shape or dtype is not theta's.
    """

    state: tuple[str, ...] = ()

    def __init__(
        self, theta: np.ndarray, lr: float, weight_decay: float, maximize: bool, **not_negative: float
    ) -> None:
        if not (
            _is_array(theta)
            and theta.ndim == 1
            and theta.dtype.kind == "f"
            and theta.flags.c_contiguous
            and theta.flags.writeable
        ):
            given = f"{theta.dtype} of shape {theta.shape}" if _is_array(theta) else type(theta).__name__
            raise TypeError(f"theta must be a flat, contiguous, writeable NumPy vector of floats; {given} given")
        for name, value in dict(lr=lr, weight_decay=weight_decay, **not_negative).items():
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be a finite number from 0 up; {value!r} given")
        self.theta, self.lr, self.weight_decay, self.maximize = theta, lr, float(weight_decay), maximize
        self._g, self._work = np.empty((2, *theta.shape), theta.dtype)  # made once, so that steps allocate nothing

    def step(self, grad: np.ndarray) -> None:
        """Update theta in place by the rule of the class.

        Args:
            grad: (n,), the gradient of the loss, of theta's dtype. It is not changed.
        """
        raise NotImplementedError

    def _gradient(self, grad: np.ndarray, weight_decay: float) -> np.ndarray:
        """Return g = ± grad + weight_decay θ. The caller's array is not written to."""
        theta = self.theta
        if not _is_array(grad) or grad.shape != theta.shape or grad.dtype != theta.dtype:
            raise ValueError(
                f"grad is {grad.dtype if _is_array(grad) else type(grad).__name__} of shape {np.shape(grad)}; "
                f"theta is {theta.dtype} of shape {theta.shape}: they must be the same"
            )
        if self.maximize:
            grad = np.negative(grad, out=self._g)
        if weight_decay:
            np.multiply(theta, weight_decay, out=self._work)
            grad = np.add(grad, self._work, out=self._g)
        return grad

    def state_dict(self) -> dict[str, Any]:
        """Return all that steps have changed besides theta and ``lr``: name -> a copy of the vector, or a number.

        With the same theta, options and lr, a run continued with ``load_state_dict`` has the same bytes.
        """
        values = ((name, getattr(self, name)) for name in self.state)
        return {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in values}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from the ``state_dict()`` of an optimiser with the same options.

        Raises:
            ValueError: if a name is missing or unexpected, or a vector does not have theta's size. Nothing is changed
                then.
        """
        if set(state) != set(self.state):
            raise ValueError(
                f"the state of {type(self).__name__} with these options is "
                f"{', '.join(self.state) or 'empty'}; {', '.join(map(str, state)) or 'nothing'} given"
            )
        for name, value in state.items():
            if np.shape(value) != np.shape(getattr(self, name)):
                raise ValueError(f"{name} has the shape {np.shape(value)}; {np.shape(getattr(self, name))} expected")
        for name, value in state.items():
            if name == "count":
                self.count = int(value)
            else:
                getattr(self, name)[...] = value


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum μ (Sutskever et al., ICML 2013, but with lr outside the velocity).

        θ ← θ − lr · g

    with momentum:

        v ← μ v + (1 − dampening) g        v = g at the first step
        θ ← θ − lr · v                     nesterov: θ ← θ − lr (g + μ v)

    Example: ``SGD(model.theta, lr=0.1, momentum=0.9)``.

    A warning: with two bias vectors, as torch's layers have them, their sum moves twice as far.
    """

    def __init__(
        self,
        theta: np.ndarray,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(theta, lr, weight_decay, maximize, momentum=momentum)
        if nesterov and (momentum == 0 or dampening != 0):
            raise ValueError(
                f"nesterov needs a momentum greater than 0 and a dampening of 0; {momentum!r} and {dampening!r} given"
            )
        self.momentum, self.dampening, self.nesterov = float(momentum), float(dampening), nesterov
        if momentum:
            self.state = ("count", "velocity")
            self.count, self.velocity = 0, np.zeros_like(theta)

    def step(self, grad: np.ndarray) -> None:
        g, work = self._gradient(grad, self.weight_decay), self._work
        if self.momentum:
            v = self.velocity
            v *= self.momentum
            v += np.multiply(g, 1 - self.dampening if self.count else 1.0, out=work)
            self.count += 1
            if self.nesterov:
                np.multiply(v, self.momentum, out=work)
                g = np.add(g, work, out=self._g)
            else:
                g = v
        self.theta -= np.multiply(g, float(self.lr), out=work)


class Adagrad(Optimizer):
    """Divide by the root of the sum of all squared gradients so far (Duchi, Hazan & Singer, JMLR 12, 2011).

        s ← s + g²                         s = initial_accumulator_value at first
        θ ← θ − lr / (1 + (t − 1) lr_decay) · g / (√s + ε)        t = 1, 2, …

    Example: ``Adagrad(model.theta, lr=0.1)``.
    """

    state = ("count", "square")

    def __init__(
        self,
        theta: np.ndarray,
        lr: float = 0.01,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        options = dict(lr_decay=lr_decay, eps=eps, initial_accumulator_value=initial_accumulator_value)
        super().__init__(theta, lr, weight_decay, maximize, **options)
        self.lr_decay, self.eps = float(lr_decay), float(eps)
        self.count, self.square = 0, np.full_like(theta, initial_accumulator_value)

    def step(self, grad: np.ndarray) -> None:
        g, work = self._gradient(grad, self.weight_decay), self._work
        self.square += np.multiply(g, g, out=work)
        np.sqrt(self.square, out=work)
        work += self.eps
        np.divide(g, work, out=work)
        work *= float(self.lr) / (1 + self.count * self.lr_decay)
        self.theta -= work
        self.count += 1


class RMSprop(Optimizer):
    """Divide by a running root mean square of the gradient (Tieleman & Hinton, Coursera lecture 6.5, 2012; centred:
    Graves 2013, arXiv 1308.0850v5).

        s ← α s + (1 − α) g²
        θ ← θ − lr · g / (√s + ε)          centered: √(s − m²), m ← α m + (1 − α) g

    with momentum μ: v ← μ v + g / (√s + ε), θ ← θ − lr · v.

    Example: ``RMSprop(model.theta, lr=0.01)``.

    A warning: ε is outside the root here and in torch, inside it in TensorFlow. s − m² is not negative; if rounding
    makes it negative it is set to 0, while torch returns NaN.
    """

    def __init__(
        self,
        theta: np.ndarray,
        lr: float = 0.01,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(theta, lr, weight_decay, maximize, alpha=alpha, eps=eps, momentum=momentum)
        self.alpha, self.eps, self.momentum, self.centered = float(alpha), float(eps), float(momentum), centered
        self.square = np.zeros_like(theta)
        self.mean: Any = np.zeros_like(theta) if centered else None
        self.velocity: Any = np.zeros_like(theta) if momentum else None
        self.state = ("square",) + ("mean",) * bool(centered) + ("velocity",) * bool(momentum)

    def step(self, grad: np.ndarray) -> None:
        g, work = self._gradient(grad, self.weight_decay), self._work
        _running_mean(self.square, np.multiply(g, g, out=work), self.alpha, work)
        if self.centered:
            _running_mean(self.mean, g, self.alpha, work)
            np.multiply(self.mean, self.mean, out=work)
            np.subtract(self.square, work, out=work)
            np.maximum(work, 0, out=work)
            np.sqrt(work, out=work)
        else:
            np.sqrt(self.square, out=work)
        work += self.eps
        np.divide(g, work, out=work)
        if self.momentum:
            self.velocity *= self.momentum
            self.velocity += work
            np.multiply(self.velocity, float(self.lr), out=work)
        else:
            work *= float(self.lr)
        self.theta -= work


class Adam(Optimizer):
    """Adaptive moments (Kingma & Ba 2015, arXiv 1412.6980v9).

        m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²
        θ ← θ − lr · m / (1 − β₁ᵗ) / (√(v / (1 − β₂ᵗ)) + ε)        t = 1, 2, …

    With ``amsgrad`` the largest v so far replaces v (Reddi et al. 2018, arXiv 1904.09237v1). With
    ``decoupled_weight_decay`` the weight decay is not added to the gradient but shrinks the weights, as in ``AdamW``.

    Example: ``Adam(model.theta, lr=0.001)``.

    A warning: ε is added after the bias correction here and in torch; the shortcut of the paper's section 2, which
    TensorFlow follows, adds it before.
    """

    state: tuple[str, ...] = ("count", "m", "v")

    def __init__(
        self,
        theta: np.ndarray,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
    ) -> None:
        super().__init__(theta, lr, weight_decay, maximize, eps=eps)
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas must be two numbers from 0 up to, not including, 1; {betas!r} given")
        self.betas, self.eps, self.amsgrad = tuple(map(float, betas)), float(eps), amsgrad
        self.decoupled_weight_decay = decoupled_weight_decay
        self.count, self.m, self.v = 0, np.zeros_like(theta), np.zeros_like(theta)
        if amsgrad:
            self.state = ("count", "m", "v", "v_max")
            self.v_max = np.zeros_like(theta)

    def step(self, grad: np.ndarray) -> None:
        decoupled = self.decoupled_weight_decay
        g, work, lr = self._gradient(grad, 0.0 if decoupled else self.weight_decay), self._work, float(self.lr)
        if decoupled:
            self.theta *= 1 - lr * self.weight_decay
        beta_1, beta_2 = self.betas
        self.count += 1
        _running_mean(self.m, g, beta_1, work)
        _running_mean(self.v, np.multiply(g, g, out=work), beta_2, work)
        v = np.maximum(self.v_max, self.v, out=self.v_max) if self.amsgrad else self.v
        np.sqrt(v, out=work)
        work *= (1 - beta_2**self.count) ** -0.5
        work += self.eps
        np.divide(self.m, work, out=work)
        work *= lr / (1 - beta_1**self.count)
        self.theta -= work


class AdamW(Adam):
    """Adam with weight decay λ that is not part of the gradient (Loshchilov & Hutter 2019, arXiv 1711.05101v3).

        θ ← (1 − lr · λ) θ, then the step of ``Adam`` with g = grad

    Example: ``AdamW(model.theta, lr=0.001, weight_decay=0.01)``.

    A warning: as in torch the decay is multiplied by lr; in the paper only by the schedule's factor.
    """

    def __init__(
        self,
        theta: np.ndarray,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(theta, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, decoupled_weight_decay=True)


def _running_mean(mean: np.ndarray, new: np.ndarray, keep: float, work: np.ndarray) -> None:
    """mean ← keep · mean + (1 − keep) · new; ``new`` may be ``work``, the scratch buffer."""
    mean *= keep
    mean += np.multiply(new, 1 - keep, out=work)


# The names that --optimizer takes, besides lbfgs, which is a function.
OPTIMIZERS: dict[str, Callable[..., Optimizer]] = dict(
    sgd=SGD, adagrad=Adagrad, rmsprop=RMSprop, adam=Adam, adamw=AdamW
)


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) and not isinstance(value, np.ma.MaskedArray)


def clip_by_global_norm(grad: np.ndarray, max_norm: float) -> float:
    """Scale ``grad`` in place so that its Euclidean norm is at most ``max_norm``.

        g ← g · min(1, max_norm / (‖g‖ + 1e-6))    (Pascanu et al. 2013, arXiv 1211.5063v2; the 1e-6 is torch's)

    Args:
        grad: (n,), flat.
        max_norm: greater than 0.

    Returns:
        The norm before. If it is not finite (grad has a NaN or an infinity) nothing is scaled: the caller decides what
        to do. The norm does not overflow where only its square does.

    Raises:
        ValueError: if max_norm is not greater than 0, or grad is not flat.
    """
    if not max_norm > 0:
        raise ValueError(f"max_norm must be greater than 0; {max_norm!r} given")
    if not _is_array(grad) or grad.ndim != 1 or grad.dtype.kind != "f":
        given = f"{grad.dtype} of shape {grad.shape}" if _is_array(grad) else type(grad).__name__
        raise ValueError(f"grad must be a flat NumPy vector of floats; {given} given")
    with np.errstate(over="ignore", invalid="ignore"):
        norm = math.sqrt(np.dot(grad, grad))
        if not math.isfinite(norm):
            largest = float(np.abs(grad).max())
            scaled = grad / largest
            norm = largest * math.sqrt(np.dot(scaled, scaled)) if math.isfinite(largest) else largest
    if math.isfinite(norm) and norm + 1e-6 > max_norm:
        grad *= max_norm / (norm + 1e-6)
    return norm
