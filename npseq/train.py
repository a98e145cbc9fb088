"""The documented command: ``cd npseq; python train.py --model lstm --epochs 10``.

Trains a model, shows it beside honest baselines on the same test rows, and keeps the best weights in
``rnn_{model}_best.pth``. Also ``python -m npseq.train`` and ``npseq train``.
"""

import os
import sys

if __name__ == "__main__" and not __package__:  # run as a script: this checkout's package, not the folder it stands in
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

import json
import platform
import time

import numpy as np

from npseq import __version__, checkpoint, data, optim, options, tasks
from npseq.fit import Diverged, fit, predict
from npseq.model import MODELS, Model

EXAMPLE = "example: npseq train --model lstm --epochs 10"


def parser():
    p = options.Parser(prog="npseq train", description="Train a recurrent network and keep its best weights.",
                       epilog=EXAMPLE)
    p.add_argument("--model", default="lstm", type=options.name, choices=list(MODELS), help="default: lstm")
    p.add_argument("--epochs", default=10, type=options.positive_int, metavar="N", help="default: 10")
    p.add_argument("--hidden-size", default=32, type=options.positive_int, metavar="N", help="default: 32")
    p.add_argument("--lr", default=0.001, type=options.positive, metavar="RATE", help="learning rate; default: 0.001")

    d = p.add_argument_group("data")
    d.add_argument("--data", default="metro_traffic", metavar="NAME|FILE", help="default: metro_traffic, shipped")
    d.add_argument("--window", default=24, type=options.positive_int, metavar="N", help="steps that the model sees; default: 24")

    t = p.add_argument_group("training")
    t.add_argument("--batch-size", default=32, type=options.positive_int, metavar="N", help="default: 32")
    t.add_argument("--clip", default=1.0, type=options.positive, metavar="NORM", help="largest gradient norm; default: 1")
    t.add_argument("--optimizer", default="adam", type=options.name, choices=list(optim.OPTIMIZERS), help="default: adam")
    t.add_argument("--seed", default=0, type=options.natural, metavar="N", help="default: 0")
    t.add_argument("--dtype", default="float32", choices=["float32", "float64"], help="default: float32")

    o = p.add_argument_group("output")
    o.add_argument("--out-dir", default=".", metavar="FOLDER", help="for the weights; default: the current folder")
    o.add_argument("--report", metavar="FILE.json", help="write the results there")
    o.add_argument("--quiet", action="store_true", help="print nothing but errors")
    return p


def main(argv=None):
    """Run the command; -> exit status (0 done, 2 usage or data, 3 diverged, 130 interrupted)."""
    started = time.perf_counter()
    p = parser()
    args = p.parse_args(argv)
    try:
        options.check_folder(args.out_dir)
        if args.report:
            options.check_folder(os.path.dirname(args.report) or ".")
        task = tasks.Forecast(data.load(args.data), window=args.window)
    except (OSError, data.DataError) as error:
        p.error(str(error))

    say = (lambda *words: None) if args.quiet else lambda *words: print(*words, flush=True)
    rng = np.random.default_rng(args.seed)
    model = Model(args.model, task.input_size, args.hidden_size, task.output_size, loss=task.loss, dtype=args.dtype,
                  rng=rng, scaling=task.scaling())
    optimizer = optim.OPTIMIZERS[args.optimizer](model.theta, lr=args.lr)
    path = os.path.join(args.out_dir, f"rnn_{args.model}_best.pth")
    say(f"model       {args.model}, hidden size {args.hidden_size}, {model.theta.size:,} parameters, {args.dtype}")
    for line in task.describe():
        say(line)

    bar = _Bar(args.epochs, quiet=args.quiet)

    def on_epoch(progress, improved):
        last = progress.history[-1]
        bar.line(f"epoch {last['epoch']:{len(str(args.epochs))}}/{args.epochs}  train {last['train_loss']:.5f}  "
                 f"validation {last['validation_loss']:.5f}  {last['seconds']:.1f} s{'  *' if improved else ''}")
        if improved:
            checkpoint.save_model(path, model, {"recipe": task.recipe(), "seed": args.seed, "best_epoch": last["epoch"]})

    try:
        progress = fit(model, task, optimizer, epochs=args.epochs, batch_size=args.batch_size, clip=args.clip, rng=rng,
                       on_step=bar.step, on_epoch=on_epoch)
    except Diverged as error:
        bar.close()
        print(f"{p.prog}: {error}: try a smaller --lr (now {args.lr:g}) or --clip (now {args.clip:g}); "
              f"{'the best weights so far are in ' + path if os.path.exists(path) else 'no weights were written'}",
              file=sys.stderr)
        return options.DIVERGED
    bar.close()
    if progress.interrupted:
        say("interrupted" + ("" if progress.best_epoch else " before the first epoch was done: no weights were written"))
        if not progress.best_epoch:
            return options.INTERRUPTED

    model = checkpoint.load_model(path)  # what was kept is what is tested
    test = task.parts["test"]
    results = task.metrics(predict(model, task, test), test)
    baselines = task.baselines()
    seconds = time.perf_counter() - started
    say(f"\nbest epoch {progress.best_epoch}, kept in {path}; {seconds:.1f} s in all\n")
    say(comparison(args.model, results, baselines, task))
    if args.report:
        report = {"model": args.model, "parameters": int(model.theta.size), "epochs_run": progress.epoch,
                  "best_epoch": progress.best_epoch, "seconds": seconds, "test": results, "baselines": baselines,
                  "seed": args.seed, "versions": {"npseq": __version__, "numpy": np.__version__,
                                                  "python": platform.python_version()}}
        with open(args.report, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)
    return options.INTERRUPTED if progress.interrupted else options.OK


def comparison(name, results, baselines, task):
    """The table of the model and the baselines on the test rows, best last."""
    rows = sorted([*baselines.items(), (name, results)], key=lambda row: -row[1]["rmse"])
    width = max(len(row) for row, _ in rows)
    lines = [f"{'test error':{width}}  {'RMSE':>8}  {'MAE':>8}"]
    lines += [f"{row:{width}}  {r['rmse']:8.1f}  {r['mae']:8.1f}{'  <' if row == name else ''}" for row, r in rows]
    return "\n".join(lines)


class _Bar:
    """A tqdm bar over the updates of an epoch in a terminal; nothing but the epochs' lines elsewhere."""

    def __init__(self, epochs, quiet):
        self.epochs, self.quiet, self.bar, self.tqdm = epochs, quiet, None, None
        if not quiet and sys.stderr.isatty():
            try:
                from tqdm import tqdm
            except ImportError:
                return
            self.tqdm = tqdm
        else:
            self.step = None  # no call at all for each update

    def step(self, epoch, done, steps):
        if self.tqdm is None:
            return
        if self.bar is None:
            self.bar = self.tqdm(total=steps, leave=False, desc=f"epoch {epoch}/{self.epochs}", unit="batch")
        self.bar.update()

    def line(self, text):
        self.close()
        if not self.quiet:
            print(text, flush=True)

    def close(self):
        if self.bar is not None:
            self.bar.close()
            self.bar = None


if __name__ == "__main__":
    sys.exit(main())
