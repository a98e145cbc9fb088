"""How the unnamed defaults of the command were chosen, on the validation part alone: python benchmarks/defaults.py

The documented options stay at their defaults (10 epochs, hidden size 32, lr 0.001). One option after another is varied,
the best value is kept, and so on; the score is the mean best validation loss over the models and seeds 0–2, on the
shipped series, with the base that ``--base auto`` chooses (``--base none`` after the options of this script leaves the
network alone). The optimized twins stand for their models: the numbers are the same. Test errors are not looked at.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from npseq.cli import training_run
from npseq.cli.compare import train_all

STAGES = [  # (options varied together, their values); an epoch may not cost more than window 24 with batch 32 does
    (("--lags",), [("none",), ("168",), ("24,168",)]),
    (("--window", "--batch-size"), [("24", "32"), ("12", "16"), ("6", "8"), ("48", "64")]),
    (("--schedule",), [("auto",), ("constant",), ("cosine",), ("onecycle",)]),
    (("--forget-bias",), [(None,), ("1",)]),
    (("--warmup",), [("0",), ("250",)]),
]
START = {
    "--lags": "none",
    "--window": "24",
    "--batch-size": "32",
    "--schedule": "auto",
    "--forget-bias": None,
    "--warmup": "0",
}

SHORTEST = 12  # a default is for other series too: a shorter window is tried, and shown, but not kept
MARGIN = 0.005  # of the loss: what the plainest value, the first of its stage, must lose by to be given up


def score(chosen, models, seeds, jobs, options):
    """Mean best validation loss of each model."""
    losses = {}
    for model in models:
        argv = [
            word
            for name, value in chosen.items()
            if value is not None and not (name == "--forget-bias" and "lstm" not in model)
            for word in (name, value)
        ]
        training = training_run.parser().parse_args([*argv, *options, "--quiet"])
        reports = train_all([model], range(seeds), training, jobs)[model]
        losses[model] = float(np.mean([min(row["validation_loss"] for row in report["history"]) for report in reports]))
    return losses


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--models", default="optimized_lstm,optimized_gru")
    p.add_argument("--seeds", type=int, default=3)
    p.add_argument("--jobs", type=int, default=2)
    args, options = p.parse_known_args()
    models, chosen, seen = args.models.split(","), dict(START), {}
    print(f"| option | value | {' | '.join(models)} | mean | |\n|---|---|{'---|' * len(models)}---|---|")
    for names, values in STAGES:
        results = {}
        for value in values:
            tried = {**chosen, **dict(zip(names, value))}
            key = tuple(tried.items())
            if key not in seen:
                seen[key] = score(tried, models, args.seeds, args.jobs, options)
            results[value] = seen[key]
        means = {value: float(np.mean(list(losses.values()))) for value, losses in results.items()}
        allowed = [value for value in values if "--window" not in names or int(value[0]) >= SHORTEST]
        best = min(allowed, key=means.get)
        if means[best] > (1 - MARGIN) * means[allowed[0]]:
            best = allowed[0]
        for value, losses in results.items():
            print(
                f"| `{'` `'.join(names)}` | {' '.join(v or 'none' for v in value)} | "
                f"{' | '.join(f'{loss:.5f}' for loss in losses.values())} | {means[value]:.5f} | "
                f"{'kept' if value == best else '' if value in allowed else 'too short for other series'} |",
                flush=True,
            )
        chosen.update(zip(names, best))
    print("\nkept: " + " ".join(f"{name} {value}" for name, value in chosen.items() if value is not None))
    print(
        f"Validation loss (mean squared error, standardised) of the best epoch, mean of seeds 0–{args.seeds - 1}; "
        "10 epochs, "
        "hidden size 32, lr 0.001."
    )


if __name__ == "__main__":
    main()
