"""Which rows of many series are new to a model: a record for each series in the weights file."""

import json

import numpy as np
import pytest

from npseq.data.grid import Grid
from npseq.data.panel import Panel
from npseq.forecast.panel import ensemble, scores
from npseq.forecast.panel.task import panel_task
from npseq.tasks.seen import RUN, SeenSeries
from npseq.training.config import TrainingConfig
from npseq.training.run import TrainingRun

H, HOUR = 4, 3600


def panel_of(lengths, timed=True, first="a"):
    """Series of hours, or without times; the first rows of a longer one are those of a shorter one."""
    ids = [chr(ord(first) + k) for k in range(len(lengths))]
    y = [10 + np.random.default_rng(ord(one)).normal(size=200)[:n] for one, n in zip(ids, lengths)]
    grids = [Grid(np.datetime64("2024-01-01", "s"), HOUR) if timed else None] * len(ids)
    starts = np.append(0, np.cumsum(lengths))
    return Panel("made", ids, np.concatenate(y)[:, None], ["y"], starts, grids, all_columns=["y"])


@pytest.fixture(scope="module", params=[True, False], ids=["with times", "without"])
def made(request):
    timed, panel = request.param, panel_of([80, 80, 60], request.param)
    task = panel_task(panel, horizon=H)
    run = TrainingRun(task, TrainingConfig.of("panel", model="gru", hidden_size=2, num_layers=1, epochs=1))
    run.train()
    return timed, int(task.cuts[0][0]), [(run.model, ensemble.finish(run.model, task))]


def test_the_last_rows_are_new_or_held_out_or_trained_on(made):
    timed, cut, members = made
    for lengths, rows in (
        ([80, 80, 60], {"new": 0, "held_out": 3, "trained": 0}),  # those of the training
        ([84, 84, 64], {"new": 3, "held_out": 0, "trained": 0}),
        ([83, 84, 60], {"new": 1, "held_out": 2, "trained": 0}),
        ([cut + H, cut + H - 1, 40], {"new": 0, "held_out": 1, "trained": 2}),
        ([40, 40, 40], {"new": 0, "held_out": 0, "trained": 3}),
    ):
        found = scores.evaluate(members, panel_of(lengths, timed), H)
        assert found["rows"] == rows
        best = next(count for count in rows.values() if count)
        assert len(found["series"]) == best and len(found["notes"]) == sum(map(bool, rows.values()))
        assert sum("left out" in note for note in found["notes"]) == len(found["notes"]) - 1
        every = scores.evaluate(members, panel_of(lengths, timed), H, seen_too=True)
        assert len(every["series"]) == 3 and not any("left out" in note for note in every["notes"])


def test_the_card_of_a_file_tells_target_base_and_series(made):
    told = dict(made[2][0][1].told())
    assert told["target"].startswith(f"y; {H} rows ahead, from windows of ") and "rows before" in told["base"]
    assert told["trained on"].startswith("3 series of 220 rows, ")


def test_another_series_is_new_whatever_its_rows(made):
    timed, _, members = made
    assert scores.evaluate(members, panel_of([80, 80], timed, "x"), H)["rows"]["new"] == 2
    if not timed:  # the same names, other values
        other = panel_of([80, 80, 60], timed)
        other.values += 1
        assert scores.evaluate(members, other, H)["rows"]["new"] == 3
        other = panel_of([80, 80, 60], timed)
        other.values[RUN:] += (
            1  # as of the first series only the first rows are the same, that one alone is taken for it
        )
        assert scores.evaluate(members, other, H)["rows"]["new"] == 2


def test_the_record_is_small_and_its_faults_are_named():
    rows, count = 30, 1000
    ids, starts = [f"shop {k}" for k in range(count)], rows * np.arange(count + 1)
    values = np.random.default_rng(0).normal(size=(rows * count, 1))
    grid = Grid(np.datetime64("2024-01-01", "s"), HOUR)
    panel = Panel("made", ids, values, ["y"], starts, [grid] * count)
    record = SeenSeries.of(panel, 0, {k: (rows - 8, rows) for k in range(count)})
    text = json.dumps(vars(record))
    assert len(text) < 25 * count + 200
    again = SeenSeries.from_json(json.loads(text))
    assert again == record and (again.find(panel, 0) == [rows - 8, rows]).all()
    for change, words in (
        ({"names": []}, "different numbers"),
        ({"known": ["x"] * count}, "known"),
        ({"latest": 0.5}, "latest"),
    ):
        with pytest.raises(ValueError, match=words):
            SeenSeries.from_json({**vars(record), **change})
