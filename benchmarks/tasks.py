"""The table of the other tasks in docs/start.md, from real runs: python benchmarks/tasks.py [--plain]

Japanese Vowels at batch 8 (accuracy on the official test part) and the adding problem with sequences of 50 steps (mean
squared error; always answering 1 gives 0.167), 10 epochs, hidden size 32, lr 0.001, seeds 0–2. The optimized twins
stand for their models, which have the same numbers; ``--plain`` trains the plain ones.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from npseq.cli import training_run
from npseq.cli.compare import train_all

VOWELS = ["--data", "japanese_vowels", "--batch-size", "8"]
ADDING = ["--data", "adding", "--length", "50", "--batch-size", "32"]
RUNS = [("Japanese Vowels, accuracy", kind, VOWELS, "accuracy", "{:.1%}") for kind in ("rnn", "lstm", "gru")] + [
    ("adding problem, MSE", "rnn", ADDING, "mse", "{:.4f}"),
    ("adding problem, MSE", "gru", ADDING, "mse", "{:.4f}"),
    ("adding problem, MSE", "lstm", [*ADDING, "--forget-bias", "1"], "mse", "{:.4f}"),
]


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--plain", action="store_true")
    p.add_argument("--jobs", type=int, default=1)
    args = p.parse_args()
    print("| task | model | options | mean | seeds 0, 1, 2 |\n|---|---|---|---|---|")
    for task, kind, options, metric, form in RUNS:
        model = kind if args.plain else "optimized_" + kind
        training = training_run.parser().parse_args([*options, "--quiet"])
        reports = train_all([model], range(3), training, args.jobs)[model]
        values = [report["test"][metric] for report in reports]
        more = " ".join(options[4:]) if metric == "accuracy" else " ".join(options[6:])
        print(
            f"| {task} | {kind} | {f'`{more}`' if more else ''} | {form.format(np.mean(values))} | "
            f"{', '.join(form.format(v) for v in values)} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
