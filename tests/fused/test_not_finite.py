"""Infinity, NaN and −0: the optimized layers, the plain ones and torch give the same, forward and backward."""

import itertools

import numpy as np
import pytest

import npseq
from npseq.cells import ReLURNNCell

INF, NAN = np.inf, np.nan
VALUES = [INF, -INF, NAN, -0.0, 0.0, 2.0, -2.0]


def results(layer, x, dy):
    """y with a tape and without, dx and the gradient of every parameter."""
    y, _, tape = layer.forward(x)
    dx, _, grads = layer.backward(tape, dy)
    return [y, layer(x)[0], dx, *(grads[name] for name in layer.params)]


def with_weights(layer, weights):
    for name, value in weights.items():
        layer.params[name][...] = value
    return layer


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("incoming", [1.0, INF, -INF, NAN])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_relu_of_anything_is_torchs(incoming, dtype):
    torch = pytest.importorskip("torch")
    # one unit without a recurrent weight and 35 sequences: every pre-activation of VALUES, in all places of a register
    x = np.array(VALUES * 5, dtype)[None, :, None]
    dy = np.full(x.shape, incoming, dtype)
    weights = {"weight_ih_l0": 1, "weight_hh_l0": 0, "bias_ih_l0": -0.0, "bias_hh_l0": -0.0}
    module = torch.nn.RNN(1, 1, nonlinearity="relu", dtype=torch.float64 if dtype == np.float64 else torch.float32)
    with torch.no_grad():
        for name, value in weights.items():
            getattr(module, name).fill_(value)
    x_torch = torch.tensor(x, requires_grad=True)
    y, _ = module(x_torch)
    y.backward(torch.tensor(dy))
    expected = y.detach().numpy(), x_torch.grad.numpy()
    assert np.isnan(expected[0][0, :, 0]).tolist() == np.isnan(x[0, :, 0]).tolist()
    for kind in "RNN", "OptimizedRNN":
        layer = with_weights(getattr(npseq, kind)(1, 1, nonlinearity="relu", dtype=dtype), weights)
        found, inferred, dx, *grads = results(layer, x, dy)
        np.testing.assert_array_equal(found, expected[0])
        np.testing.assert_array_equal(inferred, expected[0])
        np.testing.assert_array_equal(dx, expected[1])
        for name, grad in zip(layer.params, grads):
            np.testing.assert_array_equal(grad, getattr(module, name).grad.numpy(), name)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("value", [INF, -INF, NAN])
@pytest.mark.parametrize("where", ["x", "dy"])
def test_relu_after_a_step_that_is_not_finite_is_torchs(value, where):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    T, B, I, H = 5, 3, 2, 4
    arrays = {"x": rng.standard_normal((T, B, I)), "dy": rng.standard_normal((T, B, H))}
    arrays[where][2, 1, 0] = value
    module = torch.nn.RNN(I, H, nonlinearity="relu", dtype=torch.float64)
    x = torch.tensor(arrays["x"], requires_grad=True)
    y, _ = module(x)
    y.backward(torch.tensor(arrays["dy"]))
    for kind in "RNN", "OptimizedRNN":
        layer = getattr(npseq, kind)(I, H, nonlinearity="relu", dtype=np.float64)
        layer.load_state_dict({name: p.detach().numpy() for name, p in module.named_parameters()})
        found, inferred, dx, *grads = results(layer, arrays["x"], arrays["dy"])
        expected = [y.detach().numpy()] * 2 + [x.grad.numpy()] + [getattr(module, n).grad.numpy() for n in layer.params]
        for a, b in zip([found, inferred, dx, *grads], expected):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_relu_of_complex_numbers_is_selected_by_the_real_part():
    parts = [INF, -INF, NAN, -0.0, 0.0, 1.5, -1.5]
    a = np.array([complex(re, im) for re, im in itertools.product(parts, [1.0, -2.0, INF])])[:, None]
    (h,), cache = ReLURNNCell.forward(a, np.zeros_like(a), None)
    expected = np.array([0 if z.real <= 0 else z for z in a[:, 0]])[:, None]
    np.testing.assert_array_equal(h, expected)
    dh = np.full(a.shape, complex(INF, NAN))
    da, _, _ = ReLURNNCell.backward((dh,), cache)
    np.testing.assert_array_equal(da, np.where(a.real <= 0, 0, dh))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("kind, options", [("RNN", {}), ("RNN", {"nonlinearity": "relu"}), ("LSTM", {}), ("GRU", {})])
@pytest.mark.parametrize(
    "value, dtype",  # no infinite complex number: the NaNs of its products depend on the order of sums
    [(INF, np.float64), (-INF, np.float64), (NAN, np.float64), (NAN, np.complex128)],
)
def test_optimized_equals_plain_after_an_input_that_is_not_finite(kind, options, value, dtype):
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((6, 2, 3)).astype(dtype), rng.standard_normal((6, 2, 4)).astype(dtype)
    x[2, 0, 1] = value
    plain, fast = (getattr(npseq, name)(3, 4, rng=0, dtype=dtype, **options) for name in (kind, "Optimized" + kind))
    for found, expected in zip(results(fast, x, dy), results(plain, x, dy)):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("value", [INF, -INF, NAN])
def test_packed_sequences_after_one_with_an_input_that_is_not_finite_are_those_of_the_plain_layer(monkeypatch, value):
    """The GRU runs the steps up to the next start again, without the zeros of W: the steps behind must not."""
    monkeypatch.setattr("npseq.fused.packing.MIN_MULTIPLICATIONS_SAVED", -1)
    rng = np.random.default_rng(0)
    lengths = np.array([40, *rng.integers(1, 12, 39)])
    x = rng.normal(size=(40, 40, 3)).astype(np.float32)
    x[2, :4, 1] = value
    plain, fast = (getattr(npseq, name)(3, 4, rng=0) for name in ("GRU", "OptimizedGRU"))
    for found, expected in zip(fast(x, lengths=lengths), plain(x, lengths=lengths)):
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert len(fast.forward(x, lengths=lengths)[2].runs[0].packing.pieces(0, 40)) > 3
