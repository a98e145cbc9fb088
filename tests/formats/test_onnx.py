"""ONNX export: the checker accepts it, and ONNX Runtime gives npseq's numbers."""

import itertools
from pathlib import Path

import numpy as np
import pytest

import npseq
from npseq import onnx as npseq_onnx
from npseq.cli import export
from npseq.nn.model import Model

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

FILES = Path(__file__).parents[1] / "files"
CLOSE = dict(rtol=1e-5, atol=2e-6)
KINDS = [("RNN", {}), ("RNN", {"nonlinearity": "relu"}), ("GRU", {}), ("LSTM", {}), ("OptimizedLSTM", {})]
MODELS = ["rnn", "lstm", "gru", "optimized_lstm", "optimized_rnn", "optimized_gru"]


def session(thing, tmp_path, **options):
    path = str(tmp_path / "exported.onnx")
    npseq_onnx.export(thing, path, **options)
    onnx.checker.check_model(path, full_check=True)
    return runtime.InferenceSession(path, providers=["CPUExecutionProvider"])


def randomised(thing, scale=0.4):
    thing.theta[...] = np.random.default_rng(7).normal(0, scale, thing.theta.shape)
    return thing


@pytest.mark.parametrize("kind, options", KINDS, ids=str)
@pytest.mark.parametrize("L, bidirectional", [(1, False), (2, True)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_layers_outputs_and_states_are_the_same(tmp_path, kind, options, L, bidirectional, bias):
    layer = randomised(getattr(npseq, kind)(3, 4, num_layers=L, bidirectional=bidirectional, bias=bias, **options))
    rng = np.random.default_rng(0)
    runs = L * (2 if bidirectional else 1)
    for with_state, with_lengths in itertools.product([False, True], repeat=2):
        run = session(layer, tmp_path, with_state=with_state, with_lengths=with_lengths)
        for T, B in [(5, 4), (1, 1)]:  # batch and time are free
            x = rng.normal(size=(T, B, 3)).astype(np.float32)
            feed, state, lengths = {"x": x}, None, None
            if with_state:
                parts = [rng.normal(size=(runs, B, 4)).astype(np.float32) for _ in layer.cell.state]
                feed.update({letter + "_0": part for letter, part in zip(layer.cell.state, parts)})
                state = tuple(parts) if len(parts) > 1 else parts[0]
            if with_lengths:
                lengths = np.minimum(np.array([5, 1, 0, 4])[:B], T)
                feed["lengths"] = lengths.astype(np.int32)
            y, *final = run.run(None, feed)
            y_own, final_own = layer(x, state, lengths)
            np.testing.assert_allclose(y, y_own, **CLOSE)
            for a, b in zip(final, final_own if isinstance(final_own, tuple) else (final_own,)):
                np.testing.assert_allclose(a, b, **CLOSE)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_layers": 2, "bidirectional": True},
        {"learn_initial_state": True},
        {"learn_initial_state": True, "num_layers": 2, "bidirectional": True, "read": "last"},
    ],
    ids=str,
)
def test_a_models_predictions_are_the_same(tmp_path, kind, options):
    model = randomised(Model(kind, 3, 4, 2, rng=0, **options))
    x = np.random.default_rng(0).normal(size=(6, 5, 3)).astype(np.float32)
    (y,) = session(model, tmp_path).run(None, {"x": x})
    np.testing.assert_allclose(y, model.outputs(x), **CLOSE)
    lengths = np.array([5, 2, 1, 4, 0, 5])
    (y,) = session(model, tmp_path, with_lengths=True).run(None, {"x": x, "lengths": lengths.astype(np.int32)})
    np.testing.assert_allclose(y, model.outputs(x, lengths), **CLOSE)


def test_the_scaler_may_be_put_inside(tmp_path):
    scaling = {
        "input_mean": [10.0, 0.0, 5.0],
        "input_scale": [2.0, 1.0, 3.0],
        "output_mean": [10.0],
        "output_scale": [2.0],
    }
    model = randomised(Model("gru", 3, 4, rng=0, scaling=scaling))
    x = np.random.default_rng(0).normal(size=(6, 5, 3)) * scaling["input_scale"] + scaling["input_mean"]
    (y,) = session(model, tmp_path, with_scaler=True).run(None, {"x": x.astype(np.float32)})
    np.testing.assert_allclose(y, model.predict(x), rtol=1e-5)


def test_batch_first_layers_keep_their_layout(tmp_path):
    layer = randomised(npseq.LSTM(3, 4, batch_first=True))
    x = np.random.default_rng(0).normal(size=(6, 5, 3)).astype(np.float32)
    y, _, _ = session(layer, tmp_path).run(None, {"x": x})
    np.testing.assert_allclose(y, layer(x)[0], **CLOSE)


def test_what_onnx_cannot_express_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match="projection.*proj_size=2"):
        npseq_onnx.export(npseq.LSTM(3, 4, proj_size=2), tmp_path / "x.onnx")
    with pytest.raises(ValueError, match="scaler"):
        npseq_onnx.export(npseq.LSTM(3, 4), tmp_path / "x.onnx", with_scaler=True)
    assert list(tmp_path.iterdir()) == []


def test_export_needs_no_onnx_package(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "onnx", None)
    npseq_onnx.export(npseq.GRU(3, 4, rng=0), tmp_path / "x.onnx")
    assert (tmp_path / "x.onnx").stat().st_size > 0


def test_the_command_exports_a_trained_file_and_refuses_others(tmp_path, capsys):
    file, to = str(tmp_path / "m.pth"), str(tmp_path / "m.onnx")
    npseq.save(file, Model("lstm", 3, 4, rng=0))
    assert export.main([file, "--to", to]) == 0
    onnx.checker.check_model(to, full_check=True)
    for argv, word in [
        ([str(tmp_path / "absent.pth"), "--to", to], "absent.pth"),
        ([file, "--to", str(tmp_path / "no" / "m.onnx")], "no"),
        ([file, "--to", to, "--with-scaler"], "scaler"),
        ([to, "--to", to], "m.onnx"),
    ]:
        with pytest.raises(SystemExit) as end:
            export.main(argv)
        message = capsys.readouterr().err
        assert end.value.code == 2 and message.count("\n") == 1 and word in message


LARGE = {"input_mean": [5.4e7, 0.0], "input_scale": [0.14, 2.0], "output_mean": [5.4e7], "output_scale": [0.14]}
SMALL = {"input_mean": [54.0, 0.0], "input_scale": [0.14, 2.0], "output_mean": [54.0], "output_scale": [0.14]}


@pytest.mark.parametrize("scaling, kind", [(LARGE, "tensor(double)"), (SMALL, "tensor(float)")], ids=["large", "small"])
@pytest.mark.parametrize("name", MODELS)
def test_numbers_large_against_their_spread_keep_their_spread(tmp_path, name, scaling, kind):
    """float32 has 4 at 54,000,000: x − mean would be 0 for every row."""
    model = randomised(Model(name, 2, 4, rng=0, scaling=scaling))
    x = np.random.default_rng(0).normal(size=(64, 5, 2)) * scaling["input_scale"] + scaling["input_mean"]
    run = session(model, tmp_path, with_scaler=True)
    assert run.get_inputs()[0].type == run.get_outputs()[0].type == kind
    (y,) = run.run(None, {"x": x.astype(np.float64 if "double" in kind else np.float32)})
    expected = model.predict(x)
    deviation = scaling["output_scale"][0]
    assert np.abs(y - expected).max() < 0.01 * deviation and expected.std() > 0.02 * deviation


@pytest.mark.parametrize("side", ["input", "output"])
def test_double_begins_where_float32_would_lose_a_thousandth_of_a_deviation(side):
    for ratio, double in [(2.0**14, False), (2.0**14 + 1, True)]:
        scaling = {f"{s}_{what}": [1.0] for s in ("input", "output") for what in ("mean", "scale")}
        scaling[f"{side}_mean"], scaling[f"{side}_scale"] = [-ratio * 0.5], [0.5]
        assert npseq_onnx.needs_double(Model("gru", 1, 2, rng=0, scaling=scaling)) is double


def test_the_command_says_that_inputs_are_double(tmp_path, capsys):
    file, to = str(tmp_path / "m.pth"), str(tmp_path / "m.onnx")
    npseq.save(file, Model("lstm", 2, 4, rng=0, scaling=LARGE))
    assert export.main([file, "--to", to, "--with-scaler"]) == 0
    assert "x and y are double" in capsys.readouterr().out
    npseq.save(file, Model("lstm", 2, 4, rng=0, scaling=SMALL))
    assert export.main([file, "--to", to, "--with-scaler"]) == 0
    assert "double" not in capsys.readouterr().out


# ---- the node follows from the cell, not from the class's name ----


class OtherGates(npseq.cells.LSTMCell):
    gates = "ifgo"


class MyLSTM(npseq.layers.Recurrent):
    cell = OtherGates


class Whatever(npseq.layers.Recurrent):
    cell = npseq.cells.GRUCell


class GRUinName(npseq.layers.Recurrent):
    cell = npseq.cells.LSTMCell


def test_a_cell_of_ones_own_is_refused_by_name_whatever_its_class_is_called(tmp_path):
    for layer in MyLSTM(3, 4, rng=0), npseq.LSTM(3, 4, rng=0):
        layer.cell = OtherGates
        with pytest.raises(ValueError, match="OtherGates.*GRU, LSTM, RNN"):
            npseq_onnx.export(layer, tmp_path / "x.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [Whatever, GRUinName])
def test_a_class_of_ones_own_with_a_known_cell_is_exported_as_that_cell(tmp_path, kind):
    layer = randomised(kind(3, 4))
    x = np.random.default_rng(0).normal(size=(5, 2, 3)).astype(np.float32)
    y, *_ = session(layer, tmp_path).run(None, {"x": x})
    np.testing.assert_allclose(y, layer(x)[0], **CLOSE)


@pytest.mark.parametrize("thing", [npseq.Linear(3, 4, rng=0), object(), None])
def test_what_is_no_recurrent_layer_is_refused(tmp_path, thing):
    with pytest.raises(TypeError, match="a Model or a recurrent layer expected"):
        npseq_onnx.export(thing, tmp_path / "x.onnx")


def test_a_model_in_float64_is_exported_in_float32(tmp_path):
    model = randomised(Model("gru", 3, 4, rng=0, dtype=np.float64))
    x = np.random.default_rng(0).normal(size=(6, 5, 3))
    (y,) = session(model, tmp_path).run(None, {"x": x.astype(np.float32)})
    np.testing.assert_allclose(y, model.outputs(x), **CLOSE)


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_a_head_that_reads_the_last_output_of_two_directions(tmp_path, kind):
    model = randomised(Model(kind, 3, 4, 2, num_layers=2, bidirectional=True, read="last", rng=0))
    x = np.random.default_rng(0).normal(size=(6, 5, 3)).astype(np.float32)
    (y,) = session(model, tmp_path).run(None, {"x": x})
    np.testing.assert_allclose(y, model.outputs(x), **CLOSE)
    lengths = np.array([5, 2, 1, 4, 3, 5])
    (y,) = session(model, tmp_path, with_lengths=True).run(None, {"x": x, "lengths": lengths.astype(np.int32)})
    np.testing.assert_allclose(y, model.outputs(x, lengths), **CLOSE)


@pytest.mark.parametrize("read", ["mean", "max", "mean+max"])
def test_a_head_that_reads_all_steps(tmp_path, read):
    model = randomised(Model("gru", 3, 4, 2, bidirectional=True, read=read, rng=0))
    x = np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32)
    (y,) = session(model, tmp_path).run(None, {"x": x})
    np.testing.assert_allclose(y, model.outputs(x), **CLOSE)
    lengths = np.array([5, 2, 0, 3])
    (y,) = session(model, tmp_path, with_lengths=True).run(None, {"x": x, "lengths": lengths.astype(np.int32)})
    np.testing.assert_allclose(y, model.outputs(x, lengths), **CLOSE)


def test_a_meter_with_many_digits(tmp_path, monkeypatch):
    """Readings near 54,000,000 with a deviation of 0.14: the graph gives what ``Model.predict`` gives."""
    from npseq.cli import training_run

    monkeypatch.chdir(tmp_path)
    meter = str(FILES / "meter.csv")
    assert training_run.main(["--data", meter, "--epochs", "2", "--lr", "0.01", "--base", "none", "--quiet"]) == 0
    model = npseq.load("rnn_lstm_best.pth")
    run = session(model, tmp_path, with_scaler=True)
    rng = np.random.default_rng(0)
    inputs, outputs = model.scaling.inputs, model.scaling.outputs
    x = inputs.mean + inputs.scale * rng.normal(size=(50, 12, model.rnn.input_size))
    (y,) = run.run(None, {"x": x})
    assert inputs.mean.max() > 5e7 and np.abs(y - model.predict(x)).max() < 0.01 * outputs.scale.min()


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("options", [{}, {"embedding_size": 3}, {"num_layers": 2, "embedding_size": 3}], ids=str)
def test_outputs_at_every_step_with_state_in_and_out(tmp_path, kind, options):
    model = randomised(Model(kind, 5, 4, 5, loss="cross_entropy", outputs="all", rng=0, **options))
    x = np.random.default_rng(0).integers(0, 5, (2, 12))
    graph = session(model, tmp_path, with_state=True)
    letters = "hc" if kind == "lstm" else "h"
    state = {letter + "_0": np.zeros((model.rnn.num_layers, 2, 4), np.float32) for letter in letters}
    parts = []
    for steps in x[:, :5], x[:, 5:]:  # the state of one call is that of the next
        given = steps if model.embedding else np.eye(5, dtype=np.float32)[steps]
        y, *end = graph.run(None, {"x": given, **state})
        state = dict(zip(state, end))
        parts.append(y)
    expected, end = model(x)
    np.testing.assert_allclose(np.concatenate(parts, axis=1), expected, **CLOSE)
    for given, ours in zip(state.values(), end if isinstance(end, tuple) else [end]):
        np.testing.assert_allclose(given, ours, **CLOSE)


def test_outputs_at_every_step_of_two_directions_and_lengths(tmp_path):
    model = randomised(Model("lstm", 3, 4, 2, bidirectional=True, outputs="all", rng=0))
    x, lengths = np.random.default_rng(0).normal(size=(4, 6, 3)).astype(np.float32), np.array([6, 2, 1, 5])
    (y,) = session(model, tmp_path, with_lengths=True).run(None, {"x": x, "lengths": lengths.astype(np.int32)})
    np.testing.assert_allclose(y, model.outputs(x, lengths), **CLOSE)


def test_an_embedding_is_refused_where_it_would_be_left_out(tmp_path):
    model = Model("lstm", 5, 4, 5, embedding_size=3, rng=0)
    with pytest.raises(ValueError, match="this model has an embedding: use model"):
        model.stream()
    with pytest.raises(ValueError, match="embedding cannot be written in C"):
        npseq.c.export(model, tmp_path / "m.h")
    assert list(tmp_path.iterdir()) == []
