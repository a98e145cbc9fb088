"""Steps that are equal in the calendar: found, named as pandas names them, continued after the end."""

import numpy as np
import pytest

from npseq.data import load
from npseq.data.time_axis import Grid, find_grid


def table(times, values=None):
    times = np.asarray(times, "M8[us]")
    return load({"t": times, "x": np.arange(len(times)) ** 2.0 if values is None else values})


@pytest.mark.parametrize("freq", ["MS", "ME", "QS", "QE", "QS-FEB", "QE-NOV", "YS", "YE", "YS-JUL", "YE-MAR", "2MS", "6MS", "B", "D", "h", "min",
                                  "5min", "15min", "30s", "W-SUN", "W-WED", "3h", "2D", "BME", "BMS", "BQE-DEC", "BYE-DEC"])  # fmt: skip
def test_the_steps_of_pandas(freq):
    pd = pytest.importorskip("pandas")
    dates = pd.date_range("2019-12-30 00:00", periods=47, freq=freq)
    found = table(dates[:40])
    assert np.array_equal(found.times, dates[:40].to_numpy().astype("M8[s]"))
    assert np.array_equal(found.times_after(7), dates[40:].to_numpy().astype("M8[s]"))
    assert pd.tseries.frequencies.to_offset(found.offset) == pd.tseries.frequencies.to_offset(freq)
    missing = table(dates[:40].delete([7, 21]))  # a row for each missing time
    assert np.array_equal(missing.times, found.times) and np.flatnonzero(missing.filled).tolist() == [7, 21]
    assert missing.offset == found.offset and "2 times are missing" in missing.notes[0]


def test_a_week_of_six_days_gets_no_sundays():
    days = np.arange("2024-01-01", "2024-04-01", dtype="M8[D]")
    days = days[(days.astype(int) + 3) % 7 != 6]
    found = table(days)
    assert np.array_equal(found.times, days.astype("M8[s]")) and not found.filled.any() and not found.notes
    assert found.times_after(3).astype("M8[D]").astype(str).tolist() == ["2024-04-01", "2024-04-02", "2024-04-03"]
    assert found.offset is None and found.step == 86_400
    tuesdays = days[np.isin((days.astype(int) + 3) % 7, (1, 3))]
    assert table(tuesdays).times_after(2).astype("M8[D]").astype(str).tolist() == ["2024-04-02", "2024-04-04"]


def test_days_in_the_middle_and_at_the_end_of_months():
    for day, after in ((15, "2025-01-15"), (31, "2025-01-31")):
        months = np.arange("2020-01", "2025-01", dtype="M8[M]")
        last = (months + np.timedelta64(1, "M")).astype("M8[D]") - np.timedelta64(1, "D")
        found = table(np.minimum(months.astype("M8[D]") + np.timedelta64(day - 1, "D"), last))
        assert str(found.times_after(1)[0])[:10] == after and not found.notes
    half = np.arange("2020-01", "2025-01", dtype="M8[M]").astype("M8[h]") + np.timedelta64(12, "h")
    assert str(table(half).times_after(1)[0]) == "2025-01-01T12:00:00"


def test_jitter_is_snapped_and_told():
    rng = np.random.default_rng(0)
    for step in (1, 60, 3600, 86_400):
        exact = np.datetime64("2024-01-01", "us") + np.arange(200) * np.timedelta64(step, "s")
        found = table(exact + (rng.uniform(-0.09, 0.09, 200) * step * 1e6).astype("m8[us]"))
        assert np.array_equal(found.times, exact.astype("M8[s]")) and found.step == step
        assert "off the step" in found.notes[0]
        large = table(exact + (rng.uniform(-0.4, 0.4, 200) * step * 1e6).astype("m8[us]"))
        assert large.start is None


def test_the_last_weekdays_of_months_are_steps_of_a_month():
    days = np.busday_offset(np.arange("2020-02", "2024-03", dtype="M8[M]").astype("M8[D]"), -1, roll="forward")
    found = table(np.delete(days[:-2], 7))
    assert found.offset == "BME" and np.array_equal(found.times, days[:-2]) and "1 times are missing" in found.notes[0]
    assert np.array_equal(found.times_after(2), days[-2:])


def test_a_day_that_occurs_once_is_no_day_of_the_week():
    days = np.arange("2024-01-01", "2025-01-01", dtype="M8[D]")
    days = days[((days.astype(int) + 3) % 7 < 5) | (days == np.datetime64("2024-06-02"))]
    assert table(days).grid is None and "irregular" in table(days).notes[0]


def test_what_has_no_equal_steps_stays_as_it_is():
    rng = np.random.default_rng(0)
    for times in (
        np.sort(rng.choice(10**6, 100, replace=False)),
        np.cumsum(rng.integers(20, 40, 50)) * 86_400,
        np.arange(30) ** 2 * 3600,
    ):
        found = table(np.datetime64("2024-01-01", "s") + times)
        assert (
            found.start is None
            and found.grid is None
            and found.times_after(2) is None
            and "irregular" in found.notes[0]
        )
        assert np.array_equal(found.times, np.datetime64("2024-01-01", "s") + times)


def test_rows_newest_first_and_repeated():
    days = np.arange("2024-01-01", "2024-02-01", dtype="M8[D]")
    found = table(np.append(days, days[:1])[::-1], np.arange(32.0))
    assert np.array_equal(found.times, days.astype("M8[s]")) and found.values[0, 0] == 0 and found.values[-1, 0] == 1
    assert [note.split(":")[0].split(";")[0] for note in found.notes] == [
        "rows were not in time order",
        "1 rows have a duplicate time",
    ]


def test_index_and_at_are_inverse():
    k = np.arange(100)
    for grid in (
        Grid(np.datetime64("2024-01-31", "s"), months=1, end=True),
        Grid(np.datetime64("2024-01-05T06", "s"), months=3),
        Grid(np.datetime64("2024-01-31T06", "s"), months=1, end=True, week="1111100"),
        Grid(np.datetime64("2024-01-05", "s"), week="1111100"),
        Grid(np.datetime64("2024-01-05", "s"), step=7),
    ):
        times = grid.at(k)
        assert np.array_equal(grid.index(times), k) and (np.diff(times) > np.timedelta64(0, "s")).all()
        found, steps = find_grid(times)
        assert (steps is None or np.array_equal(steps, k)) and np.array_equal(found.at(k), times)


def test_years_that_were_written_as_floats_are_years():
    """A column of whole numbers that once had a gap is written with .0 by many programs."""
    pytest.importorskip("pandas")
    years = [f"{year}.0" for year in range(1871, 1891)]
    table = load({"year": years, "flow": np.random.default_rng(0).normal(size=20)})
    assert table.columns == ["flow"] and table.times[0] == np.datetime64("1871-01-01")
    assert (table.times == np.arange("1871", "1891", dtype="datetime64[Y]")).all()
