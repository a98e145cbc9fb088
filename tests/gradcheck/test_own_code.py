"""The checker and other people's code: functions, objects with forward and backward, second derivatives, rounding."""

import numpy as np
import pytest

import npseq
from npseq.gradcheck import Adapter, check, check_cell, check_layer

RNG = np.random.default_rng(0)
X, W = RNG.normal(size=(7, 3)), 0.5 * RNG.normal(size=(4, 3))
U = 0.5 * RNG.normal(size=(4, 4))


def states(W, U):
    h = [np.zeros(4, np.result_type(W, U))]
    for row in X:
        h.append(np.tanh(W @ row + U @ h[-1]))
    return h


def loss(W, U):
    return (np.arange(1, 5) * states(W, U)[-1]).sum()


def gradient_in(dtype, wrong=False):
    def gradient(W, U):
        h, dW, dU = states(W, U), np.zeros((4, 3), dtype), np.zeros((4, 4), dtype)
        dh = np.arange(1.0, 5)
        for k in reversed(range(len(X))):
            da = dh * (1 - h[k + 1] ** 2)
            dW += np.outer(da, X[k])
            dU += np.outer(da, h[k + wrong])
            dh = U.T @ da
        return {"W": dW, "U": dU}

    return gradient


ARRAYS = {"W": W, "U": U}


def test_a_gradient_in_float32_is_unchecked_and_the_report_says_why():
    assert check(loss, gradient_in(np.float64), ARRAYS).ok
    result = check(loss, gradient_in(np.float32), ARRAYS)
    assert result.verdict == "unchecked" and "float32" in str(result) and "threshold=1e-05" in str(result)
    assert check(loss, gradient_in(np.float32), ARRAYS, threshold=1e-5).ok
    assert check(loss, gradient_in(np.float32, wrong=True), ARRAYS).verdict == "wrong"


def chain(x):
    h = [0 * x[0]]
    for value in x:
        h.append(np.tanh(0.2 * h[-1] + value))
    return h


@pytest.mark.parametrize("first", [0, 20])
def test_a_gradient_that_vanishes_is_compared_by_its_own_size(first):
    def gradient(x):
        h, dx, dh = chain(x), np.zeros(40), 1.0
        for t in reversed(range(first, 40)):
            dx[t] = dh * (1 - h[t + 1] ** 2)
            dh = dx[t] * 0.2
        return {"x": dx}

    x = np.random.default_rng(4).normal(size=40)
    assert check(lambda x: chain(x)[-1], gradient, {"x": x}).verdict == ("wrong" if first else "right")


def test_a_gradient_of_zero_is_right_with_a_note():
    def softmax(z):
        e = np.exp(z - z.real.max())
        return e / e.sum()

    def gradient(w, c):
        d = softmax(X @ w + c[0])
        d[2] -= 1
        return {"w": X.T @ d, "c": d.sum(keepdims=True)}

    arrays = {"w": RNG.normal(size=3), "c": np.array([0.3])}
    assert check(lambda w, c: -np.log(softmax(X @ w + c[0])[2]), gradient, arrays).verdict == "right"

    def normalised(x):
        a = x - x.mean(0)
        return a / np.sqrt((a * a).mean(0) + 1e-5)

    def of_the_sum(x):
        a, n = x - x.mean(0), len(x)
        s = 1 / np.sqrt((a * a).mean(0) + 1e-5)
        da = s + 2 * a * (-0.5 * a * s**3).sum(0) / n
        return {"x": da - da.mean(0)}

    result = check(lambda x: normalised(x).sum(), of_the_sum, {"x": X})
    assert result.verdict == "right" and "the true gradient of x is zero here" in str(result)
    assert check(lambda x: normalised(x).sum(), lambda x: {"x": of_the_sum(x)["x"] + 1e-9}, {"x": X}).verdict == "wrong"


@pytest.mark.parametrize("kind", [npseq.RNN, npseq.GRU, npseq.LSTM, npseq.OptimizedGRU, npseq.OptimizedLSTM])
def test_saturated_layers_are_right(kind):
    layer = kind(3, 4, rng=0, dtype=np.float64)
    for name, array in layer.params.items():
        array *= 20 if name.startswith("weight") else 1
    result = check_layer(layer)
    assert result.verdict == "right" and not result.faults, str(result)


def test_the_first_wrong_local_of_a_function_is_named():
    def f(x, w):
        h = np.tanh(x * w)
        return (h * h * w).sum()

    def grad(x, w):
        h = np.tanh(x * w)
        dh = 2 * h
        da = dh * (1 - h * h)
        return {"x": da * w, "w": (da * x).sum(0) + (h * h).sum(0)}

    result = check(f, grad, shapes={"x": (5, 3), "w": (3,)})
    assert result.diagnosis[0].startswith("grad: dh at") and "test_own_code.py:" in result.diagnosis[0]
    assert "dh = 2 * h" in result.diagnosis[0]


def test_in_a_loop_the_last_step_of_the_loss_is_the_first_of_the_gradient():
    def f(x):
        h = 0 * x[0]
        for row in x:
            h = np.tanh(row + 0.5 * h)
        return h.sum()

    def grad(x):
        h = [0 * x[0]]
        for row in x:
            h.append(np.tanh(row + 0.5 * h[-1]))
        d, dh = np.zeros_like(x), np.ones(3)
        for t in reversed(range(len(x))):
            d[t] = dh * (1 - h[t + 1] ** 2)
            dh = 0.4 * d[t] if t == 3 else 0.5 * d[t]
        return {"x": d}

    (line, *_) = check(f, grad, {"x": X}).diagnosis
    assert "dh" in line and "0.4 * d[t]" in line


class Net:
    """h = tanh(x W + b), as people write it."""

    def __init__(self, wrong=False):
        self.W, self.b, self.wrong = np.array(W.T), np.zeros(4), wrong
        self.params, self.grads = {"W": self.W, "b": self.b}, {}

    def forward(self, x):
        W, b = (self.params["W"], self.params["b"]) if "W" in self.params else (self.W, self.b)
        self.x, self.h = x, np.tanh(x @ W + b)
        return self.h

    def backward(self, dh):
        da = dh * (1 - self.h**2)
        self.dW, self.db = self.x.T @ da, da.mean(0) if self.wrong else da.sum(0)
        self.grads = {"W": self.dW, "b": self.db}
        return da @ (self.params["W"] if "W" in self.params else self.W).T


@pytest.mark.parametrize("wrong", [False, True])
def test_an_adapter_takes_dicts_of_parameters_and_names_of_attributes(wrong):
    net = Net(wrong)
    before = net.W.copy()
    attributes = Net(wrong)
    attributes.params = {}
    for adapter in (Adapter(net, X), Adapter(attributes, X, params=["W", "b"], grads=["dW", "db"])):
        result = check(adapter)
        assert result.verdict == ("wrong" if wrong else "right") and set(result.arrays) == {"W", "b", "x"}
        assert [error.name for error in result.wrong] == ["b"] * wrong
    assert np.array_equal(net.W, before) and not net.grads
    with pytest.raises(ValueError, match="2 parameters in .* and 1 gradients"):
        Adapter(attributes, X, params=["W", "b"], grads=["dW"])


def test_second_derivatives_find_what_drops_the_imaginary_part():
    def cube(x):
        return (x * x * x).sum()

    assert check(cube, lambda x: {"x": 3 * x * x}, {"x": X}, order=2).ok
    for grad in (
        lambda x: {"x": 3 * (x * x).real},
        lambda x: {"x": 3 * np.array(x, float) ** 2 if x.dtype == float else x},
    ):
        result = check(cube, grad, {"x": X}, order=2)
        assert result.verdict == "wrong" and result.faults[0].startswith("order 2: ")
    assert check(npseq.OptimizedGRU(2, 3, rng=0), order=2, T=3).ok and check(npseq.LSTM(2, 3, rng=0), order=2, T=3).ok


def test_check_takes_layers_and_cells_and_says_what_it_takes(capsys):
    assert check(npseq.GRU(2, 3, rng=0), lengths=[5, 0, 2], T=5).ok and check(npseq.cells.LSTMCell).ok
    assert capsys.readouterr().out == ""
    with pytest.raises(TypeError, match="Adapter expected"):
        check(3)
    with pytest.raises(AssertionError):
        assert check(lambda x: (x * x).sum(), lambda x: {"x": x}, {"x": X}).ok
    assert "WRONG: worst 5.0e-01 in x" in capsys.readouterr().out


def test_a_cell_is_checked_at_every_range_of_its_pre_activations():
    class Clipped(npseq.cells.RNNCell):
        @staticmethod
        def backward(d_state, cache):
            da = d_state[0] * np.where(np.abs(cache[0]) > 1 - 1e-4, 0, 1 - cache[0] ** 2)
            return da, da, (np.zeros_like(da),)

    result = check_cell(Clipped)
    assert result.verdict == "wrong" and "±" in " ".join(result.faults) or result.wrong
