"""A weights file from a stranger: whatever its metadata say, a command ends in one line, and writes nowhere else."""

import copy
import os
import random
import sys

import pytest
from sandbox import Called, Ended, files_below, scaled, seeded
from weights_files import with_metadata

import npseq

NAN, INF = float("nan"), float("inf")
DEEP = eval("[" * 60 + "]" * 60)
VALUES = [None, True, False, 0, 1, -1, 2, 3, 1.5, 1e308, -1e308, 1e-320, NAN, INF, -INF, 10**9, 10**9 + 1, 10**18]
VALUES += [-(10**30), 10**400, "", "a", "é" * 2000, "\ud800", "/", "../x", "load", "none", "lstm", "adding", [], [[]]]
VALUES += [{}, [None], {"a": 1}, DEEP, [1, "a"], [0.5], [1e300], "nan", "--help", "a\nb\x1b[31m", [[1, 2], [3]]]
PLACES = ["report", "history", "plot", "out_dir", "output", "to", "data", "resume", "init", "checkpoint"]
SMALL = ["--hidden-size", "2", "--epochs", "1", "--quiet"]
SOURCES = {
    "forecast": ["--model", "lstm", "--window", "3", "--lags", "24", "--checkpoint"],
    "sequences": ["--model", "gru", "--sequence", "id", "--label", "class", "--checkpoint", "--bidirectional"],
    "adding": ["--data", "adding", "--length", "2", "--checkpoint", "--model", "rnn"],
    "ahead": ["--target", "load,temp", "--inputs", "wind", "--future", "day", "--horizon", "2", "--checkpoint"],
    "alone": ["--base", "none", "--window", "3", "--lags", "2", "--model", "optimized_gru", "--checkpoint"],
    "numbers": ["--sequence", "id", "--label", "value", "--regress", "--inputs", "other", "--checkpoint"],
    "labels": ["--sequence", "id", "--label", "class", "--label-each-row", "--inputs", "value", "--checkpoint"],
    "text": ["--task", "text", "--window", "8", "--model", "gru", "--embedding", "2", "--checkpoint"],
}
DATA = {task: f"{task}.csv" for task in SOURCES}
DATA |= {"adding": "forecast.csv", "alone": "forecast.csv", "numbers": "sequences.csv", "labels": "sequences.csv"}
DATA["text"] = "text.txt"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folder with data, and a best and a last file of each task."""
    pytest.importorskip("pandas")  # classes are text
    folder = tmp_path_factory.mktemp("trained")
    rng = random.Random(0)
    hours = [f"2024-03-{1 + k // 24:02} {k % 24:02}:00" for k in range(24 * 6)]
    (folder / "forecast.csv").write_text("hour,load\n" + "".join(f"{h},{rng.gauss(9, 2):.3f}\n" for h in hours))
    rows = [f"{k},{'ab'[k % 2]},{rng.gauss(k % 2, 1):.3f},{k % 7}\n" for k in range(40) for _ in range(3)]
    (folder / "sequences.csv").write_text("id,class,other,value\n" + "".join(rows))
    numbers = [",".join(f"{rng.gauss(0, 1):.3f}" for _ in range(3)) for _ in hours]
    rows = [f"{hour},{row},{k % 7}\n" for k, (hour, row) in enumerate(zip(hours, numbers))]
    (folder / "ahead.csv").write_text("hour,load,temp,wind,day\n" + "".join(rows))
    (folder / "text.txt").write_text("a text of few letters, " * 60)
    for task, options in SOURCES.items():
        data = [] if task == "adding" else ["--data", str(folder / DATA[task])]
        end = Ended(["train", *data, *options, *SMALL, "--out-dir", str(folder / task)])
        assert end.status == 0, end.err
    return folder


def places(value, path=()):
    """The paths of all values in a nesting."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def place(metadata, rng):
    """A path: half of them any, half of them step by step from the top, so that few lie in long lists."""
    if rng.random() < 0.5:
        return rng.choice(list(places(metadata))[1:] or [()])
    path, value = (), metadata
    while isinstance(value, (dict, list)) and value and (not path or rng.random() < 0.8):
        path = (*path, rng.choice(list(value) if isinstance(value, dict) else range(len(value))))
        value = at(metadata, path)
    return path


def plausible(metadata, value, rng):
    """Another value of the same type, such as a file could have: what only several values together can show."""
    if type(value) in (int, float) and abs(value) < 1e300:
        return rng.choice([0, 1, 2, 3, 5, 24, 1000, value + 1, value - 1, 2 * value, value / 2, -value, 1e-9 * value])
    if isinstance(value, list) and value and rng.random() < 0.6:
        return rng.choice([value[:-1], value[1:], value + value[-1:], value[::-1], value * 2])
    alike = [at(metadata, path) for path in places(metadata)]
    return copy.deepcopy(rng.choice([other for other in alike if type(other) is type(value)]))


def at(value, path):
    for key in path:
        value = value[key]
    return value


def mutated(metadata, rng, outside):
    """The metadata with one to three changes: types swapped, keys dropped, renamed or added, numbers made huge, …"""
    metadata = copy.deepcopy(metadata)
    for _ in range(rng.choice([1, 1, 1, 1, 2, 3])):
        path = place(metadata, rng)
        if not path:
            return rng.choice(VALUES)
        parent, key = at(metadata, path[:-1]), path[-1]
        change = rng.randrange(-4, 8)
        if change < 0:
            parent[key] = plausible(metadata, parent[key], rng)
        elif change < 3:
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
    inspect, resumed = ["inspect", file], ["train", "--resume", file, "--epochs", "2"]
    evaluate = ["evaluate", file, *rng.choice([source, source, []]), *rng.choice([[], ["--part", "all"]])]
    if kind == "last":
        return rng.choice([inspect, evaluate, resumed, resumed, resumed, resumed])
    predict = ["predict", file, "--data", data, "--output", "x.csv"]
    exported = rng.choice([["x.onnx"], ["x.h"], ["x.h", "--example"]])
    general = [
        evaluate,
        [*predict, *rng.choice([[], [], ["--steps", "2"], ["--interval", "0.9"]])],
        ["export", file, "--to", *exported, *rng.choice([[], ["--with-scaler"]])],
        rng.choice([inspect, resumed, ["train", "--init", file, *source, *SOURCES[task], *SMALL]]),
    ]
    if task == "text":
        page = ["neurons", file, *rng.choice([source, source, []]), "--output", "x.html", "--length", "20"]
        special = [["sample", file, "--length", "20", "--prime", "a"], page]
    elif task in ("forecast", "ahead", "alone"):
        stream = ["stream", file, *rng.choice([[], ["--state", "x.state"], ["--interval", "0.9"]])]
        special = [["Forecaster", file, data], stream]
    else:
        special = [rng.choice([["sample", file], ["stream", file], ["Forecaster", file, data]])]
    return rng.choice(general + special)


def forecast(file, data):
    """What a program does with a ``Forecaster``."""
    forecaster = npseq.Forecaster.load(file)
    forecaster.update(data)
    for use in (
        lambda: forecaster.predict(2),
        lambda: forecaster.predict(2, interval=0.5),
        lambda: forecaster.score(3),
        lambda: forecaster.stream().step([1.0], "2024-03-01"),
        lambda: forecaster.save("x.csv"),
    ):
        try:
            use()
        except (ValueError, OSError) as error:
            assert "\n" not in str(error)


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
        task, kind = rng.choice(list(SOURCES)), rng.choice(["best", "best", "last"])
        (source,) = (trained / task).glob(f"*_{kind}.pth")
        file = source.name
        with_metadata(source, file, lambda metadata: mutated(metadata, rng, str(outside)))
        data = str(trained / DATA[task])
        argv = commands(kind, file, data, task, rng)
        if argv[0] == "Forecaster":
            end = Called(forecast, *argv[1:])
        else:
            end = Ended(argv, (trained / DATA[task]).read_bytes() if argv[0] == "stream" else b"")
        fault = end.fault()
        if fault:
            with_metadata(file, str(tmp_path / "fault.pth"), lambda metadata: metadata)
        assert not fault, f"trial {trial} of seed {seed}: {argv}: {fault}"
        assert not files_below(outside), argv
        made = set(os.listdir()) - {file}
        allowed = {"x.onnx", "x.csv", "x.h", "main.c", "x.state", "x.html"} if argv[0] != "evaluate" else set()
        allowed = {name for name in made if name.startswith("rnn_")} if argv[0] == "train" else allowed
        assert made <= allowed, (argv, made)
        for name in os.listdir():
            os.remove(name)
    assert sys.getrecursionlimit() == recursion


@pytest.mark.wide
def test_twenty_thousand_mutated_metadata_end_in_one_line(trained, tmp_path, monkeypatch):
    """20,000 with NPSEQ_FUZZ=20."""
    attack(trained, tmp_path, monkeypatch, scaled(1000), seed=seeded(2))


@pytest.mark.parametrize(
    "task, kind, path, value, command",
    [
        ("forecast", "best", ("residual_quantiles",), [[-(10**30)], [10**30]], "evaluate"),
        ("forecast", "best", ("width", "weight"), [[0.5]], "evaluate"),
        ("forecast", "best", ("recipe", "calendar"), False, "evaluate"),
        ("ahead", "best", ("blend",), [[0.5]], "evaluate"),
        ("sequences", "last", ("options", "sequence"), "1", "train"),
        ("adding", "best", ("recipe", "length"), 10**9, "adding"),
        ("labels", "best", ("recipe", "classes"), ["a"], "predict"),
        ("labels", "best", ("columns", "sequence"), "1", "evaluate"),
        ("labels", "best", ("config", "loss"), "mse", "evaluate"),
        ("text", "best", ("config", "outputs"), "last", "evaluate"),
    ],
)
def test_metadata_that_once_ended_in_a_traceback(trained, tmp_path, monkeypatch, task, kind, path, value, command):
    monkeypatch.chdir(tmp_path)
    (source,) = (trained / task).glob(f"*_{kind}.pth")

    def change(metadata):
        assert at(metadata, path) != value
        at(metadata, path[:-1])[path[-1]] = value
        return metadata

    with_metadata(source, "x.pth", change)
    data = ["--data", str(trained / DATA[task])]
    argv = {
        "adding": ["evaluate", "x.pth"],
        "evaluate": ["evaluate", "x.pth", *data],
        "predict": ["predict", "x.pth", *data, "--output", "x.csv"],
        "train": ["train", "--resume", "x.pth"],
    }
    end = Ended(argv[command])
    assert not end.fault(), end.fault()
    assert end.status == (0 if path[0] == "residual_quantiles" else 2), end.err


@pytest.mark.parametrize(
    "option, value",
    [("--forget-bias", "1e308"), ("--forget-bias", "-1e39"), ("--seed", str(2**128)), ("--clip", "1e301")],
)
def test_what_an_option_takes_a_file_can_hold(trained, tmp_path, monkeypatch, option, value):
    monkeypatch.chdir(tmp_path)
    end = Ended(["train", "--data", str(trained / "forecast.csv"), option, value, *SMALL])
    assert end.status == 2 and not end.fault() and option in end.err and os.listdir() == []


def test_a_model_that_could_not_be_read_is_not_saved(tmp_path):
    with pytest.raises(ValueError, match="cannot be saved: its config has forget_bias 1e"):
        npseq.save(tmp_path / "x.pth", npseq.Model("lstm", 1, 2, forget_bias=1e305, dtype=float, rng=0))
    assert os.listdir(tmp_path) == []
