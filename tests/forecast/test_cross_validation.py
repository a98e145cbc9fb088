"""Rows, cutoffs and trainings of cross-validation, of one series and of many, and of a backtest."""

import numpy as np
import pytest

import npseq
from npseq.data.errors import DataError
from npseq.data.panel import Panel
from npseq.forecast import drawing
from npseq.forecast.panel import ensemble
from npseq.forecast.panel.forecaster import PanelForecaster
from npseq.forecast.panel.task import panel_task

pytest.importorskip("pandas")
ASKED = {"target": None, "horizon": 4, "inputs": None, "future": None}


def panel_of(*values):
    starts = np.append(0, np.cumsum([len(y) for y in values]))
    ids = [f"s{k}" for k in range(len(values))]
    return Panel("made", ids, np.concatenate(values)[:, None], ["y"], starts, [None] * len(ids), all_columns=["y"])


@pytest.mark.parametrize(("refit", "rows"), [(True, [[54, 40], [56, 42, 2]]), (False, [[54, 40]])])
def test_windows_of_many_series_are_forecast_from_the_rows_before_each(monkeypatch, refit, rows):
    rng = np.random.default_rng(0)
    panel, given = panel_of(*(10 + rng.normal(size=n) for n in (60, 46, 6))), []
    task = panel_task(panel.take([0, 1]), horizon=4)
    model = npseq.Model("gru", task.input_size, 2, 4, loss="mae", rng=0)
    member = model, ensemble.begin(task, seed=0)

    def fit(self, known, asked):
        given.append(known.lengths.tolist())
        self.members = [member]
        return self

    monkeypatch.setattr(PanelForecaster, "fit", fit)
    found = PanelForecaster({}).cross_validation(panel, ASKED, 4, 2, 2, refit)
    assert given == [*rows] and list(found) == ["unique_id", "ds", "cutoff", "y", "npseq"]
    ends = [(0, 54), (1, 40), (0, 56), (1, 42), (2, 2)]  # of 6 rows the first window needs more than 6
    assert found.unique_id.tolist() == [f"s{k}" for k, _ in ends for _ in range(4)]
    assert found.cutoff.tolist() == [end for _, end in ends for _ in range(4)]  # rows are counted from 1
    assert found.ds.tolist() == [end + 1 + step for _, end in ends for step in range(4)]
    actual = [panel.values[panel.rows(k), 0][end : end + 4] for k, end in ends]
    assert np.array_equal(found.y, np.concatenate(actual)) and np.isfinite(found.npseq).all()
    with pytest.raises(DataError, match="no series has more than 80 rows"):
        PanelForecaster({}).cross_validation(panel, ASKED, 4, 20, 4, refit)


@pytest.fixture(scope="module")
def fitted():
    y = np.random.default_rng(0).normal(size=80).cumsum()
    times = np.datetime64("2024-01-01") + np.arange(80)
    asked = {"epochs": 1, "hidden_size": 2, "window": 2, "base": "last", "refit": False}
    return npseq.Forecaster("gru", **asked).fit({"when": times, "y": y, "x": -y}, "y", time="when"), times, y


def test_windows_of_one_series_are_forecast_from_the_rows_before_each(fitted, monkeypatch):
    made, times, y = fitted
    trained = []
    monkeypatch.setattr(npseq.Forecaster, "_trained", lambda self, table, asked: trained.append(100 * (asked["horizon"] or 0) + len(table.values)) or made)  # fmt: skip
    found = made.cross_validation(h=3, n_windows=3, step_size=2)
    assert trained == [373, 375, 377] and list(found) == ["unique_id", "ds", "cutoff", "y", "npseq"]
    rows = np.concatenate([end + np.arange(3) for end in (73, 75, 77)])
    assert np.array_equal(found.ds, times[rows]) and np.array_equal(found.y, y[rows])
    assert np.array_equal(found.cutoff, times[np.repeat([72, 74, 76], 3)]) and set(found.unique_id) == {"y"}
    assert np.allclose(found.npseq[::3], y[[72, 74, 76]], atol=1)  # nearly the last value
    trained.clear()
    assert found.equals(made.cross_validation(h=3, n_windows=3, step_size=2, refit=False)) and trained == [373]
    trained.clear()
    assert made.cross_validation(h=2, n_windows=2).ds.tolist() == list(times[[76, 77, 78, 79]].astype("M8[ns]"))
    trained.clear()
    monkeypatch.setattr(drawing, "score", lambda members, table, steps, interval: {"of": (len(table.values), steps)})
    assert made.backtest(2, 3) == [{"rows": 68, "of": (68, 3)}, {"rows": 80, "of": (80, 3)}] and len(trained) == 2
    with pytest.raises(DataError, match="80 rows; more than 80 expected"):
        made.cross_validation(h=4, n_windows=20)
    with pytest.raises(DataError, match="n_windows 0 given"):
        made.cross_validation(n_windows=0)
    with pytest.raises(DataError, match="own values"):
        made._validated(made._table, {**ASKED, "inputs": ["x"]}, 1, [1], True)
