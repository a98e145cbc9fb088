"""``many``: generated hourly series, the same on every machine and in every process."""

from __future__ import annotations

import numpy as np

from .grid import Grid
from .panel import Panel

END = np.datetime64("2024-07-01T00:00:00", "s")  # the time after the last row of all
SERIES, LEAST, MOST, HOUR = 200, 336, 1344, 3600  # two to eight weeks
COUNTS = 5  # of each so many series one is of small counts


def many(series: int = SERIES, seed: int = 0) -> Panel:
    """Return a panel of hourly series that end together: levels over four orders of magnitude, days and weeks, trends,
    counts, and different lengths.
    """
    from scipy.signal import lfilter  # takes a second, which no other data should wait for

    values, lengths = [], []
    for k in range(series):
        rng = np.random.default_rng((seed, k))
        n = int(rng.integers(LEAST, MOST + 1))
        hours = np.arange(n) + (int(END.astype(np.int64)) // HOUR - n)
        angle = 2 * np.pi * hours / 24
        day = sum(rng.normal(scale=0.5 / h) * np.cos(h * angle + rng.uniform(0, 2 * np.pi)) for h in (1, 2, 3))
        week = 1 - rng.uniform(0, 0.5) * ((hours // 24 + 3) % 7 >= 5)  # quieter weekends
        slow = lfilter([0.05], [1, -0.8], rng.normal(size=n))  # errors that last for some hours
        shape = np.exp(0.6 * day + slow) * week * (1 + rng.uniform(-0.5, 1.0) * np.arange(n) / n)
        level = 10 ** rng.uniform(0, 4)
        counted = k % COUNTS == 0
        values.append(rng.poisson(min(level, 5.0) * shape).astype(float) if counted else np.round(level * shape, 4))
        lengths.append(n)
    steps = [Grid(END - np.timedelta64(n * HOUR, "s"), HOUR) for n in lengths]
    every = np.concatenate(values)[:, None]
    return Panel("many", [f"s{k:03}" for k in range(series)], every, ["y"], np.append(0, np.cumsum(lengths)), steps,
                 step=HOUR, filled=np.zeros(every.shape, bool), all_columns=["y"], kinds={"y": "measurement"},
                 notes=[f"{series} generated hourly series of {min(lengths):,} to {max(lengths):,} rows"])  # fmt: skip
