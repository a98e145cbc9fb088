"""``npseq train``: one training in six steps, from its options to its report."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import status
from .._version import __version__
from ..forecast.metadata import ALONE, adds_nothing
from ..formats import model_file
from ..fused import blas
from ..nn.registry import MODELS
from ..tasks import metadata
from ..training import mpi, resume
from ..training.fit import Diverged, Progress
from . import (
    arguments,
    backtest,
    data_options,
    evaluate_forecast,
    experiment,
    files,
    kinds,
    options,
    output,
    own_cell,
    plots,
    replacing,
    text_options,
)
from .progress import EpochBar
from .tables import comparison, confusion_table, loss_text, losses_of, made_worse, remarks

PROG = "npseq train"


def parser() -> arguments.Parser:
    """Return the parser of the documented command."""
    p = arguments.Parser(
        prog=PROG,
        description="Train a recurrent network and keep its best weights.",
        epilog="example: npseq train --model lstm --epochs 10",
    )
    options.add_training_options(p, "")
    own_cell.add_option(p, "instead of --model: a cell of your own")
    options.add_data_options(p)
    options.add_training_options(p.add_argument_group("model"), "model")
    t = p.add_argument_group("training")
    arguments.add(t, "--init FILE.pth", "start from the weights of a file, of npseq or of torch")
    arguments.add_weights(t, "the file of --init, if it has several")
    options.add_training_options(t, "training")
    text_options.add_options(p)
    o = p.add_argument_group("output")
    about = "for the weights; default: the current folder, with --resume that of the resumed file"
    arguments.add(o, "--out-dir FOLDER", about, default=".")
    about = "write NAME.pth and NAME_last.pth; default: rnn_MODEL_best.pth and rnn_MODEL_last.pth"
    arguments.add(o, "--name NAME", about, _plain_name)
    arguments.add(o, "--force", "replace a weights file of other data or of another task")
    arguments.add(o, "--report FILE.json", "write the results there")
    arguments.add(o, "--history FILE.csv", "write each epoch's losses there")
    about = "draw the forecast of the test part's end, or the confusion matrix (.png or .svg)"
    arguments.add(o, "--plot FILE.png", about)
    arguments.add(o, "--checkpoint", "save the training state to rnn_MODEL_last.pth after each epoch")
    arguments.add(o, "--resume FILE.pth", "resume from a file written with --checkpoint")
    about = "a forecast: train and test at N origins in time, keep no files, and print the mean error and its spread"
    arguments.add(o, "--backtest N", about, arguments.positive_int)
    arguments.add_jobs(o)
    arguments.add_quiet(o)
    p.rare = {action.dest for action in p._actions} - {"help", *options.USUAL}
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit status: 0 done, 2 usage or data (as SystemExit), 3 diverged, 130 interrupted.
    """
    try:
        ranks = mpi.find()
    except mpi.ParallelError as error:
        parser().error(error)
    started, p, wrong = time.perf_counter(), parser(), (mpi.ParallelError, OptionsError, backtest.BacktestError)
    try:
        with ranks.ending_together(PROG, (*wrong, Diverged, _OptionsExit)):
            given, args = _options(p, argv, ranks)
            if args.backtest:
                return backtest.run(args, train)
            return train(args, given, ranks, started).status
    except wrong as error:  # every process has found the same; only the first one prints
        if ranks.root:
            p.error(error)
        return status.USAGE
    except Diverged as error:
        if ranks.root:
            print(f"{PROG}: {error}: {error.advice}; {error.kept}", file=sys.stderr)
        return status.DIVERGED


def _plain_name(text: str) -> str:
    """Return the name of a file without a folder and an ending."""
    name = text.removesuffix(".pth")
    if not name or os.path.basename(name) != name or name.startswith(".") or "\0" in name:
        raise argparse.ArgumentTypeError(f"{text!r} given, a name without a folder expected (--out-dir)")
    return name


class _OptionsExit(SystemExit):
    """Every process ends with this status, after a mistake in the options or ``--help``."""


def _options(p, argv, ranks):
    """Return the options that were typed, and all."""
    code = None
    with contextlib.ExitStack() as silence:
        if not ranks.root:  # every process finds the same mistakes in the options
            for redirect in contextlib.redirect_stdout, contextlib.redirect_stderr:
                silence.enter_context(redirect(io.StringIO()))
        try:
            given = p.given(argv)
            args = experiment.settled(p, p.parse_args(argv), given, quiet=not ranks.root)
        except SystemExit as end:
            code = end.code
    ranks.compare("exit statuses for their options", code)
    if code is not None:
        raise _OptionsExit(code)
    return given, args


class OptionsError(ValueError):
    """The options or the data do not describe a training; the message is one line."""


@dataclass
class Outcome:
    """How a training ended: the exit status, and the report if the weights were scored."""

    status: int
    report: dict[str, Any] | None = None


def train(
    args: argparse.Namespace,
    given: Mapping[str, Any] | None = None,
    ranks: mpi.OneProcess | mpi.Ranks | None = None,
    started: float | None = None,
    loaded: Any = None,
    ended: Progress | None = None,
) -> Outcome:
    """Train as the options say, and write the files that they name.

    Args:
        args: all options of ``parser``.
        given: those that were typed, for ``--resume``.
        ranks: the processes that share the work.
        started: ``time.perf_counter()`` at the start of the command.
        loaded: the data, if they have been read, or the task.
        ended: how this training ended, if it has been done: its weights are kept and scored.

    Raises:
        OptionsError, ParallelError: for options or data that do not fit; nothing was written.
        Diverged: with ``advice``, what to try, and ``kept``, which weights are kept.
    """
    run = _Run(args, ranks or mpi.OneProcess(), time.perf_counter() if started is None else started)
    run.agree(run.build(given or {}, loaded))
    run.run.progress = ended or run.run.progress
    progress = run.fit()
    if progress.best_theta is None:  # interrupted before the first epoch was done
        return Outcome(status.INTERRUPTED)
    report = run.report(progress, run.score(progress))
    return Outcome(status.INTERRUPTED if progress.interrupted else status.OK, report)


class _Run:
    """One training by the command: the state that the steps share."""

    def __init__(self, args, ranks, started):
        self.args, self.ranks, self.started = args, ranks, started
        self.threads = args.threads or 1  # of BLAS; the optimized layers split wide batches themselves
        self.written = False  # True once this run has written the best file: an older run may have left one

    def say(self, text: str) -> None:
        """Print, unless told to be quiet."""
        if not self.args.quiet:
            print(text, flush=True)

    def path(self, which: str) -> str:
        """Return the path of the best or the last file."""
        return next(file.path for file in files.own(self.args) if which in file.purpose)

    def build(self, given: Mapping[str, Any], loaded: Any) -> str | None:
        """Build the experiment, and check the files to write. Returns the problem, or None."""
        args, self.given, p = self.args, given, parser()
        try:
            state = None
            if args.resume:
                state = resume.read(args.resume)
                self.args = args = experiment.continued(p, args, given, state)
            files.check([*files.named(p, args), *files.own(args)])
            self.experiment = experiment.build(args, state, self.ranks.size > 1, loaded)
            self.run = self.experiment.run
            config = self.run.config
            found = {name: getattr(config, name) for name in ("epochs", "hidden_size", "lr")}
            self.args = args = arguments.changed(args, **found)
            self.kind = kinds.KINDS[self.run.task.kind]
            if self.ranks.root:
                self.replaced = replacing.check(args, self.run.task, self.experiment.fingerprint)
            if self.ranks.root:
                plots.check_files(args.report, args.history, self.path("best"), plot=args.plot)
        except (OSError, ValueError) as error:
            return arguments.told(error)
        except MemoryError:
            return f"the model or the data are too large for this machine's memory (--hidden-size {args.hidden_size})"
        return None

    def agree(self, problem: str | None) -> None:
        """Continue only if no process has a problem, and all have the same options, data and parameters."""
        try:
            self.ranks.agree(problem)
        except mpi.ParallelError as error:
            raise OptionsError(str(error)) from None
        self.ranks.compare("options", self.experiment.options)
        self.ranks.compare("data", self.experiment.fingerprint)
        self.ranks.check_parameters(self.run.model)

    def fit(self) -> Progress:
        """Train; write the best weights and the history after each epoch."""
        args, run = self.args, self.run
        size = f"{run.model.theta.size:,} parameters"
        self.say(f"model       {args.model}, hidden size {args.hidden_size}, {size}, {args.dtype}")
        for line in [*text_options.report_of(args, self.given), *run.task.describe()]:
            self.say(arguments.told(line))
        if self.ranks.size > 1:
            self.say(
                f"processes   {self.ranks.size} (MPI), each with its share of every batch of {run.config.batch_size}"
            )
        if self.ranks.root and self.replaced:
            self.say(f"replaces    {self.replaced}")
        if args.resume:
            begun_with = self.experiment.begun_with
            self.say(f"continued   from {args.resume}, after epoch {run.progress.epoch}")
            if run.schedule.depends_on_total and args.epochs != begun_with:
                self.say(
                    f"            begun with {begun_with} epochs: the learning rates are now those of {args.epochs} "
                    f"epochs, and the weights not those of a run of {args.epochs} from the start"
                )
        if self.ranks.root:  # now: the file of the data may vanish during the training
            self.kept, self.data = self.kind.begin(run.task), run.task.fingerprint()
        self.bar = EpochBar(args.epochs, quiet=args.quiet)
        try:
            with blas.limited(self.threads), self.ranks.shared(run.model, run.task) as shared:
                progress = run.train(self.bar.step, self.on_epoch, shared)
            if progress.interrupted and self.ranks.size > 1:
                raise KeyboardInterrupt  # this process alone: the others continue
        except Diverged as error:
            error.advice = f"try a smaller --lr (now {args.lr:g}) or --clip (now {args.clip:g})"
            if self.written:
                error.kept = f"the best weights so far are in {self.path('best')}"
            raise
        finally:
            self.bar.close()
        if progress.interrupted:
            none = " before the first epoch was done: no weights were written"
            self.say("interrupted" + none * (progress.best_theta is None))
        return progress

    def on_epoch(self, progress: Progress, improved: bool) -> None:
        """Print and write what an epoch has changed."""
        args, model, row = self.args, self.run.model, progress.history[-1]
        self.ranks.check_parameters(model)
        if not self.ranks.root:
            return
        if row["epoch"] == 1 and progress.start_loss is not None:
            self.bar.line(f"epoch 0, the base: validation {progress.start_loss:.5f}  *")
        self.bar.line(
            f"epoch {row['epoch']:{len(str(args.epochs))}}/{args.epochs}  train {loss_text(row['train_loss'])}  "
            f"validation {loss_text(row['validation_loss'])}  {row['seconds']:.1f} s{'  *' if improved else ''}"
        )
        if improved:
            self.save_best(progress)
        elif not self.written:  # epoch 0, or the best of the run that is resumed
            now = model.theta.copy()
            model.theta[...] = progress.best_theta
            try:
                self.save_best(progress)
            finally:
                model.theta[...] = now
        if args.checkpoint:
            e, run = self.experiment, self.run
            how = run.optimizer, run.schedule, run.rng
            resume.save(self.path("last"), e.options, model, *how, progress, e.fingerprint)
        if args.history:
            _write_history(args.history, progress.history)

    def of_the_run(self, progress: Progress) -> dict[str, Any]:
        """Return what the file keeps of the training, of any task."""
        args = self.args
        columns = {name: getattr(args, name) for name in ("time", "sequence", "label") if getattr(args, name)}
        said = data_options.table_options(args).to_json()
        more = {"seed": args.seed, "best_epoch": progress.best_epoch, "settings": self.run.settings}
        return {"columns": columns, **more, "table": said, "card": self.run.card(progress, self.data)}

    def save_best(self, progress: Progress, kept: metadata.Metadata | None = None) -> None:
        """Write the best weights, with what is needed to use them on new data."""
        kept = kept or replace(self.kept, **self.of_the_run(progress))
        model_file.save_model(self.path("best"), self.run.model, kept.to_json())
        self.written = True

    def score(self, progress: Progress) -> kinds.Score | None:
        """Score the saved weights on the test part; None in all processes but the first."""
        task, model, kept = self.run.task, self.run.model, None
        with blas.limited(self.threads):
            if self.ranks.root:
                kept = self.kind.finish(model, task, **self.of_the_run(progress))
                self.save_best(progress, kept)  # the file of an earlier run may have the same name
                model = model_file.load_model(self.path("best"))  # evaluate exactly the weights that were saved
            score = self.kind.score(model, kept, task, self.ranks)
            if kept is not None and score is not None:
                self.kept = kept = metadata.with_scores(kept, score.results, score.baselines)
                self.save_best(progress, self.kind.refit(model, task, kept))
            return score

    def report(self, progress: Progress, score: kinds.Score | None) -> dict[str, Any] | None:
        """Print the table, and write the picture and the report. Returns the report."""
        if score is None:
            return None
        args, task = self.args, self.run.task
        seconds = time.perf_counter() - self.started
        self.say(f"\nbest epoch {progress.best_epoch}, kept in {self.path('best')}; {seconds:.1f} s in all\n")
        shown = {score.labels[name]: scores for name, scores in score.baselines.items()}
        target = task.target_columns[0] if self.run.task.kind == "forecast" else None
        part = f"the {task.scored} part"
        self.say("\n".join(score.lines or [comparison(args.model, score.results, shown, part, target)]))
        if "confusion" in score.results:
            self.say(confusion_table(score.results, task.classes))
            for line in remarks(args.model, score.results, score.baselines, losses_of({"history": progress.history})):
                self.say(line)
        if task.corrects and not score.lines:
            alone = [ALONE] * adds_nothing(self.run.model, task.recipe())
            if alone and progress.start_loss is not None:
                alone += made_worse(progress.start_loss, progress.history[-1]["validation_loss"], args.lr)
            found = evaluate_forecast.verdicts(args.model, score.results, score.baselines, score.labels)
            self.say("\n".join(["", *alone, *found]))
        twin = f"optimized_{args.model}"
        if twin in MODELS and not (args.quiet or args.recurrent_dropout):  # that, fused does not have
            print(f"{PROG}: --model {twin} prints the same digits in about 0.6 of the time", file=sys.stderr)
        if args.plot:
            self.kind.draw(args.plot, self.run.model, task, score, self.kept, progress)
        report = {
            "model": args.model,
            "data": task.name,
            "parameters": int(self.run.model.theta.size),
            "epochs_run": progress.epoch,
            "base_alone": bool(task.corrects and not score.lines and adds_nothing(self.run.model, task.recipe())),
            "best_epoch": progress.best_epoch,
            "seconds": seconds,
            "test": score.results,
            "baselines": score.baselines,
            "labels": score.labels,
            "seed": args.seed,
            "settings": self.experiment.options,
            "start_loss": progress.start_loss,
            "history": progress.history,
            "versions": {"npseq": __version__, "numpy": np.__version__, "python": platform.python_version()},
        }
        if args.report:
            output.write_json(args.report, report)
        return report


def _write_history(path, history):
    with output.csv_writer(path) as writer:
        writer.writerow(history[0])
        writer.writerows(row.values() for row in history)
