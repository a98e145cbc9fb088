"""The documented command: how it can be called, what it writes, and how it ends when something is wrong."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from running import status

import npseq
from npseq.cli import training_run
from npseq.forecast.metadata import load_forecast

REPO = Path(__file__).resolve().parents[2]


def run(command, cwd, **environment):
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, env={**os.environ, **environment}, timeout=120
    )


# ---- how it can be called ----


@pytest.mark.wide
@pytest.mark.parametrize(
    "folder, command",
    [
        ("npseq", ["train.py"]),
        (".", ["npseq/train.py"]),
        (".", ["-m", "npseq.train"]),
        (".", ["-m", "npseq", "train"]),
    ],
)
def test_every_documented_way_to_call_it_trains_and_writes_the_weights(tmp_path, small_csv, folder, command):
    checkout = tmp_path / "checkout"
    shutil.copytree(REPO / "npseq", checkout / "npseq", ignore=shutil.ignore_patterns("__pycache__", "*.pth"))
    done = run(
        [sys.executable, *command, "--model", "lstm", "--epochs", "1", "--data", small_csv],
        checkout / folder,
        PYTHONPATH="",
        PYTHONDONTWRITEBYTECODE="1",
    )
    assert done.returncode == 0, done.stderr
    assert (checkout / folder / "rnn_lstm_best.pth").is_file()
    assert "persistence" in done.stdout and "epoch 1/1" in done.stdout


@pytest.mark.wide
def test_a_script_run_uses_its_own_checkout_and_writes_nothing_into_the_package(tmp_path, small_csv):
    checkout = tmp_path / "checkout"
    shutil.copytree(REPO / "npseq", checkout / "npseq", ignore=shutil.ignore_patterns("__pycache__", "*.pth"))
    before = sorted(checkout.rglob("*"))
    done = run(
        [sys.executable, str(checkout / "npseq" / "train.py"), "--epochs", "1", "--data", small_csv],
        tmp_path,
        PYTHONPATH="",
        PYTHONDONTWRITEBYTECODE="1",
    )
    assert done.returncode == 0, done.stderr
    assert sorted(checkout.rglob("*")) == before
    assert (tmp_path / "rnn_lstm_best.pth").is_file()


def test_documented_options_and_defaults():
    args = training_run.parser().parse_args([])
    assert (args.model, args.epochs, args.hidden_size, args.lr) == ("lstm", 10, 32, 0.001)


@pytest.mark.wide
def test_the_season_of_the_training_rows_is_given_to_the_model_unless_told_otherwise(tmp_path, small_csv, capsys):
    for options, inputs in [([], 7), (["--lags", "none"], 6), (["--lags", "24,48"], 8), (["--horizon", "30"], 6)]:
        assert (
            status([*f"--model rnn --epochs 1 --data {small_csv} --base none --out-dir {tmp_path}".split(), *options])
            == 0
        )
        assert npseq.load(tmp_path / "rnn_rnn_best.pth").config["input_size"] == inputs
        assert ("those 24 rows before" in capsys.readouterr().out) == (inputs == 7)


@pytest.mark.wide
def test_names_are_taken_with_dashes_and_underscores(tmp_path, small_csv):
    words = f"--model optimized-lstm --hidden_size=3 --epochs 1 --batch_size 16 --data {small_csv}"
    assert status(f"{words} --out_dir {tmp_path}") == 0
    assert (tmp_path / "rnn_optimized_lstm_best.pth").is_file()


# ---- what it writes ----


@pytest.mark.wide
def test_the_same_seed_gives_the_same_file_and_another_seed_another(tmp_path, small_csv):
    files = []
    for folder, seed in [("a", 3), ("b", 3), ("c", 4)]:
        words = f"--model gru --epochs 2 --hidden-size 4 --data {small_csv} --seed {seed} --out-dir"
        assert status(f"{words} {tmp_path / folder} --quiet") == 0
        files.append((tmp_path / folder / "rnn_gru_best.pth").read_bytes())
    assert files[0] == files[1] != files[2]


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "optimized_lstm", "optimized_rnn", "optimized_gru"])
def test_torch_opens_the_weights_and_predicts_the_same(tmp_path, small_csv, name):
    torch = pytest.importorskip("torch")
    assert status(f"--model {name} --epochs 1 --hidden-size 6 --base none --data {small_csv} --out-dir {tmp_path}") == 0
    path = tmp_path / f"rnn_{name}_best.pth"
    module = torch.nn.Module()
    kind = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[name.removeprefix("optimized_")]
    model = npseq.load(path)
    module.rnn = kind(model.config["input_size"], 6, batch_first=True)
    module.fc = torch.nn.Linear(6, 1)
    module.load_state_dict(torch.load(path, weights_only=True), strict=True)
    x = np.random.default_rng(0).normal(size=(5, 24, model.config["input_size"])).astype(np.float32)
    with torch.no_grad():
        expected = module.fc(module.rnn(torch.tensor(x))[0][:, -1]).numpy()
    assert np.abs(model.outputs(x) - expected).max() < 1e-5


def test_the_report_holds_what_was_measured(tmp_path, small_csv, capsys):
    report_file = tmp_path / "reports" / "run.json"
    words = f"--model rnn --epochs 2 --data {small_csv} --base none --out-dir {tmp_path} --seed 7 --report"
    assert status(f"{words} {report_file}") == 0
    report = json.loads(report_file.read_text())
    assert set(report) >= {
        "model",
        "parameters",
        "epochs_run",
        "best_epoch",
        "seconds",
        "test",
        "baselines",
        "seed",
        "versions",
    }
    assert (report["model"], report["epochs_run"], report["seed"]) == ("rnn", 2, 7)
    model = npseq.load(tmp_path / "rnn_rnn_best.pth")
    assert report["parameters"] == model.theta.size
    assert set(report["test"]) >= {"rmse", "mae"} and "persistence" in report["baselines"]
    (row,) = (line.split() for line in capsys.readouterr().out.splitlines() if line.endswith("  <"))
    assert row[0] == "rnn" and float(row[1]) == pytest.approx(report["test"]["rmse"], rel=1e-3)


def test_a_star_marks_each_new_best_and_the_best_weights_are_the_ones_kept(tmp_path, small_csv, capsys):
    assert status(f"--model gru --epochs 4 --lr 0.01 --base seasonal --data {small_csv} --out-dir {tmp_path}") == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch ")]
    losses = [float(line.split("validation ")[1].split()[0]) for line in lines]
    best = np.inf
    for line, loss in zip(lines, losses):
        assert line.endswith("*") == (loss < best)
        best = min(best, loss)


@pytest.mark.wide
def test_quiet_prints_nothing(tmp_path, small_csv, capsys):
    assert status(f"--model rnn --epochs 1 --base seasonal --data {small_csv} --out-dir {tmp_path} --quiet") == 0
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err == ""


@pytest.mark.wide
def test_neither_torch_nor_the_global_generator_is_touched(tmp_path, small_csv):
    code = f"""
import sys
sys.modules["torch"] = None  # importing it would now fail
import numpy as np
before = repr(np.random.get_state())
import npseq, npseq.train
assert npseq.train.main(["--epochs", "1", "--data", {small_csv!r}, "--out-dir", {str(tmp_path)!r}, "--quiet"]) == 0
assert repr(np.random.get_state()) == before
"""
    done = run([sys.executable, "-c", code], REPO)
    assert done.returncode == 0, done.stderr


@pytest.mark.wide
def test_it_runs_with_numpy_and_scipy_alone(tmp_path, small_csv):
    code = f"""
import sys
for name in ("tqdm", "threadpoolctl", "matplotlib", "torch", "hypothesis", "onnx", "mpi4py"):
    sys.modules[name] = None
import npseq.train
assert npseq.train.main(["--epochs", "1", "--data", {small_csv!r}, "--out-dir", {str(tmp_path)!r}]) == 0
"""
    done = run([sys.executable, "-c", code], REPO)
    assert done.returncode == 0, done.stderr


def test_importing_npseq_loads_no_slow_part():
    slow = "scipy.optimize", "npseq.train", "npseq.gradcheck", "torch", "matplotlib"
    code = f"import sys, npseq; print([name for name in {slow} if name in sys.modules])"
    assert run([sys.executable, "-c", code], REPO).stdout.strip() == "[]"


# ---- what can be wrong ----


def faulty(tmp_path, small_csv):
    ragged, text, empty = tmp_path / "ragged.csv", tmp_path / "text.csv", tmp_path / "empty.csv"
    ragged.write_text("a,b\n1,2\n3\n" + "4,5\n" * 100)
    text.write_text("a\n" + "1\n" * 100 + "many\n")
    empty.write_text("")
    not_a_folder = tmp_path / "file"
    not_a_folder.write_text("")
    return {
        "unknown model": (["--model", "transformer"], ["transformer", "lstm"]),
        "no epochs": (["--epochs", "0"], ["--epochs", "0"]),
        "negative hidden size": (["--hidden-size", "-1"], ["--hidden-size", "-1"]),
        "rate that is no number": (["--lr", "nan"], ["--lr", "nan"]),
        "infinite rate": (["--lr", "inf"], ["--lr", "inf"]),
        "unknown option": (["--colour", "red"], ["--colour"]),
        "missing file": (["--data", str(tmp_path / "absent.csv")], ["absent.csv"]),
        "empty file": (["--data", str(empty)], ["empty.csv"]),
        "ragged file": (["--data", str(ragged)], ["ragged.csv", "3"]),
        "text among numbers": (["--data", str(text)], ["text.csv", "many"]),
        "window longer than the series": (["--data", small_csv, "--window", "100000"], ["100000"]),
        "folder that is a file": (["--data", small_csv, "--base", "none", "--out-dir", str(not_a_folder)], ["file"]),
    }


@pytest.mark.parametrize(
    "fault",
    [
        "unknown model",
        "no epochs",
        "negative hidden size",
        "rate that is no number",
        "infinite rate",
        "unknown option",
        "missing file",
        "empty file",
        "ragged file",
        "text among numbers",
        "window longer than the series",
        "folder that is a file",
    ],
)
def test_bad_input_gives_one_line_and_status_2_and_writes_nothing(tmp_path, small_csv, capsys, monkeypatch, fault):
    argv, named = faulty(tmp_path, small_csv)[fault]
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    assert status(argv) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    for word in named:
        assert word in printed.err
    assert list(work.iterdir()) == []


def test_divergence_stops_with_status_3_and_keeps_the_last_good_file(tmp_path, small_csv, capsys):
    where = ["--model", "rnn", "--data", small_csv, "--base", "seasonal", "--out-dir", str(tmp_path)]
    assert status(where + ["--epochs", "1"]) == 0
    good = (tmp_path / "rnn_rnn_best.pth").read_bytes()
    capsys.readouterr()
    assert status(where + ["--epochs", "2", "--lr", "1e38", "--optimizer", "sgd"]) == 3
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and "epoch 1" in message and "--lr" in message
    assert (tmp_path / "rnn_rnn_best.pth").read_bytes() == good
    assert [f.name for f in tmp_path.iterdir()] == ["rnn_rnn_best.pth"]


@pytest.mark.wide
def test_ctrl_c_finishes_with_the_best_weights_so_far(tmp_path, small_csv):
    process = subprocess.Popen(
        [sys.executable, str(REPO / "npseq" / "train.py"), "--epochs", "100000", "--data", small_csv, "--model", "rnn"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a background job ignores it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    for line in process.stdout:
        if line.startswith("epoch") and " 2/" in line:
            break
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "interrupted" in out and "persistence" in out and "Traceback" not in err
    kept = load_forecast(str(tmp_path / "rnn_rnn_best.pth"))[1]  # finished like any other
    assert kept.residual_quantiles is not None and kept.width is not None and "ar" in kept.baselines


@pytest.mark.wide
def test_a_run_that_goes_on_in_another_folder_does_not_take_another_runs_file_for_its_own(tmp_path):
    run_it = ["--data", "adding", "--length", "6", "--model", "rnn", "--hidden-size", "4", "--epochs", "1", "--quiet"]
    a, b = tmp_path / "a", tmp_path / "b"
    assert status([*run_it, "--checkpoint", "--out-dir", str(a)]) == 0
    assert status([*run_it, "--lr", "0.01", "--seed", "5", "--out-dir", str(b)]) == 0
    assert status(["--resume", str(a / "rnn_rnn_last.pth"), "--quiet", "--out-dir", str(b)]) == 0
    assert (b / "rnn_rnn_best.pth").read_bytes() == (a / "rnn_rnn_best.pth").read_bytes()


@pytest.mark.parametrize("option", ["--report", "--history"])
def test_an_output_that_is_a_folder_is_refused_before_the_training(tmp_path, small_csv, capsys, option):
    assert status(f"--base none --data {small_csv} {option} {tmp_path} --out-dir {tmp_path / 'o'}") == 2
    assert "is a folder" in capsys.readouterr().err and not list((tmp_path / "o").glob("*.pth"))


@pytest.mark.parametrize("option", [["--schedule", "cosine"], ["--warmup", "7"], ["--recurrent-dropout", "0.5"]])
def test_an_option_that_lbfgs_does_not_read_is_refused(tmp_path, small_csv, capsys, option):
    assert (
        status(["--optimizer", "lbfgs", "--base", "none", "--data", small_csv, *option, "--out-dir", str(tmp_path)])
        == 2
    )
    assert option[0] in capsys.readouterr().err


def test_a_model_that_no_memory_holds_is_refused_in_one_line(tmp_path, small_csv, capsys):
    assert status(f"--hidden-size 100000000 --base none --data {small_csv} --out-dir {tmp_path}") == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and "memory" in message


@pytest.mark.wide
@pytest.mark.parametrize(
    "model, options, told",
    [
        ("lstm", [], True),
        ("gru", [], True),
        ("rnn", [], True),
        ("lstm", ["--quiet"], False),
        ("optimized_lstm", [], False),
        ("lstm", ["--recurrent-dropout", "0.2"], False),
        ("lstm", ["--backtest", "1"], False),
    ],
)
def test_a_run_of_a_plain_model_says_once_that_there_is_a_faster_one(tmp_path, small_csv, capsys, model, options, told):
    argv = ["--model", model, "--data", small_csv, "--epochs", "1", "--hidden-size", "2", "--out-dir", str(tmp_path)]
    assert status([*argv, *options]) == 0
    said = f"npseq train: --model optimized_{model} prints the same digits in about 0.6 of the time\n"
    shown = capsys.readouterr()
    assert shown.err == (said if told else "") and "optimized" not in shown.out.replace(model, "")


@pytest.mark.wide
def test_the_faster_model_prints_the_same_digits(tmp_path, small_csv, capsys):
    shown = []
    for model in ("lstm", "optimized_lstm"):
        argv = ["--model", model, "--data", small_csv, "--epochs", "3", "--hidden-size", "3"]
        assert status([*argv, "--out-dir", str(tmp_path / model)]) == 0
        text = re.sub(r"[\d.]+ s\b", "", capsys.readouterr().out).replace("optimized_lstm", "lstm")
        shown.append([line.split() for line in text.splitlines()])
    assert shown[0] == shown[1]
