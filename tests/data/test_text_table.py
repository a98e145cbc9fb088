"""Text tables: what is read, and what is refused in one line that says what to do."""

import csv
import tracemalloc

import numpy as np
import pytest

from npseq.data import load, text_table
from npseq.data.errors import DataError
from npseq.data.text_table import read_csv
from npseq.tasks import Forecast


@pytest.fixture
def write(tmp_path):
    def write(content, name="t.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return str(path)

    return write


@pytest.fixture
def refused(write):
    """The message with which a file is refused: one line that begins with the file."""

    def refused(content, **options):
        path = write(content)
        with pytest.raises(DataError) as error:
            read_csv(path, **options)
        message = str(error.value)
        assert message.startswith(path) and "\n" not in message
        return message[len(path) :]

    return refused


# ---- numbers ----


@pytest.mark.parametrize(
    "content",
    [
        "a,b\n1.5,2\n-3,4e2\n",
        "a,b\r\n1.5,2\r\n-3,4e2\r\n",
        "\ufeffa,b\n1.5,2\n-3,4e2\n",
        '"a","b"\n"1.5","2"\n"-3","4e2"\n',
        "a;b\n1,5;2\n-3;4e2\n",
        "a;b\n1.5;2\n-3;4e2\n",
        "a\tb\n1.5\t2\n-3\t4e2\n",
        "a|b\n1,5|2\n-3|4e2\n",
        " a , b \n 1.5 , 2 \n -3 , 4e2\n",
        "a,b\n1.5,2\n\n-3,4e2\n\n\n",
        "a,b\n1.5,2\n-3,4e2\n,\n",
        "a,b\n1.5,2\n-3,4e2",
    ],
    ids=[
        "plain",
        "CRLF",
        "byte-order mark",
        "quoted",
        "decimal commas",
        "semicolons",
        "tabs",
        "bars",
        "spaces",
        "blank lines",
        "empty last row",
        "no last line end",
    ],
)
def test_the_same_table_in_every_usual_dress(write, content):
    table = read_csv(write(content))
    assert table.columns == ["a", "b"] and table.times is None
    assert np.array_equal(table.values, [[1.5, 2], [-3, 400]])


def test_a_quoted_field_may_hold_the_separator_a_quote_and_a_line_end(write):
    table = read_csv(write('"load, in ""MW""\nnet",b\n1,2\n'))
    assert table.columns == ['load, in "MW"\nnet', "b"] and np.array_equal(table.values, [[1, 2]])


@pytest.mark.parametrize("content", ["1,2\n3,4\n", "1,5;2,5\n3,5;4,5\n"])
def test_without_a_header_line_columns_have_numbers(write, content):
    table = read_csv(write(content))
    assert table.columns == ["c0", "c1"] and len(table.values) == 2


def test_a_header_may_hold_years_and_a_headless_file_text(write):
    assert read_csv(write("station,2019,2020\noslo,1,2\nbergen,3,4\n")).columns == ["2019", "2020"]
    table = read_csv(write("oslo,1.5,2\nbergen,3.5,4\n"))
    assert table.columns == ["c1", "c2"] and table.values.shape == (2, 2)


@pytest.mark.parametrize("gap", ["", " ", "NA", "n/a", "NaN", "null", "None", "-", "?", "inf", "-Infinity"])
def test_a_gap_is_not_a_number(write, gap):
    values = read_csv(write(f"a,b\n1,2\n{gap},3\n")).values
    assert np.isnan(values[1, 0]) and values[1, 1] == 3


@pytest.mark.parametrize("length", [1, 7, 1000])
def test_the_size_of_the_chunks_changes_nothing(write, monkeypatch, length):
    rng = np.random.default_rng(0)
    written = rng.normal(size=(200, 3))
    written[rng.random(written.shape) < 0.1] = np.nan
    times = np.datetime64("2024-02-25", "s") + np.arange(200) * np.timedelta64(21_600, "s")
    cells = [",".join("" if v != v else repr(float(v)) for v in row) for row in written]
    path = write("t,a,b,c\n" + "".join(f"{time.item():%m/%d/%Y %H:%M},{row}\n" for time, row in zip(times, cells)))
    monkeypatch.setattr(text_table, "CELLS", 4 * length)
    table = read_csv(path)
    assert np.array_equal(table.values, written, equal_nan=True) and np.array_equal(table.times, times)


def test_thousands_of_columns(write):
    values = np.random.default_rng(0).normal(size=(20, 5000))
    table = read_csv(
        write(
            ",".join(f"x{k}" for k in range(5000))
            + "\n"
            + "\n".join(",".join(map(repr, row.tolist())) for row in values)
        )
    )
    assert np.array_equal(table.values, values) and table.columns[4999] == "x4999"


def test_columns_of_text_and_of_nothing_are_left_out_and_remembered(write):
    table = read_csv(write("a,weather,b,empty\n" + "1,rain,2,\n" * 5 + "3,42,4,\n"))
    assert table.columns == ["a", "b"] and table.all_columns == ["a", "weather", "b", "empty"]
    assert "line 2" in table.refused["weather"] and "'rain'" in table.refused["weather"]
    assert "no number" in table.refused["empty"]
    assert np.array_equal(table.values[-1], [3, 4])


def test_labels_are_kept_as_text(write):
    table = read_csv(write("a,who,b\n1,x,2\n3, y ,4\n5,x,6\n"), labels=["who"])
    codes, names = table.labels["who"]
    assert codes.tolist() == [0, 1, 0] and names == ["x", "y"] and table.columns == ["a", "b"]


def test_a_long_file_is_read_in_little_more_memory_than_its_numbers(write, monkeypatch):
    path = write("a,b\n" + "1.25,-3\n" * 150_000)
    monkeypatch.setattr(text_table, "CELLS", 1000)
    tracemalloc.start()
    values = read_csv(path).values
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert values.shape == (150_000, 2) and (values == [1.25, -3]).all()
    assert peak < 1.5 * values.nbytes + 400_000  # one table that grows by an eighth, and one chunk of text


# ---- what is refused ----


@pytest.mark.parametrize(
    "content, words",
    [
        ("", ["is empty", "header line"]),
        (" \n\n", ["is empty"]),
        ("a,b\n", ["no rows"]),
        ("a,b\n1,2\n3\n", ["line 3", "1 fields", "2 expected"]),
        ("a,b\n1,2\n\n3,4,5\n", ["line 4", "3 fields"]),
        ('a,b\n"1\n",2\n3\n', ["line 4", "1 fields"]),
        ("My export of 2024\ntime,load\n2024-01-01,1\n", ["line 2", "title", "delete"]),
        ("a\n" + "1\n" * 100 + "many\n", ["line 102", "'a'", "'many'", "number expected"]),
        ("load\nMW\n1\n2\n", ["line 2", "'load'", "'MW'", "second header line", "delete"]),
        ("t,load\n,MW\n2024-01-01,1\n", ["line 2", "line 3", "second header line", "delete"]),
        ("load\n1_000\n", ["'1_000'"]),
        ("a;b\n1.234,5;x\n", ["line 2", "'1.234,5'"]),
        ("a,a\n1,2\n", ["two columns 'a'"]),
        ("a;b\n1,5;2.5\n", ["decimal points and decimal commas"]),
        ("t\n2024-01-01\n", ["no column of numbers"]),
        (b"a,b\n1,\xff\xfe\n", ["not UTF-8"]),
    ],
)
def test_what_is_wrong_is_said_in_one_line(refused, content, words):
    message = refused(content)
    for word in words:
        assert word in message


def test_a_column_that_is_not_there_is_answered_with_those_that_are(refused):
    assert "no column 'hour'; it has a, b" in refused("a,b\n1,2\n", time="hour")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_csv(str(tmp_path / "absent.csv"))


def test_a_field_of_a_megabyte_is_refused(refused):
    assert "cannot be read as CSV" in refused("a,b\n1," + "2" * (csv.field_size_limit() + 1) + "\n")


# ---- times ----

EXPECTED = np.array(["2024-03-09T14:00:00", "2024-03-31T15:30:00"], "datetime64[s]")


@pytest.mark.parametrize(
    "first, second",
    [
        ("2024-03-09 14", "2024-03-31 15:30"),
        ("2024-03-09 14:00", "2024-03-31 15:30"),
        ("2024-03-09T14:00:00", "2024-03-31T15:30:00"),
        ("2024-03-09T14:00:00Z", "2024-03-31T15:30:00+00:00"),
        ("2024/03/09 14:00", "2024/3/31 15:30"),
        ("09.03.2024 14:00", "31.03.2024 15:30"),
        ("9.3.24 14:00", "31.3.24 15:30"),
        ("09/03/2024 14:00", "31/03/2024 15:30"),
        ("03/09/2024 2:00 PM", "03/31/2024 3:30 pm"),
        ("2024-03-09 14:00:00.000", "2024-03-31 15:30:00.000"),
    ],
)
def test_dates_in_the_usual_forms(write, first, second):
    table = read_csv(write(f"when,x\n{first},1\n{second},2\n"))
    assert table.times.dtype == EXPECTED.dtype and np.array_equal(table.times, EXPECTED)
    assert table.columns == ["x"] and table.all_columns == ["when", "x"]


def test_day_and_month_are_told_apart_by_all_rows_together(write, monkeypatch):
    monkeypatch.setattr(text_table, "CELLS", 8)
    days = np.datetime64("2024-01-01") + np.arange(40)
    for form in ("%d/%m/%Y", "%m/%d/%Y"):
        times = read_csv(write("t,x\n" + "".join(f"{day.item():{form}},1\n" for day in days))).times
        assert np.array_equal(times, days.astype("datetime64[s]"))


def test_dates_before_1970_leap_days_and_the_hour_24(write):
    times = read_csv(write("t,x\n28.2.1968 24:00,1\n29.2.1968 24:00,1\n")).times
    assert np.array_equal(times, np.array(["1968-02-29", "1968-03-01"], "datetime64[s]"))


def test_midnight_and_noon_of_the_twelve_hour_clock(write):
    times = read_csv(write("t,x\n1/31/2024 12:00 AM,1\n1/31/2024 12:00 PM,1\n")).times
    assert np.array_equal(times, np.array(["2024-01-31T00", "2024-01-31T12"], "datetime64[s]"))


def test_the_time_column_may_be_anywhere(write):
    table = read_csv(write("x,when\n1,2024-03-09 14\n2,2024-03-31 15:30\n"))
    assert np.array_equal(table.times, EXPECTED) and table.columns == ["x"]
    chosen = read_csv(write("a,b,x\n2020-01-01,2024-03-09 14,1\n2020-01-02,2024-03-31 15:30,2\n"), time="b")
    assert np.array_equal(chosen.times, EXPECTED) and chosen.columns == ["x"]


def test_fractions_of_a_second_leave_the_rows_without_a_calendar(write):
    table = read_csv(write("t,x\n2024-01-01 00:00:00.1,1\n2024-01-01 00:00:00.2,2\n"))
    assert table.times is None and "fractions" in table.notes[0] and len(table.values) == 2


@pytest.mark.parametrize(
    "first, second, words",
    [
        ("01/02/2024", "03/02/2024", ["day/month or month/day", "2024-02-01"]),
        ("2024-01-01", "soon", ["line 3", "'soon'", "2024-03-31 14:00"]),
        ("2024-01-01", "", ["line 3", "''"]),
        ("2024-01-01", "2024-02-30", ["2024/2/30", "no date"]),
        ("2024-01-01 10:00", "2024-01-01 10:75", ["10:75", "no date"]),
        ("31/01/2024", "01/31/2024", ["1/31/2024", "no date", "day first"]),
        ("2024-01-01 10:00", "2024-01-01 10:00+02:00", ["+02:00", "time zone"]),
    ],
)
def test_dates_that_are_none_or_could_be_two(refused, first, second, words):
    message = refused(f"t,x\n{first},1\n{second},2\n")
    for word in words:
        assert word in message


# ---- anything at all ----


def damaged(rng):
    """A small table, or one of dates, with some bytes replaced, doubled or dropped."""
    days = np.datetime64("2024-01-01") + np.arange(60)
    form = rng.choice(["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y %H:%M"])
    separator = rng.choice([",", ";", "\t"])
    lines = [separator.join(["day", "load", "kind"])]
    lines += [separator.join([f"{day.item():{form}}", f"{rng.normal():.3f}", "7"]) for day in days]
    content = bytearray("\n".join(lines).encode())
    for _ in range(rng.integers(1, 12)):
        at, what = rng.integers(len(content)), rng.integers(3)
        other = bytes([rng.choice(bytearray(b",;\t\"'\n\r-./: eEnNaAxX_19\x00\xff"))])
        content[at : at + 1] = [other, b"", content[at : at + 1] * 2][what]
    return bytes(content)


def fuzz(write, seeds):
    for seed in seeds:
        try:
            table = load(write(damaged(np.random.default_rng(seed))))
            Forecast(table, window=3).baselines()
        except DataError as error:
            assert "\n" not in str(error)


def test_a_damaged_file_ends_in_a_table_or_in_one_line(write):
    fuzz(write, range(150))


@pytest.mark.wide
def test_thousands_of_damaged_files_end_in_a_table_or_in_one_line(write):
    fuzz(write, range(1000, 6000))
