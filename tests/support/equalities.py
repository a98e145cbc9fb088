"""Equalities that hold for every layer: a batch equals its sequences, two halves equal the whole."""

import numpy as np
import pytest
from torch_witness import KINDS, as_tuple, draw_state, make_layer, run_npseq

from npseq.gradcheck import relative_error

TWINS = ["plain", "optimized"]


every_layer = [pytest.mark.parametrize("kind", KINDS), pytest.mark.parametrize("twin", TWINS)]


T, LENGTHS = 6, [4, 0, 6, 1]  # unsorted, with T, 1 and 0


def on_every_layer(test):
    for mark in every_layer:
        test = mark(test)
    return test


class Run:
    """A layer with random data for every step, padding included, and all that it computes from them."""

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
        """The results of sequence b alone, without its padding."""
        steps = slice(0, self.lengths[b])

        def pick(state):
            parts = tuple(part[:, b : b + 1] for part in as_tuple(state))
            return parts if isinstance(state, tuple) else parts[0]

        return self.results(
            x=self.x[steps, b : b + 1],
            dy=self.dy[steps, b : b + 1],
            lengths=None,
            state=pick(self.state),
            d_final=pick(self.d_final),
        )


def assert_same(found, expected, tolerance=1e-13):
    assert found.keys() == expected.keys()
    for name in expected:
        assert relative_error(found[name], expected[name]) <= tolerance, name


def check_against_singles(run):
    batch = run.results()
    total = {name: 0 for name in run.layer.params}
    for b, length in enumerate(run.lengths):
        if length == 0:
            continue  # nothing to run; length 0 has tests of its own
        alone = run.alone(b)
        for name, value in alone.items():
            if name in ("y", "dx"):
                assert relative_error(batch[name][:length, b : b + 1], value) <= 1e-13, name
            elif value.ndim == 3:
                assert relative_error(batch[name][:, b : b + 1], value) <= 1e-13, name
            else:
                total[name[2:]] = total[name[2:]] + value
    for name, value in total.items():
        assert relative_error(batch["d " + name], value) <= 1e-13, name


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
        found["d " + name] = layer.to_torch_convention(name, grads_1[name] + grads_2[name])
    for letter, last, d_first in zip(layer.cell.state, as_tuple(end), as_tuple(d_initial)):
        found["final " + letter], found["d initial " + letter] = last, d_first
    assert_same(found, whole)
