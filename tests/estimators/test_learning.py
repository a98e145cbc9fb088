"""Known truths are learned, in scikit-learn's pipelines and searches too; the validation part is not trained on."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sequence_sets import names, numbers, sequences
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from npseq.estimators import SequenceClassifier, SequenceRegressor

# scikit-learn takes more than a second to import, in each process of the quick part.
pytestmark = pytest.mark.wide

QUICK = {"hidden_size": 8, "random_state": 0}


@pytest.mark.parametrize("model", ["optimized_lstm", "optimized_gru"])
def test_the_first_of_many_steps_is_remembered(model):
    X, unseen = sequences(240), sequences(90, seed=1)
    fitted = SequenceClassifier(model, epochs=12, **QUICK).fit(X, names(X))
    assert list(fitted.classes_) == ["above", "below", "zero"]
    assert fitted.score(unseen, names(unseen)) > 0.9  # the most frequent class: 1/3
    of_class = fitted.predict_proba(unseen)
    assert (
        np.allclose(of_class.sum(axis=1), 1)
        and (fitted.classes_[of_class.argmax(axis=1)] == fitted.predict(unseen)).all()
    )


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"loss": "huber", "optimizer": "lbfgs"},
        {"bidirectional": True, "epochs": 15},
    ],
)
def test_the_number_of_a_sequence_is_learned(more):
    X, unseen = sequences(240), sequences(90, seed=1)
    fitted = SequenceRegressor(**{**QUICK, **more}).fit(X, numbers(X))
    assert fitted.score(unseen, numbers(unseen)) > 0.95  # R²; the mean: 0


def test_sequences_without_anything_to_learn_give_no_better_than_the_most_frequent_class():
    rng = np.random.default_rng(3)
    X, y = sequences(150), rng.permutation(np.repeat([0, 1], [50, 100]))
    unseen, truth = sequences(150, seed=1), rng.permutation(np.repeat([0, 1], [50, 100]))
    fitted = SequenceClassifier(**QUICK, early_stopping=True, n_iter_no_change=3).fit(X, y)
    assert fitted.score(unseen, truth) < 0.72


def test_the_weights_of_the_classes_move_the_answers_to_the_rare_class():
    rng = np.random.default_rng(4)
    y = np.repeat([0, 1], [180, 20])
    X = rng.normal(0, 1, (200, 5)) + y[:, None]
    plain, balanced = (SequenceClassifier(**QUICK, class_weight=w, epochs=5).fit(X, y) for w in (None, "balanced"))
    assert balanced.predict(X).mean() > 2 * max(plain.predict(X).mean(), 0.05)


def test_the_validation_part_is_drawn_by_class_and_not_trained_on():
    X = sequences(60)
    y = names(X)
    y[::5] = np.roll(y, 1)[::5]  # wrong ones, which can be learned by heart alone
    seen = []

    class Watched(SequenceClassifier):
        def _scaling(self, sequences, targets, rows, weights):
            seen.append((rows, targets))
            return super()._scaling(sequences, targets, rows, weights)

    options = {**QUICK, "epochs": 60, "lr": 0.05, "early_stopping": True}
    fitted = Watched(**options, validation_fraction=0.2, n_iter_no_change=2).fit(X, y)
    ((rows, targets),) = seen
    counts = np.bincount(targets)
    assert list(np.bincount(targets[rows])) == list(counts - np.round(0.2 * counts).astype(int))
    assert fitted.n_iter_ < 60 and fitted.n_iter_ == fitted.best_epoch_ + 2 == len(fitted.history_)
    best = min(fitted.history_, key=lambda row: row["validation_loss"])
    assert best["epoch"] == fitted.best_epoch_
    # what the validation part holds affects only when the training stops and which epoch is kept
    held = np.setdiff1d(np.arange(60), rows)
    changed = [one + 100 if number in held else one for number, one in enumerate(X)]
    other = Watched(**options, validation_fraction=0.2, n_iter_no_change=2).fit(changed, y)
    assert other.history_[0]["train_loss"] == fitted.history_[0]["train_loss"]
    assert other.history_[0]["validation_loss"] != fitted.history_[0]["validation_loss"]


def test_scalers_see_the_training_sequences_alone_and_answers_are_in_units():
    X = sequences(60)
    y = 1000 * numbers(X)
    fitted = SequenceRegressor(**QUICK, epochs=2).fit(X, y)
    np.testing.assert_allclose(fitted.model_.scaling.inputs.mean, np.concatenate(X).mean(axis=0))
    np.testing.assert_allclose(fitted.model_.scaling.outputs.mean, y.mean())
    assert 5000 < fitted.predict(X).mean() < 15000


def test_a_pipeline_and_cross_validation_take_rows_and_lists():
    X = sequences(90)
    y = names(X)
    rows = np.stack(sequences(90, shortest=5, longest=5))[:, :, 0]
    scores = cross_val_score(SequenceClassifier(**QUICK, epochs=30), X, y, cv=3)
    assert scores.min() > 0.7
    piped = make_pipeline(StandardScaler(), SequenceClassifier(**QUICK, epochs=30))
    assert cross_val_score(piped, rows, y, cv=3).min() > 0.7
    halves = make_pipeline(
        FunctionTransformer(lambda X: [one[:, :1] for one in X]), SequenceClassifier(**QUICK, epochs=30)
    )
    assert halves.fit(X, y).score(X, y) > 0.9
    assert cross_val_predict(SequenceRegressor(**QUICK, epochs=2), X, numbers(X), cv=3).shape == (90,)


def test_a_search_routes_weights_and_takes_numpys_numbers():
    X = sequences(45)
    y, weights = names(X), np.ones(45)
    search = GridSearchCV(SequenceClassifier(epochs=2, random_state=0), {"hidden_size": np.array([2, 4])}, cv=3)
    assert search.fit(X, y, sample_weight=weights).best_params_["hidden_size"] in (2, 4)


@pytest.mark.parametrize("backend", ["threading", "loky"])  # loky: processes
def test_a_search_in_two_threads_or_processes_gives_the_same_bits(backend):
    joblib = pytest.importorskip("joblib")
    X = sequences(60, shortest=6, longest=6)
    for data in X, np.stack(X):
        found = []
        for jobs in 1, 2:
            estimator = SequenceClassifier(epochs=4, random_state=0)
            grid, folds = {"hidden_size": [2, 4, 8]}, StratifiedKFold(3, shuffle=True, random_state=0)
            search = GridSearchCV(
                estimator, grid, cv=folds, n_jobs=jobs, scoring="neg_log_loss", return_train_score=True
            )
            with joblib.parallel_config(backend):
                found.append(search.fit(data, names(X)))
        one, two = found
        results = [name for name in one.cv_results_ if "time" not in name]
        assert len(results) > 10
        for name in results:
            assert np.array_equal(one.cv_results_[name], two.cv_results_[name]), name
        assert one.best_params_ == two.best_params_
        assert np.array_equal(one.best_estimator_.model_.theta, two.best_estimator_.model_.theta)
