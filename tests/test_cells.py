"""One time step: each cell is its published equations, and its derivative that of the complex step."""

import ast
import inspect

import numpy as np
import pytest

from npseq import cells
from npseq.cells import GRUCell, LSTMCell, ReLURNNCell, RNNCell, sigmoid
from npseq.gradcheck import check_cell

CELLS = [RNNCell, ReLURNNCell, LSTMCell, GRUCell]


def draw(cell, rng=0, H=3, B=2, dtype=np.float64):
    rng = np.random.default_rng(rng)
    a_x, a_h = (rng.standard_normal((len(cell.gates) * H, B)).astype(dtype) for _ in range(2))
    return a_x, a_h, tuple(rng.standard_normal((H, B)).astype(dtype) for _ in cell.state)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.wide) for seed in (2, 3, 4))])
def test_derivative_agrees_with_the_complex_step(cell, seed):
    result = check_cell(cell, rng=seed)
    result.assert_ok()
    assert result.worst.error <= 1e-14


@pytest.mark.parametrize("cell", CELLS)
def test_derivative_agrees_with_central_differences(cell):
    check_cell(cell, method="central").assert_ok()


def test_rnn_is_elmans_equation():
    a_x, a_h, (h_prev,) = draw(RNNCell)
    np.testing.assert_array_equal(RNNCell.forward(a_x, a_h, (h_prev,))[0][0], np.tanh(a_x + a_h))


def test_relu_rnn_is_the_positive_part():
    a_x, a_h, (h_prev,) = draw(ReLURNNCell)
    np.testing.assert_array_equal(ReLURNNCell.forward(a_x, a_h, (h_prev,))[0][0], np.maximum(a_x + a_h, 0))


def test_lstm_is_hochreiter_and_schmidhubers_with_a_forget_gate():
    a_x, a_h, (h_prev, c_prev) = draw(LSTMCell)
    a_i, a_f, a_g, a_o = np.split(a_x + a_h, 4)
    c = sigmoid(a_f) * c_prev + sigmoid(a_i) * np.tanh(a_g)
    h, c_found = LSTMCell.forward(a_x, a_h, (h_prev, c_prev))[0]
    np.testing.assert_allclose(c_found, c, rtol=1e-15)
    np.testing.assert_allclose(h, sigmoid(a_o) * np.tanh(c), rtol=1e-15)


def test_gru_resets_after_the_product_and_its_z_takes_the_new_value():
    a_x, a_h, (h_prev,) = draw(GRUCell)
    (a_xr, a_xz, a_xn), (a_hr, a_hz, a_hn) = np.split(a_x, 3), np.split(a_h, 3)
    z, n = sigmoid(a_xz + a_hz), np.tanh(a_xn + sigmoid(a_xr + a_hr) * a_hn)
    np.testing.assert_allclose(GRUCell.forward(a_x, a_h, (h_prev,))[0][0], (1 - z) * h_prev + z * n, rtol=1e-15)


def test_gru_with_z_shut_keeps_its_state_and_with_z_open_takes_the_new_one():
    a_x, a_h, (h_prev,) = draw(GRUCell)
    H = len(h_prev)
    a_x[H : 2 * H] = -100
    np.testing.assert_array_equal(GRUCell.forward(a_x, a_h, (h_prev,))[0][0], h_prev)
    a_x[H : 2 * H] = 100
    n = np.tanh(a_x[2 * H :] + sigmoid(a_x[:H] + a_h[:H]) * a_h[2 * H :])
    np.testing.assert_array_equal(GRUCell.forward(a_x, a_h, (h_prev,))[0][0], n)


def test_lstm_with_forget_open_and_input_shut_carries_c_and_its_gradient_unchanged():
    a_x, a_h, state = draw(LSTMCell)
    H = len(state[0])
    a_x[:H], a_x[H : 2 * H] = -100, 100
    (_, c), cache = LSTMCell.forward(a_x, a_h, state)
    np.testing.assert_array_equal(c, state[1])
    dc = np.ones_like(c)
    np.testing.assert_array_equal(LSTMCell.backward((np.zeros_like(dc), dc), cache)[2][1], dc)


@pytest.mark.parametrize("cell", CELLS)
def test_cache_starts_with_the_gates(cell):
    a_x, a_h, state = draw(cell)
    H, cache = len(state[0]), cell.forward(a_x, a_h, state)[1]
    squash = {**dict.fromkeys("iforz", sigmoid), "g": np.tanh}
    for k, gate in enumerate(cell.gates):
        if gate in squash:
            rows = slice(k * H, (k + 1) * H)
            np.testing.assert_array_equal(cache[k], squash[gate](a_x[rows] + a_h[rows]))
    assert all(value.shape == state[0].shape for value in cache)


@pytest.mark.parametrize("cell", CELLS)
def test_neither_forward_nor_backward_writes_its_arguments(cell):
    a_x, a_h, state = draw(cell)
    new_state, cache = cell.forward(a_x, a_h, state)
    arrays = [a_x, a_h, *state, *new_state, *cache]
    before = [array.copy() for array in arrays]
    cell.backward(new_state, cache)
    for array, copy in zip(arrays, before):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
@pytest.mark.parametrize("cell", CELLS)
def test_dtype_of_the_arguments_is_that_of_the_results(cell, dtype):
    new_state, cache = cell.forward(*draw(cell, dtype=dtype))
    da_x, da_h, d_state = cell.backward(new_state, cache)
    assert all(array.dtype == dtype for array in (*new_state, *cache, da_x, da_h, *d_state))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_neither_overflows_nor_warns(dtype):
    a = np.array([-1e30, -1000, -1, 0, 1, 1000, 1e30], dtype)
    s = sigmoid(a)
    assert s.dtype == dtype
    np.testing.assert_allclose(s, [0, 0, 1 / (1 + np.e), 0.5, np.e / (1 + np.e), 1, 1], rtol=1e-6, atol=1e-7)


def test_relu_takes_the_slope_0_at_0_as_torch_does():
    zero = np.zeros((1, 1))
    _, cache = ReLURNNCell.forward(zero, zero, (zero,))
    assert ReLURNNCell.backward((np.ones((1, 1)),), cache)[0] == 0


def test_cells_have_no_matrix_product_and_no_loop():
    tree = ast.parse(inspect.getsource(cells))
    for node in ast.walk(tree):
        assert not isinstance(node, (ast.MatMult, ast.For, ast.While)), ast.dump(node)
        assert not (isinstance(node, ast.Attribute) and node.attr in ("dot", "matmul", "einsum", "tensordot", "conj"))
