"""How the unnamed defaults of the command were chosen, on the validation part alone: python benchmarks/defaults.py

The documented options stay at their defaults (10 epochs, hidden size 32, lr 0.001). One option after another is varied,
the best value is kept, and so on; the score is the mean best validation loss over the models and seeds 0–2, on the
shipped series. The optimized twins stand for their models: the numbers are the same. Test errors are not looked at.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from npseq.compare import run  # noqa: E402

STAGES = [
    ("--lags", [None, "168", "24,168"]),
    ("--batch-size", ["16", "32", "64"]),
    ("--schedule", ["constant", "cosine", "onecycle"]),
    ("--window", ["12", "24", "48"]),
    ("--forget-bias", [None, "1"]),
    ("--warmup", ["0", "250"]),
]
START = {"--lags": None, "--batch-size": "32", "--schedule": "constant", "--window": "24", "--forget-bias": None, "--warmup": "0"}


def score(chosen, models, seeds, option):
    """Mean best validation loss, and it for each model."""
    by_model = []
    for model in models:
        argv = [word for name, value in chosen.items() if value is not None and not (name == "--forget-bias" and "lstm" not in model)
                for word in (name, value)]
        losses = []
        for seed in range(seeds):
            report = run(model, seed, argv)
            losses.append(min(row["validation_loss"] for row in report["history"]))
        by_model.append(np.mean(losses))
    return float(np.mean(by_model)), by_model


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--models", default="optimized_lstm,optimized_gru")
    p.add_argument("--seeds", type=int, default=3)
    args = p.parse_args()
    models, chosen = args.models.split(","), dict(START)
    print(f"| option | value | {' | '.join(models)} | mean | |\n|---|---|{'---|' * len(models)}---|---|")
    for option, values in STAGES:
        results = {}
        for value in values:
            results[value] = score({**chosen, option: value}, models, args.seeds, option)
        best = min(results, key=lambda value: results[value][0])
        for value, (mean, by_model) in results.items():
            print(f"| `{option}` | {value or 'none'} | {' | '.join(f'{loss:.5f}' for loss in by_model)} | {mean:.5f} | "
                  f"{'kept' if value == best else ''} |", flush=True)
        chosen[option] = best
    print("\nkept: " + " ".join(f"{name} {value}" for name, value in chosen.items() if value is not None))
    print("Validation loss (mean squared error, standardised), mean of the best epochs of "
          f"seeds 0–{args.seeds - 1}; 10 epochs, hidden size 32, lr 0.001.")


if __name__ == "__main__":
    main()
