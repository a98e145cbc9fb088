"""examples/ten_steps: each file runs, and each is held against npseq."""

import importlib
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import npseq

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "ten_steps"
FILES = sorted(FOLDER.glob("step*.py"))
V, H, T, B = 6, 5, 7, 3


@pytest.fixture(autouse=True)
def here(monkeypatch):
    """As when a file of the folder is run."""
    monkeypatch.syspath_prepend(str(FOLDER))
    yield
    for path in FILES:
        sys.modules.pop(path.stem, None)


def step(number):
    (path,) = (path for path in FILES if path.stem.startswith(f"step{number:02}"))
    return importlib.import_module(path.stem)


def rng():
    return np.random.default_rng(0)


def batch(draw):
    inputs, targets = draw.integers(V, size=(2, T, B))
    return inputs, targets, (draw.normal(size=(H, B)), draw.normal(size=(H, B)))


def npseqs(kind, p, inputs, targets, state, mask=1.0, lengths=None, dhs=None):
    """npseq's loss and gradients for the same parameters: the layer, a linear readout, the cross entropy."""
    layer = kind(V, H, dtype=np.float64)
    for name, own in (("weight_ih_l0", "W_x"), ("weight_hh_l0", "W_h"), ("bias_ih_l0", "b")):
        layer.params[name][...] = p[own].reshape(layer.params[name].shape)
    layer.params["bias_hh_l0"][...] = 0
    states = tuple(part.T[None] for part in state)
    y, end, tape = layer.forward(np.eye(V)[inputs], states if len(states) > 1 else states[0], lengths)
    loss, d = None, {}
    if dhs is None:
        logits = (y * mask) @ p["W_y"].T + p["b_y"].ravel()
        loss, dlogits = npseq.losses.cross_entropy(logits, targets)
        d = {"W_y": np.einsum("tbv,tbh->vh", dlogits, y * mask), "b_y": dlogits.sum((0, 1))}
        dhs = (dlogits @ p["W_y"]) * mask
    _, _, grads = layer.backward(tape, dhs)
    d |= {"W_x": grads["weight_ih_l0"], "W_h": grads["weight_hh_l0"], "b": grads["bias_ih_l0"]}
    return loss, d, end


def assert_same(ours, theirs, names=None):
    for name in names or theirs:
        right = theirs[name].reshape(ours[name].shape)
        assert abs(ours[name] - right).max() < 1e-12 * abs(right).max(), name


def test_there_are_ten_and_the_first_has_a_hundred_lines():
    assert [int(path.stem[4:6]) for path in FILES] == list(range(1, 11))
    assert len(FILES[0].read_text(encoding="utf-8").splitlines()) <= 100


def test_step_1_is_npseqs_rnn():
    step01, draw = step(1), rng()
    p, (inputs, targets, (h, _)) = step01.start(V, H, draw), batch(draw)
    loss, d, last = step01.loss_and_grad(p, inputs[:, 0], targets[:, 0], h[:, 0])
    right, theirs, end = npseqs(npseq.RNN, p, inputs[:, :1], targets[:, :1], (h[:, :1],))
    assert abs(loss - right) < 1e-13 and np.allclose(last, end.ravel(), rtol=0, atol=1e-14)
    assert_same(d, theirs)


def test_step_2_finds_npseqs_gradient_and_a_bug():
    step01, step02, draw = step(1), step(2), rng()
    p, (inputs, targets, (h, _)) = step01.start(V, H, draw), batch(draw)
    data = inputs[:, 0], targets[:, 0], h[:, 0]
    _, theirs, _ = npseqs(npseq.RNN, p, inputs[:, :1], targets[:, :1], (h[:, :1],))
    theirs = {name: value.reshape(p[name].shape) for name, value in theirs.items()}
    assert max(step02.check(p, theirs, *data).values()) < 1e-13
    theirs["W_h"] = 1.001 * theirs["W_h"]
    assert step02.check(p, theirs, *data)["W_h"] > 5e-4


def test_step_3_is_npseqs_batch():
    step03, draw = step(3), rng()
    p, (inputs, targets, (h, _)) = step03.start(V, H, draw), batch(draw)
    loss, d, _ = step03.loss_and_grad(p, inputs, targets, h)
    right, theirs, _ = npseqs(npseq.RNN, p, inputs, targets, (h,))
    assert abs(loss - right) < 1e-13
    assert_same(d, theirs)


def test_step_4_is_npseqs_lstm():
    step04, draw = step(4), rng()
    p, (inputs, targets, state) = step04.start(V, H, draw), batch(draw)
    loss, d, end = step04.loss_and_grad(p, inputs, targets, state)
    right, theirs, npseqs_end = npseqs(npseq.LSTM, p, inputs, targets, state)
    assert abs(loss - right) < 1e-13
    assert_same(d, theirs)
    assert all(np.allclose(a, b[0].T, rtol=0, atol=1e-14) for a, b in zip(end, npseqs_end))


def test_step_5_is_npseqs_with_lengths():
    step04, step05, draw = step(4), step(5), rng()
    p, (inputs, _, state) = step04.start(V, H, draw), batch(draw)
    lengths, dhs = [T, 3, 0], draw.normal(size=(T, H, B))
    valid = step05.valid_of(lengths, T)
    h, c, gates = step05.forward(p, inputs, state, valid)
    d = step05.backward(p, inputs, h, c, gates, dhs, valid)
    _, theirs, end = npseqs(npseq.LSTM, p, inputs, None, state, lengths=lengths, dhs=dhs.transpose(0, 2, 1))
    assert_same(d, theirs)
    assert np.allclose(h[-1], end[0][0].T, rtol=0, atol=1e-14) and np.allclose(c[-1], end[1][0].T, rtol=0, atol=1e-14)


def test_step_6_is_npseqs_truncated_bptt():
    step04, step06, draw = step(4), step(6), rng()
    p, columns, chunk = step04.start(V, H, draw), draw.integers(V, size=(13, B)), 5
    zero = np.zeros((H, B))
    loss, d = step06.truncated(p, columns, chunk, (zero, zero))
    layer = npseq.LSTM(V, H, dtype=np.float64)
    for name, own in (("weight_ih_l0", "W_x"), ("weight_hh_l0", "W_h"), ("bias_ih_l0", "b")):
        layer.params[name][...] = p[own].reshape(layer.params[name].shape)
    layer.params["bias_hh_l0"][...] = 0

    def dy_of(y, steps):
        logits = y @ p["W_y"].T + p["b_y"].ravel()
        _, dlogits = npseq.losses.cross_entropy(logits, columns[1:][steps])
        return dlogits @ p["W_y"] * len(y) / 12

    parts = npseq.layers.truncated_bptt(layer, np.eye(V)[columns[:-1]], dy_of, chunk)
    total = sum(grads["weight_hh_l0"].copy() for _, _, _, grads, _ in parts)
    assert_same(d, {"W_h": total})
    _, whole = step06.truncated(p, columns, 12, (zero, zero))
    assert abs(whole["W_h"] - total).max() > 1e-3 * abs(total).max() and loss > 0


def test_step_7_is_npseqs_adam():
    step07, draw = step(7), rng()
    theta = draw.normal(size=20)
    theirs = theta.copy()
    mine, right = step07.Adam(theta, 0.01), npseq.optim.Adam(theirs, lr=0.01)
    for _ in range(5):
        grad = 3 * draw.normal(size=20)
        clipped = grad.copy()
        npseq.optim.clip_by_global_norm(clipped, 1.0)
        assert np.allclose(step07.clip(grad, 1.0), clipped, rtol=1e-6)
        mine.step(grad)
        right.step(grad)
    assert np.allclose(theta, theirs, rtol=1e-12, atol=0)
    flat, p = step07.flat({"a": np.ones((2, 2)), "b": np.zeros(3)})
    flat[0] = 7
    assert p["a"][0, 0] == 7 and flat.shape == (7,)


@pytest.mark.parametrize("number", [8, 10])
def test_steps_8_and_10_are_npseqs_lstm_under_a_mask(number):
    step04, step08, draw = step(4), step(8), rng()
    p, (inputs, targets, state) = step04.start(V, H, draw), batch(draw)
    mask = step08.mask_of((T, H, B), 0.4, draw)
    assert set(np.unique(mask)) == {0, 1 / 0.6}
    loss, d, _ = step(number).loss_and_grad(p, inputs, targets, state, mask)
    right, theirs, _ = npseqs(npseq.OptimizedLSTM, p, inputs, targets, state, mask.transpose(0, 2, 1))
    assert abs(loss - right) < 1e-13
    assert_same(d, theirs)


def test_step_9_is_npseqs_optimized_lstm_and_step_4():
    step04, step09, draw = step(4), step(9), rng()
    p, (inputs, _, state) = step04.start(V, H, draw), batch(draw)
    dhs = draw.normal(size=(T, H, B))
    d = step09.backward(p, inputs, *step09.forward(p, inputs, state), dhs)
    _, theirs, _ = npseqs(npseq.OptimizedLSTM, p, inputs, None, state, dhs=dhs.transpose(0, 2, 1))
    assert_same(d, theirs)
    assert_same(d, step04.backward(p, inputs, *step04.forward(p, inputs, state), dhs))


@pytest.mark.wide
@pytest.mark.parametrize("number", range(1, 10))
def test_every_step_runs_and_shows_what_its_page_says(number, capsys):
    page = (ROOT / "docs" / "ten_steps.md").read_text(encoding="utf-8")
    shown = re.search(rf"^## {number}\..*?```text\n(.*?)```", page, re.DOTALL | re.MULTILINE)[1]
    step(number).main(*[20] * (number in (7, 8)))  # fewer updates; what is compared are the words
    printed = capsys.readouterr().out
    words = [re.sub(r"[-\d.e]+", "#", text).split() for text in (shown, printed)]
    if number == 1:  # what it writes is drawn
        words = [text[:20] for text in words]
    assert words[0] == words[1], printed


@pytest.mark.wide
def test_the_last_step_learns_to_write_shakespeare():
    step10 = step(10)
    text = "".join(map(chr, npseq.data.load_corpus("tiny_shakespeare").symbols[:40_000]))
    characters = sorted(set(text))
    numbers = np.array([characters.index(c) for c in text])
    p, loss = step10.train(numbers, len(characters), H=32, T=25, B=16, updates=250, lr=0.01, report=50)
    assert loss < 2.4  # without learning log of 60 or so, 4.1; the frequencies alone give 3.3
    written = step10.write(p, characters, "The ", 60, rng())
    assert written.startswith("The ") and len(written) == 64 and set(written) <= set(characters)
