"""Rows after the data, in every form the data may have."""

import numpy as np
import pytest

import npseq
from npseq.data import load
from npseq.data.errors import DataError
from npseq.forecast.rows import followed, kept, with_known_ahead

HOURS = np.datetime64("2024-01-01T00") + np.arange(6)


def known(data, future, names=("p",), others=("y",)):
    return with_known_ahead(kept(data), future, load(data), names, others)


def test_arrays():
    assert followed(kept([1.0, 2.0]), [3]).tolist() == [1, 2, 3]
    assert followed(kept(np.ones((2, 2))), [[3, 4]])[-1].tolist() == [3, 4]
    for rows in (3.0, "abc", [[1.0]], [1, "x"]):
        with pytest.raises(DataError):
            followed(kept([1.0, 2.0]), rows)
    masked = np.ma.masked_array([1.0, 99.0], mask=[False, True])
    assert np.isnan(followed(kept(masked), [3.0])[1])
    records = np.array([(1.0, 2.0)], dtype=[("y", float), ("p", float)])
    assert followed(kept(records), records)["p"].tolist() == [2, 2]


def test_dicts():
    data = {"at": HOURS[:4], "y": np.arange(4.0), "p": np.ones(4)}
    rows = followed(kept(data), {"at": HOURS[4:], "y": [4.0, 5.0]}, ["y"])
    assert (rows["at"] == HOURS).all() and np.isnan(rows["p"][4:]).all()
    for wrong, words in [
        ({"y": [4.0]}, "no column 'at'"),
        ({"at": HOURS[4:], "p": [1.0, 1.0]}, "no column 'y'"),
        ({"at": HOURS[4:], "y": [4.0]}, "different lengths: at 2, y 1"),
        ({"q": [4.0]}, "no column 'q'"),
        ([4.0], "a dict of at, y, p"),
    ]:
        with pytest.raises(DataError, match=words):
            followed(kept(data), wrong, ["y"])


def test_values_known_ahead():
    data = {"at": HOURS[:4], "y": np.arange(4.0), "p": np.ones(4)}
    for future in ([2.0, 3.0], {"p": [2.0, 3.0]}, {"at": HOURS[4:], "p": [2, 3], "y": [9, 9], "other": [0, 0]}):
        found = known(data, future)
        assert (found["at"] == HOURS).all() and found["p"][4:].tolist() == [2, 3] and np.isnan(found["y"][4:]).all()
    array = np.ones((4, 3))
    two = known(array, [[2, 3]], ("c1", "c2"), ("c0",))
    assert known(array, [[2.0], [3.0]], ("c2",), ("c0",))[4:, 2].tolist() == [2, 3]
    assert two[-1, 1:].tolist() == [2, 3] and np.isnan(two[-1, 0])
    for wrong in (np.ones((2, 1)), np.ones(4), "abc", [], {}, {"c1": [1.0]}, {"c1": [1.0, 2.0], "c2": [1.0]}):
        with pytest.raises(DataError):
            known(array, wrong, ("c1", "c2"), ("c0",))


def test_frames():
    pd = pytest.importorskip("pandas")
    hours = pd.date_range("2024-01-01", periods=6, freq="h", tz="Europe/Oslo", name="at")
    frame = pd.DataFrame({"y": np.arange(6.0), "p": np.ones(6)}, index=hours)
    start, rows = frame.iloc[:4], frame.iloc[4:]
    assert followed(start, rows).equals(frame)
    assert followed(start, rows.tz_convert("UTC").rename_axis(None)).index.equals(hours)
    assert followed(start, rows).index.name == "at"
    assert followed(kept(start["y"]), rows["y"].rename(None))["y"].tolist() == frame["y"].tolist()
    numbered = frame.reset_index(drop=True)
    assert followed(numbered.iloc[2:4], numbered.iloc[4:]).index.equals(pd.RangeIndex(2, 6))
    integers = pd.DataFrame(np.ones((4, 2)))
    assert followed(integers, integers.set_axis(["0", "1"], axis=1)).columns.tolist() == [0, 1]
    for wrong, words in [
        (rows.tz_localize(None), "index of datetime64"),
        (rows.reset_index(drop=True), "index of int64"),
        (rows[["p"]], "no column 'y'"),
        (rows.assign(q=1), "no column 'q'"),
        (frame.iloc[4], "no column '2024-01-01 04"),
        ([1.0], "rows of list given; a DataFrame"),
        (rows.assign(y=["1.5", "2"]), "'y' holds text; float64 expected, as in the data"),
        (rows.assign(y=pd.Series(["1.5", "2"], rows.index, dtype="category")), "'y' holds text"),
        (rows.assign(p=[1j, 2j]), "'p' holds complex128"),
        (rows.assign(y=hours[:2]), "'y' holds datetime64"),
    ]:
        with pytest.raises(DataError, match=words):
            followed(start, wrong, ["y"])
    assert followed(start, rows.assign(y=np.array([1, None], object)))["y"].iloc[4] == 1
    ahead = known(start, rows.assign(q=1))  # the rows to compare with, given whole
    assert ahead["p"].iloc[4:].tolist() == [1, 1] and ahead["y"].iloc[4:].isna().all()


@pytest.mark.wide
def test_forecasts_of_a_column_with_a_number_for_its_name():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)))
    forecaster = npseq.Forecaster("rnn", epochs=1, hidden_size=3).fit(frame, target=1)
    assert forecaster.predict().columns.tolist() == ["1"]
    assert forecaster.notes[-1] == "no times: the index counts rows, and so does that of the forecasts"
    assert forecaster.predict(2).index.equals(pd.RangeIndex(60, 62)) and forecaster.notes[-1] in repr(forecaster)
    both = npseq.Forecaster("rnn", epochs=1, hidden_size=3).fit(frame, target=frame.columns)
    assert both.predict().columns.tolist() == ["0", "1"]
