"""A class for each row of a sequence: from a table to answers."""

import csv

import numpy as np
import pytest

import npseq
from npseq import data, forecast, tasks
from npseq.cli import commands
from npseq.tasks.metadata import Metadata
from npseq.tasks.recipe import from_json
from npseq.tasks.scoring import mean_loss, outputs
from npseq.tasks.sequences import IGNORED


def table(path, count=24, missing=()):
    """Sequences of 3 to 8 rows; a row's label says whether x of the row before was positive: one row of memory."""
    rng, lines = np.random.default_rng(0), ["who,x,mood"]
    for s in range(count):
        x = rng.normal(size=int(rng.integers(3, 9)))
        for t, value in enumerate(x):
            label = "" if (s, t) in missing else "up" if t and x[t - 1] > 0 else "down"
            lines.append(f"s{s},{value:.4f},{label}")
    path.write_text("\n".join(lines))
    return path


def loaded(path):
    return data.load_sequences(path, "who", "mood", each_row=True)[0]


def run(*argv):
    try:
        return commands.main(list(map(str, argv)))
    except SystemExit as end:
        return end.code


def test_rows_keep_their_labels_and_empty_ones_have_none(tmp_path):
    sequences = loaded(table(tmp_path / "t.csv", missing={(0, 0), (2, 1)}))
    assert sequences.classes == ["down", "up"] and len(sequences.row_labels) == len(sequences.frames)
    assert sequences.row_labels[0] == -1 and (sequences.row_labels == -1).sum() == 2
    x = sequences.frames[:, 0]
    for start, end in zip(sequences.starts, sequences.starts[1:]):
        for t in range(start + 1, end):
            if sequences.row_labels[t] >= 0:
                assert sequences.row_labels[t] == (x[t - 1] > 0)
    assert loaded(table(tmp_path / "t.csv")).fingerprint() != sequences.fingerprint()


def test_batches_respect_lengths_and_rows_without_a_label(tmp_path):
    task = tasks.SequenceTask(loaded(table(tmp_path / "t.csv", missing={(0, 0)})), target="row")
    rows = np.arange(5)
    x, target, lengths = task.batch(rows)
    assert x.shape == (*target.shape, 1) and target.shape == (5, lengths.max())
    there = np.arange(target.shape[1]) < lengths[:, None]
    assert (target[~there] == IGNORED).all() and target[0, 0] == IGNORED
    assert task.weight(rows) == there.sum() - 1 == (target != IGNORED).sum()
    assert list(task.baselines()) == ["most frequent class", "nearest mean row"]
    # what stands in the padding, and the batch a sequence is in, change nothing
    model = npseq.Model("lstm", 1, 4, 2, loss="cross_entropy", outputs="all", dtype=np.float64, rng=0)
    together = outputs(model, task, rows)
    alone = np.concatenate([outputs(model, task, rows[k : k + 1]) for k in range(5)])
    assert np.allclose(together, alone, rtol=0, atol=1e-14)
    losses = [mean_loss(model, task, rows[k : k + 1]) * task.weight(rows[k : k + 1]) for k in range(5)]
    assert mean_loss(model, task, rows, 2) == pytest.approx(sum(losses) / task.weight(rows), rel=1e-12)
    assert task.metrics(together, rows)["accuracy"] == pytest.approx(
        (together.argmax(axis=1) == target[there])[target[there] >= 0].mean()
    )


def test_the_recipe_comes_back_and_an_unknown_class_is_refused(tmp_path):
    task = tasks.SequenceTask(loaded(table(tmp_path / "t.csv")), target="row")
    recipe = from_json(task.recipe().to_json())
    assert recipe.to_json() == task.recipe().to_json()
    other = loaded(table(tmp_path / "u.csv", 5))
    assert np.array_equal(tasks.SequenceDataset.from_recipe(recipe, other).labels, other.row_labels)
    other.classes = ["down", "sideways"]
    with pytest.raises(data.DataError, match="has the class 'sideways'; the model knows down, up"):
        tasks.SequenceDataset.from_recipe(recipe, other)


def test_a_model_reads_rows_in_data_units_and_answers_with_logits(tmp_path):
    task = tasks.SequenceTask(loaded(table(tmp_path / "t.csv")), target="row")
    scaling = task.scaling()
    assert scaling.inputs is task.scaler and np.array_equal(scaling.outputs.to_units(np.ones((1, 2))), np.ones((1, 2)))


def test_too_few_sequences_are_refused(tmp_path):
    with pytest.raises(
        data.DataError,
        match="has 2 sequences: too few for a training, a validation and a test part; at least 3 expected",
    ):
        tasks.SequenceTask(loaded(table(tmp_path / "t.csv", 2)), target="row")


@pytest.mark.wide
def test_train_evaluate_and_predict_with_a_label_for_each_row(tmp_path, capsys):
    path = table(tmp_path / "t.csv", 80, missing={(0, 0)})
    named = ["--sequence", "who", "--label", "mood"]
    options = ["--label-each-row", *named, "--model", "gru", "--lr", "0.03", "--epochs", "20", "--hidden-size", "6"]
    assert run("train", "--data", path, "--out-dir", tmp_path, *options) == 0
    out = capsys.readouterr().out
    assert "rows have one of 2 classes" in out and "nearest mean row" in out and "recall" in out
    file = tmp_path / "rnn_gru_best.pth"
    model = npseq.load(file)
    assert model.config["outputs"] == "all"
    task = tasks.SequenceTask(loaded(path), target="row")
    rows = task.parts["test"]
    score = task.metrics(outputs(model, task, rows), rows)["accuracy"]
    assert score > max(row["accuracy"] for row in task.baselines().values()) + 0.1 and score > 0.9
    assert run("evaluate", file, "--data", path) == 0
    out = capsys.readouterr().out
    assert f"{score:.1%}" in out and f" in {len(rows)} sequences, the test part" in out
    assert run("evaluate", file, "--data", path, "--part", "all") == 0
    assert " in 80 sequences, all of t.csv" in capsys.readouterr().out
    pytest.importorskip("pandas")  # predict is not told of the column of labels, which is text
    assert run("predict", file, "--data", path, "--output", tmp_path / "p.csv") == 0
    with open(tmp_path / "p.csv") as lines:
        answers = list(csv.DictReader(lines))
    assert len(answers) == len(loaded(path).frames) and list(answers[0]) == [
        "sequence",
        "row",
        "answer",
        "p_down",
        "p_up",
    ]
    assert answers[0]["sequence"] == "s0" and [a["row"] for a in answers[:3]] == ["1", "2", "3"]


def test_predict_frame_refuses_a_model_that_does_not_forecast(tmp_path):
    pd = pytest.importorskip("pandas")
    path, file = table(tmp_path / "t.csv"), str(tmp_path / "m.pth")
    task = tasks.SequenceTask(loaded(path), target="row")
    model = npseq.Model("rnn", task.input_size, 2, task.output_size, loss=task.loss, outputs="all", rng=0)
    npseq.save(file, model, Metadata(task.recipe()).to_json())
    with pytest.raises(data.DataError, match="a model of the task 'label' given; one that forecasts expected"):
        forecast.predict_frame(file, pd.read_csv(path))


@pytest.mark.parametrize("options", [["--label", "mood"], ["--sequence", "who"], ["--label", "mood", "--regress"]])
def test_both_columns_are_needed(tmp_path, capsys, options):
    path = table(tmp_path / "t.csv")
    assert run("train", "--data", path, "--label-each-row", "--out-dir", tmp_path, *options) == 2
    assert "--label-each-row needs --sequence COLUMN" in capsys.readouterr().err
