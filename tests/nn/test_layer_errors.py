"""Every wrong argument of a layer is refused, with what was given and what was expected."""

import numpy as np
import pytest

import npseq

LAYER = npseq.LSTM(3, 4, num_layers=2, dtype=np.float64)
X = np.zeros((5, 2, 3))
STATE = np.zeros((2, 2, 4))


@pytest.mark.parametrize(
    "options, words",
    [
        (dict(input_size=0), ["input_size", "0 given"]),
        (dict(input_size=-3), ["input_size", "-3 given"]),
        (dict(hidden_size=-1), ["hidden_size", "-1 given"]),
        (dict(hidden_size=2.5), ["hidden_size", "2.5 given"]),
        (dict(num_layers=0), ["num_layers", "0 given"]),
        (dict(dropout=1.0), ["dropout", "[0, 1)", "1.0 given"]),
        (dict(dropout=-0.1), ["dropout", "-0.1 given"]),
        (dict(recurrent_dropout=2), ["recurrent_dropout", "2 given"]),
        (dict(proj_size=4), ["proj_size", "4 given"]),
        (dict(proj_size=-1), ["proj_size", "-1 given"]),
        (dict(recurrent_init="zeros"), ["recurrent_init", "'zeros' given", "orthogonal"]),
        (dict(checkpoint_every=0), ["checkpoint_every", "0 given", "sqrt"]),
        (dict(checkpoint_every="log"), ["checkpoint_every", "'log' given", "sqrt"]),
        (dict(forget_bias=1.0, bias=False), ["forget_bias", "bias=False"]),
    ],
)
def test_option_out_of_range_is_refused(options, words):
    with pytest.raises(ValueError) as error:
        npseq.LSTM(**{"input_size": 3, "hidden_size": 4, "num_layers": 2, **options})
    assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize("kind", [npseq.RNN, npseq.GRU, npseq.OptimizedRNN, npseq.OptimizedGRU])
def test_projection_is_refused_elsewhere_than_in_the_LSTM(kind):
    with pytest.raises(ValueError, match=f"proj_size is only supported for LSTM; 2 given to {kind.__name__}"):
        kind(3, 4, proj_size=2)


@pytest.mark.parametrize("kind", [npseq.RNN, npseq.GRU])
def test_forget_bias_is_refused_where_there_is_no_forget_gate(kind):
    with pytest.raises(ValueError, match="forget_bias needs an LSTM"):
        kind(3, 4, forget_bias=1.0)


def test_unknown_nonlinearity_is_refused():
    with pytest.raises(ValueError, match="'tanh' or 'relu'; 'sigmoid' given"):
        npseq.RNN(3, 4, nonlinearity="sigmoid")


@pytest.mark.parametrize("dtype", [np.int64, np.float16, np.complex64])
def test_dtype_that_is_not_supported_is_refused(dtype):
    with pytest.raises(TypeError, match=f"{np.dtype(dtype)} given; float32, float64 or complex128 expected"):
        npseq.GRU(3, 4, dtype=dtype)


@pytest.mark.parametrize(
    "shape, words",
    [
        ((5, 2, 7), ["must be 3", "(5, 2, 7) given"]),
        ((5, 7), ["must be 3", "(5, 7) given"]),
        ((3,), ["2 dimensions", "(3,) given"]),
        ((1, 5, 2, 3), ["2 dimensions", "(1, 5, 2, 3) given"]),
        ((0, 2, 3), ["at least one time step", "0 steps"]),
        ((5, 0, 3), ["at least one", "0 sequences"]),
    ],
)
def test_x_of_the_wrong_shape_is_refused(shape, words):
    with pytest.raises(ValueError) as error:
        LAYER.forward(np.zeros(shape))
    assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.complex128])
def test_x_of_another_dtype_is_refused_with_both_dtypes_named(dtype):
    with pytest.raises(TypeError, match=f"x is {np.dtype(dtype)} but the parameters are float64"):
        LAYER.forward(X.astype(dtype))


def test_state_of_another_dtype_is_refused():
    with pytest.raises(TypeError, match="state h is float32 but the parameters are float64"):
        LAYER.forward(X, (STATE.astype(np.float32), STATE))


@pytest.mark.parametrize(
    "state, error, words",
    [
        (STATE, TypeError, ["tuple (h, c)", "ndarray given"]),
        ((STATE,), TypeError, ["tuple (h, c)"]),
        ((STATE, STATE[:1]), ValueError, ["state c", "(2, 2, 4)", "(1, 2, 4) given"]),
        ((STATE[:, :1], STATE), ValueError, ["state h", "(2, 2, 4)", "(2, 1, 4) given"]),
        ((STATE[:, 0], STATE[:, 0]), ValueError, ["state h", "(2, 2, 4)", "(2, 4) given"]),
    ],
)
def test_state_of_the_wrong_form_is_refused(state, error, words):
    with pytest.raises(error) as raised:
        LAYER.forward(X, state)
    assert all(word in str(raised.value) for word in words), raised.value


@pytest.mark.parametrize(
    "lengths, words",
    [
        ([6, 1], ["from 0 to T = 5", "6 given"]),
        ([-1, 5], ["from 0 to T = 5", "-1"]),
        ([5], ["2 integers"]),
        ([5, 5, 5], ["2 integers", "(3,) given"]),
        ([5.0, 2.0], ["2 integers", "float64"]),
    ],
)
def test_wrong_lengths_are_refused(lengths, words):
    with pytest.raises(ValueError) as error:
        LAYER.forward(X, lengths=lengths)
    assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize("dy", [np.zeros((4, 2, 4)), np.zeros((5, 3, 4)), np.zeros((5, 2, 3)), np.zeros((5, 4))])
def test_dy_of_another_shape_than_y_is_refused(dy):
    tape = LAYER.forward(X)[2]
    with pytest.raises(ValueError, match="dy"):
        LAYER.backward(tape, dy)


def test_d_state_of_another_shape_is_refused_by_its_name():
    y, _, tape = LAYER.forward(X)
    with pytest.raises(ValueError, match=r"d_state c must have the shape \(2, 2, 4\)"):
        LAYER.backward(tape, y, (STATE, STATE[:1]))


def test_parameters_that_do_not_fit_are_all_named_and_nothing_is_changed():
    layer = npseq.GRU(3, 4, dtype=np.float64, rng=0)
    before, mapping = layer.theta.copy(), layer.state_dict()
    mapping["weight_ih_l0"] = np.zeros((2, 2))
    mapping["weight_ih_l1"] = mapping.pop("bias_hh_l0")
    with pytest.raises(ValueError) as error:
        layer.load_state_dict(mapping)
    for words in (
        "missing: bias_hh_l0",
        "unexpected: weight_ih_l1",
        "wrong shape: weight_ih_l0 is (2, 2), expected (12, 3)",
    ):
        assert words in str(error.value)
    np.testing.assert_array_equal(layer.theta, before)


@pytest.mark.parametrize("dtype", [complex, object, "U3"])
def test_parameters_that_are_no_real_numbers_are_refused_and_nothing_is_changed(dtype):
    layer = npseq.GRU(3, 4, rng=0)
    before, mapping = layer.theta.copy(), layer.state_dict()
    mapping["weight_ih_l0"] += 1
    mapping["bias_hh_l0"] = mapping["bias_hh_l0"].astype(dtype)
    with pytest.raises(ValueError, match="wrong dtype: bias_hh_l0 is .*, the parameters are float32"):
        layer.load_state_dict(mapping)
    np.testing.assert_array_equal(layer.theta, before)


@pytest.mark.parametrize("tape", [None, (1, 2, 3)])
def test_a_tape_that_is_none_is_refused(tape):
    with pytest.raises(TypeError, match="tape"):
        npseq.LSTM(3, 4).backward(tape, np.zeros((5, 2, 4), np.float32))


def test_an_array_of_a_strange_dtype_is_not_met_with_advice_to_convert_the_layer_to_it():
    with pytest.raises(TypeError, match=r"dy is int64 .* dy.astype\(np.float32\)$"):
        layer = npseq.LSTM(3, 4)
        y, _, tape = layer.forward(np.zeros((5, 2, 3), np.float32))
        layer.backward(tape, np.zeros(y.shape, np.int64))
