"""The constants of the intervals, on rows before the test parts: python benchmarks/interval_constants.py [FOLDER]

Each series ends at 85 % of its rows: a model is trained on 70 % of those, and what is scored is the last 15 % of them,
rows that a training on the whole series has for training and validation. Prints for each value of a constant the
coverage of the nominal 90 % interval one step ahead and over 24 steps fed back, and its score over that of the constant
width. FOLDER holds ``seattle.csv`` (daily rain) and ``peyton.csv``; rain, shop and river are generated.

- ``ABOVE`` (adaptive.py), of series with a floor that is common: more misses above, none below. One step ahead the
  least that covers no more than 93 %, further the one with the least score: 1.6 and 1.4.
- ``MARGIN`` (intervals.py), by which a scale that changes must be better than a constant: 1 to 1.06 choose the
  same.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import series

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import npseq
from npseq.forecast import adaptive, interval_scale, intervals

ABOVE, MARGIN = (1.0, 1.2, 1.4, 1.6, 1.8, 2.0), (1.0, 1.03, 1.06)
ROWS, STEPS = 4000, 24


def rain(n: int = 2000, seed: int = 5) -> np.ndarray:
    """Return daily rain: a wet day follows a wet one more often, in winter too; amounts are exponential."""
    rng, wet, found = np.random.default_rng(seed), False, np.zeros(n)
    for t in range(n):
        season = 0.15 * np.cos(2 * np.pi * t / 365.25)
        wet = rng.random() < (0.65 if wet else 0.25) + season
        found[t] = round(rng.exponential(6), 1) * wet
    return found


def known(folder: Path, name: str) -> np.ndarray:
    """Return the values of a file, without gaps, up to 85 % of its rows."""
    y = np.genfromtxt(folder / f"{name}.csv", delimiter=",", skip_header=1, usecols=1)
    there = np.flatnonzero(np.isfinite(y))
    return np.interp(np.arange(len(y)), there, y[there])


def trained(y: np.ndarray, step: str) -> npseq.Forecaster:
    """Return the forecaster of the first 85 % of the values."""
    y = y[: int(0.85 * len(y))]
    times = np.datetime64("2020-01-06", step) + np.arange(len(y))
    return npseq.Forecaster("optimized_gru", seed=0).fit({"time": times, "y": y}, "y", time="time")


def told(name: str, constant: str, value: float, found: dict[str, Any]) -> None:
    """Print a line."""
    cells = [name, f"{constant} {value:g}"]
    for part in (found["interval"], found["fed_back"]["interval"]):
        cells += [f"{part['coverage']:.1%}", f"{part['score'] / part['constant_score']:.3f}"]
    print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """Print the table."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    print("| series | constant | 1 step | score | 24 fed back | score |\n|---|---|---|---|---|---|")
    resting = {"rain": rain()} | ({"seattle": known(folder, "seattle")} if folder else {})
    for name, y in resting.items():
        forecaster, kept = trained(y, "D"), adaptive.ABOVE
        for value in ABOVE:
            adaptive.ABOVE = interval_scale.ABOVE = value, value
            told(name, "ABOVE", value, forecaster.score(STEPS))
        adaptive.ABOVE = interval_scale.ABOVE = kept
    others = {"shop": (series.shop(ROWS), "h"), "river": (series.river(ROWS), "h")}
    others |= {"peyton": (known(folder, "peyton"), "D")} if folder else {}
    for name, (y, step) in others.items():
        for value in MARGIN:
            intervals.MARGIN = value
            told(name, "MARGIN", value, trained(y, step).score(STEPS))


if __name__ == "__main__":
    main()
