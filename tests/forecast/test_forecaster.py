"""``Forecaster``: the file, the forecasts and the scores are the commands'; data of every form; what is refused."""

import csv
import dataclasses
import inspect
import json
from dataclasses import replace

import numpy as np
import pytest
from running import ended

import npseq
from npseq.cli import evaluate, predict, training_run
from npseq.data.errors import DataError
from npseq.formats.unpickler import CheckpointError
from npseq.training.config import TrainingConfig

AUTO = {"epochs": 2, "hidden_size": 5, "window": 6}
SMALL = {**AUTO, "base": "last"}  # where the choice of a base is not what is tested


@pytest.fixture(scope="module")
def fitted(small_csv):
    return npseq.Forecaster("gru", **AUTO).fit(small_csv, target="load")


@pytest.fixture(scope="module")
def series():
    """(400, 2): a rhythm that follows the second column one row later, which follows nothing."""
    rng = np.random.default_rng(3)
    known = rng.normal(size=400)
    return np.stack([10 + 3 * np.sin(np.arange(400) * np.pi / 12) + 2 * known, known], axis=1)


def test_the_settings_are_those_of_the_command():
    defaults = vars(training_run.parser().parse_args([]))
    assert {name: defaults[name] for name in vars(TrainingConfig())} == vars(TrainingConfig())


@pytest.mark.parametrize(
    "base, horizon",
    [("seasonal", 3), *(pytest.param("auto", horizon, marks=pytest.mark.wide) for horizon in (1, 3))],
)
def test_its_file_is_that_of_the_command(tmp_path, small_csv, base, horizon):
    words = f"--model gru --epochs 2 --hidden-size 5 --window 6 --base {base} --target load --quiet".split()
    words += ["--horizon", str(horizon), "--data", small_csv, "--out-dir", str(tmp_path)]
    assert training_run.main(words) == 0
    npseq.Forecaster("gru", **{**AUTO, "base": base}).fit(small_csv, target="load", horizon=horizon).save(
        tmp_path / "own.pth"
    )
    assert (tmp_path / "own.pth").read_bytes() == (tmp_path / "rnn_gru_best.pth").read_bytes()


@pytest.mark.parametrize(
    "other",
    [
        {"base": "none"},
        pytest.param({"lags": [24], "optimizer": "sgd"}, marks=pytest.mark.wide),
        pytest.param({"optimizer": "lbfgs"}, marks=pytest.mark.wide),
    ],
)
def test_so_it_is_with_other_options(tmp_path, small_csv, other):
    words = [part for name, value in other.items() for part in (f"--{name}", str(np.atleast_1d(value)[0]))]
    words += "--model rnn --epochs 1 --hidden-size 5 --quiet".split()
    assert training_run.main([*words, "--data", small_csv, "--out-dir", str(tmp_path)]) == 0
    npseq.Forecaster("rnn", epochs=1, hidden_size=5, **other).fit(small_csv).save(tmp_path / "own.pth")
    assert (tmp_path / "own.pth").read_bytes() == (tmp_path / "rnn_rnn_best.pth").read_bytes()


@pytest.mark.wide
def test_forecasts_and_scores_are_those_of_the_commands(tmp_path, fitted, small_csv, capsys):
    fitted.save(file := str(tmp_path / "m.pth"))
    out = str(tmp_path / "out.csv")
    assert predict.main([file, "--data", small_csv, "--steps", "5", "--interval", "0.9", "--output", out]) == 0
    with open(out) as rows:
        written = np.array([row[2:] for row in list(csv.reader(rows))[1:]], float)
    assert np.allclose(fitted.predict(5, interval=0.9), written, rtol=1e-9)
    assert np.array_equal(fitted.predict(5), fitted.predict(5, interval=0.9)[:, 0])
    words = [file, "--data", small_csv, "--steps", "5", "--output", out]
    assert predict.main([*words, "--quantiles", "0.5,0.05,0.9,0.95"]) == 0
    with open(out) as rows:
        header, *quantiles = csv.reader(rows)
    assert header[2:] == ["load", "load_q0.5", "load_q0.05", "load_q0.9", "load_q0.95"]
    quantiles = np.array([row[2:] for row in quantiles], float)
    assert np.array_equal(quantiles[:, [0, 0]], quantiles[:, :2]) and np.allclose(quantiles[:, [2, 4]], written[:, 1:])
    assert (np.diff(quantiles[:, [2, 1, 3, 4]]) >= 0).all()
    assert predict.main([*words, "--interval", "0.8,0.95"]) == 0
    assert "load_low_80,load_high_80,load_low_95,load_high_95" in open(out).readline()
    assert ended(predict.main, [*words, "--interval", "0.8", "--quantiles", "0.5"]) == 2
    capsys.readouterr()
    assert evaluate.main([file, "--data", small_csv, "--quantiles", "0.05,0.95"]) == 0
    assert "share of the values below each quantile: 0.05 " in capsys.readouterr().out
    assert evaluate.main([file, "--data", small_csv, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(fitted.score()))


def test_a_loaded_one_gives_the_same(tmp_path, fitted, small_csv):
    fitted.save(tmp_path / "m.pth")
    loaded = npseq.Forecaster.load(tmp_path / "m.pth").update(small_csv)
    assert np.array_equal(loaded.predict(4, interval=0.8), fitted.predict(4, interval=0.8))
    assert loaded.score() == fitted.score()
    both = npseq.Forecaster.load(tmp_path / "m.pth", tmp_path / "m.pth").update(small_csv)
    assert np.allclose(both.predict(4), fitted.predict(4))


@pytest.mark.wide
def test_a_loaded_one_knows_the_settings_it_was_made_with(tmp_path, series):
    more = {"lr": 0.002, "seed": 3, "base": "linear", "log": "no", "steps": 5, "refit": False, "lags": [3, 7]}
    made = npseq.Forecaster("rnn", **{**SMALL, **more}).fit(series, target=1, inputs=0, horizon=2)
    made.save(tmp_path / "m.pth")
    loaded = npseq.Forecaster.load(tmp_path / "m.pth")
    assert repr(loaded) == repr(made).partition("\n")[0]
    for again in (npseq.Forecaster.load(tmp_path / "m.pth"), npseq.Forecaster.load(*[tmp_path / "m.pth"] * 2)):
        again.fit(series, target=1, inputs=0, horizon=2).save(tmp_path / "again.pth")
        assert (tmp_path / "again.pth").read_bytes() == (tmp_path / "m.pth").read_bytes()
    assert loaded.update(series).backtest(1) == made.backtest(1)
    assert (
        repr(npseq.Forecaster("rnn", epochs=1, hidden_size=5).fit(series))
        == "Forecaster(model='rnn', epochs=1, hidden_size=5)"
    )


@pytest.mark.parametrize("settings", [{"epochs": 0}, {"speed": 2}, {"base": "none", "lags": "x"}])
def test_settings_of_a_file_that_are_invalid_are_refused(tmp_path, fitted, settings):
    other = npseq.Forecaster()
    other.members = [(model, replace(trained, settings=settings)) for model, trained in fitted.members]
    other.save(tmp_path / "m.pth")
    with pytest.raises(CheckpointError, match="its settings are invalid: .*expected"):
        npseq.Forecaster.load(tmp_path / "m.pth")


def test_updated_rows_are_as_if_they_had_been_there(series):
    forecaster = npseq.Forecaster("gru", **SMALL).fit(series[:380])
    forecaster.update(series[380:390]).update(series[390:])
    other = npseq.Forecaster("gru", **SMALL).fit(series[:380])
    assert np.array_equal(forecaster.predict(), other.update(series[380:]).predict())
    assert not np.array_equal(forecaster.predict(), npseq.Forecaster("gru", **SMALL).fit(series[:380]).predict())


def test_a_stream_gives_what_predict_gives(series):
    forecaster = npseq.Forecaster("gru", **SMALL).fit(series[:380, 0])
    stream = forecaster.stream()
    for row in series[:380]:
        last = stream.step(row[:1])
    assert np.allclose(last.reshape(-1), forecaster.predict(1), rtol=1e-5)


@pytest.mark.wide
def test_backtest_trains_at_each_origin(series, tmp_path, capsys):
    forecaster = npseq.Forecaster("rnn", **SMALL).fit(series[:, 0])
    kept = forecaster.predict(2)
    found = forecaster.backtest(2, steps=2)
    assert [part["rows"] for part in found] == [340, 400] and np.array_equal(forecaster.predict(2), kept)
    alone = npseq.Forecaster("rnn", **SMALL).fit(series[:340, 0]).score(steps=2, interval=None)
    assert found[0]["model"] == alone["model"] and "interval" not in found[0]
    np.savetxt(tmp_path / "t.csv", series[:, 0], header="y", comments="")
    words = "--backtest 2 --model rnn --base last --epochs 2 --hidden-size 5 --window 6".split()
    assert training_run.main([*words, "--data", str(tmp_path / "t.csv")]) == 0
    rmse = [float(line.split()[4]) for line in capsys.readouterr().out.splitlines()[1:3]]  # after "the target"
    assert np.allclose(rmse, [part["model"]["rmse"] for part in found], rtol=1e-3)


@pytest.mark.wide
def test_what_is_known_ahead_in_every_form(series):
    names = npseq.data.load(series).columns
    ahead = np.array([2.0, -2.0, 0.0])
    found = npseq.Forecaster("gru", **AUTO).fit(series, future=names[1]).predict(future=ahead)
    assert found.shape == (3,) and found[0] - found[1] > 4  # it reads them
    columns = {"at": np.datetime64("2024-01-01T00") + np.arange(400), "y": series[:, 0], "known": series[:, 1]}
    forecaster = npseq.Forecaster("gru", **SMALL).fit(columns, "y", future="known")
    times = columns["at"][-1] + np.arange(1, 4)
    first = forecaster.predict(future={"known": ahead})
    assert np.array_equal(first, forecaster.predict(future={"at": times, "known": ahead}))
    assert np.array_equal(first, forecaster.predict(future=ahead))
    assert np.array_equal(first[:2], forecaster.predict(2, future=ahead))
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(columns).set_index("at")
    forecaster = npseq.Forecaster("gru", **SMALL).fit(frame, "y", future="known")
    found = forecaster.predict(future=pd.DataFrame({"known": ahead}, index=pd.DatetimeIndex(times, name="at")))
    assert np.allclose(found["y"], first) and (found.index == times).all()


def test_a_frame_in_a_frame_out(series):
    pd = pytest.importorskip("pandas")
    hours = pd.date_range("2024-01-01", periods=400, freq="h", name="at", tz="Europe/Oslo")
    frame = pd.DataFrame(series, index=hours, columns=["a", "b"])
    forecaster = npseq.Forecaster("gru", **SMALL).fit(frame.iloc[:390], target=["a", "b"])
    found = forecaster.predict(3, interval=0.9)
    assert list(found.columns) == ["a", "a_low", "a_high", "b", "b_low", "b_high"]
    assert found.index.equals(hours[390:393]) and (found["a_low"] < found["a_high"]).all()
    assert forecaster.update(frame.iloc[390:395]).predict(1).index[0] == hours[395]
    one = npseq.Forecaster("gru", **SMALL).fit(frame["a"])
    assert list(one.predict(2).columns) == ["a"] and one.update(frame["a"].iloc[:0]).predict(2).index[0] > hours[-1]


def test_on_epoch_sees_each_epoch(series):
    seen = []
    forecaster = npseq.Forecaster("rnn", **SMALL)
    forecaster.fit(series, on_epoch=lambda progress, improved: seen.append(progress.epoch))
    assert seen == [1, 2] and len(forecaster.progress.history) == 2


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"lr": -1}, "lr -1; a finite number greater than 0"),
        ({"epochs": 0}, "epochs 0"),
        ({"epochs": True}, "epochs True"),
        ({"model": "transformer"}, "one of rnn"),
        ({"optimizer": "adamm"}, "optimizer 'adamm'"),
        ({"dropout": 1.0}, "dropout 1.0"),
    ],
)
def test_wrong_settings_are_named(setting, words):
    with pytest.raises(ValueError, match=words):
        npseq.Forecaster(**setting)


@pytest.mark.wide
def test_what_cannot_be_done_is_said(series, fitted, tmp_path, small_csv):
    with pytest.raises(TypeError, match="'hiden_size'"):
        npseq.Forecaster(hiden_size=3)
    for call in ("predict", "score", "backtest", "stream"):
        with pytest.raises(DataError, match="fit|models"):
            getattr(npseq.Forecaster(), call)()
    fitted.save(tmp_path / "m.pth")
    loaded = npseq.Forecaster.load(tmp_path / "m.pth")
    with pytest.raises(DataError, match="update"):
        loaded.predict(1)
    with pytest.raises(DataError, match="no column ahead"):
        fitted.predict(2, future=[1.0, 2.0])
    with pytest.raises(DataError, match="a file: read it"):
        fitted.update([[1.0]])
    forecaster = npseq.Forecaster("rnn", **SMALL).fit(series)
    with pytest.raises(DataError, match=r"\(3,\) given; \(n, 2\) expected"):
        forecaster.update(np.zeros(3))
    before = forecaster.predict(2)
    with pytest.raises(DataError):
        forecaster.update(np.full((2, 2), 1e200))
    assert np.array_equal(forecaster.predict(2), before)  # nothing was appended
    with pytest.raises(DataError, match="cannot be fed back"):
        npseq.Forecaster("rnn", **SMALL).fit(series, inputs=npseq.data.load(series).columns[1]).predict(3)
    with pytest.raises(CheckpointError, match="no forecaster"):
        npseq.Forecaster.load(_adding(tmp_path))


def _adding(folder):
    words = "--data adding --length 4 --epochs 1 --hidden-size 2 --batch-size 512 --quiet --out-dir".split()
    assert training_run.main([*words, str(folder)]) == 0
    return folder / "rnn_lstm_best.pth"


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"window": 1.5}, "window 1.5; a whole number"),
        ({"lags": 24}, "lags 24; a list"),
        ({"lags": [1.5]}, r"lags \[1.5\]"),
        ({"base": None}, "base None; one of auto"),
        ({"scale": "x"}, "scale 'x'; one of standard"),
    ],
)
def test_so_are_wrong_inputs(setting, words):
    with pytest.raises(ValueError, match=words):
        npseq.Forecaster(**setting)


def test_numbers_of_numpy_are_numbers():
    forecaster = npseq.Forecaster(epochs=np.int64(2), lr=np.float32(0.5), window=np.int8(3), lags=np.array([1, 24]))
    assert forecaster.settings == {"model": "lstm", "epochs": 2, "lr": 0.5}
    assert forecaster._inputs["window"] == 3 and forecaster._inputs["lags"] == [1, 24]


def test_it_is_shown_with_what_was_given():
    assert repr(npseq.Forecaster("gru", epochs=2, lags=(24,))) == "Forecaster(model='gru', epochs=2, lags=[24])"


def test_no_forecast_of_no_steps_or_with_an_impossible_interval(series):
    forecaster = npseq.Forecaster("rnn", **SMALL).fit(series[:, 0])
    for steps in (0, -1, 1.5, "3", True):
        for call in (forecaster.predict, forecaster.score, lambda k: forecaster.backtest(1, k), forecaster.backtest):
            with pytest.raises(ValueError, match="whole number from 1"):
                call(steps)
        with pytest.raises(ValueError, match="whole number from 1"):
            forecaster.fit(series, horizon=steps)
    for interval in (0, 1, -0.1, 90, "a"):
        with pytest.raises(DataError, match="between 0 and 1"):
            forecaster.predict(1, interval=interval)
        with pytest.raises(DataError, match="between 0 and 1"):
            forecaster.score(interval=interval)


def test_rows_without_a_target_at_the_end_are_the_future(series):
    names = npseq.data.load(series).columns
    whole = np.concatenate([series, [[np.nan, 2.0], [np.nan, -2.0]]])
    forecaster = npseq.Forecaster("gru", **AUTO).fit(whole, future=names[1])
    found = forecaster.predict()
    assert found.shape == (2,) and found[0] - found[1] > 4 and np.array_equal(forecaster.predict(1), found[:1])
    forecaster.update([[5.0, 0.0]])
    with pytest.raises(DataError, match="future is missing"):
        forecaster.predict()


def test_before_fit_there_is_no_file_and_no_stream(tmp_path):
    for call in (npseq.Forecaster().stream, lambda: npseq.Forecaster().save(tmp_path / "m.pth")):
        with pytest.raises(DataError, match="not trained: call fit"):
            call()


def test_an_interrupted_training_leaves_the_forecaster_as_it_was(series):
    def interrupt(progress, improved):
        raise KeyboardInterrupt

    forecaster = npseq.Forecaster("rnn", **SMALL).fit(series[:, 0])
    before, progress = forecaster.predict(2), forecaster.progress
    with pytest.raises(KeyboardInterrupt):
        forecaster.fit(series[:, 1], on_epoch=interrupt)
    assert np.array_equal(forecaster.predict(2), before) and forecaster.progress is progress


def test_arrays_are_copied(series):
    values = series[:, 0].copy()
    forecaster = npseq.Forecaster("rnn", **SMALL).fit(values)
    before = forecaster.predict(2)
    values[:] = 0
    assert np.array_equal(forecaster.predict(2), before)


# ---- rows that come back ----


@pytest.mark.parametrize("form", ["frame", "dict", "text"])
def test_corrected_rows_move_the_forecast_and_are_told(series, form):
    pd = pytest.importorskip("pandas")
    hours = pd.date_range("2024-01-01", periods=400, freq="h", name="at")
    frame = pd.DataFrame({"y": series[:, 0], "x": series[:, 1]}, index=hours)
    if form == "text":  # dates that may be read in two ways
        frame = frame.set_axis(hours.strftime("%d/%m/%Y %H:%M").rename("at"))
    data, rows = frame.iloc[:390], frame.iloc[380:].copy()
    rows.iloc[:10, 0] += 100
    if form == "dict":
        data, rows = ({"at": f.index.to_numpy(), "y": f["y"].to_numpy(), "x": f["x"].to_numpy()} for f in (data, rows))
    forecaster = npseq.Forecaster("gru", **SMALL).fit(data, "y")
    before = forecaster.predict(2)
    forecaster.update(rows)
    whole = pd.concat([frame.iloc[:380], frame.iloc[380:390] + [100, 0], frame.iloc[390:]])
    if form == "dict":
        whole = {"at": whole.index.to_numpy(), "y": whole["y"].to_numpy(), "x": whole["x"].to_numpy()}
    other = npseq.Forecaster()
    other.members = forecaster.members
    assert np.array_equal(forecaster.predict(2), other.update(whole).predict(2))
    assert not np.allclose(forecaster.predict(2), before)
    told = "10 rows were there already; 10 of their values differ: the newer ones are taken"
    assert told in forecaster.notes and told in repr(forecaster)
    assert told not in forecaster.update(rows[:0] if form != "dict" else {k: v[:0] for k, v in rows.items()}).notes


def test_a_row_off_the_steps_is_refused_and_nothing_changes(series):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"y": series[:, 0]}, index=pd.date_range("2024-01-01", periods=400, freq="h"))
    forecaster = npseq.Forecaster("gru", **SMALL).fit(frame)
    before, notes = forecaster.predict(3), forecaster.notes
    for wrong in (frame.iloc[-1:].shift(freq="90min"), frame.iloc[:1].shift(freq="-1h"), frame.iloc[-1:].shift(9999)):
        wrong = wrong.set_axis(wrong.index) if wrong["y"].notna().all() else frame.iloc[-1:].shift(freq="9999h")
        with pytest.raises(DataError):
            forecaster.update(wrong)
        assert forecaster.predict(3).equals(before) and forecaster.notes == notes
    later = frame.iloc[-1:].shift(freq="h")
    assert forecaster.update(later).predict(1).index[0] == frame.index[-1] + pd.Timedelta("2h")


def test_the_notes_on_the_data_are_the_forecasters(series):
    columns = {"y": series[:, 0].copy(), "name": np.array(["a"] * 400)}
    columns["y"][50] = np.nan
    pytest.importorskip("pandas")
    forecaster = npseq.Forecaster("rnn", **SMALL)
    assert forecaster.notes == [] and "\n" not in repr(forecaster)
    forecaster.fit(columns)
    assert "non-numeric columns ignored: name" in forecaster.notes
    assert "1 gaps in y filled from the values before them" in forecaster.notes
    assert repr(forecaster).splitlines()[1:] == ["  " + note for note in forecaster.notes]
    forecaster.update({"y": [1.0], "name": ["b"]})
    assert len(forecaster.notes) == 2


def test_an_update_reads_the_new_rows_alone(series, monkeypatch):
    from npseq.forecast import rows

    forecaster = npseq.Forecaster("rnn", **SMALL).fit(series[:390])
    sizes, read = [], rows.read
    monkeypatch.setattr(rows, "read", lambda data, time: sizes.append(len(data)) or read(data, time))
    forecaster.update(series[390:])
    assert sizes == [rows.FEW + 10]


def test_every_setting_of_a_training_is_an_argument_of_its_own_with_the_documented_default():
    arguments = inspect.signature(npseq.Forecaster).parameters
    assert not [one for one in arguments.values() if one.kind is one.VAR_KEYWORD]
    for each in dataclasses.fields(TrainingConfig):
        assert arguments[each.name].default == each.default
