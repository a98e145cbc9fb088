"""What an exercise is: a file with gaps, made from its solution, and the points for what is written into the gaps.

Values are graded one by one, each from the values before it that the student's own code has computed. So a mistake
costs the points of the value where it was made, and not those of everything that follows from it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import resources
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

TOLERANCE = 1e-9  # relative to the largest element; float64 arithmetic in another order gives 1e-14 or so
HEADER = re.compile(r"# npseq exercise: ([\w-]+), seed (\d+)")
GAP = "TODO"


class ExerciseError(ValueError):
    """A file is not an exercise, or there is no such exercise; the message is one line that says what was expected."""


class Outcome(NamedTuple):
    """The points for one value. ``message`` says what is wrong, without the answer; None with full points."""

    name: str
    points: int
    of: int
    equation: int | None
    message: str | None = None


class Step(NamedTuple):
    """A value to be graded: its equation in docs/derivation.md, and what it must be, given the values before it."""

    name: str
    equation: int | None
    expected: Callable[[dict[str, Any]], Any]
    points: int = 1


class Exercise(NamedTuple):
    """One exercise.

    name: as the command takes it; its solution is in ``solutions``, with _ for -. minutes: about how long it takes.
    grade: (the student's module, seed) -> outcomes. change: (text, seed, solved) -> text, to put the seed's numbers or
    bug into the file; None if it is the same for every seed.
    """

    name: str
    title: str
    minutes: int
    grade: Callable[[ModuleType, int], list[Outcome]]
    hints: tuple[str, ...]
    change: Callable[[str, int, bool], str] | None = None

    def solution(self, seed: int) -> str:
        """Return the text of the solved file."""
        text = self._text(seed, solved=True)
        return self._header(seed) + re.sub(r"#: ?", "# ", text)

    def start(self, seed: int) -> str:
        """Return the text of the file to fill in: what follows the equals sign in lines with "#:" is left out."""
        lines = []
        for line in self._text(seed, solved=False).splitlines():
            code, mark, comment = line.partition("  #:")
            if mark:
                indent = code[: len(code) - len(code.lstrip())]
                if code.lstrip().startswith("if "):
                    code = f"{indent}if False:"
                elif re.match(r"\s*[\w\[\] +]+ = ", code):
                    code = code[: code.index(" = ")] + f" = {GAP}"
                else:
                    code = f"{indent}..."
                line = f"{code}  # {comment.strip()}"
            lines.append(line)
        last_import = max((k for k, line in enumerate(lines) if line.startswith(("import ", "from "))), default=-1)
        lines.insert(last_import + 1, f'\n{GAP} = float("nan")  # not written yet')
        return self._header(seed) + "\n".join(lines) + "\n"

    def _header(self, seed: int) -> str:
        return f"# npseq exercise: {self.name}, seed {seed}\n"

    def _text(self, seed: int, solved: bool) -> str:
        file = resources.files(__package__) / "solutions" / f"{self.name.replace('-', '_')}.py"
        text = file.read_text(encoding="utf-8")
        return text if self.change is None else self.change(text, seed, solved)


def call(module: ModuleType, function: str, *arguments: Any) -> tuple[Any, str | None]:
    """Call a function of the student's.

    Returns:
        Its result, or None; and what went wrong in one line, or None.
    """
    if not callable(getattr(module, function, None)):
        return None, f"the function {function} is missing"
    arguments = tuple(np.array(a) if isinstance(a, np.ndarray) else a for a in arguments)  # theirs to change
    try:
        return getattr(module, function)(*arguments), None
    except Exception as error:
        return None, describe_error(error, module.__file__ or "")


def describe_error(error: BaseException, file: str) -> str:
    """Return one line: the line of the student's file in which the error was raised, its kind and its message."""
    line, trace = getattr(error, "lineno", None), error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    where = "" if line is None else f"line {line}: "
    return f"{where}{type(error).__name__}: {' '.join(str(error).split())}"


def follow(
    steps: list[Step], given: dict[str, Any], result: Any, error: str | None = None, tolerance: float = TOLERANCE
) -> list[Outcome]:
    """Grade values one after the other.

    Args:
        given: what the expected values may use besides the values before them.
        result: name -> value, what the student's function returned, or anything else if it is wrong.
        error: what went wrong in it, if it raised an exception.
        tolerance: relative to the largest element of the expected value.
    """
    outcomes, true, theirs = [], dict(given), dict(given)
    if error is None and not isinstance(result, dict):
        error = f"a dict with the names of the values expected, {type(result).__name__} returned"
    for step in steps:
        true[step.name] = expected = np.asarray(step.expected(true), dtype=float)
        message, value = error, None
        if error is None:
            value, message = _array(result.get(step.name), expected.shape)
        if value is not None:
            follows = np.asarray(step.expected(theirs), dtype=float)
            message = min((_difference(value, right, tolerance) for right in (expected, follows)), key=_is_wrong)
        usable = value is not None and np.any(value)
        theirs[step.name] = value if usable else expected  # of zeros everything would follow
        points = step.points if message is None else 0
        outcomes.append(Outcome(step.name, points, step.points, step.equation, message))
    return outcomes


def _is_wrong(message: str | None) -> bool:
    return message is not None


def _array(value: Any, shape: tuple[int, ...]) -> tuple[np.ndarray | None, str | None]:
    """The value as an array of the right shape, or None and what is wrong with it."""
    if value is None:
        return None, "missing"
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        return None, f"numbers expected, {type(value).__name__} given"
    if np.isnan(array).any():
        return None, "not written yet" if np.isnan(array).all() else "has NaN in it"
    if array.shape != shape:
        return None, f"shape {shape} expected, {array.shape} given"
    return array, None


def _difference(value: np.ndarray, right: np.ndarray, tolerance: float) -> str | None:
    largest = np.abs(right).max()
    error = np.abs(value - right).max()
    if error <= tolerance * max(largest, 1e-300):
        return None
    return f"wrong: the largest error is {error / largest:.2g} times the largest element" if largest else "must be zero"


def together(name: str, equation: int | None, parts: list[Outcome], points: int = 1) -> Outcome:
    """Return one outcome for a value that is graded in several cases: full points if it is right in all of them."""
    wrong = [part.message for part in parts if part.message is not None]
    return Outcome(name, 0 if wrong else points, points, equation, wrong[0] if wrong else None)
