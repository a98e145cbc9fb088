"""What is refused, in one line that names what was given and what was expected."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sequence_sets import names, numbers, sequences
from sklearn.exceptions import NotFittedError

from npseq.estimators import SequenceClassifier, SequenceRegressor
from npseq.training.fit import Diverged

# scikit-learn takes more than a second to import, in each process of the quick part.
pytestmark = pytest.mark.wide

ROOT = Path(__file__).parents[2]
SMALL = {"hidden_size": 3, "epochs": 1, "random_state": 0}
X = sequences(12, shortest=4, longest=4)
Y, NUMBERS, ARRAY = names(X), numbers(X), np.stack(X)
BAD = np.array([[0.0, 1.0], [np.nan, 2.0]])

DATA = {
    "three features and two": ([*X[:-1], np.ones((4, 3))], Y, "sequence 11 of X has 3 features and sequence 0 has 2"),
    "no step": ([*X[:-1], np.ones((0, 2))], Y, r"sequence 11 of X has the shape \(0, 2\); \(T, F\) expected"),
    "three axes": ([*X[:-1], np.ones((1, 2, 2))], Y, r"sequence 11 of X has the shape \(1, 2, 2\)"),
    "text": (
        [*X[:-1], np.array([["a", "b"]])],
        Y,
        "sequence 11 of X is not an array of real numbers: it must hold real numbers; <U1 given",
    ),
    "missing": ([*X[:-1], BAD], Y, "sequence 11 of X has nan at step 1, feature 0; finite numbers expected"),
    "infinite": (np.full((12, 4, 2), np.inf), Y, "contains infinity"),
    "no steps": (np.ones((12, 0, 2)), Y, r"X has the shape \(12, 0, 2\)"),
    "four axes": (np.ones((12, 2, 2, 2)), Y, r"X has the shape \(12, 2, 2, 2\); \(n, T, F\), .* expected"),
    "complex numbers": ([*X[:-1], np.ones((4, 2)) + 1j], Y, "sequence 11 of X is not an array of real numbers"),
    "text that reads as numbers": (np.full((12, 4, 2), "1"), Y, "X must hold real numbers; <U1 given"),
    "times": (np.zeros((12, 4), "M8[s]"), Y, "X must hold real numbers; datetime64"),
    "too large": ([*X[:-1], np.full((4, 2), 1e200)], Y, "X has a value of size 1e\\+200; at most 1e\\+140 expected"),
    "a number": (3.0, Y, "Expected 2D array, got scalar array instead"),
    "nothing": ([], Y, "Expected 2D array, got 1D array instead"),
    "too few classes": (X, ["a"] * 12, "y has one class, 'a'; at least two classes expected"),
    "too few y": (X, Y[:5], r"inconsistent numbers of samples: \[12, 5\]"),
    "numbers for classes": (X, NUMBERS, "Unknown label type: continuous"),
}


@pytest.mark.parametrize("given", DATA)
def test_data_that_do_not_fit(given):
    data, y, message = DATA[given]
    with pytest.raises(ValueError, match=message):
        SequenceClassifier(**SMALL).fit(data, y)


PARAMETERS = [
    ({"epochs": 0}, "epochs 0; a whole number from 1"),
    ({"hidden_size": 2.5}, "hidden_size 2.5; a whole number from 1"),
    ({"model": "transformer"}, "model 'transformer'; one of rnn, lstm, gru"),
    ({"optimizer": "newton"}, "optimizer 'newton'; one of sgd, .*lbfgs"),
    ({"schedule": "never"}, "schedule 'never'; one of auto, constant"),
    ({"lr": -1.0}, "lr -1.0; a finite number greater than 0"),
    ({"batch_size": 0}, "batch_size 0; a whole number from 1"),
    ({"clip": 0}, "clip 0; a finite number greater than 0"),
    ({"dropout": 1.0}, "dropout 1.0; a number from 0 up to, not including, 1"),
    ({"dropout": 0.5}, "^dropout 0.5 acts between layers: give num_layers 2 or more, or recurrent_dropout$"),
    ({"dtype": "float16"}, "dtype 'float16'; one of float32, float64"),
    ({"warmup": 5}, "warmup_steps .*0"),
    ({"optimizer": "lbfgs", "warmup": 5}, "^warmup does nothing with optimizer lbfgs: leave it out$"),
    ({"validation_fraction": 1.0}, "validation_fraction 1.0; a number between 0 and 1 expected"),
    ({"validation_fraction": None}, "validation_fraction None; a number between 0 and 1 expected"),
    ({"early_stopping": "no"}, "early_stopping 'no'; true or false expected"),
    ({"batch_size": None}, "batch_size None; a whole number from 1"),
    ({"early_stopping": True, "n_iter_no_change": 0}, "n_iter_no_change 0; a whole number from 1"),
    ({"model": "optimized_gru", "forget_bias": 1.0}, "forget_bias needs an LSTM"),
]


@pytest.mark.parametrize("given, message", PARAMETERS, ids=[str(given) for given, _ in PARAMETERS])
def test_parameters_that_are_not_valid(given, message):
    for estimator, y in (SequenceClassifier, Y), (SequenceRegressor, NUMBERS):
        with pytest.raises(ValueError, match=message) as raised:
            estimator(**{**SMALL, **given}).fit(X, y)
        assert "\n" not in str(raised.value)


def test_weights_that_are_not_valid():
    for weights, message in [
        (np.ones(5), r"sample_weight has the shape \(5,\); \(12,\) expected, one for each sequence"),
        (-np.ones(12), "sample_weight has negative weights; the smallest is -1.0"),
        (np.zeros(12), "sample_weight has only zeros; at least one positive weight expected"),
        (np.full(12, np.nan), "sample_weight contains NaN"),
        (np.full(12, "1"), "sample_weight must hold real numbers; <U1 given"),
    ]:
        with pytest.raises(ValueError, match=message):
            SequenceRegressor(**SMALL).fit(X, NUMBERS, weights)
    for weight in (-1, np.nan, np.inf):
        with pytest.raises(ValueError, match="class_weight is .*; finite numbers from 0 up expected"):
            SequenceClassifier(**SMALL, class_weight={"zero": weight}).fit(X, Y)
    nothing = dict.fromkeys(Y, 0)
    with pytest.raises(ValueError, match="class_weight leaves no sequence with a positive weight"):
        SequenceClassifier(**SMALL, class_weight=nothing).fit(X, Y)
    with pytest.raises(ValueError, match="unknown"):
        SequenceClassifier(**SMALL, class_weight="unknown").fit(X, Y)
    with pytest.raises(ValueError, match="loss 'cross_entropy'; one of mse, mae, huber"):
        SequenceRegressor(**SMALL, loss="cross_entropy").fit(X, NUMBERS)
    alone = np.eye(12)[0] + np.eye(12)[1]
    with pytest.raises(ValueError, match="two or more sequences to draw a validation part; 1, 1 given"):
        SequenceClassifier(**SMALL, early_stopping=True).fit(X, Y, alone)


def test_predicting_needs_a_fit_and_the_same_features():
    for estimator, y in (SequenceClassifier, Y), (SequenceRegressor, NUMBERS):
        with pytest.raises(NotFittedError):
            estimator().predict(X)
        fitted, by_rows = estimator(**SMALL).fit(X, y), estimator(**SMALL).fit(ARRAY[:, :, 0], y)
        name = estimator.__name__
        for one, given, message in [
            (fitted, np.ones((3, 4, 5)), f"X has 5 features, but {name} is expecting 2 features as input"),
            (
                fitted,
                np.ones((3, 4)),
                rf"X has the shape \(3, 4\), n sequences of 1 feature, but {name} is expecting 2",
            ),
            (by_rows, np.ones((3, 5)), f"X has 5 features, but {name} is expecting 4 features as input"),
            (by_rows, ARRAY, f"X has 2 features, but {name} is expecting 1 features as input"),
        ]:
            with pytest.raises(ValueError, match=message):
                one.predict(given)


@pytest.mark.parametrize(
    "given", [{"early_stopping": True}, {"schedule": "cosine"}, {"warmup": 2}, {"class_weight": "balanced"}]
)
def test_partial_fit_refuses_what_needs_the_whole_training(given):
    (name,) = given
    with pytest.raises(ValueError, match=f"^{name}=.* given; partial_fit"):
        SequenceClassifier(**SMALL, **given).partial_fit(X, Y, classes=np.unique(Y))


def test_partial_fit_refuses_another_optimizer():
    fitted = SequenceRegressor(**SMALL).partial_fit(X, NUMBERS)
    with pytest.raises(ValueError, match="^optimizer='sgd' given, which differs from the call before"):
        fitted.set_params(optimizer="sgd").partial_fit(X, NUMBERS)


def test_numbers_too_large_to_standardise():
    with pytest.raises(ValueError, match=r"y has a value of size 1e\+200; at most 1e\+140 expected"):
        SequenceRegressor(**SMALL).fit(X, [1e200, *NUMBERS[1:]])


def test_partial_fit_needs_the_classes_first_and_no_others_later():
    fitted = SequenceClassifier(**SMALL)
    with pytest.raises(
        ValueError, match="classes is missing; all classes .* expected at the first call of partial_fit"
    ):
        fitted.partial_fit(X, Y)
    fitted.partial_fit(X[:2], Y[:2], classes=["zero", "above", "below", "far"])
    assert list(fitted.classes_) == ["above", "below", "far", "zero"]
    before = fitted.model_.theta.copy()
    with pytest.raises(ValueError, match="classes is .*; .*far.* expected, as at the first call"):
        fitted.partial_fit(X, Y, classes=np.unique(Y))
    with pytest.raises(ValueError, match="y has the class 'near'; one of .* expected"):
        fitted.partial_fit(X, ["near"] * 12)
    with pytest.raises(ValueError, match="y has the class 0; one of .* expected"):
        fitted.partial_fit(X, np.arange(12))
    assert np.array_equal(fitted.model_.theta, before) and fitted.n_iter_ == 1
    assert not hasattr(SequenceClassifier(optimizer="lbfgs"), "partial_fit")
    assert not hasattr(SequenceRegressor(optimizer="lbfgs"), "partial_fit")


def test_a_training_that_diverges_leaves_no_model_and_a_pass_that_diverges_the_one_before():
    wild = SequenceRegressor("rnn", **{**SMALL, "epochs": 50}, optimizer="sgd", lr=1e30, clip=1e30)
    fitted = SequenceRegressor(**SMALL).fit(X, NUMBERS)
    for one in wild, fitted.set_params(**wild.get_params()):
        with pytest.raises(Diverged, match="no longer finite in epoch"):
            one.fit(X, NUMBERS)
        with pytest.raises(NotFittedError):
            one.predict(X)
    calm = SequenceRegressor(**SMALL).partial_fit(X, NUMBERS)
    before, answers = calm.model_.theta.copy(), calm.predict(X)
    with pytest.raises(Diverged):
        for _ in range(50):
            calm.set_params(lr=1e30, clip=1e30).partial_fit(X, NUMBERS)
            before, answers = calm.model_.theta.copy(), calm.predict(X)
    assert np.array_equal(calm.model_.theta, before) and np.array_equal(calm.predict(X), answers)


def test_ctrl_c_ends_a_fit_without_a_model_and_a_pass_with_the_one_before(monkeypatch):
    from npseq.nn.model import Model

    def interrupt(*_):
        raise KeyboardInterrupt

    fitted, passed = SequenceRegressor(**SMALL).fit(X, NUMBERS), SequenceRegressor(**SMALL).partial_fit(X, NUMBERS)
    answers = passed.predict(X)
    monkeypatch.setattr(Model, "loss_and_grad", interrupt)
    for train in fitted.fit, passed.partial_fit:
        with pytest.raises(KeyboardInterrupt):
            train(X, NUMBERS)
    with pytest.raises(NotFittedError):
        fitted.predict(X)
    assert np.array_equal(passed.predict(X), answers)


def test_without_scikit_learn_one_line_says_what_to_install():
    code = "import sys; sys.modules['sklearn'] = None; import npseq; print(npseq.LSTM); npseq.estimators"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "LSTM" in done.stdout
    last = done.stderr.splitlines()[-1]
    assert last == "ModuleNotFoundError: npseq.estimators needs scikit-learn: pip install scikit-learn"


def test_a_frame_with_a_sequence_in_each_cell():
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 9, 12)
    frame = pd.DataFrame({f"dim_{k}": [pd.Series(rng.normal(size=n)) for n in lengths] for k in range(2)})
    lists = [np.stack([frame.iat[row, k] for k in range(2)], 1) for row in range(12)]
    models = [SequenceClassifier(epochs=1, random_state=0).fit(X, [0, 1] * 6) for X in (frame, lists)]
    assert models[0].n_features_in_ == 2 and np.array_equal(
        models[0].predict_proba(frame), models[1].predict_proba(lists)
    )
    for bad, words in (
        (frame.assign(label="x"), "row 0 holds dim_0: .*label: .*a Series or an array in every cell"),
        (frame.assign(other=[np.zeros(2)] * 12), "of one length in a row, expected"),
    ):
        with pytest.raises(ValueError, match=words):
            SequenceClassifier(epochs=1).fit(bad, [0, 1] * 6)
