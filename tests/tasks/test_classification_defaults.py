"""The defaults of a class for each sequence: patches, number of updates, what is said of the scores."""

import json

import numpy as np
import pytest
from running import run

import npseq
from npseq.cli.tables import remarks
from npseq.nn.scaling import Scaler, Scaling, patches
from npseq.tasks.sequences import patch_for
from npseq.training.config import TrainingConfig


@pytest.mark.parametrize("size", [2, 3, 8, 16])
def test_patches_overlap_by_half_and_those_of_a_padded_sequence_are_its_own(size):
    lengths = np.array([0, 1, 7, 8, 9, 16, 17, 24, 25, 40])
    x = np.random.default_rng(0).normal(size=(len(lengths), 40, 2)) * (np.arange(40) < lengths[:, None])[:, :, None]
    cut, counts = patches(x, size, lengths)
    for one, n, found, count in zip(x, lengths, cut, counts):
        alone, _ = patches(one[None, :n], size)
        assert alone.shape == (1, count, 2 * size) and np.array_equal(alone[0], found[:count])
        for k in range(count):
            rows = one[k * (size // 2) :][:size]
            assert np.array_equal(found[k].reshape(size, 2)[: len(rows)], rows)
        assert n == 0 or (count - 1) * (size // 2) + size >= n  # every row is in a patch
    assert patches(x, 1, lengths)[0] is x


@pytest.mark.parametrize(
    "lengths, rows",
    [([7, 7], 1), ([8, 8], 8), ([39, 39], 8), ([38, 39], 1), ([40, 40], 16), ([1, 40, 90], 16), ([1, 39, 90], 1)],
)
def test_the_patch_follows_from_the_lengths(lengths, rows):
    assert patch_for(np.array(lengths)) == rows


@pytest.mark.parametrize("count, epochs", [(50, 150), (320, 30), (5000, 30)])
def test_epochs_follow_from_the_number_of_sequences_unless_they_are_given(count, epochs):
    config = TrainingConfig.to_classify(count)
    updates = epochs * -(-count // 16)
    assert (config.epochs, config.schedule, config.warmup) == (epochs, "cosine", updates // 20)
    given = TrainingConfig.to_classify(count, epochs=4, lr=0.1, read="final")
    assert (given.epochs, given.schedule, given.warmup, given.lr, given.read) == (4, "auto", 0, 0.1, "final")
    lbfgs = TrainingConfig.to_classify(count, optimizer="lbfgs")
    assert (lbfgs.epochs, lbfgs.schedule, lbfgs.warmup) == (30, "auto", 0)


def test_a_model_of_patches_takes_rows_and_keeps_that_in_its_file(tmp_path):
    inputs = Scaler([1.0, 2.0], [3.0, 4.0])
    scaling = Scaling(inputs.repeat(4), Scaler.identity(3), patch=4)
    model = npseq.Model("gru", 8, 3, 3, loss="cross_entropy", read="mean+max", scaling=scaling, dtype=np.float64, rng=0)
    npseq.save(tmp_path / "m.pth", model)
    x, lengths = np.random.default_rng(0).normal(size=(2, 9, 2)), np.array([9, 5])
    y = npseq.load(tmp_path / "m.pth").predict(x, lengths)
    expected = [model.outputs(patches(inputs.standardise(one[None, :n]), 4)[0])[0] for one, n in zip(x, lengths)]
    assert np.allclose(y, expected, rtol=1e-12)
    with pytest.raises(ValueError, match=r"\(B, T, 2\) or \(T, 2\) expected"):
        model.predict(np.zeros((2, 9, 8)))


@pytest.mark.parametrize(
    "accuracy, losses, said",
    [
        (0.9, [1.0, 0.5, 0.6], []),
        (0.8, [1.0, 0.5, 0.6], ["1-NN is as good as lstm or better"]),
        (0.57, [1.0, 0.5, 0.6], ["1-NN is", "the accuracy is at chance"]),
        (0.9, [1.0, 0.5, 0.496], []),
        (0.9, [1.0, 0.5, 0.494], ["the validation loss was still falling: more updates"]),
        (0.9, [1.0], []),
    ],
)
def test_what_the_scores_mean_is_said(accuracy, losses, said):
    baselines = {"most frequent class": {"accuracy": 0.5}, "1-NN": {"accuracy": 0.8}}
    lines = remarks("lstm", {"accuracy": accuracy, "confusion": [[50, 0], [0, 50]]}, baselines, losses)
    assert [line.startswith(start) for line, start in zip(lines[1:], said)] == [True] * len(said)
    assert len(lines) == (len(said) + 1 if said else 0)


def bumps(n, seed):
    """n sequences of 45 to 60 rows of noise; those of class b have a bump somewhere."""
    rng, rows = np.random.default_rng(seed), []
    for k in range(n):
        z = rng.normal(0, 0.3, rng.integers(45, 61))
        if k % 2:
            z[(start := rng.integers(0, 35)) : start + 10] += 1.5 * np.sin(np.linspace(0, 2 * np.pi, 10))
        rows += [f"s{k},{value:.3f},{'ab'[k % 2]}" for value in z]
    return "who,x,class\n" + "\n".join(rows)


@pytest.mark.wide
def test_the_command_has_the_defaults_of_the_estimator_where_nothing_is_typed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text(bumps(60, 0))
    words = "--data t.csv --sequence who --label class --inputs x --model optimized_lstm --report r.json"
    assert run(f"train {words} --checkpoint") == 0
    report, shown = json.loads((tmp_path / "r.json").read_text()), capsys.readouterr().out
    assert {"1-NN", "linear in simple statistics"} <= set(report["baselines"]) and "1-NN" in shown
    model = npseq.load("rnn_optimized_lstm_best.pth")
    assert model.config["bidirectional"] and model.read == "mean+max" and model.scaling.patch == 16
    assert report["epochs_run"] * 3 >= 600 and len({row["lr"] for row in report["history"]}) > 10
    epochs = report["epochs_run"]
    assert run(f"train --resume rnn_optimized_lstm_last.pth --epochs {epochs + 1} --quiet") == 0
    typed = f"{words} --epochs 2 --lr 0.01 --patch 1 --read final --no-bidirectional --quiet"
    assert run(f"train {typed}") == 0
    model = npseq.load("rnn_optimized_lstm_best.pth")
    assert not model.config.get("bidirectional") and model.read == "final" and model.scaling.patch == 1
    history = json.loads((tmp_path / "r.json").read_text())["history"]
    assert [row["lr"] for row in history] == [0.01, 0.01]


def test_a_label_for_each_row_has_no_patch(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text(bumps(12, 0))
    assert run("train --data t.csv --sequence who --label class --label-each-row --inputs x --patch 4 --quiet") == 2
    assert "a patch of 4 rows has one answer; 1 row expected" in capsys.readouterr().err
