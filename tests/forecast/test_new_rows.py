"""What is scored as a test: the rows that no averaged model has seen, in every form that data come back in."""

import json

import numpy as np
import pytest

import npseq
from npseq.cli import evaluate, predict, training_run
from npseq.data import DataError
from npseq.forecast import ensemble

N = 600
DAY = np.datetime64("2024-01-01")


@pytest.fixture(scope="module")
def columns():
    rng, t = np.random.default_rng(0), np.arange(N + 100)
    x = rng.normal(size=N + 100)
    return {"at": DAY + t, "y": np.sin(t) + 2 * x + rng.normal(0, 0.3, N + 100), "x": x}


def part(columns, start=0, stop=N, times=True, **changed):
    found = {name: changed.get(name, values)[start:stop] for name, values in columns.items()}
    return found if times else {name: values for name, values in found.items() if name != "at"}


def fitted(data, **more):
    return npseq.Forecaster("rnn", epochs=1, hidden_size=2, window=4, base="last").fit(data, "y", **more)


@pytest.fixture(scope="module")
def trained(columns):
    return {times: fitted(part(columns, times=times)) for times in (True, False)}


def over(forecaster, data):
    """The same model over other data."""
    other = npseq.Forecaster()
    other.members = forecaster.members
    return other.update(data)


@pytest.mark.parametrize("times", [True, False])
@pytest.mark.parametrize(
    ("start", "stop", "seen"), [(0, N, 510), (1, N + 1, 509), (60, N + 60, 450), (200, N + 100, 310), (0, N + 100, 510)]
)
def test_a_rolling_export_is_scored_on_its_new_rows_alone(trained, columns, times, start, stop, seen):
    moved = {**columns, "y": columns["y"].copy()}
    moved["y"][start + 30] += 0.01  # a revised value
    for data in (columns, moved):
        found = over(trained[times], part(data, start, stop, times))
        new = ensemble.Ensemble(found.members, found._table).new_rows()
        assert new.seen.tolist() == [True] * seen + [False] * (stop - start - seen)
        score = found.score()
        assert score["part"] == "test" and f"{seen} rows that the model was trained" in score["notes"][0]
        rows = np.arange(start + seen, min(stop, N))  # later ones are scored by the base that was fitted to all rows
        assert score.get("later", {"rows": 0})["rows"] == max(0, stop - N)
        expected = np.sqrt(np.mean((data["y"][rows] - data["y"][rows - 1]) ** 2))
        assert np.isclose(score["baselines"]["persistence"]["rmse"], expected)


@pytest.mark.parametrize("times", [True, False])
def test_a_file_of_trained_rows_alone_has_no_test(trained, columns, times):
    with pytest.raises(DataError, match="every row: nothing to test on"):
        over(trained[times], part(columns, 0, 500, times)).score()


def test_where_it_cannot_be_known_no_test_is_claimed(trained, columns):
    score = over(trained[False], part(columns, 510, N, False)).score()
    assert score["part"] == "all" and "cannot be known" in score["notes"][0]
    later = over(trained[True], part(columns, 510, N)).score()
    assert later["part"] == "all" and later["notes"] == []  # later than the training, so all is new
    other = over(trained[True], part({**columns, "y": columns["y"] + 1})).score()
    assert other["part"] == "test" and "looks like another series" in other["notes"][1]


def test_the_interval_of_forecasts_fed_back_follows_the_state_too(trained, columns):
    found = over(trained[True], part(columns)).score()
    for interval in (found["interval"], found["fed_back"]["interval"]):
        assert interval["score"] != interval["constant_score"]


@pytest.mark.parametrize("times", [True, False])
def test_every_averaged_model_is_asked_for_its_rows(columns, times):
    """The model of the longer table has seen rows that the other one has not, whichever comes first."""
    short, long = fitted(part(columns, 0, 300, times)), fitted(part(columns, 0, N, times), inputs="x")
    for members in (short.members + long.members, long.members + short.members):
        both = npseq.Forecaster()
        both.members = members
        score = both.update(part(columns, 0, N, times)).score()
        assert "510 rows" in score["notes"][0]
        own = over(long, part(columns, 0, N, times)).score()
        assert score["baselines"] == own["baselines"]  # of the model that was trained on the most rows


@pytest.mark.wide
def test_what_one_averaged_model_needs_all_need(columns, tmp_path, capsys):
    data = part(columns)
    alone, inputs, ahead = fitted(data), fitted(data, inputs="x"), fitted(data, future="x")
    files = {}
    for name, one in (("a", alone), ("b", inputs), ("c", ahead)):
        one.save(path := str(tmp_path / f"{name}.pth"))
        files[name] = path
    csv = tmp_path / "s.csv"
    csv.write_text("at,y,x\n" + "".join(f"{t},{y},{x}\n" for t, y, x in zip(*data.values())))
    for names in ("ab", "ba", "ac", "ca"):
        argv = [*(files[name] for name in names), "--data", str(csv), "--steps", "24"]
        with pytest.raises(SystemExit) as end:
            predict.main([*argv, "--output", str(tmp_path / "out.csv")])
        assert end.value.code == 2 and "x" in capsys.readouterr().err and not (tmp_path / "out.csv").exists()
    future = {"x": columns["x"][N : N + 24]}
    found = []
    for names in ("ac", "ca"):
        both = npseq.Forecaster.load(*(files[name] for name in names)).update(data)
        with pytest.raises(DataError, match="future is missing: the model reads x ahead"):
            both.predict(24)
        found.append(both.predict(24, future=future))
        with pytest.raises(DataError, match="no column 'x'"):
            both.update({"at": columns["at"][N : N + 1], "y": columns["y"][N : N + 1]})
    assert np.allclose(found[0], found[1])
    assert np.allclose(found[0], (alone.predict(24) + ahead.predict(24, future=future)) / 2)
    for pair in ("ab", "ba"):
        with pytest.raises(DataError, match="cannot be fed back"):
            npseq.Forecaster.load(*(files[name] for name in pair)).update(data).predict(24)


@pytest.mark.wide
def test_the_command_says_what_was_scored_and_how_to_score_all(columns, tmp_path, capsys):
    values = {name: values.copy() for name, values in part(columns, times=False).items()}

    def written(name, y):
        (tmp_path / name).write_text("y\n" + "".join(f"{value:.6f}\n" for value in y))
        return str(tmp_path / name)

    options = "--model rnn --epochs 1 --hidden-size 2 --window 4 --base last --quiet --data".split()
    assert training_run.main([*options, written("a.csv", values["y"]), "--out-dir", str(tmp_path)]) == 0
    best = str(tmp_path / "rnn_rnn_best.pth")

    def shown(file, *more):
        assert evaluate.main([best, "--data", file, *more]) == 0
        return capsys.readouterr().out

    text = shown(written("b.csv", values["y"][100:]))
    assert "90 examples, the test part\n410 rows that the model was trained" in text and "on the test part" in text
    text = shown(written("c.csv", values["y"] + 1))
    assert "all of c.csv" in text and "cannot be known" in text and "on the test part" not in text
    assert "on all of a.csv" in shown(str(tmp_path / "a.csv"), "--part", "all")
    found = json.loads(shown(str(tmp_path / "a.csv"), "--json"))
    assert found["part"] == "test" and len(found["notes"]) == 1
