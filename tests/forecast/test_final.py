"""The base fitted again to all rows: where it is used, where it is not, and what it may cost."""

import json

import numpy as np
import pytest

import npseq
from npseq import data
from npseq.cli import evaluate, export, training_run
from npseq.forecast import ForecastTask, final
from npseq.forecast.ensemble import Ensemble
from npseq.forecast.final import Final
from npseq.forecast.metadata import load_forecast
from npseq.nn.model import Model
from npseq.tasks.scoring import shrunk_factor

N = 160


def growing(n=N):
    """A season that grows with the level, with a step up where the test part begins."""
    t = np.arange(n)
    rng = np.random.default_rng(0)
    y = np.exp(3 + 0.01 * t + 0.2 * np.sin(t * np.pi / 6) + rng.normal(0, 0.03, n))
    return {"time": np.datetime64("2010-01") + t, "y": y}


def until(stop, start=0, columns=None):
    return {name: values[start:stop] for name, values in (columns or growing(N + 40)).items()}


def fitted(**more):
    return npseq.Forecaster("gru", epochs=1, hidden_size=3, **more).fit(until(N), "y", time="time")


@pytest.fixture(scope="module")
def forecaster():
    return fitted()


@pytest.mark.wide
def test_what_is_forecast_after_the_last_row_stands_on_the_base_of_all_rows(forecaster):
    (model, kept) = forecaster.members[0]
    used_model, used = kept.in_use(model)
    assert kept.final.later == N - int(0.85 * N) and kept.final.until == str(growing()["time"][-1]) + "-01T00:00:00"
    assert used.final is None and used.range[0][1] == growing()["y"].max() > kept.range[0][1]
    expected = Ensemble([(used_model, used)], forecaster._table).predict(12).values[:, 0]
    assert np.array_equal(forecaster.predict(12), expected)
    base = Ensemble([(model, kept)], forecaster._table).predict(12).values[:, 0]
    actual = growing(N + 12)["y"][N:]
    errors = [np.sqrt(np.mean((found - actual) ** 2)) for found in (expected, base)]
    assert errors[0] < errors[1]


def test_scores_of_the_rows_of_the_training_stand_on_the_scored_base_and_later_rows_have_a_line(forecaster):
    one, more = fitted(refit=False), npseq.Forecaster()
    more.members = forecaster.members
    assert one.members[0][1].final is None
    assert one.score(steps=3) == forecaster.score(steps=3)
    more.update(until(N + 30))
    score = more.score(steps=3)
    later = score.pop("later")
    score["notes"], expected = [], forecaster.score(steps=3)
    expected["notes"] = []
    assert score == expected and later["rows"] == 30
    used = Ensemble(more.members, more._table, in_use=True)
    rows = np.arange(N, N + 30)
    error = np.sqrt(np.mean((used.direct(rows).values[:, 0, 0] - growing(N + 30)["y"][rows]) ** 2))
    assert np.isclose(later["model"]["rmse"], error)


@pytest.mark.parametrize("start, stop", [(0, N), (0, N + 30), (N + 1, N + 70)])
def test_rows_of_a_table_are_forecast_with_the_base_that_had_not_seen_them(forecaster, start, stop):
    table = data.load(until(stop, start, growing(N + 70)))
    found = Ensemble(forecaster.members, table, in_use=True).predict()
    scored, used = (Ensemble(forecaster.members, table, in_use=in_use) for in_use in (False, True))
    origins = np.arange(used.first, len(table.values) + 1)
    later = origins + start >= N
    assert later.any() and np.array_equal(found.rows, origins)
    for forecasts, rows in (scored, origins[~later]), (used, origins[later]):
        if len(rows):
            assert np.allclose(found.values[np.isin(origins, rows), 0], forecasts.direct(rows).values[:, 0, 0])


@pytest.mark.wide
def test_the_command_keeps_both_bases_and_prints_the_line(tmp_path, capsys):
    tables = {}
    for name, stop in (("short", N), ("long", N + 30)):
        data = until(stop)
        tables[name] = tmp_path / f"{name}.csv"
        tables[name].write_text("time,y\n" + "".join(f"{t}-01,{float(y)!r}\n" for t, y in zip(*data.values())))
    options = ["--model", "gru", "--epochs", "1", "--hidden-size", "3", "--data", str(tables["short"]), "--quiet"]
    sizes = {}
    for name, more in (("one", ["--no-refit"]), ("both", [])):
        (tmp_path / name).mkdir()
        assert training_run.main([*options, "--out-dir", str(tmp_path / name), *more]) == 0
        sizes[name] = (tmp_path / name / "rnn_gru_best.pth").stat().st_size
    assert 0 < sizes["both"] - sizes["one"] < 60_000
    path = str(tmp_path / "both" / "rnn_gru_best.pth")
    capsys.readouterr()
    assert evaluate.main([path, "--data", str(tables["long"])]) == 0
    assert (
        "30 examples after the rows of the training, with the base fitted again to all of them"
        in capsys.readouterr().out
    )
    model, kept = load_forecast(path)
    assert Final.from_json(json.loads(json.dumps(kept.final.to_json())), 1, 1).to_json() == kept.final.to_json()
    if kept.final.factor[0] < 1:
        onnx = pytest.importorskip("onnxruntime")
        assert export.main([path, "--to", str(tmp_path / "m.onnx"), "--with-scaler"]) == 0
        x = np.random.default_rng(0).normal(50, 9, (2, 5, model.config["input_size"])).astype(np.float32)
        (y,) = onnx.InferenceSession(str(tmp_path / "m.onnx")).run(None, {"x": x})
        assert np.allclose(y, kept.in_use(model)[0].predict(x), rtol=1e-5)


def test_an_interruption_while_refitting_leaves_the_scored_file(tmp_path, monkeypatch):
    data = until(N)
    (tmp_path / "t.csv").write_text("time,y\n" + "".join(f"{t}-01,{float(y)!r}\n" for t, y in zip(*data.values())))

    def stopped(self, stop):
        raise KeyboardInterrupt

    monkeypatch.setattr(ForecastTask, "refitted_base", stopped)
    options = ["--model", "gru", "--epochs", "1", "--hidden-size", "3", "--data", str(tmp_path / "t.csv"), "--quiet"]
    with pytest.raises(KeyboardInterrupt):
        training_run.main([*options, "--out-dir", str(tmp_path)])
    _, kept = load_forecast(str(tmp_path / "rnn_gru_best.pth"))
    assert kept.final is None and kept.residual_quantiles is not None


def test_a_correction_that_does_not_help_the_refitted_base_shrinks():
    rng = np.random.default_rng(1)
    y = {"y": np.convolve(rng.normal(size=603), [1, 0.5, 0.2, 0.1], "valid")}
    task = ForecastTask(npseq.Forecaster("gru", epochs=1, hidden_size=2).fit(y)._table, base="linear", window=6)
    model = Model("gru", task.input_size, 4, task.output_size, rng=0, scaling=task.scaling())
    model.fc.theta[...] = rng.normal(0, 0.5, model.fc.theta.shape)  # a correction by chance
    found = final.refitted(model, task)
    assert found.factor[0] == 0
    used = final.final_model(model, found.factor)
    assert not used.fc.theta.any() and model.fc.theta.any() and np.array_equal(used.rnn.theta, model.rnn.theta)
    model.fc.theta[...] = 0
    assert final.refitted(model, task).factor[0] == 1  # there is nothing to shrink
    assert shrunk_factor(np.ones((50, 1)), np.ones((50, 1)))[0] == 1


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda kept: kept.update(factor=[0.5, 0.5]), "factors"),
        (lambda kept: kept.update(factor=[1.5]), "factor"),
        (lambda kept: kept.update(until="then"), "a time expected"),
        (lambda kept: kept.update(base={}), "base"),
    ],
)
def test_an_invalid_final_base_is_refused(forecaster, change, words):
    kept = json.loads(json.dumps(forecaster.members[0][1].final.to_json()))
    change(kept)
    with pytest.raises(ValueError, match=words):
        Final.from_json(kept, 1, 1)
