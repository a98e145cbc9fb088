"""A price and a holiday that are known ahead, beside a linear regression: python benchmarks/known_ahead.py

Daily, 1,500 rows, ε standard normal, w a profile of the week, p a price that changes every few days, h 1 on a holiday,
n_t = 0.7 n_{t−1} + ε_t:

- ``linear``: y = 100 + 10 w − 12 (p − 5) + 25 h + 4 n
- ``multiplicative``: y = exp(4.5 + 0.1 w − 0.25 (p − 5) + 0.3 h + 0.05 n), so that log y is linear in p and h
- ``thresholds``: y = 100 + 10 w − 40 [p > 5.5] + 25 h [w > 0] + 4 n, which no regression of p and h can hold

The regression has the day of the week, p, h and the last 14 values, fitted by least squares to the rows before the test
part (the last 15 %), and is fed back. Prints the test RMSE of one step and over all of 28 steps fed back.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

N, LAGS, STEPS = 1500, 14, 28
KINDS = "linear", "multiplicative", "thresholds"


def made(kind: str, seed: int = 0, n: int = N) -> dict[str, np.ndarray]:
    """Return the columns time, y, price and holiday."""
    rng, t = np.random.default_rng(seed), np.arange(n)
    changes = rng.random(n) < 0.2
    changes[0] = True
    p = np.round(rng.uniform(4, 7, n), 1)[np.maximum.accumulate(np.where(changes, t, 0))]
    h, w = (rng.random(n) < 0.04).astype(float), np.array([0, 0.2, 0.1, 0.3, 1, 1.5, -1])[t % 7]
    noise = np.zeros(n)
    for k, e in enumerate(rng.normal(size=n)):
        noise[k] = 0.7 * noise[k - 1] + e
    y = {
        "linear": 100 + 10 * w - 12 * (p - 5) + 25 * h + 4 * noise,
        "multiplicative": np.exp(4.5 + 0.1 * w - 0.25 * (p - 5) + 0.3 * h + 0.05 * noise),
        "thresholds": 100 + 10 * w - 40 * (p > 5.5) + 25 * h * (w > 0) + 4 * noise,
    }[kind]
    return {"time": np.datetime64("2020-01-06") + t, "y": y, "price": p, "holiday": h}


def regression(columns: dict[str, np.ndarray], steps: int) -> tuple[float, float]:
    """Return the RMSE of the regression on the test part: one step, and fed back."""
    y, n = columns["y"], len(columns["y"])
    b = int(0.85 * n)
    x = np.stack([columns["price"], columns["holiday"], *np.eye(7)[np.arange(n) % 7].T], axis=1)
    rows = np.arange(LAGS, b)
    lags = np.arange(1, LAGS + 1)
    beta = np.linalg.lstsq(np.concatenate([x[rows], y[rows[:, None] - lags]], axis=1), y[rows], rcond=None)[0]
    found = []
    for K in (1, steps):
        origins = np.arange(b, n - K + 1)
        whole = np.concatenate([y[origins[:, None] - lags[::-1]], np.zeros((len(origins), K))], axis=1)
        for k in range(K):
            before = whole[:, k : k + LAGS][:, ::-1]
            whole[:, LAGS + k] = x[origins + k] @ beta[: x.shape[1]] + before @ beta[x.shape[1] :]
        errors = whole[:, LAGS:] - y[origins[:, None] + np.arange(K)]
        found.append(float(np.sqrt((errors**2).mean())))
    return found[0], found[1]


def ours(columns: dict[str, np.ndarray], steps: int, **settings: object) -> tuple[float, float]:
    """Return the same of ``Forecaster`` at its defaults."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    import npseq

    forecaster = npseq.Forecaster("optimized_gru", seed=0, **settings)
    forecaster.fit(columns, "y", future=["price", "holiday"], time="time")
    found = forecaster.score(steps=steps, interval=None)
    return found["model"]["rmse"], found["fed_back"]["model"]["rmse"]


def main() -> None:
    """Print the table."""
    print("| series | 1 step | regression | ratio | 28 fed back | regression | ratio |\n|---|---|---|---|---|---|---|")
    for kind in KINDS:
        columns = made(kind)
        cells = [kind]
        for own, other in zip(ours(columns, STEPS), regression(columns, STEPS)):
            cells += [f"{own:.4g}", f"{other:.4g}", f"{own / other:.3f}"]
        print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
