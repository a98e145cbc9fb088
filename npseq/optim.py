"""Optimisers on the flat parameter vector, in order of increasing complexity, and clipping.

    optimizer = Adam(model.theta, lr=1e-3)
    optimizer.step(grad)                     # theta changes in place

Rules, and names and defaults of the options, are torch's (2.13). θ is theta and g the gradient: with ``weight_decay`` λ
that of the loss plus λ/2 ‖θ‖² (g = grad + λ θ), with ``maximize`` of the negative loss plus the same. ``optimizer.lr``
may be set between steps. All arithmetic is in theta's dtype.

L-BFGS is SciPy's, a function. Learning-rate schedules are in ``schedules.py`` and reached from here.
"""

import math
from typing import NamedTuple

import numpy as np

from .schedules import SCHEDULES, Constant, Cosine, OneCycle, Plateau, Schedule, Step, make_schedule

__all__ = [
    "SGD",
    "Adagrad",
    "RMSprop",
    "Adam",
    "AdamW",
    "Optimizer",
    "OPTIMIZERS",
    "lbfgs",
    "LBFGSResult",
    "clip_by_global_norm",
    "SCHEDULES",
    "Schedule",
    "Constant",
    "Step",
    "Cosine",
    "OneCycle",
    "Plateau",
    "make_schedule",
]


class Optimizer:
    """What all have in common.

    Args:
        theta: (n,) contiguous vector of floats; ``step`` changes it in place.
        lr: learning rate. weight_decay: λ above. maximize: go up instead of down.

    Raises (all optimisers):
        TypeError: for a theta that is no such vector.
        ValueError: for an option out of range, and in ``step`` for a gradient whose shape or dtype is not theta's.
    """

    state = ()  # names of the vectors and counters that a step changes

    def __init__(self, theta, lr, weight_decay, maximize, **not_negative):
        if not (
            isinstance(theta, np.ndarray)
            and theta.ndim == 1
            and theta.dtype.kind == "f"
            and theta.flags.c_contiguous
            and theta.flags.writeable
        ):
            given = f"{theta.dtype} of shape {theta.shape}" if isinstance(theta, np.ndarray) else type(theta).__name__
            raise TypeError(f"theta must be a flat, contiguous, writeable NumPy vector of floats; {given} given")
        for name, value in dict(lr=lr, weight_decay=weight_decay, **not_negative).items():
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be a finite number from 0 up; {value!r} given")
        self.theta, self.lr, self.weight_decay, self.maximize = theta, lr, float(weight_decay), maximize
        self._g, self._work = np.empty_like(theta), np.empty_like(theta)  # made once: a step allocates nothing

    def _gradient(self, grad, weight_decay):
        """g = ± grad + weight_decay θ; never written into the caller's array."""
        theta = self.theta
        if not isinstance(grad, np.ndarray) or grad.shape != theta.shape or grad.dtype != theta.dtype:
            raise ValueError(
                f"grad is {getattr(grad, 'dtype', type(grad).__name__)} of shape {np.shape(grad)}; "
                f"theta is {theta.dtype} of shape {theta.shape}: they must be the same"
            )
        if self.maximize:
            grad = np.negative(grad, out=self._g)
        if weight_decay:
            np.multiply(theta, weight_decay, out=self._work)
            grad = np.add(grad, self._work, out=self._g)
        return grad

    def state_dict(self):
        """name -> a copy of each vector, or a number: all that steps have changed, besides theta and ``lr``.

        With the same theta, options and lr, ``load_state_dict`` of it continues a run byte for byte.
        """
        values = ((name, getattr(self, name)) for name in self.state)
        return {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in values}

    def load_state_dict(self, state):
        """Go on from ``state_dict()`` of an optimiser with the same options.

        Raises:
            ValueError: when a name is missing or unexpected, or a vector does not fit theta; nothing is then changed.
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

    A warning: with two bias vectors, as torch's layers have them, the sum of the two moves twice as far.
    """

    def __init__(
        self, theta, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, *, maximize=False
    ):
        super().__init__(theta, lr, weight_decay, maximize, momentum=momentum)
        if nesterov and (momentum == 0 or dampening != 0):
            raise ValueError(
                f"nesterov needs a momentum greater than 0 and a dampening of 0; {momentum!r} and {dampening!r} given"
            )
        self.momentum, self.dampening, self.nesterov = float(momentum), float(dampening), nesterov
        if momentum:
            self.state = ("count", "velocity")
            self.count, self.velocity = 0, np.zeros_like(theta)

    def step(self, grad):
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
        theta,
        lr=0.01,
        lr_decay=0.0,
        weight_decay=0.0,
        initial_accumulator_value=0.0,
        eps=1e-10,
        *,
        maximize=False,
    ):
        super().__init__(
            theta,
            lr,
            weight_decay,
            maximize,
            lr_decay=lr_decay,
            eps=eps,
            initial_accumulator_value=initial_accumulator_value,
        )
        self.lr_decay, self.eps = float(lr_decay), float(eps)
        self.count, self.square = 0, np.full_like(theta, initial_accumulator_value)

    def step(self, grad):
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

    A warning: ε stands outside the root here and in torch, inside it in TensorFlow. s − m² is not negative; where
    rounding makes it so it is taken for 0, while torch's result is NaN.
    """

    def __init__(
        self, theta, lr=0.01, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False, *, maximize=False
    ):
        super().__init__(theta, lr, weight_decay, maximize, alpha=alpha, eps=eps, momentum=momentum)
        self.alpha, self.eps, self.momentum, self.centered = float(alpha), float(eps), float(momentum), centered
        self.square = np.zeros_like(theta)
        self.mean = np.zeros_like(theta) if centered else None
        self.velocity = np.zeros_like(theta) if momentum else None
        self.state = ("square",) + ("mean",) * bool(centered) + ("velocity",) * bool(momentum)

    def step(self, grad):
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

    ``amsgrad`` takes the largest v so far in place of v (Reddi et al. 2018, arXiv 1904.09237v1).
    ``decoupled_weight_decay`` leaves the gradient alone and shrinks the weights, as ``AdamW`` does.

    Example: ``Adam(model.theta, lr=0.001)``.

    A warning: ε is added after the bias correction here and in torch; the shortcut of the paper's section 2, which
    TensorFlow follows, adds it before.
    """

    state = ("count", "m", "v")

    def __init__(
        self,
        theta,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0.0,
        amsgrad=False,
        *,
        maximize=False,
        decoupled_weight_decay=False,
    ):
        super().__init__(theta, lr, weight_decay, maximize, eps=eps)
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas must be two numbers from 0 up to, not including, 1; {betas!r} given")
        self.betas, self.eps, self.amsgrad = tuple(map(float, betas)), float(eps), amsgrad
        self.decoupled_weight_decay = decoupled_weight_decay
        self.count, self.m, self.v = 0, np.zeros_like(theta), np.zeros_like(theta)
        if amsgrad:
            self.state = ("count", "m", "v", "v_max")
            self.v_max = np.zeros_like(theta)

    def step(self, grad):
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
    """Adam with the weight decay λ taken out of the gradient (Loshchilov & Hutter 2019, arXiv 1711.05101v3).

        θ ← (1 − lr · λ) θ, then the step of ``Adam`` with g = grad

    Example: ``AdamW(model.theta, lr=0.001, weight_decay=0.01)``.

    A warning: as in torch the decay is multiplied by lr; in the paper by the schedule's factor alone.
    """

    def __init__(
        self, theta, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, amsgrad=False, *, maximize=False
    ):
        super().__init__(theta, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, decoupled_weight_decay=True)


def _running_mean(mean, new, keep, work):
    """mean ← keep · mean + (1 − keep) · new; ``new`` may be ``work``, the room for the product."""
    mean *= keep
    mean += np.multiply(new, 1 - keep, out=work)


# The names that --optimizer takes, besides lbfgs, which is no class.
OPTIMIZERS = {"sgd": SGD, "adagrad": Adagrad, "rmsprop": RMSprop, "adam": Adam, "adamw": AdamW}


class LBFGSResult(NamedTuple):
    """How ``lbfgs`` ended."""

    loss: float  # at the theta that it left
    iterations: int
    evaluations: int  # calls of loss_and_grad
    converged: bool
    message: str  # SciPy's, or why it was stopped


def lbfgs(loss_and_grad, theta, max_iterations=100, history_size=10, ftol=2.2e-9, gtol=1e-5, callback=None):
    """Minimise by SciPy's L-BFGS-B (Liu & Nocedal 1989; Byrd, Lu, Nocedal & Zhu 1995): deterministic, full batch.

        θ ← θ − α H g,   H from the last ``history_size`` differences of θ and g, α by a line search

    Args:
        loss_and_grad: called with theta, gives the loss and its gradient: always of the same, whole data.
            ``lambda theta: model.loss_and_grad(batch)`` with the model whose vector theta is.
        theta: (n,) vector of floats, changed in place; at the end, also at an exception, the last accepted iterate.
        max_iterations: at most so many; each takes one or a few calls of ``loss_and_grad``.
        ftol, gtol: converged when the loss falls by less than the part ``ftol`` in an iteration, or when no element of
            the gradient is larger than ``gtol``. In float32 rounding may end the line search before that.
        callback: called with (iteration, loss) after each iteration, theta being the iterate; a true answer stops.

    Returns:
        ``LBFGSResult``. A loss or gradient that is not finite ends the search, with theta at the last iterate.

    Raises:
        ValueError: for numbers out of range, and for a loss or gradient that is not finite at the beginning.
    """
    from scipy.optimize import minimize

    for name, value in dict(max_iterations=max_iterations, history_size=history_size).items():
        if value < 1:
            raise ValueError(f"{name} must be 1 or more; {value!r} given")
    iterate, loss_there, loss_here = theta.astype(np.float64), None, math.nan
    iterations = evaluations = 0

    def objective(x):
        nonlocal evaluations, loss_there, loss_here
        theta[...] = x
        loss, grad = loss_and_grad(theta)
        evaluations += 1
        loss_here, grad = float(loss), grad.astype(np.float64)
        if not (math.isfinite(loss_here) and np.isfinite(grad).all()):
            raise _Stop("the loss or its gradient is not finite")
        if loss_there is None:
            loss_there = loss_here
        return loss_here, grad

    def accept(x):
        nonlocal iterations, iterate, loss_there
        iterations += 1
        iterate, loss_there = x.copy(), loss_here  # the line search ends at the point that it accepts
        theta[...] = x
        if callback is not None and callback(iterations, loss_there):
            raise _Stop("stopped by the callback")

    try:
        found = minimize(
            objective,
            iterate,
            jac=True,
            method="L-BFGS-B",
            callback=accept,
            options=dict(
                maxiter=max_iterations,
                maxfun=21 * max_iterations,  # a line search makes 20 calls at most
                maxcor=history_size,
                ftol=ftol,
                gtol=gtol,
            ),
        )
        converged, message = bool(found.success), str(found.message)
    except _Stop as stop:
        if loss_there is None:
            raise ValueError(f"{stop} at the beginning: loss {loss_here}") from None
        converged, message = False, str(stop)
    finally:
        theta[...] = iterate
    return LBFGSResult(loss_there, iterations, evaluations, converged, message)


class _Stop(Exception):
    """Leaves SciPy's loop; every version of it lets exceptions through."""


def clip_by_global_norm(grad, max_norm):
    """Scale the flat vector ``grad`` in place so that its Euclidean norm is at most ``max_norm``; -> the norm before.

        g ← g · min(1, max_norm / (‖g‖ + 1e-6))    (Pascanu et al. 2013, arXiv 1211.5063v2; the 1e-6 is torch's)

    A norm that is not finite (a NaN or an infinity in grad) is returned and nothing is scaled: the caller decides. The
    norm does not overflow where only its square does.

    Raises:
        ValueError: for a max_norm that is not greater than 0, or a grad that is not flat.
    """
    if not max_norm > 0:
        raise ValueError(f"max_norm must be greater than 0; {max_norm!r} given")
    if grad.ndim != 1:
        raise ValueError(f"grad must be a flat vector; one of shape {grad.shape} given")
    with np.errstate(over="ignore", invalid="ignore"):
        norm = math.sqrt(np.dot(grad, grad))
        if not math.isfinite(norm):
            largest = float(np.abs(grad).max())
            scaled = grad / largest
            norm = largest * math.sqrt(np.dot(scaled, scaled)) if math.isfinite(largest) else largest
    if math.isfinite(norm) and norm + 1e-6 > max_norm:
        grad *= max_norm / (norm + 1e-6)
    return norm
