"""Forecasts of many series: closed forms, one network, their shares and intervals."""

from types import SimpleNamespace

import numpy as np
import pytest

import npseq
from npseq.data.errors import DataError
from npseq.data.panel import Panel
from npseq.forecast.panel import closed_forms, combination, ensemble
from npseq.forecast.panel.closed_forms import Season
from npseq.forecast.panel.forecaster import PanelForecaster, on_panels
from npseq.forecast.panel.series import Many
from npseq.forecast.panel.task import panel_task
from npseq.training.config import TrainingConfig
from npseq.training.run import TrainingRun

SEASON = 12


def panel_of(series):
    """A panel without times of name -> values."""
    starts = np.append(0, np.cumsum([len(y) for y in series.values()]))
    values = np.concatenate(list(series.values()))[:, None].astype(float)
    return Panel("made", list(series), values, ["y"], starts, [None] * len(series), all_columns=["y"])


def series(rows, seed=0, level=10.0):
    rng = np.random.default_rng(seed)
    t = np.arange(rows)
    return level * (3 + np.sin(2 * np.pi * t / SEASON) + 0.1 * rng.normal(size=rows))


def odd():
    """Seven series with a season, and six that are difficult."""
    made = {f"s{k}": series(150 - 9 * k, k, 10.0**k) for k in range(7)}
    made |= {"nothing": np.full(40, np.nan), "constant": np.full(60, 5.0), "one": np.array([3.0]), "short": series(9)}
    return made | {"huge": series(100, 8, 1e12), "counts": np.random.default_rng(1).poisson(0.3, 120).astype(float)}


def trained(panel, horizon=6, seed=0):
    task = panel_task(panel, horizon=horizon)
    run = TrainingRun(task, TrainingConfig.of("panel", model="gru", hidden_size=4, epochs=1, seed=seed))
    run.train()
    return run.model, ensemble.finish(run.model, task, seed=seed)


@pytest.fixture(scope="module")
def member():
    return trained(panel_of(odd()))


def test_difficult_series_are_left_out_by_name_or_forecast_without_nan(member):
    found = ensemble.PanelEnsemble([member], panel_of(odd())).predict(20)
    assert list(found.left_out) == ["nothing"] and found.ids == [name for name in odd() if name != "nothing"]
    for array in (found.mean, found.low[0.9], found.high[0.9], found.closed, found.network):
        assert array.shape == (12, 20) and np.isfinite(array).all()
    assert (found.low[0.9] <= found.mean).all() and (found.mean <= found.high[0.9]).all()
    assert (found.low[0.9] >= 0).all()
    assert np.allclose(found.mean[found.ids.index("constant")], 5)
    assert np.allclose(found.mean[found.ids.index("one")], 3)
    for k in (*range(7), "huge"):
        name = f"s{k}" if k != "huge" else k
        expected = series(300, 0, {"huge": 1e12}.get(k) or 10.0**k)[len(odd()[name]) :][:20]
        assert np.abs(found.mean[found.ids.index(name)] / expected - 1).mean() < 0.15


@pytest.mark.wide
def test_the_order_of_the_series_changes_nothing(member):
    made = odd()
    other = dict(reversed(made.items()))
    model, kept = trained(panel_of(other))
    assert np.array_equal(model.theta, member[0].theta) and kept.errors == member[1].errors
    a = ensemble.PanelEnsemble([member], panel_of(made)).predict(6)
    b = ensemble.PanelEnsemble([(model, kept)], panel_of(other)).predict(6)
    assert a.ids == b.ids[::-1] and np.array_equal(a.mean, b.mean[::-1])
    assert np.array_equal(a.low[0.9], b.low[0.9][::-1])


def test_a_series_that_the_training_has_not_seen_is_forecast_like_the_others(member):
    y = series(160, 20, 70.0)
    whole = ensemble.PanelEnsemble([member], panel_of({"new": y[:140]})).predict(6)
    assert np.abs(whole.mean / y[140:146] - 1).mean() < 0.15
    season = ensemble.PanelEnsemble([member], panel_of({"new": y[:SEASON]})).predict(6)
    assert np.isfinite(season.mean).all() and (season.high[0.9] > season.low[0.9]).all()
    # without rolling origins the shares are those of all series
    known = member[1].known
    part = combination.Parts(np.zeros((2, 0, 6)), np.zeros((2, 6)), np.zeros((0, 6)), 1.0)
    assert np.allclose(combination.shares(part, known), known.typical**-2 / (known.typical**-2).sum())


def test_metadata_come_back_from_json(member):
    model, kept = member
    from npseq.formats import model_file
    from npseq.tasks.metadata import Metadata

    again = Metadata.from_json({**model_file.describe(model), **kept.to_json()})
    assert again.recipe == kept.recipe and np.array_equal(again.quantiles, kept.quantiles)
    with pytest.raises(ValueError, match="weights"):
        Metadata.from_json(
            {**model_file.describe(model), **kept.to_json(), "recipe": {**kept.recipe.to_json(), "weights": []}}
        )


def test_closed_forms_are_right_where_the_series_is():
    t = np.arange(200)
    line, waves = 5 + 2.0 * t, 3 + np.sin(2 * np.pi * t / SEASON)
    cuts = np.array([150, 170])
    for y in (line, waves):
        past, ahead = closed_forms.forms(y[:190], Season(SEASON), cuts, 10, 10).combined()
        assert np.abs(past - y[cuts[:, None] + np.arange(10)]).max() < 0.02 * np.ptp(y)
        assert np.abs(ahead - y[190:]).max() < 0.02 * np.ptp(y)


def test_forecasts_from_an_origin_read_nothing_after_it():
    y = series(200)
    cuts = np.array([150, 162])
    found = closed_forms.forms(y, Season(SEASON), cuts, 10, 10).past
    changed = np.append(y[:150], y[150:] * 3)
    assert np.array_equal(closed_forms.forms(changed, Season(SEASON), cuts, 10, 10).past[0], found[0])


def test_many_zeros_bring_a_closed_form_for_counts():
    y = np.random.default_rng(0).poisson(0.5, 300).astype(float)
    without = closed_forms._simple(y + 1, 300, Season(1), np.array([300]), 3)
    among = closed_forms._simple(y, 300, Season(1), np.array([300]), 3)
    assert among.shape[1] == without.shape[1] + 1 and 0.3 < among[0, -1, 0] < 0.7


def test_shares_follow_the_errors_of_each_series():
    actual = np.zeros((3, 4))
    part = combination.Parts(np.stack([actual + 1, actual + 2]), np.zeros((2, 4)), actual, 1.0)
    sure = combination.Errors(np.array([1.0, 2.0]))
    assert np.allclose(combination.shares(part, sure), [0.8, 0.2])
    assert combination.shares(part, combination.Errors(np.ones(2)))[0] < 0.8  # shrunk


def test_gaps_are_filled_from_the_season_before():
    panel = panel_of({"a": series(60), "b": series(60, 1)})
    panel.filled = np.zeros((120, 1), bool)
    panel.filled[40:43] = True
    many = Many.of(panel, season=Season(SEASON))
    assert np.array_equal(many.values[0][40:43], many.values[0][28:31]) and many.missing[0].sum() == 3


def test_a_forecaster_of_a_panel_gives_arrays_by_name_and_comes_back_from_files(tmp_path):
    panel, path = panel_of({f"s{k}": series(90 - 9 * k, k) for k in range(3)}), tmp_path / "m.pth"
    made = PanelForecaster({"model": "gru", "hidden_size": 4, "epochs": 1})
    with pytest.raises(DataError, match="no data"):
        made.known()
    with pytest.raises(DataError, match="one column is forecast"):
        made.fit(panel, {"target": ["y", "z"], "horizon": 4})
    made.fit(panel, {"target": ["y"], "horizon": 4}, {"time": "when"}).save(path)
    found = made.predict(3, interval=[0.5, 0.9])
    assert list(found) == panel.ids and made.notes == [] and made.members[0][1].columns == {"time": "when"}
    assert all((rows[:, [3, 1, 0, 2, 4]] == np.sort(rows)).all() and rows.shape == (3, 5) for rows in found.values())
    plain = made.predict()
    assert all(np.allclose(plain[name][:3], rows[:, 0]) and len(plain[name]) == 4 for name, rows in found.items())
    again = PanelForecaster.load([path, path], {})
    again.panel = panel
    assert all(np.allclose(again.predict(3, interval=[0.5, 0.9])[name], rows) for name, rows in found.items())
    assert (again.window, again.asked) == (8, {"target": ["y"], "horizon": 4, "inputs": None, "future": None})
    with pytest.raises(DataError, match="2 models"):
        again.save(path)
    with pytest.raises(DataError, match="future given"):
        made.predict(future=1)
    scored = made.score(3)
    assert (scored["steps"], scored["coverage"], len(scored["series"])) == (3, 0.9, 3)
    truth, past = panel.values[panel.rows(1), 0][-3:].copy(), panel.without_last(3)
    errors = truth - ensemble.PanelEnsemble(made.members, past).predict(3).mean[1]
    y = past.values[past.rows(1), 0]
    change = np.abs(y[SEASON:] - y[:-SEASON]).mean()
    assert np.isclose(scored["series"][1]["mase"], np.abs(errors).mean() / change)
    gap, panel.filled = panel.rows(1).stop - 2, np.zeros((len(panel.values), 1), bool)
    panel.filled[gap], panel.values[gap] = True, 1e9
    assert np.isclose(made.score(3)["series"][1]["mase"], np.abs(errors[[0, 2]]).mean() / change)  # of what is known
    panel.filled, panel.values[gap] = None, truth[1]
    order = sorted(scored["series"], key=lambda one: -one["mase"])
    assert scored["worst"] == [one["unique_id"] for one in order]
    assert np.isclose(scored["share_better"], np.mean([one["mase"] < one["mase_seasonal_naive"] for one in order]))
    naive = np.mean([np.abs(y[-3:] - y[-4]).mean() / np.abs(y[SEASON:-3] - y[: -3 - SEASON]).mean()
                     for y in (panel.values[panel.rows(k), 0] for k in range(3))])  # fmt: skip
    assert np.isclose(scored["scores"]["naive"]["mase"], naive)
    made.panel = panel.append(panel_of({"s1": np.ones(2), "new": series(50, 7)}))
    assert list(made.predict(1)) == [*panel.ids, "new"]


def test_a_method_of_a_forecaster_is_that_of_its_panel_and_returns_the_forecaster_itself():
    class Either:
        @on_panels
        def update(self):
            return "one"

        @on_panels
        def predict(self, steps):
            return "one"

    one, many, own = Either(), Either(), SimpleNamespace(predict=lambda steps: steps)
    own.update, one._panel, many._panel = lambda: own, None, own
    assert many.update() is many and many.predict(3) == 3 and one.update() == one.predict(3) == "one"


def test_too_few_rows_are_refused():
    with pytest.raises(DataError, match="needs"):
        panel_task(panel_of({"a": np.arange(9.0), "b": np.arange(9.0)}), horizon=20)
    with pytest.raises(DataError, match="no series"):
        panel_task(panel_of({"a": np.full(9, np.nan), "b": np.full(9, np.nan)}))


@pytest.fixture(scope="module")
def forecaster():
    pd = pytest.importorskip("pandas")
    frames = [
        pd.DataFrame({"unique_id": f"s{k}", "ds": pd.date_range("2024-01-01", periods=n, freq="MS"), "y": series(n, k)})
        for k, n in enumerate((90, 80, 70))
    ]
    frame = pd.concat(frames)
    return npseq.Forecaster("gru", epochs=1, hidden_size=4).fit(frame, horizon=4), frame


@pytest.mark.wide
def test_a_forecaster_of_a_long_frame_gives_one_in_the_field_s_form(forecaster, tmp_path):
    made, frame = forecaster
    found = made.predict(6, interval=[0.5, 0.9])
    assert list(found) == ["unique_id", "ds", "npseq", "npseq-lo-50", "npseq-hi-50", "npseq-lo-90", "npseq-hi-90"]
    assert str(found.ds[0]) == "2031-07-01 00:00:00" and len(found) == 18
    made.save(tmp_path / "m.pth")
    again = npseq.Forecaster.load(tmp_path / "m.pth").update(frame)
    assert again.predict(6, interval=[0.5, 0.9]).equals(found)
    later = frame.iloc[:2].assign(ds=found.ds[:2].to_numpy(), y=[30.0, 31.0])
    assert again.update(later).predict(1).ds[0] == found.ds[2]
    with pytest.raises(DataError, match="one series"):
        made.stream()
    with pytest.raises(DataError, match="2 targets given"):
        made.fit(frame.assign(x=1.0), ["y", "x"])
    found = made.score(4)
    assert found["share_better"] is not None
    assert f"<td>{found['scores']['npseq']['mase']:.3f}</td>" in found._repr_html_() and "gru" in made._repr_html_()
    pytest.importorskip("matplotlib")
    for picture, steps in ((made.plot(6), 6), (made.plot(5, interval=0.5), 5), (found.plot(), 4)):
        assert [one.get_title(loc="left") for one in picture.axes[:3]] == ["s0", "s1", "s2"]
        assert len(picture.axes[0].lines[1].get_xdata()) == steps


@pytest.mark.wide
def test_cross_validation_forecasts_each_window_from_the_rows_before_its_cutoff(forecaster):
    made, frame = forecaster
    found = made.cross_validation(h=3, n_windows=2, step_size=2, refit=False)
    assert list(found) == ["unique_id", "ds", "cutoff", "y", "npseq"] and len(found) == 3 * 2 * 3
    assert (found.cutoff < found.ds).all() and found.cutoff.nunique() == 2 * 3
    merged = found.merge(frame, on=["unique_id", "ds"])
    assert np.array_equal(merged.y_x, merged.y_y) and len(merged) == len(found)
    changed = frame.reset_index(drop=True)
    late = changed.groupby("unique_id").cumcount(ascending=False) < 2
    changed.loc[late, "y"] *= 100
    other = npseq.Forecaster("gru", epochs=1, hidden_size=4).cross_validation(changed, 3, 2, 2, refit=False)
    first = found.groupby("unique_id").head(3).npseq.to_numpy()
    assert np.array_equal(other.groupby("unique_id").head(3).npseq, first)


@pytest.mark.wide
def test_one_series_in_long_form_is_a_plain_table():
    pd = pytest.importorskip("pandas")
    plain = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=120, freq="D"), "y": series(120)})
    forecasts = [
        npseq.Forecaster("gru", epochs=1).fit(frame).predict(5).to_numpy()
        for frame in (plain, plain.assign(unique_id="a"))
    ]
    assert np.array_equal(*forecasts)
    found = npseq.Forecaster("gru", epochs=1).cross_validation(plain, h=3, n_windows=2)
    assert list(found) == ["unique_id", "ds", "cutoff", "y", "npseq"] and len(found) == 6
    assert np.array_equal(found.y, plain.y[-6:])


@pytest.mark.wide
def test_ids_and_zoned_times_of_a_forecast_have_the_types_of_the_data():
    pd = pytest.importorskip("pandas")
    times = pd.date_range("2024-03-29", periods=60, freq="h", tz="Europe/Berlin")
    frame = pd.DataFrame({"unique_id": np.repeat([7, 8], 60), "ds": np.tile(times, 2), "y": np.tile(series(60), 2)})
    made = npseq.Forecaster("gru", epochs=1, hidden_size=2, num_layers=1)
    for ids in (frame.unique_id, frame.unique_id.astype("category"), frame.unique_id.map(str).astype("category")):
        own = frame.assign(unique_id=ids)
        last = own.groupby("unique_id", observed=True).tail(3)
        found = made.fit(own.drop(last.index), horizon=3).predict()
        assert found.dtypes["unique_id"] == own.dtypes["unique_id"] and str(found.dtypes["ds"]) == str(own.dtypes["ds"])
        assert len(found.merge(last, on=["unique_id", "ds"])) == 6
    made.fit(frame.drop(index=[57, 58, 59]), horizon=3).update(frame.iloc[[57]])  # a single row
    assert made.predict(1).ds.tolist() == [times[58], times[59] + pd.Timedelta("1h")]
    windows = made.cross_validation(frame, h=2)
    assert str(windows.dtypes["cutoff"]) == str(frame.dtypes["ds"]) and windows.dtypes["unique_id"] == np.int64


@pytest.mark.wide
def test_rows_of_arrays_follow_those_of_their_series():
    made = npseq.Forecaster("gru", epochs=1, hidden_size=2, num_layers=1)
    wide = {"a": np.stack([series(70), series(70, 1)], axis=1), "b": np.stack([series(60), series(60, 2)], axis=1)}
    made.fit({one: values[:-3] for one, values in wide.items()}, horizon=3, future="x1")
    ahead = {one: values[-3:, 1] for one, values in wide.items()}
    found = made.predict(future=ahead)
    assert {one: len(values) for one, values in found.items()} == {"a": 3, "b": 3}
    made.update({one: values[-3:-1] for one, values in wide.items()})
    assert [len(table.values) for table in made._panel.panel] == [69, 59]
    assert np.array_equal(made._panel.panel.series(1).values, wide["b"][:-1])
    assert len(made.predict(future={one: values[-1:] for one, values in ahead.items()})["b"]) == 1
