"""An interval whose width follows the state: what a weights file keeps of it, and its bounds (see ``intervals.py``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..formats import schema
from . import adaptive
from .adaptive import ABOVE, FEW

_TAIL = [0.0, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.06, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4]
LEVELS = np.array([*_TAIL, 0.5, *(1 - level for level in reversed(_TAIL))])  # of the scaled residuals
DIGITS = 6  # significant digits of a number in the file
LARGEST_LOG = 5.0  # of a scale
HELD = 0.5, 0.8, 0.9, 0.95  # coverages that are measured on the test part
SCALES = "state", "recent", "product", "constant"
RESTING = 0.25  # of the values where the forecast is above its median: a floor that is so common is the lower bound
HALF_LIFE = 20  # rows: of the moving average of |e|
WINDOW = 10 * HALF_LIFE  # rows that it looks back
MEAN_OF_NORMAL = 0.798  # |e| of a normal e, in standard deviations
SMALLEST = 0.05  # moving average, relative to that of the validation part


@dataclass(frozen=True)
class Width:
    """The interval whose width follows the state.

    weight (h · O, R) and bias (h · O,): V and c. quantiles (levels, K · O): of the scaled residuals of the steps
    1 … K. mean, deviation, count (K · O,): of the same residuals. rows: whose one-step errors give v; reference (O,):
    root mean square of those errors on the validation part; floor (O,): the smallest possible value, NaN for none;
    resting (O,): the share of the validation values that are at the floor where the forecast is above its median;
    kinds: of the scale of one horizon, and of forecasts fed back further (``SCALES``).
    """

    weight: np.ndarray
    bias: np.ndarray
    quantiles: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    count: np.ndarray
    rows: int
    reference: np.ndarray
    floor: np.ndarray
    resting: np.ndarray = field(default_factory=lambda: np.zeros(1))
    kinds: tuple[str, str] = ("state", "state")

    _ARRAYS = "weight", "bias", "quantiles", "mean", "deviation", "count", "reference", "resting"

    def to_json(self) -> dict[str, Any]:
        """Return what a weights file keeps."""
        values: dict[str, Any] = {name: rounded(getattr(self, name)).tolist() for name in self._ARRAYS}
        values |= {"rows": self.rows, "kinds": list(self.kinds)}
        values["floor"] = [None if np.isnan(value) else float(value) for value in self.floor]
        return values

    @classmethod
    def from_json(cls, mapping: Mapping[str, Any], outputs: int, targets: int) -> Width:
        """Return the interval that a weights file describes, of a model with so many outputs and targets.

        Raises:
            ValueError: for the first fault.
        """
        numbers, table = schema.listed(schema.NUMBER), schema.listed(schema.listed(schema.NUMBER))
        fields = {name: numbers for name in cls._ARRAYS} | {"weight": table, "quantiles": table}
        fields |= {"rows": schema.COUNT, "kinds": schema.listed(schema.one_of(SCALES), 2)}
        fields |= {"floor": schema.listed(schema.optional(schema.NUMBER), targets)}
        values = schema.check(mapping, fields, "its interval")
        try:
            arrays = {name: np.array(values[name], float) for name in cls._ARRAYS}
        except ValueError:
            raise ValueError("its interval has lists of different lengths") from None
        steps = len(arrays["mean"])
        shapes = {
            "bias": (outputs,),
            "reference": (targets,),
            "resting": (targets,),
            "quantiles": (len(LEVELS), steps),
            "deviation": (steps,),
            "count": (steps,),
        }
        for name, shape in shapes.items():
            if arrays[name].shape != shape:
                raise ValueError(f"its interval has {name} of the shape {arrays[name].shape}; {shape} expected")
        if arrays["weight"].ndim != 2 or len(arrays["weight"]) != outputs or steps % targets or not steps:
            raise ValueError(f"its interval does not fit {outputs} outputs of {targets} targets")
        floor = np.array([np.nan if value is None else value for value in values["floor"]])
        return cls(**arrays, rows=values["rows"], floor=floor, kinds=tuple(values["kinds"]))

    @property
    def steps(self) -> int:
        """K, the number of steps whose errors were measured."""
        return len(self.mean) // len(self.reference)

    def log_scale(self, h: np.ndarray) -> np.ndarray:
        """Return log s (n, h · O) for the hidden states h (n, R)."""
        log_s: np.ndarray = np.clip(h @ self.weight.T + self.bias, -LARGEST_LOG, LARGEST_LOG)
        return log_s

    def quantile(self, p: float) -> np.ndarray:
        """Return the quantile (K · O,) of the scaled residuals for the probability p of a tail or the rest."""
        upper = p > 0.5
        tail = 1 - p if upper else p
        n = np.maximum(self.count, 1)
        place = ((n + 1) * tail - 1) / np.maximum(n - 1, 1)  # 0 is the outermost error, 1 the innermost
        level = np.clip(place, 0, 1)
        level = 1 - level if upper else level
        found = np.array([np.interp(at, LEVELS, column) for at, column in zip(level, self.quantiles.T)])
        small = n < FEW
        if small.any():
            from scipy.special import stdtrit

            t = stdtrit(np.maximum(n - 1, 1), p)
            wide = self.mean + t * self.deviation * np.sqrt(1 + 1 / n)
            found = np.where(small, np.maximum(found, wide) if upper else np.minimum(found, wide), found)
        return found

    def start(self, step: int, target: int) -> np.ndarray:
        """Return scaled errors of a step from 0 and a target that have the quantiles of those of the validation part,
        in an order in which any run of them has these, too."""
        column = min(step, self.steps - 1) * len(self.reference) + target
        n = int(self.count[column])
        errors = np.interp((np.arange(n) + 0.5) / max(n, 1), LEVELS, self.quantiles[:, column])
        stride = next((k for k in range(max(1, int(0.618 * n)), n) if np.gcd(k, n) == 1), 1)
        return np.asarray(errors[np.arange(n) * stride % max(n, 1)])

    def adapted(self, scaled: np.ndarray, rows: np.ndarray, coverage: float, since: int = 0) -> np.ndarray:
        """Return the offsets (m, K, O, 2) of forecasts from origins in time order, each from the errors before it.

        Args:
            scaled: (m, K, O) errors in units of the scale, NaN where they are not known. rows, since: as
                ``adaptive.offsets``.
        """
        found = np.empty((*scaled.shape, 2))
        for step, k in np.ndindex(scaled.shape[1:]):
            start, rests = self.start(step, k), bool(self.rests[k])
            found[:, step, k] = adaptive.offsets(scaled[:, step, k], rows, start, coverage, step + 1, since, rests)
        return found

    def static(self, coverage: float) -> np.ndarray:
        """Return the offsets (K, O, 2) of the errors of the validation part, in units of the scale."""
        p, O = (1 - coverage) / 2, len(self.reference)
        levels = p, 1 - p, 1 - ABOVE[0] * p, 1 - ABOVE[1] * p
        low, high, near, far = (self.quantile(level).reshape(-1, O) for level in levels)
        far[0] = near[0]
        return np.stack([low, np.where(self.rests, far, high)], axis=-1)

    def bounds(
        self, forecast: np.ndarray, scale: np.ndarray, coverage: float, offsets: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return low and high (n, steps, O) around the ``forecast`` (n, steps, O); low ≤ forecast ≤ high.

        Beyond the K steps whose errors were measured the interval widens with the square root of the step. Where few
        errors were measured it is not narrower than that of a step before.

        Args:
            scale: as the forecast, in data units. coverage: nominal, between 0 and 1. offsets: (n, ≤ K, O, 2) that have
                adapted, by default those of the validation part.
        """
        n, steps, O = forecast.shape
        known = self.static(coverage)[None] if offsets is None else offsets
        K = min(known.shape[1], steps)
        found = np.empty((len(known), steps, O, 2))
        found[:, :K] = known[:, :K]
        if steps > K:
            found[:, K:] = known[:, K - 1 : K] * np.sqrt(np.arange(K + 1, steps + 1) / K)[:, None, None]
        low, high = (forecast + scale * found[..., side] for side in (0, 1))
        if self.count.min() < FEW:
            low = forecast + np.minimum.accumulate(low - forecast, axis=1)
            high = forecast + np.maximum.accumulate(high - forecast, axis=1)
        low, high = np.minimum(low, forecast), np.maximum(high, forecast)
        low = np.where(self.rests, np.fmin(low, self.floor), low)
        return np.fmax(low, self.floor), np.fmax(high, self.floor)

    @property
    def rests(self) -> np.ndarray:
        """(O,) True if the floor is so common that the lower bound is the floor."""
        return np.asarray(np.isfinite(self.floor) & (self.resting >= RESTING))

    def not_below(self, forecast: np.ndarray) -> np.ndarray:
        """Return the forecast (…, O), no smaller than the floor."""
        return np.asarray(np.fmax(forecast, self.floor))


def recent(errors: np.ndarray, rows: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return the moving average (len(rows), O) of |e| before each row, with a half-life of ``HALF_LIFE`` rows, relative
    to the ``reference`` (O,); 1 where there are no errors.

    Args:
        errors: (n, O), NaN where they are not known.
    """
    weights = 0.5 ** (np.arange(1, WINDOW + 1) / HALF_LIFE)
    n, found = len(errors), np.ones((len(rows), errors.shape[1]))
    last = np.clip(rows, 0, n)
    for k, column in enumerate(errors.T):
        there = np.isfinite(column)
        total, count = (
            np.concatenate([[0.0], np.convolve(part, weights)[:n]]) for part in (np.abs(np.nan_to_num(column)), there)
        )
        known = count[last] > 0
        average = total[last] / np.where(known, count[last], 1.0) / (reference[k] * MEAN_OF_NORMAL)
        found[:, k] = np.where(known, np.maximum(average, SMALLEST), 1.0)
    return found


def rounded(array: Any) -> np.ndarray:
    """Return the numbers with ``DIGITS`` significant digits."""
    array = np.asarray(array, float)
    return np.array([float(f"{value:.{DIGITS}g}") for value in array.reshape(-1)]).reshape(array.shape)
