"""The grader names mistakes: every attempt of ``tests/support/attempts.json``, by its kind, and by the page's script too."""

import json
import re
import types
from pathlib import Path

import pytest

from npseq.explain.exercises import EXERCISES

SUPPORT = Path(__file__).parents[1] / "support"
ATTEMPTS = json.loads((SUPPORT / "attempts.json").read_text(encoding="utf-8"))
HELPERS = "import numpy as np\nσ = sigmoid = lambda a: 0.5 * np.tanh(0.5 * a) + 0.5\ntanh, exp = np.tanh, np.exp\n" + (
    "sum_, mean_ = (lambda a, axis: a.sum(axis=axis, keepdims=True)), (lambda a, axis: a.mean(axis=axis, keepdims=True))\n"
)


def text_of(attempt):
    """The solution of an exercise with the attempt in it."""
    text = EXERCISES[attempt["exercise"]].solution(0)
    if "right" in attempt:
        assert attempt["right"] in text, attempt
        return text.replace(attempt["right"], attempt["wrong"], 1)
    formula = re.sub(r"\b(sum|mean)\(", r"\1_(", attempt["formula"])
    changed, count = re.subn(rf"(?m)^( *{attempt['value']} = ).*$", lambda m: m[1] + formula, text, count=1)
    assert count == 1, attempt
    return changed.replace('"""\n\n', '"""\n\n' + HELPERS, 1)


def answer_to(attempt):
    module = types.ModuleType("submission")
    module.__file__ = "submission.py"
    exec(compile(text_of(attempt), "submission.py", "exec"), module.__dict__)
    outcomes = EXERCISES[attempt["exercise"]].grade(module, 0)
    return next(outcome for outcome in outcomes if outcome.name == attempt["value"])


@pytest.fixture(scope="module")
def answers():
    return [answer_to(attempt) for attempt in ATTEMPTS]


def fits(attempt, kind):
    """A pair of mistakes is named by two kinds, or by one kind twice."""
    return kind is not None and (set(kind.split()) == {attempt["kind"]} or attempt["kind"] == "two" and " " in kind)


@pytest.mark.wide
def test_four_of_five_wrong_attempts_are_named_by_their_kind_and_none_falsely(answers):
    rows = list(zip(ATTEMPTS, answers))
    assert len(rows) >= 65 and all(outcome.points == 0 and outcome.message for _, outcome in rows)
    named = [fits(attempt, outcome.kind) for attempt, outcome in rows if attempt["kind"]]
    assert sum(named) >= 0.8 * len(named), [(a, o) for a, o in rows if a["kind"] and not fits(a, o.kind)]
    assert [o for a, o in rows if a["kind"] is None and o.kind] == []
