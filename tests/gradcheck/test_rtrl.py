"""Two derivations of one gradient: forward in time (RTRL) and backward (BPTT) agree."""

import numpy as np
import pytest

from npseq.bptt import Weights, backward_through_time, forward_through_time
from npseq.cells import GRUCell, LSTMCell, ReLURNNCell, RNNCell
from npseq.gradcheck import relative_error
from npseq.rtrl import gradient_forward_in_time


@pytest.mark.parametrize("cell", [RNNCell, ReLURNNCell, LSTMCell, GRUCell])
@pytest.mark.parametrize("T", [1, 2, 7])
@pytest.mark.parametrize("B", [1, 3])
def test_forward_in_time_gives_the_gradient_of_backward_in_time(cell, T, B):
    rng = np.random.default_rng(T)
    G, I, H = len(cell.gates), 2, 3
    weights = Weights(*(rng.normal(size=shape) for shape in [(G * H, I), (G * H, H), (G * H, 1), (G * H, 1)]))
    x, state = rng.normal(size=(T, I, B)), tuple(rng.normal(size=(H, B)) for _ in cell.state)
    d_hs, d_state = rng.normal(size=(T, H, B)), tuple(rng.normal(size=(H, B)) for _ in cell.state)
    _, _, tape = forward_through_time(cell, weights, x, state)
    d_weights, _, d_initial = backward_through_time(cell, weights, tape, d_hs, d_state)
    d_weights_2, d_initial_2 = gradient_forward_in_time(cell, weights, x, state, d_hs, d_state)
    for a, b in zip((*d_weights_2[:4], *d_initial_2), (*d_weights[:4], *d_initial)):
        assert relative_error(a, b) <= 1e-12
