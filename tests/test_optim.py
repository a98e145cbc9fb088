"""Optimisers: twenty steps equal torch's in float64; clipping; state that continues a run byte for byte."""

import numpy as np
import pytest

from npseq import optim

CASES = [
    ("SGD", {}), ("SGD", dict(momentum=0.9)), ("SGD", dict(momentum=0.9, dampening=0.3)),
    ("SGD", dict(momentum=0.9, nesterov=True)), ("SGD", dict(weight_decay=0.1, maximize=True)),
    ("SGD", dict(momentum=0.5, weight_decay=0.1)),
    ("RMSprop", {}), ("RMSprop", dict(alpha=0.9, eps=1e-4)), ("RMSprop", dict(centered=True)),
    ("RMSprop", dict(momentum=0.9, centered=True, weight_decay=0.1)), ("RMSprop", dict(momentum=0.5, maximize=True)),
    ("Adagrad", {}), ("Adagrad", dict(lr_decay=0.1, initial_accumulator_value=0.5, eps=1e-3)),
    ("Adagrad", dict(weight_decay=0.1, maximize=True)),
    ("Adam", {}), ("Adam", dict(betas=(0.5, 0.9), eps=1e-3)), ("Adam", dict(weight_decay=0.1)), ("Adam", dict(amsgrad=True)),
    ("Adam", dict(maximize=True, amsgrad=True, weight_decay=0.01)),
    ("AdamW", {}), ("AdamW", dict(weight_decay=0.3, amsgrad=True)), ("AdamW", dict(maximize=True)), ("Adam", dict(weight_decay=0.1, decoupled_weight_decay=True)),
]


@pytest.mark.parametrize("name, options", CASES, ids=str)
def test_twenty_steps_equal_torchs(name, options):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    start, grads = rng.normal(size=50), rng.normal(size=(20, 50))
    theta = start.copy()
    ours = getattr(optim, name)(theta, lr=0.05, **options)
    parameter = torch.nn.Parameter(torch.tensor(start))
    theirs = getattr(torch.optim, name)([parameter], lr=0.05, **options)
    for grad in grads:
        before = grad.copy()
        ours.step(grad)
        assert np.array_equal(grad, before)
        parameter.grad = torch.tensor(grad)
        theirs.step()
    assert np.abs(theta - parameter.detach().numpy()).max() <= 1e-12 * np.abs(theta).max()


@pytest.mark.parametrize("name", ["SGD", "RMSprop", "Adagrad", "Adam", "AdamW"])
def test_names_and_defaults_of_the_options_are_torchs(name):
    torch = pytest.importorskip("torch")
    import inspect
    theirs = inspect.signature(getattr(torch.optim, name)).parameters
    ours = inspect.signature(getattr(optim, name)).parameters
    left_out = {"foreach", "fused", "capturable", "differentiable", "params"}
    assert {k: v.default for k, v in ours.items() if k != "theta"} == {k: v.default for k, v in theirs.items() if k not in left_out}


@pytest.mark.parametrize("name, options", CASES, ids=str)
def test_a_run_continued_from_its_state_gives_the_same_bits(name, options):
    rng = np.random.default_rng(1)
    grads = rng.normal(size=(6, 9)).astype(np.float32)
    theta = rng.normal(size=9).astype(np.float32)
    whole, resumed = theta.copy(), theta.copy()
    optimizer = getattr(optim, name)(whole, **options)
    for grad in grads:
        optimizer.step(grad)
    first = getattr(optim, name)(resumed, **options)
    for grad in grads[:3]:
        first.step(grad)
    second = getattr(optim, name)(resumed, **options)
    second.load_state_dict(first.state_dict())
    for grad in grads[3:]:
        second.step(grad)
    assert np.array_equal(whole, resumed)


def test_the_learning_rate_may_be_set_between_steps():
    theta = np.zeros(1)
    optimizer = optim.SGD(theta, lr=1.0)
    optimizer.step(np.ones(1))
    optimizer.lr = 0.5
    optimizer.step(np.ones(1))
    assert theta[0] == -1.5


@pytest.mark.parametrize("make", [
    lambda t: optim.SGD(t, lr=-1), lambda t: optim.SGD(t, momentum=-1), lambda t: optim.SGD(t, nesterov=True),
    lambda t: optim.SGD(t, lr=float("nan")), lambda t: optim.Adam(t, betas=(1.0, 0.9)), lambda t: optim.Adam(t, eps=-1),
    lambda t: optim.AdamW(t, weight_decay=-1), lambda t: optim.RMSprop(t, alpha=-1), lambda t: optim.Adagrad(t, lr_decay=-1)])
def test_options_out_of_range_are_refused(make):
    with pytest.raises(ValueError, match="given|needs"):
        make(np.zeros(3))


def test_a_gradient_of_another_shape_or_dtype_is_refused():
    optimizer = optim.Adam(np.zeros(3))
    for grad in (np.zeros(4), np.zeros(3, np.float32), np.zeros((3, 1))):
        with pytest.raises(ValueError, match="theta"):
            optimizer.step(grad)
    with pytest.raises(TypeError):
        optim.Adam(np.zeros((3, 1)))


@pytest.mark.parametrize("scale", [0.1, 10.0, 0.0])
def test_clipping_is_torchs_and_gives_the_norm_before(scale):
    torch = pytest.importorskip("torch")
    grad = np.random.default_rng(0).normal(size=20) * scale
    parameter = torch.nn.Parameter(torch.zeros(20, dtype=torch.float64))
    parameter.grad = torch.tensor(grad)
    expected = torch.nn.utils.clip_grad_norm_([parameter], 1.0).item()
    assert np.isclose(optim.clip_by_global_norm(grad, 1.0), expected, rtol=1e-12)
    assert np.abs(grad - parameter.grad.numpy()).max() <= 1e-12


def test_the_norm_of_huge_values_does_not_overflow():
    grad = np.full(4, 1e30, np.float32)
    assert np.isclose(optim.clip_by_global_norm(grad, 1.0), 2e30, rtol=1e-6)
    assert np.allclose(grad, 0.5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_norm_that_is_not_finite_is_returned_and_nothing_is_scaled(bad):
    grad = np.array([1.0, bad])
    assert not np.isfinite(optim.clip_by_global_norm(grad, 0.1))
    assert grad[0] == 1.0
