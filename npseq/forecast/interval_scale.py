"""An interval whose width follows the state: what a weights file keeps of it, and its bounds (see ``intervals.py``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..formats import schema

_TAIL = [0.0, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.06, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4]
LEVELS = np.array([*_TAIL, 0.5, *(1 - level for level in reversed(_TAIL))])  # of the scaled residuals
DIGITS = 6  # significant digits of a number in the file
FEW = 60  # with fewer errors Student's t distribution may widen the interval
LARGEST_LOG = 5.0  # of a scale


@dataclass(frozen=True)
class Width:
    """The interval whose width follows the state.

    weight (h · O, R) and bias (h · O,): V and c. quantiles (levels, K · O): of the scaled residuals of the steps
    1 … K. mean, deviation, count (K · O,): of the same residuals. rows: whose one-step errors give v; reference (O,):
    root mean square of those errors on the validation part; floor (O,): the smallest possible value, NaN for none.
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

    _ARRAYS = "weight", "bias", "quantiles", "mean", "deviation", "count", "reference"

    def to_json(self) -> dict[str, Any]:
        """Return what a weights file keeps."""
        values: dict[str, Any] = {name: rounded(getattr(self, name)).tolist() for name in self._ARRAYS}
        values["rows"] = self.rows
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
        fields |= {"rows": schema.COUNT, "floor": schema.listed(schema.optional(schema.NUMBER), targets)}
        values = schema.check(mapping, fields, "its interval")
        try:
            arrays = {name: np.array(values[name], float) for name in cls._ARRAYS}
        except ValueError:
            raise ValueError("its interval has lists of different lengths") from None
        steps = len(arrays["mean"])
        shapes = {
            "bias": (outputs,),
            "reference": (targets,),
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
        return cls(**arrays, rows=values["rows"], floor=floor)

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

    def bounds(self, forecast: np.ndarray, scale: np.ndarray, coverage: float) -> tuple[np.ndarray, np.ndarray]:
        """Return low and high (n, steps, O) around the ``forecast`` (n, steps, O); NaN beyond K steps.

        Args:
            scale: as the forecast, in data units. coverage: nominal, between 0 and 1.
        """
        steps, O = forecast.shape[1:]
        sides = []
        for p in ((1 - coverage) / 2, (1 + coverage) / 2):
            offset = np.full((steps, O), np.nan)
            offset[: self.steps] = self.quantile(p).reshape(-1, O)[:steps]
            sides.append(np.fmax(forecast + scale * offset, self.floor) + 0 * offset)
        return sides[0], sides[1]


def rounded(array: Any) -> np.ndarray:
    """Return the numbers with ``DIGITS`` significant digits."""
    array = np.asarray(array, float)
    return np.array([float(f"{value:.{DIGITS}g}") for value in array.reshape(-1)]).reshape(array.shape)
