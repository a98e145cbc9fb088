"""What the commands do with each kind of task: its options, its lines, its files; nothing is read twice."""

import argparse
import csv
import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from running import ended, run

import npseq
from npseq import data, tasks
from npseq.cli import adding, backtest, experiment, gradient_flow, kinds, plots, progress, text_options, training_run
from npseq.data import DataError
from npseq.tasks.metadata import Metadata

SMALL = "--model rnn --epochs 1 --hidden-size 2 --quiet --history h.csv"


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Twelve sequences of three rows, with a class and a number for each and a class for each row."""
    monkeypatch.chdir(tmp_path)
    pytest.importorskip("pandas")  # columns of text beside the one that is read
    rows = [
        f"s{k},{np.sin(k + t):.3f},{'ab'[k % 2]},{k * 0.5},{'ud'[(k + t) % 2]}" for k in range(12) for t in range(3)
    ]
    (tmp_path / "t.csv").write_text("who,x,class,number,mood\n" + "\n".join(rows))
    return tmp_path / "t.csv"


@pytest.mark.parametrize(
    "options, first, header, count",
    [
        ("--label class --inputs x", "12 sequences, all of t.csv", "sequence answer p_a p_b", 12),
        ("--label number --regress --inputs x", "12 sequences, all of t.csv", "sequence prediction", 12),
        (
            "--label mood --label-each-row --inputs x",
            "36 rows with a label in 12 sequences, all of t.csv",
            "sequence row answer p_d p_u",
            36,
        ),
    ],
    ids=["class", "number", "row"],
)
def test_sequences_are_trained_evaluated_and_predicted(table, options, first, header, count, capsys):
    assert run(f"train --data t.csv --sequence who {options} {SMALL}") == 0
    with open("h.csv") as lines:
        assert [row["epoch"] for row in csv.DictReader(lines)] == ["1"]
    capsys.readouterr()
    assert run("evaluate rnn_rnn_best.pth --data t.csv --part all") == 0
    shown = capsys.readouterr().out
    assert shown.splitlines()[0] == first and "rnn" in shown and ("recall" in shown) == ("--regress" not in options)
    assert run("predict rnn_rnn_best.pth --data t.csv --output p.csv") == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"{count} ")
    with open("p.csv") as lines:
        found = list(csv.reader(lines))
    assert found[0] == header.split() and len(found) == count + 1 and found[1][0] == "s0"
    commands = ["evaluate --steps 3", "predict --output q.csv --steps 3", "predict --output q.csv --plot p.png"]
    for command in commands + ["evaluate --plot p.png"] * ("--regress" in options):
        assert run(f"{command} rnn_rnn_best.pth --data t.csv") == 2
        assert "apply to forecasts only: leave them out" in capsys.readouterr().err
    if "--regress" not in options and importlib.util.find_spec("matplotlib"):
        assert run("evaluate rnn_rnn_best.pth --data t.csv --part all --plot p.svg") == 0
        assert "accuracy" in capsys.readouterr().out and Path("p.svg").read_text().count("answer") == 1


def test_past_covariates_leave_the_table_and_an_advice_with_an_option(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    y = np.sin(np.arange(200) / 3)
    (tmp_path / "t.csv").write_text("y,x\n" + "\n".join(f"{a:.4f},{a * a:.4f}" for a in y))
    assert run("train --data t.csv --inputs x --window 4 --base none --lags none " + SMALL) == 0
    assert run("evaluate rnn_rnn_best.pth --data t.csv") == 0
    shown = capsys.readouterr().out
    assert "RMSE" in shown and "train with --future x and give their values ahead, or train without --inputs" in shown


def test_the_adding_problem_has_two_steps_at_least():
    assert adding.read(argparse.Namespace(length=2)) is None
    with pytest.raises(DataError, match="--length 1 given; at least 2 expected"):
        adding.read(argparse.Namespace(length=1))


@pytest.mark.parametrize(
    "words, kind",
    [
        ("--data metro_traffic", "forecast"),
        ("--data adding", "adding"),
        ("--data japanese_vowels", "classify"),
        ("--data x.csv --label a", "classify"),
        ("--data x.csv --sequence a --label b --label-each-row", "label"),
        ("--data x.csv --label a --task forecast", "forecast"),
        ("--data tiny_shakespeare", "text"),
    ],
)
def test_the_kind_follows_from_the_options(words, kind):
    p = training_run.parser()
    args = experiment.settled(p, p.parse_args(words.split()), p.given(words.split()))
    assert kinds.asked_for(args) is kinds.KINDS[kind] or kinds.asked_for(args).read is kinds.KINDS[kind].read
    before = dict(vars(args))
    kinds.asked_for(args)
    assert vars(args) == before


def test_no_option_changes_while_a_training_is_built(table):
    p, words = training_run.parser(), f"--data t.csv --sequence who --label class --inputs x {SMALL}".split()
    args = experiment.settled(p, p.parse_args(words), p.given(words))
    before, loaded = dict(vars(args)), kinds.asked_for(args).read(args)
    table.unlink()  # what was read is handed on
    built = experiment.build(args, loaded=loaded)
    assert vars(args) == before and built.run.task.kind == "classify" and built.run.config.batch_size == 16
    assert (
        built.options["batch_size"] == 16 and args.batch_size is None and not set(built.options) & {"threads", "quiet"}
    )


def test_twelve_origins_are_enough_for_a_backtest(tmp_path):
    no = dict.fromkeys("resume checkpoint report history plot sequence label regress label_each_row task".split())
    backtest.check(argparse.Namespace(backtest=12, data="x.csv", **no))
    for name in ("resume", "label"):
        with pytest.raises(backtest.BacktestError):
            backtest.check(argparse.Namespace(**{**no, "backtest": 12, "data": "x.csv", name: "x"}))
    with pytest.raises(backtest.BacktestError, match="is for forecasts"):
        backtest.check(argparse.Namespace(backtest=2, data="adding", **no))


def test_a_picture_that_cannot_be_drawn_is_refused_before_anything_is_trained(capsys, monkeypatch):
    monkeypatch.setattr(gradient_flow, "make_task", lambda args: pytest.fail("too late"))
    assert ended(gradient_flow.main, "--plot flow.txt") == 2
    assert "flow.txt: a picture is written as .png or .svg" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("terminal", "quiet", "shown"), [(True, False, True), (True, True, False), (False, False, False)]
)
def test_the_bar_of_an_epoch_is_shown_in_a_terminal_and_removed(monkeypatch, capsys, terminal, quiet, shown):
    module, made = ModuleType("tqdm"), []

    class tqdm(SimpleNamespace):
        def __init__(self, items=None, **options):
            super().__init__(**options, done=0, closed=False)
            made.append(self)

        def update(self):
            self.done += 1

        def close(self):
            self.closed = True

    module.tqdm = tqdm
    monkeypatch.setitem(sys.modules, "tqdm", module)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    bar = progress.EpochBar(3, quiet)
    for done in range(2):
        if bar.step is not None:
            bar.step(1, done, 5)
    bar.line("epoch 1")
    assert capsys.readouterr().out == ("" if quiet else "epoch 1\n")
    assert [(one.total, one.done, one.closed, one.leave, one.unit) for one in made] == [
        (5, 2, True, False, "batch")
    ] * shown
    items = progress.bar("reading")([1, 2])
    assert (items == [1, 2]) != terminal


def test_the_gradient_is_drawn_relative_to_the_last_step():
    drawn = []
    axes = SimpleNamespace(
        plot=lambda y, **how: drawn.append((y, how["ls"], how["label"])), set_yscale=lambda scale: None
    )
    norms = {"h": np.array([4.0, 2.0, 0.0]), "c": np.array([2.0, 0.0, 1.0])}
    flow = SimpleNamespace(norms=norms, paths={"both": np.array([8.0, 0.0, 1.0])})
    plots._paths(axes, {"gru": flow}, {"gru": "k"})
    plots._norms(axes, {"lstm": flow}, {"lstm": "k"})
    plots._norms(axes, {"rnn": SimpleNamespace(norms={"h": norms["h"]})}, {"rnn": "k"})
    assert [how for _, *how in drawn] == [["-", "gru, both paths"], ["-", "lstm dh"], ["--", "lstm dc"], ["-", "rnn"]]
    for (y, *_), expected in zip(drawn, ([2.0, np.nan, 0.25], [1.0, 0.5, np.nan], [0.5, np.nan, 0.25])):
        assert np.array_equal(y, expected, equal_nan=True)


@pytest.mark.parametrize(
    "words",
    ["exercise start -h", "exercise solution -h", "sample x --seed 3 -h", "train --seed 3 -h", "flow --seed 3 -h"],
)
def test_a_command_that_draws_has_a_seed(words, capsys):
    assert run(words) == 0 and "--seed" in capsys.readouterr().out


def test_a_text_refuses_options_of_tables(tmp_path):
    (tmp_path / "x.txt").write_text("to be or not to be " * 20)
    p = training_run.parser()

    def args(*more):
        words = ["--data", str(tmp_path / "x.txt"), "--task", "text", *more]
        return experiment.settled(p, p.parse_args(words), p.given(words))

    assert isinstance(kinds.make_task(args()).corpus, data.Corpus)
    for more in (["--target", "a"], ["--regress"], ["--horizon", "2"], ["--base", "none"], ["--bidirectional"]):
        with pytest.raises(DataError, match=more[0]):
            kinds.make_task(args(*more))


@pytest.mark.wide
def test_of_shipped_sequences_the_published_test_part_is_predicted(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    task = tasks.SequenceTask(*data.load_sequences("japanese_vowels"))
    model = npseq.Model("rnn", task.input_size, 2, task.output_size, loss=task.loss, rng=0, scaling=task.scaling())
    npseq.save("m.pth", model, Metadata(task.recipe()).to_json())
    assert run("predict m.pth --data japanese_vowels --output p.csv") == 0
    assert "370 sequences classified in p.csv" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words, parts",
    [("0.9,0.05,0.05", [0.9, 0.05, 0.05]), ("0.9,0.1", [0.9, 0.1, 0.0]), ("0.5,0.501", None), ("1,0,0,0", None)],
)
def test_the_fractions_of_a_text_add_up_to_one(words, parts):
    if parts is None:
        with pytest.raises(argparse.ArgumentTypeError, match="expected that add up to 1"):
            text_options.fractions(words)
    else:
        assert text_options.fractions(words) == parts
