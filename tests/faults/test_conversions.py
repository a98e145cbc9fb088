"""What is no array of real numbers is refused and never converted in silence, wherever users give arrays."""

import numpy as np
import pytest

import npseq
from npseq import losses
from npseq.forecast import rows
from npseq.tasks.arrays import Arrays

X = np.random.default_rng(0).normal(size=(6, 4, 1)).astype(np.float32)
GIVEN = {
    "complex": X + 1j,
    "text": X.astype(str),
    "times": X.astype("M8[D]"),
    "objects": X.astype(object),
    "mask": np.ma.array(X, mask=X > 0),
    "list": [np.ma.array(x, mask=x > 0) for x in X],
}
HUGE = 10**400
MODEL = npseq.Model("rnn", 1, 2, rng=0)
LINEAR = npseq.Linear(1, 2)


@pytest.mark.parametrize("kind", GIVEN)
@pytest.mark.parametrize(
    "use",
    [
        MODEL.predict,
        MODEL.forward,
        MODEL.rnn,
        LINEAR.forward,
        lambda x: MODEL.rnn(X.swapaxes(0, 1)[:, :4], state=x),
        lambda x: MODEL.stream().step(x[0][0]),
        lambda x: losses.mse(X, x),
        lambda x: losses.huber(X, X, weights=x),
        lambda x: losses.mae(X, x),
        lambda x: losses.cross_entropy(X, x),
        lambda x: setattr(MODEL, "theta", np.resize(x, MODEL.theta.size) if kind_of(x) in "cUMO" else x[0]),
        lambda x: npseq.Embedding(5, 3).forward(x),
        lambda x: npseq.optim.SGD(np.zeros(6, np.float32)).step(x[0] if x is GIVEN["list"] else x[:, 0, 0]),
        lambda x: npseq.optim.clip_by_global_norm(x[0] if x is GIVEN["list"] else x[:, 0, 0], 1.0),
        lambda x: Arrays(x, np.zeros(6)),
        lambda x: Arrays((X, x), np.zeros(6)),
        lambda x: Arrays(X, x),
        lambda x: Arrays(X, X, weights=x),
        lambda x: rows.followed(X[0] + 0.0, x[0]) if not np.ma.isMaskedArray(x[0]) else losses.mse(x[0], X[0]),
        lambda x: rows.followed({"y": X[0, :, 0]}, {"y": x[0][:, 0]} if kind_of(x) in "cUM" else None),
    ],
)
def test_what_is_no_array_of_real_numbers_is_refused(use, kind):
    with pytest.raises((TypeError, ValueError)) as error:
        use(GIVEN[kind])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("column", [X + 1j, "abc", None, {1, 2}, [[1, 2], [3]], X.astype(str)])
def test_columns_that_make_no_table_are_refused(column):
    pytest.importorskip("pandas")
    with pytest.raises(npseq.data.DataError) as error:
        npseq.data.load({"a": column})
    assert "\n" not in str(error.value)


def kind_of(x):
    return np.asarray(x).dtype.kind


@pytest.mark.parametrize("wrong", ["None", *list(GIVEN)])
def test_estimators_refuse_them_too(wrong):
    pytest.importorskip("sklearn")
    from npseq.estimators import SequenceRegressor

    y = X[:, 0, 0].astype(float)
    given = (
        [None, *y[1:]] if wrong == "None" else GIVEN[wrong][:, 0, 0] if wrong != "list" else [*GIVEN["mask"][:, 0, 0]]
    )
    model = SequenceRegressor(epochs=1, hidden_size=2)
    if wrong != "objects":  # scikit-learn takes objects that are numbers
        with pytest.raises(ValueError):
            model.fit(X, given)
        with pytest.raises(ValueError):
            model.fit([None] * 6 if wrong == "None" else GIVEN[wrong], y)


def test_a_mask_is_a_missing_value_where_values_may_be_missing():
    data = np.ma.array([1.0, 99.0], mask=[False, True])
    assert np.isnan(rows.followed(np.zeros(3), data)[4])
    assert np.isnan(rows.followed({"y": np.zeros(3)}, rows.kept({"y": data}))["y"][4])


def test_a_complex_step_may_have_a_complex_target():
    assert losses.mse(X + 0j, X)[0] == 0 and losses.mse(X + 0j, X + 1j)[0] == -1


@pytest.mark.parametrize("given", [[[1.0, HUGE]], [[[1.0]], [[HUGE]]], {"X": [[1, HUGE]], "y": ["a"]}])
def test_a_whole_number_too_large_for_a_float_is_named(given):
    with pytest.raises(ValueError, match="float64|too large"):
        npseq.data.load_sequences(given)
