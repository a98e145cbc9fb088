"""A trained model is replaced only by one of the same task and data, unless it is asked for."""

import math
import shutil

import pytest
from running import status

from npseq import checkpoint

TRAIN = "--batch-size 256 --model rnn --epochs 1 --hidden-size 2 --window 6 --base none --lags none".split()


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    for name, speed in ("a", 5), ("b", 7):
        rows = [f"2024-01-{1 + k // 24:02d} {k % 24:02d}:00,{math.sin(k / speed):.4f},{k % 7}\n" for k in range(240)]
        (folder / f"{name}.csv").write_text("time,y,z\n" + "".join(rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert status([*TRAIN, "--data", "a.csv", "--quiet"]) == 0
    return folder


@pytest.fixture
def trained(trained_once, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for file in trained_once.iterdir():
        shutil.copy(file, tmp_path)
    return tmp_path / "rnn_rnn_best.pth"


@pytest.mark.parametrize(
    "argv, words",
    [
        (["--data", "b.csv"], "of the task forecast on a.csv, target y"),
        (["--data", "a.csv", "--target", "z"], "target y"),
        pytest.param(["--data", "adding", "--length", "5"], "of the task forecast on a.csv", marks=pytest.mark.wide),
        (["--data", "a.csv", "CHANGED"], "with other values"),
        (["--data", "a.csv", "FOREIGN"], "no file of npseq train"),
        pytest.param(["--data", "b.csv", "LAST"], "a training on a.csv", marks=pytest.mark.wide),
    ],
)
def test_a_model_of_other_data_is_replaced_only_if_that_is_asked_for(trained, capsys, argv, words):
    if "CHANGED" in argv:
        (trained.parent / "a.csv").write_text((trained.parent / "b.csv").read_text())
    if "FOREIGN" in argv:
        trained.write_text("mine")
    if "LAST" in argv:
        assert status([*TRAIN, "--data", "a.csv", "--checkpoint", "--quiet"]) == 0
        trained.unlink()
        argv = [*argv, "--checkpoint"]
    file = trained.parent / "rnn_rnn_last.pth" if "LAST" in argv else trained
    argv = [*(word for word in TRAIN[:8] if "adding" in argv), *(TRAIN if "adding" not in argv else []), *argv]
    argv, before = [word for word in argv if not word.isupper()], file.read_bytes()
    capsys.readouterr()
    assert status(argv) == 2
    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1 and words in shown.err and "--name" in shown.err and "--force" in shown.err
    assert shown.out == "" and file.read_bytes() == before
    assert status([*argv, "--name", "other"]) == 0 and (trained.parent / "other.pth").exists()
    assert file.read_bytes() == before and "replaces" not in capsys.readouterr().out
    assert status([*argv, "--force"]) == 0 and file.read_bytes() != before
    assert f"replaces    {file.name}, " in capsys.readouterr().out


@pytest.mark.wide
def test_the_same_data_again_and_a_resumed_run_need_no_word(trained, capsys):
    with open(trained.parent / "a.csv", "a") as file:  # rows that have come since
        file.write("2024-01-11 00:00,0.5,1\n")
    assert status([*TRAIN, "--data", "a.csv"]) == 0
    assert "replaces    rnn_rnn_best.pth\n" in capsys.readouterr().out
    assert status([*TRAIN, "--data", "b.csv", "--name", "mine.pth", "--checkpoint", "--quiet"]) == 0
    assert status(["--resume", "mine_last.pth", "--epochs", "2"]) == 0
    names = {path.name for path in trained.parent.glob("*.pth")}
    assert names == {"rnn_rnn_best.pth", "mine.pth", "mine_last.pth"}
    assert checkpoint.load(trained.parent / "mine_last.pth").metadata["epoch"] == 2


@pytest.mark.wide
@pytest.mark.parametrize("times", [True, False])
def test_data_are_known_by_their_rows_and_not_by_their_name(trained, capsys, times):
    """Also after rows were appended, and where the training reads other columns of them."""
    rows = (trained.parent / "a.csv").read_text().splitlines(True)
    if not times:
        rows = [row.partition(",")[2] for row in rows]
        (trained.parent / "a.csv").write_text("".join(rows))
        assert status([*TRAIN, "--data", "a.csv", "--quiet", "--force"]) == 0
    more = [row.replace("2024-01-0", "2024-01-1") for row in rows[1:61]]
    (trained.parent / "moved.csv").write_text("".join([*rows, *more]))
    assert status([*TRAIN, "--data", "moved.csv"]) == 0
    assert "replaces    rnn_rnn_best.pth\n" in capsys.readouterr().out
    assert status([*TRAIN, "--data", "a.csv", "--inputs", "z", "--quiet"]) == 0
    (trained.parent / "a.csv").write_text("".join([rows[0], *rows[:0:-1]] if not times else [rows[0], *more]))
    later = status([*TRAIN, "--data", "a.csv", "--quiet", "--target", "y"])
    assert later == (0 if times else 2)  # rows that come after those of the training, in the same file
    (trained.parent / "b.csv").write_text((trained.parent / "a.csv").read_text())
    assert times or status([*TRAIN, "--data", "b.csv", "--quiet"]) == 2


TEXT = "--task text --model gru --epochs 1 --hidden-size 2 --quiet --data".split()


@pytest.mark.wide
def test_a_text_and_sequences_are_known_by_their_content(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, text in ("a", "abc " * 200), ("b", "abc " * 200 + "more"), ("c", "cab " * 200):
        (tmp_path / f"{name}.txt").write_text(text)
    assert [status([*TEXT, f"{name}.txt"]) for name in "abac"] == [0, 0, 2, 2]
    assert status([*TEXT, "b.txt", "--tokens", "bytes"]) == 0  # of the same name: the symbols do not tell
    for name, first in ("a", 0), ("b", 0), ("c", 9):
        rows = "".join(f"{k // 4},{k // 4 % 2},{(k * k + first) % 7}\n" for k in range(200))
        (tmp_path / f"{name}.csv").write_text("id,class,x\n" + rows)
    train = ["--model", "rnn", *TEXT[4:-1], "--sequence", "id", "--label", "class", "--data"]
    assert [status([*train, f"{name}.csv"]) for name in "abac"] == [0, 0, 0, 2]


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden"])
def test_a_name_has_no_folder(trained, capsys, name):
    assert status([*TRAIN, "--data", "a.csv", f"--name={name}"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
