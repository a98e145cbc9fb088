"""Short series beside AutoETS, DynamicOptimizedTheta and AutoARIMA: python benchmarks/short_series.py FOLDER

FOLDER holds the ten files of ``SERIES``. Of n rows the first b = int(0.85 n) are trained on; forecasts of H steps then
start from up to 24 origins, equally spaced from b to n − H, with parameters unchanged, while the peers are fitted anew
at every origin. The error is the RMSE over all origins and steps; gaps are filled linearly before. Prints the ratios to
the best of the peers, taken series by series, and to AutoETS.

The peers need statsforecast, which need not be installed beside npseq: ``--peers FILE`` writes their forecasts to FILE
and stops; ``--with FILE`` reads them.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

# name: column of the values, season of the peers, steps
SERIES = {
    "airline": (1, 12, 12),
    "ausbeer": (1, 4, 8),
    "births": (1, 7, 28),
    "co2_weekly": (1, 52, 13),
    "coal": (1, 1, 10),
    "elec_equip": (1, 12, 12),
    "nile": (1, 1, 10),
    "peyton": (1, 7, 28),
    "seattle": (1, 7, 28),
    "sunspots_y": (1, 1, 10),
}
PEERS = ["AutoETS", "DynamicOptimizedTheta", "AutoARIMA"]
ORIGINS = 24


def read(folder: Path, name: str) -> tuple[list[str], np.ndarray]:
    """Return the times, as text, and the values of a series: without gaps, on equal steps where the file has dates."""
    with open(folder / f"{name}.csv") as file:
        rows = list(csv.reader(file))[1:]
    times = [row[0].replace("/", "-") for row in rows]
    if times[0].endswith(".0") or len(times[0]) == 4:
        times = [f"{int(float(year))}-01-01" for year in times]
    column = SERIES[name][0]
    y = np.array([float(row[column]) if row[column] else np.nan for row in rows])
    if len(times[0]) == 10 and SERIES[name][1:] != (1, 10):
        days = np.array(times, "datetime64[D]")
        step = np.diff(days).min()
        if (np.diff(days) % step).astype(int).any():  # months
            days = days.astype("datetime64[M]")
            step = np.timedelta64(1, "M")
        every = np.arange(days[0], days[-1] + step, step)
        whole = np.full(len(every), np.nan)
        whole[((days - days[0]) // step).astype(int)] = y
        times, y = [str(day) for day in every], whole
    there = np.flatnonzero(~np.isnan(y))
    return times, np.interp(np.arange(len(y)), there, y[there])


def split(n: int, steps: int) -> tuple[int, np.ndarray]:
    """Return b and the origins."""
    b = int(0.85 * n)
    steps = min(steps, n - b)
    last = n - steps
    return b, np.unique(np.linspace(b, last, min(ORIGINS, last - b + 1)).astype(int))


def peer_forecasts(folder: Path, path: Path, names: list[str], peers: list[str]) -> None:
    """Add the forecasts of the peers, fitted anew at each origin, to the file."""
    from statsforecast import models

    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    for peer in peers:
        for name in names:
            if peer in found.setdefault(name, {}):
                continue
            _, y = read(folder, name)
            _, season, steps = SERIES[name]
            b, origins = split(len(y), steps)
            start, rows = time.process_time(), []
            for origin in origins:
                model = getattr(models, peer)(season_length=season)
                rows.append(model.forecast(y=y[:origin], h=min(steps, len(y) - b))["mean"].tolist())
            found[name][peer] = rows
            path.write_text(json.dumps(found))
            print(f"{name} {peer}: {time.process_time() - start:.1f} CPU s", flush=True)


def own_forecasts(folder: Path, name: str, model: str, seed: int) -> np.ndarray:
    """Return the forecasts (origins, steps) of ``Forecaster``, trained on the first b rows."""
    import pandas as pd

    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    import npseq

    times, y = read(folder, name)
    frame = pd.DataFrame({"time": times, "y": y})
    _, _, steps = SERIES[name]
    b, origins = split(len(y), steps)
    forecaster = npseq.Forecaster(model, seed=seed).fit(frame.iloc[:b], target="y", time="time")
    rows, known = [], b
    for origin in origins:
        if origin > known:
            forecaster.update(frame.iloc[known:origin])
        known = origin
        rows.append(np.asarray(forecaster.predict(min(steps, len(y) - b))["y"], float))
    return np.array(rows)


def rmse(forecasts: Any, y: np.ndarray, origins: np.ndarray) -> float:
    """Return the root mean squared error of the forecasts (origins, steps)."""
    forecasts = np.asarray(forecasts, float)
    actual = y[origins[:, None] + np.arange(forecasts.shape[1])]
    return float(np.sqrt(np.mean((forecasts - actual) ** 2)))


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("folder", type=Path)
    p.add_argument("--peers", type=Path, help="write the forecasts of the peers to this file, and stop")
    p.add_argument("--with", dest="known", type=Path, help="file with the forecasts of the peers")
    p.add_argument("--only", help="peers or series to compute, separated by commas")
    p.add_argument("--model", default="optimized_gru")
    p.add_argument("--seed", type=int, default=0)
    args = p.parse_args()
    only = args.only.split(",") if args.only else []
    names = [name for name in SERIES if name in only] or list(SERIES)
    if args.peers:
        peer_forecasts(args.folder, args.peers, names, [peer for peer in PEERS if peer in only] or PEERS)
        return
    known = json.loads(args.known.read_text()) if args.known else {}
    print("| series | npseq | " + " | ".join(PEERS) + " | to the best | to AutoETS | CPU s |\n|" + "---|" * 8)
    ratios = []
    for name in names:
        start = time.process_time()
        own = own_forecasts(args.folder, name, args.model, args.seed)
        seconds = time.process_time() - start
        _, y = read(args.folder, name)
        _, origins = split(len(y), SERIES[name][2])
        error = rmse(own, y, origins)
        peers = {peer: rmse(rows, y, origins) for peer, rows in known.get(name, {}).items()}
        best = error / min(peers.values(), default=np.nan)
        ratios.append((best, error / peers.get("AutoETS", np.nan)))
        cells = [f"{peers[peer]:.4g}" if peer in peers else "" for peer in PEERS]
        print(
            f"| {name} | {error:.4g} | {' | '.join(cells)} | {best:.3f} | {ratios[-1][1]:.3f} | {seconds:.1f} |",
            flush=True,
        )
    mean = np.exp(np.mean(np.log(ratios), axis=0))
    print(f"geometric mean {mean[0]:.3f} and {mean[1]:.3f}, worst {max(ratios)[0]:.3f}")


if __name__ == "__main__":
    main()
