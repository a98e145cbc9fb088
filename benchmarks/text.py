"""Language models of tiny_shakespeare, by options of the command alone: python benchmarks/text.py [PART …]

recipe    nanoGPT's split (the first 90 % to train, the last 10 % to validate): GRU 256 on an embedding of 64, batch
          16, chunks of 64, AdamW with a weight decay of 0.1, cosine from 4e-3, clip 1; nats a character on the
          validation part, read as one stream with the state carried
twin      torch's nn.Embedding, nn.GRU and nn.Linear on the same split with the same batches, learning rates and
          clipping, until they have used --seconds of CPU time
default   ``npseq train --data tiny_shakespeare --model optimized_lstm``, on the test part of its split
small     what the carried state and the embedding are worth: a small model with and without each

nanoGPT's split has no test part: the recipe was chosen on the validation part that it is scored on.

Times are seconds of CPU time (``time.process_time``) on one thread. Those of npseq are of the whole command: reading,
training, the scores after each epoch and at the end, and the n-grams. On a machine that runs other programs besides
they are longer, because the cores' caches are shared; so the time of an update is also given as the median of the
fastest tenth.
"""

import argparse
import json
import math
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import npseq
from npseq import data, tasks
from npseq.cli import training_run

NANOGPT = ["--split", "0.9,0.1"]
HIDDEN, EMBEDDING, BATCH, WINDOW, RATE, DECAY = 256, 64, 16, 64, 0.004, 0.1
RECIPE = (
    f"--model optimized_gru --hidden-size {HIDDEN} --embedding {EMBEDDING} --batch-size {BATCH} --window {WINDOW} "
    f"--schedule cosine --lr {RATE} --clip 1 --optimizer adamw --weight-decay {DECAY}"
)
RECIPE = [*NANOGPT, *RECIPE.split()]
SMALL = ["--hidden-size", "64", "--epochs", "2", "--window", "16"]


def train(*options):
    """Run ``npseq train``. Returns its report with the CPU seconds, and the milliseconds of each update."""
    times = []
    step = npseq.optim.Adam.step

    def timed(self, grad):
        step(self, grad)
        times.append(time.process_time())

    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        common = ["--data", "tiny_shakespeare", "--model", "optimized_lstm", "--threads", "1", "--out-dir", folder]
        started = time.process_time()
        npseq.optim.Adam.step = timed
        try:
            status = training_run.main([*common, "--report", str(report), *options])
        finally:
            npseq.optim.Adam.step = step
        if status:
            sys.exit(status)
        found = json.loads(report.read_text())
    return {**found, "cpu": time.process_time() - started, "updates": len(times)}, 1000 * np.diff(times)


def row(name, nats, cpu, updates, milliseconds):
    fastest = np.median(np.sort(milliseconds)[: max(1, len(milliseconds) // 10)])
    print(
        f"| {name} | {nats:.4f} | {nats / math.log(2):.3f} | {cpu:.0f} | {updates:,} | {np.mean(milliseconds):.1f} | "
        f"{fastest:.1f} |",
        flush=True,
    )


def recipe(args):
    report, milliseconds = train(*RECIPE, "--epochs", str(args.epochs), "--quiet")
    row(f"GRU 256, {args.epochs} epochs", report["test"]["nats"], report["cpu"], report["updates"], milliseconds)
    for name, scores in report["baselines"].items():
        print(f"| {name} | {scores['nats']:.4f} | {scores['bits']:.3f} | | | | |")


def default(args):
    report, milliseconds = train("--quiet")
    row("default (test part)", report["test"]["nats"], report["cpu"], report["updates"], milliseconds)


def small(args):
    for name, options in (
        ("", []),
        (", state reset at each chunk", ["--reset-state"]),
        (", one-hot inputs", ["--embedding", "0"]),
    ):
        report, milliseconds = train(*NANOGPT, *SMALL, *options, "--quiet")
        title = f"LSTM 64, chunks of 16, 2 epochs{name}"
        row(title, report["test"]["nats"], report["cpu"], report["updates"], milliseconds)


def twin(args):
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    task = tasks.Text(data.load_corpus("tiny_shakespeare"), WINDOW, (0.9, 0.1, 0))
    V = task.input_size
    embedding, fc = torch.nn.Embedding(V, EMBEDDING), torch.nn.Linear(HIDDEN, V)
    rnn = torch.nn.GRU(EMBEDDING, HIDDEN, batch_first=True)
    parameters = [*embedding.parameters(), *rnn.parameters(), *fc.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=RATE, weight_decay=DECAY)
    started, times = time.process_time(), []
    used = 0.0
    while used < args.seconds:
        carried = None
        for rows in task.streams(task.parts["train"], BATCH):
            batch = task.batch(rows)
            h, carried = rnn(embedding(torch.from_numpy(batch.x)), carried)
            carried = carried.detach()
            loss = torch.nn.functional.cross_entropy(fc(h).reshape(-1, V), torch.from_numpy(batch.target).reshape(-1))
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.param_groups[0]["lr"] = RATE / 2 * (1 + math.cos(math.pi * min(1, used / args.seconds)))
            optimizer.step()
            times.append(time.process_time())
            used = times[-1] - started
            if used >= args.seconds:
                break
    total, carried, rows = 0.0, None, np.asarray(task.parts["validation"])
    with torch.no_grad():
        for start in range(0, len(rows), 1024):
            batch = task.batch(rows[None, start : start + 1024])
            h, carried = rnn(embedding(torch.from_numpy(batch.x)), carried)
            target = torch.from_numpy(batch.target[0])
            total += float(torch.nn.functional.cross_entropy(fc(h)[0], target, reduction="sum"))
    row("torch's GRU 256, the same recipe", total / len(rows), times[-1] - started, len(times), 1000 * np.diff(times))


PARTS = {"recipe": recipe, "twin": twin, "default": default, "small": small}


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("parts", nargs="*", metavar="PART", help=f"any of {', '.join(PARTS)}; default: all")
    p.add_argument("--epochs", type=int, default=6, help="of the recipe; default: 6")
    p.add_argument("--seconds", type=float, default=180, help="CPU time of the twin; default: 180")
    args = p.parse_args()
    print("| | nats a character | bits | CPU s | updates | ms an update, mean | fastest tenth |")
    print("|---|---|---|---|---|---|---|")
    for part in args.parts or PARTS:
        PARTS[part](args)


if __name__ == "__main__":
    main()
