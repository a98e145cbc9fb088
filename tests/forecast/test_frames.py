"""Predictions for a DataFrame keep its index, names, time zone and step."""

import numpy as np
import pytest

from npseq.cli import predict
from npseq.data.errors import DataError
from npseq.forecast.frames import predict_frame
from npseq.forecast.streaming import ForecastStream
from npseq.tasks.metadata import load_trained
from npseq.train import main

pd = pytest.importorskip("pandas")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The path of a model trained on a table of these dates."""

    def trained(dates, *options):
        folder = tmp_path_factory.mktemp("run")
        frame = pd.DataFrame({"x": np.sin(np.arange(len(dates)) / 3), "y": np.arange(len(dates)) % 5.0}, index=dates)
        frame.index.name = "day"
        frame.to_csv(folder / "t.csv")
        main(
            [
                *f"--data {folder / 't.csv'} --epochs 1 --hidden-size 4 --base last --quiet --out-dir {folder}".split(),
                *options,
            ]
        )
        return str(folder / "rnn_lstm_best.pth"), frame

    return trained


@pytest.mark.parametrize("freq", ["MS", "ME", "B", "h", "QE"])
def test_the_index_continues(trained, freq):
    dates = pd.date_range("2015-01-05", periods=120, freq=freq)
    file, frame = trained(dates[:114])
    forecast = predict_frame(file, frame, steps=6)
    assert forecast.index.equals(dates[114:]) and forecast.index.freq == dates.freq and forecast.index.name == "day"
    assert list(forecast.columns) == ["x"] and np.isfinite(forecast.to_numpy()).all()
    each = predict_frame(file, frame, interval=0.8)
    assert each.index[-1] == dates[114] and list(each.columns) == ["x", "x_low", "x_high"]
    assert (each["x_low"] < each["x_high"]).all() and each.index.isin(dates).all()


def test_periods_zones_and_columns_of_times(trained):
    months = pd.period_range("2015-01", periods=103, freq="M")
    file, frame = trained(months[:100].to_timestamp())
    periods = predict_frame(file, frame.set_axis(months[:100]), steps=3)
    assert periods.index.equals(months[100:])
    column = predict_frame(file, frame.reset_index(), steps=3)
    assert (
        column.index == months[100:].to_timestamp()
    ).all() and column.index.name == "day"  # pandas 2 has another unit
    hours = pd.date_range("2015-01-05", periods=100, freq="h", tz="Europe/Oslo", name="at")
    file, frame = trained(hours.tz_convert("UTC").tz_localize(None))
    assert predict_frame(file, frame.set_axis(hours), steps=2).index.tz is hours.tz


@pytest.mark.parametrize("steps", [None, 30])
def test_a_frame_gets_what_the_command_writes(trained, tmp_path, steps):
    file, frame = trained(pd.date_range("2024-01-01", periods=600, freq="h"))
    frame.to_csv(tmp_path / "t.csv")
    words = [file, "--data", str(tmp_path / "t.csv"), "--output", str(tmp_path / "out.csv"), "--interval", "0.8"]
    assert predict.main([*words, *([] if steps is None else ["--steps", str(steps)])]) == 0
    written = pd.read_csv(tmp_path / "out.csv", parse_dates=["day"], index_col="day")
    found = predict_frame(file, frame, steps, 0.8)
    assert list(found.columns) == list(written.columns[1:]) and (found.index == written.index).all()
    assert np.allclose(found, written.iloc[:, 1:], rtol=1e-8, equal_nan=True)  # NaN: not measured so far ahead


def test_sequences(tmp_path):
    rng = np.random.default_rng(0)
    rows = [(s, k, "ab"[s % 2], rng.normal() + 3 * (s % 2)) for s in range(30) for k in range(4)]
    frame = pd.DataFrame(rows, columns=["run", "k", "kind", "v"])
    frame.to_csv(tmp_path / "t.csv", index=False)
    options = ["--sequence", "run", "--label", "kind", "--epochs", "1", "--quiet", "--out-dir", str(tmp_path)]
    main(["--data", str(tmp_path / "t.csv"), *options])
    answers = predict_frame(str(tmp_path / "rnn_lstm_best.pth"), frame.drop(columns="kind"))
    assert answers.index.name == "run" and list(answers.columns) == ["answer", "p_a", "p_b"] and len(answers) == 30
    assert np.allclose(answers[["p_a", "p_b"]].sum(axis=1), 1) and set(answers["answer"]) <= {"a", "b"}


def test_no_steps_and_an_impossible_interval_are_refused(trained):
    file, frame = trained(pd.date_range("2024-01-01", periods=100, freq="h"))
    for steps in (0, -1, 1.5, "3", True):
        with pytest.raises(DataError, match="whole number from 1"):
            predict_frame(file, frame, steps=steps)
    model, kept = load_trained(file)
    stream = ForecastStream(model, kept.recipe, kept.width)
    for interval in (0, 1, 90, "a"):
        with pytest.raises(DataError, match="between 0 and 1"):
            predict_frame(file, frame, 2, interval)
        with pytest.raises(DataError, match="between 0 and 1"):
            stream.bounds(interval)
