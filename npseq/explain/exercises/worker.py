"""Run as ``python -m npseq.explain.exercises.worker FILE RESULT``: imports a student's file and grades it.

Writes [outcomes, error] to RESULT as JSON. What the file prints goes to the standard output, which nobody reads.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path

from .exercise import describe_error
from .grading import empty, exercise_of


def main(file: str, result: str) -> None:
    exercise, seed = exercise_of(file)
    spec = importlib.util.spec_from_file_location("submission", file)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    error = None
    try:
        spec.loader.exec_module(module)  # type: ignore[union-attr]
        outcomes = exercise.grade(module, seed)
    except (Exception, SystemExit) as problem:
        error = describe_error(problem, file)
        outcomes = empty(exercise, seed, error)
    partial = Path(result + ".partial")
    partial.write_text(json.dumps([outcomes, error]), encoding="utf-8")
    os.replace(partial, result)


if __name__ == "__main__":
    main(*sys.argv[1:])
