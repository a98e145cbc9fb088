"""Time the whole default job, from process start to the saved file, beside the same job in torch.

    python benchmarks/whole_job.py [--models optimized_lstm,…] [--runs 3]

Both run in separate processes, in turns; each reads the shipped data, prepares the same inputs, trains for 10
epochs with the same batches, Adam, clipping and validation, keeps the best weights, tests, and computes the same
baselines. The torch program takes data, inputs and baselines from npseq, so that only what a torch user would write in
torch differs: model, loss, gradient, clipping, optimiser. It holds all windows in one tensor, the fast way to feed it.
    Its import counts.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent


def torch_job(kind, folder, batch_size):
    """The default training in torch."""
    import numpy as np
    import torch

    from npseq.cli import experiment, training_run

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    args = training_run.parser().parse_args([])
    from npseq.forecast import ForecastTask

    task = experiment.make_task(args)
    assert isinstance(task, ForecastTask)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = getattr(torch.nn, kind)(task.input_size, 32, batch_first=True)
            self.fc = torch.nn.Linear(32, 1)

        def forward(self, x):
            return self.fc(self.rnn(x)[0][:, -1])

    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.001)
    parts = {name: tuple(torch.from_numpy(a) for a in task.batch(rows)[:2]) for name, rows in task.parts.items()}
    x, target = parts["train"]
    best = float("inf")
    for _ in range(10):
        order = torch.from_numpy(rng.permutation(len(x)))
        for start in range(0, len(x), batch_size):
            rows = order[start : start + batch_size]
            loss = torch.nn.functional.mse_loss(net(x[rows]), target[rows])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
        with torch.no_grad():
            validation = sum(
                torch.nn.functional.mse_loss(net(a), b).item() * len(a)
                for a, b in zip(parts["validation"][0].split(512), parts["validation"][1].split(512))
            )
        if validation < best:
            best = validation
            torch.save(net.state_dict(), Path(folder) / "best.pth")
    net.load_state_dict(torch.load(Path(folder) / "best.pth", weights_only=True))
    with torch.no_grad():
        y = torch.cat([net(a) for a in parts["test"][0].split(512)]).numpy()
    print(task.metrics(task.to_units(y), task.parts["test"]), task.baselines())


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--models", default="optimized_rnn,optimized_gru,optimized_lstm,rnn,gru,lstm")
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--torch-job", metavar="KIND,FOLDER", help=argparse.SUPPRESS)
    args = p.parse_args()
    sys.path.insert(0, str(REPO))
    from npseq.cli.training_run import parser

    batch_size = parser().parse_args([]).batch_size
    if args.torch_job:
        kind, folder = args.torch_job.split(",", 1)
        return torch_job(kind, folder, batch_size)
    environment = {**os.environ, "OMP_NUM_THREADS": str(args.threads), "OPENBLAS_NUM_THREADS": str(args.threads)}
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        environment.pop(name, None)
    print(
        f"whole job in seconds, the least of {args.runs} alternating runs; {args.threads} thread(s), "
        f"{os.cpu_count()} cores, "
        f"{platform.machine()}, Python {platform.python_version()}; 10 epochs, batch {batch_size}, hidden 32\n"
    )
    print("| model | npseq | torch | ratio |\n|---|---|---|---|")
    for model in args.models.split(","):
        kind = model.removeprefix("optimized_").upper()
        best = {"npseq": float("inf"), "torch": float("inf")}
        for _ in range(args.runs):
            with tempfile.TemporaryDirectory() as folder:
                commands = {
                    "npseq": [str(REPO / "npseq" / "train.py"), "--model", model, "--out-dir", folder],
                    "torch": [__file__, "--torch-job", f"{kind},{folder}"],
                }
                for name, command in commands.items():
                    start = time.perf_counter()
                    subprocess.run([sys.executable, *command], check=True, env=environment, stdout=subprocess.DEVNULL)
                    best[name] = min(best[name], time.perf_counter() - start)
        print(
            f"| {model} | {best['npseq']:.1f} | {best['torch']:.1f} | {best['torch'] / best['npseq']:.2f} |", flush=True
        )


if __name__ == "__main__":
    main()
