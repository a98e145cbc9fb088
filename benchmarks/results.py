"""The README's results table, from real runs of the documented command: python benchmarks/results.py [--write]

Trains each of the four documented models at the documented defaults with seeds 0, 1 and 2, and prints the mean test
error beside the baselines on the same rows. ``--write`` puts the table between the markers of both READMEs.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

REPO = Path(__file__).resolve().parent.parent
MODELS = ["rnn", "lstm", "gru", "optimized_lstm"]
BEGIN, END = "<!-- results: made by benchmarks/results.py -->", "<!-- /results -->"


def run(model, seed, options):
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        subprocess.run(
            [
                sys.executable,
                str(REPO / "npseq" / "train.py"),
                "--model",
                model,
                "--seed",
                str(seed),
                "--quiet",
                "--out-dir",
                folder,
                "--report",
                str(report),
                *options,
            ],
            check=True,
        )
        return json.loads(report.read_text())


def table(runs):
    """Markdown: baselines and models, worst first; the spread is the smallest and largest of the seeds."""
    first = runs[MODELS[0]][0]
    rows = [
        (first["labels"][name], "", r["rmse"], f"{r['rmse']:.1f}", f"{r['mae']:.1f}", "")
        for name, r in first["baselines"].items()
    ]
    for name, reports in runs.items():
        rmse, mae, seconds = (
            [r["test"]["rmse"] for r in reports],
            [r["test"]["mae"] for r in reports],
            [r["seconds"] for r in reports],
        )
        rows.append(
            (
                f"**{name}**",
                f"{reports[0]['parameters']:,}",
                np.mean(rmse),
                f"{np.mean(rmse):.1f} ({min(rmse):.1f} – {max(rmse):.1f})",
                f"{np.mean(mae):.1f}",
                f"{np.median(seconds):.1f}",
            )
        )
    lines = ["| | parameters | test RMSE, vehicles/h | test MAE | seconds |", "|---|---|---|---|---|"]
    for name, parameters, _, rmse, mae, seconds in sorted(rows, key=lambda row: -row[2]):
        lines.append(f"| {name} | {parameters} | {rmse} | {mae} | {seconds} |")
    versions = runs[MODELS[0]][0]["versions"]
    return "\n".join(lines) + (
        f"\n\nMeans of seeds 0, 1, 2 (smallest – largest) at the documented defaults; seconds: median of the whole "
        "command "
        f"on {os.cpu_count()} cores ({platform.machine()}), Python {versions['python']}, NumPy {versions['numpy']}."
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="put the table into the READMEs")
    parser.add_argument("--models", default=",".join(MODELS))
    args, options = parser.parse_known_args()
    runs = {}
    for model in args.models.split(","):
        runs[model] = [run(model, seed, options) for seed in range(3)]
        print(model, " ".join(f"{r['test']['rmse']:.1f}" for r in runs[model]), file=sys.stderr)
    text = table(runs)
    print(text)
    if args.write:
        for name in "README.md", "README.zh-CN.md":
            before, rest = (REPO / name).read_text(encoding="utf-8").split(BEGIN)
            (REPO / name).write_text(before + BEGIN + "\n" + text + "\n" + END + rest.split(END)[1], encoding="utf-8")


if __name__ == "__main__":
    main()
