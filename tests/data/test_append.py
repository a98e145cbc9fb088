"""``Table.append``: further rows, as if they had been there from the start; corrections win; nothing off the steps."""

import numpy as np
import pytest

from npseq.data import DataError, load
from npseq.data.table import Table

HOUR = np.timedelta64(3600, "s")
START = np.datetime64("2024-01-01T00:00:00")
AXES = {  # kinds of time: n times
    "hours": lambda n: START + np.arange(n) * HOUR,
    "weekdays": lambda n: np.busday_offset("2024-01-01", np.arange(n)).astype("M8[s]"),
    "months": lambda n: (np.datetime64("2020-01") + np.arange(n)).astype("M8[s]"),
    "irregular": lambda n: START + np.cumsum(np.random.default_rng(1).integers(60, 4000, n)) * np.timedelta64(1, "s"),
    "none": lambda n: None,
}


def data(n, axis="hours", gaps=True):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(n, 2))
    values[rng.random((n, 2)) < 0.1 * gaps] = np.nan
    values[0] = 1.0
    return values, AXES[axis](n)


def table(values, times=None):
    named = {f"c{k}": column for k, column in enumerate(values.T)}
    return load(named if times is None else {"at": times, **named}, fill="past")


def same(a, b):
    assert np.array_equal(a.values, b.values) and np.array_equal(a.filled, b.filled)
    assert (a.times is None) == (b.times is None) and (a.times is None or np.array_equal(a.times, b.times))
    assert (a.start, a.grid) == (b.start, b.grid) and (a.step == b.step or a.grid is None)


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("first", [40, 54])
def test_appended_rows_are_as_if_they_had_been_there(axis, first):
    values, times = data(60, axis)
    cut = (lambda a, b: None) if times is None else (lambda a, b: times[a:b])
    start = table(values[:first], cut(0, first))
    before = start.values.copy(), start.filled.copy(), list(start.notes)
    whole = start.append(values[first:55], cut(first, 55)).append(values[55:], cut(55, 60))
    same(whole, table(values, times))
    assert np.array_equal(start.values, before[0]) and np.array_equal(start.filled, before[1])
    assert start.notes == before[2] and len(start.values) == first
    same(start.append(values[:0], cut(0, 0)), start)


def test_a_newer_value_wins_and_one_that_is_missing_does_not():
    values, times = data(40)
    newer = values[30:].copy()
    newer[:4, 0] += 100
    newer[5, 1] = np.nan
    whole = table(values, times).append(newer, times[30:])
    expected = values.copy()
    expected[30:34, 0] += 100
    same(whole, table(expected, times))
    differ = np.count_nonzero(~np.isnan(values[30:34, 0]))
    assert f"10 rows were there already; {differ} of their values differ: the newer ones are taken" in whole.notes
    assert "0 of their values differ" in table(values, times).append(values[:1], times[:1]).notes[-1]


def test_a_gap_that_is_known_later_fills_the_rows_after_it_anew():
    values = np.array([[np.nan], [np.nan], [3.0], [np.nan], [np.nan], [6.0]])
    times = AXES["hours"](6)
    whole = table(values, times).append(np.array([[4.0]]), times[3:4])
    assert whole.values[:, 0].tolist() == [3, 3, 3, 4, 4, 6] and whole.filled[:, 0].tolist() == [1, 1, 0, 0, 1, 0]
    early = whole.append(np.array([[2.0]]), times[1:2])  # before the first value there was none
    assert early.values[:, 0].tolist() == [2, 2, 3, 4, 4, 6] and early.filled[:, 0].tolist() == [1, 0, 0, 0, 1, 0]


def test_missing_times_get_empty_rows_and_the_notes_say_what_was_done():
    values, times = data(12, gaps=False)
    rows, at = values[[10, 11, 11]].copy(), times[[10, 11, 11]]
    rows[0, 1], rows[2, 0] = np.nan, 5.0
    start = table(values[:8], times[:8])
    whole = start.append(rows, at)
    assert np.array_equal(whole.times, times) and whole.values[11, 0] == 5 and whole.values[11, 1] == values[11, 1]
    assert whole.filled[8:10].all() and whole.filled[10].tolist() == [False, True] and not whole.filled[11].any()
    assert (whole.values[8:10] == values[7]).all() and whole.values[10, 1] == values[7, 1]
    assert whole.notes[len(start.notes) :] == [
        "1 new rows have a duplicate time; the last of each was kept",
        "2 times are missing; an empty row was inserted for each",
        "1 gaps in new rows of c1 filled from the values before them",
    ]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (40 * 3600 + 5400, "2024-01-02T17:30:00 given: it is off the steps of the data, whose rows are 3,600 s apart"),
        (40 * 3600 + 360, "off the steps"),  # a tenth of a step
        (-3600, "before the first row, 2024-01-01T00:00:00"),
        (40 * 3600 + 12 * 3600, "given, 13 rows after the last one, 2024-01-02T15:00:00; of the rows between only 0"),
    ],
)
def test_a_row_off_the_steps_is_refused(seconds, words):
    start = table(*data(40))
    with pytest.raises(DataError, match=words):
        start.append(np.ones((1, 2)), np.array([START + np.timedelta64(seconds, "s")]))


def test_what_is_just_within_the_bounds_is_taken():
    start = table(*data(40))
    for seconds, rows in ((40 * 3600 + 359, 41), (40 * 3600 - 359, 41), (40 * 3600 + 10 * 3600, 51)):
        assert len(start.append(np.ones((1, 2)), np.array([START + np.timedelta64(seconds, "s")])).values) == rows


def test_rows_of_a_table_with_times_need_times_and_others_need_none():
    start = table(*data(40))
    with pytest.raises(DataError, match="rows without times given; the data has times"):
        start.append(np.ones((1, 2)))
    assert len(table(data(40)[0]).append(np.ones((1, 2)), np.array([START])).values) == 41
    weekdays = table(*data(40, "weekdays"))
    with pytest.raises(DataError, match="off the steps of the data, whose rows are 86,400 s apart"):
        weekdays.append(np.ones((1, 2)), np.array([np.datetime64("2024-02-24", "s")]))  # a Saturday
    months = table(*data(40, "months"))
    with pytest.raises(DataError, match="whose rows are the step MS apart"):
        months.append(np.ones((1, 2)), np.array([np.datetime64("2023-05-15", "s")]))


def test_a_table_made_by_hand_has_its_step():
    hand = Table("t", np.ones((30, 1)), ["y"], 3600, START)
    assert len(hand.append(np.ones((2, 1)), START + np.array([30, 31]) * HOUR).values) == 32
    with pytest.raises(DataError, match="off the steps"):
        hand.append(np.ones((1, 1)), np.array([START + 40 * HOUR / 3]))
