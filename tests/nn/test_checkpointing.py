"""Checkpointing trades one more forward pass for memory: the same gradient, O(√T) kept."""

import pickle
import tracemalloc

import numpy as np
import pytest
from torch_witness import KINDS, as_tuple, draw_state, make_layer

import npseq
from npseq.gradcheck import check_layer
from npseq.gradcheck.result import relative_error


@pytest.mark.parametrize("k", [1, 3, 11, 12, "sqrt"])
@pytest.mark.parametrize("twin", ["plain", "optimized"])
@pytest.mark.parametrize("kind", KINDS)
def test_checkpointing_changes_no_number_and_is_the_same_from_run_to_run(kind, twin, k):
    rng = np.random.default_rng(0)
    layer = make_layer(kind, twin, num_layers=2, bidirectional=True)
    x, state, lengths = rng.standard_normal((11, 3, layer.input_size)), draw_state(layer, 3, rng), [11, 0, 6]
    y, end, tape = layer.forward(x, state, lengths)
    dx, d_state, grads = layer.backward(tape, y, end)
    y_k, end_k, tape_k = layer.forward(x, state, lengths, checkpoint_every=k)
    dx_k, d_state_k, grads_k = layer.backward(tape_k, y, end)
    for found, expected in [
        (y_k, y),
        (dx_k, dx),
        (grads_k.theta, grads.theta),
        *zip(as_tuple(end_k), as_tuple(end)),
        *zip(as_tuple(d_state_k), as_tuple(d_state)),
    ]:
        assert relative_error(found, expected) <= 1e-13
    again = layer.backward(layer.forward(x, state, lengths, checkpoint_every=k)[2], y, end)
    np.testing.assert_array_equal(again[0], dx_k)
    np.testing.assert_array_equal(again[2].theta, grads_k.theta)


@pytest.mark.parametrize("twin", [pytest.param("plain", marks=pytest.mark.wide), "optimized"])
@pytest.mark.parametrize("kind", KINDS)
def test_gradient_with_checkpointing_agrees_with_the_complex_step(kind, twin):
    layer = make_layer(kind, twin, num_layers=2, checkpoint_every=2, dropout=0.3, recurrent_dropout=0.3)
    check_layer(layer, T=4, lengths=[2, 4, 0], training=True).assert_ok()


@pytest.mark.parametrize("twin", ["plain", "optimized"])
def test_garbage_in_the_padding_changes_nothing_under_checkpointing_either(twin):
    rng = np.random.default_rng(0)
    layer = make_layer("lstm", twin, bidirectional=True, checkpoint_every=2)
    x, lengths = rng.standard_normal((6, 3, 2)), [2, 6, 0]
    padding = (np.arange(6)[:, None] >= lengths)[:, :, None]
    results = []
    for garbage in (0, np.nan):
        y, _, tape = layer.forward(np.where(padding, garbage, x), lengths=lengths)
        dx, _, grads = layer.backward(tape, np.where(padding, garbage, np.ones_like(y)))
        results.append((y, dx, grads.theta))
    for found, expected in zip(*results):
        np.testing.assert_array_equal(found, expected)


def peak_memory(run):
    """Bytes allocated at the peak of ``run()``, less the arrays that it returns."""
    tracemalloc.start()
    kept = run()
    peak = tracemalloc.get_traced_memory()[1] - sum(array.nbytes for array in kept)
    tracemalloc.stop()
    return peak


@pytest.mark.wide
@pytest.mark.parametrize("kind, lengths", [(npseq.LSTM, False), (npseq.RNN, True), (npseq.OptimizedGRU, False)])
def test_memory_beyond_x_y_dy_and_dx_grows_with_the_root_of_T(kind, lengths):
    """16 times the steps: 4 times the memory, where the plain tape takes 16 times. (The mask of the lengths, a byte a
    step, is the one thing that stays proportional to T.)"""
    layer = kind(8, 8, rng=0)

    def peak(T, k):
        x = np.ones((T, 1, 8), np.float32)

        def run():
            y, _, tape = layer.forward(x, lengths=[T - 1] if lengths else None, checkpoint_every=k)
            dx, _, _ = layer.backward(tape, x)
            return y, dx

        return peak_memory(run)

    peak(50, "sqrt"), peak(50, None)  # what is made once
    short, long = peak(100, "sqrt"), peak(1600, "sqrt")
    assert long < 5.5 * short
    plain_short, plain_long = peak(100, None), peak(1600, None)
    assert plain_long > 10 * plain_short
    assert plain_long > 8 * long


@pytest.mark.parametrize("kind", [npseq.RNN, npseq.OptimizedGRU, npseq.LSTM])
def test_inference_takes_memory_that_does_not_grow_with_T(kind):
    layer = kind(16, 16, rng=0)

    def peak(T):
        x = np.ones((T, 4, 16), np.float32)
        return peak_memory(lambda: (layer(x)[0],))

    peak(100)  # what is made once
    size_of_y = 4 * 3000 * 4 * 16
    assert peak(3000) - peak(200) < size_of_y / 4


def test_a_call_can_switch_the_layers_checkpoints_off():
    layer = npseq.LSTM(2, 3, checkpoint_every=2, rng=0)
    x = np.ones((6, 1, 2), np.float32)
    plain, kept = layer.forward(x, checkpoint_every=None)[2].runs[0], layer.forward(x)[2].runs[0]
    expected = npseq.LSTM(2, 3, rng=0).forward(x)[2].runs[0]
    assert type(plain) is type(expected) and len(pickle.dumps(plain)) == len(pickle.dumps(expected)) != len(
        pickle.dumps(kept)
    )
