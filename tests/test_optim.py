"""Optimisers: twenty steps equal torch's in float64; clipping; state that continues a run byte for byte."""

import inspect

import numpy as np
import pytest

from npseq import optim

CASES = [
    ("SGD", {}),
    ("SGD", dict(momentum=0.9)),
    ("SGD", dict(momentum=0.9, dampening=0.3)),
    ("SGD", dict(momentum=0.9, nesterov=True)),
    ("SGD", dict(weight_decay=0.1, maximize=True)),
    ("SGD", dict(momentum=0.5, weight_decay=0.1)),
    ("SGD", dict(momentum=0.5, nesterov=True, maximize=True, weight_decay=0.1)),
    ("RMSprop", {}),
    ("RMSprop", dict(alpha=0.9, eps=1e-4)),
    ("RMSprop", dict(centered=True)),
    ("RMSprop", dict(momentum=0.9, centered=True, weight_decay=0.1)),
    ("RMSprop", dict(momentum=0.5, maximize=True)),
    ("Adagrad", {}),
    ("Adagrad", dict(lr_decay=0.1, initial_accumulator_value=0.5, eps=1e-3)),
    ("Adagrad", dict(weight_decay=0.1, maximize=True)),
    ("Adam", {}),
    ("Adam", dict(betas=(0.5, 0.9), eps=1e-3)),
    ("Adam", dict(weight_decay=0.1)),
    ("Adam", dict(amsgrad=True)),
    ("Adam", dict(maximize=True, amsgrad=True, weight_decay=0.01)),
    ("Adam", dict(weight_decay=0.1, decoupled_weight_decay=True)),
    ("Adam", dict(betas=(0.0, 0.0), eps=0.1)),
    ("AdamW", {}),
    ("AdamW", dict(weight_decay=0.3, amsgrad=True)),
    ("AdamW", dict(maximize=True)),
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
    theirs = inspect.signature(getattr(torch.optim, name)).parameters
    ours = inspect.signature(getattr(optim, name)).parameters
    left_out = {"foreach", "fused", "capturable", "differentiable", "params"}
    assert {k: v.default for k, v in ours.items() if k != "theta"} == {
        k: v.default for k, v in theirs.items() if k not in left_out
    }


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
    state = first.state_dict()
    assert all(isinstance(value, (int, np.ndarray)) for value in state.values())
    second = getattr(optim, name)(resumed, **options)
    second.load_state_dict({name: np.asarray(value) for name, value in state.items()})  # as a file may give it back
    for grad in grads[3:]:
        second.step(grad)
    assert np.array_equal(whole, resumed)


def test_a_state_is_a_copy():
    optimizer = optim.Adam(np.zeros(3))
    optimizer.step(np.ones(3))
    state = optimizer.state_dict()
    optimizer.step(np.ones(3))
    assert state["count"] == 1 and np.allclose(state["m"], 0.1)


def test_a_state_that_does_not_fit_is_refused_and_changes_nothing():
    optimizer = optim.Adam(np.zeros(3))
    good = optimizer.state_dict()
    for bad in ({}, good | {"m": np.ones(3), "v": np.ones(4)}, good | {"m": np.ones(3), "extra": 1}):
        with pytest.raises(ValueError, match="given|expected"):
            optimizer.load_state_dict(bad)
    assert (optimizer.m == 0).all()


@pytest.mark.parametrize("name, options", CASES, ids=str)
def test_a_step_of_a_float32_vector_is_that_of_float64_rounded(name, options):
    rng = np.random.default_rng(2)
    start, grads = rng.normal(size=50).astype(np.float32), rng.normal(size=(5, 50)).astype(np.float32)
    theta, wide = start.copy(), start.astype(np.float64)
    ours, exact = getattr(optim, name)(theta, **options), getattr(optim, name)(wide, **options)
    for grad in grads:
        ours.step(grad)
        exact.step(grad.astype(np.float64))
    assert np.abs(theta - wide).max() <= 1e-5 * np.abs(wide).max()
    assert all(value.dtype == np.float32 for value in ours.state_dict().values() if isinstance(value, np.ndarray))


def test_a_learning_rate_of_another_type_gives_the_same_bits():
    thetas = np.zeros((2, 5), np.float32)
    for theta, lr in zip(thetas, (0.1, np.float64(0.1))):
        optim.Adam(theta, lr=lr).step(np.linspace(-1, 1, 5, dtype=np.float32))
    assert np.array_equal(thetas[0], thetas[1]) and thetas.any()


def test_centered_rmsprop_stays_finite_when_the_gradient_is_constant():
    theta = np.zeros(1000, np.float32)  # s − m² is then 0 but for rounding, which may be negative
    optimizer, grad = optim.RMSprop(theta, centered=True), np.random.default_rng(0).normal(size=1000).astype(np.float32)
    for _ in range(2000):
        optimizer.step(grad)
    assert np.isfinite(theta).all()


def test_the_learning_rate_may_be_set_between_steps():
    theta = np.zeros(1)
    optimizer = optim.SGD(theta, lr=1.0)
    optimizer.step(np.ones(1))
    optimizer.lr = 0.5
    optimizer.step(np.ones(1))
    assert theta[0] == -1.5


@pytest.mark.parametrize(
    "make",
    [
        lambda t: optim.SGD(t, lr=-1),
        lambda t: optim.SGD(t, momentum=-1),
        lambda t: optim.SGD(t, nesterov=True),
        lambda t: optim.SGD(t, lr=float("nan")),
        lambda t: optim.SGD(t, momentum=0.9, dampening=0.1, nesterov=True),
        lambda t: optim.SGD(t, momentum=float("nan")),
        lambda t: optim.Adam(t, betas=(1.0, 0.9)),
        lambda t: optim.Adam(t, betas=(0.9,)),
        lambda t: optim.Adam(t, eps=-1),
        lambda t: optim.AdamW(t, weight_decay=-1),
        lambda t: optim.RMSprop(t, alpha=-1),
        lambda t: optim.Adagrad(t, lr_decay=-1),
    ],
)
def test_options_out_of_range_are_refused(make):
    with pytest.raises(ValueError, match="given|needs"):
        make(np.zeros(3))


def test_a_gradient_of_another_shape_or_dtype_is_refused():
    optimizer = optim.Adam(np.zeros(3))
    for grad in (np.zeros(4), np.zeros(3, np.float32), np.zeros((3, 1)), [0.0, 0.0, 0.0]):
        with pytest.raises(ValueError, match="theta"):
            optimizer.step(grad)


def test_a_theta_that_cannot_be_changed_in_place_as_a_flat_vector_is_refused():
    locked = np.zeros(3)
    locked.flags.writeable = False
    for theta in (np.zeros((3, 1)), np.zeros(6)[::2], np.zeros(3, int), np.zeros(3, complex), [0.0], locked):
        with pytest.raises(TypeError, match="theta.*given"):
            optim.Adam(theta)


@pytest.mark.parametrize("scale", [0.1, 0.3, 10.0, 0.0])
def test_clipping_is_torchs_and_gives_the_norm_before(scale):
    torch = pytest.importorskip("torch")
    grad = np.random.default_rng(0).normal(size=20) * scale
    parameter = torch.nn.Parameter(torch.zeros(20, dtype=torch.float64))
    parameter.grad = torch.tensor(grad)
    expected = torch.nn.utils.clip_grad_norm_([parameter], 1.0).item()
    assert np.isclose(optim.clip_by_global_norm(grad, 1.0), expected, rtol=1e-12)
    assert np.abs(grad - parameter.grad.numpy()).max() <= 1e-12


@pytest.mark.parametrize("dtype, huge", [(np.float32, 1e30), (np.float64, 1e200)])
def test_the_norm_of_huge_values_does_not_overflow(dtype, huge):
    grad = np.full(4, huge, dtype)
    assert np.isclose(optim.clip_by_global_norm(grad, 1.0), 2 * huge, rtol=1e-6)
    assert np.allclose(grad, 0.5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_norm_that_is_not_finite_is_returned_and_nothing_is_scaled(bad):
    grad = np.array([1.0, bad])
    assert not np.isfinite(optim.clip_by_global_norm(grad, 0.1))
    assert grad[0] == 1.0


def test_a_norm_that_overflows_itself_scales_nothing():
    grad = np.full(4, 1.7e308)
    assert optim.clip_by_global_norm(grad, 1.0) == np.inf and (grad == 1.7e308).all()


def test_clipping_refuses_what_it_cannot_do():
    for grad, max_norm in ((np.ones(3), 0.0), (np.ones(3), float("nan")), (np.ones((3, 1)), 1.0)):
        with pytest.raises(ValueError, match="given"):
            optim.clip_by_global_norm(grad, max_norm)


def rosenbrock(theta):
    a, b = theta.astype(np.float64)
    grad = np.array([-400 * a * (b - a * a) - 2 * (1 - a), 200 * (b - a * a)])
    return 100 * (b - a * a) ** 2 + (1 - a) ** 2, grad.astype(theta.dtype)


@pytest.mark.parametrize("dtype, near", [(np.float64, 1e-4), (np.float32, 1e-2)])
def test_lbfgs_finds_the_minimum_and_leaves_it_in_theta(dtype, near):
    theta, seen = np.array([-1.2, 1.0], dtype), []
    result = optim.lbfgs(rosenbrock, theta, callback=lambda iteration, loss: seen.append((iteration, loss, *theta)))
    assert np.allclose(theta, 1, atol=near)
    assert result.loss == rosenbrock(theta)[0] == seen[-1][1]
    assert result.iterations == len(seen) == seen[-1][0] <= result.evaluations
    assert all(rosenbrock(np.array(point, dtype))[0] == loss for _, loss, *point in seen)


def test_lbfgs_takes_scipys_steps():
    from scipy.optimize import minimize

    theta = np.array([-1.2, 1.0])
    result = optim.lbfgs(rosenbrock, theta, max_iterations=7, history_size=3)
    expected = minimize(rosenbrock, [-1.2, 1.0], jac=True, method="L-BFGS-B", options=dict(maxiter=7, maxcor=3))
    assert np.array_equal(theta, expected.x) and result.loss == expected.fun
    assert result.iterations == 7 and not result.converged
    assert optim.lbfgs(rosenbrock, theta).converged


def test_lbfgs_stops_when_the_callback_says_so():
    theta = np.array([-1.2, 1.0])
    result = optim.lbfgs(rosenbrock, theta, callback=lambda iteration, loss: iteration == 3)
    assert result.iterations == 3 and not result.converged and "callback" in result.message
    assert result.loss == rosenbrock(theta)[0]


def interrupted_at(call, what):
    calls = []

    def loss_and_grad(theta):
        calls.append(1)
        return what(theta) if len(calls) == call else rosenbrock(theta)

    return loss_and_grad


def test_lbfgs_leaves_the_last_iterate_when_it_is_interrupted_or_the_loss_is_not_finite():
    def interrupt(theta):
        raise KeyboardInterrupt

    ends, iterates = [], []
    for what in (interrupt, lambda theta: (np.nan, theta), lambda theta: (1.0, theta * np.inf)):
        theta, seen = np.array([-1.2, 1.0]), []
        try:
            result = optim.lbfgs(interrupted_at(9, what), theta, callback=lambda i, loss: seen.append(theta.copy()))
            assert "finite" in result.message and not result.converged and result.loss == rosenbrock(theta)[0]
        except KeyboardInterrupt:
            pass
        ends.append(theta)
        iterates.append(seen[-1])
    assert np.array_equal(ends, iterates)


def test_lbfgs_says_when_it_cannot_start():
    with pytest.raises(ValueError, match="not finite at the start"):
        optim.lbfgs(lambda theta: (np.nan, theta), np.ones(2))
    with pytest.raises(ValueError, match="max_iterations"):
        optim.lbfgs(rosenbrock, np.ones(2), max_iterations=0)
    for theta in (np.ones(2, int), np.ones((2, 1)), np.ones(2, complex), [1.0, 1.0]):
        with pytest.raises(TypeError, match="theta must be a flat NumPy vector of floats"):
            optim.lbfgs(rosenbrock, theta)


def test_the_commands_names_are_the_classes():
    assert all(rule.__name__.lower() == name for name, rule in optim.OPTIMIZERS.items())
    assert set(optim.OPTIMIZERS) == {"sgd", "rmsprop", "adagrad", "adam", "adamw"}


def test_a_norm_just_above_the_bound_is_clipped_and_one_just_below_is_not():
    for norm, clipped in (1 + 1e-5, True), (1 + 1e-7, True), (1 - 1e-5, False):
        grad = np.array([norm])
        assert optim.clip_by_global_norm(grad, 1.0) == norm
        assert (grad[0] != norm) == clipped and abs(grad[0] - min(norm, 1)) < 2e-6


@pytest.mark.parametrize(
    "make",
    [
        lambda theta: optim.SGD(theta, lr=0.0, weight_decay=0.0, momentum=0.0, dampening=0.0),
        lambda theta: optim.Adam(theta, betas=(0.0, 0.0), eps=0.0),
        lambda theta: optim.RMSprop(theta, alpha=0.0, momentum=0.0),
        lambda theta: optim.Adagrad(theta, lr_decay=0.0, initial_accumulator_value=0.0),
    ],
)
def test_what_is_at_the_end_of_its_range_is_taken(make):
    optimizer = make(np.ones(3))
    optimizer.step(np.ones(3))
    assert np.isfinite(optimizer.theta).all()


@pytest.mark.parametrize("bad, norm", [(np.inf, np.inf), (-np.inf, np.inf), (np.nan, np.nan)])
def test_the_norm_of_a_gradient_that_is_not_finite_says_how(bad, norm):
    grad = np.array([1.0, bad, 2.0])
    np.testing.assert_equal(optim.clip_by_global_norm(grad, 1.0), norm)
    assert grad[0] == 1
