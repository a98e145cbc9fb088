"""Time a step of forward + backward of npseq's layers beside torch's: python benchmarks/train_step.py [--quick]

Through the public layers, float32, torch-shaped arrays in and out, every gradient and dx computed. Both run in this
process, in turns of 30 ms (so that, as in a training, each step finds caches and threads in the state a previous step
left them), and the ratio is of the minima over the rounds. ``--threads 1`` (default) or 2 holds torch's and BLAS's
threads alike. "limit" is the time as a multiple of that of the matrix products alone at the highest rate that the
processor reaches in this run, with operands that are in its cache and not packed. With ``--jax`` (JAX installed) a
third column: jit of lax.scan with value and gradient. Prints the
conditions, the sgemm rate of the run, and the table; ``--json FILE`` also writes it.

Set no OPENBLAS_CORETYPE: it may choose kernels for another processor.
"""

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path

SIZES = [
    (1, 50, 1, 32),
    (8, 100, 8, 64),
    (32, 24, 1, 32),
    (32, 100, 32, 32),
    (32, 100, 64, 128),
    (64, 100, 128, 256),
    (32, 50, 512, 512),
    (256, 100, 32, 64),
]


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--kinds", default="RNN,GRU,LSTM")
    p.add_argument("--sizes", help="B,T,I,H;B,T,I,H;… (default: the eight of the README)")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--plain", action="store_true", help="also the plain layers")
    p.add_argument("--inference", action="store_true", help="forward without a tape, against torch's no_grad")
    p.add_argument("--jax", action="store_true")
    p.add_argument("--quick", action="store_true", help="fewer rounds")
    p.add_argument("--json", metavar="FILE")
    args = p.parse_args()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(args.threads)
    if args.jax:
        os.environ.setdefault(
            "XLA_FLAGS", "" if args.threads > 1 else "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        )
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    import numpy as np
    import torch

    import npseq

    torch.set_num_threads(args.threads)

    def minimum(functions, seconds):
        """Run the functions in turns; the least time of each."""
        best = [float("inf")] * len(functions)
        for f in functions:
            f()
            f()
        end, rounds = time.perf_counter() + seconds, 0
        while rounds < 5 or time.perf_counter() < end:
            for k, f in enumerate(functions):
                turn = time.perf_counter()
                while time.perf_counter() - turn < 0.03:
                    start = time.perf_counter()
                    f()
                    best[k] = min(best[k], time.perf_counter() - start)
            rounds += 1
        return best

    def sgemm_rate(M, N, K):
        """GFLOP/s of NumPy's product of this shape."""
        a, b, c = (np.ones(shape, np.float32) for shape in [(M, K), (K, N), (M, N)])
        return 2e-9 * M * N * K / minimum([lambda: a.dot(b, c)], 0.05)[0]

    # OpenBLAS packs products of more than 10⁶ multiplications; others of its kernels pack all and are best at 1024³
    peak = args.threads * max(sgemm_rate(*shape) for shape in [(64, 96, 160), (96, 96, 96), (192, 64, 80)])
    peak = max(peak, sgemm_rate(1024, 1024, 1024))

    conditions = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "npseq": npseq.__version__,
        "threads": args.threads,
        "cores": len(os.sched_getaffinity(0)),
        "machine": platform.machine(),
        "blas": blas(),
        "sgemm GFLOP/s (1024³)": round(sgemm_rate(1024, 1024, 1024)),
        "peak GFLOP/s": round(peak),
        "environment": {k: v for k, v in os.environ.items() if k.startswith("OPENBLAS_")},
    }
    print(json.dumps(conditions, indent=1))
    sizes = [tuple(map(int, s.split(","))) for s in args.sizes.split(";")] if args.sizes else SIZES
    rows = []
    for kind in args.kinds.split(","):
        ratios = []
        for B, T, I, H in sizes:
            rng = np.random.default_rng(0)
            x, dy = (rng.standard_normal((T, B, n)).astype(np.float32) for n in (I, H))
            names = ["Optimized" + kind] + [kind] * args.plain
            layers = [getattr(npseq, name)(I, H, rng=0) for name in names]
            module = getattr(torch.nn, kind)(I, H)
            tx, tdy = torch.tensor(x, requires_grad=not args.inference), torch.tensor(dy)

            def ours(layer):
                def step():
                    if args.inference:
                        layer(x)
                    else:
                        y, _, tape = layer.forward(x)
                        layer.backward(tape, dy)

                return step

            def theirs():
                if args.inference:
                    with torch.no_grad():
                        module(tx)
                else:
                    tx.grad = None
                    module.zero_grad()
                    y, _ = module(tx)
                    y.backward(tdy)

            functions = [theirs, *map(ours, layers)] + ([jax_step(kind, x, dy, H)] if args.jax else [])
            best = [b / T * 1e6 for b in minimum(functions, 0.3 if args.quick else 1.5)]
            G = {"RNN": 1, "GRU": 3, "LSTM": 4}[kind]
            products = 2 if args.inference else 6
            limit = products * G * H * (H + I) * B / peak * 1e-3
            row = {
                "kind": kind,
                "size": (B, T, I, H),
                "torch_us": best[0],
                "optimized_us": best[1],
                "ratio": best[0] / best[1],
                "limit_us": limit,
            }
            if args.plain:
                row["plain_us"], row["plain_ratio"] = best[2], best[0] / best[2]
            if args.jax:
                row["jax_us"], row["jax_ratio"] = best[-1], best[-1] / best[1]
            rows.append(row)
            ratios.append(row["ratio"])
            print(
                f"{kind:5} {str((B, T, I, H)):22} µs a step: torch {best[0]:8.1f}  optimized {best[1]:8.1f}  ratio "
                f"{row['ratio']:5.2f}"
                + f"  limit {best[1] / limit:5.2f}"
                + (f"  plain {best[2]:8.1f} ({row['plain_ratio']:.2f})" if args.plain else "")
                + (f"  jax {best[-1]:8.1f} ({row['jax_ratio']:.2f})" if args.jax else ""),
                flush=True,
            )
        print(
            f"{kind:5} geometric mean {float(np.exp(np.mean(np.log(ratios)))):.2f}, worst {min(ratios):.2f}\n",
            flush=True,
        )
    if args.json:
        Path(args.json).write_text(json.dumps({"conditions": conditions, "rows": rows}, indent=1))


def blas():
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return "unknown (threadpoolctl is not installed)"
    return [
        f"{d.get('internal_api')} {d.get('version')} {d.get('architecture', '')} {d.get('num_threads')} threads "
        f"({os.path.basename(d['filepath'])})"
        for d in threadpool_info()
    ]


def jax_step(kind, x, dy, H):
    """Value and gradient (of x and all weights) of Σ dy ⊙ y, by jit of lax.scan."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    I, B = x.shape[2], x.shape[1]
    G = {"RNN": 1, "GRU": 3, "LSTM": 4}[kind]
    rng = np.random.default_rng(0)
    weights = [
        jnp.asarray(0.1 * rng.standard_normal(shape).astype(np.float32))
        for shape in [(I, G * H), (H, G * H), (G * H,), (G * H,)]
    ]

    def loss(weights, x, dy):
        W_x, W_h, b_x, b_h = weights
        a_x = x @ W_x + b_x

        def rnn(h, a):
            h = jnp.tanh(a + h @ W_h + b_h)
            return h, h

        def lstm(state, a):
            h, c = state
            i, f, g, o = jnp.split(a + h @ W_h + b_h, 4, axis=1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        def gru(h, a):
            x_r, x_z, x_n = jnp.split(a, 3, axis=1)
            h_r, h_z, h_n = jnp.split(h @ W_h + b_h, 3, axis=1)
            r, z = jax.nn.sigmoid(x_r + h_r), jax.nn.sigmoid(x_z + h_z)
            h = (1 - z) * h + z * jnp.tanh(x_n + r * h_n)
            return h, h

        zero = jnp.zeros((B, H), jnp.float32)
        _, y = jax.lax.scan({"RNN": rnn, "GRU": gru, "LSTM": lstm}[kind], (zero, zero) if kind == "LSTM" else zero, a_x)
        return (y * dy).sum()

    step = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))
    x, dy = jnp.asarray(x), jnp.asarray(dy)
    return lambda: jax.block_until_ready(step(weights, x, dy))


if __name__ == "__main__":
    main()
