"""Learning-rate schedules, with torch's definitions (2.13), as functions of the number of the update.

    schedule = make_schedule("cosine", lr=0.01, total_steps=10 * 527, steps_per_epoch=527, warmup_steps=100)
    optimizer.lr = schedule(step)        # before each update; step counts from 0
    schedule.observe(validation_loss)    # after each epoch; only Plateau uses it

``lr`` is the peak learning rate. With warm-up the rate first rises linearly,

    lr_t = (t + 1) / (W + 1) · the schedule's first rate,   t < W = warmup_steps,

and the schedule starts at t = W, as it does in torch's ``SequentialLR`` after ``LinearLR(start_factor=1 / (W + 1),
total_iters=W)``. Only the learning rate is scheduled, never the momentum. Steps t are counted from 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


class Schedule:
    """Base class of the schedules.

    Args:
        lr: peak learning rate, from 0 up.
        total_steps: number of updates in the whole run, warm-up included.
        steps_per_epoch: number of updates in an epoch.
        warmup_steps: number of updates in the warm-up, fewer than ``total_steps``.

    Attributes:
        depends_on_total: True if the rates of the first steps depend on ``total_steps``, so that a run started with one
            total cannot be resumed with another.
        state: names of the numbers that ``observe`` changes.
        steps: number of updates after the warm-up.

    Raises:
        ValueError: if a number is out of range.
    """

    depends_on_total = False
    state: tuple[str, ...] = ()

    def __init__(self, lr: float, total_steps: int, steps_per_epoch: int = 1, warmup_steps: int = 0) -> None:
        _check(0 <= lr < math.inf, "lr", lr, "a finite number from 0 up")
        _check(total_steps >= 1, "total_steps", total_steps, "1 or more")
        _check(steps_per_epoch >= 1, "steps_per_epoch", steps_per_epoch, "1 or more")
        _check(
            0 <= warmup_steps < total_steps,
            "warmup_steps",
            warmup_steps,
            f"from 0 to total_steps − 1, {total_steps - 1}",
        )
        self.lr, self.steps_per_epoch, self.warmup_steps = float(lr), steps_per_epoch, warmup_steps
        self.steps = total_steps - warmup_steps

    def __call__(self, step: int) -> float:
        """Return the learning rate of an update, ``step`` = 0, 1, …"""
        if step < self.warmup_steps:
            return self.rate(0) * (step + 1) / (self.warmup_steps + 1)
        return self.rate(step - self.warmup_steps)

    def rate(self, t: int) -> float:
        """Return the learning rate of step t after the warm-up, t = 0, 1, …, by the formula of the class."""
        raise NotImplementedError

    def observe(self, validation_loss: float) -> None:
        """Take the validation loss at the end of an epoch."""

    def state_dict(self) -> dict[str, Any]:
        """Return all that ``observe`` has changed: name -> number."""
        return {name: getattr(self, name) for name in self.state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from the ``state_dict()`` of a schedule with the same options.

        Raises:
            ValueError: if the names are not those of this schedule's state.
        """
        if set(state) != set(self.state):
            raise ValueError(
                f"the state of {type(self).__name__} is {', '.join(self.state) or 'empty'}; "
                f"{', '.join(map(str, state)) or 'nothing'} given"
            )
        for name, value in state.items():
            setattr(self, name, type(getattr(self, name))(value))


class Constant(Schedule):
    """lr_t = lr."""

    def rate(self, t: int) -> float:
        return self.lr


class Step(Schedule):
    """lr_t = lr · γ^⌊epoch / step_size⌋ (torch's StepLR): multiplied by γ = ``gamma`` every ``step_size`` epochs.

    Epochs are counted from the end of the warm-up. torch has no default for step_size.
    """

    def __init__(self, *args: Any, step_size: int = 5, gamma: float = 0.1, **options: Any) -> None:
        super().__init__(*args, **options)
        _check(step_size >= 1, "step_size", step_size, "1 epoch or more")
        _check(gamma >= 0, "gamma", gamma, "0 or more")
        self.step_size, self.gamma = step_size, gamma

    def rate(self, t: int) -> float:
        return self.lr * self.gamma ** (t // (self.step_size * self.steps_per_epoch))


class Cosine(Schedule):
    """lr_t = η + (lr − η) (1 + cos(π t / T)) / 2 (torch's CosineAnnealingLR).

    η is ``eta_min`` and T is the number of steps after the warm-up.

    Source: Loshchilov & Hutter 2017, arXiv 1608.03983v5, equation 5, without restarts.
    """

    depends_on_total = True

    def __init__(self, *args: Any, eta_min: float = 0.0, **options: Any) -> None:
        super().__init__(*args, **options)
        _check(eta_min >= 0, "eta_min", eta_min, "0 or more")
        self.eta_min = eta_min

    def rate(self, t: int) -> float:
        return _cosine(self.lr, self.eta_min, t / self.steps)


class OneCycle(Schedule):
    """Up from lr / div_factor to lr in the first ``pct_start`` of the steps, then down to
    lr / div_factor / final_div_factor at the last one (torch's OneCycleLR, with two phases).

    Each phase is half a cosine, or with ``anneal_strategy="linear"`` a line. torch's class also cycles the momentum by
    default; this class corresponds to ``cycle_momentum=False``.

    Source: Smith & Topin, "Super-convergence", 2017, arXiv 1708.07120v3.
    """

    depends_on_total = True

    def __init__(
        self,
        *args: Any,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        _check(0 <= pct_start <= 1, "pct_start", pct_start, "from 0 to 1")
        _check(anneal_strategy in ("cos", "linear"), "anneal_strategy", anneal_strategy, "'cos' or 'linear'")
        _check(div_factor > 0, "div_factor", div_factor, "greater than 0")
        _check(final_div_factor > 0, "final_div_factor", final_div_factor, "greater than 0")
        self.anneal = _cosine if anneal_strategy == "cos" else _line
        self.first, self.last = self.lr / div_factor, self.lr / div_factor / final_div_factor
        self.peak = pct_start * self.steps - 1  # the step at which lr is reached, not necessarily a whole number

    def rate(self, t: int) -> float:
        end = self.steps - 1
        if t > end + 1:  # torch allows the one call after the last update
            raise ValueError(
                f"step {t + self.warmup_steps} is past the end of a schedule of "
                f"{self.steps + self.warmup_steps} steps: make one with a larger total_steps"
            )
        if t <= self.peak:
            return self.anneal(self.first, self.lr, t / self.peak if self.peak else 1.0)
        return self.anneal(self.lr, self.last, (t - self.peak) / (end - self.peak) if end > self.peak else 1.0)


class Plateau(Schedule):
    """lr ← max(lr · factor, min_lr) when the validation loss no longer decreases (torch's ReduceLROnPlateau).

    The rate is reduced after more than ``patience`` consecutive epochs without an improvement of at least
    ``threshold``, relative to the best loss so far, or absolute with ``threshold_mode="abs"``. (torch's patience of 10
    never acts in a run of 10 epochs.) After a reduction ``cooldown`` epochs are not counted; reductions of at most
    ``eps`` are skipped.
    """

    state = ("current", "best", "bad_epochs", "cooldown_left")

    def __init__(
        self,
        *args: Any,
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
        eps: float = 1e-8,
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        _check(0 <= factor < 1, "factor", factor, "from 0 up to, not including, 1")
        _check(patience >= 0, "patience", patience, "0 or more")
        _check(cooldown >= 0, "cooldown", cooldown, "0 or more")
        _check(threshold_mode in ("rel", "abs"), "threshold_mode", threshold_mode, "'rel' or 'abs'")
        self.factor, self.patience, self.cooldown, self.min_lr, self.eps = factor, patience, cooldown, min_lr, eps
        self.threshold, self.relative = threshold, threshold_mode == "rel"
        self.current, self.best = self.lr, math.inf
        self.bad_epochs, self.cooldown_left = 0, 0

    def rate(self, t: int) -> float:
        return self.current

    def observe(self, validation_loss: float) -> None:
        limit = self.best * (1 - self.threshold) if self.relative else self.best - self.threshold
        if validation_loss < limit:
            self.best, self.bad_epochs = float(validation_loss), 0
        else:
            self.bad_epochs += 1
        if self.cooldown_left:
            self.cooldown_left -= 1
            self.bad_epochs = 0
        if self.bad_epochs > self.patience:
            reduced = max(self.current * self.factor, self.min_lr)
            if self.current - reduced > self.eps:
                self.current = reduced
            self.cooldown_left, self.bad_epochs = self.cooldown, 0


def _cosine(start: float, end: float, part: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2


def _line(start: float, end: float, part: float) -> float:
    return start + (end - start) * part


def _check(fits: bool, name: str, value: object, expected: str) -> None:
    if not fits:
        raise ValueError(f"{name} must be {expected}; {value!r} given")


# The names that --schedule takes.
SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "cosine": Cosine,
    "onecycle": OneCycle,
    "step": Step,
    "plateau": Plateau,
}


def make_schedule(
    name: str, lr: float, total_steps: int, steps_per_epoch: int, warmup_steps: int = 0, **options: Any
) -> Schedule:
    """Return a schedule by its name in ``SCHEDULES``; further options are those of its class.

    Raises:
        ValueError: if the name is unknown or a number is out of range.
        TypeError: if the schedule does not have an option.
    """
    if name not in SCHEDULES:
        raise ValueError(f"unknown schedule {name!r}; one of {', '.join(SCHEDULES)} expected")
    return SCHEDULES[name](lr, total_steps, steps_per_epoch, warmup_steps, **options)
