"""``npseq stream``: a forecast a row, at once; bad rows change nothing; the state outlives the process."""

import csv
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from running import status

import npseq
from npseq import cli, data
from npseq.cli import predict, stream
from npseq.forecast import intervals
from npseq.forecast.metadata import ForecastMetadata
from npseq.tasks.metadata import load_trained

FIRST = 12 + 24 - 1  # of ``small_csv`` and the model below


@pytest.fixture(scope="module")
def trained(tmp_path_factory, small_csv):
    folder = tmp_path_factory.mktemp("trained")
    options = "--model gru --epochs 1 --window 12 --hidden-size 6 --lags 24 --horizon 2 --base linear --log no --no-refit --quiet".split()
    assert status([*options, "--data", small_csv, "--out-dir", str(folder)]) == 0
    return str(folder / "rnn_gru_best.pth")


@pytest.fixture
def streamed(monkeypatch, capsys):
    """text and options -> the exit status, the lines of standard output as dicts, and standard error."""

    def run(text, *argv):
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        capsys.readouterr()
        try:
            code = stream.main([str(word) for word in argv])
        except SystemExit as end:
            code = end.code
        shown = capsys.readouterr()
        return code, list(csv.DictReader(io.StringIO(shown.out))), shown.err

    return run


def lines_of(small_csv):
    return Path(small_csv).read_text().splitlines(keepends=True)


def numbers(rows):
    return np.array(
        [[float(row[name]) for name in row if name not in ("time", "hour", "row", "steps_ahead")] for row in rows]
    )


def test_a_quoted_header_names_the_columns(trained, small_csv, streamed):
    lines = lines_of(small_csv)[: FIRST + 2]
    plain = streamed("".join(lines), trained)
    quoted = ",".join(f'"{name}"' for name in lines[0].strip().split(",")) + "\n"
    assert streamed(quoted + "".join(lines[1:]), trained) == plain and plain[0] == 0 and len(plain[1]) == 2
    code, _, err = streamed('"load\n', trained)
    assert code == 2 and "no line of CSV" in err


@pytest.mark.wide
def test_the_answers_are_those_of_predict(trained, small_csv, tmp_path, streamed):
    out = tmp_path / "forecast.csv"
    assert predict.main([trained, "--data", small_csv, "--output", str(out), "--interval", "0.8"]) == 0
    with open(out) as file:
        expected = [row for row in csv.DictReader(file)]
    code, rows, err = streamed("".join(lines_of(small_csv)), trained, "--interval", "0.8")
    assert code == 0 and err == ""
    assert list(rows[0]) == ["time", *(f"load_{k}{end}" for k in (1, 2) for end in ("", "_low", "_high"))]
    assert [row["time"] for row in rows] == [row["hour"] for row in expected if row["steps_ahead"] == "1"]
    found, expected = numbers(rows).reshape(-1, 2, 3), numbers(expected).reshape(-1, 2, 3)
    assert np.allclose(found[:-1], expected[:-1], rtol=1e-6)
    # for the last row predict does not count the last one-step error, whose row has no whole horizon after it
    assert np.allclose(found[-1, :, 0], expected[-1, :, 0], rtol=1e-6)
    assert np.all(found[-1, :, 1] < found[-1, :, 0]) and np.all(found[-1, :, 0] < found[-1, :, 2])


def test_a_file_without_the_newer_interval_gets_one_of_constant_width(trained, small_csv, tmp_path, streamed):
    model = npseq.load(trained)
    del model.metadata["width"]
    npseq.save(
        tmp_path / "older.pth",
        model,
        {name: model.metadata[name] for name in ForecastMetadata.FIELDS if name in model.metadata},
    )
    code, rows, err = streamed("".join(lines_of(small_csv)[:80]), tmp_path / "older.pth", "--interval", "0.8")
    found = numbers(rows).reshape(-1, 2, 3)
    low, high = intervals.interval(load_trained(trained)[1], 0.8)
    assert code == 0 and err == ""
    assert np.allclose(found[:, :, 1] - found[:, :, 0], low, rtol=1e-5)
    assert np.allclose(found[:, :, 2] - found[:, :, 0], high, rtol=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[1:],  # without a header
        lambda lines: ["\ufeff" + lines[0], *lines[1:]],
        lambda lines: [line.replace(",", ";").replace(".", ",") for line in lines],
        lambda lines: [f"x\t{line.split(',')[1].strip()}\t{line.split(',')[0]}\n" for line in lines],
        lambda lines: [line.replace(",", ',"').replace("\n", '"\r\n') for line in lines],
        lambda lines: [*lines[:20], "\n", *lines[:1], *lines[20:]],  # a blank line, and the header once more
        lambda lines: [lines[0], *(f"{line[8:10]}/{line[5:7]}/{line[:4]} {line[11:]}" for line in lines[1:])],
    ],
)
def test_tables_are_taken_in_the_usual_forms(trained, small_csv, streamed, change):
    lines = lines_of(small_csv)[:60]
    _, expected, _ = streamed("".join(lines), trained)
    changed = change(lines)
    slashes = ["--time-format", "%d/%m/%Y %H"] if "/" in changed[1] else []
    code, rows, err = streamed("".join(changed), trained, *slashes)
    assert code == 0 and err == "" and rows == expected and len(rows) == 59 - FIRST + 1


def test_bad_rows_are_told_and_left_out(trained, small_csv, streamed):
    lines = lines_of(small_csv)[:60]
    _, expected, _ = streamed("".join(lines), trained)
    bad = ["2024-03-05 16,two\n", "2024-03-05 16\n", "yesterday,5\n", "2024-03-05 16:30,5\n", "2024-03-01 00,5\n"]
    code, rows, err = streamed("".join([*lines[:41], *bad, *lines[41:]]), trained)
    assert code == 0 and rows == expected
    shown = err.splitlines()
    assert len(shown) == len(bad) and all(f"line {42 + k}: " in line for k, line in enumerate(shown))
    for line, word in zip(shown, ["'two' in 'load'", "1 fields; 2 expected", "'yesterday'", "multiple", "follow"]):
        assert word in line and "left out" in line
    code, rows, err = streamed("".join([*lines[:41], *bad, *lines[41:]]), trained, "--strict")
    assert code == 2 and rows == expected[: 40 - FIRST + 1] and err.count("\n") == 1


def test_a_row_far_in_the_future_ends_nothing(trained, small_csv, streamed, tmp_path):
    lines, far = lines_of(small_csv)[:80], "2399-01-01 00,5\n"
    _, expected, _ = streamed("".join(lines), trained)
    argv = trained, "--state", str(tmp_path / "state.pth")
    code, first, err = streamed("".join([*lines[:50], far]), *argv)
    assert code == 0 and err.count("\n") == 1 and "rows after that of the row before" in err and "--reset-on-gap" in err
    code, rest, err = streamed("".join([*lines[:1], *lines[50:]]), *argv)
    assert code == 0 and err == "" and [*first, *rest] == expected
    for value in "inf", "-inf", "1e400":
        code, rows, err = streamed("".join([*lines[:50], f"2024-03-06 01,{value}\n"]), trained)
        assert code == 0 and rows == first and err.count("\n") == 1 and "inf, too large" in err
    later = [line.replace("2024-03", "2025-03") for line in lines[1:50]]
    code, rows, err = streamed("".join([*lines[:50], *later]), trained, "--reset-on-gap")
    assert code == 0 and len(rows) == 2 * len(first) and "start again" in err
    code, rows, err = streamed("load,x\n" + "1\n" * 3, trained)
    assert code == 2 and rows == []  # lines, of which none could be used


@pytest.mark.parametrize("mark", ["", "NaN", "..", "#N/A"])
def test_missing_rows_and_values_are_those_of_predict(trained, small_csv, tmp_path, streamed, mark):
    if mark not in ("", "NaN"):
        pytest.importorskip("pandas")  # which predict reads such a table with
    lines = lines_of(small_csv)[:80]
    lines[50] = lines[50].split(",")[0] + f",{mark}\n"
    del lines[60:62]
    (tmp_path / "holes.csv").write_text("".join(lines))
    argv = ["--data", str(tmp_path / "holes.csv"), "--output", str(tmp_path / "out.csv"), "--interval", "0.9"]
    assert predict.main([trained, *argv]) == 0
    names = "", "_low", "_high"
    with open(tmp_path / "out.csv") as file:
        rows = [row for row in csv.DictReader(file) if row["steps_ahead"] == "1"]
        expected = {row["hour"]: [float(row["load" + name]) for name in names] for row in rows}
    code, rows, err = streamed("".join(lines), trained, "--interval", "0.9")
    assert code == 0 and err.count("\n") == 1 and "line 61: 2 rows are missing" in err
    assert len(rows) == 77 - FIRST + 1
    found = [[float(row["load_1" + name]) for name in names] for row in rows[:-1]]
    assert np.allclose(found, [expected[row["time"]] for row in rows[:-1]], rtol=1e-6)


def test_the_state_is_saved_and_continued(trained, small_csv, tmp_path, streamed):
    lines, state = lines_of(small_csv)[:90], tmp_path / "state.pth"
    trained_with = (trained, "--interval", "0.9", "--state", state)
    _, expected, _ = streamed("".join(lines), trained, "--interval", "0.9")
    code, first, err = streamed("".join(lines[:21]), *trained_with)
    assert code == 0 and first == [] and "20 rows so far; the first forecast comes after 35" in err
    _, second, _ = streamed("".join(lines[21:50]), *trained_with)  # without its header
    _, third, err = streamed("".join([lines[0], *lines[50:]]), *trained_with)
    assert first + second + third == expected and err == ""
    other = tmp_path / "other.pth"
    model = npseq.load(trained)
    model.theta[0] += 1
    npseq.save(other, model, {name: model.metadata[name] for name in ("recipe", "columns")})
    before, copy = state.read_bytes(), tmp_path / "copy.pth"
    npseq.save(copy, npseq.load(trained))
    for argv, word in [((other, "--state", state), "another model"), ((trained, "--state", copy), "no state of")]:
        code, rows, err = streamed("".join(lines), *argv)
        assert code == 2 and rows == [] and err.count("\n") == 1 and word in err
    assert state.read_bytes() == before


def test_a_state_that_cannot_be_saved_is_told(trained, small_csv, tmp_path, streamed, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stream.checkpoint, "save", full)
    code, rows, err = streamed("".join(lines_of(small_csv)[:50]), trained, "--state", tmp_path / "s.pth")
    assert code == 2 and len(rows) == 49 - FIRST + 1 and err.count("\n") == 1 and "No space left" in err


@pytest.mark.wide
def test_a_forecast_leaves_as_soon_as_its_row_is_there_and_sigterm_saves_the_state(trained, small_csv, tmp_path):
    lines, state = lines_of(small_csv)[:60], tmp_path / "state.pth"
    command = [sys.executable, "-m", "npseq", "stream", trained, "--state", str(state)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        child.stdin.write("".join(lines[: FIRST + 1]))
        child.stdin.flush()
        assert child.stdout.readline() == "time,load_1,load_2\n"
        assert child.stdout.readline().startswith("2024-03-05 11:00:00,")
        for row in (1, 2):  # an answer to each row before the next one is written
            child.stdin.write(lines[FIRST + row])
            child.stdin.flush()
            assert child.stdout.readline().startswith(f"2024-03-05 {11 + row}:00:00,")
        time.sleep(0.05)  # it waits for a line now; whenever the signal comes, the state is whole
        child.send_signal(signal.SIGTERM)
        rest, err = child.communicate(timeout=30)
    finally:
        child.kill()
    assert child.returncode == 0 and rest == "" and err == ""
    assert npseq.checkpoint.load(state).state_dict["counts"][0] == FIRST + 2


def test_a_file_of_numbered_columns_is_read_by_their_numbers(tmp_path, streamed, small_csv):
    pytest.importorskip("pandas")  # it has no header
    rows = [f"{line.split(',')[0]},7,{line.split(',')[1]}" for line in lines_of(small_csv)[1:]]
    (tmp_path / "plain.csv").write_text("".join(rows))
    options = (
        "--model rnn --epochs 1 --window 6 --hidden-size 4 --base none --lags none --target 2 --quiet --time 0".split()
    )
    assert status([*options, "--data", str(tmp_path / "plain.csv"), "--out-dir", str(tmp_path)]) == 0
    code, found, err = streamed("".join(rows[:10]), tmp_path / "rnn_rnn_best.pth")
    assert code == 0 and err == "" and len(found) == 5 and list(found[0]) == ["time", "c2"]
    _, without, _ = streamed("".join(rows[:10]).replace(",7,", ",8,"), tmp_path / "rnn_rnn_best.pth")
    assert without == found  # the column between is not the model's


@pytest.mark.parametrize(
    "text, argv, words",
    [
        ("when,price\n2024-03-04 00,5\n", [], ["line 1", "no time", "load"]),
        ("load\n5\n6\n", [], ["line 2", "no time"]),
        ("x,load\na,5\nb,6\n", [], ["line 2", "no time"]),
        ("hello\n", [], ["line 1", "1 fields", "load"]),
        ("hour,lod,load_2\n", [], ["line 1", "3 fields; 2", "load"]),
        ("", ["--state", "FOLDER"], ["folder"]),
        ("", ["--interval", "2"], ["--interval", "2"]),
    ],
)
def test_what_cannot_be_streamed_ends_in_one_line(trained, tmp_path, streamed, text, argv, words):
    names = {"FOLDER": str(tmp_path)}
    code, rows, err = streamed(text, trained, *(names.get(word, word) for word in argv))
    assert code == 2 and rows == [] and err.count("\n") == 1 and all(word in err for word in words)


def test_other_files_are_refused(tmp_path, capsys):
    options = "--data adding --length 5 --epochs 1 --hidden-size 3 --batch-size 512 --model rnn --quiet".split()
    assert status([*options, "--out-dir", str(tmp_path)]) == 0
    npseq.save(tmp_path / "other.pth", npseq.Model("rnn", 2, 3, rng=0))
    for file, word in [("rnn_rnn_best.pth", "no forecaster"), ("other.pth", "npseq train"), ("no.pth", "no.pth")]:
        with pytest.raises(SystemExit) as end:
            cli.main(["stream", str(tmp_path / file)])
        err = capsys.readouterr().err
        assert end.value.code == 2 and err.count("\n") == 1 and word in err


def test_the_example_in_the_help_names_the_command(capsys):
    with pytest.raises(SystemExit):
        stream.main(["--help"])
    shown = capsys.readouterr().out
    assert "npseq stream rnn_lstm_best.pth" in shown and "%d.%m.%Y %H:%M" in shown
    assert os.path.exists(data.shipped("metro_traffic_hourly.csv"))


@pytest.mark.parametrize("place", [0, 1, 5])
@pytest.mark.parametrize("line", ['"1\n', '"' + "1" * 140_000 + '"\n'], ids=["open", "long"])
def test_a_line_that_is_no_csv_is_left_out_or_named(trained, small_csv, streamed, place, line):
    lines = lines_of(small_csv)[:80]
    lines.insert(place, line)
    code, rows, err = streamed("".join(lines), trained)
    assert err.count("\n") == 1 and f"line {place + 1}: this is no line of CSV" in err
    assert (code, bool(rows)) == ((2, False) if place == 0 else (0, True))


@pytest.mark.parametrize("before", [0, 50])
def test_a_line_without_an_end_stops_the_stream_and_not_the_machine(trained, small_csv, monkeypatch, capsys, before):
    first = io.StringIO("".join(lines_of(small_csv)[:before]))

    class Endless(io.TextIOBase):
        def readline(self, size=-1):
            assert 0 < size <= 1 << 25  # else all of it would be read
            return first.readline(size) or "1" * size

    monkeypatch.setattr(sys, "stdin", Endless())
    assert stream.main([trained]) == 2
    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1 and f"line {before + 1}: " in shown.err and "the end of a line" in shown.err
    assert shown.out.count("\n") == (before - FIRST + 1 if before else 0)
