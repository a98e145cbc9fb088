"""Series to measure forecasts with, generated from stated equations: python benchmarks/series.py FOLDER

Three domains beside the shipped traffic, hourly from 2022-01-03 (a Monday), t in hours, ε standard normal, AR(1) noises
n_t = ρ n_{t−1} + √(1 − ρ²) ε_t:

- demand (electricity of a town, MW):
  y = (60 + 14 w(t) + 9 s(t) + 0.25 max(0, 16 − T)² / 4 + 0.5 max(0, T − 22)²) · exp(0.03 n),
  T = 11 − 9 cos(2π d / 365) − 4 cos(2π (h − 4) / 24) + 3 n' the temperature, w 1 on working hours of working days,
  s the evening peak exp(−(h − 19)² / 6);
- shop (orders an hour): Poisson counts with the rate
  exp(1.2 + 1.1 sin(2π (h − 9) / 24) + 0.5 [weekend] + 0.3 n_t + promotion), promotions of a day, one day in 23, of 0.9;
- river (level, cm): a reservoir that fills with rain and empties by its own level,
  L_t = L_{t−1} − 0.012 L_{t−1}^1.3 / 8 + r_t, rain in showers of a few hours, and tide-like releases of a plant
  6 sin(2π (h − 7) / 24) on working days;
  y = 80 + L + release + 0.4 ε.

Each is written to FOLDER as NAME.csv. Everything follows from the seed, so the files are not in the repository.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

HOURS, START = 20_000, np.datetime64("2022-01-03T00", "h")


def ar1(rng: np.random.Generator, n: int, rho: float) -> np.ndarray:
    """Return n_t = ρ n_{t−1} + √(1 − ρ²) ε_t."""
    noise, values = rng.normal(size=n) * np.sqrt(1 - rho**2), np.empty(n)
    values[0] = rng.normal()
    for t in range(1, n):
        values[t] = rho * values[t - 1] + noise[t]
    return values


def demand(n: int = HOURS, seed: int = 1) -> np.ndarray:
    """Return the electricity demand (n,)."""
    rng, t = np.random.default_rng(seed), np.arange(n)
    hour, day, weekday = t % 24, t / 24, t // 24 % 7
    temperature = 11 - 9 * np.cos(2 * np.pi * day / 365) - 4 * np.cos(2 * np.pi * (hour - 4) / 24)
    temperature = temperature + 3 * ar1(rng, n, 0.98)
    work = ((hour >= 7) & (hour < 18) & (weekday < 5)).astype(float)
    evening = np.exp(-((hour - 19.0) ** 2) / 6)
    load = 60 + 14 * work + 9 * evening
    load += 0.25 * np.maximum(0, 16 - temperature) ** 2 / 4 + 0.5 * np.maximum(0, temperature - 22) ** 2
    return load * np.exp(0.03 * ar1(rng, n, 0.9))


def shop(n: int = HOURS, seed: int = 2) -> np.ndarray:
    """Return the counts (n,) of orders."""
    rng, t = np.random.default_rng(seed), np.arange(n)
    hour, weekday = t % 24, t // 24 % 7
    promotion = np.repeat(rng.random(-(-n // 24)) < 1 / 23, 24)[:n]
    rate = 1.2 + 1.1 * np.sin(2 * np.pi * (hour - 9) / 24) + 0.5 * (weekday >= 5) + 0.3 * ar1(rng, n, 0.97)
    return rng.poisson(np.exp(rate + 0.9 * promotion)).astype(float)


def river(n: int = HOURS, seed: int = 3) -> np.ndarray:
    """Return the level (n,) of the river."""
    rng, t = np.random.default_rng(seed), np.arange(n)
    hour, weekday = t % 24, t // 24 % 7
    rain, level, raining = np.zeros(n), np.empty(n), False
    for k in range(n):
        raining = rng.random() < (0.75 if raining else 0.012)
        rain[k] = rng.gamma(1.2, 2.0) if raining else 0.0
    level[0] = 20.0
    for k in range(1, n):
        level[k] = level[k - 1] - 0.012 * level[k - 1] ** 1.3 / 8 + rain[k]
    release = 6 * np.sin(2 * np.pi * (hour - 7) / 24) * (weekday < 5)
    return 80 + level + release + 0.4 * rng.normal(size=n)


SERIES = {"demand": demand, "shop": shop, "river": river}


def write(folder: Path) -> dict[str, Path]:
    """Write every series. Returns name to file."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for name, make in SERIES.items():
        paths[name] = folder / f"{name}.csv"
        times = START + np.arange(HOURS)
        lines = "".join(f"{str(time).replace('T', ' ')}:00,{value:.3f}\n" for time, value in zip(times, make()))
        paths[name].write_text(f"time,{name}\n" + lines)
    return paths


if __name__ == "__main__":
    for name, path in write(Path(sys.argv[1] if len(sys.argv) > 1 else ".")).items():
        print(f"{name}: {path}")
