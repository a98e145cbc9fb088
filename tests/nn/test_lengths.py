"""Padding-proof: what stands behind the end of a sequence changes nothing, in outputs or in gradients."""

import numpy as np
import pytest
from equalities import (
    Run,
    T,
    assert_same,
    check_against_singles,
    check_halves,
    on_every_layer,
)
from torch_witness import as_tuple, make_layer

from npseq.gradcheck import check_layer


@on_every_layer
def test_batch_equals_its_sequences_run_one_at_a_time(kind, twin):
    run = Run(kind, twin)
    check_against_singles(run)


@on_every_layer
def test_output_and_dx_are_zero_in_the_padding(kind, twin):
    run = Run(kind, twin)
    results = run.results()
    assert not results["y"][run.padding].any()
    assert not results["dx"][run.padding].any()


@pytest.mark.parametrize("garbage", [np.nan, np.inf, 1e300])
@on_every_layer
def test_garbage_in_the_padding_of_x_and_dy_changes_nothing(kind, twin, garbage):
    run = Run(kind, twin)
    padding = run.padding[:, :, None]
    found = run.results(x=np.where(padding, garbage, run.x), dy=np.where(padding, garbage, run.dy))
    expected = run.results()
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


@on_every_layer
def test_more_padding_changes_nothing(kind, twin):
    run = Run(kind, twin)
    longer = [np.concatenate([array, np.full_like(array[:3], np.nan)]) for array in (run.x, run.dy)]
    found = run.results(x=longer[0], dy=longer[1])
    assert not found["y"][T:].any() and not found["dx"][T:].any()
    found["y"], found["dx"] = found["y"][:T], found["dx"][:T]
    assert_same(found, run.results())


@on_every_layer
def test_sequence_of_length_0_hands_its_initial_state_and_the_gradient_through(kind, twin):
    run = Run(kind, twin)
    results = run.results()
    empty = run.lengths.index(0)
    for letter, first, d_last in zip(run.layer.cell.state, as_tuple(run.state), as_tuple(run.d_final)):
        np.testing.assert_array_equal(results["final " + letter][:, empty], first[:, empty])
        np.testing.assert_array_equal(results["d initial " + letter][:, empty], d_last[:, empty])


@on_every_layer
def test_batch_without_its_sequence_of_length_0_is_the_same(kind, twin):
    run = Run(kind, twin)
    there = np.flatnonzero(run.lengths)

    def pick(state):
        return tuple(map(pick, state)) if isinstance(state, tuple) else state[:, there]

    found = run.results(
        x=run.x[:, there],
        dy=run.dy[:, there],
        state=pick(run.state),
        d_final=pick(run.d_final),
        lengths=[run.lengths[b] for b in there],
    )
    expected = {name: value[:, there] if value.ndim == 3 else value for name, value in run.results().items()}
    assert_same(found, expected)


@on_every_layer
def test_gradient_with_nothing_but_sequences_of_length_0_is_zero(kind, twin):
    run = Run(kind, twin, lengths=[0, 0])
    results = run.results()
    for name in ["y", "dx"] + ["d " + name for name in run.layer.params]:
        assert not results[name].any(), name


@on_every_layer
def test_lengths_that_are_all_T_are_the_same_as_none(kind, twin):
    run = Run(kind, twin)
    assert_same(run.results(lengths=[T] * 4), run.results(lengths=None))


@on_every_layer
def test_order_of_the_sequences_does_not_matter(kind, twin):
    run = Run(kind, twin)
    order = np.array([2, 0, 3, 1])

    def pick(state):
        return tuple(map(pick, state)) if isinstance(state, tuple) else state[:, order]

    found = run.results(
        x=run.x[:, order],
        dy=run.dy[:, order],
        state=pick(run.state),
        d_final=pick(run.d_final),
        lengths=[run.lengths[b] for b in order],
    )
    assert_same(found, {name: value[:, order] if value.ndim == 3 else value for name, value in run.results().items()})


@on_every_layer
def test_two_halves_with_the_state_carried_equal_the_whole_backward_included(kind, twin):
    check_halves(Run(kind, twin, bidirectional=False), middle=2)


@pytest.mark.wide
@on_every_layer
def test_gradient_with_dropout_and_lengths_agrees_with_the_complex_step(kind, twin):
    layer = make_layer(kind, twin, num_layers=2, bidirectional=True, dropout=0.4)
    check_layer(layer, T=4, lengths=[2, 0, 4], training=True).assert_ok()
