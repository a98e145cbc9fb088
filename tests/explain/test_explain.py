"""``npseq explain``: what it prints is computed, agrees with bptt.py and the complex step, and can be seen to fail."""

import re

import numpy as np
import pytest
from derivation import equations as equations_of_the_derivation

from npseq.cells import sigmoid
from npseq.cli import commands
from npseq.cli import explain as command
from npseq.explain import equations

MODELS = list(equations.CELLS)
ROW = re.compile(r"=\s+(-?\d+\.\d{4})(?:   complex step\s+(-?\d+\.\d{4}))?$")


def run(capsys, *argv):
    status = command.main(list(argv))
    return status, capsys.readouterr().out


@pytest.mark.parametrize("model", MODELS)
def test_every_gradient_shown_has_the_complex_step_beside_it_and_equals_it_to_the_digits_shown(model, capsys):
    status, out = run(capsys, "--model", model)
    backward = out[out.index("backward") :]
    pairs = [match.groups() for match in map(ROW.search, backward.splitlines()) if match]
    assert status == 0 and len(pairs) > 15
    for value, complex_step in pairs:
        assert complex_step is not None and abs(float(value) - float(complex_step)) < 2e-4


@pytest.mark.parametrize("model", MODELS)
def test_the_numbers_put_in_give_the_value_shown(model, capsys):
    _, out = run(capsys, "--model", model)
    joined = re.sub(r"\n {10}", " ", out)  # long sums go over several lines
    rows = re.findall(r"\] = (\S.*?) +=\s+(-?\d\.\d{4})", joined)
    assert len(rows) > 30
    for numbers, value in rows:
        formula = numbers.replace("·", "*").replace("²", "**2").replace("−", "-")
        assert abs(eval(formula, {"tanh": np.tanh, "σ": sigmoid}) - float(value)) < 1e-3


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("hidden_size, steps", [(1, 1), (2, 2), (5, 3)])
def test_no_line_is_wider_than_100_columns(model, hidden_size, steps, capsys):
    status, out = run(capsys, "--model", model, "--hidden-size", str(hidden_size), "--steps", str(steps))
    assert status == 0 and max(map(len, out.splitlines())) <= 100


def test_the_same_command_prints_the_same_twice(capsys):
    assert run(capsys, "--model", "gru") == run(capsys, "--model", "gru")


@pytest.mark.parametrize("name, count", [("dW_h", 16), ("dW_hf", 4), ("dc", 4), ("dc'", 4), ("da", 16)])
def test_only_follows_one_tensor(name, count, capsys):
    _, out = run(capsys, "--model", "lstm", "--only", name)
    rows = [line for line in out.splitlines() if ROW.search(line)]
    assert len(rows) == count and all(line.strip().startswith(name) for line in rows)


def test_a_name_that_does_not_exist_is_refused_with_the_names_that_do(capsys):
    with pytest.raises(SystemExit) as stop:
        command.main(["--model", "rnn", "--only", "dW_q"])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and error.count("\n") == 1 and "dW_q" in error and "dW_h" in error


@pytest.mark.parametrize(
    "model, name, wrong",
    [
        ("rnn", "da", "dh * (1 - h)"),
        ("lstm", "df", "dc * c"),
        ("lstm", "dc", "dh * o * (1 - tanh(c)**2)"),
        ("gru", "da_hn", "da_xn * z"),
        ("gru", "dh_direct", "dh * z"),
    ],
)
def test_a_wrong_equation_is_reported_and_gives_status_1(model, name, wrong, monkeypatch, capsys):
    table = [(number, n, wrong if n == name else formula) for number, n, formula in equations.BACKWARD[model]]
    monkeypatch.setitem(equations.BACKWARD, model, table)
    status, out = run(capsys, "--model", model)
    assert status == 1 and "WRONG" in out.splitlines()[-1]


@pytest.mark.parametrize("model", MODELS)
def test_a_cell_that_computes_something_else_is_reported(model, monkeypatch, capsys):
    class Other(equations.CELLS[model]):
        @staticmethod
        def backward(d_state, cache, own=equations.CELLS[model].backward):
            da_x, da_h, d_before = own(d_state, cache)
            return 2 * da_x, da_h, d_before

    monkeypatch.setitem(equations.CELLS, model, Other)
    status, out = run(capsys, "--model", model)
    assert status == 1 and "of bptt.py" in out.splitlines()[-1]


def test_every_equation_it_names_is_in_the_derivation(capsys):
    shown = set()
    for model in MODELS:
        shown |= {int(number) for number in re.findall(r"^\((\d+)\)", run(capsys, "--model", model)[1], re.MULTILINE)}
    assert len(shown) > 20 and shown <= set(equations_of_the_derivation())


def test_npseq_explain_is_a_command(capsys):
    assert commands.main(["explain", "--model", "rnn", "--only", "dW_h"]) == 0
    assert "(32) dW_h" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--hidden-size", "--steps"])
def test_more_than_anybody_reads_is_refused_in_one_line(option, capsys):
    with pytest.raises(SystemExit) as end:
        command.main([option, "17"])
    message = capsys.readouterr().err
    assert end.value.code == 2 and message.count("\n") == 1 and option in message and "16" in message
