"""The index of a forecast continues that of the data, whatever it is."""

import numpy as np
import pytest

from npseq.data import load
from npseq.forecast.frame_index import FrameIndex

pd = pytest.importorskip("pandas")


def series(index):
    return pd.Series(np.sin(np.arange(len(index))), index=index, name="y")


def after(index, steps=3):
    """The index of the rows after the end."""
    given = series(index)
    table = load(given)
    return FrameIndex(given, table).at(table, len(table.values) + np.arange(steps))


@pytest.mark.parametrize("freq", ["D", "W", "MS", "ME", "QS"])
@pytest.mark.parametrize("named", [True, False])
def test_days_weeks_and_months_keep_the_time_of_day_of_their_zone(freq, named):
    index = pd.date_range("2004-01-01", periods=203, freq=freq, tz="Europe/Berlin")  # in UTC at 22:00 or 23:00
    given = index[:200] if named else pd.DatetimeIndex(index[:200].tolist())
    found = after(given)
    assert (found == index[200:]).all()
    assert not named or found.freq == index.freq


def test_hours_follow_each_other_over_a_change_of_the_clocks():
    index = pd.date_range("2024-03-01", periods=240, freq="h", tz="America/New_York")
    assert after(index[:218]).equals(index[218:221])  # 2024-03-10 has no 2 o'clock


@pytest.mark.parametrize("freq", ["BME", "BMS", "BQE", "36h"])
def test_the_step_of_the_index_decides(freq):
    index = pd.date_range("2004-01-01", periods=123, freq=freq)
    assert after(index[:120]).equals(index[120:]) and after(index[:120]).freq == index.freq


def test_a_reversed_index_is_continued_at_its_end_in_time():
    hours = pd.date_range("2024-01-01", periods=53, freq="h")
    assert after(hours[:50][::-1]).equals(hours[50:])


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (pd.RangeIndex(5, 55), [55, 56, 57]),
        (pd.RangeIndex(100, 200, 2, name="row"), [200, 202, 204]),
        (pd.Index(np.arange(50) * 10 + 3), [503, 513, 523]),
        (pd.Index([0, 2, 3, *range(10, 57)]), [50, 51, 52]),
        (pd.Index([f"r{k}" for k in range(50)]), [50, 51, 52]),
    ],
)
def test_an_index_that_counts_goes_on_counting(index, expected):
    assert after(index).tolist() == expected and after(index).name == index.name


def test_a_column_of_times_keeps_its_zone():
    hours = pd.date_range("2024-01-01", periods=53, freq="h", tz="Asia/Tokyo")
    frame = pd.DataFrame({"at": hours[:50], "y": np.arange(50.0) % 7})
    found = FrameIndex(frame, load(frame)).at(load(frame), np.arange(50, 53))
    assert (found == hours[50:]).all() and found.name == "at" and str(found.tz) == "Asia/Tokyo"
