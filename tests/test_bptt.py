"""A cell carried through time and its gradient carried back: ``bptt.py``, and ``fused`` with the same functions."""

import ast
import inspect

import numpy as np
import pytest

from npseq import bptt, fused
from npseq.bptt import Weights
from npseq.cells import GRUCell, LSTMCell, ReLURNNCell, RNNCell
from npseq.gradcheck.result import relative_error

CELLS = [RNNCell, ReLURNNCell, LSTMCell, GRUCell]
T, B, I, H = 6, 3, 2, 4


class Run:
    """Random weights and data of one layer in one direction, in columns."""

    def __init__(self, cell, rng=0, P=None, lengths=None, reverse=False):
        rng = np.random.default_rng(rng)
        G = len(cell.gates)
        self.cell, self.lengths, self.reverse = cell, lengths, reverse
        shapes = [(G * H, I), (G * H, P or H), (G * H, 1), (G * H, 1)] + ([(P, H)] if P else [])
        self.weights = Weights(*(rng.standard_normal(shape) for shape in shapes))
        self.x = rng.standard_normal((T, I, B))
        sizes = [P or H] + [H] * (len(cell.state) - 1)
        self.state = tuple(rng.standard_normal((size, B)) for size in sizes)
        self.d_hs = rng.standard_normal((T, sizes[0], B))
        self.d_state = tuple(rng.standard_normal((size, B)) for size in sizes)

    def forward(self, module, **options):
        return module.forward_through_time(
            self.cell, self.weights, self.x, self.state, self.lengths, self.reverse, **options
        )

    def backward(self, module, tape, **options):
        return module.backward_through_time(self.cell, self.weights, tape, self.d_hs, self.d_state, **options)

    def both(self, module, **options):
        """-> hs, final state, d_weights, d_x, d_state, all in one flat list."""
        hs, state, tape = self.forward(module, **options)
        d_weights, d_x, d_state = self.backward(module, tape)
        return [hs, *state, *(d for d in d_weights if d is not None), d_x, *d_state]


def assert_close(found, expected, tolerance=1e-13):
    for a, b in zip(found, expected, strict=True):
        assert relative_error(a, b) <= tolerance


@pytest.mark.parametrize("module", [bptt, fused])
@pytest.mark.parametrize("cell", CELLS)
def test_sequence_equals_a_plain_loop_over_the_cell(module, cell):
    run = Run(cell)
    W_x, W_h, b_x, b_h, *_ = run.weights
    state, expected = run.state, []
    for x_t in run.x:
        state, _ = cell.forward(W_x @ x_t + b_x, W_h @ state[0] + b_h, state)
        expected.append(state[0])
    hs, final, _ = run.forward(module)
    assert_close([hs, *final], [np.stack(expected), *state], 1e-14)


@pytest.mark.parametrize(
    "options",
    [{}, {"reverse": True}, {"lengths": np.array([2, 0, 6])}, {"lengths": np.array([2, 0, 5]), "reverse": True}],
    ids=str,
)
@pytest.mark.parametrize("cell", CELLS)
def test_optimized_schedule_gives_the_numbers_of_the_plain_one(cell, options):
    run = Run(cell, **options)
    assert_close(run.both(fused), run.both(bptt))


@pytest.mark.parametrize("options", [{}, {"reverse": True}, {"lengths": np.array([2, 0, 6])}], ids=str)
def test_optimized_projection_gives_the_numbers_of_the_plain_one(options):
    run = Run(LSTMCell, P=2, **options)
    assert_close(run.both(fused), run.both(bptt))


@pytest.mark.parametrize("module", [bptt, fused])
@pytest.mark.parametrize("cell", CELLS)
def test_reverse_is_forward_over_the_sequence_turned_round(module, cell):
    forward, reverse = Run(cell), Run(cell, reverse=True)
    reverse.x, reverse.d_hs = forward.x[::-1], forward.d_hs[::-1]
    found, expected = reverse.both(module), forward.both(module)
    for turned in (0, len(found) - len(cell.state) - 1):  # hs and d_x
        found[turned] = found[turned][::-1]
    assert_close(found, expected, 1e-15)


@pytest.mark.parametrize("module", [bptt, fused])
@pytest.mark.parametrize("cell", CELLS)
def test_backward_twice_gives_the_same_twice(module, cell):
    run = Run(cell, lengths=np.array([3, 6, 1]))
    tape = run.forward(module)[2]
    first, second = (run.backward(module, tape) for _ in range(2))
    for a, b in zip([*first[0][:4], first[1], *first[2]], [*second[0][:4], second[1], *second[2]], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("module", [bptt, fused])
@pytest.mark.parametrize("cell", CELLS)
def test_every_step_of_out_is_written(module, cell, reverse):
    run = Run(cell, lengths=np.array([3, 0, 1]), reverse=reverse)
    out = np.full((T, H, B), np.nan)
    hs = run.forward(module, out=out)[0]
    np.testing.assert_array_equal(hs, out)
    assert np.isfinite(out).all()


@pytest.mark.parametrize("module", [bptt, fused])
@pytest.mark.parametrize("cell", CELLS)
def test_without_a_tape_the_numbers_are_the_same(module, cell):
    run = Run(cell, lengths=np.array([3, 6, 1]))
    hs, state, tape = run.forward(module)
    hs_2, state_2, none = run.forward(module, keep_tape=False)
    assert tape is not None and none is None
    assert_close([hs_2, *state_2], [hs, *state], 1e-14)


@pytest.mark.parametrize("module", [bptt, fused])
@pytest.mark.parametrize("cell", CELLS)
def test_gradient_is_the_sum_of_what_each_output_and_the_final_state_contribute(module, cell):
    """Backward is linear in d_hs and d_state, and every step of it counts, the first and the last too."""
    run = Run(cell)
    whole, parts = run.both(module), 0
    tape = run.forward(module)[2]
    d_hs, d_state = run.d_hs, run.d_state
    nothing = tuple(np.zeros_like(d) for d in d_state)
    for t in list(range(T)) + [None]:
        run.d_hs = np.zeros_like(d_hs)
        run.d_state = d_state if t is None else nothing
        if t is not None:
            run.d_hs[t] = d_hs[t]
        d_weights, d_x, d_initial = run.backward(module, tape)
        flat = np.concatenate([d.ravel() for d in (*d_weights[:4], d_x, *d_initial)])
        assert flat.any()
        parts = parts + flat
    count = 1 + len(cell.state)
    assert relative_error(parts, np.concatenate([d.ravel() for d in whole[count:]])) <= 1e-13


@pytest.mark.parametrize("module", [bptt, fused])
@pytest.mark.parametrize("cell", CELLS)
def test_no_d_hs_means_zeros(module, cell):
    run = Run(cell)
    tape = run.forward(module)[2]
    run.d_hs = np.zeros_like(run.d_hs)
    d_weights, d_x, d_initial = run.backward(module, tape)
    run.d_hs = None
    none_weights, none_x, none_initial = run.backward(module, tape)
    assert_close([*none_weights[:4], none_x, *none_initial], [*d_weights[:4], d_x, *d_initial], 1e-14)


@pytest.mark.parametrize("cell", CELLS)
def test_tape_keeps_the_initial_state_in_slot_0_of_T_plus_1(cell):
    run = Run(cell)
    hs, state, tape = run.forward(bptt)
    (segment,) = tape.segments
    for slot, first, last in zip(segment.slots, run.state, state):
        assert len(slot) == T + 1
        np.testing.assert_array_equal(slot[0], first)
        np.testing.assert_array_equal(slot[-1], last)
    np.testing.assert_array_equal(segment.slots[0][1:], hs)


@pytest.mark.parametrize("k, kept", [(1, 6), (4, 2), (6, 1), (100, 1), ("sqrt", 2)])
def test_checkpointing_keeps_every_kth_state_and_nothing_of_the_steps_between(k, kept):
    tape = Run(LSTMCell).forward(bptt, checkpoint_every=k)[2]
    assert len(tape.segments) == kept
    assert all(segment.slots is None and segment.caches is None for segment in tape.segments)


@pytest.mark.parametrize("k", [0, -1])
def test_checkpointing_of_less_than_one_step_is_refused(k):
    with pytest.raises(ValueError, match=f"checkpoint_every must be a positive integer, 'sqrt' or None; {k} given"):
        Run(LSTMCell).forward(bptt, checkpoint_every=k)


def test_through_time_has_no_gate_and_no_name_of_a_cell():
    names = {node.id for node in ast.walk(ast.parse(inspect.getsource(bptt))) if isinstance(node, ast.Name)}
    assert not names & {"RNNCell", "ReLURNNCell", "LSTMCell", "GRUCell", "sigmoid"}
    assert "tanh" not in {
        node.attr for node in ast.walk(ast.parse(inspect.getsource(bptt))) if isinstance(node, ast.Attribute)
    }
