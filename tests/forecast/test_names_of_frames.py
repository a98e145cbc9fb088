"""Names that a DataFrame has are those that it is asked for: blanks, two rows of names, names that are no text."""

import numpy as np
import pytest

import npseq

pd = pytest.importorskip("pandas")

HOURS = pd.date_range("2023-01-01", periods=90, freq="h")
LOAD = 50 + 10 * np.sin(np.arange(90) / 4)
LEVELS = pd.DataFrame({("Date", ""): HOURS, ("Close", "XYZ"): LOAD, ("Open", "XYZ"): LOAD + 1})
FRAMES = {
    "blanks": (pd.DataFrame({"Date ": HOURS, " load": LOAD}), None, " load"),
    "blanks in the index": (pd.DataFrame({" load": LOAD}, HOURS.rename("Date ")), " load", " load"),
    "two rows of names": (LEVELS, None, "Close, XYZ"),
    "two rows, the date as index": (LEVELS.set_index(("Date", "")), "Open, XYZ", "Open, XYZ"),
    "numbers": (pd.DataFrame(np.c_[LOAD, LOAD + 1], HOURS), 1, "1"),
    "a comma": (pd.DataFrame({"a, b": LOAD, "b": LOAD}, HOURS), "a, b", "a, b"),
}


@pytest.mark.parametrize("frame, target, name", FRAMES.values(), ids=FRAMES)
def test_a_frame_is_fitted_updated_and_forecast_under_its_own_names(frame, target, name):
    forecaster = npseq.Forecaster("gru", epochs=1, hidden_size=1, window=4, base="none", lags=[])
    found = forecaster.fit(frame[:-4], target=target).predict(1)
    assert list(found.columns) == [name] and found.index[0] == HOURS[-4]
    assert forecaster.update(frame[-4:]).predict(1).index[0] == HOURS[-1] + pd.Timedelta("1h")


def test_columns_known_ahead_of_two_rows_of_names():
    forecaster = npseq.Forecaster("gru", epochs=1, hidden_size=1, window=4, base="none", lags=[])
    forecaster.fit(LEVELS[:-4], target="Close, XYZ", future="Open, XYZ")
    assert forecaster.predict(future=LEVELS[-4:].drop(columns=[("Close", "XYZ")])).shape == (4, 1)
