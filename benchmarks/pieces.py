"""Time matrix products as a whole and in pieces that OpenBLAS does not pack: python benchmarks/pieces.py

Float32, one thread, in turns; the least processor time of each. ``forward`` is W ζ of a step, (G·H, H + I + 1) times
(H + I + 1, B); ``backward`` W_hᵀ da, (H, G·H) times (G·H, B); ``dx`` Dᵀ W_x for 1,024 columns of D. Run it after an
upgrade of NumPy: where the gain falls below 1, the rule of npseq/fused/product.py is no longer right. "error" is that
of the pieces in units of that of the whole product.

Set no OPENBLAS_CORETYPE: it may choose kernels for another processor.
"""

import os
import sys
import time
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from npseq.fused import blas, product

SIZES = [(1, 256, 256), (3, 128, 64), (4, 64, 32), (4, 128, 64), (4, 256, 128), (4, 512, 512)]  # G, H, I


def least(functions, rounds=12, seconds=0.01):
    """The least processor time of each function, in microseconds; they run in turns."""
    best = [float("inf")] * len(functions)
    for _ in range(rounds):
        for k, f in enumerate(functions):
            end = time.process_time() + seconds
            while time.process_time() < end:
                start = time.process_time()
                for _ in range(4):
                    f()
                best[k] = min(best[k], (time.process_time() - start) / 4 * 1e6)
    return best


def row(name, A, B, min_rows=None):
    """Print a line for A B: pieces, times, gain and error; nothing if the rule leaves it whole."""
    (rows, size), columns = A.shape, B.shape[1]
    count = product.pieces(rows, size, columns, A.dtype, min_rows)
    if count < 2:
        return
    whole, cut = np.empty((2, rows, columns), np.float32)
    parts, out = A.reshape(count, rows // count, size), cut.reshape(count, rows // count, columns)
    times = least([lambda: np.matmul(A, B, out=whole), lambda: np.matmul(parts, B, out=out)])
    exact = A.astype(np.float64) @ B.astype(np.float64)
    errors = [np.abs(found - exact).max() for found in (whole, cut)]
    print(
        f"{name:34} {rows:5} x {size:4} x {columns:4}  {count:4} pieces of {rows // count:4} rows  "
        f"whole {times[0]:8.1f}  pieces {times[1]:8.1f} µs  gain {times[0] / times[1]:.2f}  "
        f"error {errors[1] / errors[0]:.1f}",
        flush=True,
    )


def main():
    print(f"NumPy {np.__version__}, kernels for {blas.architecture()}")
    product.architecture = lambda: "SkylakeX"  # the rule, whatever the processor is
    rng = np.random.default_rng(0)
    normal = lambda *shape: rng.standard_normal(shape).astype(np.float32)  # noqa: E731
    for G, H, I in SIZES:
        for B in (2, 4, 8, 16, 32, 64, 128, 256):
            name = f"G {G}, H {H}, I {I}, B {B}"
            row(name + ": forward", normal(G * H, H + I + 1), normal(H + I + 1, B))
            row(name + ": backward", normal(H, G * H), normal(G * H, B))
        row(f"G {G}, H {H}, I {I}: dx", normal(G * H, 1024).T, normal(G * H, I), product.MIN_ROWS_OF_TRANSPOSED)


if __name__ == "__main__":
    main()
