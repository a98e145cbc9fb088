"""Grading files: each runs in a separate process, with a time limit, because it is somebody else's code."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from .catalogue import EXERCISES
from .exercise import HEADER, Exercise, ExerciseError, Outcome
from .running import Result, from_json

SECONDS = 60.0  # time limit for one file
PRINTED = 2000  # bytes of what a file prints that are kept
UNREADABLE = "the process ended before it was graded"
LONGEST = 20_000_000  # bytes of the file of results


class Report(NamedTuple):
    """The grade of one file. ``error`` says why it could not be run, or None; ``printed`` is what it printed, cut."""

    file: str
    exercise: str
    seed: int
    outcomes: list[Outcome]
    error: str | None = None
    printed: str = ""

    @property
    def points(self) -> int:
        return sum(outcome.points for outcome in self.outcomes)

    @property
    def of(self) -> int:
        return sum(outcome.of for outcome in self.outcomes)

    @property
    def first_wrong(self) -> Outcome | None:
        """The first value that lost points, in the order in which the values are computed."""
        return next((outcome for outcome in self.outcomes if outcome.points < outcome.of), None)

    def as_dict(self) -> dict[str, Any]:
        """Return the report for JSON."""
        first, own = self.first_wrong, self._asdict()
        values = [outcome._asdict() for outcome in own.pop("outcomes")]
        wrong = None if first is None else first.name
        return {**own, "points": self.points, "of": self.of, "first_wrong": wrong, "values": values}


def exercise_of(path: str | Path) -> tuple[Exercise, int]:
    """Return the exercise that a file is, and its seed.

    Raises:
        ExerciseError: if the file cannot be read, or its first lines do not name an exercise.
    """
    try:
        if Path(path).exists() and not Path(path).is_file():  # a pipe would never end
            raise ValueError("a file expected")
        with open(path, encoding="utf-8") as file:
            text = file.read(LONGEST)
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or a zero byte in the path
        raise ExerciseError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    found = HEADER.search("\n".join(text.splitlines()[:5]))
    if found is None:
        raise ExerciseError(f"{path}: a first line such as '# npseq exercise: lstm-backward, seed 0' expected")
    if found[1] not in EXERCISES:
        raise ExerciseError(f"{path}: there is no exercise {found[1]!r}; one of {', '.join(EXERCISES)} expected")
    return EXERCISES[found[1]], int(found[2])


def grade_file(path: str | Path, seconds: float = SECONDS) -> Report:
    """Run a file in a separate process, which only calls its functions, and grade what they gave.

    Raises:
        ExerciseError: if it is not the file of an exercise.
    """
    exercise, seed = exercise_of(path)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        result = Path(folder, "result.json")
        ended, printed = _run([str(Path(path).resolve()), str(result)], folder, seconds)
        results, error = _read(result) if ended else ([], f"stopped after {seconds:g} seconds")
    calls = len(exercise.calls(seed))
    outcomes: list[Outcome] = []
    try:
        outcomes = exercise.judge([*results, *[Result(error="missing")] * calls][:calls], seed)
    except Exception:  # a result that ``worker`` would not have written
        error = error or UNREADABLE
    if error is not None:
        nothing = [outcome._replace(points=0, message=error) for outcome in exercise.grade(ModuleType("empty"), seed)]
        return Report(str(path), exercise.name, seed, nothing, error, printed)
    return Report(str(path), exercise.name, seed, outcomes, None, printed)


def _run(arguments: list[str], folder: str, seconds: float) -> tuple[bool, str]:
    """Run the worker in a group of processes of its own, which then is ended.

    Returns:
        Whether it ended by itself, and the first part of what it printed.
    """
    package = str(Path(__file__).resolve().parents[3])
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONWARNINGS": "ignore"}
    environment |= {"PYTHONIOENCODING": "utf-8:backslashreplace"}
    # -B: no __pycache__ beside the student's file. The current folder is a new one, so nothing is imported from it.
    command = [sys.executable, "-B", "-m", "npseq.explain.exercises.worker", *arguments]
    process = subprocess.Popen(
        command,
        env=environment,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    kept = bytearray()

    def read() -> None:
        with contextlib.suppress(OSError, ValueError):
            while block := os.read(process.stdout.fileno(), 1 << 16):  # type: ignore[union-attr]
                kept.extend(block[: max(0, PRINTED - len(kept))])

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        process.wait(seconds)
        ended = True
    except subprocess.TimeoutExpired:
        ended = False
    finally:
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()
    reader.join(1)
    text = kept.decode("utf-8", "replace")
    return ended, text + " …" if len(kept) == PRINTED else text


def _read(result: Path) -> tuple[list[Result], str | None]:
    """Return what the worker wrote, or why there is nothing."""
    try:
        with open(result, "rb") as file:
            text = file.read(LONGEST + 1)
        if len(text) > LONGEST:
            return [], "the values are too many numbers to be read"
        results, error = json.loads(text)
        return [
            Result(from_json(value), _message(why), {str(name): str(each)[:300] for name, each in failed.items()})
            for value, why, failed in results
        ], _message(error)
    except Exception:  # there is none, or it is not what ``worker`` writes
        return [], UNREADABLE


def _message(error: Any) -> str | None:
    return None if error is None else str(error)[:300]
