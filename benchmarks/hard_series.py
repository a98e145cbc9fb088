"""The base beside the best baseline on series that forecasters get wrong: python benchmarks/hard_series.py

Each has 200 months, ε standard normal. As in a training, the base of ``--base auto`` and the baselines that
``npseq evaluate`` prints are fitted to the first 70 % of them and chosen on the next 15 %; both are scored on the rest,
from every row of it.
``tests/forecast/test_figures.py`` has the bound.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from npseq import data
from npseq.forecast import ForecastTask
from npseq.forecast.baselines import Baselines

ROWS, SEED, STEPS = 200, 3, (1, 12)
SERIES = {
    "trend": lambda t, e: 2.0 * t + 5 * e,
    "growth": lambda t, e: np.exp(2 + 0.02 * t + 0.05 * e),
    "multiplicative season": lambda t, e: np.exp(3 + 0.01 * t + 0.3 * np.sin(t * np.pi / 6) + 0.05 * e),
    "level shift": lambda t, e: 100 + 40 * (t > 95) + 3 * e,
    "counts": lambda t, e: np.floor(np.exp(np.abs(e) / 1.3) - 0.6),
    "counts, 64 % zeros": lambda t, e: np.ceil(4 * np.maximum(e - 0.358, 0)),
    "stops at zero": lambda t, e: np.where(t < 120, 50 + 5 * e, 0.0),
    "slow random walk": lambda t, e: 100 + np.cumsum(e) / 10,
}


def compared(name: str, steps: int) -> tuple[float, str, float]:
    """Return the RMSE of the base over so many steps, the name of the best baseline, and its RMSE."""
    times = np.datetime64("2000-01", "M") + np.arange(ROWS)
    y = SERIES[name](np.arange(ROWS), np.random.default_rng(SEED).normal(size=ROWS))
    table = data.Table("m", np.asarray(y, float)[:, None], ["y"], irregular=times.astype("datetime64[s]"))
    task = ForecastTask(table, window=4, base="auto")
    rows, found = np.arange(task.split[1], ROWS - steps + 1), Baselines(task, task.fitted_baselines())
    actual = table.values[rows[:, None] + np.arange(steps), 0]
    forecasts = {found.label(each): found.forecast(each, rows, steps)[:, :, 0] for each in found.names}
    forecasts["base"] = task.target_scaler.to_units(task.base_ahead(rows, steps))[:, :, 0]
    errors = {each: round(float(np.sqrt(((forecast - actual) ** 2).mean())), 9) for each, forecast in forecasts.items()}
    own = errors.pop("base")
    best = min(errors, key=lambda each: errors[each])
    return own, best, errors[best]


def main() -> None:
    """Print the table."""
    print("| series |" + "".join(f" {k} step{'s' * (k > 1)} | best baseline | ratio |" for k in STEPS))
    print("|---" * (1 + 3 * len(STEPS)) + "|")
    for name in SERIES:
        cells = []
        for steps in STEPS:
            own, best, error = compared(name, steps)
            ratio = f"{own / error:.3f}" if error else "" if not own else "∞"
            cells += [f"{own:.4g}", f"{best} {error:.4g}", ratio]
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
