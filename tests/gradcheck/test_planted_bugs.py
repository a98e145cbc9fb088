"""The checker is tested too: twenty planted bugs, each caught in every configuration in which it acts."""

import itertools

import numpy as np
import pytest
from sandbox import scaled
from torch_witness import EVERY, KINDS, PAIRS, make_layer

import npseq
from npseq.gradcheck import check_initialisation, check_layer
from npseq.gradcheck.planted_bugs import BUGS, Case, plant
from npseq.gradcheck.result import relative_error

TWINS = ["plain", pytest.param("optimized", marks=pytest.mark.wide)]
# bugs that are planted after the layer's own backward; the others are planted into the reference, optimized or not
AFTER = {"bias-without-gradient", "bias-of-another-gate", "reverse-not-turned-back", "mean-for-sum", "clipped-inside"}
AFTER |= {"starts-from-weights", "mask-drawn-again", "gates-alike"}
THRESHOLD = 1e-13
UNBROKEN, BROKEN = THRESHOLD / 10, THRESHOLD * 100
ALL = set(KINDS)
LSTMS = {"lstm", "lstm_projected"}

# Where each bug acts, in a configuration with everything: two layers, two directions, dropout, lengths, states, biases.
ACTS_IN = {
    "h-of-this-step": ALL,
    "first-step-skipped": ALL,
    "sigmoid-slope-of-value": LSTMS | {"gru"},
    "tanh-twice": ALL - {"rnn_relu"},
    "c-of-this-step": LSTMS,
    "dc-not-carried": LSTMS,
    "dh-overwritten": ALL,
    "bias-without-gradient": ALL,
    "bias-of-another-gate": LSTMS | {"gru"},
    "reverse-not-turned-back": ALL,
    "padding-contributes": ALL,
    "mean-for-sum": ALL,
    "cache-overwritten": ALL,
    "reset-before": {"gru"},
    "mask-drawn-again": ALL,
    "clipped-inside": ALL,
    "starts-from-weights": ALL,
    "gate-not-stored": ALL,
    "gates-alike": LSTMS | {"gru"},
    "z-swapped": {"gru"},
}


def full_case(kind, twin, layers=2):
    size = {"input_size": 1, "hidden_size": 3 if kind == "lstm_projected" else 2}
    layer = make_layer(kind, twin, num_layers=layers, bidirectional=True, dropout=0.4 if layers > 1 else 0.0, **size)
    return Case(layer, T=2, B=3, lengths=[1, 0, 2], training=layers > 1)


def every_bug_and_kind():
    """In one kind each bug is for the quick suite; the others are wide. Of a single layer, where that does: stacks are
    compared below."""
    for name, kinds in ACTS_IN.items():
        quick = "gru" if "gru" in kinds else "lstm"
        layers = 2 if name == "mask-drawn-again" else 1
        for kind in KINDS:
            for twin in ("plain", "optimized") if name in AFTER else ("plain",):
                slow = kind in kinds and (kind, twin) != (quick, "plain")
                yield pytest.param(name, kind, twin, layers, marks=[pytest.mark.wide] if slow else [])


def check(case, layer):
    return check_layer(layer, T=case.T, B=case.B, lengths=case.lengths, training=case.training)


def test_there_are_twenty_bugs():
    assert len(BUGS) == 20 and BUGS.keys() == ACTS_IN.keys()


@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize("kind", KINDS)
def test_unbroken_layer_passes_with_a_factor_of_ten_to_spare(kind, twin):
    case = full_case(kind, twin)
    result = check(case, case.layer)
    assert result.ok and result.worst.error <= UNBROKEN, str(result)
    assert not check_initialisation(case.layer)


@pytest.mark.parametrize("name, kind, twin, layers", list(every_bug_and_kind()))
def test_planted_bug_is_caught_with_a_factor_of_a_hundred_to_spare(name, kind, twin, layers):
    case = full_case(kind, twin, layers)
    if kind not in ACTS_IN[name]:
        assert not BUGS[name].acts(case)
        return
    assert BUGS[name].acts(case)
    broken = plant(name, case.layer)
    if name == "gates-alike":  # a right gradient at a bad place to start from
        assert check_initialisation(broken)
        return
    result = check(case, broken)
    assert not result.ok and result.worst.error >= BROKEN, str(result)
    assert result.faults or result.diagnosis


@pytest.mark.wide
@pytest.mark.parametrize("name", ["cache-overwritten", "mask-drawn-again"])
def test_overwritten_cache_and_redrawn_mask_are_caught_by_calling_backward_twice(name):
    case = full_case("lstm", "plain")
    faults = check(case, plant(name, case.layer)).faults
    assert len(faults) == 1 and "twice" in faults[0]


def test_wrong_gradient_of_a_checkpointed_layer_is_recognised_too():
    class Wrong(npseq.GRU):
        """A layer of somebody's own that forgets a bias."""

        def backward(self, *args, **options):
            dx, d_state, grads = super().backward(*args, **options)
            grads["bias_hh_l0"][...] = 0
            return dx, d_state, grads

    result = check_layer(Wrong(2, 3, checkpoint_every=2, rng=0), T=5)
    assert "equal to the gradient when b_h gets no gradient (bias-without-gradient)" in result.diagnosis


def test_planting_leaves_the_layer_itself_alone():
    layer = make_layer("gru", num_layers=2, dropout=0.4)
    before = layer.theta.copy()
    for name in BUGS:
        assert plant(name, layer) is not layer
    np.testing.assert_array_equal(layer.theta, before)
    check_layer(layer, training=True).assert_ok()


# ---- every configuration ----


def gradients(case, layer):
    """All gradients in one dict, of two calls of backward; random data for everything, the padding too."""
    rng = np.random.default_rng(1)
    runs = layer.num_layers * layer.num_directions
    x = rng.standard_normal((case.T, case.B, layer.input_size))
    R = rng.standard_normal((case.T, case.B, layer.num_directions * layer.output_size))
    S = tuple(rng.standard_normal((runs, case.B, size)) for size in layer.state_sizes())
    state = tuple(rng.standard_normal(s.shape) for s in S)
    state, S = (state, S) if len(S) > 1 else (state[0], S[0])
    _, _, tape = layer.forward(
        x, state if case.with_state else None, case.lengths, case.training, np.random.default_rng(2)
    )
    found = {}
    for call in (1, 2):
        dx, d_state, grads = layer.backward(tape, R, S)
        found.update({(name, call): d for name, d in grads.items()})
        found["x", call] = dx
        if case.with_state:
            d_state = d_state if isinstance(d_state, tuple) else (d_state,)
            found.update({(letter, call): d for letter, d in zip(layer.cell.state, d_state)})
    return found


def worst_error(found, right):
    return max(relative_error(found[name], right[name]) for name in right)


# layers, bidirectional, bias, mixed lengths, state given, T
STACKS = list(itertools.product([1, 2, 3], [False, True]))
GRID = [stack + rest for stack in STACKS for rest in (EVERY if stack == (1, False) or scaled(1) > 1 else PAIRS)]


@pytest.mark.wide
@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize("kind", KINDS)
def test_bug_is_far_above_the_threshold_wherever_it_acts_and_changes_nothing_elsewhere(kind, twin):
    """Measured against the unbroken gradient, which is the complex step's in every one of these configurations
    (test_layers.py): the error is then the one that the checker sees."""
    for L, bidirectional, bias, mixed, with_state, T in GRID:
        layer = make_layer(
            kind,
            twin,
            rng=[L, T],
            hidden_size=6,
            num_layers=L,
            bidirectional=bidirectional,
            bias=bias,
            dropout=0.4 if L > 1 else 0.0,
        )
        lengths = {1: [1, 0, 1, 1], 2: [1, 2, 0, 2], 7: [1, 7, 0, 4]}[T] if mixed else None
        case = Case(layer, T, 4, lengths, with_state, training=True)
        right = gradients(case, layer)
        for name, bug in BUGS.items():
            if kind not in ACTS_IN[name] or twin == "optimized" and name not in AFTER:
                continue
            if name == "gates-alike":
                assert bool(check_initialisation(plant(name, layer))) == bug.acts(case)
            else:
                error = worst_error(gradients(case, plant(name, layer)), right)
                assert error >= BROKEN if bug.acts(case) else error <= UNBROKEN, (name, error, case)
