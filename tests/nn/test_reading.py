"""Heads that read the mean or the maximum over the steps: torch's numbers, the complex step's gradients, lengths."""

import json
from pathlib import Path

import numpy as np
import pytest

import npseq
from npseq.fused import packing
from npseq.gradcheck import check_model
from npseq.gradcheck.result import relative_error
from npseq.nn.model import Model
from npseq.nn.streaming import WindowStream

FILES = Path(__file__).parents[1] / "files"
POOLED = ["mean", "max", "mean+max"]
LENGTHS = np.array([5, 0, 3, 1])


def made(read, kind="lstm", **options):
    model = Model(kind, 2, 2, 2, read=read, dtype=np.float64, rng=0, **options)
    model.theta += np.random.default_rng(1).normal(0, 0.3, model.theta.shape)
    return model


def data(seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(4, 5, 2)), rng.normal(size=(4, 2))


@pytest.mark.parametrize("read", POOLED)
@pytest.mark.parametrize("kind", ["gru", "optimized_lstm"])
@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize(
    "options",
    [
        {},
        pytest.param({"bidirectional": True, "num_layers": 2}, marks=pytest.mark.wide),
        pytest.param({"learn_initial_state": True}, marks=pytest.mark.wide),
    ],
    ids=str,
)
def test_the_gradient_agrees_with_the_complex_step(read, kind, lengths, options):
    check_model(made(read, kind, **options), (*data(), lengths)).assert_ok()


@pytest.mark.parametrize("read", POOLED)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_outputs_and_gradients_are_torchs(read, bidirectional):
    torch = pytest.importorskip("torch")
    model, (x, target) = made(read, bidirectional=bidirectional), data()
    lstm, fc = (
        torch.nn.LSTM(2, 2, batch_first=True, bidirectional=bidirectional),
        torch.nn.Linear(*model.fc.shapes["weight"][::-1]),
    )
    twin = torch.nn.ModuleDict({"rnn": lstm, "fc": fc}).double()
    twin.load_state_dict({name: torch.tensor(array) for name, array in model.state_dict().items()})
    hs = twin["rnn"](torch.tensor(x))[0]
    parts = {"mean": hs.mean(1), "max": hs.max(1).values}
    y = twin["fc"](torch.cat([parts[name] for name in read.split("+")], 1))
    assert relative_error(model.outputs(x), y.detach().numpy()) <= 1e-12
    ((y - torch.tensor(target)) ** 2).mean().backward()
    grads = model.named(model.loss_and_grad((x, target, None))[1])
    for name, parameter in twin.named_parameters():
        assert relative_error(grads[name], parameter.grad.numpy()) <= 1e-12, name


@pytest.mark.parametrize("read", [*POOLED, "final", "last"])
@pytest.mark.parametrize("kind", ["gru", "optimized_gru"])
def test_a_batch_is_its_sequences_whatever_is_in_the_padding(read, kind, monkeypatch):
    monkeypatch.setattr(packing, "MIN_MULTIPLICATIONS_SAVED", -1)
    model, x = made(read, kind, bidirectional=True), data()[0]
    x[np.arange(5) >= LENGTHS[:, None]] = np.nan
    y, state, tape = model.forward(x, lengths=LENGTHS)
    dy = np.random.default_rng(2).normal(size=y.shape)
    grads, dx = np.zeros_like(model.theta), np.zeros_like(x)
    for row, n in enumerate(LENGTHS):
        one = x[row : row + 1, : max(n, 1)]
        y_1, _, tape_1 = model.forward(one, lengths=LENGTHS[row : row + 1])
        assert np.allclose(y[row], y_1[0], rtol=0, atol=1e-14)
        dx_1, _, grads_1 = model.backward(tape_1, dy[row : row + 1])
        grads += grads_1.theta
        dx[row, : max(n, 1)] = dx_1
    found, _, all_grads = model.backward(tape, dy)
    assert relative_error(all_grads.theta, grads) <= 1e-13 and relative_error(found, dx) <= 1e-13
    assert np.array_equal(model(x, lengths=LENGTHS)[0], y) and np.array_equal(
        model.hidden(x, lengths=LENGTHS)[0][1], model.hidden(x[1:2], lengths=[0])[0][0]
    )


def test_mean_and_maximum_are_those_of_the_valid_steps():
    model, (x, _) = made("mean+max"), data()
    hs, _ = model.rnn(x, lengths=LENGTHS)
    h, _ = model.hidden(x, lengths=LENGTHS)
    for row, n in enumerate(LENGTHS):
        steps = hs[row, :n] if n else np.zeros((1, 2))  # of no step: 0
        assert np.allclose(h[row], np.concatenate([steps.mean(0), steps.max(0)]), rtol=0, atol=1e-15)


def test_the_gradient_through_the_final_state_is_added():
    model, x = made("max"), data()[0]
    y, state, tape = model.forward(x)
    dy, d_state = np.ones_like(y), tuple(np.ones_like(part) for part in state)
    both = model.backward(tape, dy, d_state)[2].theta
    assert (
        relative_error(model.backward(tape, dy)[2].theta + model.backward(tape, 0 * dy, d_state)[2].theta, both)
        <= 1e-13
    )
    final = made("final")
    y, _, tape = final.forward(x)
    both = final.backward(tape, dy, d_state)[2].theta
    assert (
        relative_error(final.backward(tape, dy)[2].theta + final.backward(tape, 0 * dy, d_state)[2].theta, both)
        <= 1e-13
    )


def test_of_an_empty_sequence_the_last_output_is_the_learned_state():
    check_model(made("last", bidirectional=True, learn_initial_state=True), (*data(), LENGTHS)).assert_ok()


def test_what_cannot_read_all_steps_is_refused_by_name():
    model = made("mean")
    for refused in (model.stream, lambda: WindowStream(model, 3)):
        with pytest.raises(ValueError, match="this model's head reads 'mean' of all steps"):
            refused()
    with pytest.raises(ValueError, match="a head that reads 'mean' of all steps has no form in C"):
        npseq.c.export(model, "never.h")
    with pytest.raises(ValueError, match="read='mean' gives one output for all steps"):
        Model("lstm", 2, 3, read="mean", outputs="all")
    with pytest.raises(ValueError, match="a stream takes real numbers, and this model has an embedding"):
        WindowStream(Model("lstm", 2, 3, embedding_size=2), 3)


@pytest.mark.parametrize("read", POOLED)
def test_a_torch_file_is_read_as_told_and_the_file_of_npseq_says_it_itself(read, tmp_path, recwarn):
    model, (x, _) = made(read).astype(np.float32), data()
    npseq.checkpoint.save(tmp_path / "t.pth", model.state_dict())
    found = npseq.load(tmp_path / "t.pth", read=read)
    npseq.save(tmp_path / "n.pth", found)
    again = npseq.load(tmp_path / "n.pth")
    assert not recwarn.list and again.read == read == again.config["read"]
    for one in found, again:
        assert np.array_equal(one.predict(x), model.predict(x))
    if read == "mean+max":  # it alone fits the shape
        with pytest.warns(
            UserWarning, match=r"assumed: read='mean\+max', mean and maximum over the steps side by side$"
        ):
            assert npseq.load(tmp_path / "t.pth").read == read
    with pytest.raises(npseq.checkpoint.CheckpointError, match="linear layer reads"):
        npseq.load(tmp_path / "t.pth", read="final" if read == "mean+max" else "mean+max")


def test_a_file_whose_head_reads_the_mean():
    expected = json.loads((FILES / "head_reads_mean.json").read_text())
    x = np.array(expected["x"])
    y = npseq.load(FILES / "head_reads_mean.pth", read="mean").predict(x)
    np.testing.assert_allclose(y, expected["y"], atol=1e-6)
    with pytest.warns(
        UserWarning, match=r"assumed: read='final', the last hidden state \(or 'mean', 'max': .*no activation"
    ):
        assert np.abs(npseq.load(FILES / "head_reads_mean.pth").predict(x) - expected["y"]).max() > 0.01
