"""Malformed commands and files from a fixed seed: each ends in one line and changes no file that it was not told to."""

import gzip
import os
import pickle
import random
import signal
import zipfile

import numpy as np
import pytest
from sandbox import Ended, files_below, scaled, seeded

pytestmark = pytest.mark.wide

NUMBERS = [
    "0",
    "-1",
    "1",
    "2",
    "3",
    "1e3",
    "nan",
    "inf",
    "-inf",
    "",
    "x",
    "1_0",
    "٣",
    "0x10",
    "1e-320",
    "1e308",
    "3.5",
]
HUGE = ["1000000000", "1" + "0" * 40, "9" * 5000]
WORDS = [
    "",
    " ",
    *", ,, load load,load hour absent".split(),
    "größe",
    "\udcff",
    "a\nb",
    "\x1b[31m",
    *"none - --".split(),
]
WORDS += ["lstm", "LSTM", "optimized-gru", "adam", "mse", "temp", "load,temp", "temp,load", "id", "class", "é" * 300]
NUMBER_OPTIONS = (
    "--epochs --hidden-size --lr --window --horizon --lags --num-layers --dropout --recurrent-dropout --clip"
)
NUMBER_OPTIONS += " --batch-size --weight-decay --warmup --patience --seed --threads --forget-bias --length"
WORD_OPTIONS = "--model --target --time --inputs --scale --sequence --label --optimizer --schedule --loss --dtype"
FLAGS = "--bidirectional --checkpoint --quiet --unknown --help --version -h --Epochs"
OUTPUTS = ["--history", "--report", "--plot", "--output", "--to", "--out-dir", "--state", "--html", "--dir"]
FORECASTER, WRITER = "rnn_lstm_best.pth", "text/rnn_gru_best.pth"  # good files: of a forecast, and of a text
OTHERS = (
    "--temperature --top-k --prime --name --prefix --only --steps --interval --number --timeout --max-memory --cell"
)
# commands whose options are not those of a training -> how they start
SMALL = {
    "sample": [["{text}", "--length", "20"]],
    "neurons": [["{text}", "--data", "{data}", "--output", "out.html", "--length", "30"]],
    "stream": [["{weights}"], ["{weights}", "--state", "{state}"]],
    "explain": [["--steps", "2"], ["--html", "out.html"], ["--html", "{data}"], ["--cell", "{data}"]],
    "exercise": [["list"], ["start", "lstm-backward", "--dir", "{data}"], ["grade", "{data}"], ["hint", "{data}"]],
    "gradcheck": [["--cell", "{data}"], ["--list-bugs"]],
}


class Run:
    """A pickle that runs a command when it is loaded."""

    def __reduce__(self):
        return os.system, ("touch marker_of_a_pickle",)


def make_files(folder, rng):
    """Files of every kind of fault, and two good ones."""
    hours = [f"2024-03-{1 + k // 24:02} {k % 24:02}:00" for k in range(24 * 5)]
    good = "hour,load,temp\n" + "".join(f"{h},{rng.gauss(9, 2):.3f},{rng.gauss(0, 1):.3f}\n" for h in hours)
    classes = "id,class,value\n" + "".join(f"{k // 3},{'ab'[k // 3 % 2]},{rng.gauss(0, 1):.3f}\n" for k in range(90))
    texts = {
        "good.csv": good,
        "classes.csv": classes,
        "empty.csv": "",
        "blank.csv": "\n\n\n",
        "commas.csv": ",,,\n" * 30,
        "header.csv": "hour,load\n",
        "one row.csv": "hour,load\n2024-03-01 00:00,1\n",
        "words.csv": "a,b\nx,y\n" * 10,
        "ragged.csv": good.replace(",", ";", 3),
        "cut.csv": good[: len(good) // 2],
        "doubled.csv": "load,load\n" + "1,2\n" * 60,
        "same time.csv": "hour,load\n" + f"{hours[0]},1\n" * 60,
        "huge numbers.csv": "hour,load\n" + "".join(f"{h},1e308\n" for h in hours),
        "nan.csv": "hour,load\n" + "".join(f"{h},nan\n" for h in hours),
        "long line.csv": "a" * 300_000 + "\n1\n",
        "quotes.csv": 'a,b\n"1,2\n' * 20,
        "escape.csv": "\x1b[31mload\n1\n2\n" * 30,
        "constant.csv": "load\n" + "5\n" * 80,
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    data = {
        "nul.csv": b"a,b\n1,\0\n" * 10,
        "latin.csv": "größe\n".encode("latin-1") + b"1\n" * 50,
        "utf16.csv": good.encode("utf-16"),
        "noise.csv": rng.randbytes(3000),
        "pickle.csv": pickle.dumps(Run()),
        "pickle.pth": pickle.dumps({"w": Run()}),
        "pickle.npy": pickle.dumps(Run()),
        "noise.npy": b"\x93NUMPY\x01\x00" + rng.randbytes(200),
        "noise.npz": b"PK\x03\x04" + rng.randbytes(300),
        "noise.pth": b"PK\x03\x04" + rng.randbytes(300),
        "empty.pth": b"",
        "empty.npy": b"",
        "good.csv.gz": gzip.compress(good.encode())[:200],
    }
    for name, content in data.items():
        (folder / name).write_bytes(content)
    np.save(folder / "objects.npy", np.array([Run(), 1], dtype=object), allow_pickle=True)
    np.save(folder / "cube.npy", np.zeros((3, 3, 3)))
    np.save(folder / "none.npy", np.zeros((0, 2)))
    np.savez(folder / "objects.npz", load=np.array([Run()], dtype=object))
    np.savez(folder / "lengths.npz", a=np.zeros(30), b=np.zeros(20))
    with zipfile.ZipFile(folder / "text.npz", "w") as archive:
        archive.writestr("a.txt", "no array")
    with zipfile.ZipFile(folder / "run.pth", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"w": Run()}, 2))
    (folder / "a folder").mkdir()
    (folder / "loop.csv").symlink_to(folder / "loop.csv")
    (folder / "nowhere.csv").symlink_to(folder / "gone" / "x.csv")
    (folder / "good.txt").write_text("a text of few letters, " * 60)
    (folder / "cell.py").write_text("from npseq.cells import GRUCell\n\n\nclass Own(GRUCell):\n    pass\n")
    (folder / "broken.py").write_text("1 / 0\n")
    (folder / "syntax.py").write_text("class :\n")
    small = ["--epochs", "1", "--hidden-size", "2", "--quiet"]
    for argv in (
        ["train", "--data", "good.csv", *small, "--lags", "24", "--checkpoint"],
        ["train", "--data", "good.txt", *small, "--task", "text", "--model", "gru", "--out-dir", "text"],
        ["stream", FORECASTER, "--state", "state"],
    ):
        end = Ended(argv, good)
        assert end.status == 0, end.err
    return sorted([*os.listdir(folder), WRITER])


def malformed(rng, names):
    """A command with faults in it; what it computes, if it does, is small."""
    command = rng.choice(
        ["train"] * 6 + ["evaluate", "predict"] * 3 + ["inspect", "export", "compare", "flow", "wrong"] + [*SMALL]
    )

    def file():
        return rng.choice([*names, "absent.csv", "a/b/c.csv", "", "\0", "x" * 300, "good.csv", FORECASTER])

    argv = [command]
    if command in SMALL:
        return argv + faults_in(rng, file, rng.choice(SMALL[command]))
    if command in ("evaluate", "predict", "inspect", "export"):
        argv += [rng.choice([file(), "rnn_lstm_best.pth", "rnn_lstm_best.pth", "rnn_lstm_last.pth"])]
    if command in ("train", "compare", "flow"):
        argv += ["--epochs", "1", "--hidden-size", "2"]
        argv += ["--models", rng.choice(["gru", "gru,gru", "", "x", "rnn,lstm"])] * (command != "train")
        argv += ["--seeds", "1"] * (command == "compare")
    if command in ("train", "compare", "flow", "predict") or rng.random() < 0.5:
        argv += ["--data", rng.choice([file(), file(), "good.csv", "classes.csv"])]
    argv += ["--output", "out.csv"] * (command == "predict" and rng.random() < 0.8)
    argv += ["--to", "out.onnx"] * (command == "export" and rng.random() < 0.8)
    for _ in range(rng.choice([0, 1, 1, 2, 3, 5])):
        kind = rng.randrange(10)
        if kind < 4:
            option = rng.choice(NUMBER_OPTIONS.split())
            argv += [option, rng.choice(NUMBERS if option == "--epochs" else NUMBERS + HUGE)]
        elif kind < 7:
            argv += [rng.choice(WORD_OPTIONS.split()), rng.choice(WORDS)]
        elif kind == 7:
            argv += [rng.choice(FLAGS.split())]
        elif kind == 8:
            argv += [rng.choice(OUTPUTS), rng.choice([file(), "out.csv", "out.json", "out.svg", "new/out.csv", "."])]
        else:
            argv += rng.choice([["--resume", file()], ["--steps", "3"], ["--interval", "0.9"], [file()], ["--"]])
    if command in ("train", "flow", "compare") and rng.random() < 0.9:
        argv = ["0.5" if word == "1e308" else word for word in argv]
    return argv


def faults_in(rng, file, words):
    """The words of a command with files in their places, and up to three options that may be wrong."""
    good = {"{text}": WRITER, "{weights}": FORECASTER, "{state}": "state"}
    argv = [good[word] if word in good and rng.random() < 0.6 else file() if "{" in word else word for word in words]
    for _ in range(rng.choice([0, 0, 1, 1, 2, 3])):
        option = rng.choice([*OTHERS.split(), *NUMBER_OPTIONS.split(), *WORD_OPTIONS.split(), *OUTPUTS])
        values = [rng.choice(NUMBERS), rng.choice(WORDS), file()]
        argv += [option, rng.choice(values)] if rng.random() < 0.8 else [rng.choice([*FLAGS.split(), "--strict"])]
    return argv


def written(argv, names):
    """Files that a command may make or replace."""
    places = {os.path.normpath(b) for a, b in zip(argv, argv[1:]) if a.replace("_", "-") in OUTPUTS}
    return lambda name: (
        any(name == place or name.startswith(place + os.sep) for place in places)
        or (argv[:2] == ["exercise", "start"] and os.path.basename(name) == "lstm_backward.py")
        or (
            argv[0] == "train"
            and os.path.basename(name).startswith("rnn_")
            and name.endswith(("_best.pth", "_last.pth"))
        )
    )


class Late(BaseException):
    """Raised past everything that a command handles."""


def late(*_):
    raise Late("the command does not end")


def attack(tmp_path, monkeypatch, count, seed):
    resource = pytest.importorskip("resource")
    monkeypatch.chdir(tmp_path)
    rng = random.Random(seed)
    names = make_files(tmp_path, rng)
    before, statuses = files_below(tmp_path), {}
    limit = resource.getrlimit(resource.RLIMIT_AS)
    alarm = signal.signal(signal.SIGALRM, late)
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, limit[1]))
    try:
        for trial in range(count):
            argv = malformed(rng, names)
            signal.alarm(60)
            end = Ended(argv, before[rng.choice([*before, "good.csv"])] if argv[0] == "stream" else b"")
            signal.alarm(0)
            statuses[end.status] = statuses.get(end.status, 0) + 1
            if argv[0] == "stream":  # each row that is left out has its line before
                end.err = "".join(end.err.splitlines(True)[-1:])
            # 1 is the answer of a grade without all points, and of a check that finds a wrong gradient
            answers = (1,) if argv[0] == "gradcheck" or argv[:2] == ["exercise", "grade"] else ()
            fault = end.fault((0, 2, 3, 130, *answers))
            assert not fault, f"trial {trial} of seed {seed}: {argv}: {fault}"
            after, may = files_below(tmp_path), written(argv, names)
            changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
            wrong = {name for name in changed if not may(name)}
            assert not wrong, f"trial {trial} of seed {seed}: {argv}: changed {wrong}"
            lost = argv[0] != "stream" and {name for name in changed if name in before}  # a stream keeps its state
            assert end.status in (0, 3) or not lost, (trial, argv, changed)
            for name in changed:  # as it was
                if name in before:
                    (tmp_path / name).write_bytes(before[name])
                else:
                    (tmp_path / name).unlink()
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limit)
        signal.signal(signal.SIGALRM, alarm)
    assert statuses.get(2, 0) > count // 3 and statuses.get(0, 0) > count // 50, statuses


def test_malformed_commands_end_in_one_line(tmp_path, monkeypatch):
    attack(tmp_path, monkeypatch, scaled(100), seed=seeded(1))


def test_five_hundred_malformed_commands_end_in_one_line(tmp_path, monkeypatch):
    attack(tmp_path, monkeypatch, scaled(500), seed=seeded(2))
