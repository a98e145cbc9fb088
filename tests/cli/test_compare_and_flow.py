"""``npseq compare`` and ``npseq flow``, and the pictures: what is shown is what was computed."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from running import ended, run, status

import npseq
from npseq.cli import compare, plots, predict, tables
from npseq.cli import gradient_flow as command
from npseq.explain.gradient_flow import gradient_flow, measure
from npseq.gradcheck import relative_error

SMALL = ["--epochs", "2", "--hidden-size", "4"]


@pytest.mark.wide
def test_compare_shows_each_models_own_training(tmp_path, small_csv, capsys):
    out, report = tmp_path / "all.json", tmp_path / "r.json"
    small = f"--data {small_csv} --epochs 2 --hidden-size 4"
    assert status(f"--model rnn --seed 1 --quiet --report {report} --out-dir {tmp_path} {small}") == 0
    for jobs in 1, 2:
        capsys.readouterr()
        assert run(f"compare --models rnn,optimized-gru --seeds 2 --output {out} --jobs {jobs} {small}") == 0
        shown, reports = capsys.readouterr().out, json.loads(out.read_text())
        assert json.loads(report.read_text())["test"] == reports["rnn"][1]["test"]
    line = next(line for line in shown.splitlines() if line.startswith("| **rnn**"))
    assert f"{np.mean([r['test']['rmse'] for r in reports['rnn']]):.1f}" in line and "persistence" in shown


@pytest.mark.wide
@pytest.mark.skipif(os.name != "posix", reason="sends a signal to a group of processes")
def test_an_interruption_ends_every_training_at_once_with_one_line(tmp_path):
    run = subprocess.Popen(
        [sys.executable, "-m", "npseq", "compare", "--models", "lstm,gru", "--jobs", "2", "--epochs", "100"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background commands ignore it
        env={**os.environ, "PYTHONPATH": str(Path(npseq.__file__).parents[1]), "TMPDIR": str(tmp_path)},
    )
    try:
        deadline = time.monotonic() + 60
        while not any(tmp_path.rglob("*_best.pth")) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(run.pid, signal.SIGINT)
        sent = time.perf_counter()
        out, errors = run.communicate(timeout=60)
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
    assert run.returncode == 130 and time.perf_counter() - sent < 5
    assert out == "" and errors.splitlines()[-1] == "npseq compare: interrupted" and "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


def test_epochs_to_level_counts_to_a_level_that_every_model_reaches():
    def report(losses):
        return {
            "test": {"mse": losses[-1]},
            "baselines": {},
            "parameters": 1,
            "seconds": 1.0,
            "history": [{"epoch": k + 1, "validation_loss": loss} for k, loss in enumerate(losses)],
        }

    shown = tables.comparison_of_models({"slow": [report([3.0, 2.0, 1.0])], "fast": [report([1.0, 0.5, 0.4])]})
    assert "| **slow** | 1 | 1.00000 | 1.0 | 3.0 |" in shown and "| **fast** | 1 | 0.40000 | 1.0 | 1.0 |" in shown
    assert shown.index("fast") < shown.index("slow")


def test_compare_ends_as_a_training_that_diverges(small_csv, capsys):
    assert run(f"compare --models lstm,rnn --base none --data {small_csv} --optimizer sgd --lr 1e38 --epochs 2") == 3
    printed = capsys.readouterr()
    assert "lstm, seed 0" in printed.err.splitlines()[-1] and "--lr" in printed.err and printed.out == ""


@pytest.mark.parametrize(
    "argv, word",
    [
        (["--models", "rnn,transformer"], "transformer"),
        (["--seed", "3"], "--seed"),
        (["--epochs", "0"], "--epochs"),
        (["--data", "absent.csv"], "absent.csv"),
        (["--plot", "picture.bmp"], ".png"),
    ],
)
def test_compare_refuses_in_one_line(capsys, argv, word):
    assert ended(compare.main, argv) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and word in message


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU", "OptimizedLSTM"])
def test_the_flow_is_the_norm_of_the_gradient_at_every_step(kind):
    layer = getattr(npseq, kind)(2, 3, dtype=np.float64, rng=0)
    rng = np.random.default_rng(0)
    x, d_h = rng.normal(size=(5, 4, 2)), rng.normal(size=(4, 3))
    norms = gradient_flow(layer, x, d_h).norms
    for t in range(5):  # the last 5 − t steps by themselves: their initial state's gradient
        _, state, _ = layer.forward(x[:t]) if t else (None, None, None)
        _, _, tape = layer.forward(x[t:], state)
        d_final = d_h[None] if len(layer.cell.state) == 1 else (d_h[None], np.zeros((1, 4, 3)))
        _, d_state, _ = layer.backward(tape, None, d_final)
        for letter, d in zip(layer.cell.state, d_state if isinstance(d_state, tuple) else (d_state,)):
            assert relative_error(norms[letter][5 - t], np.linalg.norm(d[0], axis=1).mean()) < 1e-12


def test_saturation_counts_gates_near_0_and_1():
    layer = npseq.LSTM(1, 2, dtype=np.float64, rng=0)
    layer.theta[...] = 0
    layer.params["bias_ih_l0"][...] = [9, 9, -9, 0, 5, 5, 0, 0]  # i open, f half shut, o neither
    gates = gradient_flow(layer, np.zeros((3, 1, 1)), np.ones((1, 2))).gates
    assert {gate: shares.tolist() for gate, shares in gates.items()} == {
        "i": [[0, 1]] * 3,
        "f": [[0.5, 0]] * 3,
        "o": [[0, 0]] * 3,
    }


def test_a_gate_that_is_always_open_carries_the_cells_gradient_whole_and_one_that_is_shut_stops_it():
    layer = npseq.LSTM(1, 2, dtype=np.float64, rng=0)
    layer.theta[...] = 0
    for bias, carried in [(40.0, True), (-40.0, False)]:
        layer.params["bias_ih_l0"][2:4] = bias
        c = gradient_flow(layer, np.zeros((20, 1, 1)), np.ones((1, 2))).norms["c"]
        assert c[0] == 0 and (c[1:] == (c[1] if carried else 0)).all() and (c[1] > 0) == carried


@pytest.mark.wide
def test_the_rnns_gradient_vanishes_and_explodes_and_the_lstms_cell_state_carries_it(tmp_path, capsys):
    out = tmp_path / "flow.csv"
    assert command.main(["--models", "rnn,lstm", "--epochs", "1", "--output", str(out)]) == 0
    with open(out) as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["panel", "model", "quantity", "steps_before_the_loss", "value"]
    value = {
        (
            row["panel"].split(",")[0] + " ×" * ("×" in row["panel"]),
            row["model"],
            row["quantity"],
            int(row["steps_before_the_loss"]),
        ): float(row["value"])
        for row in rows
    }

    def kept(panel, model, letter, start=1):
        """The gradient's norm at the first step, as a multiple of that near the loss."""
        return value[panel, model, f"norm of d{letter}", 50] / value[panel, model, f"norm of d{letter}", start]

    assert kept("untrained", "rnn", "h") < 1e-10 < 1e-6 < kept("untrained", "lstm", "c")
    assert kept("untrained ×", "rnn", "h") > 100
    assert kept("trained", "lstm", "c") > 1e3 * kept("trained", "rnn", "h")
    shown = capsys.readouterr().out
    assert "rnn ∂h" in shown and "▲" in shown and "saturated" in shown


def test_the_flow_of_a_model_with_an_output_at_every_step_starts_from_the_last():
    model = npseq.Model("gru", 5, 4, 5, loss="cross_entropy", outputs="all", embedding_size=3, dtype=np.float64, rng=0)
    indices = np.random.default_rng(0).integers(0, 5, (6, 8))
    task = SimpleNamespace(parts={"train": np.arange(6)}, batch=lambda rows, dtype: (indices, indices, None))
    flow = measure(model, task)
    y, _ = model(indices)
    p = np.exp(y[:, -1]) / np.exp(y[:, -1]).sum(-1, keepdims=True)
    d_h = (p - np.eye(5)[indices[:, -1]]) / indices.size @ model.params["fc.weight"]
    assert relative_error(flow.norms["h"][0], np.linalg.norm(d_h, axis=1).mean()) < 1e-12
    x = model.params["embedding.weight"][indices].swapaxes(0, 1)
    assert relative_error(flow.norms["h"], gradient_flow(model.rnn, x, d_h).norms["h"]) < 1e-12


@pytest.mark.parametrize(
    "data", [pytest.param(["--data", "japanese_vowels"], marks=pytest.mark.wide), ["--base", "none", "--data", "SMALL"]]
)
def test_flow_takes_every_task(small_csv, data, capsys):
    argv = [small_csv if word == "SMALL" else word for word in data]
    assert command.main(["--models", "gru", "--epochs", "1", "--hidden-size", "4", *argv]) == 0
    assert capsys.readouterr().out.count("gru ∂h") == 3


@pytest.mark.parametrize(
    "argv, word",
    [
        (["--models", "rnn,transformer"], "transformer"),
        (["--gain", "0"], "--gain"),
        (["--data", "absent.csv"], "absent.csv"),
        (["--plot", "picture.bmp"], ".png"),
    ],
)
def test_flow_refuses_in_one_line(capsys, argv, word):
    assert ended(command.main, argv) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and word in message


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_each_path_alone_is_the_backward_pass_without_the_other(kind):
    layer, rng = getattr(npseq, kind)(2, 3, dtype=np.float64, rng=0), np.random.default_rng(0)
    x, d_h = rng.normal(size=(5, 1, 2)), rng.normal(size=(1, 3))
    flow, states = gradient_flow(layer, x, d_h), []
    state = None
    for t in range(5):
        states.append(state)
        _, state, tape = layer.forward(x[t : t + 1], state)
    both = np.sqrt(sum(norms**2 for norms in flow.norms.values()))  # one sequence: the norm of h and c together
    assert relative_error(flow.paths["both"], both) < 1e-12
    W_h = layer.params["weight_hh_l0"].copy()
    norms = [np.linalg.norm(d_h)]
    d_state = d_h[None] if kind == "GRU" else (d_h[None], np.zeros((1, 1, 3)))
    for t in reversed(range(5)):  # the gates of the whole network, the gradient without W_h
        layer.params["weight_hh_l0"][...] = W_h
        _, _, tape = layer.forward(x[t : t + 1], states[t])
        layer.params["weight_hh_l0"][...] = 0
        _, d_state, _ = layer.backward(tape, None, d_state)
        norms.append(np.sqrt(sum((part**2).sum() for part in (d_state if kind == "LSTM" else [d_state]))))
    assert relative_error(flow.paths["direct"], np.array(norms)) < 1e-12
    assert (flow.paths["W_h"][1:] < flow.paths["both"][1:]).all()


def test_a_cell_with_one_path_has_no_separate_ones():
    layer = npseq.RNN(2, 3, dtype=np.float64, rng=0)
    assert gradient_flow(layer, np.ones((4, 2, 2)), np.ones((2, 3))).paths == {}


@pytest.mark.wide
def test_every_picture_is_drawn(tmp_path, small_csv, capsys):
    pytest.importorskip("matplotlib")
    endings = {"forecast": "svg", "table": "png", "beyond": "png", "one_ahead": "svg", "curves": "png", "flow": "svg"}

    def picture(name):
        return str(tmp_path / f"{name}.{endings[name]}")

    train = ["--model", "rnn", "--quiet", *SMALL]
    assert status([*train, "--data", small_csv, "--plot", picture("forecast"), "--out-dir", str(tmp_path)]) == 0
    vowels = ["--data", "japanese_vowels", "--out-dir", str(tmp_path / "b")]
    assert status([*train, *vowels, "--plot", picture("table")]) == 0
    use = [
        *f"{tmp_path / 'rnn_rnn_best.pth'} --data {small_csv} --output {tmp_path / 'p.csv'}".split(),
        *"--interval 0.9".split(),
    ]
    assert predict.main([*use, "--steps", "24", "--plot", picture("beyond")]) == 0
    assert predict.main([*use, "--plot", picture("one_ahead")]) == 0
    assert (
        compare.main(["--models", "rnn", "--seeds", "1", "--data", small_csv, "--plot", picture("curves"), *SMALL]) == 0
    )
    assert command.main(["--models", "rnn,lstm", "--length", "6", "--epochs", "1", "--plot", picture("flow")]) == 0
    for name, ending in endings.items():
        content = Path(picture(name)).read_bytes()
        assert len(content) > 5000 and content.startswith(b"\x89PNG" if ending == "png" else b"<?xml")


def test_without_matplotlib_one_line_names_the_install_command(tmp_path, monkeypatch, capsys):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(plots.PlotError, match=r"pip install matplotlib"):
        plots.check("x.png")
    assert status(f"--data adding --epochs 1 --plot x.png --out-dir {tmp_path}") == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and "pip install matplotlib" in message and list(tmp_path.iterdir()) == []


@pytest.mark.wide
@pytest.mark.parametrize("command", ["compare --models rnn --seeds 2 --output r.json", "train --backtest 2"])
def test_data_from_standard_input_are_read_once(tmp_path, small_csv, command):
    pytest.importorskip("pandas")
    words = [sys.executable, "-m", "npseq", *command.split(), *"--data - --epochs 1 --hidden-size 3".split()]
    with open(small_csv) as rows:
        path = {**os.environ, "PYTHONPATH": str(Path(npseq.__file__).parents[1])}
        done = subprocess.run(words, stdin=rows, cwd=tmp_path, env=path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
