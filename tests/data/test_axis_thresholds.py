"""When times are steps, and when a value marks missing ones: each constant on both sides of it."""

import numpy as np
import pytest

from npseq.data import DataError, load
from npseq.data.content import Growing
from npseq.data.grid import after
from npseq.data.missing import fill_column, stands_apart
from npseq.data.time_axis import NICE, find_grid

SECOND = np.timedelta64(1, "s")
START = np.datetime64("2024-01-01T00:00:00")  # a Monday


def at(seconds):
    return START + np.asarray(seconds) * SECOND


def weekdays(n):
    return np.busday_offset("2024-01-01", np.arange(n)).astype("M8[s]")


@pytest.mark.parametrize(("n", "step"), [(11, "B"), (10, "D"), (30, "B")])
def test_weekdays_are_steps_from_two_weeks_on(n, step):
    grid, _ = find_grid(weekdays(n))
    assert grid.name == step


@pytest.mark.parametrize("step", NICE)
def test_times_a_little_off_a_round_step_are_on_it(step):
    off = np.random.default_rng(step).integers(-50_000, 50_000, 40) * step
    times = (START + 60 * step * SECOND).astype("M8[us]") + (np.arange(40) * step * 10**6 + off).astype("m8[us]")
    grid, k = find_grid(times)
    assert grid.step == step and np.array_equal(k, np.arange(40))
    assert step == 604_800 or grid.start == START + 60 * step * SECOND  # weeks begin on any day


@pytest.mark.parametrize(("extra", "regular"), [(0, True), (7, False)])
def test_weekdays_with_some_weekends_are_not(extra, regular):
    days = np.unique(np.append(weekdays(100), START + np.arange(extra) * 7 * 86_400 * SECOND + 5 * 86_400 * SECOND))
    grid, _ = find_grid(days)
    assert (grid is not None and grid.name == "B") == regular


@pytest.mark.parametrize(("missing", "found"), [(24, True), (25, False)])
def test_steps_may_be_missing_up_to_a_quarter_more_rows(missing, found):
    hours = np.append(np.arange(99), 98 + missing + 1)  # 100 times, 99 + missing + 1 rows
    grid, k = find_grid(at(3600 * hours))
    assert (grid is not None) == found and (not found or k[-1] == 98 + missing + 1)


@pytest.mark.parametrize(("off", "found"), [(359, True), (360, False)])
def test_times_that_are_off_by_less_than_a_tenth_of_a_step_are_moved(off, found):
    seconds = 3600 * np.arange(100)
    seconds[50] += off
    assert (find_grid(at(seconds))[0] is not None) == found


def test_two_times_on_one_step_are_no_steps():
    seconds = np.sort(np.append(3600 * np.arange(100), 3600 * 50 + 60))
    assert find_grid(at(seconds)) == (None, None)


@pytest.mark.parametrize(("share", "refused"), [(0.5, True), (0.45, False)])
def test_half_of_the_rows_at_repeated_times_are_several_series(share, refused):
    n, repeats = 100, int(100 * share)
    seconds = 3600 * np.append(np.arange(n - repeats), np.arange(repeats))
    values = {"at": at(seconds), "y": np.random.default_rng(0).normal(size=n)}
    if refused:
        with pytest.raises(DataError, match="only 50 different times"):
            load(values)
    else:
        table = load(values)
        assert len(table.values) == n - repeats and "45 rows have a duplicate time" in "".join(table.notes)


def marked(count, mark=-999.0, others=20):
    return np.append(
        np.random.default_rng(0).normal(size=200) if others == 20 else np.arange(200) % others, [mark] * count
    )


@pytest.mark.parametrize(
    ("column", "found"),
    [
        (marked(1), None),
        (marked(2), (-999.0, 2)),
        (marked(3, 999.0), (999.0, 3)),
        (marked(200), (-999.0, 200)),
        (marked(201), None),
        (marked(5, others=4), None),
        (marked(5, others=5), (-999.0, 5)),
        (np.append(np.linspace(0, 10, 50), [-10.0, -10.0]), None),  # as far from the others as they spread
        (np.append(np.linspace(0, 10, 50), [-10.1, -10.1]), (-10.1, 2)),
        (np.append(np.linspace(0, 10, 50), [20.0, 20.0]), None),
        (np.append(np.linspace(0, 10, 50), [20.1, 20.1]), (20.1, 2)),
    ],
)
def test_a_value_far_from_all_others_that_repeats_is_told(column, found):
    assert stands_apart(column) == found


def test_gaps_are_filled_on_a_line_or_from_the_past_and_the_ends_hold_the_nearest_value():
    nan, column = np.nan, np.array([np.nan, np.nan, 1.0, np.nan, np.nan, np.nan, 5.0, np.nan])
    for how, expected in (("linear", [1, 1, 1, 2, 3, 4, 5, 5]), ("past", [1, 1, 1, 1, 1, 1, 5, 5])):
        filled = column.copy()
        assert fill_column(filled, np.isnan(column), how) == 6 and filled.tolist() == expected
    assert fill_column(np.array([nan, nan]), np.ones(2, bool)) is None
    assert fill_column(np.ones(2), np.zeros(2, bool)) == 0


def test_a_column_without_a_number_is_named():
    with pytest.raises(DataError, match="the column 'y' has no number in it"):
        load({"x": np.arange(9.0) % 4, "y": np.full(9, np.nan)})


@pytest.mark.parametrize(("start", "step"), [(420, 3600), (7, 60), (0, 3600), (7, 3600)])
def test_steps_begin_where_they_begin(start, step):
    """On the hour, at a whole minute or a whole second: the roundest that is closer than a tenth of a step."""
    off = np.random.default_rng(0).integers(-200_000, 200_000, 40)
    times = (START + start * SECOND).astype("M8[us]") + (np.arange(40) * step * 10**6 + off).astype("m8[us]")
    grid, _ = find_grid(times)
    rounded = 0 if start <= 0.1 * step else start
    assert grid.start == START + rounded * SECOND


def test_a_single_time_has_no_steps():
    assert find_grid(np.array(["2024-01-01"], "M8[s]")) == (None, None)


@pytest.mark.parametrize(
    ("hours", "step", "later"),
    [
        ([0, 3, 24, 26], None, [27, 48, 50]),  # the last 24 hours again, a day later each time
        ([0, 3, 24, 26], 7200, [48, 50, 72]),  # yesterday's row of that time, up to half a step late
        ([0, 5, 40], 3600, [41, 42, 43]),  # one row on the last day: a step later each time
        ([0, 5, 40], None, [75, 110, 145]),
        ([0, 2, 5], None, [8, 11, 14]),  # no earlier day
        ([0, 2, 5], 3600, [6, 7, 8]),
    ],
)
def test_irregular_times_go_on_as_on_the_last_day_or_by_a_step(hours, step, later):
    start = np.datetime64("2024-01-01", "s")
    found = after(start + 3600 * np.array(hours), 3, step)
    assert ((found - start).astype(int) / 3600).tolist() == later


def test_a_single_time_goes_on_by_seconds():
    assert after(np.array(["2024-01-01"], "M8[s]"), 2, None).astype(str).tolist() == [
        "2024-01-01T00:00:01", "2024-01-01T00:00:02"]  # fmt: skip


def test_an_array_that_grows_is_seldom_copied():
    growing, sizes = Growing(2), set()
    for k in range(1000):
        growing.add(np.full((1, 2), k))
        sizes.add(len(growing.array))
    assert len(sizes) < 60 and growing.done()[:, 1].tolist() == list(range(1000))
