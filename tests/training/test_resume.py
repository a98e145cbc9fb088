"""A run that was interrupted and continued gives the files of one that was not, byte for byte."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from running import status
from sandbox import scaled

from npseq import checkpoint, train
from npseq.training import resume

RUNS = {
    "lstm": ["--model", "lstm"],
    "gru, sgd with a step schedule": ["--model", "gru", "--optimizer", "sgd", "--schedule", "step", "--warmup", "3"],
    "optimized_lstm with dropout, plateau": "--model optimized_lstm --num-layers 2 --dropout 0.3 --schedule plateau".split(),
    "rnn, rmsprop, float64": "--model rnn --optimizer rmsprop --dtype float64 --recurrent-dropout 0.2".split(),
}


def files(folder):
    """Of a killed run a temporary file, whose name begins with a dot, may be left beside them."""
    return {f.name: f.read_bytes() for f in folder.iterdir() if f.suffix == ".pth" and not f.name.startswith(".")}


@pytest.mark.wide
@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("stop", [1, 3])
def test_interrupted_and_continued_is_as_never_interrupted(tmp_path, small_csv, monkeypatch, name, stop):
    run = [*RUNS[name], "--data", small_csv, "--hidden-size", "4", "--epochs", "5", "--checkpoint", "--quiet"]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert status([*run, "--out-dir", str(whole)]) == 0
    save = resume.save

    def save_and_stop(path, args, model, optimizer, schedule, rng, progress, fingerprint):
        save(path, args, model, optimizer, schedule, rng, progress, fingerprint)
        if progress.epoch == stop:
            raise KeyboardInterrupt

    monkeypatch.setattr(resume, "save", save_and_stop)
    assert status([*run, "--out-dir", str(parts)]) == 130
    monkeypatch.setattr(resume, "save", save)
    (last,) = parts.glob("*_last.pth")
    assert status(["--resume", str(last), "--checkpoint", "--quiet", "--out-dir", str(parts)]) == 0
    assert files(parts) == files(whole) and len(files(whole)) == 2


@pytest.mark.wide
def test_more_epochs_than_first_asked_for_equal_a_longer_run(tmp_path, small_csv):
    run = ["--model", "rnn", "--data", small_csv, "--hidden-size", "4", "--checkpoint", "--quiet"]
    run += ["--schedule", "constant"]  # that of the default depends on the number of epochs
    assert status([*run, "--epochs", "2", "--out-dir", str(tmp_path / "a")]) == 0
    words = f"--resume {tmp_path / 'a' / 'rnn_rnn_last.pth'} --epochs 4 --checkpoint --quiet --out-dir"
    assert status(f"{words} {tmp_path / 'a'}") == 0
    assert status([*run, "--epochs", "4", "--out-dir", str(tmp_path / "b")]) == 0
    assert files(tmp_path / "a") == files(tmp_path / "b")


@pytest.fixture(scope="module")
def begun_once(tmp_path_factory, small_csv):
    folder = tmp_path_factory.mktemp("begun")
    words = f"--model rnn --data {small_csv} --base last --hidden-size 4 --epochs 3 --schedule cosine"
    assert status(f"{words} --checkpoint --quiet --out-dir {folder}") == 0
    return folder


@pytest.fixture
def begun(begun_once, tmp_path):
    for file in begun_once.iterdir():
        shutil.copy(file, tmp_path)
    return str(tmp_path / "rnn_rnn_last.pth")


@pytest.mark.parametrize(
    "options, words",
    [
        (["--hidden-size", "8"], ["--hidden-size 8", "--hidden-size 4"]),
        (["--epochs", "5"], ["--epochs 5", "--epochs 3", "cosine"]),
        (["--lr", "0.1"], ["--lr 0.1", "--lr 0.001"]),
        (["--model", "gru"], ["--model gru", "--model rnn"]),
    ],
)
def test_conflicting_options_are_refused_naming_both_values(begun, capsys, options, words):
    assert status(["--resume", begun, *options]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and all(word in message for word in words)


def test_the_same_options_given_again_are_no_conflict(begun, tmp_path):
    assert status(["--resume", begun, "--hidden-size", "4", "--out-dir", str(tmp_path), "--quiet"]) == 0


@pytest.mark.wide
def test_changed_data_are_refused(begun, small_csv, capsys):
    text = open(small_csv).read()
    try:
        with open(small_csv, "w") as file:
            file.write(text.replace(",1", ",2", 1))
        assert status(["--resume", begun]) == 2
        assert "the data have changed" in capsys.readouterr().err
    finally:
        with open(small_csv, "w") as file:
            file.write(text)


def test_a_missing_file_or_one_of_another_kind_is_refused(tmp_path, capsys):
    assert status(["--resume", str(tmp_path / "absent.pth")]) == 2
    assert "absent.pth" in capsys.readouterr().err
    checkpoint.save(tmp_path / "other.pth", {"a": np.zeros(2)})
    assert status(["--resume", str(tmp_path / "other.pth")]) == 2
    assert "cannot be resumed from" in capsys.readouterr().err


@pytest.mark.wide
def test_random_kills_leave_whole_files_and_resuming_gives_the_uninterrupted_result(tmp_path, small_csv):
    """SIGKILL at a random moment of a run that writes both files every epoch; 50 times with NPSEQ_FUZZ=10."""
    script = str(Path(train.__file__))
    run = [
        sys.executable,
        script,
        *f"--model rnn --data {small_csv} --hidden-size 4 --epochs 400 --checkpoint --quiet".split(),
    ]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert subprocess.run([*run, "--out-dir", str(whole)]).returncode == 0
    rng, kills, last = np.random.default_rng(0), 0, parts / "rnn_rnn_last.pth"
    while kills < scaled(5):
        resume = ["--resume", str(last)] if last.exists() else []
        process = subprocess.Popen([*run, "--out-dir", str(parts), *resume], stderr=subprocess.PIPE)
        try:
            process.wait(timeout=rng.uniform(0.25, 0.7))
            assert process.returncode == 0, process.stderr.read()
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
        process.stderr.close()
        for file in parts.glob("*.pth") if parts.exists() else []:
            if not file.name.startswith("."):
                checkpoint.load(file)
        if process.returncode == 0:  # done before the next kill: compare, and begin again
            assert files(parts) == files(whole)
            for file in parts.iterdir():
                file.unlink()
    if last.exists():
        assert subprocess.run([*run, "--out-dir", str(parts), "--resume", str(last)]).returncode == 0
        assert files(parts) == files(whole)
