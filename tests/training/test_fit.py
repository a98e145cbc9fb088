"""The training loop: what it keeps, when it stops, and that it learns."""

import numpy as np
import pytest

from npseq import optim
from npseq.fit import Diverged, fit
from npseq.nn.model import Model
from npseq.tasks import Batch, Task
from npseq.tasks.scoring import mean_loss, outputs


class Sums(Task):
    """Predict the sum of a short sequence: a task that any recurrent network learns."""

    def __init__(self, count=200):
        rng = np.random.default_rng(0)
        self.x = rng.uniform(-0.5, 0.5, size=(count, 4, 1))
        self.target = self.x.sum(1)
        self.parts = {"train": np.arange(count // 2), "validation": np.arange(count // 2, count), "test": np.arange(0)}

    def examples(self, rows, dtype):
        return Batch(self.x[rows].astype(dtype), None)

    def batch(self, rows, dtype):
        return self.examples(rows, dtype)._replace(target=self.target[rows].astype(dtype))


class Scripted:
    """A model whose validation losses are given: the loop's decisions, without any learning."""

    loss, dtype = "mse", np.dtype(np.float64)

    def __init__(self, losses):
        self.theta, self.losses, self.seen = np.zeros(1), list(losses), []

    def loss_and_grad(self, batch):
        return 1.0, np.ones(1)

    def loss_of(self, batch):
        self.seen.append(self.theta.copy())
        return self.losses[len(self.seen) - 1]


class Still:
    """An optimiser that moves nothing."""

    lr = 0.0

    def step(self, grad):
        pass


def scripted(losses, **options):
    model, task = Scripted(losses), Sums(20)
    progress = fit(model, task, optim.SGD(model.theta, lr=1.0), batch_size=10, **options)
    return model, progress


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru", "optimized_lstm"])
def test_it_learns(kind):
    model, task = Model(kind, 1, 8, rng=0), Sums()
    before = mean_loss(model, task, task.parts["validation"])
    fit(model, task, optim.Adam(model.theta, lr=0.02), epochs=15, batch_size=10, rng=1)
    assert mean_loss(model, task, task.parts["validation"]) < 0.1 * before


def test_the_best_weights_come_back_even_when_later_epochs_are_worse():
    model, progress = scripted([3.0, 1.0, 2.0, 1.0], epochs=4)
    assert (progress.best_epoch, progress.best_loss) == (2, 1.0)
    assert np.array_equal(model.theta, model.seen[1])


def test_patience_stops_after_so_many_epochs_without_a_better_one():
    _, progress = scripted([3.0, 1.0, 2.0, 2.0, 0.5], epochs=5, patience=2)
    assert progress.epoch == 4


def test_a_run_that_patience_has_stopped_is_not_continued_when_it_is_resumed():
    _, progress = scripted([3.0, 1.0, 2.0, 2.0], epochs=5, patience=2)
    model, again = scripted([0.5], epochs=5, patience=2, progress=progress)
    assert again.epoch == 4 and not model.seen
    assert scripted([0.5], epochs=5, patience=3, progress=progress)[1].best_epoch == 5


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"patience": 0}], ids=str)
def test_options_below_one_are_refused(options):
    model = Scripted([1.0])
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be at least 1; 0 given"):
        fit(model, Sums(20), optim.SGD(model.theta), **options)


def test_a_loss_that_is_not_finite_is_never_the_best():
    with pytest.raises(Diverged) as error:
        scripted([3.0, np.nan, 1.0], epochs=3)
    assert error.value.epoch == 2


def test_divergence_leaves_the_last_good_weights():
    model, task = Scripted([3.0, np.inf]), Sums(20)
    with pytest.raises(Diverged):
        fit(model, task, optim.SGD(model.theta, lr=1.0), epochs=3, batch_size=10)
    assert np.array_equal(model.theta, model.seen[0])


def test_an_interrupt_ends_it_with_the_best_weights_so_far():
    def interrupt(progress, improved):
        if progress.epoch == 2:
            raise KeyboardInterrupt

    model, progress = scripted([1.0, 2.0, 0.5], epochs=3, on_epoch=interrupt)
    assert progress.interrupted and progress.epoch == 2
    assert np.array_equal(model.theta, model.seen[0])


def test_the_gradient_is_clipped_to_the_global_norm():
    model = Scripted([1.0])
    model.loss_and_grad = lambda batch: (1.0, np.full(1, 50.0))
    fit(model, Sums(20), optim.SGD(model.theta, lr=1.0), epochs=1, batch_size=10, clip=0.5)
    assert np.isclose(model.theta[0], -0.5, rtol=1e-5)  # one update of norm ½


def test_every_example_is_seen_once_an_epoch_in_an_order_from_the_generator():
    seen = []
    for seed in (1, 1, 2):
        task, rows = Sums(50), []
        gather = task.batch
        task.batch = lambda r, dtype: (rows.append(r), gather(r, dtype))[1]
        fit(Model("rnn", 1, 2, rng=0), task, Still(), epochs=1, batch_size=8, rng=seed)
        seen.append(np.concatenate(rows[:4]))
        assert sorted(seen[-1]) == list(range(25)) and [len(r) for r in rows[:4]] == [8, 8, 8, 1]
    assert np.array_equal(seen[0], seen[1]) and not np.array_equal(seen[0], seen[2])


def test_a_ragged_last_batch_counts_by_its_examples():
    model, task = Model("rnn", 1, 2, rng=0, dtype=np.float64), Sums(50)
    rows = task.parts["validation"]
    assert np.isclose(
        mean_loss(model, task, rows, batch_size=7), model.loss_of(task.batch(rows, np.float64)), rtol=1e-12
    )


def test_predictions_do_not_depend_on_the_batch_size():
    model, task = Model("gru", 1, 3, rng=0, dtype=np.float64), Sums(50)
    rows = task.parts["train"]
    assert np.allclose(outputs(model, task, rows, 4), outputs(model, task, rows, 100), rtol=1e-12)
