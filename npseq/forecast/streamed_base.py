"""The base forecasts of a stream, from the last values alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import linear
from .bases import BaseModels


class StreamedBase:
    """The forecasts of the bases of a recipe from a ring of the last values.

    Args:
        bases: one a target. step: seconds between rows, or None. horizon: the most rows ahead.
    """

    def __init__(self, bases: BaseModels, step: int | None, horizon: int) -> None:
        self.bases, self.step = bases, step
        self._responses = [
            [(share, part, *linear.fed_back(part.weights, horizon)) for share, part in base.members]
            for base in bases.parts
        ]

    def forecast(self, past: np.ndarray, seen: int, time: Any, steps: int) -> np.ndarray:
        """Return the forecasts (steps, targets), standardised, of the rows ``seen`` … seen + steps − 1.

        Args:
            past: (length, targets), row t in t % length. time: of the row ``seen``.
        """
        result = np.zeros((steps, len(self.bases.parts)))
        times = None
        if self.step is not None and not np.isnat(time):
            times = time + np.arange(steps) * np.timedelta64(self.step, "s")
        for k, members in enumerate(self._responses):
            for share, part, Phi, psi in members:
                before = past[(seen - 1 - np.arange(part.order)) % len(past), k]
                before = before if part.log is None else part.log.of(before)
                drive = part.drive_at(times, steps)
                ahead = np.array([before @ Phi[:, i] + psi[: i + 1][::-1] @ drive[: i + 1] for i in range(steps)])
                result[:, k] += share * (ahead if part.log is None else part.log.undone(ahead))
        return result
