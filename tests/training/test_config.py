"""The configuration of a training: defaults by task, what they become, and the options that are made from the fields."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from npseq import checkpoint, optim
from npseq.cli import training_run
from npseq.forecast import ForecastTask
from npseq.forecast.task import default_window, forecast_task, split_rows
from npseq.tasks import Adding, Task
from npseq.training import resume
from npseq.training.config import DEFAULTS, TrainingConfig
from npseq.training.fit import Progress, fit, fit_lbfgs
from npseq.training.resume import TrainingState, restore
from npseq.training.run import TrainingRun


def table(rows=300):
    from npseq.data import Table

    return Table("t", np.sin(np.arange(rows) / 4)[:, None] + np.arange(rows)[:, None] % 7, ["a"], None, None)


@pytest.fixture(scope="module")
def with_base():
    return forecast_task(table())


@pytest.mark.parametrize(
    "kind, name, value",
    [
        ("forecast", "batch_size", 32),
        ("forecast", "window", 24),
        ("alone", "batch_size", 16),
        ("alone", "window", 12),
        ("text", "window", 64),
        ("text", "embedding", 64),
        ("text", "hidden_size", 256),
        ("text", "batch_size", 16),
        ("text", "epochs", 4),
        ("text", "lr", 0.004),
        ("text", "schedule", "cosine"),
    ],
)
def test_a_default_by_task_stands_in_the_table_and_what_is_given_wins(kind, name, value):
    assert DEFAULTS[kind][name] == value
    if name in {field.name for field in dataclasses.fields(TrainingConfig)}:
        assert getattr(TrainingConfig.of(kind), name) == value == getattr(TrainingConfig.of(kind, **{name: None}), name)
        other = "step" if name == "schedule" else 3
        assert getattr(TrainingConfig.of(kind, **{name: other}), name) == other


def test_a_configuration_does_not_change_and_takes_numpy_numbers():
    config = TrainingConfig.of("alone", epochs=np.int64(3), lr=np.float32(0.5))
    assert (config.epochs, config.lr) == (3, 0.5) and type(config.epochs) is int
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.epochs = 4
    assert config.changed("epochs", "lr", "clip") == {"epochs": 3, "lr": 0.5}


@pytest.mark.parametrize(
    "name, valid, wrong",
    [
        ("num_layers", [1, 1000], [0, 1001]),
        ("forget_bias", [-1e30, 0.0, 1e30], [1.1e30]),
        ("weight_decay", [0.0, 0.1], [-0.1]),
        ("dropout", [0.0, 0.9], [1.0, -0.1]),
        ("patience", [1, None], [0]),
        ("warmup", [0, 5], [-1]),
        ("schedule", ["auto", "plateau"], ["none"]),
        ("loss", ["mae", None], ["cross_entropy"]),
        ("bidirectional", [True], [1]),
    ],
)
def test_the_bounds_of_a_field_are_those_of_its_option(name, valid, wrong, capsys):
    option = "--" + name.replace("_", "-")
    for value in valid:
        TrainingConfig(**{name: value})
        if value is not None and value is not True:
            assert vars(training_run.parser().parse_args([f"{option}={value}"]))[name] == value
    for value in wrong:
        with pytest.raises(ValueError, match=f"the training has {name} "):
            TrainingConfig(**{name: value})
        with pytest.raises(SystemExit):
            training_run.parser().parse_args([f"{option}={value}"])
        assert option in capsys.readouterr().err


@pytest.mark.parametrize("rows, window", [(400, 24), (137, 23), (138, 24), (80, 14), (4, 1)])
def test_the_default_window_is_24_rows_or_a_quarter_of_the_training_rows(rows, window):
    assert default_window(rows) == window == max(1, min(24, int(0.7 * rows) // 4))
    assert split_rows(rows) == (int(0.7 * rows), int(0.85 * rows))


def test_a_window_that_is_not_given_is_that_of_the_command(with_base):
    assert with_base.window == 24 and with_base.corrects and with_base.lags == ()
    alone = forecast_task(table(), base="none")
    assert alone.window == 12 and not alone.corrects and forecast_task(table(), window=5).window == 5
    assert forecast_task(table(), base="none", lags=[3]).lags == (3,)


def test_auto_is_one_cycle_with_a_base_and_constant_without(with_base):
    run = TrainingRun(with_base, TrainingConfig.of("forecast", lr=0.01))
    rates = [run.schedule(k) for k in range(10 * with_base.steps(32))]
    assert type(run.schedule) is optim.OneCycle and max(rates) == pytest.approx(0.03, rel=0.01)
    task = Adding(length=4, count=32, held_out=4)
    run = TrainingRun(task, TrainingConfig.of("alone", lr=0.01))
    assert type(run.schedule) is optim.Constant and {run.schedule(k) for k in range(20)} == {0.01}


def test_a_plateau_of_two_epochs_lowers_the_rate():
    run = TrainingRun(Adding(length=4, count=32, held_out=4), TrainingConfig.of("alone", schedule="plateau", lr=1.0))
    rates = []
    for loss in (1.0, 1.0, 1.0, 1.0, 1.0):
        run.schedule.observe(loss)
        rates.append(run.schedule(0))
    assert rates[:3] == [1.0, 1.0, 1.0] and rates[3] < 1.0


def test_the_untrained_model_counts_only_if_it_corrects_a_forecast(with_base):
    run = TrainingRun(with_base, TrainingConfig.of("forecast", epochs=1, hidden_size=2, lr=30.0))
    assert (run.model.fc.theta == 0).all() and run.train().best_epoch == 0
    adding = Adding(length=4, count=32, held_out=4)
    run = TrainingRun(adding, TrainingConfig.of("alone", epochs=1, hidden_size=2, lr=1e-9))
    assert (run.model.fc.theta != 0).any() and run.train().best_epoch == 1
    assert not Task().corrects and Task().outputs == "last" and not Task().carries and Task().window == 0


@pytest.mark.parametrize(
    "given, name",
    [
        ({"warmup": 2}, "warmup"),
        ({"weight_decay": 0.1}, "weight_decay"),
        ({"recurrent_dropout": 0.1}, "recurrent_dropout"),
        ({"dropout": 0.1, "num_layers": 2}, "dropout"),
        ({"schedule": "cosine"}, "schedule"),
    ],
)
def test_what_lbfgs_does_not_use_is_refused(given, name):
    config = TrainingConfig.of("alone", optimizer="lbfgs", **given)
    with pytest.raises(ValueError, match=f"^{name} does nothing with optimizer lbfgs"):
        TrainingRun(Adding(length=4, count=8, held_out=4), config)
    for schedule in ("auto", "constant"):
        config = TrainingConfig.of("alone", optimizer="lbfgs", schedule=schedule)
        assert TrainingRun(Adding(length=4, count=8, held_out=4), config).optimizer is None


def test_a_configuration_reaches_model_optimiser_and_loop(with_base):
    config = TrainingConfig.of(
        "forecast", model="gru", hidden_size=3, num_layers=2, bidirectional=True, dropout=0.25, loss="mae",
        optimizer="sgd", weight_decay=0.125, lr=0.5, dtype="float64", epochs=4, batch_size=64, patience=1, clip=1e-12,
    )  # fmt: skip
    run = TrainingRun(with_base, config)
    model = run.model
    assert (model.kind, model.loss, model.dtype) == ("gru", "mae", np.float64)
    expected = {"hidden_size": 3, "num_layers": 2, "bidirectional": True, "dropout": 0.25}
    assert {name: model.config[name] for name in expected} == expected
    assert (run.optimizer.lr, run.optimizer.weight_decay) == (0.5, 0.125) and type(run.optimizer) is optim.SGD
    assert TrainingRun(with_base, TrainingConfig.of("forecast", loss="mae")).model.loss == "mae"
    steps = []
    progress = run.train(on_step=lambda *step: steps.append(step))
    assert steps[0][2] == with_base.steps(64) and progress.epoch == progress.best_epoch + 1 < 4  # of patience 1


def test_a_run_goes_on_from_its_progress():
    task, config = Adding(length=4, count=32, held_out=4), TrainingConfig.of("alone", epochs=3, hidden_size=2)
    run = TrainingRun(task, config)
    run.progress = Progress(epoch=2, best_loss=0.0, best_epoch=1, best_theta=run.model.theta.copy())
    assert run.train().epoch == 3
    given = TrainingRun(task, config, np.random.default_rng(1), run.model)
    assert given.model is run.model


def begun(lr=0.125, **other):
    """A run of the adding problem, and the state of it after one epoch with this rate."""
    task, config = Adding(length=4, count=32, held_out=4), TrainingConfig.of("alone", epochs=3, hidden_size=2)
    run = TrainingRun(task, config)
    history = [{"epoch": 1, "train_loss": 1.0, "validation_loss": 1.0, "lr": lr}]
    arrays = {"state_dict": run.model.state_dict(), "optimizer": run.optimizer.state_dict()}
    arrays |= {"schedule": run.schedule.state_dict(), "best": run.model.theta.copy(), **other}
    progress = Progress(1, 1.0, 1, None, history)
    return run, TrainingState("f", {"epochs": 3}, "x", progress, arrays, run.rng.bit_generator.state)


def test_the_rate_of_the_last_epoch_is_restored():
    for lr, expected in ((0.125, 0.125), (None, 0.001)):
        run, state = begun(lr)
        found = restore(state, {"epochs": 3}, run.model, run.optimizer, run.schedule, run.rng, "x")
        assert run.optimizer.lr == expected and found.epoch == 1 and found.best_theta.dtype == run.model.dtype
        assert found.history == [{**state.progress.history[0], "seconds": None}]


def test_best_weights_of_another_shape_and_a_file_without_a_part_are_refused(tmp_path):
    run, state = begun(best=np.zeros(3))
    with pytest.raises(ValueError, match=r"f cannot be resumed from: its best weights have the shape \(3,\)"):
        restore(state, {"epochs": 3}, run.model, run.optimizer, run.schedule, run.rng, "x")
    path = tmp_path / "last.pth"
    resume.save(path, {"epochs": 3}, run.model, run.optimizer, run.schedule, run.rng, state.progress, "x")
    assert resume.read(path).progress.epoch == 1
    file = checkpoint.load(path)
    for part in ("state_dict", "optimizer", "schedule", "best"):
        checkpoint.save(path, {name: value for name, value in file.content.items() if name != part}, file.metadata)
        with pytest.raises(ValueError, match=f"cannot be resumed from: it has no {part}"):
            resume.read(path)


def test_what_was_asked_for_is_what_differs_from_the_defaults_of_the_task(with_base):
    adding = Adding(length=4, count=32, held_out=4)
    own = set(TrainingRun(adding, TrainingConfig.of("alone")).settings)
    assert set(TrainingRun(adding, TrainingConfig.of("alone", lr=0.5, batch_size=32)).settings) - own == {
        "lr",
        "batch_size",
    }
    own = set(TrainingRun(with_base, TrainingConfig.of("forecast")).settings)
    assert set(TrainingRun(with_base, TrainingConfig.of("forecast", batch_size=16)).settings) - own == {"batch_size"}
    assert "batch_size" not in own


@pytest.mark.parametrize(
    "count, batch_size, epochs, warmup", [(50, 16, 150, 30), (50, 50, 600, 30), (5000, 16, 30, 469)]
)
def test_a_classifier_has_600_updates_at_least_and_a_twentieth_of_them_warm_up(count, batch_size, epochs, warmup):
    found = TrainingConfig.to_classify(count, batch_size=batch_size)
    assert (found.epochs, found.schedule, found.warmup) == (epochs, "cosine", warmup)
    found = TrainingConfig.to_classify(count, batch_size=batch_size, schedule="constant")
    assert (found.epochs, found.schedule, found.warmup) == (epochs, "constant", 0)


def test_the_loss_of_a_pass_is_the_mean_over_its_targets():
    """Batches of different sizes weigh by their targets, in the training loss as in the validation loss."""
    parts = {"train": np.arange(5), "validation": np.arange(5)}
    task = SimpleNamespace(parts=parts, batch=lambda rows, dtype: rows)

    class Model:
        theta, dtype = np.zeros(1), np.dtype(float)

        def loss_and_grad(self, rows):
            return float(rows.mean()), np.zeros(1)

        def loss_of(self, rows):
            return float(rows.mean())

    model = Model()
    progress = fit(model, task, optim.SGD(model.theta, lr=0.0), epochs=1, batch_size=4, rng=0)
    assert progress.history[0]["train_loss"] == pytest.approx(2.0) == progress.history[0]["validation_loss"]


def test_a_forecast_without_a_base_starts_anywhere():
    task = ForecastTask(table(), window=4)
    assert not task.corrects and task.window == 4
    assert (TrainingRun(task, TrainingConfig.of("alone", hidden_size=2)).model.fc.theta != 0).any()


class Parabola:
    """(θ − target)², the mean over a batch: a model of one parameter that starts at 0."""

    def __init__(self):
        self.theta, self.dtype = np.zeros(1), np.dtype(float)

    def loss_and_grad(self, targets, training=True):
        return ((self.theta - targets) ** 2).mean(), 2 * (self.theta - targets.mean())

    def loss_of(self, targets):
        return ((self.theta - targets) ** 2).mean()


@pytest.mark.parametrize("loop", [fit, fit_lbfgs])
def test_ten_epochs_are_the_default_and_the_start_counts_only_if_asked(loop):
    """The validation part is best at the start."""
    targets = np.array([1.0, 1.0, 0.0])
    task = SimpleNamespace(
        parts={"train": np.arange(2), "validation": np.arange(2, 3)}, batch=lambda rows, dtype: targets[rows]
    )

    def run(**options):
        model = Parabola()
        more = (optim.SGD(model.theta, lr=0.01),) if loop is fit else ()
        return loop(model, task, *more, **options), model

    progress, model = run()
    assert progress.epoch == (10 if loop is fit else len(progress.history)) and progress.best_epoch == 1
    assert model.theta[0] > 0 and np.array_equal(model.theta, progress.best_theta)
    progress, model = run(count_start=True)
    assert progress.best_epoch == 0 and model.theta[0] == 0
