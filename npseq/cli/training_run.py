"""``npseq train``: one training from its options to its report."""

import contextlib
import csv
import io
import json
import os
import platform
import sys
import time

import numpy as np

from .. import status
from .._version import __version__
from ..formats import model_file
from ..fused import blas
from ..nn.registry import MODELS
from ..tasks import intervals
from ..training import mpi, resume
from ..training.fit import Diverged, fit, fit_lbfgs
from ..training.scoring import outputs
from . import arguments, experiment, output, plots
from .progress import EpochBar
from .tables import comparison, confusion_table


def parser():
    p = arguments.Parser(
        prog="npseq train",
        description="Train a recurrent network and keep its best weights.",
        epilog="example: npseq train --model lstm --epochs 10",
    )
    p.add_argument("--model", default="lstm", type=arguments.name, choices=list(MODELS), help="default: lstm")
    p.add_argument("--epochs", default=10, type=arguments.positive_int, metavar="N", help="default: 10")
    p.add_argument("--hidden-size", default=32, type=arguments.positive_int, metavar="N", help="default: 32")
    p.add_argument("--lr", default=0.001, type=arguments.positive, metavar="RATE", help="learning rate; default: 0.001")
    experiment.add_data_options(p)
    experiment.add_model_options(p)
    experiment.add_training_options(p)
    o = p.add_argument_group("output")
    o.add_argument("--out-dir", default=".", metavar="FOLDER", help="for the weights; default: the current folder")
    o.add_argument("--report", metavar="FILE.json", help="write the results there")
    o.add_argument("--history", metavar="FILE.csv", help="write each epoch's losses there")
    o.add_argument(
        "--plot",
        metavar="FILE.png",
        help="draw the forecast of the test part's end, or the table of answers (.png or .svg)",
    )
    o.add_argument("--checkpoint", action="store_true", help="write rnn_MODEL_last.pth each epoch, to go on from")
    o.add_argument("--resume", metavar="FILE.pth", help="go on from a file of --checkpoint")
    o.add_argument("--quiet", action="store_true", help="print nothing but errors")
    return p


def main(argv=None):
    """Run the command; -> exit status (0 done, 2 usage or data, 3 diverged, 130 interrupted)."""
    try:
        ranks = mpi.find()
    except mpi.ParallelError as error:
        parser().error(str(error))
    if ranks is None:
        return run(argv)
    try:
        return run(argv, ranks)
    except Exception as error:  # the others wait for this process: end them too
        ranks.abort(parser().prog, error)


def run(argv, ranks=None):
    """The command in this process; ``ranks`` are those that it shares the work with (``parallel.py``). Only the first
    of them prints and writes."""
    started = time.perf_counter()
    p, root = parser(), ranks is None or ranks.rank == 0
    with contextlib.ExitStack() as silence:
        if not root:  # every process finds the same mistakes in the options
            for redirect in contextlib.redirect_stdout, contextlib.redirect_stderr:
                silence.enter_context(redirect(io.StringIO()))
        args = p.parse_args(argv)
    args.quiet = args.quiet or not root
    problem = None
    try:
        last = None
        if args.resume:
            last = resume.read(args.resume)
            resume.settle_options(args, arguments.given(parser(), argv), last, args.resume)
            args.checkpoint = True  # a run that was to be continued goes on being so
        if (args.checkpoint or args.resume) and args.optimizer == "lbfgs":
            raise ValueError("--optimizer lbfgs cannot be continued: leave out --checkpoint and --resume")
        task = experiment.make_task(args)
        rng = np.random.default_rng(args.seed)
        model = experiment.make_model(args, task, rng)
        optimizer = experiment.make_optimizer(args, model)
        schedule = experiment.make_schedule(args, -(-len(task.parts["train"]) // args.batch_size))
        fingerprint = task.fingerprint() if args.checkpoint or last or ranks else None
        progress = last and resume.restore(last, args, model, optimizer, schedule, rng, fingerprint, args.resume)
        if args.plot:
            plots.check(args.plot)
        for file in (args.report, args.history, args.plot, os.path.join(args.out_dir, f"rnn_{args.model}_best.pth")):
            if file and root:
                output.check_file(file)
    except (OSError, ValueError) as error:
        problem = str(error)
    except MemoryError:
        problem = f"the model or the data are too large for this machine's memory (--hidden-size {args.hidden_size})"
    try:
        if ranks:
            ranks.agree(problem)
            ranks.compare("options", resume.settings(args))
            ranks.compare("data", fingerprint)
            ranks.check_parameters(model)
        elif problem:
            raise ValueError(problem)
    except (mpi.ParallelError, ValueError) as error:
        if root:
            p.error(str(error))
        return status.USAGE

    say = (lambda *words: None) if args.quiet else lambda *words: print(*words, flush=True)
    say(f"model       {args.model}, hidden size {args.hidden_size}, {model.theta.size:,} parameters, {args.dtype}")
    for line in task.describe():
        say(line)
    if ranks:
        say(f"processes   {ranks.size} (MPI), each with its share of every batch of {args.batch_size}")
    if progress:
        say(f"continued   from {args.resume}, after epoch {progress.epoch}")

    path, last_path = (
        os.path.normpath(os.path.join(args.out_dir, f"rnn_{args.model}_{which}.pth")) for which in ("best", "last")
    )
    bar = EpochBar(args.epochs, quiet=args.quiet)

    written = []  # what this run has written; an older run's file may stand there

    def save_best(progress, **more):
        columns = {name: getattr(args, name) for name in ("time", "sequence", "label") if getattr(args, name)}
        model_file.save_model(
            path,
            model,
            {"recipe": task.recipe(), "columns": columns, "seed": args.seed, "best_epoch": progress.best_epoch, **more},
        )
        written.append(path)

    def on_epoch(progress, improved):
        if ranks:
            ranks.check_parameters(model)
        if not root:
            return
        row = progress.history[-1]
        bar.line(
            f"epoch {row['epoch']:{len(str(args.epochs))}}/{args.epochs}  train {row['train_loss']:.5f}  "
            f"validation {row['validation_loss']:.5f}  {row['seconds']:.1f} s{'  *' if improved else ''}"
        )
        if improved:
            save_best(progress)
        if args.checkpoint:
            resume.save(last_path, args, model, optimizer, schedule, rng, progress, fingerprint)
        if args.history:
            _write_history(args.history, progress.history)

    thread_count = args.threads or 1  # of BLAS; the optimized layers split wide batches themselves
    learner, examples = model, task
    if ranks:
        examples = mpi.SharedTask(task, ranks)
        learner = mpi.SharedModel(model, examples, ranks)
    try:
        with blas.limited(thread_count):
            if optimizer is None:
                progress = fit_lbfgs(learner, examples, epochs=args.epochs, patience=args.patience, on_epoch=on_epoch)
            else:
                progress = fit(
                    learner,
                    examples,
                    optimizer,
                    epochs=args.epochs,
                    batch_size=args.batch_size,
                    clip=args.clip,
                    rng=rng,
                    schedule=schedule,
                    patience=args.patience,
                    progress=progress,
                    on_step=bar.step,
                    on_epoch=on_epoch,
                )
    except Diverged as error:
        bar.close()
        kept = f"the best weights so far are in {path}" if written else "no weights were written"
        if root:
            print(
                f"{p.prog}: {error}: try a smaller --lr (now {args.lr:g}) or --clip (now {args.clip:g}); {kept}",
                file=sys.stderr,
            )
        return status.DIVERGED
    bar.close()
    if progress.interrupted:
        say(
            "interrupted" + ("" if progress.best_epoch else " before the first epoch was done: no weights were written")
        )
        if not progress.best_epoch:
            return status.INTERRUPTED

    test = task.parts["test"]
    with blas.limited(thread_count):
        if root:
            # a forecast's file also has what intervals are made of; a file of another run may stand there
            save_best(progress, **(intervals.residual_quantiles(model, task) if task.kind == "forecast" else {}))
            model = model_file.load_model(path)  # what was kept is what is tested
            baselines = task.baselines()
        predictions = ranks.predict(model, task, test) if ranks else outputs(model, task, test)
    if not root:
        return status.OK
    results = task.metrics(predictions, test)
    seconds = time.perf_counter() - started
    say(f"\nbest epoch {progress.best_epoch}, kept in {path}; {seconds:.1f} s in all\n")
    say(comparison(args.model, results, baselines))
    if "confusion" in results:
        say(confusion_table(results, task.classes))
    if args.plot:
        _draw(args, task, predictions, results, progress)
    if args.report:
        report = {
            "model": args.model,
            "data": task.name,
            "parameters": int(model.theta.size),
            "epochs_run": progress.epoch,
            "best_epoch": progress.best_epoch,
            "seconds": seconds,
            "test": results,
            "baselines": baselines,
            "seed": args.seed,
            "history": progress.history,
            "versions": {"npseq": __version__, "numpy": np.__version__, "python": platform.python_version()},
        }
        with open(args.report, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)
    return status.INTERRUPTED if progress.interrupted else status.OK


def _draw(args, task, predictions, results, progress, rows=336):
    """The end of the test part beside its forecast; the table of answers; or, for the adding problem, the losses."""
    if task.kind == "forecast":
        test = task.parts["test"][-rows:]
        x = test if task.table.times is None else task.table.times[test]
        plots.forecast(
            args.plot,
            x,
            task.values[test, 0],
            predictions[-rows:, 0],
            task.target_columns[0],
            f"{task.name}: {args.model} on the test part, the first row ahead",
        )
    elif task.kind == "classify":
        plots.confusion(args.plot, results["confusion"], task.classes, f"{task.name}: {args.model}")
    else:
        plots.curves(args.plot, {args.model: [[row["validation_loss"] for row in progress.history]]}, task.name)


def _write_history(path, history):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(history[0]))
        writer.writeheader()
        writer.writerows(history)
