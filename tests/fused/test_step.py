"""The step kernels against ``bptt.py``: every cell, projection, bias, one sequence and several, any dtype."""

import numpy as np
import pytest

from npseq import bptt
from npseq.cells import GRUCell, LSTMCell, ReLURNNCell, RNNCell, sigmoid
from npseq.fused import step
from npseq.gradcheck import relative_error

I, T = 2, 5


class MinimalCell:
    """A cell that has no step kernel: h = σ(a_x) ⊙ h' + tanh(a_h)."""

    gates, state = "h", "h"

    @staticmethod
    def forward(a_x, a_h, state):
        return (sigmoid(a_x) * state[0] + np.tanh(a_h),), None


CELLS = [RNNCell, ReLURNNCell, LSTMCell, GRUCell, MinimalCell]


def drawn(cell, H, P, bias, dtype, rng):
    rows = len(cell.gates) * H
    shapes = [(rows, I), (rows, P), *[(rows, 1) if bias else None] * 2, (P, H) if P != H else None]
    return bptt.Weights(
        *(None if shape is None else (rng.standard_normal(shape) / H**0.5).astype(dtype) for shape in shapes)
    )


@pytest.mark.parametrize("B", [1, 3])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
@pytest.mark.parametrize(
    "cell, H, P", [(cell, 4, 4) for cell in CELLS] + [(LSTMCell, 4, 3), (GRUCell, 70, 70)], ids=str
)
def test_a_step_is_that_of_the_plain_recurrence(cell, H, P, B, bias, dtype):
    rng = np.random.default_rng(0)
    weights = drawn(cell, H, P, bias, dtype, rng)
    xs = rng.standard_normal((T, I, B)).astype(dtype)
    state = tuple(rng.standard_normal((size, B)).astype(dtype) for size in (P, H)[: len(cell.state)])
    expected, final, _ = bptt.forward_through_time(cell, weights, xs, state, keep_tape=False)
    z = np.ones((P + 1 + I, B) if B > 1 else P + 1 + I, dtype)
    plan = step.Plan(cell, weights)
    for W in weights:  # the plan has copies
        if W is not None:
            W[...] = np.nan
    run = plan.step(z)
    for view, given in zip(run.state, state):
        view[...] = given
    bound = 1e-5 if dtype == np.float32 else 1e-13
    for x, y in zip(xs, expected):
        z[P + 1 :] = x.reshape(z[P + 1 :].shape)
        run.run()
        assert relative_error(run.state[0], y) <= bound
        assert np.all(z[P] == 1) and np.shares_memory(run.state[0], z)
    for view, part in zip(run.state, final):
        assert view.shape == part.shape and relative_error(view, part) <= bound


@pytest.mark.parametrize("cell", [GRUCell, LSTMCell, RNNCell])
def test_the_weights_are_stored_by_column_from_an_aligned_address(cell):
    weights = drawn(cell, 5, 5, True, np.float32, np.random.default_rng(0))
    W = step.Plan(cell, weights).arrays[0]
    assert W.flags.f_contiguous and W.ctypes.data % 64 == 0
