"""Sequences with a number each: the parts, the scores beside simple models, the recipe, and that it is learned."""

import numpy as np
import pytest

from npseq import Model, data, fit, optim, tasks
from npseq.data.sequences import Sequences
from npseq.tasks.recipe import from_json
from npseq.tasks.scoring import outputs
from npseq.tasks.sequences import IGNORED


def ramps(count=120, seed=0):
    """Sequences of 5 to 15 steps; the number of each is 3 + 2 · (last − first value of the first column)."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(5, 16, count)
    frames = [np.cumsum(rng.normal(size=(n, 2)), axis=0) for n in lengths]
    targets = np.array([3 + 2 * (f[-1, 0] - f[0, 0]) for f in frames])
    starts = np.append(0, np.cumsum(lengths))
    return Sequences("ramps", np.concatenate(frames), ["a", "b"], starts, np.zeros(count, int), [], targets=targets)


def test_each_sequence_is_in_one_part_and_scalers_are_fitted_on_the_training_part():
    sequences = ramps()
    task = tasks.SequenceTask(sequences, target="number", seed=1)
    rows = np.sort(np.concatenate(list(task.parts.values())))
    assert rows.tolist() == list(range(120)) and [len(task.parts[p]) for p in ("test", "validation")] == [18, 15]
    kept = task.parts["train"]
    assert np.allclose(task.target_scaler.mean, sequences.targets[kept].mean())
    x, target, lengths = task.batch(kept, np.float64)
    assert np.allclose(target.mean(), 0, atol=1e-12) and np.allclose(target.std(), 1)
    assert np.allclose(x.sum((0, 1)), 0, atol=1e-9) and lengths.max() == x.shape[1]
    assert not np.array_equal(tasks.SequenceTask(sequences, target="number", seed=2).parts["test"], task.parts["test"])


def test_metrics_are_in_data_units_and_equal_their_definitions():
    task = tasks.SequenceTask(ramps(), target="number")
    rows = task.parts["test"]
    truth = task.sequences.targets[rows]
    found = task.metrics(truth[:, None] + 0.5, rows)
    assert np.isclose(found["rmse"], 0.5) and np.isclose(found["mae"], 0.5)
    assert np.isclose(found["r2"], 1 - 0.25 * len(rows) / ((truth - truth.mean()) ** 2).sum())
    assert task.metrics(truth[:1, None], rows[:1])["r2"] is None


def test_a_linear_model_of_simple_statistics_is_the_stronger_baseline():
    found = tasks.SequenceTask(ramps(), target="number").baselines()
    assert found["linear in simple statistics"]["r2"] > 0.3 > found["mean"]["r2"]


def test_every_number_counts_that_of_rows_without_a_label_too():
    sequences = ramps()
    sequences.targets[:] = IGNORED
    sequences.targets[::2] = 1
    task = tasks.SequenceTask(sequences, target="number")
    assert task.weight(task.parts["train"]) == len(task.parts["train"])
    assert np.allclose(task.to_units(np.zeros((2, 1))), task.numbers(task.parts["train"]).mean())


def test_a_recipe_goes_through_json_and_gives_the_same_examples():
    task = tasks.SequenceTask(ramps(), target="number")
    recipe = from_json(task.recipe().to_json())
    again = tasks.SequenceDataset.from_recipe(recipe, task.sequences)
    for a, b in zip(task.batch(task.parts["test"]), again.batch(task.parts["test"])):
        assert np.array_equal(a, b)
    without = {name: value for name, value in task.recipe().to_json().items() if name != "patch"}
    assert from_json(without).patch == 1
    broken = {**task.recipe().to_json(), "target_spread": 0}
    with pytest.raises(ValueError, match="target_spread 0"):
        from_json(broken)


@pytest.mark.wide
def test_a_network_learns_it_better_than_the_linear_model():
    task = tasks.SequenceTask(ramps(400), target="number")
    model = Model("optimized_gru", 2, 16, 1, rng=0, scaling=task.scaling())
    fit.fit(model, task, optim.Adam(model.theta, lr=0.01), epochs=30, batch_size=16, rng=0)
    rows = task.parts["test"]
    score = task.metrics(outputs(model, task, rows), rows)["rmse"]
    assert score < task.baselines()["linear in simple statistics"]["rmse"]
    frames = task.sequences.frames[: task.sequences.starts[1]]
    assert np.allclose(model.predict(frames), outputs(model, task, np.array([0]))[0], rtol=1e-5)


def test_too_few_sequences_and_missing_numbers_are_refused():
    few = ramps(2)
    with pytest.raises(data.DataError, match="2 sequences: too few"):
        tasks.SequenceTask(few, target="number")
    nameless = ramps(9)
    nameless.targets = None
    with pytest.raises(data.DataError, match="no number"):
        tasks.SequenceTask(nameless, target="number")
