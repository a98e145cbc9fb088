"""Every layer agrees with torch in float64, and its gradients with the complex step: outputs, states, all gradients."""

import itertools

import numpy as np
import pytest
from sandbox import scaled
from torch_witness import EVERY, KINDS, PAIRS, draw_state, make_layer, make_torch, run_npseq, run_torch

from npseq.gradcheck import check_layer
from npseq.gradcheck.result import relative_error

TWINS = ["plain", "optimized"]
UNBROKEN = 1e-14  # a factor of 10 under the checker's threshold
MIXED = {1: [1, 0, 1, 1], 2: [1, 2, 0, 2], 7: [1, 7, 0, 4]}  # unsorted, with 1 and 0
BATCH = {1: 3, 2: 1, 7: 3}  # where the lengths are equal

# layers, bidirectional, bias, mixed lengths, state given, T
QUICK = [
    (1, False, True, False, False, 1),
    (1, False, True, True, True, 7),
    (3, True, False, False, True, 2),
    (2, False, True, True, False, 2),
    pytest.param((2, True, True, True, True, 7), marks=pytest.mark.wide),
]
STEPPED = [pytest.param(case, marks=pytest.mark.wide) if case == QUICK[2] else case for case in QUICK]  # it is slow
GRID = list(itertools.product([1, 2, 3], [False, True]))


def compare_with_torch(kind, twin, num_layers, bidirectional, bias, mixed, with_state, T):
    """-> name -> relative error, of everything that both compute. torch is not given the sequence of length 0."""
    rng = np.random.default_rng([num_layers, T])
    layer = make_layer(kind, twin, rng=rng, num_layers=num_layers, bidirectional=bidirectional, bias=bias)
    lengths = MIXED[T] if mixed else None
    B = 4 if mixed else BATCH[T]
    x = rng.standard_normal((T, B, layer.input_size))
    dy = rng.standard_normal((T, B, layer.num_directions * layer.output_size))
    state, d_final = draw_state(layer, B, rng) if with_state else None, draw_state(layer, B, rng)
    ours = run_npseq(layer, x, state, lengths, dy, d_final)

    there = np.arange(B) if lengths is None else np.flatnonzero(lengths)

    def without_empty(array):
        return tuple(map(without_empty, array)) if isinstance(array, tuple) else array[:, there]

    theirs = run_torch(
        make_torch(kind, layer),
        layer.cell.state,
        without_empty(x),
        None if state is None else without_empty(state),
        None if lengths is None else np.array(lengths)[there],
        without_empty(dy),
        without_empty(d_final),
    )
    assert ours.keys() == theirs.keys()
    return {
        name: relative_error(without_empty(found) if found.ndim == 3 else found, theirs[name])
        for name, found in ours.items()
    }


def complex_step(kind, twin, num_layers, bidirectional, bias, mixed, with_state, T):
    layer = make_layer(kind, twin, rng=[num_layers, T], num_layers=num_layers, bidirectional=bidirectional, bias=bias)
    lengths = MIXED[T] if mixed else None
    return check_layer(layer, T=T, B=4 if mixed else BATCH[T], lengths=lengths, with_state=with_state)


@pytest.mark.parametrize("case", QUICK, ids=str)
@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize("kind", KINDS)
def test_layer_agrees_with_torch(kind, twin, case):
    errors = compare_with_torch(kind, twin, *case)
    assert max(errors.values()) <= 1e-12, errors


@pytest.mark.parametrize("case", STEPPED, ids=str)
@pytest.mark.parametrize("twin", [pytest.param("plain", marks=pytest.mark.wide), "optimized"])
@pytest.mark.parametrize("kind", KINDS)
def test_gradient_agrees_with_the_complex_step(kind, twin, case):
    result = complex_step(kind, twin, *case)
    result.assert_ok()
    assert result.worst.error <= UNBROKEN, str(result)


@pytest.mark.wide
@pytest.mark.parametrize("size", GRID, ids=str)
@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize("kind", KINDS)
def test_layer_agrees_with_torch_in_every_combination_of_options(kind, twin, size):
    for rest in EVERY:
        errors = compare_with_torch(kind, twin, *size, *rest)
        assert max(errors.values()) <= 1e-12, (rest, errors)


@pytest.mark.wide
@pytest.mark.parametrize("size", GRID, ids=str)
@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize("kind", KINDS)
def test_gradient_agrees_with_the_complex_step_in_every_combination_of_options(kind, twin, size):
    """Of a stack in every combination of two options; with NPSEQ_FUZZ=10 of all."""
    for rest in EVERY if size == (1, False) or scaled(1) > 1 else PAIRS:
        result = complex_step(kind, twin, *size, *rest)
        assert result.ok and result.worst.error <= UNBROKEN, f"{rest}\n{result}"
