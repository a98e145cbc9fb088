"""What was said about a table at the training holds where the model is used: in predict, evaluate, stream and Python."""

import io
import sys

import numpy as np
import pytest
from running import status

import npseq
from npseq.cli import evaluate, predict, stream
from npseq.data.sources import SAID, TableOptions
from npseq.tasks.metadata import load_trained

pytest.importorskip("pandas")

N = 150
TIMES = [time.item() for time in np.datetime64("2023-01-01T00", "s") + np.arange(N) * np.timedelta64(3600, "s")]
VALUES = (1500 + 600 * np.sin(np.arange(N) / 4) + np.random.default_rng(0).normal(0, 20, N)).round(1)
GAPS = {7: "", 31: "", N - 1: ""}


def table(cell=str, time=str, sep=",", header="time,load", gaps=GAPS):
    rows = [f"{time(t)}{sep}{gaps.get(k, cell(v))}\n" for k, (t, v) in enumerate(zip(TIMES, VALUES.tolist()))]
    return header.replace(",", sep) + "\n" * bool(header) + "".join(rows)


DRESSES = {
    "marks": (table(gaps={7: "-9999", 31: "low", N - 1: "-9999.0"}), ["--na=-9999,low"]),
    "infinite": (table(gaps={7: "inf", 31: "-inf", N - 1: "inf"}), ["--na", "inf"]),
    "units": (table(lambda v: f"{v} kW"), ["--strip", "kW"]),
    "a currency before": (table(lambda v: f"€{v}"), ["--strip", "€"]),
    "signs": (
        table(lambda v: f"{v:,.1f}".translate({44: ".", 46: ","}), sep=";"),
        ["--decimal", ",", "--thousands", "."],
    ),
    "a separator": (table(sep="^"), ["--sep", "^"]),
    "times": (table(time=lambda t: f"{t:%H h on %d-%m-%Y}"), ["--date-format", "%H h on %d-%m-%Y"]),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A function of a dress: the weights file and the table, trained on once."""
    folder, known = tmp_path_factory.mktemp("said"), {}

    def of(name):
        if name not in known:
            content, options = (table(), []) if name == "plain" else DRESSES[name]
            place = folder / name.replace(" ", "_")
            place.mkdir()
            (place / "load.csv").write_text(content)
            how = "--model gru --hidden-size 2 --epochs 1 --window 4 --base none --lags none --quiet".split()
            assert status([*how, *options, "--data", str(place / "load.csv"), "--out-dir", str(place)]) == 0
            known[name] = str(place / "rnn_gru_best.pth"), str(place / "load.csv")
        return known[name]

    return of


@pytest.fixture
def used(files, monkeypatch, capsys, tmp_path):
    """A function of a dress: what predict, evaluate and stream give without a further option."""

    def of(name):
        weights, path = files(name)
        assert predict.main([weights, "--data", path, "--output", str(tmp_path / "p.csv"), "--steps", "1"]) == 0
        assert evaluate.main([weights, "--data", path, "--part", "all"]) == 0
        capsys.readouterr()
        monkeypatch.setattr(sys, "stdin", io.StringIO(open(path).read()))
        assert stream.main([weights]) == 0
        streamed = capsys.readouterr()
        return (tmp_path / "p.csv").read_text(), streamed.out, streamed.err

    return of


@pytest.mark.wide
@pytest.mark.parametrize("name", DRESSES)
def test_what_was_said_holds_wherever_the_model_is_used(used, name):
    assert used(name) == used("plain")


@pytest.mark.wide
def test_a_mark_is_missing_in_every_use(files, used, capsys):
    weights, path = files("marks")
    assert used("marks") == used("plain")
    assert load_trained(weights)[1].table == {"na": ["-9999", "low"]} and load_trained(files("plain")[0])[1].table == {}
    assert predict.main([weights, "--data", path, "--output", path + ".p", "--steps", "1", "--na", "none yet"]) == 0
    assert "3 gaps in load" in capsys.readouterr().out  # further marks are added
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"load": VALUES}, index=pd.DatetimeIndex(TIMES, name="time"))
    forecasts = []
    for last in (-9999.0, np.nan):
        frame.iloc[-1] = last
        forecaster = npseq.Forecaster.load(weights).update(frame)
        further = frame.iloc[-1:].set_axis(frame.index[-1:] + pd.Timedelta("1h"))
        forecasts += [forecaster.predict(1).iloc[0, 0], forecaster.update(further).predict(1).iloc[0, 0]]
    assert forecasts[:2] == forecasts[2:]


@pytest.mark.wide
def test_a_value_far_outside_is_told_by_the_stream_once(files, monkeypatch, capsys):
    rows = table().replace("\n", "\n", 1).splitlines(keepends=True)
    rows[-1] = f"{TIMES[-1]},99999\n"
    rows += [f"2023-01-07 0{6 + k}:00:00,{value}\n" for k, value in enumerate(("88888", "1500", "99999"))]
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(rows)))
    assert stream.main([files("plain")[0]]) == 0
    err = capsys.readouterr().err.splitlines()
    assert [line.split(":")[1].strip() for line in err] == ["line 151", "line 154"]
    assert "load is 99999, far outside the range of the training rows, 8" in err[0]
    assert err[0].endswith("forecasts after it extrapolate")


def test_options_of_tables_come_back_from_a_file():
    options = TableOptions(";", ",", ".", False, "cp1252", ("-9", "x"), ("%",), "%d.%m.%Y", "s", 5)
    kept = options.to_json()
    assert SAID.fits(kept) and TableOptions.from_json(kept) == options and TableOptions().to_json() == {}
    for wrong in (
        {"sep": ";;"},
        {"na": "x"},
        {"na": [1]},
        {"header": 1},
        {"max_memory": 1},
        {"other": ""},
        [],
        {"sheet": 3},
        {1: 2},
    ):
        assert not SAID.fits(wrong), wrong


def test_columns_that_are_not_used_are_told_in_one_line(tmp_path, capsys):
    rows = "".join(f"{time},7,{value},{value / 2},{k}\n" for k, (time, value) in enumerate(zip(TIMES, VALUES)))
    (tmp_path / "a.csv").write_text("time,site,load,temp,no\n" + rows)
    how = "--model gru --hidden-size 1 --epochs 1 --window 2 --base none --lags none".split()
    assert status([*how, "--data", str(tmp_path / "a.csv"), "--out-dir", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "predicting load" in out and "temp: not used; name it with --inputs" in out
    assert "no target unless they are named: no (counter), site (constant)" in out
