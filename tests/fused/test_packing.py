"""Sequences packed end to end: each keeps to itself, and the numbers are those of the plain layers."""

import numpy as np
import pytest

import npseq
from npseq.fused import packing as packing_module
from npseq.fused import workspace
from npseq.fused.kernels import KERNELS
from npseq.gradcheck import relative_error

KINDS = ["RNN", "LSTM", "GRU"]


@pytest.fixture
def always_pack(monkeypatch):
    monkeypatch.setattr(packing_module, "MIN_MULTIPLICATIONS_SAVED", -1)


def draw_lengths(rng, T, B):
    lengths = rng.integers(0, T + 1, B)
    lengths[rng.integers(B)] = T
    return lengths


@pytest.mark.parametrize("seed", range(20))
def test_no_slot_is_used_twice_and_an_idle_step_lies_between_two_sequences(always_pack, seed):
    rng = np.random.default_rng(seed)
    T, B = rng.integers(1, 70), rng.integers(17, 200)
    lengths = draw_lengths(rng, T, B)
    packing = packing_module.Packing(T, lengths, seed % 2 == 1, 1)
    assert sorted(packing.sequences) == list(np.flatnonzero(lengths))
    used = np.zeros((packing.steps + 1, packing.width), int)
    for k, start, column in zip(packing.sequences, packing.starts, packing.columns):
        used[start : start + lengths[k] + 1, column] += 1  # the slot of its last state is its own too
    assert used.max() == 1
    assert packing.width <= B and packing.steps * packing.width <= 1.3 * max(lengths.sum() + B, 16 * T)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("pack", [True, False])
def test_unpacking_gives_back_what_was_packed_and_zeros_in_the_padding(monkeypatch, reverse, pack):
    if pack:
        monkeypatch.setattr(packing_module, "MIN_MULTIPLICATIONS_SAVED", -1)
    rng = np.random.default_rng(0)
    T, B, size = 23, 40, 3
    lengths = draw_lengths(rng, T, B)
    x = rng.normal(size=(T, B, size))
    x[np.arange(T)[:, None] >= lengths] = np.nan
    x = x.transpose(0, 2, 1)
    packing = packing_module.Packing(T, lengths, reverse, 1)
    assert (packing.width < B) == pack
    packed = packing.packed(x)
    assert np.isfinite(packed).all()
    out = np.full((T, B, size), np.nan).transpose(0, 2, 1)
    buffer, rows = packing.buffer(out)
    buffer[...] = packed
    packing.unpack(rows, out)
    assert np.array_equal(out, np.nan_to_num(x))
    longest = int(np.argmax(lengths))  # a reversed sequence begins with its own last step
    k = list(packing.sequences).index(longest)
    first = packed[packing.starts[k], :, packing.columns[k]]
    assert np.array_equal(first, x[T - 1 if reverse else 0, :, longest])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("B", [5, 40])
def test_packed_equals_plain_with_states_directions_and_anything_in_the_padding(always_pack, kind, B):
    rng = np.random.default_rng(B)
    T = 37
    options = dict(num_layers=2, bidirectional=True, dtype=np.float64)
    plain = getattr(npseq, kind)(3, 4, rng=0, **options)
    fast = getattr(npseq, "Optimized" + kind)(3, 4, rng=0, **options)
    lengths = draw_lengths(rng, T, B)
    x, dy = rng.normal(size=(T, B, 3)), rng.normal(size=(T, B, 8))
    past = np.arange(T)[:, None] >= lengths
    x[past] = dy[past] = np.nan
    state = tuple(rng.normal(size=(4, B, 4)) for _ in plain.cell.state)
    d_state = tuple(rng.normal(size=(4, B, 4)) for _ in plain.cell.state)
    if kind != "LSTM":
        state, d_state = state[0], d_state[0]
    results = []
    for layer in plain, fast:
        y, final, tape = layer.forward(x, state, lengths)
        dx, d_initial, grads = layer.backward(tape, dy, d_state)
        inferred, _ = layer(x, state, lengths)
        listed = [[s] if kind != "LSTM" else list(s) for s in (final, d_initial)]
        results.append([y, inferred, dx, grads.theta, *listed[0], *listed[1]])
    for found, expected in zip(results[1], results[0]):
        assert relative_error(found, expected) <= 1e-12
    assert np.array_equal(results[1][0], results[1][1])  # with and without a tape


@pytest.mark.parametrize("dtype", [np.uint8, np.uint64])
def test_lengths_may_be_of_any_integer_type(always_pack, dtype):
    layer = npseq.OptimizedGRU(1, 2, bidirectional=True, rng=0)
    lengths = np.linspace(1, 255, 40).astype(int)  # 255 + 1 is 0 in a byte
    x = np.random.default_rng(0).normal(size=(255, 40, 1)).astype(np.float32)
    for found, expected in zip(layer(x, lengths=lengths.astype(dtype)), layer(x, lengths=lengths)):
        np.testing.assert_array_equal(found, expected)


def test_a_batch_is_packed_where_that_saves_work_and_left_alone_where_not():
    lengths = np.linspace(1, 100, 64).astype(int)
    assert packing_module.Packing(100, lengths, False, 256 * 385).width in (32, 48)
    assert packing_module.Packing(100, lengths[:8], False, 32 * 34).width == 8
    assert packing_module.Packing(100, np.full(64, 99), False, 256 * 385).width == 64


def test_a_state_that_is_not_finite_stays_with_its_empty_sequence(always_pack):
    layer = npseq.OptimizedLSTM(3, 4, rng=0)
    h, c = np.zeros((2, 1, 3, 4), np.float32)
    h[:, 1] = np.nan
    x = np.ones((5, 3, 3), np.float32)
    y, _, tape = layer.forward(x, (h, c), [5, 0, 2])
    _, _, grads = layer.backward(tape, np.ones_like(y))
    assert np.isfinite(y).all() and np.isfinite(grads.theta).all()


@pytest.mark.wide
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("B, I, H", [(3, 100, 360), (40, 70, 230), (40, 200, 130)])
@pytest.mark.parametrize("mixed", [False, True])
def test_weights_that_do_not_stay_in_the_cache(kind, B, I, H, mixed):
    """Sizes at which W_x x is made for many steps at once."""
    rng = np.random.default_rng(B)
    T = 45
    plain, fast = (getattr(npseq, name)(I, H, rng=0, dtype=np.float64) for name in (kind, "Optimized" + kind))
    assert kind == "RNN" and H < 360 or workspace.ForwardWorkspace(KERNELS[plain.cell], 1, I, H, 1, np.float64).large
    lengths = draw_lengths(rng, T, B) if mixed else None
    x, dy = rng.normal(size=(T, B, I)), rng.normal(size=(T, B, H))
    results = []
    for layer in plain, fast:
        y, _, tape = layer.forward(x, lengths=lengths)
        dx, _, grads = layer.backward(tape, dy)
        results.append([y, layer(x, lengths=lengths)[0], dx, grads.theta])
    for found, expected in zip(results[1], results[0]):
        assert relative_error(found, expected) <= 1e-12
