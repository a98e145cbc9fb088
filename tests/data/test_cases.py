"""Reports of users, each a small input and the values that must be read from it; and other inputs of the same kinds."""

from pathlib import Path

import numpy as np
import pytest

from npseq.cli.arguments import told
from npseq.data import DataError, TableOptions, load, load_sequences

pytest.importorskip("pandas")
CASES = Path(__file__).parent / "cases"


def case(name):
    return str(CASES / name)


def daily(first, n=300):
    return np.datetime64(first, "s") + np.arange(n) * np.timedelta64(86_400, "s")


def cells(name, sep, column):
    """A column of numbers, by Python alone."""
    rows = [line.split(sep) for line in (CASES / name).read_text().splitlines()[1:]]
    return np.array([float(row[column].strip('"')) for row in rows])


@pytest.fixture
def write(tmp_path):
    def write(content, name="t.csv"):
        (tmp_path / name).write_text(content, encoding="utf-8")
        return str(tmp_path / name)

    return write


# ---- blanks between columns ----


def test_blanks_between_columns(write):
    table = load(case("blanks-between-columns/table.txt"))
    assert table.columns == ["load", "temp"] and np.array_equal(table.times, daily("2023-01-01"))
    assert np.array_equal(table.values[:, 1], cells("blanks-between-columns/table.txt", " ", 2))
    assert "blanks between fields" in table.notes[0]
    engine = "".join(f"{k // 9 + 1} {k % 9} {-0.0007 * k:.4f}  641.82 \n" for k in range(90))
    assert load(write(engine, "engine.txt")).values.shape == (90, 4)  # no header, two blanks, one at the end
    aligned = "   date      load\n" + "".join(f"{day}  {k:7.2f}\n" for k, day in enumerate(daily("2023-01-01", 9)))
    assert load(write(aligned.replace("T00:00:00", ""), "a.dat")).values[:, 0].tolist() == list(range(9))


# ---- calendar steps ----


@pytest.mark.parametrize("name, first, offset, after", [
    ("monthly", "2005-01-01", "MS", ["2020-01-01", "2020-02-01", "2020-03-01", "2020-04-01", "2020-05-01", "2020-06-01"]),
    ("weekdays", "2021-01-04", "B", ["2022-02-28", "2022-03-01", "2022-03-02", "2022-03-03", "2022-03-04", "2022-03-07"]),
])  # fmt: skip
def test_calendar_steps(name, first, offset, after):
    table = load(case(f"calendar-steps/{name}.csv"))
    assert table.offset == offset and str(table.times[0])[:10] == first and len(table.notes) == 1
    assert table.times_after(6).astype("M8[D]").astype(str).tolist() == after
    assert np.array_equal(table.values[:, 0], cells(f"calendar-steps/{name}.csv", ",", 1))


# ---- dates ----


def test_dates_without_separators(write):
    table = load(case("compact-date/daily.csv"))
    assert table.columns == ["load"] and table.step == 86_400
    assert np.array_equal(table.times, daily("2022-03-01"))
    hours = "".join(f"{day.item():%Y%m%d%H%M},{k}\n" for k, day in enumerate(daily("2021-06-28", 40)))
    assert np.array_equal(load(write("x,load\n" + hours)).times, daily("2021-06-28", 40))
    dotted = "".join(f"{day.item():%Y%m%d};{k % 7},5\n" for k, day in enumerate(daily("2021-06-28", 40)))
    assert load(write("MESS_DATUM;TMK\n" + dotted)).values[1, 0] == 1.5


def test_two_digits_of_the_year_first(write):
    table = load(case("date-year-first/daily.csv"))
    assert np.array_equal(table.times, daily("2023-01-01")) and table.step == 86_400
    assert np.array_equal(table.values[:, 0], cells("date-year-first/daily.csv", ",", 1))
    assert "year first" in table.notes[0] and len(table.notes) == 1
    for form in ("%y/%m/%d", "%y.%m.%d", "%d.%m.%y", "%m/%d/%y", "%d-%m-%y"):
        rows = "".join(f"{day.item():{form}},{k}\n" for k, day in enumerate(daily("2010-01-01", 60)))
        assert np.array_equal(load(write("date,load\n" + rows)).times, daily("2010-01-01", 60)), form


# ---- headers, separators, numbers ----


def test_a_header_of_decimal_numbers(write):
    table = load(case("header-of-decimal-numbers/soil.csv"))
    assert table.columns == ["0.5", "1.5"] and np.array_equal(table.times, daily("2023-01-01"))
    assert np.array_equal(table.values[:, 0], cells("header-of-decimal-numbers/soil.csv", ",", 1))
    assert table.column("0.5") == 0
    assert load(write("depth;0,1;0,2\n2023-01-01;1,5;2\n2023-01-02;2,5;3\n")).columns == ["0,1", "0,2"]
    assert load(write("time\t10.5\t-3\n2023-01-01\t1\t2\n2023-01-02\t3\t4\n", "t.tsv")).columns == ["10.5", "-3"]


def test_decimal_commas_in_quotes(write):
    table = load(case("quoted-decimal-comma/kurs.csv"))
    expected = [line.split('","')[1].strip('"').replace(",", ".") for line in (CASES / "quoted-decimal-comma/kurs.csv").read_text().splitlines()[1:]]  # fmt: skip
    assert np.array_equal(table.values[:, 0], np.array(expected, float))
    assert np.array_equal(table.times, daily("2023-01-01"))
    only = load(write('a,b\n"1,5",2\n"2,25","3,5"\n'))
    assert only.values.tolist() == [[1.5, 2], [2.25, 3.5]]
    tabs = load(write('a\tb\n"1.001,5"\t2\n"2,25"\t"3,5"\n', "t.tsv"))
    assert tabs.values.tolist() == [[1001.5, 2], [2.25, 3.5]]


def test_a_separator_at_the_end_of_each_row(write):
    table = load(case("separator-at-line-end/weather.csv"))
    assert (
        table.columns == ["T", "P"]
        and table.step == 10_800
        and table.values[:2].tolist() == [[4.1, 749.3], [16.9, 766.1]]
    )
    assert np.array_equal(table.values[:, 1], cells("separator-at-line-end/weather.csv", ";", 2))
    for content in ("a,b\n1,2,\n3,4,\n", "a,b,\n1,2,\n3,4,\n", "a\tb\n1\t2\t\n3\t4\t\n", "1,2,\n3,4,\n"):
        table = load(write(content))
        assert table.values.tolist() == [[1, 2], [3, 4]] and len(table.columns) == 2


def test_marks_of_missing_values(write):
    table = load(case("missing-marks/rate.csv"))
    assert table.columns == ["RATE"] and np.array_equal(table.times, daily("2018-01-01"))
    assert table.filled.sum() == 9 and "9 gaps in RATE filled by linear interpolation" in table.notes
    for mark in ("..", "#N/A", "n/e", "--", "#DIV/0!", "<NA>", "1.#QNAN"):
        table = load(
            write(
                "date,a\n"
                + "".join(f"{day},{mark if k == 2 else k * k}\n" for k, day in enumerate(daily("2018-01-01", 9)))
            )
        )
        assert np.flatnonzero(table.filled[:, 0]).tolist() == [2] and table.values[2, 0] == 5  # between 1 and 9


# ---- sequences ----


def test_frames_are_put_in_time_order(write):
    mixed, sorted_ = (
        load_sequences(case(f"frames-in-time-order/{name}.csv"), "seq", "label") for name in ("mixed", "sorted")
    )
    assert mixed[0].fingerprint() == sorted_[0].fingerprint() and mixed[0].names == sorted_[0].names
    assert "rows were not in time order: sorted" in mixed[0].notes and len(sorted_[0].notes) == 1
    rows = (CASES / "frames-in-time-order/sorted.csv").read_text().splitlines()[1:]
    assert mixed[0].frames[:, 0].tolist() == [float(row.split(",")[2]) for row in rows]
    for order in ((0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2)):  # numbers order the frames as well
        content = "s,l,step,v\n" + "".join(f"{s},{'ab'[s]},{k * 10},{s + k * k}\n" for k in order for s in (0, 1))
        sequences, _ = load_sequences(write(content), "s", "l", time="step")
        assert sequences.frames[:, 0].tolist() == [0, 1, 4, 9, 1, 2, 5, 10] and sequences.columns == ["v"]


def test_a_missing_label_is_no_class(write):
    sequences, _ = load_sequences(case("missing-label/labels.csv"), "seq", "label")
    assert sequences.classes == ["down", "up"] and len(sequences.labels) == 60
    assert "20 sequences have no label: left out" in sequences.notes
    for mark in ("", "NaN", "NA", "null", "?"):
        sequences, _ = load_sequences(write(f"s,l,v,w\n1,x,5,0\n1,x,6,1\n2,{mark},7,2\n3,y,9,7\n"), "s", "l")
        assert sequences.classes == ["x", "y"] and sequences.names == ["1", "3"] and len(sequences.frames) == 3
    first, _ = load_sequences(write("s,l,v,w\n1,x,5,0\n1,,6,1\n2,y,7,2\n2,,9,7\n"), "s", "l")
    assert first.classes == ["x", "y"] and len(first.frames) == 4 and len(first.notes) == 1


def test_a_row_for_each_sequence(write):
    sequences, _ = load_sequences(case("one-row-a-sequence/ramps_TRAIN.tsv"), None, "0")
    assert sequences.classes == ["1", "2"] and len(sequences.labels) == 60 and set(np.diff(sequences.starts)) == {30}
    assert sequences.frames[:2, 0].tolist() == [2.772, 2.579] and sequences.labels[:4].tolist() == [0, 1, 0, 1]
    shorter, _ = load_sequences(write("kind,t0,t1,t2\nup,1,2,4\ndown,3,2,\nup,5,,7\n"), None, "kind")
    assert np.diff(shorter.starts).tolist() == [3, 2, 3] and shorter.classes == ["down", "up"]
    assert shorter.frames[:, 0].tolist() == [1, 2, 4, 3, 2, 5, 6, 7]
    ragged, _ = load_sequences(write("1\t1.5\t2\t4\n2\t3.5\t2\n1\t5.5\n", "r.tsv"), None, "0")
    assert np.diff(ragged.starts).tolist() == [3, 2, 1] and ragged.classes == ["1", "2"]


def test_arrays_of_sequences(tmp_path):
    x = np.random.default_rng(0).normal(size=(6, 4, 2))
    x[1, 3] = np.nan
    np.savez(tmp_path / "a.npz", X=x, y=np.array([1, 2, 1, 2, 1, 2]))
    sequences, _ = load_sequences(str(tmp_path / "a.npz"))
    assert np.diff(sequences.starts).tolist() == [4, 3, 4, 4, 4, 4] and sequences.classes == ["1", "2"]
    assert np.array_equal(sequences.frames[:4], x[0])
    lists, _ = load_sequences([np.ones((3, 2)), np.zeros((1, 2))], label=["b", "a"])
    assert lists.classes == ["a", "b"] and lists.labels.tolist() == [1, 0] and lists.starts.tolist() == [0, 3, 4]
    flat, _ = load_sequences((np.ones((3, 5)), [1.0, 1, 2]))
    assert flat.columns == ["value"] and flat.classes == ["1", "2"]
    with pytest.raises(DataError, match="3 sequences and 2 labels"):
        load_sequences((np.ones((3, 5)), [1, 2]))


def test_a_number_for_each_sequence(write):
    content = "s,v,w,y\n1,5,0,1.5\n1,6,1,\n2,7,2,-3\n3,9,7,\n"
    sequences, _ = load_sequences(write(content), "s", "y", regress=True)
    assert sequences.targets.tolist() == [1.5, -3] and sequences.columns == ["v", "w"] and sequences.classes == []
    assert "1 sequences have no label: left out" in sequences.notes
    rows, _ = load_sequences(write("y,t0,t1\n0.5,1,2\n0.25,3,\n"), None, "y", regress=True)
    assert rows.targets.tolist() == [0.5, 0.25] and rows.frames[:, 0].tolist() == [1, 2, 3]
    with pytest.raises(DataError, match="two numbers, '1.5' and '2'"):
        load_sequences(write(content.replace("1,6,1,", "1,6,1,2")), "s", "y", regress=True)


def test_labels_that_are_numbers_have_one_spelling(write):
    sequences, _ = load_sequences(write("s,l,v,w\n1,1,5,0\n1,1.0,6,1\n2, 1 ,7,2\n3,2,9,7\n"), "s", "l")
    assert sequences.classes == ["1", "2"] and sequences.labels.tolist() == [0, 0, 1]


# ---- what is told ----


def test_a_value_far_from_all_others_is_named(write):
    content = "a,b\n" + "".join(f"{-9999 if k % 9 == 4 else k % 7},{k * 0.37 % 1:.2f}\n" for k in range(60))
    table = load(write(content))
    note = next(note for note in table.notes if "-9999" in note)
    assert (
        note.startswith("a holds -9999 7 times")
        and "--na -9999" in told(note)
        and not any("b holds" in one for one in table.notes)
    )
    assert load(write(content), options=TableOptions(na=("-9999",))).filled[:, 0].sum() == 7


def test_a_column_that_counts_rows_is_neither_target_nor_input(write):
    for name in ("", "id", "anything"):
        table = load(write(f"{name},x\n" + "".join(f"{k + 1},{k * k}\n" for k in range(9))))
        assert table.columns[table.column(None)] == "x" and table.counters and "count the rows" in table.notes[1]
        assert table.column(0) == 0  # named, it is used
    index = load(write(",date,x\n" + "".join(f"{k},{day},{k * k}\n" for k, day in enumerate(daily("2023-01-01", 9)))))
    assert index.columns[index.column(None)] == "x" and index.step == 86_400


def test_infinite_numbers_are_refused_or_missing_when_said(write):
    path = write("a,b\n1,2\n-inf,3\n4,5\n")
    with pytest.raises(DataError, match="row 1 of 'a' holds -inf.*na='inf'"):
        load(path)
    assert load(path, options=TableOptions(na=("inf",))).filled[:, 0].tolist() == [False, True, False]


def test_booleans_are_numbers(write):
    table = load(write("open,x\nTrue,1.5\nFALSE,2\n,3\ntrue,9\n"))
    assert table.values[:, 0].tolist() == [1, 0, 0.5, 1]


# ---- what would be misread silently ----


def test_parts_of_a_time_in_several_columns(write):
    hours = [np.datetime64("2010-01-01T00", "s") + k * np.timedelta64(3600, "s") for k in range(60)]
    parts = "".join(
        f"{k + 1},{t.year},{t.month},{t.day},{t.hour},{k * k}\n" for k, t in enumerate(t.item() for t in hours)
    )
    table = load(write("No,year,month,day,hour,pm\n" + parts))
    assert table.step == 3600 and table.times[-1] == hours[-1] and table.columns[table.column(None)] == "pm"
    clock = "".join(f"{t:%d/%m/%Y};{t:%H.%M.%S};{k % 7},5\n" for k, t in enumerate(t.item() for t in hours))
    table = load(write("Date;Time;CO\n" + clock))
    assert table.step == 3600 and len(table.values) == 60 and table.values[1, 0] == 1.5


def test_many_rows_with_one_time_are_asked_about(write):
    with pytest.raises(DataError, match="716 rows have only 11 different times.*time='DATE,HOUR'"):
        load(case("frames-in-time-order/mixed.csv"))


def test_months_with_points_and_elapsed_time_are_no_values(write):
    months = "".join(f"{k % 12 + 1:02}.{2005 + k // 12};{k % 7}\n" for k in range(60))
    assert load(write("date;v\n" + months)).offset == "MS"
    table = load(write("time,v\n" + "".join(f"{k * 0.1},{k % 7}\n" for k in range(60))))
    assert table.times is None and table.columns[table.column(None)] == "v"


def test_comments_and_other_lines_above_the_header(write):
    for above in ("// made by x\n// on y\n", "# x, y and z\n", "sep=,\n", "Station 7\n\n"):
        table = load(write(above + "a,b\n1,2\n3,4\n5,7\n"))
        assert table.columns == ["a", "b"] and len(table.values) == 3, above
    assert load(write("# a,b\n1,2\n3,4\n5,7\n")).columns == ["a", "b"]
