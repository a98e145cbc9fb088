"""What a training step costs as T grows, in memory, and with mixed lengths: python benchmarks/properties.py

Three tables of the optimized layers, float32, one thread: the time of a step of the sequence for T from 50 to 5,000;
the growth of the process's memory over a training step beside torch's, each in a process of its own; and the time of a
batch of mixed lengths (uniform in 1 … T) beside a batch of the same number of steps without padding, and beside the
whole batch at full length.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from train_step import SIZES

import npseq

KINDS = "RNN", "GRU", "LSTM"


def minima(functions, seconds):
    """Run the functions in turns; the least time of each."""
    best = [float("inf")] * len(functions)
    for f in functions:
        f()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for k, f in enumerate(functions):
            start = time.perf_counter()
            f()
            best[k] = min(best[k], time.perf_counter() - start)
    return best


def step(layer, x, dy, lengths=None):
    def run():
        y, _, tape = layer.forward(x, lengths=lengths)
        layer.backward(tape, dy)

    return run


def data(B, T, I, H):
    rng = np.random.default_rng(0)
    return (rng.standard_normal((T, B, n)).astype(np.float32) for n in (I, H))


def long_sequences():
    print("| | " + " | ".join(f"T = {T:,}" for T in (50, 500, 1500, 5000)) + " | 5,000 against 500 |")
    print("|---|---|---|---|---|---|")
    for kind in KINDS:
        for B, I, H in [(32, 32, 32), (32, 64, 128)]:
            layer, us = getattr(npseq, "Optimized" + kind)(I, H, rng=0), []
            for T in (50, 500, 1500, 5000):
                us.append(minima([step(layer, *data(B, T, I, H))], 2.0)[0] / T * 1e6)
            print(
                f"| {kind}, B {B}, I {I}, H {H} | "
                + " | ".join(f"{t:.1f} µs" for t in us)
                + f" | {us[-1] / us[1]:.2f} |",
                flush=True,
            )


def growth(who, kind, B, T, I, H):
    """In this process: MB by which the most memory in use grows over two training steps (Linux)."""
    x, dy = data(B, T, I, H)
    if who == "torch":
        import torch

        torch.set_num_threads(1)
        module, tx, tdy = getattr(torch.nn, kind)(I, H), torch.from_numpy(x).requires_grad_(), torch.from_numpy(dy)

        def run(t):
            tx.grad = None
            module.zero_grad()
            module(tx[:t])[0].backward(tdy[:t])
    else:
        layer = getattr(npseq, "Optimized" + kind)(I, H, rng=0)

        def run(t):
            step(layer, x[:t], dy[:t])()

    run(1)  # code and libraries
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from what is in use
    before = in_use("VmHWM")
    run(T)
    run(T)
    print((in_use("VmHWM") - before) / 1024)


def in_use(name):
    """kB, from the kernel."""
    return next(
        int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name)
    )


def memory():
    print("| | npseq, MB | torch, MB | ratio |\n|---|---|---|---|")
    for kind in KINDS:
        for size in [(32, 1000, 32, 32), (64, 500, 128, 256), (256, 500, 32, 64)]:
            used = []
            for who in "npseq", "torch":
                command = [sys.executable, __file__, "--growth", f"{who},{kind}," + ",".join(map(str, size))]
                used.append(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
            print(f"| {kind} {size} | {used[0]:.0f} | {used[1]:.0f} | {used[0] / used[1]:.2f} |", flush=True)


def mixed_lengths():
    print(
        "| (B, T, I, H) | "
        + " | ".join(f"{kind}, of the steps | of the whole" for kind in KINDS)
        + " |\n|---|"
        + "---|---|" * len(KINDS)
    )
    for B, T, I, H in SIZES[1:]:
        cells = []
        for kind in KINDS:
            layer = getattr(npseq, "Optimized" + kind)(I, H, rng=0)
            lengths = np.random.default_rng(0).integers(1, T + 1, B)
            lengths[0] = T
            mean = round(lengths.mean())
            x, dy = data(B, T, I, H)
            mixed, same, whole = minima(
                [step(layer, x, dy, lengths), step(layer, x[:mean], dy[:mean]), step(layer, x, dy)], 1.5
            )
            cells += [f"{mixed / same * mean / lengths.mean():.2f}", f"{mixed / whole:.2f}"]
        print(f"| {(B, T, I, H)} | " + " | ".join(cells) + " |", flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--tables", default="long,memory,lengths", help="which; default: all three")
    p.add_argument("--growth", help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.growth:
        who, kind, *size = args.growth.split(",")
        return growth(who, kind, *map(int, size))
    tables = {
        "long": (long_sequences, "Time of one step of the sequence, forward and backward"),
        "memory": (memory, "Growth of the process's memory over a training step"),
        "lengths": (
            mixed_lengths,
            "Mixed lengths, uniform in 1 … T: time as a multiple of the same number of steps "
            "without padding, "
            "and of the whole batch at full length",
        ),
    }
    for name in args.tables.split(","):
        print(tables[name][1] + "\n")
        tables[name][0]()
        print()


if __name__ == "__main__":
    main()
