"""Losses: torch's values and gradients, safe at extreme logits, and exact under the complex step."""

import numpy as np
import pytest

from npseq.losses import LOSSES, cross_entropy, huber, mae, mse

RNG = np.random.default_rng(0)
Y, TARGET = RNG.normal(size=(4, 3)) * 3, RNG.normal(size=(4, 3))
LOGITS, LABELS = RNG.normal(size=(2, 4, 5)) * 3, np.array([[0, 4, -100, 2], [1, 1, 3, -100]])
WEIGHTS, LABEL_WEIGHTS = RNG.uniform(0, 3, size=(4, 3)), RNG.uniform(0, 3, size=(2, 4))
WEIGHTS[1, 2] = LABEL_WEIGHTS[0, 1] = 0
CASES = {
    "mse": lambda y: mse(y, TARGET),
    "mae": lambda y: mae(y, TARGET),
    "huber": lambda y: huber(y, TARGET),
    "huber, delta 0.3": lambda y: huber(y, TARGET, delta=0.3),
    "cross entropy": lambda y: cross_entropy(y, LABELS),
    "cross entropy, smoothed": lambda y: cross_entropy(y, LABELS, label_smoothing=0.1),
    "cross entropy, nothing ignored": lambda y: cross_entropy(y, np.abs(LABELS) % 5),
}
WEIGHTED = {
    "mse": lambda y: mse(y, TARGET, weights=WEIGHTS),
    "mae": lambda y: mae(y, TARGET, weights=WEIGHTS),
    "huber": lambda y: huber(y, TARGET, delta=0.7, weights=WEIGHTS),
    "cross entropy": lambda y: cross_entropy(y, LABELS, label_smoothing=0.1, weights=LABEL_WEIGHTS),
}


def argument(name):
    return LOGITS if "cross" in name else Y


@pytest.mark.parametrize("name", [*CASES, *(f"{name}, weighted" for name in WEIGHTED)])
def test_the_gradient_agrees_with_the_complex_step(name):
    loss_of = CASES[name] if name in CASES else WEIGHTED[name.removesuffix(", weighted")]
    y, h = argument(name), 1e-30
    _, dy = loss_of(y)
    expected = np.empty_like(y)
    for k in np.ndindex(y.shape):
        step = y.astype(complex)
        step[k] += 1j * h
        expected[k] = loss_of(step)[0].imag / h
    assert np.abs(dy - expected).max() <= 1e-13 * np.abs(expected).max()


def test_a_weighted_loss_is_the_mean_of_the_terms_times_their_weights():
    terms = {
        "mse": np.vectorize(lambda y, target: mse(np.array([y]), np.array([target]))[0])(Y, TARGET),
        "mae": np.abs(Y - TARGET),
        "huber": np.vectorize(lambda y, target: huber(np.array([y]), np.array([target]), 0.7)[0])(Y, TARGET),
    }
    for name, each in terms.items():
        assert WEIGHTED[name](Y)[0] == pytest.approx((WEIGHTS * each).mean(), rel=1e-13)
    each = [cross_entropy(LOGITS[k], LABELS[k], label_smoothing=0.1)[0] for k in np.ndindex(LABELS.shape)]
    total = (LABEL_WEIGHTS.ravel() * each).sum() / (LABELS != -100).sum()
    assert WEIGHTED["cross entropy"](LOGITS)[0] == pytest.approx(total, rel=1e-13)


@pytest.mark.parametrize("name", WEIGHTED)
def test_weights_of_one_change_nothing_and_weights_of_another_shape_are_refused(name):
    loss_of, target = {"mse": mse, "mae": mae, "huber": huber}.get(name, cross_entropy), TARGET
    if name == "cross entropy":
        target = LABELS
    plain, weighted = loss_of(argument(name), target), loss_of(argument(name), target, weights=np.ones(target.shape))
    assert plain[0] == weighted[0] and np.array_equal(plain[1], weighted[1])
    assert loss_of(argument(name).astype(np.float32), target, weights=np.ones(target.shape))[1].dtype == np.float32
    with pytest.raises(ValueError, match="the weights have the shape"):
        loss_of(argument(name), target, weights=np.ones(target.shape[:1]))


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_are_torchs(name):
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    target, labels = torch.tensor(TARGET), torch.tensor(LABELS).reshape(-1)
    reference = {
        "mse": lambda y: F.mse_loss(y, target),
        "mae": lambda y: F.l1_loss(y, target),
        "huber": lambda y: F.huber_loss(y, target),
        "huber, delta 0.3": lambda y: F.huber_loss(y, target, delta=0.3),
        "cross entropy": lambda y: F.cross_entropy(y.reshape(-1, 5), labels),
        "cross entropy, smoothed": lambda y: F.cross_entropy(y.reshape(-1, 5), labels, label_smoothing=0.1),
        "cross entropy, nothing ignored": lambda y: F.cross_entropy(y.reshape(-1, 5), labels.abs() % 5),
    }[name]
    y = torch.tensor(argument(name), requires_grad=True)
    expected = reference(y)
    expected.backward()
    loss, dy = CASES[name](argument(name))
    assert abs(loss - expected.item()) <= 1e-12 * abs(expected.item())
    assert np.abs(dy - y.grad.numpy()).max() <= 1e-12 * np.abs(y.grad.numpy()).max()


@pytest.mark.parametrize("extreme", [1e4, -1e4])
def test_extreme_logits_are_safe(extreme):
    logits = np.array([[extreme, 0.0, 1.0]])
    loss, dlogits = cross_entropy(logits, np.array([0]))
    assert np.isfinite(loss) and np.isfinite(dlogits).all()
    assert np.isclose(loss, 0.0 if extreme > 0 else 1e4 + np.log(1 + np.e), rtol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_float32_stays_float32(name):
    loss, dy = CASES[name](argument(name).astype(np.float32))
    assert dy.dtype == np.float32 and np.asarray(loss).dtype == np.float32


@pytest.mark.parametrize("loss", [mse, mae, huber])
def test_errors_of_1e30_in_float32_overflow_only_where_the_loss_does(loss):
    with np.errstate(over="ignore"):
        value, dy = loss(np.float32([1e30, 0]), np.float32([0, 0]))
    assert np.isfinite(dy).all() and np.isfinite(value) == (loss is not mse)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_a_class_ruled_out_by_minus_infinity_gets_no_probability_and_no_gradient(dtype):
    logits = np.array([[0.5, -np.inf, 1.5], [2.0, 1.0, -np.inf]], dtype)
    loss, dlogits = cross_entropy(logits, np.array([2, 0]))
    assert np.isclose(loss.real, np.mean(np.log1p(np.exp([-1.0, -1.0]))))
    assert dlogits[0, 1] == dlogits[1, 2] == 0 and np.isfinite(dlogits).all()


def test_one_batch_axis_or_several_or_none_give_the_same():
    flat, dflat = cross_entropy(LOGITS.reshape(-1, 5), LABELS.reshape(-1))
    loss, dlogits = cross_entropy(LOGITS, LABELS)
    assert loss == flat and np.array_equal(dlogits.reshape(-1, 5), dflat)
    alone, dalone = cross_entropy(LOGITS[0, 0], LABELS[0, 0])
    row, drow = cross_entropy(LOGITS[0, :1], LABELS[0, :1])
    assert alone == row and np.array_equal(dalone, drow[0])


def test_another_ignore_index_may_be_one_of_the_classes():
    labels = np.where(LABELS == -100, 1, LABELS)
    loss, dlogits = cross_entropy(LOGITS, labels, ignore_index=1)
    expected, dexpected = cross_entropy(LOGITS, np.where(labels == 1, -100, labels))
    assert loss == expected and np.array_equal(dlogits, dexpected)


def test_all_labels_ignored_gives_zero():
    loss, dlogits = cross_entropy(LOGITS, np.full((2, 4), -100))
    assert loss == 0 and (dlogits == 0).all()


@pytest.mark.parametrize("loss", [mse, mae, huber])
def test_shapes_are_not_broadcast(loss):
    with pytest.raises(ValueError, match=r"\(4, 1\).*\(4,\)"):
        loss(np.zeros((4, 1)), np.zeros(4))
    with pytest.raises(ValueError, match="empty array"):
        loss(np.zeros((0, 1)), np.zeros((0, 1)))


@pytest.mark.parametrize("labels", [np.array([0, 3]), np.array([-1, 0]), np.array([0.0, 1.0]), np.array([[0, 1]])])
def test_labels_that_do_not_fit_are_refused(labels):
    with pytest.raises(ValueError, match="labels"):
        cross_entropy(np.zeros((2, 3)), labels)


@pytest.mark.parametrize("label_smoothing", [-0.1, 1.1, float("nan")])
def test_a_smoothing_outside_0_to_1_is_refused(label_smoothing):
    with pytest.raises(ValueError, match="label_smoothing.*given"):
        cross_entropy(LOGITS, LABELS, label_smoothing=label_smoothing)


@pytest.mark.parametrize("delta", [0, -1.0, float("nan")])
def test_a_delta_that_is_not_positive_is_refused(delta):
    with pytest.raises(ValueError, match="delta.*given"):
        huber(Y, TARGET, delta=delta)


def test_no_classes_and_no_labels_are_refused():
    for logits, labels in ((np.zeros((0, 3)), np.zeros(0, int)), (np.zeros((2, 0)), np.zeros(2, int))):
        with pytest.raises(ValueError, match="at least one"):
            cross_entropy(logits, labels)


@pytest.mark.parametrize(
    "call",
    [lambda: mse(np.array([1, 2]), np.array([1.5, 2.5])), lambda: cross_entropy(np.array([[1, 2]]), np.array([0]))],
)
def test_a_prediction_that_is_not_of_floats_is_refused(call):
    with pytest.raises(TypeError, match="floats.*int64"):
        call()


def test_the_arguments_are_not_written():
    for name in CASES:
        before = argument(name).copy()
        CASES[name](argument(name))
        assert np.array_equal(argument(name), before)


def test_every_loss_that_the_command_takes_is_tested_here():
    assert {name.split(",")[0].replace(" ", "_") for name in CASES} == set(LOSSES)


def test_a_negative_weight_counts_in_cross_entropy_too():
    logits, labels = np.random.default_rng(0).normal(size=(4, 3)), np.array([0, 2, 1, 1])
    loss, dy = cross_entropy(logits, labels, weights=np.ones(4))
    negative, d_negative = cross_entropy(logits, labels, weights=-np.ones(4))
    assert negative == -loss != 0 and np.array_equal(d_negative, -dy)
