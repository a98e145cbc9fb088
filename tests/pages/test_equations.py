"""Every equation of docs/derivation.md, read from the page and evaluated, agrees with the complex step and npseq."""

import latex
import numpy as np
import other_equations as other
import pytest
import recurrent_equations as recurrent
from derivation import blocks
from derivation_values import ETA, T, over_time, run, statements, steps

from npseq import bptt, losses
from npseq.cells import GRUCell, LSTMCell, ReLURNNCell, RNNCell
from npseq.gradcheck import relative_error

TOLERANCE = {53: 1e-8}
CODE = {"rnn": RNNCell, "relu": ReLURNNCell, "lstm": LSTMCell, "gru": GRUCell}

# number -> a function that returns sets of values, all of which must satisfy the equation
VALUES = {
    1: recurrent.small_change,
    2: recurrent.rules,
    3: recurrent.product,
    4: recurrent.twice,
    5: recurrent.slopes,
    6: recurrent.slopes,
    **dict.fromkeys((7, 8, 31, 32, 33, 34), lambda: over_time("lstm") + over_time("gru")),
    9: lambda: steps("rnn"),
    10: lambda: steps("rnn"),
    11: lambda: steps("relu"),
    12: lambda: steps("relu"),
    **dict.fromkeys(range(13, 21), lambda: steps("lstm")),
    **dict.fromkeys(range(21, 28), lambda: steps("gru")),
    28: recurrent.torchs_z,
    29: lambda: over_time("gru"),
    30: lambda: over_time("gru") + over_time("lstm"),
    35: recurrent.side_by_side,
    36: lambda: recurrent.vanishing("rnn", "h"),
    37: lambda: recurrent.vanishing("lstm", "c"),
    38: recurrent.lengths,
    39: recurrent.lengths,
    40: lambda: recurrent.projection()[:1],
    41: lambda: [recurrent.projection()[1:]],
    42: recurrent.recurrent_dropout,
    43: recurrent.checkpoints,
    44: recurrent.stacked,
    45: recurrent.stacked_gradient,
    46: recurrent.one_tanh,
    47: lambda: steps("lstm"),
    48: lambda: recurrent.with_factors("lstm"),
    49: lambda: recurrent.with_factors("lstm"),
    50: lambda: recurrent.with_factors("gru"),
    51: lambda: steps("gru"),
    52: lambda: [{**v, "eta": ETA} for v in other.derivatives()],
    53: lambda: [{**v, "eta": 1e-5} for v in other.derivatives()],
    54: other.check_loss,
    55: other.curvature,
    56: recurrent.forward_in_time,
    57: recurrent.gradient_forward_in_time,
    58: other.peephole,
    59: other.layer_norm,
    60: other.linear,
    61: other.embedding,
    62: other.dropout,
    63: lambda: other.regression(losses.mse),
    64: lambda: other.regression(losses.mae),
    65: lambda: other.regression(losses.huber),
    66: other.softmax,
    67: other.softmax,
    68: other.softmax,
}


def largest_error(number, sets):
    """Of all statements of an equation and all sets of values; a set may be a list, with values for each statement."""
    worst = 0.0
    for known in sets:
        for k, trees in enumerate(statements(number)):
            v = known[k] if isinstance(known, list) else known
            first, *others = [np.asarray(latex.evaluate(tree, v)) for tree in trees]
            worst = max(worst, *(np.abs(first - other).max() / max(np.abs(first).max(), 1e-300) for other in others))
    return worst


@pytest.mark.parametrize("number", list(blocks()))
def test_what_the_page_says_is_true(number):
    assert largest_error(number, VALUES[number]()) < TOLERANCE.get(number, 1e-12)


@pytest.mark.parametrize("cell", list(CODE))
def test_the_cells_compute_the_forward_equations_of_the_page_and_their_gradients(cell):
    r = run(cell)
    weights = bptt.Weights(**r.given)
    hs, end, tape = bptt.forward_through_time(CODE[cell], weights, r.x, tuple(r.state.values()))
    d_weights, dx, d_state = bptt.backward_through_time(CODE[cell], weights, tape, r.R, tuple(r.S.values()))
    of_time = r.through_time()
    for t in range(T):
        assert relative_error(hs[t], r.steps[t]["y"]) < 1e-13
        assert relative_error(dx[t], of_time["dx"][t]) < 1e-13
    for name in r.given:
        assert relative_error(getattr(d_weights, name), of_time["d" + name]) < 1e-13
    for letter, d in zip(r.letters, d_state):
        assert relative_error(d, r.read(letter)[0]) < 1e-13


@pytest.mark.parametrize(
    "number, right, wrong",
    [
        (16, r"\tanh(c)", r"\tanh(h)"),
        (18, r"df = dc \odot c'", r"df = dc \odot c"),
        (24, r"(1 - z)", "z"),
        (32, r"h_t^\top", r"h_{t+1}^\top"),
        (37, r"s}^{t-1} f_\tau", r"s}^{t-1} f_{\tau-1}"),
        (57, "dy_t", "dh_{t+1}"),
        (68, r"\exp(\ell) - q", r"q - \exp(\ell)"),
    ],
)
def test_a_wrong_equation_on_the_page_would_be_found(number, right, wrong):
    page = blocks()[number]
    assert right in page
    trees = [latex.sides(statement) for statement in latex.statements(page.replace(right, wrong))]
    worst = 0
    for known in VALUES[number]():
        if number == 57:
            known["dh"] = [d[:, [0]] for d in run("lstm").through_time()["dh"]]
        for first, *others in trees:
            first, *others = [np.asarray(latex.evaluate(tree, known)) for tree in (first, *others)]
            worst = max(worst, *(np.abs(first - other).max() for other in others))
    assert worst > 1e-3
