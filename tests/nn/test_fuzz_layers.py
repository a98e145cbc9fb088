"""Shapes and options drawn by Hypothesis: what test_layers.py and test_lengths.py claim for a grid holds off it too."""

import warnings

import numpy as np
import pytest

pytest.importorskip("hypothesis")
from equalities import Run, assert_same, check_against_singles, check_halves
from hypothesis import given, settings
from hypothesis import strategies as st
from sandbox import scaled
from torch_witness import KINDS, as_tuple, draw_state, make_layer, make_torch, run_npseq, run_torch

from npseq.gradcheck import check_layer
from npseq.gradcheck.result import relative_error

pytestmark = pytest.mark.wide
thoroughly = settings(max_examples=scaled(60), deadline=None, derandomize=True, database=None)

kinds, twins, seeds = st.sampled_from(sorted(KINDS)), st.sampled_from(["plain", "optimized"]), st.integers(0, 2**32 - 1)
sizes = st.fixed_dictionaries({"input_size": st.integers(1, 4), "hidden_size": st.integers(3, 5)})
stacks = st.fixed_dictionaries({"num_layers": st.integers(1, 3), "bidirectional": st.booleans(), "bias": st.booleans()})


@st.composite
def batches(draw, longest=8, least=0):
    """-> T, lengths, at least one of them not 0."""
    T = draw(st.integers(1, longest))
    lengths = draw(st.lists(st.integers(least, T), min_size=1, max_size=5))
    return T, lengths if any(lengths) else lengths + [T]


@given(kinds, twins, sizes, stacks, batches(least=1), st.booleans(), st.booleans(), seeds)
@thoroughly
def test_layer_agrees_with_torch(kind, twin, size, stack, batch, with_lengths, with_state, seed):
    (T, lengths), rng = batch, np.random.default_rng(seed)
    layer = make_layer(kind, twin, rng=rng, **size, **stack)
    B = len(lengths)
    x, dy = (rng.standard_normal((T, B, n)) for n in (layer.input_size, layer.num_directions * layer.output_size))
    state, d_final = draw_state(layer, B, rng) if with_state else None, draw_state(layer, B, rng)
    lengths = lengths if with_lengths else None
    assert_same(
        run_npseq(layer, x, state, lengths, dy, d_final),
        run_torch(make_torch(kind, layer), layer.cell.state, x, state, lengths, dy, d_final),
        1e-12,
    )


@settings(thoroughly, max_examples=scaled(30))
@given(
    kinds,
    twins,
    sizes,
    stacks,
    batches(longest=5),
    st.booleans(),
    seeds,
    st.fixed_dictionaries(
        {
            "batch_first": st.booleans(),
            "dropout": st.sampled_from([0.0, 0.4]),
            "recurrent_dropout": st.sampled_from([0.0, 0.4]),
            "learn_initial_state": st.booleans(),
            "recurrent_init": st.sampled_from(["uniform", "orthogonal"]),
            "checkpoint_every": st.sampled_from([None, 1, 3, "sqrt"]),
        }
    ),
)
def test_gradient_agrees_with_the_complex_step(kind, twin, size, stack, batch, with_state, seed, options):
    T, lengths = batch
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # dropout with one layer
        layer = make_layer(kind, twin, rng=seed, **size, **stack, **options)
    result = check_layer(layer, T=T, B=len(lengths), lengths=lengths, with_state=with_state, training=True, rng=seed)
    assert result.ok, f"{layer}, lengths {lengths}\n{result}"


@given(kinds, twins, sizes, stacks, batches(), seeds)
@thoroughly
def test_batch_equals_its_sequences_run_one_at_a_time(kind, twin, size, stack, batch, seed):
    check_against_singles(Run(kind, twin, lengths=batch[1], T=batch[0], seed=seed, **size, **stack))


@given(kinds, twins, sizes, stacks, batches(), seeds, st.integers(0, 3), st.sampled_from([np.nan, -np.inf, 1e300]))
@thoroughly
def test_extra_padding_and_garbage_in_it_change_nothing(kind, twin, size, stack, batch, seed, extra, garbage):
    T, lengths = batch
    run = Run(kind, twin, lengths=lengths, T=T, seed=seed, **size, **stack)
    padding = run.padding[:, :, None]
    x, dy = (
        np.concatenate([np.where(padding, garbage, array), np.full_like(array[:1], garbage).repeat(extra, axis=0)])
        for array in (run.x, run.dy)
    )
    found = run.results(x=x, dy=dy)
    assert not found["y"][T:].any() and not found["dx"][T:].any()
    found["y"], found["dx"] = found["y"][:T], found["dx"][:T]
    assert_same(found, run.results())


@given(kinds, twins, sizes, st.integers(1, 3), batches(), seeds, st.data())
@thoroughly
def test_two_parts_with_the_state_carried_equal_the_whole_backward_included(kind, twin, size, L, batch, seed, data):
    T, lengths = batch
    if T > 1:
        run = Run(kind, twin, lengths=lengths, T=T, seed=seed, num_layers=L, bidirectional=False, **size)
        check_halves(run, middle=data.draw(st.integers(1, T - 1)))


@given(
    kinds,
    st.integers(1, 70),
    st.integers(3, 70),
    st.integers(1, 300),
    st.integers(1, 40),
    st.booleans(),
    st.booleans(),
    st.sampled_from([np.float32, np.float64]),
    seeds,
)
@settings(thoroughly, max_examples=30)
def test_optimized_layer_gives_the_numbers_of_the_plain_one_at_real_sizes(
    kind, I, H, T, B, bidirectional, with_lengths, dtype, seed
):
    """Sizes at which the optimized schedule works in several chunks, which the small grids do not reach."""
    rng = np.random.default_rng(seed)
    options = dict(input_size=I, hidden_size=H, num_layers=2, bidirectional=bidirectional, dtype=dtype)
    plain, optimized = (make_layer(kind, twin, rng=seed, **options) for twin in ("plain", "optimized"))
    x, dy = (rng.standard_normal((T, B, n)).astype(dtype) for n in (I, plain.num_directions * plain.output_size))
    state, d_final = (tuple(part.astype(dtype) for part in as_tuple(draw_state(plain, B, rng))) for _ in range(2))
    if len(state) == 1:
        (state,), (d_final,) = state, d_final
    lengths = rng.integers(0, T + 1, B) if with_lengths else None
    expected, found = (run_npseq(layer, x, state, lengths, dy, d_final) for layer in (plain, optimized))
    tolerance = 1e-12 if dtype == np.float64 else 1e-4
    for name in expected:
        assert relative_error(found[name], expected[name]) <= tolerance, name
