"""Linear and Embedding: torch's numbers, the complex step's gradients."""

import numpy as np
import pytest
import torch

from npseq.gradcheck import check
from npseq.gradcheck.result import relative_error
from npseq.layers import Embedding, Linear


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4)])
def test_linear_gradient_agrees_with_the_complex_step(shape, bias):
    rng = np.random.default_rng(0)
    layer = Linear(4, 2, bias, dtype=np.float64, rng=0)
    R = rng.standard_normal(shape[:-1] + (2,))

    def f(x, **params):
        changed = layer.astype(np.complex128)
        for name, array in params.items():
            changed.params[name][...] = array
        return (R * changed.forward(x)[0]).sum()

    def grad(x, **params):
        dx, grads = layer.backward(layer.forward(x)[1], R)
        return {"x": dx, **grads}

    check(f, grad, {"x": rng.standard_normal(shape), **layer.params}).assert_ok()


@pytest.mark.parametrize("bias", [True, False])
def test_linear_agrees_with_torch(bias):
    layer = Linear(4, 2, bias, dtype=np.float64, rng=0)
    module = torch.nn.Linear(4, 2, bias, dtype=torch.float64)
    module.load_state_dict({name: torch.tensor(array) for name, array in layer.state_dict().items()})
    x = np.random.default_rng(1).standard_normal((5, 3, 4))
    assert relative_error(layer.forward(x)[0], module(torch.tensor(x)).detach().numpy()) <= 1e-14


def test_embedding_gradient_agrees_with_the_complex_step_and_adds_up_where_an_index_occurs_twice():
    rng = np.random.default_rng(0)
    layer = Embedding(5, 3, dtype=np.float64, rng=0)
    indices, R = np.array([[0, 3, 3], [1, 3, 0]]), rng.standard_normal((2, 3, 3))

    def f(weight):
        changed = layer.astype(np.complex128)
        changed.params["weight"][...] = weight
        return (R * changed.forward(indices)[0]).sum()

    check(f, lambda weight: layer.backward(layer.forward(indices)[1], R)[1], layer.params).assert_ok()
    _, grads = layer.backward(layer.forward(indices)[1], R)
    np.testing.assert_allclose(grads["weight"][3], R[0, 1] + R[0, 2] + R[1, 1], rtol=1e-14)
    assert not grads["weight"][[2, 4]].any()


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint64])
@pytest.mark.parametrize("shape", [(3, 40), (0, 5), ()])
def test_embedding_gradient_sums_the_rows_of_each_index_of_any_integers(shape, dtype):
    rng = np.random.default_rng(0)
    layer, indices = Embedding(7, 3, dtype=np.float64, rng=0), rng.integers(0, 7, shape).astype(dtype)
    y, tape = layer.forward(indices)
    dy, expected = rng.standard_normal(y.shape), np.zeros((7, 3))
    np.add.at(expected, indices, dy)
    np.testing.assert_allclose(layer.backward(tape, dy)[1]["weight"], expected, rtol=1e-13, atol=1e-14)


def test_wrong_sizes_shapes_and_indices_are_refused():
    with pytest.raises(ValueError, match="input_size must be an integer greater than zero; 0 given"):
        Linear(0, 2)
    with pytest.raises(ValueError, match="count must be an integer greater than zero; -1 given"):
        Embedding(-1, 2)
    with pytest.raises(ValueError, match=r"last dimension of x must be 3; x of shape \(5, 4\) given"):
        Linear(3, 2).forward(np.zeros((5, 4), np.float32))
    for indices in ([0, 3], [-1], [0.0]):
        with pytest.raises(ValueError, match="indices must be integers from 0 to 2"):
            Embedding(3, 2).forward(np.array(indices))


def test_initial_weights_are_uniform_up_to_one_over_the_root_of_the_inputs():
    layer = Linear(400, 90, rng=0)
    for array in layer.params.values():
        assert 0.9 / 20 < np.abs(array).max() <= 1 / 20
    assert 0.9 < Embedding(400, 9, rng=0).theta.std() < 1.1
