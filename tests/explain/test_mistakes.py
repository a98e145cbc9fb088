"""The grader names mistakes: every attempt of ``tests/support/attempts.json``, by its kind, and by the page's script too."""

import json
import re
import shutil
import subprocess
import types
from pathlib import Path

import numpy as np
import pytest

from npseq.explain import formulas, page
from npseq.explain.exercises import EXERCISES, naming

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


@pytest.fixture(scope="module")
def ask_page(tmp_path_factory):
    """Attempts -> what the page's script answers, in node."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    data = page.exercise_data()

    def answers(attempts):
        file = tmp_path_factory.mktemp("attempts") / "attempts.json"
        file.write_text(json.dumps({**data, "attempts": attempts}), encoding="utf-8")
        script = Path(page.__file__).parent / "web" / "formulas.js"
        command = [node, SUPPORT / "judge_attempts.js", script, file]
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    answers.exercises = data["exercises"]
    return answers


@pytest.mark.wide
def test_the_page_answers_every_attempt_as_the_grader_does(ask_page, answers):
    rows = [(a, o) for a, o in zip(ATTEMPTS, answers) if a["exercise"] in ask_page.exercises and "formula" in a]
    found = ask_page([attempt for attempt, _ in rows])
    assert len(rows) > 100
    for (attempt, outcome), answer in zip(rows, found):
        assert not answer["right"] and answer["kind"] == outcome.kind, attempt
        assert outcome.kind is None or answer["text"] == outcome.message, attempt


@pytest.mark.parametrize(
    "formula, word",
    [
        ("dh *", "unfinished"),
        ("dh * tanh(c", "unfinished: ) is missing"),
        ("dh * q", "q is not known here"),
        ("dc * tanh(c)", "dc is not known here"),
        ("dh * sin(c)", "sin is no function here"),
        ("dh $ c", "not understood: $ c"),
        ("dh tanh(c)", "not understood: tanh"),
        ("dh @ c", "shapes"),
        ("sum(dh)", "sum needs an axis"),
        ("dh * constructor", "constructor is not known here"),
        ("toString(c)", "toString is no function"),
        ("tanh()", "tanh is no function"),
        ("dh / (c - c)", "infinite"),
        ("(" * 150, "unfinished"),
        ("dh..T", "not understood"),
        ("sum(dh, c)", "needs an axis"),
    ],
)
def test_the_page_tells_what_it_cannot_compute(ask_page, formula, word):
    (answer,) = ask_page([{"exercise": "lstm-backward", "value": "do", "formula": formula}])
    assert not answer["right"] and word in answer["error"]


def test_the_page_reads_what_people_write(ask_page):
    same = {"do": ["dh ⊙ np.tanh(c)", "tanh(c)*dh"], "da_i": ["di·i·(1−i)", "di * i - di * i^2"], "df": ["dc * c'"]}
    attempts = [{"exercise": "lstm-backward", "value": n, "formula": f} for n, all in same.items() for f in all]
    attempts += [
        {"exercise": "rnn-backward", "value": "db", "formula": "da.sum(axis=1, keepdims=True)"},
        {"exercise": "rnn-backward", "value": "dh_prev", "formula": "W_hᵀ @ da"},
    ]
    assert all(answer["right"] for answer in ask_page(attempts))


def test_formulas_are_written_as_they_are_read():
    for text in ("-dh * (a - (b - c))", "(1 - h**2) * W.T @ (x + y)", "sum(da * x, 1) / 2", "(a @ b).T", "-(a + b)**2"):
        assert formulas.write(formulas.read(text)) == text


def test_a_rewrite_of_the_table_changes_what_it_says():
    for rule, left, right in naming.rules():
        assert left != right and set(re.findall(r"\{(\w)\}", rule["says"])) == set(re.findall(r"\{(\w)\}", rule["zh"]))
    tree, found = formulas.read("a + b * c"), dict(naming.variants(formulas.read("a + b * c"), ["d"]))
    assert tree not in found.values() and formulas.read("a + d * c") in found.values()
    assert np.allclose(formulas.evaluate(formulas.read("sum(a, 0)"), {"a": np.eye(2)}), 1)
