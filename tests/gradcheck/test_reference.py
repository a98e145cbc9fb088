"""The reference that known bugs are planted into: checked against cells.py, bptt.py, torch and the complex step."""

import ast
import inspect

import numpy as np
import pytest
import torch

from npseq import bptt, cells
from npseq.bptt import Weights
from npseq.gradcheck import check_cell, numerical_gradient, reference, relative_error
from npseq.gradcheck.planted_bugs import BUGS, plant
from npseq.gradcheck.reference import CELLS, TrueDerivative, reference_of

T, B, I, H = 5, 4, 2, 3
each_cell = pytest.mark.parametrize("name", CELLS)


def draw(name, P=None, rng=0):
    """Random weights, data, state and gradients for one layer in one direction."""
    rng, cell = np.random.default_rng(rng), CELLS[name]
    G = len(cell.gates)
    shapes = [(G * H, I), (G * H, P or H), (G * H, 1), (G * H, 1)] + ([(P, H)] if P else [])
    sizes = [P or H] + [H] * (len(cell.state) - 1)
    return (
        Weights(*(rng.normal(size=shape) for shape in shapes)),
        rng.normal(size=(T, I, B)),
        *(tuple(rng.normal(size=(size, B)) for size in sizes) for _ in range(2)),
        rng.normal(size=(T, sizes[0], B)),
    )


def results(module, cell, data, **options):
    weights, x, state, d_state, d_hs = data
    hs, end, tape = module.forward_through_time(cell, weights, x, state, **options)
    d_weights, d_x, d_initial = module.backward_through_time(cell, weights, tape, d_hs, d_state)
    return [hs, *end, *(d for d in d_weights if d is not None), d_x, *d_initial]


@each_cell
def test_reference_cell_has_the_complex_steps_derivative(name):
    result = check_cell(CELLS[name])
    result.assert_ok()
    assert result.worst.error <= 1e-14


@each_cell
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", [None, [5, 0, 3, 1]])
def test_reference_cells_and_recurrence_give_the_numbers_of_cells_and_bptt(name, lengths, reverse):
    data = draw(name)
    options = {"lengths": lengths, "reverse": reverse, "h_mask": np.random.default_rng(9).normal(size=(H, B))}
    expected = results(bptt, getattr(cells, name), data, **options)
    for cell in (CELLS[name], TrueDerivative(getattr(cells, name))):
        for found, true in zip(results(reference, cell, data, **options), expected, strict=True):
            assert relative_error(found, true) <= 1e-13


def test_reference_has_projection():
    data = draw("LSTMCell", P=2)
    for found, true in zip(
        results(reference, CELLS["LSTMCell"], data), results(bptt, cells.LSTMCell, data), strict=True
    ):
        assert relative_error(found, true) <= 1e-13


@each_cell
def test_reference_agrees_with_torch(name):
    data = draw(name)
    weights, x, state, d_state, d_hs = data
    kinds = {"LSTMCell": torch.nn.LSTM, "GRUCell": torch.nn.GRU}
    extra = {"nonlinearity": "relu" if name == "ReLURNNCell" else "tanh"} if name not in kinds else {}
    module = kinds.get(name, torch.nn.RNN)(I, H, dtype=torch.float64, **extra)
    sign = np.repeat([1, -1, 1], H)[:, None] if name == "GRUCell" else 1  # torch's z is 1 − z
    arrays = [torch.tensor(W * sign) for W in weights[:4]]
    arrays[2:] = [b[:, 0] for b in arrays[2:]]
    module.load_state_dict(dict(zip(["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"], arrays)))
    x_t = torch.tensor(x.transpose(0, 2, 1), requires_grad=True)
    initial = tuple(torch.tensor(part.T[None]) for part in state)
    y, end = module(x_t, initial if len(initial) > 1 else initial[0])
    end = end if isinstance(end, tuple) else (end,)
    loss = (y * torch.tensor(d_hs.transpose(0, 2, 1))).sum()
    (loss + sum((e * torch.tensor(d.T[None])).sum() for e, d in zip(end, d_state))).backward()
    found = results(reference, CELLS[name], data)
    n = 1 + len(state)
    assert relative_error(found[0].transpose(0, 2, 1), y.detach().numpy()) <= 1e-12
    for d, parameter in zip(found[n : n + 4], module.parameters()):
        expected = parameter.grad.numpy()
        assert relative_error((d * sign).reshape(expected.shape), expected) <= 1e-12
    assert relative_error(found[n + 4].transpose(0, 2, 1), x_t.grad.numpy()) <= 1e-12


@each_cell
@pytest.mark.parametrize("intermediate", ["a_x", "a_h", "new_state"])
def test_every_intermediate_gradient_is_that_of_a_complex_step_on_the_intermediate(name, intermediate):
    """The gradients of the pre-activations, h_t and c_t at every step, which the diagnosis compares with."""
    weights, x, state, d_state, d_hs = draw(name)
    cell, lengths, notes = CELLS[name], [5, 0, 3, 1], {}
    _, _, tape = reference.forward_through_time(cell, weights, x, state, lengths)
    reference.backward_through_time(
        cell, weights, tape, d_hs, d_state, note=lambda key, t, value: notes.setdefault((key, t), []).append(value)
    )

    class Moved(cell):
        """The cell with something added to one array at one step."""

        @staticmethod
        def forward(a_x, a_h, state):
            Moved.step += 1
            add = {key: shift if Moved.step == t else 0 for key in [intermediate]}
            new, cache = cell.forward(a_x + add.get("a_x", 0), a_h + add.get("a_h", 0), state)
            return tuple(part + add.get("new_state", 0) * (k == letter) for k, part in enumerate(new)), cache

    weights = Weights(*(W.astype(complex) for W in weights[:4]))
    rows = len(cell.gates) * H if intermediate != "new_state" else H

    def loss():
        Moved.step = -1
        hs, end, _ = reference.forward_through_time(
            Moved, weights, x, tuple(part.astype(complex) for part in state), lengths
        )
        return (d_hs * hs).sum() + sum((d * part).sum() for d, part in zip(d_state, end))

    for t in (0, 2, 4):
        for letter in range(len(cell.state) if intermediate == "new_state" else 1):
            shift = np.zeros((rows, B), complex)
            expected = numerical_gradient(loss, {"shift": shift})["shift"]
            found = notes["d_new", t][-1][letter] if intermediate == "new_state" else notes["d" + intermediate, t][0]
            assert relative_error(found, expected) <= 1e-13


def test_the_reference_imports_no_equation_from_npseq():
    tree = ast.parse(inspect.getsource(reference))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert not imported & {"sigmoid", "gate_blocks", "LSTMCell", "GRUCell", "RNNCell", "forward_through_time"}


def test_a_cell_is_known_by_where_its_forward_comes_from():
    class Inherits(cells.GRUCell):
        pass

    class Another(cells.LSTMCell):
        forward = staticmethod(lambda a_x, a_h, state: None)

    assert reference_of(cells.LSTMCell) is CELLS["LSTMCell"] and reference_of(Inherits()) is CELLS["GRUCell"]
    assert reference_of(Another) is None and reference_of(TrueDerivative) is None


def test_bugs_are_planted_into_the_reference_whatever_cells_and_bptt_say(monkeypatch):
    """An edited cell does not change what a planted bug looks like."""
    import npseq

    layer = npseq.LSTM(2, 3, rng=0, dtype=np.float64)
    x = np.random.default_rng(0).normal(size=(4, 2, 2))

    def gradient():
        broken = plant("tanh-twice", layer)
        y, _, tape = broken.forward(x)
        return broken.backward(tape, y)[2].theta

    before = gradient()
    monkeypatch.setattr(cells.LSTMCell, "backward", staticmethod(lambda d_state, cache: 1 / 0))
    monkeypatch.setattr(bptt, "_backward_steps", lambda *args: 1 / 0)
    np.testing.assert_array_equal(gradient(), before)
    assert len(BUGS) == 20
