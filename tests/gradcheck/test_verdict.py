"""The verdict: right, wrong or unchecked. A right gradient is never called wrong, whatever its forward looks like."""

import math

import numpy as np
import pytest

import npseq
from npseq.cells import GRUCell, LSTMCell, RNNCell, gate_blocks, sigmoid
from npseq.cli import gradcheck as command
from npseq.gradcheck import check, check_cell, check_layer
from npseq.nn.recurrent import Recurrent

X = np.array([[0.3, -0.7, 1.1], [2.0, 0.4, -0.2]])
R = np.array([[0.5, 1.0, -2.0], [1.5, -0.5, 0.7]])


# ---- right gradients of awkward functions ----


def hand_written_network():
    """The states in an array of zeros: it drops the imaginary part of everything that goes through h."""
    rng = np.random.default_rng(1)
    x, target, T, H = rng.normal(size=(6, 2)), rng.normal(size=(6, 1)), 6, 3
    weights = {"W_x": rng.normal(size=(H, 2)), "W_h": rng.normal(size=(H, H)) / 2, "W_y": rng.normal(size=(1, H))}

    def forward(W_x, W_h, W_y):
        h = np.zeros((T + 1, H))
        for t in range(T):
            h[t + 1] = np.tanh(W_x @ x[t] + W_h @ h[t])
        return h, h[1:] @ W_y.T

    def gradient(**w):
        h, y = forward(**w)
        dy, back = 2 * (y - target), np.zeros(H)
        d = {name: np.zeros(array.shape) for name, array in w.items()}
        for t in reversed(range(T)):
            d["W_y"] += np.outer(dy[t], h[t + 1])
            da = (dy[t] @ w["W_y"] + back) * (1 - h[t + 1] ** 2)
            d["W_x"] += np.outer(da, x[t])
            d["W_h"] += np.outer(da, h[t])
            back = w["W_h"].T @ da
        return d

    return lambda **w: ((forward(**w)[1] - target) ** 2).sum(), gradient, weights


def of_x(f, gradient):
    return f, lambda x: {"x": gradient(x)}, {"x": X}


def normalised(x):
    return ((x - x.mean(0)) / np.sqrt(x.var(0) + 0.1) * R).sum() + (x**3).sum()


def d_normalised(x):
    """The derivative of ``normalised``, which a.var(0) makes not analytic."""
    v = x.var(0) + 0.1
    u = (x - x.mean(0)) / np.sqrt(v)
    return (R - R.mean(0) - u * (R * u).mean(0)) / np.sqrt(v) + 3 * x**2


def stable_sigmoid(x):
    e = np.exp(-np.abs(x))
    return (np.where(x > 0, 1 / (1 + e), e / (1 + e)) ** 2).sum()


def d_sigmoid_squared(x):
    s = 1 / (1 + np.exp(-x))
    return 2 * s * s * (1 - s)


def in_a_real_list(x):
    return sum(math.tanh(value) for value in x.ravel())


def in_a_float(x):
    return float((x**2).sum())


def with_a_conjugate(x):
    return (np.conj(x) * x).sum() + x.sum()


AWKWARD = {
    "an array of zeros": hand_written_network(),
    "abs in the sigmoid": of_x(stable_sigmoid, d_sigmoid_squared),
    "var": of_x(normalised, d_normalised),
    "abs of the loss": of_x(lambda x: np.abs(x).sum(), np.sign),
    "the real part": of_x(lambda x: (x.real**2).sum() + 0j * x.sum(), lambda x: 2 * x),
    "a norm": of_x(lambda x: np.linalg.norm(x), lambda x: x / np.linalg.norm(x)),
    "float": of_x(in_a_float, lambda x: 2 * x),
    "math.tanh": of_x(in_a_real_list, lambda x: 1 - np.tanh(x) ** 2),
    "conj": of_x(with_a_conjugate, lambda x: 2 * x + 1),
    "vdot": of_x(lambda x: np.vdot(x, x), lambda x: 2 * x),
    "hypot": of_x(lambda x: np.hypot(x, 1).sum(), lambda x: x / np.hypot(x, 1)),
    "max": of_x(lambda x: (np.maximum(x, 0) ** 2).sum(), lambda x: 2 * np.maximum(x, 0)),
    "a cast": of_x(lambda x: (x.astype(float) ** 2).sum() + x.sum(), lambda x: 2 * x + 1),
}


@pytest.mark.parametrize("name", AWKWARD)
@pytest.mark.filterwarnings("error")
def test_a_right_gradient_of_an_awkward_function_is_not_called_wrong(name):
    f, gradient, arrays = AWKWARD[name]
    result = check(f, gradient, arrays)
    assert result.verdict in ("right", "unchecked"), str(result)
    assert (result.central is None) == (result.verdict == "right")
    if result.verdict == "unchecked":
        assert result.central.ok, str(result)
        assert "method='central'" in str(result) and not result.ok
        assert check(f, gradient, arrays, method="central").verdict == "right"


@pytest.mark.parametrize(
    "name, words",
    [
        (
            "an array of zeros",
            ["W_x (complex step 0", "test_verdict.py:", "h[t + 1] = np.tanh", "drops the imaginary part"],
        ),
        ("abs in the sigmoid", ["x (complex step", "uses abs", "np.exp(-np.abs(x))"]),
        ("var", ["uses var"]),
        ("the real part", ["uses the real part"]),
        ("conj", ["uses conj"]),
        ("vdot", ["uses vdot"]),
        ("math.tanh", ["forward raises TypeError"]),
        ("abs of the loss", ["abs, conj or float()"]),
    ],
)
def test_what_is_not_analytic_is_named_with_the_array_and_the_line(name, words):
    report = str(check(*AWKWARD[name]))
    for word in words:
        assert word in report, report


def test_a_wrong_gradient_of_an_awkward_function_is_seen_by_central_differences():
    f, gradient, arrays = hand_written_network()
    result = check(f, lambda **w: {**gradient(**w), "W_x": 2 * gradient(**w)["W_x"]}, arrays)
    assert result.verdict == "unchecked" and result.central.verdict == "wrong"
    assert check(f, lambda **w: {**gradient(**w), "W_y": 2 * gradient(**w)["W_y"]}, arrays).verdict == "wrong"


def test_a_gradient_that_is_zero_wherever_the_imaginary_part_is_lost_is_not_called_right():
    result = check(lambda x: (x.real**2).sum() + 0j, lambda x: {"x": 0 * x}, {"x": X})
    assert result.verdict == "unchecked" and result.central.verdict == "wrong"


def test_a_forward_that_draws_anew_is_not_called_wrong():
    rng = np.random.default_rng(0)
    result = check(lambda x: (x * x * rng.random()).sum(), lambda x: {"x": 2 * x}, {"x": X})
    assert result.verdict == "unchecked" and "another value when it is called again" in str(result)


@pytest.mark.parametrize(
    "f, gradient, words",
    [
        (lambda x: x * x, lambda x: {"x": 2 * x}, "f returned an array of shape (2, 3); a number expected"),
        (lambda x: (x * x).sum(), lambda x: None, "grad returned NoneType; a dict from names to gradients expected"),
    ],
)
def test_a_function_that_is_no_loss_and_a_gradient_that_is_none_are_refused_in_one_sentence(f, gradient, words):
    with pytest.raises(ValueError) as error:
        check(f, gradient, {"x": X})
    assert str(error.value) == words


# ---- wrong by very little ----


@pytest.mark.wide
@pytest.mark.parametrize("number", range(10))
def test_one_element_wrong_by_one_part_in_a_million_is_found(number):
    rng = np.random.default_rng(number)
    layer = [npseq.RNN, npseq.LSTM, npseq.GRU, npseq.OptimizedLSTM][number % 4](
        2, 3, bidirectional=number % 2 == 1, rng=1
    )
    name = list(layer.params)[rng.integers(len(layer.params))]

    class Wrong(type(layer)):
        def backward(self, tape, dy, d_state=None, need_dx=True):
            dx, d_initial, grads = super().backward(tape, dy, d_state, need_dx)
            index = rng_index(grads[name].shape)
            grads[name][index] *= 1 + 1e-6
            return dx, d_initial, grads

    def rng_index(shape):
        return tuple(np.random.default_rng(number).integers(shape))

    layer.__class__ = Wrong
    result = check_layer(layer, T=4, lengths=[4, 2, 1])
    assert result.verdict == "wrong" and [found.name for found in result.wrong] == [name]
    assert result.worst.where == rng_index(layer.params[name].shape)


# ---- what forward does not read ----


class IdentityCell:
    """h = h': no weight has an effect, and every gradient is zero."""

    gates, state = "h", "h"

    @staticmethod
    def forward(a_x, a_h, state):
        return (state[0] + 0,), (state[0],)

    @staticmethod
    def backward(d_state, cache):
        zero = np.zeros_like(cache[0])
        return zero, zero, (d_state[0],)


class UnreadGate:
    """h = tanh(a_n) with a second gate u that nothing reads."""

    gates, state = "nu", "h"

    @staticmethod
    def forward(a_x, a_h, state):
        a_n, a_u = gate_blocks(a_x + a_h, "nu")
        h = np.tanh(a_n)
        return (h,), (h, sigmoid(a_u))

    @staticmethod
    def backward(d_state, cache):
        da = np.concatenate([d_state[0] * (1 - cache[0] ** 2), np.zeros_like(cache[0])])
        return da, da, (np.zeros_like(cache[0]),)


class IdentityLayer(Recurrent):
    cell = IdentityCell


class UnreadLayer(Recurrent):
    cell = UnreadGate


@pytest.mark.parametrize("run", [lambda: check_cell(IdentityCell), lambda: check_layer(IdentityLayer(2, 3, rng=0))])
def test_a_whole_tensor_of_zeros_fails(run):
    result = run()
    assert result.verdict == "wrong"
    assert "forward does not read a_x" in str(result) and "forward does not read a_h" in str(result)


class UnreadState(LSTMCell):
    """h = tanh(Σ a) and c = 2 h: the c before is not read."""

    @staticmethod
    def forward(a_x, a_h, state):
        h = np.tanh(gate_blocks(a_x + a_h, "ifgo").sum(0))
        return (h, 2 * h), (h,)

    @staticmethod
    def backward(d_state, cache):
        da = np.concatenate([(d_state[0] + 2 * d_state[1]) * (1 - cache[0] ** 2)] * 4)
        return da, da, (np.zeros_like(cache[0]),) * 2


def test_a_state_that_forward_does_not_read_fails_and_nothing_else_is_blamed():
    result = check_cell(UnreadState)
    assert result.verdict == "wrong" and not result.diagnosis
    assert result.faults == ["forward does not read c_prev, so every gradient that goes through it is zero"]


@pytest.mark.parametrize("run", [lambda: check_cell(UnreadGate), lambda: check_layer(UnreadLayer(2, 3, rng=0))])
def test_a_gate_that_forward_does_not_read_is_named_and_passes(run):
    result = run()
    result.assert_ok()
    assert "forward does not read gate u of a_x" in str(result)


def test_an_array_that_a_function_does_not_read_fails_and_one_at_a_stationary_point_passes():
    zero = {"x": X, "y": np.zeros(2)}
    unread = check(lambda x, y: (x * x).sum(), lambda x, y: {"x": 2 * x, "y": 0 * y}, zero)
    assert unread.verdict == "wrong" and "does not depend on y" in str(unread)
    check(lambda x, y: (x * x).sum() + (y * y).sum(), lambda x, y: {"x": 2 * x, "y": 2 * y}, zero).assert_ok()


@pytest.mark.parametrize("options", [{"T": 1, "with_state": False}, {"lengths": [0, 0, 0]}, {"B": 1, "T": 1}])
@pytest.mark.parametrize("kind", [npseq.RNN, npseq.LSTM, npseq.GRU])
def test_a_gradient_that_is_zero_for_want_of_steps_passes(kind, options):
    check_layer(kind(2, 3, rng=0), **options).assert_ok()
    check_layer(kind(2, 3, rng=0, learn_initial_state=True), **{"T": 3, **options}).assert_ok()


# ---- cells whose forward is not analytic ----


class StableLSTM(LSTMCell):
    """The LSTM with exp(−|a|) in its sigmoid, and the right gradient."""

    @staticmethod
    def forward(a_x, a_h, state):
        a = a_x + a_h
        e = np.exp(-np.abs(a))
        s = np.where(a.real > 0, 1 / (1 + e), e / (1 + e))
        i, f, _, o = gate_blocks(s, "ifgo")
        g = np.tanh(gate_blocks(a, "ifgo")[2])
        c = f * state[1] + i * g
        return (o * np.tanh(c), c), (i, f, g, o, state[1], np.tanh(c))


class StableLayer(Recurrent):
    cell = StableLSTM


@pytest.mark.parametrize("run", [check_cell, lambda cell, **how: check_layer(StableLayer(2, 3, rng=0), T=3, **how)])
def test_a_right_cell_with_abs_is_unchecked_and_right_by_central_differences(run):
    result = run(StableLSTM)
    assert result.verdict == "unchecked" and result.central.ok, str(result)
    assert "uses abs" in str(result)
    with pytest.raises(AssertionError, match="could not be checked"):
        result.assert_ok()
    run(StableLSTM, method="central").assert_ok()


class SlopedSigmoid:
    """h = σ(a) with exp(−|a|), and the gradient of one element wrong."""

    gates, state = "h", "h"

    @staticmethod
    def forward(a_x, a_h, state):
        a = a_x + a_h
        e = np.exp(-np.abs(a))
        h = np.where(a.real > 0, 1 / (1 + e), e / (1 + e))
        return (h,), (h,)

    @staticmethod
    def backward(d_state, cache):
        da = d_state[0] * cache[0] * (1 - cache[0])
        da[2, 1] *= 1.5
        return da, da, (np.zeros_like(da),)


def test_of_an_unchecked_gradient_the_element_that_is_worst_by_central_differences_is_shown():
    result = check_cell(SlopedSigmoid)
    assert result.verdict == "unchecked" and result.central.verdict == "wrong"
    backward, *_, central = (float(line.split()[1]) for line in result.side_by_side()[1:])
    assert backward != pytest.approx(central, rel=1e-2)
    assert not any("bptt.py" in reason for reason in result.reasons), result.reasons


def test_rectifiers_near_their_kink_are_checked_all_the_same():
    layer = npseq.RNN(2, 3, nonlinearity="relu", rng=0)
    for _ in range(3):
        layer.theta *= 1e-3
        check_layer(layer).assert_ok()


class RealState(RNNCell):
    """The state in an array of zeros, and the right gradient."""

    @staticmethod
    def forward(a_x, a_h, state):
        h = np.zeros(a_x.shape)
        h[...] = np.tanh(a_x + a_h)
        return (h,), (h,)


@pytest.mark.filterwarnings("error")
def test_of_a_real_array_in_a_cell_only_the_line_of_the_cell_is_named():
    result = check_cell(RealState)
    assert result.verdict == "unchecked" and result.central.ok
    assert any("h[...] = np.tanh(a_x + a_h)) drops the imaginary part" in reason for reason in result.reasons)
    assert not any("bptt.py" in reason for reason in result.reasons), result.reasons


# ---- arguments that are not the cell's ----


def test_a_backward_that_changes_d_state_in_place_is_right_with_a_note():
    class Zeroes(LSTMCell):
        @staticmethod
        def backward(d_state, cache):
            returned = LSTMCell.backward(d_state, cache)
            d_state[1][...] = 0
            return returned

    result = check_cell(Zeroes)
    result.assert_ok()
    assert any("Zeroes.backward changes the arrays of d_state (dc)" in note for note in result.notes), result.notes
    assert not check_cell(LSTMCell).notes


# ---- the command ----


class Shown(npseq.LSTM):
    cell = StableLSTM


class Broken(npseq.GRU):
    def backward(self, *args, **options):
        dx, d_state, grads = super().backward(*args, **options)
        grads["weight_hh_l0"][5, 1] *= 2
        return dx, d_state, grads


ONE = ["--layers", "1", "--directions", "1", "--lengths", "equal"]


@pytest.mark.wide
def test_the_commands_exit_status_is_4_for_an_unchecked_gradient_and_1_if_one_is_wrong(monkeypatch, capsys):
    monkeypatch.setitem(command.MODELS, "shown", Shown)
    monkeypatch.setitem(command.MODELS, "broken", Broken)
    assert command.main(["--model", "shown", *ONE]) == 4
    out = capsys.readouterr().out
    assert "unchecked" in out and "0 wrong, 1 unchecked" in out and "uses abs" in out
    assert command.main(["--model", "shown", "--method", "central", *ONE]) == 0
    assert command.main(["--model", "broken", "shown", *ONE]) == 1
    assert "(W_h, gate z, unit 2, column 1)" in capsys.readouterr().out


def test_first_stops_at_the_first_wrong_one_and_verbose_shows_the_values(monkeypatch, capsys):
    monkeypatch.setitem(command.MODELS, "broken", Broken)
    assert command.main(["--model", "gru", "broken", "rnn", "--first", "--verbose", *ONE]) == 1
    out = capsys.readouterr().out
    assert "2 configurations, 1 wrong" in out
    values = dict(line.split()[:2] for line in out.splitlines() if line.startswith("    ") and "difference" in line)
    assert {"backward", "complex", "central"} <= set(values)
    backward, complex_step, central = (float(values[name]) for name in ("backward", "complex", "central"))
    assert backward == pytest.approx(2 * complex_step) and central == pytest.approx(complex_step, rel=1e-6)


def test_cells_are_as_strict_as_before():
    for cell in (RNNCell, LSTMCell, GRUCell):
        result = check_cell(cell)
        assert result.worst.error <= 1e-14 and result.verdict == "right" and not result.findings()
