"""L-BFGS, SciPy's, on the flat parameter vector: deterministic, for a loss over the whole data."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

CALLS_PER_LINE_SEARCH = 20  # at most, in SciPy's L-BFGS-B

LossAndGrad = Callable[[np.ndarray], tuple[float, np.ndarray]]


class LBFGSResult(NamedTuple):
    """How ``lbfgs`` ended."""

    loss: float  # at the theta that it left
    iterations: int
    evaluations: int  # calls of loss_and_grad
    converged: bool
    message: str  # SciPy's, or why the search was stopped


def lbfgs(
    loss_and_grad: LossAndGrad,
    theta: np.ndarray,
    max_iterations: int = 100,
    history_size: int = 10,
    ftol: float = 2.2e-9,
    gtol: float = 1e-5,
    callback: Callable[[int, float], object] | None = None,
) -> LBFGSResult:
    """Minimise by SciPy's L-BFGS-B (Liu & Nocedal 1989; Byrd, Lu, Nocedal & Zhu 1995): deterministic, full batch.

        θ ← θ − α H g,   H from the last ``history_size`` differences of θ and g, α by a line search

    Args:
        loss_and_grad: called with theta (n,); returns the loss and its gradient (n,), always of the same, whole data.
            ``lambda theta: model.loss_and_grad(batch, training=False)`` for the model whose vector theta is.
        theta: (n,) vector of floats, changed in place; at the end, also after an exception, the last accepted iterate.
        max_iterations: upper bound; each iteration calls ``loss_and_grad`` once or a few times.
        history_size: number of differences that are kept.
        ftol: converged when the relative decrease of the loss in one iteration is below ``ftol``,
        gtol: or when no element of the gradient is larger than ``gtol``. In float32 rounding may end the line search
            before that.
        callback: called with (iteration, loss) after each iteration, when theta is the iterate; a true result stops the
            search.

    Returns:
        ``LBFGSResult``. A loss or gradient that is not finite ends the search, with theta at the last iterate.

    Raises:
        ValueError: if a number is out of range, or if the loss or gradient is not finite at the start.
        TypeError: if theta is not a vector of floats.
    """
    from scipy.optimize import minimize

    if not isinstance(theta, np.ndarray) or theta.ndim != 1 or theta.dtype.kind != "f":
        given = f"{theta.dtype} of shape {theta.shape}" if isinstance(theta, np.ndarray) else type(theta).__name__
        raise TypeError(f"theta must be a flat NumPy vector of floats; {given} given")
    for name, value in dict(max_iterations=max_iterations, history_size=history_size).items():
        if value < 1:
            raise ValueError(f"{name} must be 1 or more; {value!r} given")
    search = _Search(loss_and_grad, theta, callback)
    options = {
        "maxiter": max_iterations,
        "maxfun": (CALLS_PER_LINE_SEARCH + 1) * max_iterations,
        "maxcor": history_size,
        "ftol": ftol,
        "gtol": gtol,
    }
    try:
        found = minimize(
            search.objective, search.iterate, jac=True, method="L-BFGS-B", callback=search.accept, options=options
        )
        converged, message = bool(found.success), str(found.message)
    except _Stop as stop:
        if search.loss_at_iterate is None:
            raise ValueError(f"{stop} at the start: loss {search.last_loss}") from None
        converged, message = False, str(stop)
    finally:
        theta[...] = search.iterate
    assert search.loss_at_iterate is not None  # the start has been evaluated
    return LBFGSResult(search.loss_at_iterate, search.iterations, search.evaluations, converged, message)


class _Search:
    """The functions that SciPy calls, and the last accepted iterate."""

    def __init__(
        self, loss_and_grad: LossAndGrad, theta: np.ndarray, callback: Callable[[int, float], object] | None
    ) -> None:
        self.loss_and_grad, self.theta, self.callback = loss_and_grad, theta, callback
        self.iterate = theta.astype(np.float64)
        self.loss_at_iterate: float | None = None
        self.last_loss = math.nan
        self.iterations = self.evaluations = 0

    def objective(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        self.theta[...] = x
        loss, grad = self.loss_and_grad(self.theta)
        self.evaluations += 1
        self.last_loss, grad = float(loss), grad.astype(np.float64)
        if not (math.isfinite(self.last_loss) and np.isfinite(grad).all()):
            raise _Stop("the loss or its gradient is not finite")
        if self.loss_at_iterate is None:
            self.loss_at_iterate = self.last_loss
        return self.last_loss, grad

    def accept(self, x: np.ndarray) -> None:
        self.iterations += 1
        # the line search ends at the point that it accepts
        self.iterate, self.loss_at_iterate = x.copy(), self.last_loss
        self.theta[...] = x
        if self.callback is not None and self.callback(self.iterations, self.loss_at_iterate):
            raise _Stop("stopped by the callback")


class _Stop(Exception):
    """Raised to leave SciPy's loop; all SciPy versions propagate exceptions."""
