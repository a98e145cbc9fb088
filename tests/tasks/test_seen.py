"""Which rows of other data a model has seen: with times by the last one, without by runs of rows, sequences by content."""

import json

import numpy as np
import pytest

from npseq import data
from npseq.tasks import seen
from npseq.tasks.seen import SeenRows

N, COUNT = 1000, 850


def rain(n, seed=0):
    """Two days of three are dry; values have one digit."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(n) < 0.67, 0.0, rng.integers(1, 60, n) / 10.0)


def table(values, start=None, filled=None):
    values = np.asarray(values, float).reshape(len(values), -1)
    start = None if start is None else np.datetime64("2024-01-01", "s") + np.timedelta64(start, "h")
    step = None if start is None else 3600
    return data.Table("t", values, [f"c{k}" for k in range(values.shape[1])], step, start, filled=filled)


def known(values=None, times=False, count=COUNT):
    """What a file keeps of the first ``count`` rows, read back."""
    values = rain(N) if values is None else values
    found = SeenRows.of(table(values, 0 if times else None), [0], count)
    return SeenRows.from_json(json.loads(json.dumps(found.to_json())))


def revised(values, rows, by=0.01):
    values = values.copy()
    values[rows] += by
    return values


EXCERPTS = {  # the rows of the trained series that the new data begin and end with
    "the same": (0, N),
    "longer": (0, N + 200),
    "a row dropped in front": (1, N + 1),
    "a rolling export": (300, N + 200),
    "only the trained rows": (0, 600),
    "some of the middle": (200, 500),
    "20 trained rows, then new ones": (830, N + 200),
}


@pytest.mark.parametrize("times", [True, False])
@pytest.mark.parametrize("name", EXCERPTS)
def test_the_rows_of_the_training_are_known_wherever_the_new_data_begin(name, times):
    start, stop = EXCERPTS[name]
    values, expected = rain(N + 200), np.arange(start, stop) < COUNT
    for change in (lambda v: v, lambda v: revised(v, [0, len(v) // 2])):
        found = known(values, times).find(table(change(values[start:stop]), start if times else None), [0])
        assert np.array_equal(found, expected), name


def test_with_times_revised_values_change_nothing_and_later_rows_are_new():
    values = rain(N)
    assert np.array_equal(known(values, True).find(table(values + 1, 0), [0]), np.arange(N) < COUNT)
    assert not known(values, True).find(table(values, COUNT), [0]).any()
    assert known(values, True).find(table(values, COUNT - 1), [0]).sum() == 1
    assert known(values, True).find(table(values, -N), [0]).all()  # before the training


@pytest.mark.parametrize("seed", range(5))
def test_single_values_of_daily_rain_make_no_row_of_the_training(seed):
    """Nearly all values come back, many dry weeks too; rows after the training and another station are not known."""
    for values in (rain(N), rain(2 * N, 1)):
        assert known(values, count=len(values) - 150).find(table(values[-150:]), [0]) is None
        assert known(values).find(table(rain(700, seed + 2)), [0]) is None
        assert set(rain(700, seed + 2)) <= set(values)


def test_long_trained_series_keep_few_marks_the_last_ones_dense():
    values = np.random.default_rng(0).normal(size=20_000)
    kept = known(values, count=17_000)
    assert len(kept.marks) == seen.MARKS == 512 and len(json.dumps(kept.to_json())) < 10_000
    assert kept.places[-seen.DENSE :] == list(range(17_000 - seen.RUN + 1 - seen.DENSE, 17_000 - seen.RUN + 1))
    for start in (1, 5_000, 16_980):
        assert np.array_equal(kept.find(table(values[start:]), [0]), np.arange(start, 20_000) < 17_000)
    assert kept.find(table(values[4_000:4_300]), [0]).all() and kept.find(table(values[4_000:4_020]), [0]) is None


def test_a_run_of_ten_rows_is_three_votes_and_fewer_are_none():
    values = np.random.default_rng(0).normal(size=N + 40)
    for trained, found in ((10, True), (9, False)):
        rows = known(values).find(table(values[COUNT - trained : COUNT + 90]), [0])
        assert (rows is not None) == found and (not found or rows.sum() == trained)


def test_a_quarter_of_the_runs_must_be_found_where_the_trained_rows_are():
    values = np.random.default_rng(0).normal(size=N)
    for every, found in ((10, False), (11, True)):  # runs of 8 rows in which no row was revised: 2 and 3 to 4 of 10
        changed = revised(values, np.arange(0, N, every))
        assert (known(values).find(table(changed), [0]) is not None) == found


def test_a_row_that_was_cut_out_moves_the_rows_behind_it():
    values = rain(N)
    found = known(values).find(table(np.delete(values, 400)), [0])
    assert found[: COUNT - 1].all() and found.sum() <= COUNT


def test_a_series_that_repeats_itself_is_known_as_a_whole():
    """Each run of it occurs many times, so none says where it is."""
    values = np.tile([1.0, 2.0, 3.0, 2.0], N // 4)
    kept = known(values)
    assert not kept.marks and np.array_equal(kept.find(table(values), [0]), np.arange(N) < COUNT)
    assert kept.find(table(values[1:]), [0]) is None


def test_missing_values_are_missing_however_they_were_filled_and_minus_zero_is_zero():
    values, gaps = rain(N), np.zeros((N, 1), bool)
    gaps[[5, 400]] = True
    kept = SeenRows.of(table(values, filled=gaps), [0], COUNT)
    other = np.where(gaps[:, 0], 99.0, np.where(values == 0, -0.0, values))
    assert np.array_equal(kept.find(table(other, filled=gaps), [0]), np.arange(N) < COUNT)
    assert kept.whole == SeenRows.of(table(other, filled=gaps), [0], COUNT).whole
    assert kept.whole != SeenRows.of(table(other), [0], COUNT).whole


def test_only_the_columns_of_the_model_count():
    pair = np.stack([rain(N, 3), rain(N)], axis=1)
    assert known().find(table(pair), [1]).sum() == COUNT and known().find(table(pair), [0]) is None


def test_a_table_of_fewer_rows_than_a_run_is_not_known():
    assert known().find(table(rain(N)[:5]), [0]) is None
    assert known(rain(N), count=6).find(table(rain(N)), [0]).sum() == 6


def test_most_other_values_at_the_same_times_are_another_series():
    values = rain(N)
    kept = known(values, True, 500)
    for changed, expected in ((250, False), (251, True), (N, True), (1, False)):
        assert kept.differ(table(revised(values, np.arange(changed)), 0), [0]) == expected
    for overlap, expected in ((2, False), (3, True)):  # too few to say
        assert kept.differ(table(values + 1, 500 - overlap), [0]) == expected
    assert not kept.differ(table(values + 1, 500), [0]) and not kept.differ(table(values + 1), [0])
    gone = np.ones((N, 1), bool)
    gone[-3:] = False
    assert not kept.differ(table(values + 1, 0, gone), [0])  # what is missing differs from nothing


@pytest.mark.parametrize(
    "change",
    [{"count": 0}, {"until": "2024"}, {"until": "x" * 19}, {"whole": "X" * 16}, {"marks": [2**32], "places": [1]}, {"marks": [1]},
     {"places": [2**62], "marks": [1]}, {"places": [1], "marks": [-1]}, {"places": [1.0]}],
)  # fmt: skip
def test_a_file_that_says_something_else_is_refused(change):
    with pytest.raises(ValueError, match="its rows of the training"):
        SeenRows.from_json({**known().to_json(), **change})


def test_hashes_are_those_of_the_files_that_were_written():
    assert seen._mixed(np.array([[1, 2], [3, 4]], np.uint64)).tolist() == [2620951259, 2400281021]


def test_every_hexadecimal_hash_is_read_back():
    kept = {**known().to_json(), "whole": "0123456789abcdef", "marks": [2**32 - 1], "places": [2**62 - 1]}
    assert SeenRows.from_json(kept).to_json() == kept


def test_sequences_are_known_by_their_content_and_equal_ones_as_often_as_they_were_there():
    rng = np.random.default_rng(0)
    frames, starts = rng.normal(size=(12, 2)), np.array([0, 3, 6, 9, 12])
    frames[9:] = frames[:3]  # the last equals the first
    whole = data.Sequences("s", frames, ["a", "b"], starts, np.zeros(4, int), ["x"], names=list("abcd"))
    kept = seen.hashes_of(whole, ["a", "b"], np.array([0, 2]))
    assert seen.find_sequences(kept, whole, ["a", "b"]).tolist() == [True, False, True, False]
    assert seen.find_sequences([*kept, kept[0]], whole, ["a", "b"]).tolist() == [True, False, True, True]
    assert not seen.find_sequences(kept, whole, ["b", "a"]).any()
    frames[7, 1] += 1e-9
    assert seen.find_sequences(kept, whole, ["a", "b"]).tolist() == [True, False, False, False]
