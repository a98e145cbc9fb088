"""Peak memory of forward and backward over long sequences, plain against ``checkpoint_every="sqrt"``.

    python benchmarks/checkpoint_memory.py                      T = 1,000 … 100,000
    python benchmarks/checkpoint_memory.py 1000 4000 16000

Memory is what NumPy and Python allocate (tracemalloc) between the call of ``forward`` and the end of ``backward``, at
its peak, less y and dx; x and dy were there before. The exponent is that of a power of T through the two longest
sequences: 1 for plain, ½ with √T checkpoints (Chen et al. 2016, arXiv 1604.06174v2).
"""

import argparse
import os
import platform
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # this checkout, installed or not

import npseq

I, H, B = 4, 16, 2


def measure(kind, T, checkpoint_every):
    """-> (peak memory beyond x, y, dy and dx in bytes, seconds without tracing, dloss/dθ)."""
    layer = kind(I, H, dtype=np.float32, rng=0, checkpoint_every=checkpoint_every)
    rng = np.random.default_rng(1)
    x, dy = (rng.standard_normal((T, B, size), dtype=np.float32) for size in (I, H))
    start = time.perf_counter()
    y, _, tape = layer.forward(x)
    dx, _, grads = layer.backward(tape, dy)
    seconds = time.perf_counter() - start
    theta = grads.theta.copy()
    del y, tape, dx, grads
    tracemalloc.start()
    y, _, tape = layer.forward(x)
    dx, _, grads = layer.backward(tape, dy)
    peak = tracemalloc.get_traced_memory()[1] - y.nbytes - dx.nbytes
    tracemalloc.stop()
    return peak, seconds, theta


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("T", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    parser.add_argument("--model", default="LSTM", choices=["RNN", "GRU", "LSTM"])
    arguments = parser.parse_args()
    kind = getattr(npseq, arguments.model)
    print(
        f"{arguments.model}({I}, {H}), B = {B}, float32, forward and backward once; "
        f"Python {platform.python_version()}, NumPy {np.__version__}, {os.cpu_count()} processors"
    )
    print(
        f"{'T':>8}  {'plain MB':>9}  {'checkpointed MB':>15}  {'less':>6}  {'plain s':>8}  {'checkpointed s':>14}  "
        f"{'gradient differs':>16}"
    )
    peaks = []
    for T in arguments.T:
        plain, seconds, theta = measure(kind, T, None)
        checkpointed, more_seconds, again = measure(kind, T, "sqrt")
        peaks.append((T, plain, checkpointed))
        print(
            f"{T:8d}  {plain / 1e6:9.2f}  {checkpointed / 1e6:15.3f}  {plain / checkpointed:5.0f}x  {seconds:8.2f}  "
            f"{more_seconds:14.2f}  {np.abs(again - theta).max() / np.abs(theta).max():16.1e}",
            flush=True,
        )
    if len(peaks) > 1:
        (T_1, *first), (T_2, *second) = peaks[-2:]
        exponents = [np.log(b / a) / np.log(T_2 / T_1) for a, b in zip(first, second)]
        print(f"growth from T = {T_1} to {T_2}: plain T^{exponents[0]:.2f}, checkpointed T^{exponents[1]:.2f}")


if __name__ == "__main__":
    main()
