"""Text tables: what is read, and what is refused in one line that says what to do."""

import csv
import re
import shlex
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from sandbox import scaled, seeded

from npseq.cli import arguments, data_options
from npseq.cli.arguments import told
from npseq.data import TableOptions, load
from npseq.data.errors import DataError
from npseq.forecast import ForecastTask

pytest.importorskip("pandas")
from npseq.data import table_reader


def read_csv(path, time=None, labels=(), **said):
    return table_reader.read_table(path, path, time, labels, TableOptions(**said))


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
        message = told(error.value)
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
        "a  b\n 1.5 2\n -3   4e2 \n",
        "a b\n1,5 2\n-3 4e2\n",
        '"a","b"\n"1,5","2"\n"-3","4e2"\n',
        "a;b\n1,5;2;\n-3;4e2;\n",
        "a;b;\n1,5;2;\n-3;4e2;\n",
        "|a|b|\n|1.5|2|\n|-3|4e2|\n",
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
        "blanks",
        "blanks and decimal commas",
        "quoted decimal commas",
        "rows end in a separator",
        "all lines end in a separator",
        "bars around each line",
    ],
)
def test_the_same_table_in_every_usual_dress(write, content):
    table = read_csv(write(content))
    assert table.columns == ["a", "b"] and table.times is None and not table.refused
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


@pytest.mark.parametrize(
    "gap",
    [
        "",
        " ",
        "NA",
        "n/a",
        "NaN",
        "null",
        "None",
        "-",
        "?",
        ".",
        "..",
        "--",
        "n/e",
        "#DIV/0!",
        "#N/A N/A",
        "<NA>",
        "1.#IND",
        "NULL",
        "nan ",
    ],
)
def test_a_gap_is_not_a_number(write, gap):
    values = read_csv(write(f"a,b\n1,2\n{gap},3\n")).values
    assert np.isnan(values[1, 0]) and values[1, 1] == 3


@pytest.mark.parametrize("length", [pytest.param(1, marks=pytest.mark.wide), 7, 1000])
def test_the_size_of_the_chunks_changes_nothing(write, monkeypatch, length):
    rng = np.random.default_rng(0)
    written = rng.normal(size=(200, 3))
    written[rng.random(written.shape) < 0.1] = np.nan
    times = np.datetime64("2024-02-25", "s") + np.arange(200) * np.timedelta64(21_600, "s")
    cells = [",".join("" if v != v else repr(float(v)) for v in row) for row in written]
    path = write("t,a,b,c\n" + "".join(f"{time.item():%m/%d/%Y %H:%M},{row}\n" for time, row in zip(times, cells)))
    monkeypatch.setattr(table_reader, "CELLS", 4 * length)
    table = read_csv(path)
    assert np.array_equal(table.values, written, equal_nan=True) and np.array_equal(table.times, times)


@pytest.mark.wide
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


@pytest.mark.wide
def test_a_long_file_is_read_in_little_more_memory_than_its_numbers(write, monkeypatch):
    path = write("a,b\n" + "1.25,-3\n" * 150_000)
    monkeypatch.setattr(table_reader, "CELLS", 1000)
    tracemalloc.start()
    values = read_csv(path).values
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert values.shape == (150_000, 2) and (values == [1.25, -3]).all()
    assert peak < 1.5 * values.nbytes + 400_000  # one table that grows by an eighth, and one chunk of text


def test_thousands_and_decimal_signs(write):
    for cell in ("5.018,9", "5 018,9", "5\u00a0018,9", "5\u202f018,9", "5'018.9", "5’018.9", "5,018.9"):
        table = read_csv(write(f"a;b\n{cell};1\n980;2\n12;3\n"))
        assert table.values[:, 0].tolist() == [5018.9, 980, 12], cell
    assert read_csv(write('a,b\n"1,234,567",2\n')).values.tolist() == [[1_234_567, 2]]
    assert read_csv(write("a;b\n1,234;2\n980;3\n")).values[:, 0].tolist() == [1234, 980]  # 980 has no decimals
    assert read_csv(write("a;b\n0,234;2\n1,980;3\n")).values[:, 0].tolist() == [0.234, 1.98]
    assert read_csv(write("a;b\n1.234;2\n5.678;3\n")).values[:, 0].tolist() == [1.234, 5.678]


def test_a_number_that_could_be_two_is_asked_for_and_can_be_said(write, refused):
    content = "a;b\n1,234;2\n5,678;3\n"
    assert "'1,234' can be 1.234 or 1234; say which with --decimal ',' or --thousands ','" in refused(content)
    assert read_csv(write(content), decimal=",").values[:, 0].tolist() == [1.234, 5.678]
    assert read_csv(write(content), thousands=",").values[:, 0].tolist() == [1234, 5678]


def test_signs_that_come_late_are_not_misread(write, monkeypatch):
    monkeypatch.setattr(table_reader, "CELLS", 200)
    monkeypatch.setattr(table_reader.layout, "SAMPLE", 1000)
    rows = "".join(f"{k % 900},{k}\n" for k in range(2000))
    table = read_csv(write("a,b\n" + rows + '"1,234.5",7\n'))
    assert table.values[-1].tolist() == [1234.5, 7] and len(table.values) == 2001
    late = read_csv(write("a;b\n" + rows.replace(",", ";") + "1,5;7\n"))
    assert late.values[-1].tolist() == [1.5, 7]
    grouped = read_csv(write('a,b\n"1,234.5",7\n' + rows + '"1,5",7\n'))  # 1,5 is not 15
    assert "a number expected" in grouped.refused["a"] and grouped.columns == ["b"]


def test_what_is_said_is_not_decided(write):
    assert read_csv(write("a:b\n1:2\n"), sep=":").values.tolist() == [[1, 2]]
    assert read_csv(write("1,2\n3,4\n"), header=True).columns == ["1", "2"]
    assert read_csv(write("1,2\n3,4\n"), header=False).columns == ["c0", "c1"]
    assert np.isnan(read_csv(write("a,b\n-9999.0,2\nlow,3\n1,4\n"), na=("-9999", "low")).values[:2, 0]).all()
    assert np.isnan(read_csv(write("a,b\ninf,2\n1,4\n"), na=("inf",)).values[0, 0])
    assert read_csv(write("a;b\n5 %;€ 2\n7%;€3\n"), strip=("%", "€")).values.tolist() == [[5, 2], [7, 3]]
    assert read_csv(write("é,b\n1,2\n", encoding="mac-roman"), encoding="mac-roman").columns == ["é", "b"]
    dated = read_csv(write("t,x\n01/02/2024,1\n03/02/2024,2\n"), date_format="%m/%d/%Y")
    assert dated.times.astype("M8[D]").astype(str).tolist() == ["2024-01-02", "2024-03-02"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1"])
def test_encodings(write, encoding):
    table = read_csv(write("année,b\n1,2\n3,4\n", encoding=encoding))
    assert table.columns == ["année", "b"] and table.values.tolist() == [[1, 2], [3, 4]]


@pytest.mark.wide
def test_a_foreign_letter_far_down_is_no_obstacle(write):
    table = read_csv(write("a,b\n" + "1,x\n" * 60_000 + "2,é\n", encoding="cp1252"))
    assert len(table.values) == 60_001 and table.values[-1, 0] == 2 and "cp1252" in table.notes[0]


def test_titles_and_units_are_skipped_and_told(write):
    table = read_csv(write("Weather of Oslo\nexported;2024\ndate;T;P\n;°C;hPa\n01.02.2024;1,5;990\n02.02.2024;2;991\n"))
    assert table.columns == ["T", "P"] and table.values.tolist() == [[1.5, 990], [2, 991]]
    assert "2 lines above the header skipped, the line ';°C;hPa' under the header skipped" in table.notes[0]


def test_a_header_may_be_numbers(write):
    table = read_csv(write("date,0.5,1.5\n2024-01-01,1.25,2\n2024-01-02,3,4\n"))
    assert table.columns == ["0.5", "1.5"] and len(table.values) == 2 and table.times is not None
    table = read_csv(write("x,0.5,1.5\n7,1.25,2\n8,3,4\n"))
    assert table.columns == ["x", "0.5", "1.5"] and len(table.values) == 2


def test_a_row_of_data_is_never_taken_for_units(write):
    table = read_csv(write("date,RATE\n2018-01-01,.\n2018-01-02,5\n2018-01-03,6\n"))
    assert np.isnan(table.values[0, 0]) and len(table.values) == 3
    table = read_csv(write("date,a,b\n2018-01-01,low,1\n2018-01-02,5,2\n2018-01-03,6,3\n"))
    assert "line 2" in table.refused["a"] and "'low'" in table.refused["a"] and len(table.values) == 3


def test_row_names_of_r_and_a_clock_without_a_name(write):
    assert read_csv(write('"a" "b"\n"1" 0.5 2\n"2" 0.7 3\n')).columns == ["Unnamed: 0", "a", "b"]
    table = read_csv(write("t x\n2024-01-01 00:00 5\n2024-01-01 01:00 6\n"))
    assert table.columns == ["x"] and table.times[1] == np.datetime64("2024-01-01T01:00")


def test_rows_without_a_time_and_empty_rows_at_the_end_are_left_out_and_told(write):
    table = read_csv(write("t,x\n2024-01-01,1\n,2\nNA,3\n2024-01-02,4\n,\n"))
    assert table.values[:, 0].tolist() == [1, 4] and "3 rows have no time: left out" in table.notes
    table = read_csv(write("a,b\n1,2\n,\n3,4\n,\n,\n"))
    assert len(table.values) == 3 and np.isnan(table.values[1]).all() and "2 empty rows at the end" in table.notes[1]


# ---- what is refused ----


REFUSED = pytest.mark.parametrize(
    "content, words",
    [
        ("", ["is empty", "header line"]),
        (" \n\n", ["is empty"]),
        ("a,b\n", ["no rows"]),
        ("a,b\n1,2\n3\n", ["line 3", "1 fields", "2 expected"]),
        ("a,b\n1,2\n\n3,4,5\n", ["line 4", "3 fields"]),
        ("a,b\n" + "1,2\n" * 90_000 + "3\n4,5\n", ["line 90002", "1 fields"]),
        ("a b\n" + "1 2\n" * 90_000 + "3\n4 5\n", ["line 90002", "1 fields"]),
        ("a,b\n" + "1,2\n" * 90_000 + "3,4,5\n4,5\n", ["line 90002", "3 fields"]),
        ('a,b\n"1\n",2\n3\n', ["line 4", "1 fields"]),
        ("date,x\n2024-01-01,63,65\n2024-01-02,64,65\n", ["line 2", "3 fields", "2 expected", "quotes"]),
        ("a\n" + "1\n" * 100 + "many\n", ["line 102", "'a'", "'many'", "number expected"]),
        ("load\n1_000\n", ["'1_000'"]),
        ("a\n5 %\n7 %\n", ["line 2", "'5 %'", "--strip %"]),
        ("a,a\n1,2\n", ["two columns 'a'"]),
        ("t\n2024-01-01\n", ["no column of numbers"]),
        (b"a,b\n1,\xff\x00\n", ["not text"]),
    ],
)


@REFUSED
def test_what_is_wrong_is_said_in_one_line(refused, content, words):
    message = refused(content)
    for word in words:
        assert word in message


@REFUSED
def test_deleting_a_line_is_advised_only_where_it_helps(refused, write, content, words):
    message = refused(content)
    if re.search(r"delete|remove|leave out the line", message):
        line = int(re.search(r"line (\d+)", message)[1])
        lines = content.splitlines(keepends=True)
        read_csv(write("".join(lines[: line - 1] + lines[line:])))  # no DataError


def test_no_message_advises_to_delete_a_line():
    advice = re.compile(
        r"(delete|remove|leave out|drop) (it|the|this|that|its) ?(first |second |last |title |header )?(line|row)|[;:,] (delete|drop) it"
    )
    for module in Path(table_reader.__file__).parents[1].rglob("*.py"):
        assert not advice.search(module.read_text(encoding="utf-8")), module.name


@pytest.mark.parametrize(
    "content",
    [
        "a\n5 %\n7 %\n",
        "a\n€5\n€7\n",
        "a;b\n1,234;2\n5,678;3\n",
        "a\n1\n2\nn.a.\n4\n",
        "a\n1\n#VALUE!\n4\n",
        "a\n1\ninf\n4\n",
        "t,a,b\n2024-01-01,1\n2024-01-02,2\n",
        "date,a\n2024_001h,1\n2024_002h,2\n2024_003h,2\n",
    ],
)
def test_an_option_that_a_message_names_makes_the_table_readable(write, content):
    path, parser = write(content), arguments.Parser(prog="x")
    parser.add_argument("--time")
    data_options.add_table_options(parser)
    try:
        message = " ".join(map(told, load(path).notes))
    except DataError as error:
        message = told(error)
    named = re.findall(
        r"--[a-z-]+(?: (?!reads|for|says|or|is|takes|--)(?:'[^']*'|[^\s;]+))?", message.replace("FORMAT", "%Y_%jh")
    )
    separate = [" ".join(named)] if "FORMAT" in message else named  # alternatives, or options that belong together
    assert separate
    for said in separate:
        args = parser.parse_args(shlex.split(said))
        table = load(path, args.time, options=data_options.table_options(args))
        assert len(table.values) > 1 and ("FORMAT" not in message or table.times is not None), said


def test_a_column_that_is_not_there_is_answered_with_those_that_are(refused):
    assert "no column 'hour'; it has a, b" in refused("a,b\n1,2\n", time="hour")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_csv(str(tmp_path / "absent.csv"))


def test_a_field_of_a_megabyte_is_refused(refused):
    assert "cannot be read as a table" in refused("a,b\n1," + "2" * (csv.field_size_limit() + 1) + "\n")


# ---- times ----

EXPECTED = np.array(["2024-03-09T14:00:00", "2024-03-31T15:30:00"], "datetime64[s]")


@pytest.mark.parametrize(
    "first, second",
    [
        ("2024-03-09 14", "2024-03-31 15:30"),
        ("2024-03-09 14:00", "2024-03-31 15:30"),
        ("2024-03-09T14:00:00", "2024-03-31T15:30:00"),
        ("2024-03-09T14:00:00Z", "2024-03-31T15:30:00+00:00"),
        ("2024-03-09T16:00:00+02:00", "2024-03-31 18:30+0300"),
        ("2024-03-09 14:00 UTC", "2024-03-31 15:30 UTC"),
        ("2024/03/09 14:00", "2024/3/31 15:30"),
        ("09.03.2024 14:00", "31.03.2024 15:30"),
        ("9.3.24 14:00", "31.3.24 15:30"),
        ("09/03/2024 14:00", "31/03/2024 15:30"),
        ("03/09/2024 2:00 PM", "03/31/2024 3:30 pm"),
        ("9 Mar 2024 14:00", "31 March 2024 15:30"),
        ('"Mar 9, 2024 14:00"', '"Mar 31, 2024 15:30"'),
        ('"Sat, 09 Mar 2024 14:00:00 GMT"', '"Sun, 31 Mar 2024 15:30:00 GMT"'),
        ("09-Mar-24 14:00", "31-Mar-24 15:30"),
        ("20240309 1400", "20240331 1530"),
        ("202403091400", "202403311530"),
        ("20240309T140000Z", "20240331T153000Z"),
        ("1709992800", "1711899000"),
        ("1709992800.0", "1711899000.0"),
        ("1709992800000", "1711899000000"),
        ("1709992800000000", "1711899000000000"),
        ("1709992800000000000", "1711899000000000000"),
        ("2024-03-09 14:00:00.000", "2024-03-31 15:30:00.000"),
        ("2024-03-09 14:00 - 2024-03-09 15:00", "2024-03-31 15:30 - 2024-03-31 16:30"),
    ],
)
def test_times_in_the_usual_forms(write, first, second):
    table = read_csv(write(f"when,x\n{first},1\n{second},2\n"))
    assert np.array_equal(table.times, EXPECTED)
    assert table.columns == ["x"] and table.all_columns == ["when", "x"]


@pytest.mark.parametrize(
    "cells, expected",
    [
        (["1990-01", "1990-02", "1990-03"], ["1990-01-01", "1990-02-01", "1990-03-01"]),
        (["01/1990", "02/1990", "03/1990"], ["1990-01-01", "1990-02-01", "1990-03-01"]),
        (["Jan 1990", "Feb 1990", "Mar 1990"], ["1990-01-01", "1990-02-01", "1990-03-01"]),
        (["199001", "199002", "199003"], ["1990-01-01", "1990-02-01", "1990-03-01"]),
        (["1990Q1", "1990Q2", "1990Q3"], ["1990-01-01", "1990-04-01", "1990-07-01"]),
        (["Q1 1990", "Q2 1990", "Q3 1990"], ["1990-01-01", "1990-04-01", "1990-07-01"]),
        (["2015-W01", "2015-W02", "2015-W03"], ["2014-12-29", "2015-01-05", "2015-01-12"]),
        (["1790", "1791", "1792"], ["1790-01-01", "1791-01-01", "1792-01-01"]),
        (["23-01-31", "23-02-01", "23-02-02"], ["2023-01-31", "2023-02-01", "2023-02-02"]),
        (["01/31/23", "02/01/23", "02/02/23"], ["2023-01-31", "2023-02-01", "2023-02-02"]),
        (["230131", "230201", "230202"], ["2023-01-31", "2023-02-01", "2023-02-02"]),
        (["2024-01-01 - 2024-01-07", "2024-01-08 - 2024-01-14"], ["2024-01-01", "2024-01-08"]),
        (["2024-01-01/2024-01-07", "2024-01-08/2024-01-14"], ["2024-01-01", "2024-01-08"]),
    ],
)
def test_days_months_quarters_weeks_years_and_intervals(write, cells, expected):
    table = read_csv(write("date,x\n" + "".join(f"{cell},{k * k}\n" for k, cell in enumerate(cells))))
    assert table.times.astype("M8[D]").astype(str).tolist() == expected and table.columns == ["x"]


@pytest.mark.wide
def test_the_reading_that_puts_the_rows_in_order_with_equal_steps_is_taken(write, monkeypatch):
    monkeypatch.setattr(table_reader, "CELLS", 8)
    days = np.datetime64("2024-01-01") + np.arange(40)
    for form in ("%d/%m/%Y", "%m/%d/%Y", "%y-%m-%d", "%d-%m-%y", "%m-%d-%y", "%Y%m%d", "%y/%m/%d"):
        for order in (1, -1):
            table = read_csv(write("day,x\n" + "".join(f"{day.item():{form}},1\n" for day in days[::order])))
            assert np.array_equal(table.times, days[::order].astype("datetime64[s]")), form


def test_a_time_written_as_a_number_needs_order_or_a_name(write):
    hours = [1_704_067_200 + 3600 * k for k in range(30)]
    table = read_csv(write("a,x\n" + "".join(f"{t},{k * k}\n" for k, t in enumerate(hours))))
    assert table.times is not None and table.columns == ["x"]
    shuffled = np.random.default_rng(0).permutation(hours)
    table = read_csv(write("a,x\n" + "".join(f"{t},{k * k}\n" for k, t in enumerate(shuffled))))
    assert table.times is None and table.columns == ["a", "x"]  # values between 1.7e9 and 1.8e9
    assert read_csv(write("timestamp,x\n" + "".join(f"{t},1\n" for t in shuffled))).times is not None


def test_values_are_not_taken_for_times(write):
    rng = np.random.default_rng(0)
    for numbers in (rng.integers(1900, 2100, 50), rng.integers(10**7, 3 * 10**7, 50), rng.integers(1, 1300, 50) / 100):
        table = read_csv(write("load,x\n" + "".join(f"{number},1\n" for number in numbers)))
        assert table.times is None and table.columns == ["load", "x"]


def test_date_and_hour_in_two_columns(write):
    content = "day;hour;x\n01.02.2024;1;5\n01.02.2024;2;6\n01.02.2024;24;7\n13.02.2024;1;8\n"
    expected = np.array(["2024-02-01T01", "2024-02-01T02", "2024-02-02T00", "2024-02-13T01"], "M8[s]")
    assert np.array_equal(read_csv(write(content)).times, expected)
    assert np.array_equal(read_csv(write(content), time="day,hour").times, expected)
    parts = "y,m,d,h,x\n2010,1,1,0,5\n2010,1,1,1,6\n"
    assert read_csv(write(parts), time="y,m,d,h").times[1] == np.datetime64("2010-01-01T01")
    clock = read_csv(write("x,date,clock\n1,2024-01-01,10:30\n2,2024-01-01,10:45\n"))
    assert clock.times[1] == np.datetime64("2024-01-01T10:45") and clock.columns == ["x"]


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


@pytest.mark.parametrize(
    "first, second, words",
    [
        ("01/02/2024", "03/02/2024", ["2024-02-01 (day first)", "2024-01-02 (month first)", "--date-format"]),
        ("2024-01-01", "soon", ["line 3", "'soon'", "2024-03-31 14:00"]),
        ("2024-01-01", "2024-02-30", ["line 3", "2024-02-30"]),
        ("2024-01-01 10:00", "2024-01-01 10:75", ["line 3", "10:75"]),
        ("31/01/2024", "01/31/2024", ["line 3", "01/31/2024"]),
        ("2024-01-01 10:00", "2024-01-01 10:00+02:00", ["line 3", "+02:00"]),
    ],
)
def test_dates_that_are_none_or_could_be_two(refused, first, second, words):
    message = refused(f"t,x\n{first},1\n{second},2\n")
    for word in words:
        assert word in message


# ---- anything at all ----


@pytest.mark.parametrize("blank", ["\t", "\u3000", "\x0b", "\x1c"])
def test_a_sign_before_another_blank_than_those_of_numbers_makes_text(refused, blank):
    assert "a number expected" in refused(f't,x\n2024-01-01,"-{blank}5"\n2024-01-02,"-{blank}6"\n')


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
            ForecastTask(table, window=3).baselines()
        except DataError as error:
            assert "\n" not in str(error)


@pytest.mark.wide
def test_thousands_of_damaged_files_end_in_a_table_or_in_one_line(write):
    """5,000 with NPSEQ_FUZZ=10."""
    fuzz(write, range(seeded(1000), seeded(1000) + scaled(500)))
