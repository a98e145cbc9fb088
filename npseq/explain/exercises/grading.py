"""Grading files: each runs in a separate process, with a time limit, because it is somebody else's code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from .catalogue import EXERCISES
from .exercise import HEADER, Exercise, ExerciseError, Outcome

SECONDS = 60.0  # time limit for one file


class Report(NamedTuple):
    """The grade of one file. ``error`` says why it could not be run, or None."""

    file: str
    exercise: str
    seed: int
    outcomes: list[Outcome]
    error: str | None = None

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
        first = self.first_wrong
        return {
            "file": self.file,
            "exercise": self.exercise,
            "seed": self.seed,
            "points": self.points,
            "of": self.of,
            "first_wrong": None if first is None else first.name,
            "error": self.error,
            "values": [outcome._asdict() for outcome in self.outcomes],
        }


def exercise_of(path: str | Path) -> tuple[Exercise, int]:
    """Return the exercise that a file is, and its seed.

    Raises:
        ExerciseError: if the file cannot be read, or its first lines do not name an exercise.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or a zero byte in the path
        raise ExerciseError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    found = HEADER.search("\n".join(text.splitlines()[:5]))
    if found is None:
        raise ExerciseError(f"{path}: a first line such as '# npseq exercise: lstm-backward, seed 0' expected")
    if found[1] not in EXERCISES:
        raise ExerciseError(f"{path}: there is no exercise {found[1]!r}; one of {', '.join(EXERCISES)} expected")
    return EXERCISES[found[1]], int(found[2])


def grade_file(path: str | Path, seconds: float = SECONDS) -> Report:
    """Run a file in a separate process and grade it.

    Raises:
        ExerciseError: if it is not the file of an exercise.
    """
    exercise, seed = exercise_of(path)
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder, "result.json")
        # -B: no __pycache__ beside the student's file
        worker = [sys.executable, "-B", "-m", "npseq.explain.exercises.worker"]
        command = [*worker, str(Path(path).resolve()), str(result)]
        package = str(Path(__file__).resolve().parents[3])
        paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONWARNINGS": "ignore"}
        try:
            subprocess.run(
                command, env=environment, cwd=folder, timeout=seconds, stdin=subprocess.DEVNULL, capture_output=True
            )
            outcomes, error = json.loads(result.read_text(encoding="utf-8"))
        except subprocess.TimeoutExpired:
            outcomes, error = None, f"stopped after {seconds:g} seconds"
        except (OSError, ValueError):
            outcomes, error = None, "the process ended before it was graded"
    if outcomes is None:
        nothing = empty(exercise, seed, error)
        return Report(str(path), exercise.name, seed, nothing, error)
    return Report(str(path), exercise.name, seed, [Outcome(*outcome) for outcome in outcomes], error)


def empty(exercise: Exercise, seed: int, message: str) -> list[Outcome]:
    """Return the outcomes of a file in which nothing could be graded."""
    return [outcome._replace(points=0, message=message) for outcome in exercise.grade(ModuleType("empty"), seed)]
