"""Arrays as a task: batches, parts, and what is refused."""

import numpy as np
import pytest

import npseq
from npseq import fit, optim
from npseq.tasks import Arrays
from npseq.tasks.scoring import mean_loss, outputs

X, Y = np.arange(40.0).reshape(20, 2), np.arange(20.0)[:, None]


def test_batches_have_the_rows_and_the_models_dtype_and_integers_stay():
    task = Arrays((X, np.arange(20)), Y, np.arange(20) % 3, np.ones(20))
    x, target, lengths, weights = task.batch(np.array([3, 5]), np.float64)
    assert x[0].dtype == np.float64 and np.array_equal(x[0], X[[3, 5]]) and x[1].dtype == np.arange(2).dtype
    assert np.array_equal(target, Y[[3, 5]]) and lengths.tolist() == [0, 2] and weights.tolist() == [1, 1]
    assert Arrays(X, Y).batch(np.array([1])).x.dtype == np.float32 and len(Arrays(X, Y).batch(np.array([1]))) == 3


def test_parts_are_drawn_taken_in_order_or_given():
    drawn = Arrays(X, Y).parts
    assert [len(rows) for rows in drawn.values()] == [14, 3, 3] and list(drawn) == ["train", "validation", "test"]
    assert sorted(np.concatenate(list(drawn.values()))) == list(range(20)) and drawn["train"].tolist() != list(
        range(14)
    )
    assert Arrays(X, Y).parts["test"].tolist() == drawn["test"].tolist() != Arrays(X, Y, rng=1).parts["test"].tolist()
    ordered = Arrays(X, Y, parts=(0.5, 0.5), shuffle=False).parts
    assert ordered["validation"].tolist() == list(range(10, 20)) and "test" not in ordered
    given = Arrays(X, Y, parts={"train": range(5), "validation": [7]}).parts
    assert given["train"].tolist() == list(range(5)) and given["validation"].tolist() == [7]


@pytest.mark.parametrize(
    "arguments, options, message",
    [
        ((X, Y[:19]), {}, "arrays of one length expected; target 19, x 20 given"),
        (((X, X[:3]), Y), {}, r"target 20, x\[0\] 20, x\[1\] 3 given"),
        ((X, Y), {"parts": (0.5, 0.4)}, r"add up to 1 expected; \(0.5, 0.4\) given"),
        ((X, Y), {"parts": (1.0,)}, "two or three fractions"),
        ((X, Y), {"parts": (0.98, 0.01, 0.01)}, "20 examples are too few for these fractions: train 20, validation 0"),
        ((X, Y), {"parts": {"train": [1]}}, "parts named train, validation and perhaps test expected; train given"),
        ((X, Y), {"parts": {"train": [1], "validation": [20]}}, "validation must be numbers of examples from 0 to 19"),
        ((X, Y), {"parts": {"train": [1], "validation": []}}, "validation must be numbers"),
        ((X, Y), {"parts": {"train": [1, 2], "validation": [2]}}, "an example is in two parts, or twice in one"),
    ],
    ids=str,
)
def test_what_fits_no_parts_is_refused(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        Arrays(*arguments, **options)


@pytest.mark.parametrize(
    "make", [lambda: npseq.Linear(2, 1, rng=0), lambda: npseq.Sequential(npseq.Linear(2, 1, rng=0))]
)
def test_any_module_is_trained_and_scored(make):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2))
    task, net = Arrays(x, x @ [[1.0], [-2.0]] + 3), make()
    progress = fit.fit(net, task, optim.Adam(net.theta, lr=0.05), epochs=30, rng=0)
    assert progress.best_loss < 1e-3 and np.allclose(net.theta, [1, -2, 3], atol=0.1)
    rows = task.parts["test"]
    assert outputs(net, task, rows).shape == (len(rows), 1) and mean_loss(net, task, rows) < 1e-3
    again = make()
    fit.fit_lbfgs(again, task, epochs=30)
    assert np.allclose(again.theta, [1, -2, 3], atol=1e-3)
