"""What each option of a layer does, one claim a test."""

import warnings

import numpy as np
import pytest
from torch_witness import KINDS, as_tuple, draw_state, make_layer, make_torch

import npseq
from npseq.gradcheck import check_layer, relative_error

TWINS = ["plain", "optimized"]


def on_every_layer(test):
    return pytest.mark.parametrize("kind", KINDS)(pytest.mark.parametrize("twin", TWINS)(test))


def draw(layer, T=5, B=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((T, B, layer.input_size)), draw_state(layer, B, rng)


def assert_same_state(found, expected):
    for part, expected_part in zip(as_tuple(found), as_tuple(expected), strict=True):
        np.testing.assert_array_equal(part, expected_part)


# ---- shapes ----


@on_every_layer
def test_batch_first_changes_the_axes_and_nothing_else(kind, twin):
    options = dict(num_layers=2, bidirectional=True)
    time_first, batch_first = make_layer(kind, twin, **options), make_layer(kind, twin, batch_first=True, **options)
    x, state = draw(time_first)
    y, end, tape = time_first.forward(x, state, [5, 2, 3])
    y_b, end_b, tape_b = batch_first.forward(x.swapaxes(0, 1), state, [5, 2, 3])
    np.testing.assert_array_equal(y_b.swapaxes(0, 1), y)
    assert_same_state(end_b, end)
    dx, d_state, grads = time_first.backward(tape, np.cos(y), end)
    dx_b, d_state_b, grads_b = batch_first.backward(tape_b, np.cos(y_b), end)
    np.testing.assert_array_equal(dx_b.swapaxes(0, 1), dx)
    assert_same_state(d_state_b, d_state)
    np.testing.assert_array_equal(grads_b.theta, grads.theta)


@pytest.mark.parametrize("batch_first", [False, True])
@on_every_layer
def test_one_sequence_without_a_batch_is_a_batch_of_one(kind, twin, batch_first):
    layer = make_layer(kind, twin, num_layers=2, bidirectional=True, batch_first=batch_first)
    x, state = draw(layer, B=1)

    def single(array):
        return tuple(map(single, array)) if isinstance(array, tuple) else array[:, 0]

    batch = x.swapaxes(0, 1) if batch_first else x
    y, end, tape = layer.forward(batch, state)
    y_1, end_1, tape_1 = layer.forward(single(x), single(state))
    as_single = (lambda array: array[0]) if batch_first else single
    np.testing.assert_array_equal(y_1, as_single(y))
    assert_same_state(end_1, single(end))
    dx, d_state, grads = layer.backward(tape, y, end)
    dx_1, d_state_1, grads_1 = layer.backward(tape_1, y_1, end_1)
    np.testing.assert_array_equal(dx_1, as_single(dx))
    assert_same_state(d_state_1, single(d_state))
    np.testing.assert_array_equal(grads_1.theta, grads.theta)


@on_every_layer
def test_no_state_means_zeros(kind, twin):
    layer = make_layer(kind, twin, num_layers=2)
    x, state = draw(layer)
    zeros = tuple(np.zeros_like(part) for part in as_tuple(state))
    y, end = layer(x)
    y_0, end_0 = layer(x, zeros if len(zeros) > 1 else zeros[0])
    np.testing.assert_array_equal(y, y_0)
    assert_same_state(end, end_0)


@on_every_layer
def test_parameters_have_the_names_shapes_and_order_of_torchs(kind, twin):
    layer = make_layer(kind, twin, num_layers=2, bidirectional=True)
    expected = {name: tuple(tensor.shape) for name, tensor in make_torch(kind, layer).state_dict().items()}
    assert [(name, array.shape) for name, array in layer.state_dict().items()] == list(expected.items())


@on_every_layer
def test_call_gives_the_outputs_of_forward(kind, twin):
    layer = make_layer(kind, twin, num_layers=2, bidirectional=True)
    x, state = draw(layer, T=40)
    for lengths in (None, [40, 0, 7]):
        y, end = layer(x, state, lengths)
        y_2, end_2, _ = layer.forward(x, state, lengths)
        assert relative_error(y, y_2) <= 1e-14
        assert all(relative_error(a, b) <= 1e-14 for a, b in zip(as_tuple(end), as_tuple(end_2)))


# ---- dtype ----


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
@on_every_layer
def test_results_have_the_dtype_of_the_parameters(kind, twin, dtype):
    layer = make_layer(kind, twin, num_layers=2, bidirectional=True).astype(dtype)
    x = draw(layer)[0].astype(dtype)
    y, end, tape = layer.forward(x, lengths=[5, 0, 2])
    dx, d_state, grads = layer.backward(tape, y, end)
    for array in (y, *as_tuple(end), dx, *as_tuple(d_state), grads.theta, layer(x)[0]):
        assert array.dtype == dtype


@on_every_layer
def test_complex_parameters_take_real_data_and_give_the_same_numbers(kind, twin):
    layer = make_layer(kind, twin, num_layers=2)
    x, state = draw(layer)
    y, _, _ = layer.forward(x, state)
    y_c, _, _ = layer.astype(np.complex128).forward(x, state)
    assert relative_error(y_c, y) <= 1e-14


@on_every_layer
def test_float32_agrees_with_float64_to_its_precision(kind, twin):
    layer = make_layer(kind, twin, num_layers=2, bidirectional=True)
    x, state = draw(layer, T=30)
    y, end, tape = layer.forward(x, state)
    dx, _, grads = layer.backward(tape, y, end)
    single = layer.astype(np.float32)
    to_single = tuple(part.astype(np.float32) for part in as_tuple(state))
    y_s, end_s, tape_s = single.forward(x.astype(np.float32), to_single if len(to_single) > 1 else to_single[0])
    dx_s, _, grads_s = single.backward(tape_s, y_s, end_s)
    assert relative_error(y_s, y) < 1e-5 and relative_error(dx_s, dx) < 1e-4
    assert relative_error(grads_s.theta, grads.theta) < 1e-4


def test_astype_is_a_copy_that_shares_nothing():
    layer = make_layer("lstm", num_layers=2, dropout=0.5)
    copy = layer.astype(np.float64)
    before = copy.theta.copy()
    layer.theta += 1
    layer.rng.random()
    np.testing.assert_array_equal(copy.theta, before)
    assert copy.rng.random() != layer.rng.random()


# ---- dropout ----


@on_every_layer
def test_dropout_with_one_layer_warns_that_it_does_nothing(kind, twin):
    with pytest.warns(UserWarning, match="between layers, so with num_layers=1 it does nothing"):
        layer = make_layer(kind, twin, dropout=0.5)
    x, _ = draw(layer)
    np.testing.assert_array_equal(layer.forward(x, training=True)[0], layer.forward(x)[0])


@pytest.mark.parametrize("name", ["dropout", "recurrent_dropout"])
@on_every_layer
def test_dropout_acts_in_training_only(kind, twin, name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer = make_layer(kind, twin, num_layers=2, **{name: 0.5})
    x, _ = draw(layer)
    without = make_layer(kind, twin, num_layers=2)
    np.testing.assert_allclose(layer.forward(x)[0], without.forward(x)[0], rtol=0, atol=1e-15)
    np.testing.assert_allclose(layer(x)[0], without(x)[0], rtol=0, atol=1e-15)
    assert not np.allclose(layer.forward(x, training=True)[0], without.forward(x)[0])


@pytest.mark.parametrize("name", ["dropout", "recurrent_dropout"])
@on_every_layer
def test_dropout_draws_from_the_generator_it_is_given(kind, twin, name):
    layer = make_layer(kind, twin, num_layers=2, **{name: 0.5})
    x, _ = draw(layer)
    y = [layer.forward(x, training=True, rng=np.random.default_rng(seed))[0] for seed in (1, 1, 2)]
    np.testing.assert_array_equal(y[0], y[1])
    assert not np.array_equal(y[0], y[2])


def test_dropout_keeps_the_mean():
    layer = npseq.RNN(1, 1, num_layers=2, dropout=0.25, dtype=np.float64, rng=0)
    mask = layer.forward(np.zeros((200, 200, 1)), training=True)[2].dropout[0]
    np.testing.assert_allclose(np.unique(mask), [0, 1 / 0.75])
    assert abs(mask.mean() - 1) < 0.01
    assert abs(np.corrcoef(mask[:-1].ravel(), mask[1:].ravel())[0, 1]) < 0.02  # another mask for every step


@on_every_layer
def test_gradient_with_dropout_agrees_with_the_complex_step(kind, twin):
    check_layer(
        make_layer(kind, twin, num_layers=2, dropout=0.3), T=3, training=True
    ).assert_ok()  # both directions: below


# ---- beyond torch ----


@pytest.mark.wide
@on_every_layer
def test_gradient_with_recurrent_dropout_agrees_with_the_complex_step(kind, twin):
    layer = make_layer(kind, twin, num_layers=2, bidirectional=True, dropout=0.3, recurrent_dropout=0.4)
    check_layer(layer, T=4, lengths=[2, 4, 0], training=True).assert_ok()


def test_recurrent_dropout_has_one_mask_for_all_steps():
    """With W_x = 0, W_h = 1 and h_0 = 1, an RNN of relu repeats what the mask does: h_t = m^t."""
    layer = npseq.RNN(1, 8, nonlinearity="relu", bias=False, recurrent_dropout=0.5, dtype=np.float64, rng=0)
    layer.params["weight_ih_l0"][...] = 0
    layer.params["weight_hh_l0"][...] = np.eye(8)
    y, _, _ = layer.forward(np.zeros((3, 5, 1)), np.ones((1, 5, 8)), training=True)
    assert set(np.unique(y[0])) == {0, 2}
    np.testing.assert_array_equal(y[1], y[0] ** 2)
    np.testing.assert_array_equal(y[2], y[0] ** 3)


@pytest.mark.wide
@on_every_layer
def test_gradient_of_a_learned_initial_state_agrees_with_the_complex_step(kind, twin):
    layer = make_layer(kind, twin, num_layers=2, bidirectional=True, learn_initial_state=True)
    result = check_layer(layer, T=4, lengths=[2, 4, 0], with_state=False)
    result.assert_ok()
    assert {letter + "_0" for letter in layer.cell.state} <= set(result.arrays)


@on_every_layer
def test_learned_initial_state_starts_at_zero_and_gives_way_to_one_that_is_given(kind, twin):
    layer = make_layer(kind, twin, learn_initial_state=True)
    plain = make_layer(kind, twin)
    x, state = draw(layer)
    np.testing.assert_array_equal(layer(x)[0], plain(x)[0])
    for letter in layer.cell.state:
        assert not layer.params[letter + "_0"].any()
        layer.params[letter + "_0"][...] = 0.5
    assert not np.allclose(layer(x)[0], plain(x)[0])
    y, end, tape = layer.forward(x, state)
    np.testing.assert_array_equal(y, plain.forward(x, state)[0])
    grads = layer.backward(tape, y, end)[2]
    assert not any(grads[letter + "_0"].any() for letter in layer.cell.state)


@pytest.mark.parametrize("kind", ["lstm", "lstm_projected"])
def test_forget_bias_goes_into_one_of_the_two_biases_only(kind):
    layer = make_layer(kind, num_layers=2, bidirectional=True, forget_bias=1.5)
    plain = make_layer(kind, num_layers=2, bidirectional=True)
    forget = slice(layer.hidden_size, 2 * layer.hidden_size)
    for name, array in layer.params.items():
        if name.startswith("bias"):
            assert (array[forget] == (1.5 if name.startswith("bias_ih") else 0)).all()
            array[forget] = plain.params[name][forget]
        np.testing.assert_array_equal(array, plain.params[name])


@on_every_layer
def test_orthogonal_initialisation_makes_each_gates_recurrent_block_orthogonal(kind, twin):
    layer = make_layer(kind, twin, hidden_size=5, num_layers=2, recurrent_init="orthogonal")
    blocks = [block for k in (0, 1) for block in np.split(layer.params[f"weight_hh_l{k}"], len(layer.cell.gates))]
    for block in blocks:
        np.testing.assert_allclose(block.T @ block, np.eye(block.shape[1]), atol=1e-14)
    assert not any(np.allclose(a, b) for n, a in enumerate(blocks) for b in blocks[:n])


def test_orthogonal_blocks_are_uniform_over_rotations_and_reflections():
    """The first element of a block is as often positive as negative; Householder's q alone has one sign."""
    layer = make_layer("lstm", hidden_size=3, num_layers=40, recurrent_init="orthogonal")
    first = [array.reshape(4, 3, 3)[:, 0, 0] for name, array in layer.params.items() if name.startswith("weight_hh")]
    assert 0.35 < (np.array(first) > 0).mean() < 0.65


@on_every_layer
def test_initial_weights_are_uniform_up_to_one_over_the_root_of_the_hidden_size(kind, twin):
    layer = make_layer(kind, twin, hidden_size=64, input_size=8, num_layers=2)
    for name, array in layer.params.items():
        assert np.abs(array).max() <= 1 / 8, name
        assert np.abs(array).max() > 0.9 / 8 and abs(array.mean()) < 0.03, name


@on_every_layer
def test_one_seed_gives_one_layer(kind, twin):
    np.testing.assert_array_equal(make_layer(kind, twin, rng=5).theta, make_layer(kind, "plain", rng=5).theta)
    assert not np.array_equal(make_layer(kind, twin, rng=5).theta, make_layer(kind, twin, rng=6).theta)


def test_z_of_the_gru_changes_sign_in_the_state_dict_and_nothing_else_does():
    layer = make_layer("gru", num_layers=2, bidirectional=True)
    H = layer.hidden_size
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array[H : 2 * H], -layer.params[name][H : 2 * H])
        np.testing.assert_array_equal(array[:H], layer.params[name][:H])
        np.testing.assert_array_equal(array[2 * H :], layer.params[name][2 * H :])


@on_every_layer
def test_state_dict_loaded_into_another_layer_makes_it_the_same(kind, twin):
    layer, other = make_layer(kind, twin, rng=1), make_layer(kind, twin, rng=2)
    other.load_state_dict(layer.state_dict())
    np.testing.assert_array_equal(other.theta, layer.theta)


# ---- backward ----


@on_every_layer
def test_backward_called_twice_gives_the_same_and_writes_none_of_its_arguments(kind, twin):
    layer = make_layer(kind, twin, num_layers=2, bidirectional=True, dropout=0.4)
    x, state = draw(layer)
    y, end, tape = layer.forward(x, state, [5, 0, 2], training=True)
    arrays = [x, *as_tuple(state), y, *as_tuple(end), layer.theta]
    before = [array.copy() for array in arrays]
    first = layer.backward(tape, y, end)
    second = layer.backward(tape, y, end)
    np.testing.assert_array_equal(first[0], second[0])
    assert_same_state(first[1], second[1])
    np.testing.assert_array_equal(first[2].theta, second[2].theta)
    for array, copy in zip(arrays, before):
        np.testing.assert_array_equal(array, copy)


@on_every_layer
def test_arrays_given_to_the_caller_are_not_touched_by_a_later_call(kind, twin):
    layer = make_layer(kind, twin, num_layers=2, bidirectional=True)
    x, state = draw(layer)
    y, end, tape = layer.forward(x, state)
    dx, d_state, grads = layer.backward(tape, y, end)
    arrays = [y, *as_tuple(end), dx, *as_tuple(d_state), grads.theta]
    before = [array.copy() for array in arrays]
    y_2, end_2, tape_2 = layer.forward(x + 1, state)
    layer.backward(tape_2, y_2, end_2)
    layer(x - 1)
    for array, copy in zip(arrays, before):
        np.testing.assert_array_equal(array, copy)


@on_every_layer
def test_two_tapes_may_be_open_at_once(kind, twin):
    layer = make_layer(kind, twin, num_layers=2, bidirectional=True)
    (x_1, state), (x_2, _) = draw(layer, seed=1), draw(layer, seed=2)
    y, end, tape = layer.forward(x_1, state)
    expected = layer.backward(tape, y, end)[2].theta
    _, _, first = layer.forward(x_1, state)
    _, _, second = layer.forward(x_2, state)
    layer.backward(second, y, end)
    np.testing.assert_array_equal(layer.backward(first, y, end)[2].theta, expected)


@on_every_layer
def test_x_may_be_changed_between_forward_and_backward(kind, twin):
    layer = make_layer(kind, twin, num_layers=2)
    x, state = draw(layer)
    y, end, tape = layer.forward(x, state)
    expected = layer.backward(tape, y, end)[2].theta
    y, end, tape = layer.forward(x, state)
    x[...] = 7
    np.testing.assert_array_equal(layer.backward(tape, y, end)[2].theta, expected)


@on_every_layer
def test_no_dy_and_no_d_state_mean_zeros(kind, twin):
    layer = make_layer(kind, twin, num_layers=2, bidirectional=True)
    x, state = draw(layer)
    y, end, tape = layer.forward(x, state)
    zeros = tuple(np.zeros_like(part) for part in as_tuple(end))
    zeros = zeros if len(zeros) > 1 else zeros[0]
    for given, expected in [((None, end), (np.zeros_like(y), end)), ((y, None), (y, zeros))]:
        dx, d_state, grads = layer.backward(tape, *given)
        dx_0, d_state_0, grads_0 = layer.backward(tape, *expected)
        assert relative_error(dx, dx_0) <= 1e-14 and relative_error(grads.theta, grads_0.theta) <= 1e-14


@on_every_layer
def test_without_need_dx_the_other_gradients_are_the_same(kind, twin):
    layer = make_layer(kind, twin, num_layers=2, bidirectional=True)
    x, state = draw(layer)
    y, end, tape = layer.forward(x, state)
    dx, d_state, grads = layer.backward(tape, y, end)
    none, d_state_2, grads_2 = layer.backward(tape, y, end, need_dx=False)
    assert dx is not None and none is None
    assert relative_error(grads_2.theta, grads.theta) <= 1e-14
    assert all(relative_error(a, b) <= 1e-14 for a, b in zip(as_tuple(d_state_2), as_tuple(d_state)))
