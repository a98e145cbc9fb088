"""The graded exercises: every solution passes, and every mutation of a solution loses exactly the points it should."""

import ast
import json
import os
import re
import time
import types

import pytest
from exercise_mutations import MUTATIONS

from npseq.cli import exercise as command
from npseq.explain.exercises import EXERCISES, bug_hunt, grade_file, running
from npseq.explain.exercises.exercise import HEADER, ExerciseError


def graded(text, seed=0):
    """The outcomes of a file's text, graded in this process."""
    name = HEADER.search(text)[1]
    module = types.ModuleType("submission")
    module.__file__ = "submission.py"
    exec(compile(text, "submission.py", "exec"), module.__dict__)
    return EXERCISES[name].grade(module, seed)


def lost(outcomes):
    return {outcome.name for outcome in outcomes if outcome.points < outcome.of}


@pytest.fixture
def no_clock(monkeypatch):
    """Speed is graded in the test that measures it."""
    from npseq.explain.exercises import sequences

    monkeypatch.setattr(sequences, "TIMES_AS_FAST", 0)


@pytest.mark.parametrize("name", list(EXERCISES))
def test_every_solution_gets_all_points_with_any_seed(name, no_clock):
    for seed in (0, 1, 7):
        assert lost(graded(EXERCISES[name].solution(seed), seed)) == set()


@pytest.mark.parametrize("name", list(EXERCISES))
def test_the_file_to_start_with_runs_and_gets_no_points_and_shows_no_answer(name):
    exercise = EXERCISES[name]
    text = exercise.start(0)
    ast.parse(text)
    outcomes = graded(text)
    assert all(outcome.message for outcome in outcomes)
    if name != "bug-hunt":  # where one wrong line leaves some gradients right
        assert sum(outcome.points for outcome in outcomes) == 0
    solved = [line for line in exercise.solution(0).splitlines() if re.search(r"=.*  # ", line)]
    assert "TODO" in text and solved and set(solved) - set(text.splitlines())


SLOW = [mutation for mutation in MUTATIONS if mutation[0] == "through-time"][3:]  # of the loops, three are quick


@pytest.mark.parametrize(
    "name, right, wrong, points_lost",
    [pytest.param(*each, marks=[pytest.mark.wide] * (each in SLOW)) for each in MUTATIONS],
    ids=lambda value: str(value)[:30],
)
def test_a_mutation_of_a_solution_loses_exactly_its_points(name, right, wrong, points_lost, no_clock):
    text = EXERCISES[name].solution(0)
    assert right in text, "the mutation does not apply"
    outcomes = graded(text.replace(right, wrong, 1))
    assert lost(outcomes) == set(points_lost.split(", "))
    assert all(outcome.message for outcome in outcomes if outcome.points < outcome.of)


def test_every_value_of_every_exercise_is_lost_by_some_mutation():
    for name, exercise in EXERCISES.items():
        values = {outcome.name for outcome in graded(exercise.start(0))}
        assert values <= {part for n, _, _, names in MUTATIONS if n == name for part in names.split(", ")}, name


@pytest.mark.parametrize("k", range(len(bug_hunt.BUGS)))
def test_every_bug_of_the_hunt_is_one_line_that_makes_a_gradient_wrong(k):
    exercise, bug = EXERCISES["bug-hunt"], bug_hunt.BUGS[k]
    planted, solution = exercise.start(k).splitlines(), exercise.solution(k).splitlines()
    different = [line for line in planted if "# line" in line and line not in solution]
    assert len(different) == 1 and different[0].endswith(f"# line {bug.line}")
    found = "\n".join(planted).replace("BUG_LINE = TODO", f"BUG_LINE = {bug.line}")
    assert "BUG_LINE" not in lost(graded(found, k)) and lost(graded(found, k))
    assert len({bug.line for bug in bug_hunt.BUGS}) >= 10


def test_the_fused_solution_is_faster_than_the_plain_loop():
    outcomes = graded(EXERCISES["fused-lstm"].solution(0))
    assert outcomes[-1].name == "speed" and outcomes[-1].points == 2, outcomes[-1].message
    slow = (
        EXERCISES["fused-lstm"]
        .solution(0)
        .replace("    for t in", "    for _ in range(40): np.stack(list(f))\n    for t in")
    )
    assert lost(graded(slow)) == {"speed"}


@pytest.mark.parametrize("name", list(EXERCISES))
def test_an_exercise_has_hints_and_a_time(name):
    assert len(EXERCISES[name].hints) >= 3 and EXERCISES[name].minutes > 0


# ---- in a process, and by the command ----


def run(capsys, *argv):
    try:
        status = command.main([str(word) for word in argv])
    except SystemExit as end:
        status = end.code
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_a_file_is_graded_in_a_process_with_what_it_prints_ignored(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(EXERCISES["lstm-backward"].solution(0) + "\nprint('hello')\n", encoding="utf-8")
    report = grade_file(path)
    assert report.points == report.of == 10 and report.error is None and report.first_wrong is None


@pytest.mark.wide
@pytest.mark.parametrize(
    "code, word",
    [
        ("while True: pass", "stopped after 1 seconds"),
        ("import os; os._exit(3)", "the process ended"),
        ("1 / 0", "ZeroDivisionError"),
        ("raise SystemExit(0)", "SystemExit"),
        ("def backward(:", "SyntaxError"),
    ],
)
def test_a_file_that_does_not_end_or_fails_gets_no_points_and_one_line_says_why(tmp_path, code, word):
    path = tmp_path / "mine.py"
    path.write_text(f"# npseq exercise: lstm-backward, seed 0\n{code}\n", encoding="utf-8")
    report = grade_file(path, seconds=1 if "while" in code else 20)
    assert report.points == 0 and report.of == 10 and word in report.error and "\n" not in report.error


def test_an_error_inside_a_function_names_its_line(tmp_path):
    text = EXERCISES["gru-backward"].solution(0).replace("    dn = dh * z", "    dn = dh @ z")
    number = next(k for k, line in enumerate(text.splitlines(), 1) if "dh @ z" in line)
    outcomes = graded(text)
    assert all(outcome.message.startswith(f"line {number}: ValueError") for outcome in outcomes)


@pytest.mark.wide
def test_the_command_from_start_to_the_grade(tmp_path, capsys):
    status, out, _ = run(capsys, "start", "lstm-backward", "--seed", "3", "--dir", tmp_path)
    path = tmp_path / "lstm_backward.py"
    assert status == 0 and path.name in out and "seed 3" in path.read_text(encoding="utf-8")
    status, out, _ = run(capsys, "grade", path)
    assert status == 1 and "0 of 10" in out and "do" in out and "(16)" in out
    status, solution, _ = run(capsys, "solution", "lstm-backward", "--seed", "3")
    assert status == 0
    path.write_text(solution.replace("do = dh * np.tanh(c)", "do = dh * c"), encoding="utf-8")
    status, out, _ = run(capsys, "grade", path)
    assert status == 1 and "9 of 10" in out and re.search(r"first wrong: do, equation \(16\)", out)
    assert "np.tanh" not in out  # the answer is not shown
    path.write_text(solution, encoding="utf-8")
    status, out, _ = run(capsys, "grade", path)
    assert status == 0 and "10 of 10" in out


def test_start_does_not_overwrite_what_somebody_has_written(tmp_path, capsys):
    run(capsys, "start", "rnn-step", "--dir", tmp_path)
    (tmp_path / "rnn_step.py").write_text("mine", encoding="utf-8")
    status, _, error = run(capsys, "start", "rnn-step", "--dir", tmp_path)
    assert status == 2 and error.count("\n") == 1 and "exists" in error
    assert (tmp_path / "rnn_step.py").read_text(encoding="utf-8") == "mine"


@pytest.mark.wide
def test_a_class_is_graded_at_once_as_json(tmp_path, capsys):
    for name, exercise in (("a", "rnn-step"), ("b", "gru-backward")):
        (tmp_path / f"{name}.py").write_text(EXERCISES[exercise].solution(0), encoding="utf-8")
    (tmp_path / "c.py").write_text(EXERCISES["rnn-backward"].start(0), encoding="utf-8")
    status, out, _ = run(capsys, "grade", *sorted(tmp_path.iterdir()), "--json")
    reports = json.loads(out)
    assert status == 1 and [report["points"] for report in reports] == [9, 8, 0]
    assert reports[2]["first_wrong"] == "da" and reports[2]["values"][0]["equation"] == 10


def test_list_and_hint(capsys):
    status, out, _ = run(capsys, "list")
    assert status == 0 and all(name in out for name in EXERCISES)
    status, first, _ = run(capsys, "hint", "truncated")
    status, third, _ = run(capsys, "hint", "truncated", "--number", "3")
    assert status == 0 and "1 of 4" in first and "3 of 4" in third and first != third


@pytest.mark.parametrize(
    "argv, word",
    [
        (["start", "lstm-backwards"], "lstm-backward,"),
        (["grade", "absent.py"], "absent.py cannot be read"),
        (["grade"], "FILE.py"),
        (["hint", "rnn-step", "--number", "9"], "3 hints"),
        (["solve", "rnn-step"], "solve"),
        ([], "list"),
    ],
)
def test_wrong_usage_is_one_line(argv, word, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    status, _, error = run(capsys, *argv)
    assert status == 2 and error.count("\n") == 1 and word in error


def test_a_file_that_is_not_an_exercise_is_refused(tmp_path):
    (tmp_path / "x.py").write_text("print(1)\n", encoding="utf-8")
    with pytest.raises(ExerciseError, match="npseq exercise: lstm-backward, seed 0"):
        grade_file(tmp_path / "x.py")


# ---- fair: what a wrong file earns ----


def changed(name, *pairs):
    text = EXERCISES[name].solution(0)
    for right, wrong in pairs:
        assert right in text
        text = text.replace(right, wrong)
    return text


def share(outcomes):
    return sum(o.points for o in outcomes) / sum(o.of for o in outcomes)


@pytest.mark.wide
def test_what_an_exercise_is_about_is_worth_most_of_its_points():
    assert share(graded(changed("through-time", ("valid[t] * dys[t] + carried", "valid[t] * dys[t]")))) < 0.5
    assert share(graded(changed("through-time", ("carried = W_h.T @ da[t] +", "carried = 0 *")))) < 0.5
    assert share(graded(changed("truncated", ("(t + 1) % chunk == 0", "False")))) < 0.5
    assert share(graded(changed("truncated", ("dys[t] + carried", "dys[t]")))) < 0.5
    assert all(share(graded(EXERCISES["bug-hunt"].start(seed), seed)) < 0.5 for seed in range(len(bug_hunt.BUGS)))


@pytest.mark.parametrize(
    "value",
    [
        "np.inf",
        "-np.inf * dh",
        pytest.param("1e-312", marks=pytest.mark.wide),
        "1e-312 * dh",
        "1e300 * dh",
        "np.nan",
        "'3'",
        "1j",
    ],
)
def test_numbers_from_which_nothing_follows_earn_nothing(value):
    """Neither for themselves nor for what is computed from them."""
    text = re.sub(r"(?m)^    (d\w+) = .*  # \(\d\d\)$", rf"    \1 = {value}", EXERCISES["lstm-backward"].solution(0))
    assert share(graded(text)) == 0


@pytest.mark.parametrize("name", list(EXERCISES))
def test_what_is_not_written_yet_is_said_to_be_and_not_measured(name):
    for outcome in graded(EXERCISES[name].start(0)):
        assert outcome.points or not re.search(r"e\+\d", outcome.message), outcome


def test_an_exception_costs_what_depends_on_it():
    text = changed("gru-backward", ("dn = dh * z", "dn = dh @ z @ z"))
    number = next(k for k, line in enumerate(text.splitlines(), 1) if "dh @ z" in line)
    module = running.module_of(text, "submission.py")
    outcomes = {outcome.name: outcome for outcome in EXERCISES["gru-backward"].grade(module, 0)}
    assert lost(outcomes.values()) == {"dn", "da_xn", "dr", "da_hn", "da_r"}
    assert outcomes["dn"].message.startswith(f"line {number}: ValueError")
    assert outcomes["da_xn"].message.startswith(f"needs what failed: line {number}")
    loop = running.module_of(changed("through-time", ("db = da.sum(axis=(0, 2))", "db = da.total(0)")), "submission.py")
    assert lost(EXERCISES["through-time"].grade(loop, 0)) == {"db"}


def test_a_right_value_of_another_shape_is_told_so():
    outcome = next(o for o in graded(changed("rnn-backward", (", keepdims=True", ""))) if o.name == "db")
    assert outcome.kind == "shape" and "(3, 1) is expected, (3,) given" in outcome.message


def test_where_nothing_fits_the_steps_rows_and_columns_are_named():
    text = changed("through-time", ("    dW_x = sum", "    da[2, 1] += 0.1 * dh[2, 1]\n    dW_x = sum"))
    message = next(o.message for o in graded(text) if o.name == "da")
    assert message.startswith("wrong in step 2 only; unit 1 only")


@pytest.mark.parametrize("name", list(EXERCISES))
def test_a_seed_changes_the_numbers_of_every_exercise(name):
    one, two = (str(EXERCISES[name].calls(seed)) + EXERCISES[name].start(seed) for seed in (0, 1))
    assert one != two.replace("seed 1", "seed 0")


@pytest.mark.parametrize("name", list(EXERCISES))
def test_every_value_has_a_hint_of_its_own(name):
    exercise = EXERCISES[name]
    about = [value for names in exercise.about for value in names.split()]
    values = {outcome.name.split(" with ")[0] for outcome in graded(exercise.start(0))}
    assert sorted(about) == sorted(values) and len(exercise.about) <= len(exercise.hints)


def files(tmp_path, **texts):
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    return [tmp_path / f"{name}.py" for name in texts]


HEAD = "# npseq exercise: lstm-backward, seed 0\n"


@pytest.mark.wide
@pytest.mark.parametrize(
    "result",
    [
        '[[[["array", [1], [1e999]], null, {}]], null]',
        '[[[["array", [1], [' + "9" * 400 + "]], null, {}]], null]",
        '[[[["array", [0], []], null, {}]], null]',
        '[[[["tuple"], null, {}]], null]',
        '[[[{"do": ["strange", 3]}, null, {}]], null]',
        '[[[{"do": ["array", [3, 2], [1, 2, 3, 4, 5, "x"]]}, null, {}]], null]',
        '[[[null, 7, {"do": 8}]], 9]',
        "{}",
        "",
    ],
)
@pytest.mark.parametrize("name", ["lstm-backward", "bug-hunt", "rnn-step"])
def test_a_result_that_nobody_would_write_is_one_result_without_points(name, result, tmp_path):
    code = f"import sys, os\nopen(sys.argv[2], 'w').write({result!r})\nos._exit(0)\n"
    (path,) = files(tmp_path, a=f"# npseq exercise: {name}, seed 0\n{code}")
    report = grade_file(path)
    assert report.points == 0 and report.of > 5 and all(isinstance(o.message, str) for o in report.outcomes)
    assert report.error or all("\n" not in outcome.message for outcome in report.outcomes)


@pytest.mark.wide
def test_points_are_counted_by_the_parent_and_every_file_has_one_result(tmp_path, capsys):
    forged = HEAD + "import sys, os\nopen(sys.argv[2], 'w').write('[[[\"do\", 1000, 10, 16]], null]')\nos._exit(0)\n"
    endless = HEAD + "import sys, os\nopen(sys.argv[2], 'w').write('[' * 100000)\nos._exit(0)\n"
    solution = EXERCISES["lstm-backward"].solution(0)
    paths = files(tmp_path, a=forged, b=endless, c="print(1)\n", d="# npseq exercise: nothing, seed 0\n", e=solution)
    (tmp_path / "f.py").write_bytes(b"\xff\xfe")
    status, out, _ = run(capsys, "grade", *paths, tmp_path / "f.py", tmp_path / "g.py", "--json")
    reports = json.loads(out)
    assert status == 1 and [report["points"] for report in reports] == [0, 0, 0, 0, 10, 0, 0]
    assert [bool(report["error"]) for report in reports] == [True, True, True, True, False, True, True]


@pytest.mark.wide
def test_what_a_file_prints_is_shown_cut_and_escaped(tmp_path, capsys):
    bad = "raise ValueError('\\x1b[2J\\u202e')\n"
    paths = files(tmp_path, a=HEAD + "print('\\x1b[31mred')\nwhile True: print('x' * 10000)\n", b=HEAD + bad)
    status, out, _ = run(capsys, "grade", *paths, "--timeout", "2")
    assert status == 1 and r"prints: \x1b[31mred" in out and "stopped after 2 seconds" in out
    assert "\x1b" not in out and "\u202e" not in out and len(out) < 6000


@pytest.mark.wide
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes that fork")
def test_children_of_a_file_end_with_it(tmp_path):
    mark = tmp_path / "still there"
    child = f"import os, time\nif os.fork() == 0:\n    time.sleep(4)\n    open({str(mark)!r}, 'w').close()\n    os._exit(0)\n"
    (path,) = files(tmp_path, a=EXERCISES["lstm-backward"].solution(0) + child)
    start = time.monotonic()
    assert grade_file(path).points == 10 and time.monotonic() - start < 4
    time.sleep(4)
    assert not mark.exists()


def test_an_exception_outside_of_a_function_costs_its_value_too():
    text = EXERCISES["rnn-step"].solution(0).replace("da = dh_1 *", "da = nothing *")
    module = running.load(text, "submission.py")
    outcomes = {outcome.name: outcome for outcome in EXERCISES["rnn-step"].grade(module, 0)}
    assert lost(outcomes.values()) == {"da", "dW_x", "dW_h", "db_x", "dx_0", "dh_0"}
    assert "NameError" in outcomes["da"].message and outcomes["dW_h"].message.startswith("needs what failed")
    with pytest.raises(ZeroDivisionError):
        running.load("1 / 0\n", "submission.py")


@pytest.mark.parametrize("name", ["through-time", "truncated"])
def test_in_a_loop_nothing_follows_from_next_to_nothing(name):
    text = re.sub(r"(?m)^( +)(dh|da)\[t\] = .*$", r"\1\2[t] = 1e-312", EXERCISES[name].solution(0))
    text = re.sub(r"(?m)^    (d[Wbx]\w*|dh_0) = .*$", r"    \1 = 1e-312", text)
    assert share(graded(text)) == 0


@pytest.mark.parametrize(
    "name, right, wrong, value, word",
    [
        ("through-time", "in reversed(range(T))", "in range(T)", "dh", "from the first step"),
        ("truncated", "(t + 1) % chunk == 0", "(T - t) % chunk == 0", "dh with chunks of 3", "from the end"),
        ("lstm-backward", "(1 - g**2)", "(1 - g) ** 2", "da_g", "the square is of g alone"),
        ("rnn-backward", "(1 - h**2)", "(1 - 2 * h)", "da", "2 * h in place of h**2"),
        ("layer-norm", ") / std", ") * std", "da", "* in place of /"),
        ("rtrl", "* (immediate[t] + W_h @ P[t])", "* immediate[t] + W_h @ P[t]", "P", "parentheses"),
    ],
)
def test_more_mistakes_are_named(name, right, wrong, value, word):
    outcome = next(o for o in graded(changed(name, (right, wrong))) if o.name == value)
    assert word in outcome.message, outcome.message


@pytest.mark.wide
def test_what_a_file_leaves_running_is_not_waited_for_and_a_pipe_is_no_file(tmp_path, capsys):
    thread = "import threading, time\nthreading.Thread(target=time.sleep, args=(30,)).start()\n"
    (path,) = files(tmp_path, a=EXERCISES["lstm-backward"].solution(0) + thread)
    start = time.monotonic()
    assert grade_file(path).points == 10 and time.monotonic() - start < 10
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        status, _, error = run(capsys, "grade", tmp_path / "pipe")
        assert status == 2 and "a file expected" in error and error.count("\n") == 1
