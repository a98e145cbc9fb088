"""Run as ``python -m npseq.explain.exercises.worker FILE RESULT``: imports a student's file and calls its functions.

Writes [results, error] to RESULT as JSON; the process that started this one compares them. What the file prints goes to
the standard output.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from .grading import exercise_of
from .running import Result, as_json, describe_error, load, run


def main(file: str, result: str) -> None:
    exercise, seed = exercise_of(file)
    error, results = None, list[Result]()
    try:
        module = load(Path(file).read_text(encoding="utf-8"), file)
        results = [run(module, call) for call in exercise.calls(seed)]
    except (Exception, SystemExit) as problem:
        error = describe_error(problem, file)
    partial = Path(result + ".partial")
    written = [[as_json(each.value), each.error, each.failed] for each in results]
    partial.write_text(json.dumps([written, error]), encoding="utf-8")
    os.replace(partial, result)
    sys.stdout.flush()
    os._exit(0)  # what the file has left running is not waited for


if __name__ == "__main__":
    main(*sys.argv[1:])
