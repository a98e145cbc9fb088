"""examples/own_cell.py: a cell that npseq does not have needs under 30 lines, and everything else takes it."""

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from npseq import gradcheck, load
from npseq.cells import LSTMCell
from npseq.layers import OptimizedLSTM
from npseq.nn.registry import MODELS, register

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def own_cell():
    path = list(sys.path)
    sys.path.insert(0, str(EXAMPLES))
    import own_cell

    yield own_cell
    sys.path[:] = path
    MODELS.pop("coupled_lstm", None)


def test_the_cell_and_its_layer_are_under_30_lines(own_cell):
    source = inspect.getsource(own_cell.CoupledCell) + inspect.getsource(own_cell.CoupledLSTM)
    assert len(source.strip().splitlines()) < 30


@pytest.mark.parametrize("name", ["peephole", "layer_norm", "reset_before", "coupled_gates", "own_cell"])
def test_every_example_of_a_cell_has_at_most_40_lines_and_writes_into_no_table(name):
    source = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 40 and "MODELS[" not in source


@pytest.mark.wide
def test_the_cell_passes_the_checker_alone_and_in_a_layer(own_cell):
    gradcheck.check_cell(own_cell.CoupledCell).assert_ok()
    layer = own_cell.CoupledLSTM(2, 3, num_layers=2, bidirectional=True, recurrent_dropout=0.3, checkpoint_every="sqrt")
    gradcheck.check_layer(layer, lengths=[7, 0, 3], training=True).assert_ok()


def test_it_is_the_lstm_whose_input_gate_is_one_minus_its_forget_gate(own_cell):
    rng = np.random.default_rng(0)
    a_f, a_g, a_o = rng.standard_normal((3, 4, 2))
    state = tuple(rng.standard_normal((2, 4, 2)))
    zero = np.zeros((1, 1))
    own, _ = own_cell.CoupledCell.forward(np.concatenate([a_f, a_g, a_o]), zero, state)
    lstm, _ = LSTMCell.forward(np.concatenate([-a_f, a_f, a_g, a_o]), zero, state)  # σ(−a) = 1 − σ(a)
    np.testing.assert_allclose(own, lstm, rtol=1e-14)


def test_a_gradient_left_out_of_it_is_caught(own_cell):
    class Wrong(own_cell.CoupledCell):
        @staticmethod
        def backward(d_state, cache):
            f, g, o, c_prev, tanh_c = cache
            return own_cell.CoupledCell.backward(d_state, (f, 0 * g, o, c_prev, tanh_c))  # df without the input's part

    result = gradcheck.check_cell(Wrong)
    assert not result.ok and result.worst.error > 1e-3


def test_the_optimized_schedule_takes_it_too(own_cell):
    class Optimized(own_cell.CoupledLSTM):
        through_time = OptimizedLSTM.through_time

    x = np.random.default_rng(0).standard_normal((5, 2, 3))
    plain, optimized = (kind(3, 4, dtype=np.float64, rng=0)(x)[0] for kind in (own_cell.CoupledLSTM, Optimized))
    assert np.array_equal(plain, optimized)


@pytest.mark.wide
def test_the_command_trains_it_shows_it_in_the_table_and_keeps_its_weights(own_cell, tmp_path):
    small = ["--epochs", "1", "--hidden-size", "4", "--window", "4", "--batch-size", "256"]
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "own_cell.py"), *small],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^(\S.*?) {2,}(\d+\.\d) +\d+\.\d", done.stdout, re.MULTILINE)
    assert {"coupled_lstm", "persistence"} <= {name for name, _ in rows} and all(float(rmse) > 0 for _, rmse in rows)
    register("coupled_lstm", own_cell.CoupledLSTM)
    assert isinstance(load(tmp_path / "rnn_coupled_lstm_best.pth").rnn, own_cell.CoupledLSTM)
