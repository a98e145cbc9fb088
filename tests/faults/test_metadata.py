"""A weights file from a stranger: whatever its metadata say, a command ends in one line, and writes nowhere else."""

import copy
import os
import random
import sys

import pytest
from sandbox import Ended, files_below, scaled
from weights_files import with_metadata

NAN, INF = float("nan"), float("inf")
DEEP = eval("[" * 60 + "]" * 60)
VALUES = [None, True, False, 0, 1, -1, 2, 3, 1.5, 1e308, -1e308, 1e-320, NAN, INF, -INF, 10**9, 10**9 + 1, 10**18]
VALUES += [-(10**30), 10**400, "", "a", "é" * 2000, "\ud800", "/", "../x", "load", "none", "lstm", "adding", [], [[]]]
VALUES += [{}, [None], {"a": 1}, DEEP, [1, "a"], [0.5], [1e300], "nan", "--help", "a\nb\x1b[31m", [[1, 2], [3]]]
PLACES = ["report", "history", "plot", "out_dir", "output", "to", "data", "resume", "init", "checkpoint"]
SOURCES = {
    "forecast": ["--model", "lstm", "--window", "3", "--lags", "24", "--checkpoint"],
    "sequences": ["--model", "gru", "--sequence", "id", "--label", "class", "--checkpoint", "--bidirectional"],
    "adding": ["--data", "adding", "--length", "2", "--checkpoint", "--model", "rnn"],
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folder with data, and a best and a last file of each task."""
    folder = tmp_path_factory.mktemp("trained")
    rng = random.Random(0)
    hours = [f"2024-03-{1 + k // 24:02} {k % 24:02}:00" for k in range(24 * 6)]
    (folder / "forecast.csv").write_text("hour,load\n" + "".join(f"{h},{rng.gauss(9, 2):.3f}\n" for h in hours))
    rows = [f"{k},{'ab'[k % 2]},{rng.gauss(k % 2, 1):.3f}\n" for k in range(40) for _ in range(3)]
    (folder / "sequences.csv").write_text("id,class,value\n" + "".join(rows))
    for task, options in SOURCES.items():
        data = [] if task == "adding" else ["--data", str(folder / f"{task}.csv")]
        end = Ended(["train", *data, *options, "--hidden-size", "2", "--epochs", "1", "--out-dir", str(folder / task)])
        assert end.status == 0, end.err
    return folder


def places(value, path=()):
    """The paths of all values in a nesting."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def at(value, path):
    for key in path:
        value = value[key]
    return value


def mutated(metadata, rng, outside):
    """The metadata with one to three changes: types swapped, keys dropped, renamed or added, numbers made huge, …"""
    metadata = copy.deepcopy(metadata)
    for _ in range(rng.choice([1, 1, 1, 1, 2, 3])):
        path = rng.choice(list(places(metadata))[1:] or [()])
        if not path:
            return rng.choice(VALUES)
        parent, key = at(metadata, path[:-1]), path[-1]
        change = rng.randrange(8)
        if change < 3:
            parent[key] = copy.deepcopy(rng.choice(VALUES))
        elif change == 3:
            del parent[key]
        elif change == 4 and isinstance(parent, dict):
            parent[rng.choice(["unknown", key + "_", ""])] = parent.pop(key)
        elif change == 5:
            number = parent[key] if isinstance(parent[key], (int, float)) and abs(parent[key]) < 1e300 else 1
            parent[key] = rng.choice([-number, number + 1, number * 10**9, str(number), float(number), [number]])
        elif change == 6 and isinstance(parent, list):
            parent.extend(parent[key:] * rng.choice([1, 50]))
        else:
            options = metadata.get("options") if isinstance(metadata, dict) else None
            target = options if isinstance(options, dict) and rng.random() < 0.8 else metadata
            if isinstance(target, dict):
                target[rng.choice(PLACES)] = rng.choice([outside, os.path.join(outside, "x.csv"), True, "load.csv"])
    return metadata


def commands(kind, file, data, task, rng):
    """A command on the file: most of them get as far as the metadata let them."""
    source = [] if task == "adding" else ["--data", data]
    choices = [
        ["inspect", file],
        ["export", file, "--to", "x.onnx", *rng.choice([[], ["--with-scaler"]])],
        ["evaluate", file, *rng.choice([source, source, []]), *rng.choice([[], ["--part", "all"]])],
        ["predict", file, *(source or ["--data", data]), "--output", "x.csv", *rng.choice([[], ["--steps", "2"]])],
    ]
    if kind == "last":
        return rng.choice([choices[0], choices[2], *[["train", "--resume", file, "--epochs", "2"]] * 4])
    return rng.choice([*choices[:1], *choices[1:] * 3, ["train", "--resume", file]])


@pytest.fixture(autouse=True)
def little_memory():
    """What a file makes a command allocate must not take the machine down."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def attack(trained, tmp_path, monkeypatch, count, seed):
    """Run ``count`` commands on mutated files."""
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    monkeypatch.chdir(inside)
    rng = random.Random(seed)
    recursion = sys.getrecursionlimit()
    for trial in range(count):
        task, kind = rng.choice(list(SOURCES)), rng.choice(["best", "last"])
        (source,) = (trained / task).glob(f"*_{kind}.pth")
        file = f"{source.stem}.pth"
        with_metadata(source, file, lambda metadata: mutated(metadata, rng, str(outside)))
        data = str(trained / f"{'forecast' if task == 'adding' else task}.csv")
        argv = commands(kind, file, data, task, rng)
        end = Ended(argv)
        fault = end.fault()
        if fault:
            with_metadata(file, str(tmp_path / "fault.pth"), lambda metadata: metadata)
        assert not fault, f"trial {trial} of seed {seed}: {argv}: {fault}"
        assert not files_below(outside), argv
        made = set(os.listdir()) - {file}
        allowed = {"x.onnx", "x.csv"} if argv[0] in ("export", "predict") else set()
        allowed = {name for name in made if name.startswith("rnn_")} if argv[0] == "train" else allowed
        assert made <= allowed, (argv, made)
        for name in os.listdir():
            os.remove(name)
    assert sys.getrecursionlimit() == recursion


@pytest.mark.wide
def test_mutated_metadata_end_in_one_line(trained, tmp_path, monkeypatch):
    attack(trained, tmp_path, monkeypatch, scaled(150), seed=1)


@pytest.mark.wide
def test_twenty_thousand_mutated_metadata_end_in_one_line(trained, tmp_path, monkeypatch):
    """20,000 with NPSEQ_FUZZ=10."""
    attack(trained, tmp_path, monkeypatch, scaled(2000), seed=2)


@pytest.mark.parametrize(
    "task, kind, path, value, command",
    [
        ("forecast", "best", ("residual_quantiles",), [[-(10**30)], [10**30]], "evaluate"),
        ("sequences", "last", ("options", "sequence"), "1", "train"),
        ("adding", "best", ("recipe", "length"), 10**9, "adding"),
    ],
)
def test_metadata_that_once_ended_in_a_traceback(trained, tmp_path, monkeypatch, task, kind, path, value, command):
    monkeypatch.chdir(tmp_path)
    (source,) = (trained / task).glob(f"*_{kind}.pth")

    def change(metadata):
        at(metadata, path[:-1])[path[-1]] = value
        return metadata

    with_metadata(source, "x.pth", change)
    argv = {
        "adding": ["evaluate", "x.pth"],
        "evaluate": ["evaluate", "x.pth", "--data", str(trained / f"{task}.csv")],
        "train": ["train", "--resume", "x.pth"],
    }
    end = Ended(argv[command])
    assert not end.fault(), end.fault()
