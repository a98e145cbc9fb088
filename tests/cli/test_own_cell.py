"""``--cell FILE.py[:Class]``: a cell from a file is trained, evaluated, used and checked from the command line."""

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import npseq
from npseq import train
from npseq.cli import commands, own_cell
from npseq.cli import gradcheck as gradcheck_command
from npseq.nn.registry import MODELS, OWN

EXAMPLES = Path(__file__).parents[2] / "examples"
PEEPHOLE = str(EXAMPLES / "peephole.py")
SMALL = "--epochs 1 --hidden-size 3 --window 3 --lags none --base none --batch-size 128 --quiet".split()


@pytest.fixture(autouse=True)
def names():
    """Names that a command has registered are taken away again."""
    yield
    for name in set(MODELS) - OWN:
        del MODELS[name]


def forget():
    for name in set(MODELS) - OWN:
        del MODELS[name]


def run(command, *argv):
    """The exit status of a command, returned or raised."""
    try:
        return commands.main([command, *map(str, argv)])
    except SystemExit as end:
        return end.code


@pytest.fixture
def trained(small_csv, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert train.main(["--cell", PEEPHOLE, "--data", small_csv, *SMALL]) == 0
    forget()
    return tmp_path / "rnn_peephole_cell_best.pth"


@pytest.mark.wide
def test_a_cell_from_a_file_trains_and_its_file_names_the_cell(trained, small_csv, capsys):
    file = npseq.checkpoint.load(trained)
    assert {"rnn.p_i_l0", "rnn.p_f_l0", "rnn.p_o_l0"} <= set(file.state_dict)
    assert file.metadata["config"]["cell"] == "PeepholeCell" and file.metadata["config"]["kind"] == "peephole_cell"
    assert run("evaluate", trained, "--cell", PEEPHOLE, "--data", small_csv) == 0
    assert "peephole_cell" in capsys.readouterr().out
    assert run("predict", trained, "--cell", f"{PEEPHOLE}:PeepholeCell", "--data", small_csv, "--output", "o.csv") == 0
    assert len((trained.parent / "o.csv").read_text().splitlines()) > 100


@pytest.mark.wide
def test_flow_and_sample_take_a_cell_too(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run("flow", "--models", "rnn", "--cell", PEEPHOLE, "--epochs", 1, "--length", 8, "--hidden-size", 3) == 0
    assert "peephole_cell" in capsys.readouterr().out
    Path("t.txt").write_text("to be or not to be, that is the question. " * 60)
    assert train.main(["--cell", PEEPHOLE, "--data", "t.txt", "--epochs", "1", "--hidden-size", "3", "--quiet"]) == 0
    forget()
    assert run("sample", "rnn_peephole_cell_best.pth", "--length", 5) == 2
    assert "give --cell FILE.py:PeepholeCell" in capsys.readouterr().err
    assert run("sample", "rnn_peephole_cell_best.pth", "--cell", PEEPHOLE, "--length", 5) == 0


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_without_the_cell_its_file_is_refused_and_the_cell_it_wants_is_said(command, trained, small_csv, capsys):
    extra = ["--output", "o.csv"] if command == "predict" else []
    assert run(command, trained, "--data", small_csv, *extra) == 2
    error = capsys.readouterr().err
    assert (
        error.count("\n") == 1
        and "the user-defined cell PeepholeCell" in error
        and "--cell FILE.py:PeepholeCell" in error
    )
    assert run(command, trained, "--cell", EXAMPLES / "layer_norm.py", "--data", small_csv, *extra) == 2
    forget()
    assert "PeepholeCell" in capsys.readouterr().err
    assert not (trained.parent / "o.csv").exists()


def test_a_cell_given_for_a_file_of_another_model_is_refused(small_csv, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert train.main(["--model", "rnn", "--data", small_csv, *SMALL]) == 0
    assert run("evaluate", "rnn_rnn_best.pth", "--cell", PEEPHOLE, "--data", small_csv) == 2
    assert "holds the model rnn, --cell gives peephole_cell: leave out --cell" in capsys.readouterr().err


@pytest.mark.wide
def test_a_run_of_a_cell_is_resumed_with_the_cell(small_csv, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    constant = ["--schedule", "constant"]
    assert train.main(["--cell", PEEPHOLE, "--data", small_csv, *SMALL, *constant, "--checkpoint"]) == 0
    forget()
    with pytest.raises(SystemExit) as end:
        train.main(["--resume", "rnn_peephole_cell_last.pth", "--epochs", "2"])
    assert end.value.code == 2 and "--cell FILE.py" in capsys.readouterr().err
    resumed = ["--cell", PEEPHOLE, "--resume", "rnn_peephole_cell_last.pth", "--epochs", "2", "--report", "r.json"]
    assert train.main([*resumed, "--quiet"]) == 0
    assert json.loads(Path("r.json").read_text())["epochs_run"] == 2
    forget()
    whole = ["--cell", PEEPHOLE, "--data", small_csv, *SMALL, *constant, "--out-dir", "whole"]
    assert train.main([*whole, "--epochs", "2", "--checkpoint"]) == 0
    np.testing.assert_array_equal(
        *(npseq.load(f"{folder}/rnn_peephole_cell_best.pth").theta for folder in (".", "whole"))
    )


CELL = (EXAMPLES / "coupled_gates.py").read_text(encoding="utf-8")
FILES = {
    "nothing.py": ("x = 1\n", "nothing.py has no cell: a class with gates, state, forward and backward expected"),
    "two.py": (CELL + "\n\nclass OtherCell(CoupledCell):\n    pass\n", "the cells CoupledCell, OtherCell: say which, "),
    "fails.py": ("import numpy\n1 / 0\n", "fails.py cannot be run: ZeroDivisionError: division by zero"),
    "short.py": (CELL.replace("(f, g, o, c_prev, tanh_c)\n", "(f, g, o, c_prev)\n", 1), "CoupledCell.backward fails"),
    "gates.py": (
        CELL.replace("gates, state = ", "_, state = "),
        "CoupledCell has no gates; a class with gates, state, ",
    ),
    "arguments.py": (
        CELL.replace("(d_state, cache)", "(d_state)"),
        "CoupledCell.backward takes (d_state); (d_state, c",
    ),
    "named.py": (CELL.replace("CoupledCell", "LSTM"), "'lstm' is a name of npseq's own layers"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_without_a_working_cell_is_refused_in_one_line(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text, words = FILES[name]
    Path(name).write_text(text, encoding="utf-8")
    assert run("train", "--cell", name, *SMALL) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1 and "Traceback" not in error
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "__pycache__") == [name]


@pytest.mark.parametrize(
    "argv, words",
    [
        (["--cell", "none.py"], "none.py: no such file"),
        (["--cell", f"{PEEPHOLE}:Nothing"], "has no cell Nothing"),
        (["--cell", PEEPHOLE, "--model", "gru"], "--model gru and --cell"),
    ],
)
def test_wrong_usage_is_refused_in_one_line(argv, words, capsys):
    assert run("train", *argv, *SMALL) == 2
    assert words in capsys.readouterr().err


def test_a_file_is_not_overwritten_by_the_report(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copy(PEEPHOLE, "cell.py")
    for text in ("cell.py", "cell.py:PeepholeCell"):
        assert run("train", "--cell", text, "--report", "cell.py", *SMALL) == 2
        assert "the same file" in capsys.readouterr().err
    assert Path("cell.py").read_text() == Path(PEEPHOLE).read_text()


def test_a_layer_of_ones_own_may_be_given_too(tmp_path, monkeypatch, small_csv):
    monkeypatch.chdir(tmp_path)
    layer = "\n\nclass CoupledLSTM(Recurrent):\n    cell = CoupledCell\n"
    Path("mine.py").write_text("from npseq.layers import Recurrent\n" + CELL + layer, encoding="utf-8")
    assert train.main(["--cell", "mine.py:CoupledLSTM", "--data", small_csv, *SMALL]) == 0
    assert Path("rnn_coupled_lstm_best.pth").exists()


@pytest.mark.parametrize(
    "name, snake",
    [("PeepholeCell", "peephole_cell"), ("LayerNormLSTM", "layer_norm_lstm"), ("MyLSTM2Cell", "my_lstm2_cell")],
)
def test_the_name_is_the_class_in_snake_case(name, snake):
    assert own_cell.snake_case(name) == snake


@pytest.mark.wide
def test_the_checker_runs_a_cell_with_every_option_of_layers_and_in_models(capsys):
    assert run("gradcheck", "--cell", PEEPHOLE) == 0
    out = capsys.readouterr().out
    for words in ("recurrent_dropout=0.3", "checkpoint_every=3", "learn_initial_state=True", "model of peephole_cell"):
        assert words in out


@pytest.mark.wide
def test_the_checker_takes_a_cell_from_a_file(tmp_path, capsys):
    small = ["--layers", "1", "--directions", "1", "--lengths", "mixed"]
    assert gradcheck_command.main(["--cell", PEEPHOLE, *small]) == 0
    out = capsys.readouterr().out
    assert "peephole_cell alone" in out and "\n2 configurations, 0 wrong" in out
    wrong = tmp_path / "wrong.py"
    wrong.write_text(Path(PEEPHOLE).read_text(encoding="utf-8").replace("dc * i * (1", "dc * (1"), encoding="utf-8")
    forget()
    assert gradcheck_command.main(["--cell", str(wrong), *small]) == 1
    out = capsys.readouterr().out
    assert "PeepholeCell.backward: da_g (gate g) is wrong, wrong.py:" in out


@pytest.mark.wide
def test_nothing_is_written_beside_a_cell_and_an_edit_counts_at_once(tmp_path, monkeypatch, capsys):
    """Python's compiled file would be taken for the edited one, if it has the same size and is of the same second."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    file = tmp_path / "cell.py"
    source = (EXAMPLES / "coupled_gates.py").read_text(encoding="utf-8")
    right, wrong = "dc * (c_prev - g)", "dc * (c_prev + g)"
    assert right in source
    few = ["--layers", "1", "--directions", "1", "--lengths", "equal", "--quiet"]
    for text, status in (source, 0), (source.replace(right, wrong, 1), 1), (source, 0):
        file.write_text(text, encoding="utf-8")
        os.utime(file, (1.7e9, 1.7e9))
        assert run("gradcheck", "--cell", file, *few) == status
        forget()
    assert [path.name for path in tmp_path.iterdir()] == ["cell.py"] and sys.dont_write_bytecode is False
