"""Modules one after another: torch's numbers, the complex step's gradients, states in and out."""

import copy

import numpy as np
import pytest

import npseq
from npseq.gradcheck import check_model
from npseq.gradcheck.result import relative_error


def made(kind=npseq.GRU, **options):
    rng = np.random.default_rng(0)
    return npseq.Sequential(
        npseq.Embedding(5, 3, dtype=np.float64, rng=rng),
        kind(3, 4, batch_first=True, dtype=np.float64, rng=rng, **options),
        npseq.Linear(4, 2, dtype=np.float64, rng=rng),
    )


X, LENGTHS = np.array([[0, 3, 3, 1], [2, -1, -1, -1], [4, 4, 0, -1]]), np.array([4, 1, 3])


@pytest.mark.parametrize("kind", [npseq.GRU, npseq.OptimizedLSTM])
def test_it_is_torchs_and_its_gradient_the_complex_steps(kind):
    torch = pytest.importorskip("torch")
    net, rng = made(kind), np.random.default_rng(1)
    recurrent = torch.nn.GRU if kind is npseq.GRU else torch.nn.LSTM
    twin = torch.nn.Sequential(
        torch.nn.Embedding(5, 3), recurrent(3, 4, batch_first=True), torch.nn.Linear(4, 2)
    ).double()
    twin.load_state_dict({name: torch.tensor(array) for name, array in net.state_dict().items()})
    x, R = X[:1], rng.standard_normal((1, 4, 2))
    y, (state,), tape = net.forward(x)
    hs, _ = twin[1](twin[0](torch.tensor(x)))
    expected = twin[2](hs)
    assert relative_error(y, expected.detach().numpy()) <= 1e-12
    (expected * torch.tensor(R)).sum().backward()
    dx, _, grads = net.backward(tape, R)
    assert dx is None and np.array_equal(net.outputs(x), y)
    for name, parameter in twin.named_parameters():
        assert relative_error(net.to_torch_convention(name, grads[name]), parameter.grad.numpy()) <= 1e-12, name
    check_model(net, (X, rng.standard_normal((3, 4, 2)), LENGTHS)).assert_ok()


def test_halves_with_the_state_carried_are_the_whole_and_so_is_the_gradient_through_the_state():
    net = npseq.Sequential(*[npseq.LSTM(3, 3, batch_first=True, dtype=np.float64, rng=k) for k in range(2)])
    x, R = np.random.default_rng(0).standard_normal((2, 2, 6, 3))
    y, end, tape = net.forward(x)
    first, state, tape_1 = net.forward(x[:, :2])
    second, last, tape_2 = net.forward(x[:, 2:], state)
    assert np.allclose(np.concatenate([first, second], 1), y, rtol=0, atol=1e-15)
    assert np.allclose(np.ravel(last), np.ravel(end), rtol=0, atol=1e-15)
    dx, _, grads = net.backward(tape, R)
    dx_2, d_state, grads_2 = net.backward(tape_2, R[:, 2:])
    dx_1, _, grads_1 = net.backward(tape_1, R[:, :2], d_state)
    assert relative_error(np.concatenate([dx_1, dx_2], 1), dx) <= 1e-13
    assert relative_error(grads_1.theta + grads_2.theta, grads.theta) <= 1e-13
    assert net.backward(tape, R, need_dx=False)[0] is None


def test_one_without_a_state_returns_none_and_a_shared_part_gets_both_gradients():
    linear = npseq.Linear(3, 3, dtype=np.float64, rng=0)
    net = npseq.Sequential(linear, npseq.Sequential(npseq.Linear(3, 3, dtype=np.float64, rng=1)), linear)
    assert list(net.params) == ["0.weight", "0.bias", "1.0.weight", "1.0.bias"]
    x = np.random.default_rng(0).standard_normal((4, 3))
    y, tape = net.forward(x)
    assert len(net.backward(tape, y)) == 2
    check_model(net, (x, y + 1, None)).assert_ok()
    check_model(copy.deepcopy(net), (x, y + 1, None)).assert_ok()


def test_wrong_parts_states_and_lengths_are_refused():
    for parts, error, message in [
        ((), ValueError, "none given"),
        ((npseq.Linear(2, 2), np.tanh), TypeError, "ufunc given"),
    ]:
        with pytest.raises(error, match=message):
            npseq.Sequential(*parts)
    with pytest.raises(TypeError, match="lengths given, but no part takes them"):
        npseq.Sequential(npseq.Linear(2, 2)).outputs(np.zeros((1, 2), np.float32), [1])
    net = made()
    with pytest.raises(ValueError, match="state must have 1 entries, one for each part with a state; 2 given"):
        net(X[:1], (None, None))
    y, _, tape = net.forward(X[:1])
    with pytest.raises(ValueError, match="d_state must have 1 entries"):
        net.backward(tape, y, ())
