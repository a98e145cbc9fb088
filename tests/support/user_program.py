"""A program of a user that has every public name of npseq in it; ``tests/test_types.py`` checks its types and runs it.

python user_program.py FOLDER
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import npseq
from npseq import (
    baselines,
    bptt,
    c,
    cells,
    checkpoint,
    data,
    explain,
    features,
    fit,
    forecast,
    fused,
    gradcheck,
    layers,
    losses,
    nn,
    onnx,
    optim,
    parallel,
    rtrl,
    tasks,
    training,
)
from npseq.explain import gradient_flow
from npseq.losses import mse
from npseq.tasks.metadata import Metadata

HOURS, T, B, I, H = 400, 5, 3, 2, 4
State = tuple[np.ndarray, ...]


class LeakyCell:
    """h = f ⊙ h' + tanh(a), f = σ(a): a cell with the contract of ``npseq.cells``."""

    gates, state = "fg", "h"

    @staticmethod
    def forward(a_x: np.ndarray, a_h: np.ndarray, state: State) -> tuple[State, State]:
        (h_prev,) = state
        a_f, a_g = cells.gate_blocks(a_x + a_h, "fg")
        f, g = cells.sigmoid(a_f), np.tanh(a_g)
        return (f * h_prev + g,), (f, g, h_prev)

    @staticmethod
    def backward(d_state: State, cache: State) -> tuple[np.ndarray, np.ndarray, State]:
        (dh,), (f, g, h_prev) = d_state, cache
        da = np.concatenate([dh * h_prev * f * (1 - f), dh * (1 - g * g)])
        return da, da, (dh * f,)


class LeakyLayer(layers.Recurrent):
    """A layer of that cell."""

    cell = LeakyCell


class Echo:
    """A task of one's own: the first number is the answer."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.x = rng.normal(size=(8, T, 1)).astype(np.float32)
        self.parts = {"train": np.arange(6), "validation": np.arange(6, 8)}

    def batch(self, rows: np.ndarray, dtype: Any = np.float32) -> tasks.Batch:
        return tasks.Batch(self.x[rows].astype(dtype), self.x[rows, 0].astype(dtype))


def recurrence(rng: np.random.Generator) -> None:
    """One cell, carried through time and back, in three ways."""
    each: list[bptt.Cell] = [cells.RNNCell, cells.ReLURNNCell, cells.LSTMCell, cells.GRUCell, LeakyCell, LeakyCell()]
    for cell in each:
        G = len(cell.gates)
        W_x, W_h, b_x, b_h = (rng.normal(size=(G * H, n)) for n in (I, H, 1, 1))
        weights = bptt.Weights(W_x, W_h, b_x, b_h)
        x, state = rng.normal(size=(T, I, B)), tuple(rng.normal(size=(H, B)) for _ in cell.state)
        hs, final, tape = bptt.forward_through_time(cell, weights, x, state)
        assert isinstance(tape, bptt.Tape) and isinstance(tape.segments[0], bptt.Segment)
        d_weights, d_x, d_state = bptt.backward_through_time(cell, weights, tape, np.ones_like(hs), final)
        again, _, fast_tape = fused.forward_through_time(cell, weights, x, state)
        assert fast_tape is not None and np.allclose(again, hs)
        fast = fused.backward_through_time(cell, weights, fast_tape, np.ones_like(hs), final)
        slow = rtrl.gradient_forward_in_time(cell, weights, x, state, np.ones_like(hs), final)
        for gradients in (fast[0], slow[0]):
            assert np.allclose(gradients.W_h, d_weights.W_h)
        assert d_x is not None and d_x.shape == x.shape and len(d_state) == len(cell.state)


def all_layers(rng: np.random.Generator) -> None:
    """Layers, forward and backward; weights of other libraries; losses."""
    x = rng.normal(size=(T, B, I)).astype(np.float32)
    classes: list[type[layers.Recurrent]] = [npseq.RNN, npseq.LSTM, npseq.GRU]
    classes += [npseq.OptimizedRNN, npseq.OptimizedLSTM, npseq.OptimizedGRU]
    classes += [layers.RNN, layers.LSTM, layers.GRU, layers.OptimizedRNN, layers.OptimizedLSTM, layers.OptimizedGRU]
    for layer_class in [*classes, LeakyLayer]:
        layer: layers.Recurrent = layer_class(I, H, rng=0)
        y, state, tape = layer.forward(x, lengths=[5, 0, 3])
        dx, d_state, grads = layer.backward(tape, np.ones_like(y))
        norm: float = optim.clip_by_global_norm(grads.theta, 1.0)
        assert norm >= 0 and dx is not None and dx.shape == x.shape

    assert nn.registry.MODELS["lstm"] is npseq.LSTM
    lstm = npseq.LSTM(I, H, rng=0)
    y, (h, cell_state) = lstm(x)
    same = layers.from_state_dict(lstm.state_dict())
    assert np.array_equal(same(x)[0], y) and h.shape == cell_state.shape
    shapes = (I, 3 * H), (H, 3 * H), (2, 3 * H)
    keras = layers.from_keras_weights([rng.normal(size=shape).astype(np.float32) for shape in shapes], "GRU")
    assert keras.batch_first
    for steps, y_part, _, _, _ in layers.truncated_bptt(lstm, x, lambda y, steps: np.ones_like(y), chunk=2):
        assert len(y_part) == steps.stop - steps.start
    answer: np.ndarray = lstm.stream().step(x[0, 0])

    head, embedding = npseq.Linear(H, 1, rng=0), npseq.Embedding(10, H, rng=0)
    assert isinstance(head, layers.Linear) and isinstance(embedding, layers.Embedding)
    out, head_tape = head.forward(answer)
    d_answer, _ = head.backward(head_tape, np.ones_like(out))
    both = npseq.Sequential(npseq.LSTM(I, H, rng=0), head, loss="mae")
    module: npseq.Module = both
    task = tasks.Arrays(x, np.ones((len(x), B, 1), np.float32), parts=(0.5, 0.5), rng=0)
    assert module.outputs(x).shape == (*y.shape[:2], 1) and set(task.parts) == {"train", "validation"}
    target = np.zeros_like(y)
    for loss, dy in (losses.mse(y, target), losses.mae(y, target), losses.huber(y, target, delta=0.5), mse(y, target)):
        assert float(loss) >= 0 and dy.shape == y.shape and d_answer.shape == answer.shape
    loss, _ = losses.cross_entropy(y[0], np.zeros(B, int))
    p: np.ndarray = losses.probabilities(y[0])
    assert np.isfinite(loss) and np.allclose(p.sum(axis=-1), 1)


def optimisers(rng: np.random.Generator) -> None:
    """Every optimiser and schedule on a parabola."""
    rules: list[Callable[..., optim.Optimizer]] = [optim.SGD, optim.Adagrad, optim.RMSprop, optim.Adam, optim.AdamW]
    for rule in [*rules, *optim.OPTIMIZERS.values()]:
        theta = rng.normal(size=3)
        optimizer: optim.Optimizer = rule(theta, lr=0.1)
        optimizer.step(2 * theta)
    schedules: list[optim.Schedule] = [optim.Constant(0.1, 10), optim.Step(0.1, 10), optim.Cosine(0.1, 10)]
    schedules += [optim.OneCycle(0.1, 10), optim.Plateau(0.1, 10)]
    schedules += [optim.make_schedule(name, 0.1, 10, 5) for name in optim.SCHEDULES]
    rates: list[float] = [schedule(3) for schedule in schedules]
    theta = rng.normal(size=3)
    found: optim.LBFGSResult = optim.lbfgs(lambda theta: (float(theta @ theta), 2 * theta), theta)
    assert found.converged and min(rates) >= 0


def read(folder: Path) -> data.Table:
    """Tables, sequences and texts; what is wrong with one is said in a ``DataError``."""
    path = str(folder / "load.csv")
    hours = np.arange("2024-01-01", "2024-02-01", dtype="datetime64[h]")[:HOURS]
    load = 10 + np.sin(np.arange(HOURS) * 2 * np.pi / 24)
    Path(path).write_text("hour,load\n" + "".join(f"{hour},{value:.4f}\n" for hour, value in zip(hours, load)))
    table: data.Table = data.load(path, options=data.TableOptions(sep=","))
    panel: data.Panel = data.many(2)
    assert isinstance(data.load_series("many"), data.Panel) and [one.ids for one in panel] == [["s000"], ["s001"]]
    assert data.kind_of(path) and data.label_of(path) is None and Path(data.shipped("PROVENANCE.md")).exists()
    assert all([*data.SHIPPED, *data.SHIPPED_SEQUENCES, *data.SHIPPED_TEXTS])
    try:
        table.column("wind")
    except data.DataError as error:
        print(error)
    corpus = data.Corpus("text", "characters", np.frombuffer(b"to be or not to be " * 20, np.uint8))
    vocabulary = data.Vocabulary.of(corpus.tokens, corpus.symbols)
    text: data.Corpus = data.load_corpus(path, tokens="bytes")
    assert vocabulary.size < len(text)
    return table


def sequences(folder: Path, values: list[str], each_row: bool = False, regress: bool = False) -> data.Sequences:
    """Twenty sequences of three to six rows, with one of the values for each."""
    lines = ["who,x,answer"]
    lines += [f"s{k},{np.sin(k + t):.3f},{values[k % len(values)]}" for k in range(20) for t in range(3 + k % 4)]
    path = folder / "sequences.csv"
    path.write_text("\n".join(lines))
    return data.load_sequences(str(path), "who", "answer", each_row=each_row, regress=regress)[0]


def all_tasks(table: data.Table, folder: Path) -> list[tasks.Task]:
    """A task of each kind, and examples without one."""
    word, number = sequences(folder, ["a", "b"]), sequences(folder, ["0.5", "1.5"], regress=True)
    labelled = sequences(folder, ["a", "b"], each_row=True)
    regression = tasks.SequenceTask(number, target="number")
    text = data.Corpus("text", "characters", np.frombuffer(b"to be or not to be " * 20, np.uint8))
    ahead = forecast.ForecastTask(table, window=6)
    windows = forecast.WindowDataset.from_recipe(ahead.recipe(), table)
    batch: tasks.Batch = ahead.batch(ahead.parts["train"][:2])
    assert batch.x.shape == windows.inputs(ahead.parts["train"][:2]).shape
    frames: tuple[tasks.Dataset, ...] = (
        tasks.SequenceDataset(word, regression.scaler),
        tasks.SequenceDataset(labelled, regression.scaler, "row"),
    )
    numbered = tasks.SequenceDataset(number, regression.scaler, "number", target_scaler=regression.target_scaler)
    assert len({examples.name for examples in (*frames, numbered)})
    return [
        ahead,
        regression,
        tasks.Adding(length=4, count=8, held_out=4),
        tasks.SequenceTask(word),
        tasks.SequenceTask(labelled, target="row"),
        tasks.Text(text, window=8),
    ]


def train(each: list[tasks.Task], rng: np.random.Generator) -> None:
    """A model of one's own loop, and the training loop of npseq in one process or in several."""
    for task in each:
        model = npseq.Model("gru", task.input_size, H, task.output_size, loss=task.loss, outputs=task.outputs, rng=0)
        progress: fit.Progress = fit.fit(model, task, optim.Adam(model.theta), epochs=1, batch_size=4, rng=0)
        assert isinstance(progress, training.Progress)
        loss: float = training.mean_loss(model, task, task.parts["validation"])
        y: np.ndarray = training.outputs(model, task, task.parts["test"])
        scores: dict[str, Any] = task.metrics(y, task.parts["test"])
        assert loss >= 0 and scores and task.baselines()
    model = npseq.Model("rnn", each[0].input_size, H, each[0].output_size, rng=0)
    try:
        fit.fit_lbfgs(model, each[0], epochs=1)
    except (fit.Diverged, training.Diverged) as error:
        print(error.advice)
    own = npseq.Model("rnn", 1, H, rng=0)
    config = training.TrainingConfig.of("alone", model="rnn", epochs=1, hidden_size=H)
    assert training.TrainingRun(each[2], config).train().epoch == config.epochs == 1
    done = training.fit.fit(own, Echo(rng), optim.SGD(own.theta), epochs=2)
    assert len(done.history) == 2

    processes: parallel.Ranks | parallel.OneProcess = parallel.find()
    assert isinstance(processes, parallel.OneProcess) and not parallel.launched()
    try:
        processes.agree("no data")
    except parallel.ParallelError as problem:
        print(problem)
    one = parallel.Ranks(OneRank())
    shared_task = parallel.SharedTask(each[0], one)
    shared_model = parallel.SharedModel(model, shared_task, one)
    assert shared_model.theta is model.theta


class OneRank:
    """What ``Ranks`` needs of a communicator, with one process."""

    rank, size = 0, 1

    def Allreduce(self, vector: np.ndarray, total: np.ndarray) -> None:
        total[...] = vector

    def allgather(self, value: object) -> list[object]:
        return [value]


def files(text: tasks.Text, task: forecast.ForecastTask, folder: Path) -> None:
    """Models in files, in torch's form, as ONNX and as C."""
    path = folder / "text.pth"
    model = npseq.Model("lstm", text.input_size, H, text.output_size, loss=text.loss, outputs="all", rng=0)
    npseq.save(path, model, Metadata(text.recipe()).to_json())
    loaded: npseq.Model = npseq.load(path)
    assert npseq.sample(loaded, 10, rng=0) and loaded.metadata["recipe"]["task"] == "text"
    file: checkpoint.Checkpoint = checkpoint.load(path)
    checkpoint.save(folder / "weights.pth", file.state_dict)
    try:
        checkpoint.load(folder / "load.csv")
    except checkpoint.CheckpointError as error:
        print(error)
    assert not file.passed_over and checkpoint.Foreign("torch.nn.Module")

    model = npseq.Model("lstm", task.input_size, H, scaling=task.scaling(), rng=0)
    c.export(model, folder / "model.h", with_scaler=True)
    onnx.export(model, folder / "model.onnx", with_scaler=onnx.needs_double(model))
    stream = forecast.ForecastStream(model, task.recipe())
    assert stream.seen == 0


def forecasts(table: data.Table, folder: Path) -> None:
    """``Forecaster``, and the baselines beside it."""
    forecaster = npseq.Forecaster("gru", window=6, epochs=1, hidden_size=H).fit({"load": table.values[:, 0]})
    two = forecaster.predict(2)
    forecaster.save(folder / "forecast.pth")
    again: npseq.Forecaster = npseq.Forecaster.load(folder / "forecast.pth").update({"load": table.values[:, 0]})
    assert np.allclose(again.predict(2), two)
    assert callable(forecast.predict_frame)  # takes a DataFrame

    task, values = forecast.ForecastTask(table, window=6), table.values[:, 0]
    rows = task.parts["test"]
    season: int | None = features.season(values[: task.train_end], table.step)
    fitted = baselines.fit(task, task.train_end, int(rows[0]), season)
    beside = baselines.Baselines(task, fitted)
    periods = [baselines.the_season_before(k) for k in baselines.seasons(table).values()]
    assert periods and beside.names and baselines.season_name(24, 3600)
    ahead: np.ndarray = beside.forecast("persistence", rows, 3)
    assert ahead.shape == (len(rows), 3, 1)
    times = table.times
    assert times is not None and features.calendar(times).shape == (len(times), len(features.CALENDAR))
    assert int(features.second_of_week(times).max()) < features.WEEK and features.DAY * 7 == features.WEEK
    mean, deviation = features.moments(table.values)
    assert mean.shape == deviation.shape


class Doubled:
    """y = a x with the gradients of its last backward in a dict: an object as people write it."""

    def __init__(self) -> None:
        self.params, self.grads = {"a": np.full(1, 2.0)}, {"a": np.zeros(1)}

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return y."""
        self.x = x
        y: np.ndarray = self.params["a"] * x
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dx."""
        self.grads["a"] = np.array([(dy * self.x).sum()])
        dx: np.ndarray = self.params["a"] * dy
        return dx


def gradients(rng: np.random.Generator) -> None:
    """Gradients checked: of a cell, a layer, a model and a function."""
    batch = tasks.Batch(rng.normal(size=(B, T, I)), rng.normal(size=(B, 1)))
    results: list[gradcheck.Result] = [
        gradcheck.check_cell(LeakyCell),
        gradcheck.check_layer(LeakyLayer(I, H), T=3, B=2),
        gradcheck.check_model(npseq.Model("rnn", I, H, dtype=np.float64, rng=0), batch),
        gradcheck.check(square, gradient_of_square, {"x": rng.normal(size=3)}),
        gradcheck.check(gradcheck.Adapter(Doubled(), rng.normal(size=3))),
    ]
    for result in results:
        result.assert_ok()
        worst: list[gradcheck.ArrayError] = list(result.arrays.values())
        assert max(one.error for one in worst) < 1e-13
    assert not gradcheck.check_initialisation(npseq.LSTM(I, H))
    x = rng.normal(size=3)
    numerical = gradcheck.numerical_gradient(lambda: square(x), {"x": x}, method="central")
    error: float = gradcheck.relative_error(numerical["x"], 2 * x)
    product: np.ndarray = gradcheck.hessian_vector_product(lambda params: 2 * params, x, np.ones(3))
    assert error < 1e-6 and np.allclose(product, 2)
    flow: gradient_flow.Flow = explain.gradient_flow.gradient_flow(npseq.LSTM(I, H), batch.x, np.ones((T, H)))
    assert set(flow.norms) == {"h", "c"}


def estimate(rng: np.random.Generator) -> None:
    """The estimators, where scikit-learn is installed."""
    try:
        from npseq import estimators
    except ModuleNotFoundError as error:
        return print(error)
    x, words, numbers = rng.normal(size=(20, T, I)), ["a", "b"] * 10, rng.normal(size=20)
    classifier: estimators.SequenceClassifier = estimators.SequenceClassifier(epochs=1, hidden_size=H).fit(x, words)
    regressor: estimators.SequenceRegressor = estimators.SequenceRegressor(epochs=1, hidden_size=H).fit(x, numbers)
    answers: np.ndarray = classifier.predict(x)
    probabilities: np.ndarray = classifier.predict_proba(x)
    score: float = regressor.score(x, numbers)
    assert set(answers) <= set(words) and probabilities.shape == (20, 2) and score <= 1


def square(x: np.ndarray) -> Any:
    """Return Σ x², of real or complex numbers."""
    return (x * x).sum()


def gradient_of_square(x: np.ndarray) -> Mapping[str, np.ndarray]:
    """Return 2 x."""
    return {"x": 2 * x}


def main(folder: Path) -> None:
    """Use everything once."""
    print("npseq", npseq.__version__)
    rng = np.random.default_rng(0)
    recurrence(rng)
    all_layers(rng)
    optimisers(rng)
    table = read(folder)
    each = all_tasks(table, folder)
    train(each, rng)
    task, text = each[0], each[-1]
    assert isinstance(task, forecast.ForecastTask) and isinstance(text, tasks.Text)
    files(text, task, folder)
    forecasts(table, folder)
    gradients(rng)
    estimate(rng)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
