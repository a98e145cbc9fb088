"""``npseq stream``: rows on standard input, forecasts on standard output, each as soon as its row is there."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import signal
import sys
import threading
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TextIO

import numpy as np

from .. import status
from ..data.errors import DataError
from ..forecast import intervals
from ..forecast.metadata import ForecastMetadata
from ..forecast.panel.metadata import PanelMetadata
from ..forecast.recipe import ForecastRecipe
from ..forecast.streaming import ForecastStream, shown
from ..formats import checkpoint
from ..formats.messages import marked
from ..fused import blas
from ..tasks.metadata import Metadata, load_trained
from . import arguments, output, own_cell
from .stream_rows import LONGEST, Range, Rows

PROG = "npseq stream"

Bounds = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # of a forecast (horizon, targets): low and high


def parser() -> arguments.Parser:
    """Return the options."""
    p = arguments.Parser(
        prog=PROG,
        description="Read rows on standard input, in time order, and write a forecast on standard output after each.",
        epilog="example: tail -n +1 -f data.csv | npseq stream rnn_lstm_best.pth --state stream.pth",
    )
    arguments.add(p, "file FILE.pth", "of npseq train, a forecaster")
    own_cell.add_option(p, "of a file that npseq train --cell has written: that cell")
    about = "also the bounds of the prediction interval with coverage P, such as 0.9, as npseq predict gives them"
    arguments.add(p, "--interval P", about, arguments.share)
    arguments.add(p, "--state FILE", "continue from the state in FILE, and save it there at the end")
    about = "start again after a gap of more rows than the model looks back over; otherwise such a row is refused"
    arguments.add(p, "--reset-on-gap", about)
    arguments.add(p, "--strict", "stop at the first row that cannot be used, with status 2")
    arguments.add(p, "--time COLUMN", "time column; default: as in the training, else the first with times")
    about = "of times that are not written as 2024-03-31 14:00:00, such as %%d.%%m.%%Y %%H:%%M"
    arguments.add(p, "--time-format FORMAT", about)
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``npseq stream`` until its input ends and return its exit status."""
    p = parser()
    args = p.parse_args(argv)
    with p.refusing():
        model, trained = load_trained(args.file)
        own_cell.check_needed(args, model)
        if not isinstance(trained.recipe, ForecastRecipe):
            many = f"{args.file} forecasts many series (npseq predict)" if isinstance(trained, PanelMetadata) else None
            raise DataError(f"{many or f'{args.file} is no forecaster'}; npseq stream needs a forecaster of one series")
        assert isinstance(trained, ForecastMetadata)
        until = trained.fitted_until
        model, trained = trained.in_use(model)
        stream = ForecastStream(model, trained.recipe, trained.width, until)
        bounds = None if args.interval is None else bounds_of(stream, trained, args.interval)
        mark = fingerprint(model, trained)
        if args.state:
            output.check_file(args.state)
            if os.path.exists(args.state):
                restore(stream, args.state, mark)
    if hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(encoding="utf-8", errors="replace")
    rows = Rows(stream, args.time or trained.columns.get("time"), args.time_format, trained.options)
    saved = True
    with Lines(sys.stdin) as lines:  # until the state is saved
        try:
            with blas.limited(1):
                code = serve(stream, rows, Writer(stream, bounds), args, Range(trained), lines)
        finally:
            if args.state:
                saved = save(stream, args.state, mark)
    return code if saved else status.USAGE


def bounds_of(stream: ForecastStream, trained: Metadata, coverage: float) -> Bounds:
    """Return the function that gives the bounds of the stream's last forecast.

    Raises:
        DataError: for a file without residuals.
    """
    if trained.width is not None:
        return lambda forecast: stream.bounds(coverage)
    low, high = (bound.reshape(stream.recipe.horizon, -1) for bound in intervals.interval(trained, coverage))
    return lambda forecast: (forecast + low, forecast + high)  # a file of an older npseq: of constant width


def fingerprint(model: Any, trained: Metadata) -> str:
    """Return a hash of the weights and of the recipe, by which a state is known to be this model's."""
    digest = hashlib.sha256(json.dumps(trained.recipe.to_json(), sort_keys=True).encode())
    digest.update(model.theta.tobytes())
    return digest.hexdigest()[:16]


def restore(stream: ForecastStream, path: str, mark: str) -> None:
    """Continue from the state in a file.

    Raises:
        CheckpointError, ValueError: for a file that is not a state of this model. OSError: if it cannot be read.
    """
    file = checkpoint.load(path)
    if not isinstance(file.metadata, dict) or "stream" not in file.metadata:
        raise DataError(f"{path} is no state of npseq stream")
    if file.metadata.get("model") != mark:
        raise DataError(f"{path} is the state of another model; name another file with --state")
    try:
        stream.restore(file.state_dict)
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: {marked(error)}") from None


def save(stream: ForecastStream, path: str, mark: str) -> bool:
    """Write the state; True if that was possible."""
    try:
        checkpoint.save(path, stream.state(), {"stream": 1, "model": mark})
    except OSError as error:
        say(f"the state cannot be saved in {path}: {error.strerror or error}")
        return False
    return True


# ---- lines and forecasts ----


class _Stopped(Exception):
    """A signal has come while a line was waited for."""


class Lines:
    """The lines of a text stream, with their numbers, until it ends or SIGTERM or SIGINT comes.

    A signal interrupts the wait for a line and nothing else, so that a state is never saved half-way through a step.

    Attributes:
        stopped: the signal, or None.
    """

    def __init__(self, file: TextIO) -> None:
        self.file, self.stopped, self._waiting = file, 0, False

    def __enter__(self) -> Lines:
        self._before = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._stop)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _stop(self, number: int, frame: object) -> None:
        self.stopped = number
        if self._waiting:
            raise _Stopped

    def __iter__(self) -> Iterator[tuple[int, str]]:
        number = 0
        try:
            while not self.stopped:
                self._waiting = True
                line = self.file.readline(LONGEST)
                self._waiting = False
                if not line:
                    return
                number += 1
                yield number, line
        except _Stopped:
            pass


class Writer:
    """Forecasts as lines of CSV on standard output, each flushed; a header before the first.

    Args:
        stream: whose forecasts they are. bounds: of an interval, or None.
    """

    def __init__(self, stream: ForecastStream, bounds: Bounds | None) -> None:
        self.stream, self.bounds, self.count = stream, bounds, 0
        self.csv = csv.writer(sys.stdout, lineterminator="\n")

    def write(self, forecast: np.ndarray) -> None:
        """Write the forecast (horizon, targets) that the last row gave."""
        time = self.stream.next_time
        if self.count == 0:
            self.csv.writerow(["row" if np.isnat(time) else "time", *self._names()])
        self.count += 1
        parts = [forecast] if self.bounds is None else [forecast, *self.bounds(forecast)]
        cells = np.stack(parts, axis=-1).reshape(-1)
        when = self.stream.seen if np.isnat(time) else shown(time)
        self.csv.writerow([when, *(f"{value:.10g}" for value in cells)])
        sys.stdout.flush()

    def _names(self) -> list[str]:
        recipe = self.stream.recipe
        ahead = [""] if recipe.horizon == 1 else [f"_{k}" for k in range(1, recipe.horizon + 1)]
        endings = [""] if self.bounds is None else ["", "_low", "_high"]
        return [name + step + ending for step in ahead for name in recipe.target for ending in endings]


def serve(stream: ForecastStream, rows: Rows, writer: Writer, args: Namespace, known: Range, lines: Lines) -> int:
    """Answer each line of standard input. Returns the exit status: 2 if there were lines, and none could be used."""
    before, left_out = stream.seen, False
    for number, line in lines:
        try:
            row = rows.take(line)
            seen = stream.seen
            forecast = None if row is None else stream.step(*row, reset_on_gap=args.reset_on_gap)
        except DataError as error:
            say(f"line {number}: {error}")
            return status.USAGE
        except ValueError as error:
            say(f"line {number}: {arguments.told(error)}" + ("" if args.strict else "; the row is left out"))
            if args.strict:
                return status.USAGE
            left_out = True
            continue
        if stream.seen < seen:
            say(f"line {number}: the gap before it is too long for the model: its rows start again here")
        for told in [] if row is None else known.lines(stream, row[0]):
            say(f"line {number}: {told}")
        if row is not None and stream.inserted:
            say(f"line {number}: {stream.inserted:,} rows are missing before it: taken as rows without values")
        if forecast is not None:
            writer.write(forecast)
    if left_out and stream.seen == before:
        return status.USAGE
    if not writer.count and stream.seen < stream.recipe.first:
        say(f"{stream.seen:,} rows so far; the first forecast comes after {stream.recipe.first:,}")
    return status.INTERRUPTED if lines.stopped == signal.SIGINT else status.OK


def say(message: str) -> None:
    """Write one line on standard error."""
    print(f"{PROG}: {' '.join(message.split())}", file=sys.stderr, flush=True)
