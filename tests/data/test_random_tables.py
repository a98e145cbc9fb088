"""Tables written at random in every usual form, read back and compared with what was written; and single odd forms."""

import bz2
import gzip
import lzma
from datetime import timezone

import numpy as np
import pytest
from sandbox import scaled, seeded

from npseq.cli.arguments import told
from npseq.data import DataError, TableOptions, load, load_sequences

pytest.importorskip("pandas")

FORMS = ["%Y-%m-%d %H:%M", "%d.%m.%Y %H:%M", "%m/%d/%Y %I:%M %p", "%Y%m%d%H%M", "%d-%b-%Y %H:%M:%S", "%Y/%m/%d %H:%M", "%Y-%m-%dT%H:%M:%SZ",
         "%b %d, %Y %H:%M", "%d/%m/%y %H:%M", "unix", "%a %d %b %Y %H:%M", "%Y-%m-%d %H:%M:%S UTC", "%d.%m.%Y %H.%M", "%y-%m-%d %H:%M",
         "%H:%M %d.%m.%Y", "%a %b %d %H:%M:%S %Y", "%Y-%m-%d_%H:%M"]  # fmt: skip
SIGNS = [(".", ""), (",", ""), (".", ","), (",", "."), (",", " "), (",", "\u00a0"), (".", "'"), (",", "\u202f")]
PACK = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, "": bytes}


def steps(first, n, step=86_400):
    return np.datetime64(first, "s") + np.arange(n) * np.timedelta64(step, "s")


@pytest.fixture
def write(tmp_path):
    def write(content, name="t.csv", encoding="utf-8"):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return str(tmp_path / name)

    return write


def written(rng):
    """The bytes of a table, the ending of its name, and its times and values."""
    n, step = int(rng.integers(60, 300)), int(rng.choice([3600, 10_800, 43_200]))
    sep, (decimal, thousands) = str(rng.choice([",", ";", "\t", "|", " "])), SIGNS[rng.integers(8)]
    form, mark = str(rng.choice(FORMS)), str(rng.choice(["NA", "-", "n/a", "NaN", ".", "null", "#N/A", "?"]))
    times = steps("2021-02-11T00:00", n, step)
    scale = float(rng.choice([1, 30, 5000, 2e6]))
    values = np.stack([(rng.normal(size=n) * scale).round(2), (rng.random(n) * scale / 3).round(3)], axis=1)
    values[rng.random(n) < rng.choice([0, 0.04]), 0] = np.nan
    index, titles, units, words, quoted, end = (rng.random(6) < (0.2, 0.25, 0.15, 0.2, 0.25, 0.1)).tolist()

    def time(t):
        return str(int(t.replace(tzinfo=timezone.utc).timestamp())) if form == "unix" else t.strftime(form)

    def number(v, places):
        return mark if v != v else f"{v:,.{places}f}".translate({44: thousands, 46: decimal})

    rows = [["no"] * index + ["Zeit", "Größe", "b"] + ["who"] * words]
    rows += [["-"] * index + ["-", "kWh", "°C"] + ["x"] * words] * units
    for k, (t, (a, b)) in enumerate(zip(times, values)):
        rows.append([str(k)] * index + [time(t.item()), number(a, 2), number(b, 3)] + [["rain", "sun"][k % 2]] * words)
    rows = [
        [f'"{c}"' if quoted or sep in c or sep == " " and "".join(c.split()) != c else c for c in row] for row in rows
    ]
    text = "".join(f"Station {k} in Köln\n" for k in range(rng.integers(1, 4) * titles))
    text += "".join(sep.join(row) + sep * (end and sep in ";|\t") + "\n" for row in rows)
    encoding = str(rng.choice(["utf-8", "utf-8-sig", "utf-16"] + ["cp1252", "latin-1"] * (thousands != "\u202f")))
    pack = str(rng.choice(list(PACK)))
    return PACK[pack](text.encode(encoding)), str(rng.choice([".csv", ".txt", ".dat"])) + pack, times, values


def check(write, seeds):
    for seed in seeds:
        content, end, times, values = written(np.random.default_rng(seed))
        table = load(write(content, f"t{seed}{end}"))
        kept = [table.columns.index(name) for name in ("Größe", "b")]
        assert [name for name in table.columns if name not in table.counters] == ["Größe", "b"], seed
        assert np.array_equal(table.times, times), seed
        missing = np.isnan(values)
        assert np.array_equal(table.filled[:, kept], missing), seed
        assert np.array_equal(table.values[:, kept][~missing], values[~missing]), seed


@pytest.mark.parametrize("seeds", [range(8), pytest.param(range(8, 30), marks=pytest.mark.wide)])
def test_random_tables(write, seeds):
    check(write, seeds)


@pytest.mark.wide
def test_many_random_tables(write):
    """4,000 with NPSEQ_FUZZ=10."""
    check(write, range(seeded(1000), seeded(1000) + scaled(400)))


N = 40
VALUES = np.random.default_rng(3).normal(size=N).round(4).tolist()
DAYS, HOURS = steps("2021-02-11", N), steps("2021-02-11", N, 3600)
MONTHS = np.arange("2005-01", "2008-05", dtype="M8[M]").astype("M8[s]")
QUARTERS = np.arange("2005-01", "2015-01", 3, dtype="M8[M]").astype("M8[s]")


@pytest.mark.parametrize("times, form", [
    (MONTHS, "%YM%m"), (MONTHS, "%b-%y"), (MONTHS, "%Y:%m"), (MONTHS, "%m/%Y"), (DAYS, "%Y-%j"), (DAYS, "%Y%j"), (DAYS, "%Y年%m月%d日"), (DAYS, "%d%b%Y"),
    (HOURS, "%a %b %d %H:%M:%S %Y"), (HOURS, "%H:%M:%S %Y-%m-%d"), (HOURS, "%Y-%m-%d-%H"), (HOURS, "%Y-%m-%d_%H:%M"), (HOURS, "%Y-%m-%d %H:%M:%S +0000 UTC"),
    (HOURS, "%d/%b/%Y:%H:%M:%S +0000"), (HOURS, "%Y:%m:%d %H:%M:%S"), (HOURS, "%a, %d %b %Y %H:%M:%S GMT"), (HOURS, "%Y%m%dT%H%M%SZ"),
])  # fmt: skip
def test_odd_forms_of_times(write, times, form):
    table = load(write("date,v\n" + "".join(f'"{t.item():{form}}",{v}\n' for t, v in zip(times, VALUES))))
    assert np.array_equal(table.times, times) and table.values[:, 0].tolist() == VALUES


@pytest.mark.parametrize("form", ["{y}:Q{q}", "{y}.Q{q}", "{q}Q{y}", "Q{q}/{y}", "{y}:{q}", "{y}-{q}"])
def test_odd_forms_of_quarters(write, form):
    cells = [form.format(y=t.year, q=(t.month + 2) // 3) for t in QUARTERS.astype("M8[D]").tolist()]
    table = load(write("date,v\n" + "".join(f"{cell},{v}\n" for cell, v in zip(cells, VALUES))))
    assert np.array_equal(table.times, QUARTERS) and table.offset == "QS-JAN"


@pytest.mark.parametrize("header, form, times", [
    ("YEAR,MO,DY,HR,v", "{t.year},{t.month},{t.day},{t.hour},{v}", HOURS), ("year,month,v", "{t.year},{t:%b},{v}", MONTHS),
    ("year,quarter,v", "{t.year},{q},{v}", QUARTERS), ("Year,Qtr,v", "{t.year},Q{q},{v}", QUARTERS), ("Time,Date,v", "{t:%H:%M},{t:%Y-%m-%d},{v}", HOURS),
    ("Date,v,Time", "{t:%Y-%m-%d},{v},{t:%H:%M}", HOURS), ("Date,Time,v", "{t:%Y-%m-%d},{t:%H%M},{v}", HOURS), ("#YY MM DD hh mm v\n#yr mo dy hr mn m", "{t:%Y %m %d %H %M} {v}", HOURS),
])  # fmt: skip
def test_a_time_in_several_columns(write, header, form, times):
    rows = [form.format(t=t, v=v, q=(t.month + 2) // 3) for t, v in zip(times.tolist(), VALUES)]
    table = load(write(header + "\n" + "\n".join(rows)))
    assert np.array_equal(table.times, times) and table.columns == ["v"] and table.values[:, 0].tolist() == VALUES


def test_a_day_that_does_not_exist_is_named_though_it_is_in_several_columns(write):
    rows = "".join(f"{t.year},{t.month},{t.day},{v}\n" for t, v in zip(DAYS.tolist(), VALUES))
    with pytest.raises(DataError, match="line 20, time column 'year, month, day' holds '2021-2-31'"):
        load(write("year,month,day,v\n" + rows.replace("2021,3,1,", "2021,2,31,")))


def test_years_with_a_fraction_are_no_target(write):
    rows = [f"{t.year};{t.month:02};{t.year + (t.month - 0.5) / 12:.3f};{v}" for t, v in zip(MONTHS.tolist(), VALUES)]
    table = load(write("\n".join(rows)))  # without a header
    assert np.array_equal(table.times, MONTHS) and table.columns[table.column(None)] == "c3"
    assert table.values[:, table.column(None)].tolist() == VALUES
    named = load(write("year,month,decimal date,average\n" + "\n".join(rows).replace(";", ",")))
    assert named.columns[named.column(None)] == "average" and np.array_equal(named.times, MONTHS)
    seconds = "".join(f"{t:.9e},{v}\n" for t, v in zip(HOURS.astype(np.int64), VALUES))
    table = load(write("unix,v\n" + seconds))
    assert table.columns[table.column(None)] == "v"
    stations = load(write("station_id,v\n" + "".join(f"42,{v}\n" for v in VALUES)))
    assert stations.columns[stations.column(None)] == "v"


def test_a_column_of_unknown_times_is_named_with_the_option_that_reads_it(write):
    path = write("date,v\n" + "".join(f"{t:%Hh-%Y-%m-%d},{v}\n" for t, v in zip(HOURS.tolist(), VALUES)))
    assert any("time='date' date_format='FORMAT' reads it" in note for note in load(path).notes)
    assert np.array_equal(load(path, "date", options=TableOptions(date_format="%Hh-%Y-%m-%d")).times, HOURS)
    assert np.array_equal(load(path, options=TableOptions(date_format="%Hh-%Y-%m-%d")).times, HOURS)


BODY = "".join(f"{str(t)[:10]},{v},{k % 7}\n" for k, (t, v) in enumerate(zip(DAYS, VALUES)))


@pytest.mark.parametrize("above, sep, names", [
    ("# c {k}, d\n" * 40 + "date,v,u\n", ",", ["v", "u"]), ("# words {k} and more\n" * 70 + "date v u\n", " ", ["v", "u"]), ("date,v,u,\n", ",", ["v", "u"]),
    ("Price,Close,Volume\nTicker,X,X\nDate,,\n", ",", ["Close", "Volume"]), ("Station 1 in\ndate v u\n", " ", ["v", "u"]), ("Station 1 in X\ndate\tv\tu\n", "\t", ["v", "u"]),
    ("date\tv\tu\n\tkWh\t°C\n", "\t", ["v", "u"]), ("date,0,1\n", ",", ["0", "1"]), (",0,1\n", ",", ["0", "1"]),
])  # fmt: skip
def test_lines_above_the_rows(write, above, sep, names):
    table = load(write(above + BODY.replace(",", sep)))
    assert table.columns == names and len(table.values) == N and table.values[:, 0].tolist() == VALUES


def test_names_of_pandas_above_its_index(write):
    table = load(write(",0,1\n" + "".join(f"{k},{v},{k % 7}\n" for k, v in enumerate(VALUES))))
    assert table.columns == ["Unnamed: 0", "0", "1"] and table.values[:, 1].tolist() == VALUES


def test_a_header_with_more_names_than_columns_is_asked_about(write):
    path = write("date,v,u,w\n" + BODY)
    with pytest.raises(DataError, match="line 2 has 3 fields; 4 expected.*header=False"):
        load(path)
    assert load(path, options=TableOptions(header=False)).values[:, 0].tolist() == VALUES


def test_a_mark_that_is_not_known_is_named_with_its_option(write):
    for mark, said in (("#VALUE!", "'#VALUE!'"), ("n.a.", "n.a."), ("*", "'*'"), ("missing", "missing")):
        path = write("t;v\n" + "".join(f"{t};{mark if k == 5 else v}\n" for k, (t, v) in enumerate(zip(DAYS, VALUES))))
        with pytest.raises(DataError) as error:
            load(path)
        assert told(error.value).endswith(f"if it marks a missing value, say --na {said}")
        table = load(path, options=TableOptions(na=(mark,)))
        assert np.flatnonzero(table.filled[:, 0]).tolist() == [5] and table.values[6, 0] == VALUES[6]


@pytest.mark.wide
def test_a_decimal_comma_far_down_is_read(write):
    rows = "".join(
        f"{t};{'1,5' if k == 19_000 else k % 7};{k % 5}\n" for k, t in enumerate(steps("2000-01-01", 20_000, 60))
    )
    table = load(write("t;v;u\n" + rows))
    assert table.columns == ["v", "u"] and table.values[19_000].tolist() == [1.5, 0]


def test_a_short_row_is_found_beside_a_quoted_separator(write):
    rows = "".join("1;2\n" if k == 900 else f'{k};"a;b"\n' if k == 5 else f"{k};x\n" for k in range(2000))
    with pytest.raises(DataError, match="line 952 has 1 fields"):
        load(write("v;w\n" + rows.replace("1;2\n", "1\n").replace("\n", "\n\n", 50)))


@pytest.mark.parametrize(
    "end, told",
    [
        ("Total,9\n", "the last line left out ('Total')"),
        ("\nSource: X, 2024\nNote: y\n", "the last 2 lines left out ('Source: X')"),
    ],
)
def test_totals_and_notes_at_the_end_are_no_rows(write, end, told, monkeypatch):
    from npseq.data import table_reader

    for cells in (table_reader.CELLS, 30):  # in one chunk, and in many
        monkeypatch.setattr(table_reader, "CELLS", cells)
        table = load(write("date,v,u\n" + BODY + end))
        assert len(table.values) == N and table.values[:, 0].tolist() == VALUES and told in table.notes[0]
        numbers = load(write("v,u\n" + "".join(f"{v},{k}\n" for k, v in enumerate(VALUES)) + end))
        assert numbers.values[:, 0].tolist() == VALUES and told in numbers.notes[0]


def test_fields_in_apostrophes(write):
    rows = "".join(f"'{t}';'{str(v).replace('.', ',')}'\n" for t, v in zip(DAYS, VALUES))
    table = load(write("'date';'v; of it'\n" + rows))
    assert table.columns == ["v; of it"] and table.values[:, 0].tolist() == VALUES and np.array_equal(table.times, DAYS)


def test_a_zone_without_a_number_is_asked_about(write):
    path = write("date,v\n" + "".join(f"{t:%Y-%m-%d %H:%M} CET,{v}\n" for t, v in zip(HOURS.tolist(), VALUES)))
    with pytest.raises(DataError, match="are in CET.*date_format='%Y-%m-%d %H:%M CET'"):
        load(path)
    assert np.array_equal(load(path, options=TableOptions(date_format="%Y-%m-%d %H:%M CET")).times, HOURS)


def test_a_dash_between_date_and_clock_is_no_interval(write):
    table = load(write("date,v\n" + "".join(f"{t:%d.%m.%Y - %H:%M},{v}\n" for t, v in zip(HOURS.tolist(), VALUES))))
    assert np.array_equal(table.times, HOURS)


def test_two_readings_are_named_by_a_time_that_is_there(write):
    with pytest.raises(DataError, match="can be 2024-02-01 .day first. or 2024-01-02"):
        load(write("t,v\nNA,0\n01/02/2024,1\n03/02/2024,2\n"))


def test_a_damaged_date_is_named(write):
    rows = BODY.replace(str(DAYS[9])[:10], "20.02..2021")
    with pytest.raises(DataError, match="line 11, time column 'date' holds '20.02..2021'"):
        load(write("date,v,u\n" + rows))
    with pytest.raises(DataError, match="line 2 has 2 fields; 3 expected"):  # no line of units
        load(write("date,v,u\n2021-02-10,5\n" + BODY))


def test_rows_of_two_lengths_are_asked_about_and_none_is_taken_for_a_title(write):
    path = write("a,b\n" + "1,2\n" * 10 + "3,4,5\n" * 100)
    with pytest.raises(DataError, match="line 12 has 3 fields; 2 expected, as in the line above it; header=False"):
        load(path)
    assert len(load(path, options=TableOptions(header=False)).values) == 100
    with pytest.raises(DataError, match="line 2 has 3 fields; 2 expected, as in the rows below it"):
        load(write("a,b\n3,4,5\n" + "1,2\n" * 10))


@pytest.mark.parametrize("text, names", [
    ("0.5;1.5\n0,58;0,5\n-0,58;-1,85\n", ["0.5", "1.5"]), ("2019;\n0.45\n0.87\n", ["2019"]), ("0;1\n0.5;2;\n0.7;4;\n", ["0", "1"]),
    ("#\tdate\t0.5\n-\tm\n2020-01-30\t0.18\n2020-01-31\t-0.02\n", ["0.5"]), ("1.5\n2\n3\n", ["c0"]),
])  # fmt: skip
def test_headers_of_numbers(write, text, names):
    assert load(write(text)).columns == names


def test_each_column_may_have_its_own_decimal_sign(write):
    rows = "".join(f"{str(t)[:10]};{str(v).replace('.', ',')};{k}.5\n" for k, (t, v) in enumerate(zip(DAYS, VALUES)))
    table = load(write("date;v;u\n" + rows))
    assert table.columns == ["v", "u"] and table.values[:, 0].tolist() == VALUES
    assert table.values[:3, 1].tolist() == [0.5, 1.5, 2.5] and "decimal '.' in u" in table.notes[0]


def test_several_empty_fields_at_the_end_of_each_row(write):
    for header in ("date,v,u", "date,v,u,,,"):
        table = load(write(header + "\n" + BODY.replace("\n", ",,,\n")))
        assert table.columns == ["v", "u"] and table.values[:, 0].tolist() == VALUES


def test_one_day_in_all_rows_is_not_the_time_where_other_times_are(write):
    table = load(write("published,date,v\n" + "".join(f"2022-01-01,{str(t)[:10]},{v}\n" for t, v in zip(DAYS, VALUES))))
    assert np.array_equal(table.times, DAYS)


def test_two_series_of_equal_times_are_asked_about(write):
    rows = "".join(f"{str(t)[:10]},{series},{v}\n" for t, v in zip(DAYS, VALUES) for series in (1, 2))
    with pytest.raises(DataError, match="80 rows have only 40 different times"):
        load(write("date,series,v\n" + rows))


def test_dates_and_clock_times_of_a_spreadsheet(tmp_path):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("openpyxl")
    pd.DataFrame(
        {"date": [t.date() for t in HOURS.tolist()], "clock": [t.time() for t in HOURS.tolist()], "v": VALUES}
    ).to_excel(tmp_path / "t.xlsx", index=False)
    table = load(str(tmp_path / "t.xlsx"))
    assert np.array_equal(table.times, HOURS) and table.columns == ["v"] and table.values[:, 0].tolist() == VALUES


# ---- sequences and objects in memory ----


def test_names_of_digits_are_left_as_they_are(write):
    rows = "".join(
        f"{s},{label},{k * k},{k % 2}\n" for k, (s, label) in enumerate(zip(["007", "007", "7", "1e5", "1e5"], "11122"))
    )
    sequences, _ = load_sequences(write("s,l,v,w\n" + rows.replace(",1,", ",1.0000e+00,", 1)), "s", "l")
    assert sequences.names == ["007", "7", "1e5"] and sequences.classes == ["1", "2"]


def test_the_first_row_may_be_the_shortest_sequence(write):
    sequences, _ = load_sequences(write("2\t1.5\n1\t3.5\t2\n2\t5.5\t1\t4\n", "r.tsv"), None, "0")
    assert np.diff(sequences.starts).tolist() == [1, 2, 3] and sequences.labels.tolist() == [1, 0, 1]


def test_labels_and_sequences_that_are_missing_in_memory():
    x = np.arange(6.0).reshape(3, 2)
    sequences, _ = load_sequences(list(x), label=["a", None, "b"])
    assert sequences.classes == ["a", "b"] and len(sequences.labels) == 2
    empty, _ = load_sequences([x[0], np.zeros(0), x[2]], label=[1, 2, -1])
    assert empty.classes == ["-1", "1"] and "1 sequences are empty: left out" in empty.notes


def test_masked_and_structured_arrays():
    masked = np.ma.masked_array(VALUES, mask=np.arange(N) == 3)
    for source in (masked, {"v": masked}):
        table = load(source)
        assert np.flatnonzero(table.filled[:, 0]).tolist() == [3] and table.values[2, 0] == VALUES[2]
    table = load(np.array([(1, 2.5), (3, 4.5)], dtype=[("a", "i4"), ("b", "f8")]))
    assert table.columns == ["a", "b"] and table.values.tolist() == [[1, 2.5], [3, 4.5]]


def test_an_index_of_written_times_and_columns_of_arrow():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"v": VALUES}, index=[f"{t:%d.%m.%Y}" for t in DAYS.tolist()])
    for source in (frame, frame["v"]):
        assert np.array_equal(load(source).times, DAYS) and load(source).columns == ["v"]
    assert load(pd.DataFrame({"v": VALUES}, index=[f"row {k}" for k in range(N)])).all_columns == ["v"]
    pytest.importorskip("pyarrow")
    arrow = pd.DataFrame({"t": DAYS, "v": VALUES, "k": range(N)}).convert_dtypes(dtype_backend="pyarrow")
    assert np.array_equal(load(arrow).times, DAYS) and load(arrow).values[:, 0].tolist() == VALUES
