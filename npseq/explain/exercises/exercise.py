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

from ..formulas import Tree, evaluate, read
from . import naming
from .running import Call, Result, Strange, run

TOLERANCE = 1e-9  # relative to the largest element; float64 arithmetic in another order gives 1e-14 or so
HEADER = re.compile(r"# npseq exercise: ([\w-]+), seed (\d+)")
GAP = "TODO"


class ExerciseError(ValueError):
    """A file is not an exercise, or there is no such exercise; the message is one line that says what was expected."""


class Outcome(NamedTuple):
    """The points for one value. ``message``: what is wrong, None with full points; ``kind``: of the mistake named."""

    name: str
    points: int
    of: int
    equation: int | None
    message: str | None = None
    kind: str | None = None


Compute = Callable[[dict[str, Tree], dict[str, Any]], Any]


class Step(NamedTuple):
    """A value to be graded.

    equation: its number in docs/derivation.md.
    formula: name -> text of what gives it, or the text alone; " = " stands between equivalent forms.
    compute: (name -> tree, values before it) -> what it must be; default: the one formula, evaluated.
    scope: values -> those that may be confused. known: other mistakes: what they change in the trees, kind, text.
    """

    name: str
    equation: int | None
    formula: str | dict[str, str]
    points: int = 1
    compute: Compute | None = None
    scope: Callable[[dict[str, Any]], dict[str, Any]] = dict
    known: tuple[tuple[dict[str, Tree], str, str], ...] = ()

    def formulas(self) -> dict[str, str]:
        return {"": self.formula} if isinstance(self.formula, str) else self.formula

    def expected(self, values: dict[str, Any], changed: dict[str, Tree] | None = None) -> Any:
        """What the value must be, given the values before it; with some formulas changed, what it then would be."""
        trees = {name: read(text.split(" = ")[0]) for name, text in self.formulas().items()} | (changed or {})
        return evaluate(trees[""], values) if self.compute is None else self.compute(trees, values)

    def mistake(self, value: np.ndarray, values: dict[str, Any], tolerance: float) -> naming.Mistake | None:
        """Return the mistake that explains a wrong value, if there is one."""
        right = np.asarray(self.expected(values), dtype=float)
        if value.shape != right.shape and value.squeeze().shape == right.squeeze().shape:
            if _difference(value.squeeze(), right.squeeze(), tolerance) is None:
                return naming.Mistake(
                    "shape", f"the numbers are right, but shape {right.shape} is expected, {value.shape} given"
                )
        scope = [name for name, other in self.scope(values).items() if isinstance(other, (float, np.ndarray))]
        for changed, kind, text in self.known:
            other = np.asarray(self.expected(values, changed), dtype=float)
            if value.shape == other.shape and _difference(value, other, tolerance) is None:
                return naming.Mistake(kind, text)
        numbers = {k: float(v) * (1.1 + 0.37 * n) for n, (k, v) in enumerate(values.items()) if np.ndim(v) == 0}
        for name, text in self.formulas().items():

            def compute(tree: Tree, name: str = name, known: dict[str, Any] = values) -> Any:
                return self.expected(known, {name: tree})

            one = right.size == 1
            elsewhere = (lambda tree: self.expected(numbers, {"": tree})) if one else None
            pairs = not one and self.compute is None  # in a loop they would take seconds
            for form in text.split(" = "):
                found = naming.name(value, read(form), scope, compute, tolerance, elsewhere, pairs)
                if found is not None:
                    return found
        return None


class Exercise(NamedTuple):
    """One exercise.

    name: as the command takes it; its solution is in ``solutions``, with _ for -. minutes: about how long it takes.
    calls: seed -> what is called in the student's file. judge: (the results of the calls, seed) -> outcomes.
    hints; about: the values that each is about. change: (text, seed, solved) -> text, to put the seed's numbers or bug
    into the file; None if it is the same for every seed.
    """

    name: str
    title: str
    minutes: int
    calls: Callable[[int], list[Call]]
    judge: Callable[[list[Result], int], list[Outcome]]
    hints: tuple[str, ...]
    about: tuple[str, ...] = ()
    change: Callable[[str, int, bool], str] | None = None

    def grade(self, module: ModuleType, seed: int) -> list[Outcome]:
        """Return the outcomes of a student's module, run in this process."""
        return self.judge([run(module, call) for call in self.calls(seed)], seed)

    def hint_for(self, value: str) -> int:
        """Return the number of the hint that is about a value."""
        return next((k for k, names in enumerate(self.about, 1) if value.split(" with ")[0] in names.split()), 1)

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


def follow(
    steps: list[Step], given: dict[str, Any], result: Result, tolerance: float = TOLERANCE, named: float | None = None
) -> list[Outcome]:
    """Grade values one after the other.

    Args:
        given: what the expected values may use besides the values before them.
        result: what the student's function returned: name -> value, or anything else if it is wrong.
        tolerance: relative to the largest element of the expected value. named: the same for naming a mistake.
    """
    outcomes, true, theirs = [], dict(given), dict(given)
    error = result.error
    if error is None and not isinstance(result.value, dict):
        error = f"a dict with the names of the values expected, {kind_of(result.value)} returned"
    for step in steps:
        true[step.name] = expected = np.asarray(step.expected(true), dtype=float)
        message, value, mistake = error, None, None
        if error is None:
            value, message = _array(result, step.name, expected.shape)
        if value is not None and message is None:
            follows = np.asarray(step.expected(theirs), dtype=float)
            found = [_difference(value, right, tolerance, step.name) for right in (expected, follows)]
            message = min(found, key=lambda each: each is not None)
        odd = value is not None and value.shape == expected.shape and value.any() and not usable(value, expected)
        if value is not None and message is not None and not odd:  # of another size altogether nothing is named
            mistake = step.mistake(value, theirs, TOLERANCE) or (named and step.mistake(value, theirs, named)) or None
            message = message if mistake is None else mistake.text
        theirs[step.name] = value if usable(value, expected) else expected
        points = step.points if message is None else 0
        kind = None if mistake is None else mistake.kind
        outcomes.append(Outcome(step.name, points, step.points, step.equation, message, kind))
    return outcomes


def usable(value: Any, expected: np.ndarray) -> bool:
    """True if later values may follow from it: of zeros, or of numbers next to nothing, everything would follow."""
    if not isinstance(value, np.ndarray) or value.shape != expected.shape or not np.isfinite(value).all():
        return False
    largest = np.abs(expected).max()
    return bool(1e-6 * largest < np.abs(value).max() < 1e6 * largest)


def kind_of(value: Any) -> str:
    return value.kind if isinstance(value, Strange) else type(value).__name__


def _array(result: Result, name: str, shape: tuple[int, ...]) -> tuple[np.ndarray | None, str | None]:
    """The value as an array, or None, and what is wrong with it already."""
    value = result.value.get(name)
    if name in result.failed:
        return None, result.failed[name]
    if value is None:
        return None, "missing"
    if not isinstance(value, np.ndarray):
        return None, f"numbers expected, {kind_of(value)} given"
    if np.isnan(value).any():
        if result.failed:
            return None, f"needs what failed: {next(iter(result.failed.values()))}"
        return None, "not written yet" if np.isnan(value).all() else "has NaN in it, or a line is not written yet"
    if not np.isfinite(value).all():
        return None, "has an infinite element"
    if value.shape != shape:
        return value, f"shape {shape} expected, {value.shape} given"
    return value, None


def _difference(value: np.ndarray, right: np.ndarray, tolerance: float, name: str = "") -> str | None:
    """Where and by how much a value is wrong; None if it is right. A column is a sequence, unless the value is dW."""
    largest, errors = np.abs(right).max(), np.abs(value - right)
    wrong = errors > tolerance * max(largest, 1e-300)
    if not wrong.any():
        return None
    axes, where = ("row", "column") if name.startswith("dW") else ("step", "unit", "sequence")[-value.ndim :], []
    for axis, indices, size in zip(axes if value.ndim < 4 else (), np.argwhere(wrong).T, value.shape):
        found = sorted({int(k) for k in indices})
        if len(found) < size:
            where.append(f"{axis}{'s' * (len(found) > 1)} {', '.join(map(str, found))} only")
        elif axis == "step":
            where.append("every step, from the last one on")
    ratio = errors.max() / largest if largest else np.inf
    size_of = f": the largest error is {ratio:.2g} times the largest element" if ratio < 1e6 else ""
    return f"wrong{' in ' * bool(where)}{'; '.join(where)}{size_of}"


def together(name: str, equation: int | None, parts: list[Outcome], points: int = 1) -> Outcome:
    """Return one outcome for a value that is graded in several cases: full points if it is right in all of them."""
    wrong = [part for part in parts if part.message is not None]
    if not wrong:
        return Outcome(name, points, points, equation)
    return Outcome(name, 0, points, equation, wrong[0].message, wrong[0].kind)
