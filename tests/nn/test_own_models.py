"""The programs of the page "A model of your own": torch's numbers, right gradients, and all that a module can do."""

import copy
import importlib.util
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

import npseq
from npseq import fit, optim, tasks
from npseq.fused import packing
from npseq.gradcheck import check_model
from npseq.gradcheck.result import relative_error

EXAMPLES = Path(__file__).parents[2] / "examples"
if not EXAMPLES.exists():
    pytest.skip("the examples are not here", allow_module_level=True)


def program(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    sys.modules[name] = module = importlib.util.module_from_spec(spec)  # pickles find its class there
    spec.loader.exec_module(module)
    return module


SEQ2SEQ, ATTENTION, FEATURES = map(program, ("encoder_decoder", "attention", "static_features"))
B, T, H = 4, 6, 2
LENGTHS = np.array([6, 0, 1, 4])


def made(name):
    """The module in float64, and a batch."""
    rng = np.random.default_rng(1)
    if name == "encoder_decoder":
        x = rng.integers(0, 3, (B, T)), rng.integers(0, 4, (B, T - 1))
        return SEQ2SEQ.EncoderDecoder(3, H, rng=0, dtype=np.float64), (x, rng.integers(0, 3, (B, T - 1)), None)
    x, target = rng.normal(size=(B, T, 2)), rng.normal(size=(B, 1))
    if name == "attention":
        return ATTENTION.Attention(2, H, rng=0, dtype=np.float64), (x, target, LENGTHS)
    features = rng.normal(size=(B, 3))
    return FEATURES.WithFeatures(2, 3, H, rng=0, dtype=np.float64), ((x, features), target, LENGTHS)


NAMES = "encoder_decoder", "attention", "static_features"


def test_each_is_shorter_than_50_lines():
    for name in NAMES:
        assert len((EXAMPLES / f"{name}.py").read_text().splitlines()) < 50


@pytest.mark.parametrize("name", NAMES)
def test_its_gradient_is_right(name):
    check_model(*made(name)).assert_ok()


def torch_of(name, net, batch, torch):
    """The same in torch: its parameters by npseq's names, and the loss."""

    def t(array):
        return torch.tensor(np.asarray(array))

    (x, target, lengths), F = batch, torch.nn.functional
    if name == "encoder_decoder":
        parts = {
            "encoder": torch.nn.LSTM(3, H, batch_first=True),
            "decoder": torch.nn.LSTM(4, H, batch_first=True),
            "fc": torch.nn.Linear(H, 3),
        }
    elif name == "attention":
        parts = {
            "rnn": torch.nn.GRU(2, H, batch_first=True),
            "query": torch.nn.Linear(H, H, bias=False),
            "fc": torch.nn.Linear(H, 1),
        }
    else:
        parts = {"rnn": torch.nn.GRU(2, H, batch_first=True), "fc": torch.nn.Linear(H + 3, 1)}
    twin = torch.nn.ModuleDict(parts).double()
    twin.load_state_dict({name: t(array) for name, array in net.state_dict().items()})
    if name == "encoder_decoder":
        _, state = twin["encoder"](F.one_hot(t(x[0]), 3).double())
        y = twin["fc"](twin["decoder"](F.one_hot(t(x[1]), 4).double(), state)[0])
        return twin, y, F.cross_entropy(y.reshape(-1, 3), t(target).reshape(-1))
    series, rows = (x, []) if name == "attention" else (x[0], [])
    for row, n in enumerate(lengths):
        if n == 0:  # torch takes no empty sequence
            hs, h = torch.zeros(1, H).double(), torch.zeros(H).double()
        else:
            hs, h = twin["rnn"](t(series[row, :n]))
            h = h[0]
        if name == "attention":
            h = torch.softmax(hs @ twin["query"](h), 0) @ hs
        rows.append(twin["fc"](h if name == "attention" else torch.cat([h, t(x[1][row])])))
    y = torch.stack(rows)
    return twin, y, F.mse_loss(y, t(target))


@pytest.mark.parametrize("name", NAMES)
def test_outputs_loss_and_gradient_are_torchs(name):
    torch = pytest.importorskip("torch")
    net, batch = made(name)
    twin, y, loss = torch_of(name, net, batch, torch)
    assert relative_error(net.outputs(batch[0], batch[2]), y.detach().numpy()) <= 1e-12
    found, grad = net.loss_and_grad(batch)
    assert found == pytest.approx(loss.item(), rel=1e-12)
    loss.backward()
    for parameter, tensor in twin.named_parameters():
        d = net.to_torch_convention(parameter, net.named(grad)[parameter])
        assert relative_error(d, tensor.grad.numpy()) <= 1e-12, parameter


@pytest.mark.parametrize("name", NAMES)
def test_it_trains_saves_loads_copies_pickles_and_converts(name, tmp_path, monkeypatch):
    monkeypatch.setattr(npseq.nn.registry, "MODULES", dict(npseq.nn.registry.MODULES))
    monkeypatch.setattr("npseq.formats.module_file.MODULES", npseq.nn.registry.MODULES)
    net, (x, target, lengths) = made(name)
    with pytest.raises(ValueError, match=f"{type(net).__name__} has no name in files"):
        npseq.save(tmp_path / "m.pth", net)
    npseq.nn.registry.register(name, type(net))

    def many(array):
        return np.concatenate([array] * 10)

    task = tasks.Arrays(
        tuple(map(many, x)) if isinstance(x, tuple) else many(x),
        many(target),
        None if lengths is None else many(lengths),
        parts=(0.8, 0.2),
    )
    first = net.loss_of((x, target, lengths))
    progress = fit.fit(net, task, optim.Adam(net.theta, lr=0.05), epochs=6, batch_size=8, rng=0)
    assert progress.best_loss < 0.9 * first
    npseq.save(tmp_path / "m.pth", net)
    y = net.outputs(x, lengths)
    for twin in npseq.load(tmp_path / "m.pth"), copy.deepcopy(net), pickle.loads(pickle.dumps(net)):
        assert np.array_equal(twin.outputs(x, lengths), y)
        twin.theta[...] = 0
        assert not twin.outputs(x, lengths).any()
    twin = net.astype(np.complex128)
    twin.theta[0] += 1e-30j
    slope = twin.loss_of((x, target, lengths)).imag / 1e-30
    assert net.loss_and_grad((x, target, lengths))[1][0] == pytest.approx(slope, rel=1e-11)


def test_attention_gives_the_padding_no_weight():
    net, (x, _, _) = made("attention")
    a = net.forward(x, LENGTHS)[1][-1]
    for row, n in enumerate(LENGTHS):
        assert not a[row, n:].any() and a[row].sum() == pytest.approx(float(n > 0), abs=1e-14)
    assert (a[2, 0], a[0].min() > 0) == (1, True)
    expected = net.outputs(x, LENGTHS)
    x[np.arange(T) >= LENGTHS[:, None]] = np.nan
    assert np.array_equal(net.outputs(x, LENGTHS), expected)


@pytest.mark.parametrize("packed", [False, True])
def test_a_batch_with_attention_is_its_sequences(packed, monkeypatch):
    monkeypatch.setattr(packing, "MIN_MULTIPLICATIONS_SAVED", -1 if packed else 1 << 60)
    net, (x, _, _) = made("attention")
    y, tape = net.forward(x, LENGTHS)
    dy = np.random.default_rng(3).normal(size=y.shape)
    total = np.zeros_like(net.theta)
    for row, n in enumerate(LENGTHS):
        one, tape_1 = net.forward(x[row : row + 1, : max(n, 1)], None if n else [0])
        assert np.allclose(one[0], y[row], rtol=0, atol=1e-14)
        total += net.backward(tape_1, dy[row : row + 1])[1].theta
    assert relative_error(net.backward(tape, dy)[1].theta, total) <= 1e-13
