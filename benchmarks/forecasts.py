"""The table of forecasts in docs/forecasts.md, from real runs: python benchmarks/forecasts.py [--models lstm,gru,rnn]

Trains at the documented defaults with seeds 0–2 on the shipped traffic and on the series of ``series.py``, and prints
the test RMSE one step ahead and over all of 24 and 48 steps fed back, beside AR + slot and the best other baseline on
the same rows, and the coverage of the 90 % interval one step ahead.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import series

from npseq.cli import evaluate, training_run

STEPS = (24, 48)


def run(model: str, data: str, seed: int, folder: str, options: list[str]) -> dict[str, Any]:
    """Train and evaluate once. Returns the scores of ``npseq evaluate --json``, with those of each of ``STEPS``."""
    argv = ["--model", model, "--data", data, "--seed", str(seed), "--quiet", "--force", "--out-dir", folder, *options]
    assert training_run.main(argv) == 0
    found: dict[str, Any] = {}
    for steps in STEPS:
        text = io.StringIO()
        with contextlib.redirect_stdout(text), contextlib.redirect_stderr(io.StringIO()):
            assert (
                evaluate.main([f"{folder}/rnn_{model}_best.pth", "--data", data, "--steps", str(steps), "--json"]) == 0
            )
        found[str(steps)] = json.loads(text.getvalue())
    return found


def line(name: str, model: str, runs: list[dict[str, Any]]) -> str:
    """Return the row of one series and model: the mean of the runs, (smallest – largest), and the baselines."""
    cells = []
    for steps in (1, *STEPS):
        parts = [found[str(STEPS[0])] if steps == 1 else found[str(steps)]["fed_back"] for found in runs]
        own = [part["model"]["rmse"] for part in parts]
        others = {key: scores["rmse"] for key, scores in parts[0]["baselines"].items()}
        best = min(others, key=lambda key: others[key])
        slot = others.get("ar_slot", others["ar"])
        cells.append(f"{np.mean(own):.4g} ({min(own):.4g} – {max(own):.4g}) | {slot:.4g} | {np.mean(own) / slot:.3f} | "
                     f"{'' if best == 'ar_slot' else f'{best} {others[best]:.4g}'}")  # fmt: skip
    intervals = [found[str(STEPS[0])]["interval"] for found in runs]
    worst = min(min(row["coverage"] for row in part["by_hour"]) for part in intervals)
    coverage = [part["coverage"] for part in intervals]
    relative = [part["score"] / part["constant_score"] for part in intervals]
    cells.append(f"{min(coverage):.1%} – {max(coverage):.1%} | {worst:.0%} | {max(relative):.3f}")
    return f"| {name} | {model} | " + " | ".join(cells) + " |"


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--models", default="optimized_lstm,optimized_gru,optimized_rnn")
    p.add_argument("--seeds", type=int, default=3)
    p.add_argument("--series", default="metro_traffic,demand,shop,river")
    args, options = p.parse_known_args()
    titles = [f"{steps} | AR + slot | ratio | better baseline" for steps in ("1 step", *map(str, STEPS))]
    header = "| series | model | " + " | ".join(titles) + " | 90 % interval holds | worst hour | score / constant |"
    print(header + "\n|" + "---|" * (header.count("|") - 1), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: str(path) for name, path in series.write(Path(folder)).items()}
        for name in args.series.split(","):
            for model in args.models.split(","):
                runs = [run(model, paths.get(name, name), seed, folder, options) for seed in range(args.seeds)]
                print(line(name, model, runs), flush=True)


if __name__ == "__main__":
    main()
