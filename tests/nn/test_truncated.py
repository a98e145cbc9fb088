"""Truncated backpropagation through time: the state is carried from chunk to chunk, the gradient is not."""

import numpy as np
import pytest
from torch_witness import KINDS, as_tuple, draw_state, make_layer

from npseq.gradcheck.result import relative_error
from npseq.layers import truncated_bptt

T, B = 7, 3


def draw(layer):
    rng = np.random.default_rng(0)
    return (
        rng.standard_normal((T, B, layer.input_size)),
        rng.standard_normal((T, B, layer.output_size)),
        draw_state(layer, B, rng),
    )


@pytest.mark.parametrize("chunk", [T, T + 1, 100])
@pytest.mark.parametrize("twin", ["plain", "optimized"])
@pytest.mark.parametrize("kind", KINDS)
def test_with_a_chunk_as_long_as_the_sequence_it_is_full_backpropagation_exactly(kind, twin, chunk):
    layer = make_layer(kind, twin, num_layers=2)
    x, R, state = draw(layer)
    lengths = [7, 0, 3]
    y, end, tape = layer.forward(x, state, lengths)
    dx, _, grads = layer.backward(tape, R)
    ((steps, y_1, dx_1, grads_1, end_1),) = truncated_bptt(layer, x, lambda y, steps: R[steps], chunk, state, lengths)
    assert steps == slice(0, T)
    for found, expected in [(y_1, y), (dx_1, dx), (grads_1.theta, grads.theta), *zip(as_tuple(end_1), as_tuple(end))]:
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("chunk", [1, 2, 3, 6])
@pytest.mark.parametrize("kind", KINDS)
def test_state_is_carried_so_the_outputs_are_those_of_the_whole(kind, chunk):
    layer = make_layer(kind, num_layers=2)
    x, R, state = draw(layer)
    lengths = [7, 0, 3]
    y, end, _ = layer.forward(x, state, lengths)
    chunks = list(truncated_bptt(layer, x, lambda y, steps: R[steps], chunk, state, lengths))
    assert [len(range(T)[steps]) for steps, *_ in chunks] == [chunk] * (T // chunk) + [T % chunk] * bool(T % chunk)
    assert relative_error(np.concatenate([y for _, y, *_ in chunks]), y) <= 1e-14
    assert all(relative_error(a, b) <= 1e-14 for a, b in zip(as_tuple(chunks[-1][-1]), as_tuple(end)))


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_is_not_carried_so_each_chunks_is_that_of_the_chunk_alone(kind):
    layer = make_layer(kind)
    x, R, state = draw(layer)
    for steps, y, dx, grads, after in truncated_bptt(layer, x, lambda y, steps: R[steps], 3, state):
        _, _, tape = layer.forward(x[steps], state)
        dx_alone, _, grads_alone = layer.backward(tape, R[steps])
        np.testing.assert_array_equal(dx, dx_alone)
        np.testing.assert_array_equal(grads.theta, grads_alone.theta)
        state = after


def test_parameters_may_be_updated_between_chunks():
    layer = make_layer("gru")
    x, R, state = draw(layer)
    seen = []
    for _, y, _, grads, _ in truncated_bptt(layer, x, lambda y, steps: R[steps], 2, state):
        seen.append(y)
        layer.theta -= 0.1 * grads.theta
    fixed = [y for _, y, *_ in truncated_bptt(make_layer("gru"), x, lambda y, steps: R[steps], 2, state)]
    np.testing.assert_array_equal(seen[0], fixed[0])
    assert not np.allclose(seen[1], fixed[1])


def test_batch_first_takes_its_chunks_from_the_second_axis():
    layer, other = make_layer("lstm"), make_layer("lstm", batch_first=True)
    x, R, state = draw(layer)
    expected = truncated_bptt(layer, x, lambda y, steps: R[steps], 3, state)
    found = truncated_bptt(other, x.swapaxes(0, 1), lambda y, steps: R[steps].swapaxes(0, 1), 3, state)
    for (_, _, _, a, _), (_, _, _, b, _) in zip(expected, found, strict=True):
        np.testing.assert_array_equal(a.theta, b.theta)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint64, np.int8])
def test_lengths_may_be_of_any_integer_type(dtype):
    layer = make_layer("gru")
    x, R, state = draw(layer)
    expected, found = (
        [grads.theta for *_, grads, _ in truncated_bptt(layer, x, lambda y, steps: R[steps], 3, state, lengths)]
        for lengths in ([7, 0, 2], np.array([7, 0, 2], dtype))
    )
    np.testing.assert_array_equal(found, expected)


def test_lengths_beyond_the_sequence_are_refused():
    layer = make_layer("gru")
    x, R, state = draw(layer)
    with pytest.raises(ValueError, match="lengths must be from 0 to T = 7; from 0 to 8 given"):
        next(truncated_bptt(layer, x, lambda y, steps: R[steps], 3, state, [8, 0, 2]))


def test_batch_first_takes_the_chunks_of_indices_from_the_second_axis():
    layer, other = make_layer("lstm"), make_layer("lstm", batch_first=True)
    _, R, state = draw(layer)
    x = np.random.default_rng(1).integers(0, layer.input_size, (T, B))
    expected = truncated_bptt(layer, x, lambda y, steps: R[steps], 3, state)
    found = truncated_bptt(other, x.T, lambda y, steps: R[steps].swapaxes(0, 1), 3, state)
    for (_, _, _, a, _), (_, _, _, b, _) in zip(expected, found, strict=True):
        np.testing.assert_array_equal(a.theta, b.theta)


def test_two_directions_and_an_empty_chunk_are_refused():
    with pytest.raises(ValueError, match="chunk must be at least 1; 0 given"):
        next(truncated_bptt(make_layer("gru"), np.zeros((4, 1, 2)), None, 0))
    with pytest.raises(ValueError, match="a bidirectional layer given"):
        next(truncated_bptt(make_layer("gru", bidirectional=True), np.zeros((4, 1, 2)), None, 2))


def test_dropout_acts_in_training_only_and_draws_a_mask_for_each_chunk():
    layer = make_layer("lstm", num_layers=2, dropout=0.5)
    x, R, state = draw(layer)

    def run(chunk, **options):
        layer.rng = np.random.default_rng(3)
        found = truncated_bptt(layer, x, lambda y, steps: R[steps], chunk, state, **options)
        return [(y, grads.theta) for _, y, _, grads, _ in found]

    layer.rng = np.random.default_rng(3)
    y, _, tape = layer.forward(x, state, training=True)
    expected = y, layer.backward(tape, R)[2].theta
    ((y, theta),) = run(T, training=True)
    np.testing.assert_array_equal(y, expected[0])
    np.testing.assert_array_equal(theta, expected[1])
    assert not np.allclose(run(3, training=True)[0][0], run(3)[0][0])
    np.testing.assert_array_equal(run(3)[0][0], layer(x[:3], state)[0])
