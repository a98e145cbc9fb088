"""Many series in one ``Panel``."""

import numpy as np
import pytest

from npseq.data.errors import DataError
from npseq.data.grid import Grid, Numbers
from npseq.data.panel import Panel, of_table

HOUR = 3600


def hourly(lengths=(5, 3), starts=("2024-01-01T00", "2024-01-02T12")):
    rows = np.append(0, np.cumsum(lengths))
    grids = [Grid(np.datetime64(one, "s"), HOUR) for one in starts]
    values = np.arange(float(rows[-1]))[:, None]
    ids = ["a", "b", "c"][: len(lengths)]
    return Panel("p", ids, values, ["y"], rows, grids, step=HOUR, filled=np.zeros((rows[-1], 1), bool))


def test_each_series_is_a_table_of_views():
    panel = hourly()
    a, b = panel
    assert (a.ids, b.ids, b.values[:, 0].tolist(), b.starts.tolist()) == (["a"], ["b"], [5, 6, 7], [0, 3])
    assert np.shares_memory(b.values, panel.values)
    assert str(b.times[-1]) == "2024-01-02T14:00:00" and str(panel.times_after(1, 2)[1]) == "2024-01-02T16:00:00"


def test_rows_are_appended_to_their_series_and_new_series_at_the_end():
    panel, new = hourly(), hourly((2, 1), ("2024-01-01T06", "2024-01-05"))
    new.ids = ["a", "c"]
    both = panel.append(new)
    assert both.ids == ["a", "b", "c"] and both.lengths.tolist() == [8, 3, 1]
    assert both.values[:8, 0].tolist() == [0, 1, 2, 3, 4, 4, 0, 1] and both.filled[5, 0]
    assert len(panel.values) == 8


def test_whole_numbers_are_times_when_rows_are_appended():
    panel, new = hourly(), hourly((1, 1))
    panel.grids, new.grids, panel.step, new.step = [Numbers(1), Numbers(1)], [Numbers(6), Numbers(5)], None, None
    both = panel.append(new)
    assert both.lengths.tolist() == [6, 5] and both.times_after(0, 1).tolist() == [7]
    assert both.series(0).times is None


def test_a_series_taken_from_a_panel_keeps_its_rows_and_its_times():
    panel = hourly().take([1, 0])
    assert panel.ids == ["b", "a"] and panel.values[:, 0].tolist() == [5, 6, 7, 0, 1, 2, 3, 4]
    assert str(panel.times(0)[0]) == "2024-01-02T12:00:00"
    with pytest.raises(DataError, match="columns"):
        panel.append(Panel("q", ["a"], np.ones((1, 1)), ["z"], np.array([0, 1]), [None]))


def test_irregular_times_go_on_as_those_of_the_last_day():
    day = np.array(["2024-01-01T08", "2024-01-01T09", "2024-01-01T12"], "M8[s]")
    times = np.concatenate([day, day + np.timedelta64(1, "D")])
    panel = Panel("p", ["a"], np.ones((6, 1)), ["y"], np.array([0, 6]), [None], irregular=times, step=HOUR)
    after = panel.times_after(0, 4).astype(str).tolist()
    assert after == ["2024-01-03T08:00:00", "2024-01-03T09:00:00", "2024-01-03T12:00:00", "2024-01-04T08:00:00"]


def test_a_series_that_ends_well_before_the_others_has_stopped():
    panel = hourly((200, 180, 195), ("2024-01-01",) * 3)
    assert panel.stopped().tolist() == [False, True, False]


def test_the_last_rows_of_each_series_can_be_held_out():
    panel = hourly().without_last(2)
    assert panel.lengths.tolist() == [3, 1] and panel.values[:, 0].tolist() == [0, 1, 2, 5]
    assert str(panel.times_after(1, 1)[0]) == "2024-01-02T13:00:00"
    alone = of_table(hourly().series(1))
    assert alone.ids == ["b"] and alone.values[:, 0].tolist() == [5, 6, 7] and len(alone.times(0)) == 3
