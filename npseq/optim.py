"""Optimisers on the flat parameter vector, in order of increasing complexity, and clipping.

    optimizer = Adam(model.theta, lr=1e-3)
    optimizer.step(grad)                     # theta changes in place

Names and defaults of the options are torch's. ``optimizer.lr`` may be set between steps. State is kept in vectors of
theta's dtype; ``state_dict()`` has all of it, so that a run can be continued byte for byte.
"""

import math

import numpy as np


class Optimizer:
    """What all have in common: ``theta`` (flat, changed in place), ``lr``, ``weight_decay``, ``maximize``, state."""

    state = ()  # names of the vectors and counters that a step changes

    def __init__(self, theta, lr, weight_decay, maximize, **ranges):
        if not isinstance(theta, np.ndarray) or theta.ndim != 1 or theta.dtype.kind != "f":
            raise TypeError("theta must be a flat NumPy vector of floats")
        for name, value in dict(lr=lr, weight_decay=weight_decay).items():
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be a finite number from 0 up; {value!r} given")
        self.theta, self.lr, self.weight_decay, self.maximize = theta, lr, weight_decay, maximize
        self._step, self._work = np.empty_like(theta), np.empty_like(theta)  # room for the step, so that none is made

    def _gradient(self, grad):
        """g = ± grad + weight_decay θ (L2 regularisation), never written into the caller's array."""
        if grad.shape != self.theta.shape or grad.dtype != self.theta.dtype:
            raise ValueError(f"grad is {grad.dtype} of shape {grad.shape}; theta is {self.theta.dtype} of shape "
                             f"{self.theta.shape}")
        if self.maximize:
            grad = -grad
        if self.weight_decay:
            grad = grad + self.weight_decay * self.theta
        return grad

    def state_dict(self):
        """name -> a copy of each vector, or a number."""
        return {name: np.copy(value) if isinstance(value, np.ndarray) else value
                for name, value in ((name, getattr(self, name)) for name in self.state)}

    def load_state_dict(self, state):
        """Go on from ``state_dict()`` of an optimiser with the same options.

        Raises:
            ValueError: when a name is missing or unexpected, or a vector does not fit theta.
        """
        if set(state) != set(self.state):
            raise ValueError(f"the state of {type(self).__name__} is {', '.join(self.state) or 'empty'}; "
                             f"{', '.join(state) or 'nothing'} given")
        for name, value in state.items():
            if isinstance(value, np.ndarray) and value.ndim:
                if value.shape != self.theta.shape:
                    raise ValueError(f"{name} has the shape {value.shape}; theta has {self.theta.shape}")
                value = value.astype(self.theta.dtype)
            setattr(self, name, value)


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum as torch defines it (Sutskever et al. 2013, ICML, up to the place of lr).

        v ← μ v + (1 − dampening) g        (v = g at the first step)
        θ ← θ − lr · v                     nesterov: θ ← θ − lr (g + μ v)

    Example: ``SGD(model.theta, lr=0.1, momentum=0.9)``. Raises ValueError for a negative option.
    """

    state = ("velocity",)

    def __init__(self, theta, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, *, maximize=False):
        super().__init__(theta, lr, weight_decay, maximize)
        if momentum < 0:
            raise ValueError(f"momentum must not be negative; {momentum!r} given")
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("nesterov needs a momentum greater than 0 and no dampening")
        self.momentum, self.dampening, self.nesterov = momentum, dampening, nesterov
        self.velocity = None

    def step(self, grad):
        g = self._gradient(grad)
        if self.momentum:
            if self.velocity is None:
                self.velocity = g.copy()
            else:
                self.velocity *= self.momentum
                self.velocity += (1 - self.dampening) * g
            g = g + self.momentum * self.velocity if self.nesterov else self.velocity
        np.multiply(g, self.lr, out=self._step)
        self.theta -= self._step


class RMSprop(Optimizer):
    """Divide by a running root mean square of the gradient (Tieleman & Hinton, Coursera lecture 6.5, 2012; centred:
    Graves 2013, arXiv 1308.0850v5).

        s ← α s + (1 − α) g²
        θ ← θ − lr · g / (√s + ε)          centered: √(s − m²), m ← α m + (1 − α) g

    with momentum: v ← μ v + g / (√s + ε), θ ← θ − lr · v.

    Example: ``RMSprop(model.theta, lr=0.01)``. Raises ValueError for an option out of range.
    """

    def __init__(self, theta, lr=0.01, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False, *,
                 maximize=False):
        super().__init__(theta, lr, weight_decay, maximize)
        _check_not_negative(alpha=alpha, eps=eps, momentum=momentum)
        self.alpha, self.eps, self.momentum, self.centered = alpha, eps, momentum, centered
        self.square = np.zeros_like(theta)
        self.mean = np.zeros_like(theta) if centered else None
        self.velocity = np.zeros_like(theta) if momentum else None
        self.state = ("square",) + ("mean",) * centered + ("velocity",) * bool(momentum)

    def step(self, grad):
        g, step, work = self._gradient(grad), self._step, self._work
        _running_mean(self.square, np.multiply(g, g, out=work), self.alpha)
        if self.centered:
            np.copyto(work, g)
            _running_mean(self.mean, work, self.alpha)
            np.multiply(self.mean, self.mean, out=work)
            np.subtract(self.square, work, out=work)
            np.sqrt(work, out=work)
        else:
            np.sqrt(self.square, out=work)
        work += self.eps
        np.divide(g, work, out=step)
        if self.momentum:
            self.velocity *= self.momentum
            self.velocity += step
            np.copyto(step, self.velocity)
        step *= self.lr
        self.theta -= step


class Adagrad(Optimizer):
    """Divide by the root of all squared gradients so far (Duchi, Hazan & Singer, JMLR 12, 2011).

        s ← s + g²
        θ ← θ − lr / (1 + (t − 1) lr_decay) · g / (√s + ε)

    Example: ``Adagrad(model.theta, lr=0.1)``. Raises ValueError for a negative option.
    """

    state = ("count", "square")

    def __init__(self, theta, lr=0.01, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1e-10, *,
                 maximize=False):
        super().__init__(theta, lr, weight_decay, maximize)
        _check_not_negative(lr_decay=lr_decay, initial_accumulator_value=initial_accumulator_value, eps=eps)
        self.lr_decay, self.eps = lr_decay, eps
        self.count, self.square = 0, np.full_like(theta, initial_accumulator_value)

    def step(self, grad):
        g, step, work = self._gradient(grad), self._step, self._work
        self.square += np.multiply(g, g, out=work)
        np.sqrt(self.square, out=work)
        work += self.eps
        np.divide(g, work, out=step)
        step *= self.lr / (1 + self.count * self.lr_decay)
        self.count += 1
        self.theta -= step


class Adam(Optimizer):
    """Adaptive moments (Kingma & Ba 2015, arXiv 1412.6980v9).

        m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²
        θ ← θ − lr · m / (1 − β₁ᵗ) / (√(v / (1 − β₂ᵗ)) + ε)

    ``amsgrad`` takes the largest v so far in place of v (Reddi et al. 2018, arXiv 1904.09237v1). Weight decay is added to
    the gradient, or with ``decoupled_weight_decay`` taken off the weights themselves, as ``AdamW`` does.

    Example: ``Adam(model.theta, lr=0.001)``. Raises ValueError for an option out of range.
    """

    decay = 0.0

    def __init__(self, theta, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, amsgrad=False, *, maximize=False,
                 decoupled_weight_decay=False):
        super().__init__(theta, lr, weight_decay, maximize)
        if decoupled_weight_decay:
            self.weight_decay, self.decay = 0.0, weight_decay
        _check_not_negative(eps=eps)
        for beta in betas:
            if not 0 <= beta < 1:
                raise ValueError(f"betas must be from 0 up to, not including, 1; {betas!r} given")
        self.betas, self.eps, self.amsgrad = betas, eps, amsgrad
        self.count, self.m, self.v = 0, np.zeros_like(theta), np.zeros_like(theta)
        self.v_max = np.zeros_like(theta) if amsgrad else None
        self.state = ("count", "m", "v") + ("v_max",) * amsgrad

    def step(self, grad):
        g, step, work = self._gradient(grad), self._step, self._work
        beta_1, beta_2 = self.betas
        self.count += 1
        if self.decay:
            self.theta *= 1 - self.lr * self.decay
        np.copyto(work, g)
        _running_mean(self.m, work, beta_1)
        _running_mean(self.v, np.multiply(g, g, out=work), beta_2)
        v = np.maximum(self.v_max, self.v, out=self.v_max) if self.amsgrad else self.v
        np.sqrt(v, out=work)
        work *= (1 - beta_2 ** self.count) ** -0.5
        work += self.eps
        np.divide(self.m, work, out=step)
        step *= self.lr / (1 - beta_1 ** self.count)
        self.theta -= step


class AdamW(Adam):
    """Adam with the decay taken out of the gradient (Loshchilov & Hutter 2019, arXiv 1711.05101v3).

        θ ← θ − lr · weight_decay · θ, then the step of ``Adam`` without decay

    Example: ``AdamW(model.theta, lr=0.001, weight_decay=0.01)``. Raises as ``Adam``.
    """

    def __init__(self, theta, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, amsgrad=False, *, maximize=False):
        super().__init__(theta, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, decoupled_weight_decay=True)


def _running_mean(mean, new, keep):
    """mean ← keep · mean + (1 − keep) · new; ``new`` is room that may be overwritten."""
    mean *= keep
    new *= 1 - keep
    mean += new


def _check_not_negative(**options):
    for name, value in options.items():
        if not value >= 0:
            raise ValueError(f"{name} must not be negative; {value!r} given")


def clip_by_global_norm(grad, max_norm):
    """Scale ``grad`` in place so that its Euclidean norm is at most ``max_norm``; -> the norm before.

        g ← g · min(1, max_norm / (‖g‖ + 1e-6))    (Pascanu et al. 2013, arXiv 1211.5063v2; the 1e-6 is torch's)

    A norm that is not finite is returned and nothing is scaled: the caller decides.
    """
    if not max_norm > 0:
        raise ValueError(f"max_norm must be greater than 0; {max_norm!r} given")
    with np.errstate(over="ignore", invalid="ignore"):
        square = float(np.dot(grad, grad))
    if not math.isfinite(square):  # the square may overflow where the norm does not
        square = float(np.dot(grad.astype(np.float64), grad.astype(np.float64)))
    norm = math.sqrt(square) if square >= 0 else math.nan
    if math.isfinite(norm) and norm + 1e-6 > max_norm:
        grad *= max_norm / (norm + 1e-6)
    return norm


# The names that --optimizer takes.
OPTIMIZERS = {"adam": Adam, "adamw": AdamW, "sgd": SGD, "rmsprop": RMSprop, "adagrad": Adagrad}
