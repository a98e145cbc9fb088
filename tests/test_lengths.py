"""Padding-proof: what stands behind the end of a sequence changes nothing, in outputs or in gradients."""

import numpy as np
import pytest
from torch_witness import KINDS, as_tuple, draw_state, make_layer, run_npseq

from npseq.gradcheck import check_layer, relative_error

TWINS = ["plain", "optimized"]
every_layer = [pytest.mark.parametrize("kind", KINDS), pytest.mark.parametrize("twin", TWINS)]
T, LENGTHS = 6, [4, 0, 6, 1]  # unsorted, with T, 1 and 0


def on_every_layer(test):
    for mark in every_layer:
        test = mark(test)
    return test


class Run:
    """A layer with random data for every step, the padding included, and all that it computes from them."""

    def __init__(self, kind, twin, lengths=LENGTHS, T=T, seed=0, **options):
        rng = np.random.default_rng(seed)
        self.layer = make_layer(kind, twin, rng=rng, **{"num_layers": 2, "bidirectional": True, **options})
        B = len(lengths)
        self.lengths = list(lengths)
        self.x = rng.standard_normal((T, B, self.layer.input_size))
        self.dy = rng.standard_normal((T, B, self.layer.num_directions * self.layer.output_size))
        self.state, self.d_final = draw_state(self.layer, B, rng), draw_state(self.layer, B, rng)
        self.padding = np.arange(T)[:, None] >= np.array(lengths)

    def results(self, **changed):
        given = {**vars(self), **changed}
        return run_npseq(self.layer, *(given[name] for name in ("x", "state", "lengths", "dy", "d_final")))

    def alone(self, b):
        """The sequence b by itself, without its padding."""
        steps = slice(0, self.lengths[b])

        def pick(state):
            parts = tuple(part[:, b:b + 1] for part in as_tuple(state))
            return parts if isinstance(state, tuple) else parts[0]
        return self.results(x=self.x[steps, b:b + 1], dy=self.dy[steps, b:b + 1], lengths=None, state=pick(self.state),
                            d_final=pick(self.d_final))


def assert_same(found, expected, tolerance=1e-13):
    assert found.keys() == expected.keys()
    for name in expected:
        assert relative_error(found[name], expected[name]) <= tolerance, name


@on_every_layer
def test_batch_equals_its_sequences_run_one_at_a_time(kind, twin):
    run = Run(kind, twin)
    check_against_singles(run)


def check_against_singles(run):
    batch = run.results()
    total = {name: 0 for name in run.layer.params}
    for b, length in enumerate(run.lengths):
        if length == 0:
            continue  # there is nothing to run: see the tests of the length 0
        alone = run.alone(b)
        for name, value in alone.items():
            if name in ("y", "dx"):
                assert relative_error(batch[name][:length, b:b + 1], value) <= 1e-13, name
            elif value.ndim == 3:
                assert relative_error(batch[name][:, b:b + 1], value) <= 1e-13, name
            else:
                total[name[2:]] = total[name[2:]] + value
    for name, value in total.items():
        assert relative_error(batch["d " + name], value) <= 1e-13, name


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
    found = run.results(x=run.x[:, there], dy=run.dy[:, there], state=pick(run.state), d_final=pick(run.d_final),
                        lengths=[run.lengths[b] for b in there])
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
    found = run.results(x=run.x[:, order], dy=run.dy[:, order], state=pick(run.state), d_final=pick(run.d_final),
                        lengths=[run.lengths[b] for b in order])
    assert_same(found, {name: value[:, order] if value.ndim == 3 else value for name, value in run.results().items()})


@on_every_layer
def test_two_halves_with_the_state_carried_equal_the_whole_backward_included(kind, twin):
    check_halves(Run(kind, twin, bidirectional=False), middle=2)


def check_halves(run, middle):
    layer, lengths = run.layer, np.array(run.lengths)
    whole = run.results()
    first, second = np.minimum(lengths, middle), np.maximum(lengths - middle, 0)
    y_1, state, tape_1 = layer.forward(run.x[:middle], run.state, first)
    y_2, end, tape_2 = layer.forward(run.x[middle:], state, second)
    dx_2, d_state, grads_2 = layer.backward(tape_2, run.dy[middle:], run.d_final)
    dx_1, d_initial, grads_1 = layer.backward(tape_1, run.dy[:middle], d_state)
    found = {"y": np.concatenate([y_1, y_2]), "dx": np.concatenate([dx_1, dx_2])}
    for name in grads_1:
        found["d " + name] = layer._to_torch(name, grads_1[name] + grads_2[name])
    for letter, last, d_first in zip(layer.cell.state, as_tuple(end), as_tuple(d_initial)):
        found["final " + letter], found["d initial " + letter] = last, d_first
    assert_same(found, whole)


@on_every_layer
def test_gradient_with_dropout_and_lengths_agrees_with_the_complex_step(kind, twin):
    layer = make_layer(kind, twin, num_layers=2, bidirectional=True, dropout=0.4)
    check_layer(layer, T=4, lengths=[2, 0, 4], training=True).assert_ok()
