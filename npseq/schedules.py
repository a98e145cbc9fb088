"""Learning-rate schedules, with torch's definitions (2.13), as functions of the number of the update.

    schedule = make_schedule("cosine", lr=0.01, total_steps=10 * 527, steps_per_epoch=527, warmup_steps=100)
    optimizer.lr = schedule(step)        # before each update; step counts from 0
    schedule.observe(validation_loss)    # after each epoch; only Plateau takes notice

The lr that is given is the largest one. With warm-up the rate first rises in equal steps,

    lr_t = (t + 1) / (W + 1) · lr of the schedule's beginning,   t < W = warmup_steps,

and the schedule begins at t = W, as it does in torch's ``SequentialLR`` after ``LinearLR(start_factor=1 / (W + 1),
total_iters=W)``. Only the learning rate is scheduled, never the momentum.
"""

import math


class Schedule:
    """What all have in common.

    Args:
        lr: learning rate, from 0 up.
        total_steps: updates in the whole run, warm-up included.
        steps_per_epoch: updates in an epoch.
        warmup_steps: updates in the warm-up, fewer than ``total_steps``.

    Attributes:
        depends_on_total: whether the rates of the first steps depend on ``total_steps``, so that a run which was begun
            with one total cannot be continued to another as if it had been begun with that.

    Raises:
        ValueError: for a number out of range.
    """

    depends_on_total = False
    state = ()  # names of the numbers that observe changes

    def __init__(self, lr, total_steps, steps_per_epoch=1, warmup_steps=0):
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
        self.steps = total_steps - warmup_steps  # without the warm-up

    def __call__(self, step):
        """The learning rate of an update, ``step`` = 0, 1, …"""
        if step < self.warmup_steps:
            return self.rate(0) * (step + 1) / (self.warmup_steps + 1)
        return self.rate(step - self.warmup_steps)

    def observe(self, validation_loss):
        """Tell the schedule how an epoch ended."""

    def state_dict(self):
        """name -> number: all that ``observe`` has changed."""
        return {name: getattr(self, name) for name in self.state}

    def load_state_dict(self, state):
        """Go on from ``state_dict()`` of a schedule with the same options. Raises ValueError for other names."""
        if set(state) != set(self.state):
            raise ValueError(
                f"the state of {type(self).__name__} is {', '.join(self.state) or 'empty'}; "
                f"{', '.join(map(str, state)) or 'nothing'} given"
            )
        for name, value in state.items():
            setattr(self, name, type(getattr(self, name))(value))


class Constant(Schedule):
    """lr_t = lr."""

    def rate(self, t):
        return self.lr


class Step(Schedule):
    """lr_t = lr · γ^⌊epoch / step_size⌋ (torch's StepLR): smaller by the factor ``gamma`` every ``step_size`` epochs.

    Epochs are counted from the end of the warm-up. torch has no default for step_size.
    """

    def __init__(self, *args, step_size=5, gamma=0.1, **options):
        super().__init__(*args, **options)
        _check(step_size >= 1, "step_size", step_size, "1 epoch or more")
        _check(gamma >= 0, "gamma", gamma, "0 or more")
        self.step_size, self.gamma = step_size, gamma

    def rate(self, t):
        return self.lr * self.gamma ** (t // (self.step_size * self.steps_per_epoch))


class Cosine(Schedule):
    """lr_t = η + (lr − η) (1 + cos(π t / T)) / 2 (torch's CosineAnnealingLR).

    η is ``eta_min``, T the number of steps after the warm-up.

    Source: Loshchilov & Hutter 2017, arXiv 1608.03983v5, equation 5, without restarts.
    """

    depends_on_total = True

    def __init__(self, *args, eta_min=0.0, **options):
        super().__init__(*args, **options)
        _check(eta_min >= 0, "eta_min", eta_min, "0 or more")
        self.eta_min = eta_min

    def rate(self, t):
        return _cosine(self.lr, self.eta_min, t / self.steps)


class OneCycle(Schedule):
    """Up from lr / div_factor to lr in the first ``pct_start`` of the steps, then down to
    lr / div_factor / final_div_factor at the last one (torch's OneCycleLR, with two phases).

    Each phase is half a cosine, or with ``anneal_strategy="linear"`` a line. torch's class also cycles the momentum
    unless it is told not to; this one is its ``cycle_momentum=False``.

    Source: Smith & Topin, "Super-convergence", 2017, arXiv 1708.07120v3.
    """

    depends_on_total = True

    def __init__(self, *args, pct_start=0.3, anneal_strategy="cos", div_factor=25.0, final_div_factor=1e4, **options):
        super().__init__(*args, **options)
        _check(0 <= pct_start <= 1, "pct_start", pct_start, "from 0 to 1")
        _check(anneal_strategy in ("cos", "linear"), "anneal_strategy", anneal_strategy, "'cos' or 'linear'")
        _check(div_factor > 0, "div_factor", div_factor, "greater than 0")
        _check(final_div_factor > 0, "final_div_factor", final_div_factor, "greater than 0")
        self.anneal = _cosine if anneal_strategy == "cos" else _line
        self.first, self.last = self.lr / div_factor, self.lr / div_factor / final_div_factor
        self.peak = pct_start * self.steps - 1  # the step at which lr is reached; need not be a whole number

    def rate(self, t):
        end = self.steps - 1
        if t > end + 1:  # torch allows the one call after the last update
            raise ValueError(
                f"step {t + self.warmup_steps} is past the schedule's end: it was made for "
                f"{self.steps + self.warmup_steps} steps; make it anew with a larger total_steps"
            )
        if t <= self.peak:
            return self.anneal(self.first, self.lr, t / self.peak if self.peak else 1.0)
        return self.anneal(self.lr, self.last, (t - self.peak) / (end - self.peak) if end > self.peak else 1.0)


class Plateau(Schedule):
    """lr ← max(lr · factor, min_lr) when the validation loss does not get smaller (torch's ReduceLROnPlateau).

    That is when more than ``patience`` epochs in a row have not made it smaller than the best so far by the relative
    (``threshold_mode="abs"``: absolute) ``threshold``; torch's patience of 10 never acts in a run of 10 epochs. After a
    reduction ``cooldown`` epochs are not counted; a reduction by no more than ``eps`` is left out.
    """

    state = ("current", "best", "bad_epochs", "cooldown_left")

    def __init__(
        self,
        *args,
        factor=0.1,
        patience=10,
        threshold=1e-4,
        threshold_mode="rel",
        cooldown=0,
        min_lr=0.0,
        eps=1e-8,
        **options,
    ):
        super().__init__(*args, **options)
        _check(0 <= factor < 1, "factor", factor, "from 0 up to, not including, 1")
        _check(patience >= 0, "patience", patience, "0 or more")
        _check(threshold_mode in ("rel", "abs"), "threshold_mode", threshold_mode, "'rel' or 'abs'")
        self.factor, self.patience, self.cooldown, self.min_lr, self.eps = factor, patience, cooldown, min_lr, eps
        self.threshold, self.relative = threshold, threshold_mode == "rel"
        self.current, self.best, self.bad_epochs, self.cooldown_left = self.lr, math.inf, 0, 0

    def rate(self, t):
        return self.current

    def observe(self, validation_loss):
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


def _cosine(start, end, part):
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2


def _line(start, end, part):
    return start + (end - start) * part


def _check(fits, name, value, expected):
    if not fits:
        raise ValueError(f"{name} must be {expected}; {value!r} given")


# The names that --schedule takes.
SCHEDULES = {"constant": Constant, "cosine": Cosine, "onecycle": OneCycle, "step": Step, "plateau": Plateau}


def make_schedule(name, lr, total_steps, steps_per_epoch, warmup_steps=0, **options):
    """A schedule by its name in ``SCHEDULES``; the options are its class's.

    Raises:
        ValueError: for an unknown name or a number out of range.
        TypeError: for an option that the schedule does not have.
    """
    if name not in SCHEDULES:
        raise ValueError(f"unknown schedule {name!r}; one of {', '.join(SCHEDULES)} expected")
    return SCHEDULES[name](lr, total_steps, steps_per_epoch, warmup_steps, **options)
