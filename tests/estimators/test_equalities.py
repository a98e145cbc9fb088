"""What must give the same: forms of X, weights and repeated rows, batches and single sequences, pieces and the whole."""

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sequence_sets import names, numbers, sequences
from sklearn.base import clone

from npseq.estimators import SequenceClassifier, SequenceRegressor
from npseq.training.config import DEFAULTS, TrainingConfig

# scikit-learn takes more than a second to import, in each process of the quick part.
pytestmark = pytest.mark.wide

SMALL = {"hidden_size": 5, "epochs": 3, "random_state": 0}
EXACT = {**SMALL, "batch_size": 1000, "dtype": "float64"}  # one batch of all sequences
BOTH = [(SequenceClassifier, names), (SequenceRegressor, numbers)]
both = pytest.mark.parametrize("estimator, truth", BOTH, ids=["classifier", "regressor"])


def answers(estimator, X):
    return estimator.predict_proba(X) if hasattr(estimator, "predict_proba") else estimator.predict(X)


@both
def test_the_parameters_are_the_settings_of_the_command_or_scikit_learns(estimator, truth):
    settings, given = vars(TrainingConfig()), estimator().get_params()
    changed = {"model": "optimized_lstm", "lr": 0.01, "epochs": 30, "schedule": "constant", "batch_size": 16}
    assert (given["validation_fraction"], given["n_iter_no_change"]) == (0.1, 10)
    if estimator is SequenceClassifier:
        changed |= {**DEFAULTS["classify"], "model": "optimized_gru", "epochs": None, "schedule": "auto"}
    own = {"patch", "random_state", "early_stopping", "validation_fraction", "n_iter_no_change", "class_weight"}
    assert set(settings) - set(given) <= {"seed", "threads", "patience", "loss"} and set(given) - set(settings) <= own
    assert {name: value for name, value in given.items() if name not in own | {"loss"}} == {
        name: changed.get(name, settings[name]) for name in given if name not in own | {"loss"}
    }


@both
def test_a_list_of_sequences_is_the_array(estimator, truth):
    X = sequences(20, shortest=6, longest=6)
    y = truth(X)
    by_list, by_array = (estimator(**SMALL).fit(one, y) for one in (X, np.stack(X)))
    assert by_list.n_features_in_ == by_array.n_features_in_ == 2
    assert np.array_equal(by_list.model_.theta, by_array.model_.theta)
    assert np.array_equal(answers(by_list, np.stack(X)), answers(by_array, X))


@both
def test_a_row_is_a_sequence_of_one_feature(estimator, truth):
    X = sequences(20, shortest=6, longest=6)
    y, rows = truth(X), np.stack(X)[:, :, 0]
    by_rows = estimator(**SMALL).fit(rows, y)
    assert by_rows.n_features_in_ == 6
    for form in rows[:, :, None], list(rows), list(rows[:, :, None]):
        other = estimator(**SMALL).fit(form, y)
        assert other.n_features_in_ == 1
        assert np.array_equal(other.model_.theta, by_rows.model_.theta)
        assert np.array_equal(answers(by_rows, form), answers(other, rows))
    assert len(answers(by_rows, [rows[0], rows[1, :3]])) == 2  # other lengths as a list


def test_forms_that_a_data_frame_may_have():
    pandas = pytest.importorskip("pandas")
    X = sequences(20)
    y = names(X)
    expected = SequenceClassifier(**SMALL).fit(X, y).predict_proba(X)
    frames = [pandas.DataFrame(one) for one in X]
    column = pandas.Series(X)
    lists = [one.tolist() for one in X]
    objects = np.empty(len(X), object)
    objects[:] = X
    for form in frames, column, lists, objects, tuple(X):
        assert np.array_equal(SequenceClassifier(**SMALL).fit(form, pandas.Series(y)).predict_proba(form), expected)
    rows = pandas.DataFrame(np.stack(sequences(20, shortest=4, longest=4))[:, :, 0], columns=list("abcd"))
    fitted = SequenceClassifier(**SMALL).fit(rows, y)
    assert list(fitted.feature_names_in_) == list("abcd")
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(rows[list("dcba")])
    assert not hasattr(fitted.fit(X, y), "feature_names_in_")


@both
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("model", ["optimized_lstm", "gru"])
def test_a_batch_of_different_lengths_gives_what_its_sequences_give(estimator, truth, model, bidirectional):
    X = sequences(30, shortest=1, longest=15)
    fitted = estimator(model, bidirectional=bidirectional, **SMALL).fit(X, truth(X))
    together = answers(fitted, X)
    alone = np.concatenate([answers(fitted, [one]) for one in X])
    np.testing.assert_allclose(together, alone, rtol=1e-12)
    order = np.random.default_rng(1).permutation(len(X))
    np.testing.assert_allclose(answers(fitted, [X[s] for s in order]), together[order], rtol=1e-12)


@both
def test_a_weight_of_two_is_a_row_that_is_there_twice_and_a_weight_of_zero_one_that_is_not(estimator, truth):
    X = sequences(24)
    y, weights = truth(X), np.arange(24) % 5 % 3  # of another sum in each class
    repeated = np.repeat(np.arange(24), weights)
    for more in {}, {"optimizer": "lbfgs"}, {"class_weight": "balanced"}:
        if "class_weight" in more and estimator is SequenceRegressor:
            continue
        weighted = estimator(**EXACT, **more).fit(X, y, weights)
        twice = estimator(**EXACT, **more).fit([X[s] for s in repeated], y[repeated])
        np.testing.assert_allclose(answers(weighted, X), answers(twice, X), rtol=1e-8)
        assert not np.allclose(answers(weighted, X), answers(estimator(**EXACT, **more).fit(X, y), X), rtol=1e-4)


@both
def test_only_the_ratios_of_the_weights_count_and_equal_ones_change_nothing(estimator, truth):
    X = sequences(24)
    y, weights = truth(X), np.random.default_rng(2).uniform(0.5, 2, 24)
    first, second = (estimator(**SMALL).fit(X, y, w) for w in (weights, 8 * weights))
    assert np.array_equal(first.model_.theta, second.model_.theta)
    plain = estimator(**EXACT).fit(X, y)
    for equal in np.full(24, 3.0), 3:
        np.testing.assert_allclose(answers(estimator(**EXACT).fit(X, y, equal), X), answers(plain, X), rtol=1e-10)


def test_balanced_classes_are_the_explicit_weights():
    X = sequences(24)
    y = np.where(names(X) == "zero", "zero", "other")
    counts = {name: np.count_nonzero(y == name) for name in ("zero", "other")}
    explicit = {name: 24 / (2 * count) for name, count in counts.items()}
    balanced = SequenceClassifier(**SMALL, class_weight="balanced").fit(X, y)
    for other in (
        SequenceClassifier(**SMALL, class_weight=explicit).fit(X, y),
        SequenceClassifier(**SMALL).fit(X, y, [explicit[name] for name in y]),
    ):
        assert np.array_equal(balanced.model_.theta, other.model_.theta)
    assert not np.array_equal(balanced.model_.theta, SequenceClassifier(**SMALL).fit(X, y).model_.theta)


@both
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_partial_fit_twice_is_two_epochs_also_from_a_pickle(estimator, truth, optimizer):
    X = sequences(40)
    y = truth(X)
    more = {"classes": np.unique(y)} if estimator is SequenceClassifier else {}
    whole = estimator(**{**SMALL, "epochs": 2}, optimizer=optimizer, recurrent_dropout=0.2).fit(X, y)
    pieces = clone(whole).partial_fit(X, y, **more)
    assert pieces.n_iter_ == 1
    pieces = pickle.loads(pickle.dumps(pieces)).partial_fit(X, y)
    assert whole.best_epoch_ == 2  # the weights that both have kept
    assert np.array_equal(pieces.model_.theta, whole.model_.theta)
    assert pieces.history_ == whole.history_ and pieces.n_iter_ == 2


@both
def test_partial_fit_continues_after_fit(estimator, truth):
    X = sequences(40)
    y = truth(X)
    long = estimator(**{**SMALL, "epochs": 4}).fit(X, y)
    short = estimator(**SMALL).fit(X, y).partial_fit(X, y)
    assert long.best_epoch_ == 4 and np.array_equal(long.model_.theta, short.model_.theta)


@both
def test_a_random_state_gives_the_same_bits_and_another_one_others(estimator, truth):
    X = sequences(30)
    y = truth(X)
    one, same, other = (
        estimator(hidden_size=5, epochs=2, recurrent_dropout=0.1, early_stopping=True, random_state=state).fit(X, y)
        for state in (0, 0, 1)
    )
    assert np.array_equal(one.model_.theta, same.model_.theta) and one.history_ == same.history_
    assert not np.array_equal(one.model_.theta, other.model_.theta)
    state = np.random.RandomState(0)
    assert np.array_equal(estimator(**SMALL).fit(X, y).model_.theta, clone(estimator(**SMALL)).fit(X, y).model_.theta)
    first, second = (estimator(**{**SMALL, "random_state": state}).fit(X, y) for _ in range(2))
    assert not np.array_equal(first.model_.theta, second.model_.theta)  # a RandomState moves on


@both
def test_fit_changes_neither_its_data_nor_its_parameters(estimator, truth):
    X = sequences(20, shortest=6, longest=6)
    y, before, weights = truth(X), [one.copy() for one in X], np.ones(20)
    fitted = estimator(**SMALL)
    parameters = dict(fitted.get_params())
    fitted.fit(np.stack(X), y, weights).fit(X, y)
    assert fitted.get_params() == parameters and (weights == 1).all()
    assert all(np.array_equal(one, old) for one, old in zip(X, before))
    assert clone(fitted).get_params() == parameters and not hasattr(clone(fitted), "model_")


@both
def test_a_model_that_is_mapped_from_a_file_predicts(tmp_path, estimator, truth):
    joblib = pytest.importorskip("joblib")
    X = sequences(20)
    fitted = estimator(**SMALL).fit(X, truth(X))
    joblib.dump(fitted, tmp_path / "fitted.joblib")
    for mode in None, "r":
        again = joblib.load(tmp_path / "fitted.joblib", mmap_mode=mode)
        assert np.array_equal(answers(again, X), answers(fitted, X))
        assert np.array_equal(again.partial_fit(X, truth(X)).model_.theta, clone_partial(fitted, X, truth(X)))


def clone_partial(fitted, X, y):
    """The parameters after one more pass, of a copy."""
    return pickle.loads(pickle.dumps(fitted)).partial_fit(X, y).model_.theta


def test_the_model_is_npseqs_own_and_its_file_gives_the_same_outputs(tmp_path):
    import npseq

    X = sequences(20, shortest=6, longest=6)
    fitted = SequenceRegressor(**SMALL).fit(X, numbers(X))
    npseq.save(tmp_path / "own.pth", fitted.model_)
    y = npseq.load(tmp_path / "own.pth").predict(np.stack(X))[:, 0]
    np.testing.assert_allclose(y, fitted.predict(X), rtol=1e-5)  # float32 beside float64
