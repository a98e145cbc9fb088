"""A column whose first value comes late: nothing before it is learned, nothing looks ahead, and the line says why."""

import numpy as np
import pytest

import npseq
from npseq.data import DataError, load
from npseq.forecast import ForecastTask, WindowDataset

LATE = 150
ROLES = {
    "target": {"target": ["c0", "c1"]},
    "inputs": {"target": "c0", "inputs": "c1"},
    "future": {"target": "c0", "future": "c1"},
}


def values(n=400, late=LATE, seed=0):
    found = np.random.default_rng(seed).normal(size=(n, 2))
    found[:late, 1] = np.nan
    return found


@pytest.mark.parametrize("base", ["none", "linear"])
@pytest.mark.parametrize("role", ["target", "inputs"])
def test_no_example_reads_a_later_value_in_place_of_one_that_was_not_there(role, base):
    found = values()
    options = {"window": 6, "base": base, "lags": (), **ROLES[role]}
    task = ForecastTask(load(found, fill="past"), **options)
    assert task.first == LATE + 1 == min(rows[0] for rows in task.parts.values())
    for row in (LATE + 1, LATE + 3):
        other = np.concatenate([found[:row], np.full_like(found[row:], 99.0)])
        again = WindowDataset.from_recipe(task.recipe(), load(other, fill="past"))
        upto = np.arange(task.first, row + 1)
        assert np.array_equal(task.inputs(upto), again.inputs(upto))


def test_a_column_that_begins_at_once_costs_no_row_and_one_row_later_only_what_it_must():
    whole = ForecastTask(load(values(late=0), fill="past"), window=6, base="none", lags=(), inputs="c1", target="c0")
    late = ForecastTask(load(values(late=5), fill="past"), window=6, base="none", lags=(), inputs="c1", target="c0")
    assert whole.first == late.first == 6
    late = ForecastTask(load(values(late=6), fill="past"), window=6, base="none", lags=(), inputs="c1", target="c0")
    assert late.first == 7


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    "n", [pytest.param(160, marks=pytest.mark.wide), 180, pytest.param(200, marks=pytest.mark.wide)]
)
def test_too_few_rows_after_the_first_value_are_told(n, role):
    with pytest.raises(DataError) as error:
        npseq.Forecaster("rnn", epochs=1, hidden_size=2, window=4).fit(values(n), **ROLES[role])
    needed = 220
    assert str(error.value) == (
        f"the data: {n} rows are too few for the first value of 'c1' in row 150; about {needed} are needed"
    )
    npseq.Forecaster("rnn", epochs=1, hidden_size=2, window=4).fit(values(needed), **ROLES[role])


@pytest.mark.wide
def test_a_backtest_of_a_late_target_ends_in_that_line():
    forecaster = npseq.Forecaster("rnn", epochs=1, hidden_size=2).fit(values(), ["c0", "c1"])
    with pytest.raises(DataError, match="209 rows are too few for the first value of 'c1' in row 150"):
        forecaster.backtest(5)


@pytest.mark.parametrize(("start", "stop", "part"), [(340, 400, "test"), (280, 340, "validation"), (6, 280, "train")])
def test_a_part_without_a_value_is_named(start, stop, part):
    found = values(late=0)[:, 0]
    found[start:stop] = np.nan
    with pytest.raises(DataError, match=f"the data: no value of value in the {part} part, the rows"):
        ForecastTask(load(found, fill="past"), window=6, base="none", lags=())


def test_no_lags_are_named_where_there_are_none():
    with pytest.raises(DataError, match="10 rows are too few for a window of 8, a horizon of 1; about 15 are needed"):
        ForecastTask(load(np.arange(10.0) % 3), window=8, lags=())
    with pytest.raises(DataError, match=r"too few for a window of 4, lags \[9\], a horizon of 2"):
        ForecastTask(load(np.arange(12.0) % 3), window=4, lags=(9,), horizon=2)
