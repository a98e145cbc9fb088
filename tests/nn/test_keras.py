"""Layers made from Keras's weights compute what Keras computed (outputs of Keras 3.15 with these weights)."""

import numpy as np
import pytest

import npseq

X = [[[0.3, 0.8], [0.3, -1.3], [0.9, 0.4]]]
SIMPLE_RNN = [[0.7, -0.2], [0.1, -0.9]], [[0.5, 0.1], [-0.3, 0.6]], [-0.4, -0.1]
LSTM = (
    [[-0.7, -0.2, -0.6, -0.5, 0.5, -0.4, 0, 1], [0.9, 0.4, 0.1, -0.4, -0.7, 0.9, 0, -0.8]],
    [[0.2, 0.6, 0.2, 0.8, -0.9, 0.1, -0.1, -0.9], [0.3, 0.7, 0.2, -0.5, 0.7, 0, 0, 0.5]],
    [-0.7, 0.6, 0.4, 0.6, -0.6, 0.6, -0.6, -0.8],
)
GRU = (
    [[0.7, 0.7, 0.8, -0.1, -0.5, -1], [0.3, 0.4, 0.7, -0.4, -0.6, 0.3]],
    [[0.6, 0.9, -0.7, 0, 0.8, -0.2], [0.2, -1, 0.3, 0.8, 0.7, 0.8]],
    [[0.3, -0.5, 0.5, -0.6, 0.7, -0.9], [0.7, -0.7, -0.2, -0.4, 0.4, -0.6]],
)
BIDIRECTIONAL_GRU = (
    [[-0.2, -1, -0.5, -0.2, -0.8, 0.3], [-0.2, 0.5, 0.3, -0.1, 0.7, 0.3]],
    [[0.6, -0.3, 0.1, -0.6, 1, -0.5], [-0.5, -0.9, -0.5, 0.5, 0.4, -0.7]],
    [[-0.2, -0.2, 0.3, -0.1, 0.2, 0.7], [0.5, -0.3, -0.1, -0.3, -0.8, -0.6]],
    [[-0.4, -0.4, -0.4, 0.2, 0.9, 0.5], [0.6, 0.5, 0.2, 0.8, 0.4, 0]],
    [[-0.8, 0, -0.6, -0.7, 0, 0.6], [-0.4, 0.5, 0.1, -0.7, 0.9, -0.2]],
    [[-0.4, 0.7, -0.8, 0.5, -0.6, -0.2], [-0.5, 0.7, -0.2, 0.9, 0.3, 0.4]],
)
CASES = {
    "SimpleRNN": (SIMPLE_RNN, [[-0.109558, -0.706419], [-0.161429, 0.519162], [0.033524, -0.331618]]),
    "LSTM": (LSTM, [[-0.118128, 0.127667], [-0.041415, 0.064858], [-0.052217, 0.17239]]),
    "GRU": (GRU, [[0.067276, -0.525565], [0.326003, -0.832759], [0.288165, -0.87184]]),
    "GRU in two directions": (
        BIDIRECTIONAL_GRU,
        [
            [0.029915, 0.400574, -0.17222, 0.134958],
            [-0.33057, 0.043241, -0.54683, 0.16051],
            [-0.495021, 0.554422, 0.301127, 0.120207],
        ],
    ),
}


def arrays(weights, dtype=np.float64):
    return [np.array(array, dtype) for array in weights]


@pytest.mark.parametrize("optimized", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_the_layer_computes_what_keras_computed(name, optimized):
    weights, expected = CASES[name]
    layer = npseq.layers.from_keras_weights(arrays(weights), name.split()[0], optimized=optimized)
    y, _ = layer(np.array(X))
    assert layer.batch_first and np.abs(y[0] - expected).max() < 2e-6


@pytest.mark.parametrize("name", CASES)
def test_without_bias_the_layer_has_none(name):
    weights = arrays(CASES[name][0], np.float32)
    count = 3 if len(weights) == 3 else 6
    kept = [array for k, array in enumerate(weights) if k % 3 != 2]
    layer = npseq.layers.from_keras_weights(kept, name.split()[0])
    assert not layer.bias and layer.dtype == np.float32 and layer.bidirectional == (count == 6)


def test_relu_of_a_simple_rnn():
    layer = npseq.layers.from_keras_weights(arrays(SIMPLE_RNN), "SimpleRNN", nonlinearity="relu")
    x = np.array(X)
    kernel, recurrent, bias = arrays(SIMPLE_RNN)
    h = np.zeros(2)
    for x_t in x[0]:
        h = np.maximum(x_t @ kernel + h @ recurrent + bias, 0)
    assert np.allclose(layer(x)[1][0, 0], h, rtol=1e-12)


@pytest.mark.parametrize(
    "weights, kind, options, words",
    [
        (GRU, "GRU", {"reset_after": False}, ["reset_after=False", "reset_after=True"]),
        (GRU, "transformer", {}, ["transformer", "LSTM"]),
        (GRU[:1], "GRU", {}, ["(2, 6)", "kernel"]),
        (LSTM, "GRU", {}, ["(2, 8)", "3·H"]),
        ((GRU[0], GRU[1], GRU[2][0]), "GRU", {}, ["bias (6,)", "(2, 6)"]),
        ((LSTM[0], LSTM[1], GRU[2]), "LSTM", {}, ["bias (2, 6)", "(8,)"]),
        (([1.0], [2.0], [3.0]), "LSTM", {}, ["(1,)"]),
        ((), "LSTM", {}, ["nothing"]),
    ],
)
def test_what_does_not_fit_is_refused_by_name(weights, kind, options, words):
    with pytest.raises(ValueError) as error:
        npseq.layers.from_keras_weights([np.array(array) for array in weights], kind, **options)
    assert all(word in str(error.value) for word in words), error.value
