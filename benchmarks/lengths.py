"""Time a training step over sequences of mixed lengths: python benchmarks/lengths.py [--steps 100,1000]

Forward and backward of one layer, float32, one thread, B = 16 sequences, I = 8, H = 64, for T in 100, 1000 and 4000 and
three spreads of the lengths. npseq's optimized layers take ``lengths``; torch runs once over the padding (and gives
wrong final states for all but the longest sequences), and once packed (``pack_padded_sequence``). All three run in this
process, in turns; the time is the least processor time of the rounds. "steps" is the fraction of the T · B steps that
lie within a sequence.

OPENBLAS_CORETYPE and OPENBLAS_L2_SIZE, which choose BLAS's kernels, are removed from the environment. The whole table
takes several minutes, nearly all of it in torch packed at T = 4000.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conditions import versions  # first: it sets the number of threads

# isort: split

import numpy as np
import torch

import npseq

SPREADS = {"90 to 100 %": 0.9, "50 to 100 %": 0.5, "1 to 100 %": 0.01}  # the shortest length as a fraction of T
B, I, H = 16, 8, 64
ENOUGH = 1.0  # seconds of rounds


def least(functions: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Call all in turns, until each has taken ``ENOUGH`` seconds or five rounds; the least seconds of each."""
    best = {name: float("inf") for name in functions}
    total = {name: 0.0 for name in functions}
    for _ in range(5):
        for name, function in functions.items():
            if total[name] < ENOUGH:
                start = time.process_time()
                function()
                taken = time.process_time() - start
                best[name], total[name] = min(best[name], taken), total[name] + taken
    return best


def steps_of(kind: str, x: np.ndarray, dy: np.ndarray, lengths: np.ndarray) -> dict[str, Callable[[], Any]]:
    """Return name to a training step: forward, backward, every gradient, dx too."""
    layer = getattr(npseq, "Optimized" + kind)(I, H, rng=0)
    module = getattr(torch.nn, kind)(I, H)
    module.load_state_dict({name: torch.tensor(array) for name, array in layer.state_dict().items()})
    tx, tdy, tlengths = torch.tensor(x, requires_grad=True), torch.tensor(dy), torch.tensor(lengths)

    def ours() -> np.ndarray:
        y, _, tape = layer.forward(x, lengths=lengths)
        layer.backward(tape, dy)
        return y

    def padded() -> np.ndarray:
        tx.grad = None
        module.zero_grad()
        y, _ = module(tx)
        y.backward(tdy)
        return y.detach().numpy()

    def packed() -> np.ndarray:
        tx.grad = None
        module.zero_grad()
        rows = torch.nn.utils.rnn.pack_padded_sequence(tx, tlengths, enforce_sorted=False)
        y, _ = torch.nn.utils.rnn.pad_packed_sequence(module(rows)[0], total_length=len(x))
        y.backward(tdy)
        return y.detach().numpy()

    return {"npseq": ours, "padded": padded, "packed": packed}


def main() -> None:
    """Measure and print the table."""
    p = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    p.add_argument("--kinds", default="RNN,GRU,LSTM", help="default: RNN,GRU,LSTM")
    p.add_argument("--steps", default="100,1000,4000", help="T; default: 100,1000,4000")
    p.add_argument("--json", metavar="FILE")
    args = p.parse_args()
    torch.set_num_threads(1)
    print(json.dumps(versions("torch"), indent=1))
    print("\nms a training step (as a multiple of torch padded)\n")
    print("cell     T  lengths       steps     npseq           torch padded   torch packed")
    rows = []
    for kind in args.kinds.split(","):
        for T in map(int, args.steps.split(",")):
            for spread, shortest in SPREADS.items():
                rng = np.random.default_rng(0)
                lengths = rng.integers(max(1, int(shortest * T)), T + 1, B)
                lengths[0] = T
                x, dy = (rng.standard_normal((T, B, size)).astype(np.float32) for size in (I, H))
                dy[np.arange(T)[:, None] >= lengths] = 0
                steps = steps_of(kind, x, dy, lengths)
                y = steps["npseq"]()
                assert T > 100 or np.abs(y - steps["packed"]()).max() < 1e-5
                ms = {name: 1e3 * seconds for name, seconds in least(steps).items()}
                share = lengths.sum() / (T * B)
                rows.append({"kind": kind, "T": T, "lengths": spread, "steps": share, **ms})
                print(
                    f"{kind:5} {T:5}  {spread:12} {share:5.0%}  {ms['npseq']:8.1f} ({ms['npseq'] / ms['padded']:4.2f})"
                    f"  {ms['padded']:8.1f}     {ms['packed']:9.1f} ({ms['packed'] / ms['padded']:6.1f})",
                    flush=True,
                )
    for name in ("npseq", "packed"):
        ratios = [row[name] / row["padded"] for row in rows]
        print(f"{name}: {min(ratios):.2f} to {max(ratios):.2f} times torch padded")
    ratios = [row["packed"] / row["npseq"] for row in rows]
    print(f"torch packed: {min(ratios):.1f} to {max(ratios):.1f} times npseq")
    if args.json:
        Path(args.json).write_text(json.dumps({"conditions": versions("torch"), "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
