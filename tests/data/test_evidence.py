"""What each column is follows from the values: other forms of the reports that showed where names and thresholds decided."""

import numpy as np
import pytest

from npseq.cli.arguments import told
from npseq.data import DataError, TableOptions, kind_of, load, load_sequences
from npseq.data.table import Table

pd = pytest.importorskip("pandas")

N = 120
VALUES = (50 + np.random.default_rng(5).normal(size=N).cumsum()).round(2).tolist()
DAYS = [day.item() for day in np.datetime64("2023-01-01") + np.arange(N)]
HOURS = [hour.item() for hour in np.datetime64("2023-01-01T00", "s") + np.arange(N) * np.timedelta64(3600, "s")]


@pytest.fixture
def write(tmp_path):
    def write(content, name="t.csv", encoding="utf-8"):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return str(tmp_path / name)

    return write


def lines(header, *columns):
    """A table with commas."""
    return header + "\n" + "".join(",".join(map(str, row)) + "\n" for row in zip(*columns))


def target(table):
    return table.columns[table.column(None)]


def refusal(function, *args, **options):
    with pytest.raises(DataError) as error:
        function(*args, **options)
    assert "\n" not in str(error.value)
    return told(error.value)


# ---- which columns are no target ----

COUNTED = list(range(N))
NEVER = {
    "constant": (["1646500"] * N, "constant"),
    "constant with an empty cell": (["7.5", ""] + ["7.5"] * (N - 2), "constant"),
    "changes after the training rows": ([5] * 90 + list(range(30)), "constant"),
    "counts down": (COUNTED[::-1], "counter"),
    "Excel's days": ([45_292 + k for k in COUNTED], "counter"),
    "Excel's days, newest first": ([45_292 - k for k in COUNTED], "counter"),
    "weekdays of Excel": ([45_292 + k + 2 * (k // 5) for k in COUNTED], "counter"),
    "an index with gaps": ([k + k // 10 for k in COUNTED], "counter"),
    "milliseconds that jitter": (
        [5210 + 1002 * k + int(late) for k, late in enumerate(np.random.default_rng(2).integers(0, 9, N))],
        "elapsed",
    ),
    "seconds with a fraction": ([round(0.1 * k + 0.002 * (k % 2), 4) for k in COUNTED], "elapsed"),
    "hours that run backwards": ([round(900 - 0.5 * k, 2) for k in COUNTED], "elapsed"),
    "days of MJD": ([round(60_000 + k / 24, 5) for k in COUNTED], "elapsed"),
    "hours in circles": ([k % 24 for k in COUNTED], "circle"),
    "months in circles": ([k % 12 + 1 for k in COUNTED], "circle"),
}


@pytest.mark.parametrize("cells, kind", NEVER.values(), ids=NEVER)
def test_what_counts_or_does_not_change_is_no_default_target_whatever_its_name(write, cells, kind):
    for name in ("site", "value"):
        table = load(write(lines(f"{name},discharge", cells, VALUES)))
        assert table.kinds == {name: kind, "discharge": "measurement"} and target(table) == "discharge"
        assert any(
            f"no target unless they are named: {name} ({kind.partition(' ')[0]}"
            in note.replace("counts in circles", "circle")
            for note in table.notes
        )
        assert table.column(name) == 0  # named, it is used


def test_a_rise_that_bends_or_stops_is_a_measurement(write):
    growth = [round(1000 * 1.01**k, 1) for k in COUNTED]
    stops = [k // 2 for k in COUNTED]
    noisy = np.cumsum(np.random.default_rng(0).uniform(0.5, 1.5, N)).round(2).tolist()
    for cells in (growth, stops, noisy):
        assert load(write(lines("date,a", DAYS, cells))).kinds["a"] == "measurement"


def test_if_no_column_can_be_forecast_the_names_are_told(write):
    table = load(write(lines("date,site,no", DAYS, [7] * N, COUNTED)))
    assert "site (constant), no (counter); name one with --target" in refusal(table.column, None)
    assert table.column("no") == 1
    assert Table("t", np.zeros((3, 1)), ["a"]).column(None) == 0  # nothing is known of it


def test_a_flag_is_taken_only_where_nothing_is_measured(write):
    flags = [k % 7 // 6 for k in COUNTED]
    assert target(load(write(lines("date,quality_flag,flow", DAYS, flags, VALUES)))) == "flow"
    assert target(load(write(lines("date,quality_flag", DAYS, flags)))) == "quality_flag"
    assert target(load(write(lines("date,open,flow", DAYS, flags, VALUES)))) == "flow"  # two values
    three = [k % 7 // 3 for k in COUNTED]
    assert load(write(lines("date,level", DAYS, three))).kinds["level"] == "measurement"
    assert load(write(lines("date,qc", DAYS, three))).kinds["qc"] == "flag"


def test_parts_of_the_time_are_no_target(write):
    for part in ("%Y", "%m", "%d", "%j", "%w", "%u", "%H", "%V"):
        cells = [int(time.strftime(part)) for time in HOURS]
        table = load(write(lines("time,part,v", HOURS, cells, VALUES)))
        assert target(table) == "v" and table.kinds["part"] in ("part of time", "constant"), part
    weekend = [int(time.weekday() > 4) for time in HOURS]
    assert load(write(lines("time,free,v", HOURS, weekend, VALUES))).kinds["free"] == "part of time"
    weekend[3] = weekend[40] = 1 - weekend[40]  # a holiday
    assert load(write(lines("time,free,v", HOURS, weekend, VALUES))).kinds["free"] == "flag"


def test_a_first_column_of_text_is_passed_over_and_one_of_numbers_in_another_form_is_not(write):
    table = load(write(lines("date,agency,flow,code", DAYS, ["XX"] * N, VALUES, ["A"] * N)))
    assert target(table) == "flow" and table.kinds["agency"] == table.kinds["code"] == "text"
    assert "non-numeric columns ignored: agency, code" in table.notes
    table = load(write(lines("date,cost,flow", DAYS, ["5 kr", "7 kr"] * (N // 2), VALUES)))
    assert "'5 kr', a number expected; --strip kr" in refusal(table.column, None)


# ---- the time ----


def test_a_column_in_which_every_row_has_its_own_time_comes_before_names(write):
    parts = [[getattr(day, part) for day in DAYS] for part in ("year", "month", "day")]
    for header, columns in {
        "date,v,year,month": (DAYS, VALUES, *parts[:2]),
        "year,month,date,v": (*parts[:2], DAYS, VALUES),
        "v,Year,Month,Day,when": (VALUES, *parts, DAYS),
    }.items():
        table = load(write(lines(header, *columns)))
        assert table.offset == "D" and target(table) == "v", header
    beside = load(
        write(
            lines(
                "Date/Time,Year,Month,Day,Time,Temp",
                HOURS,
                *([getattr(t, p) for t in HOURS] for p in ("year", "month", "day")),
                [f"{t:%H:%M}" for t in HOURS],
                VALUES,
            )
        )
    )
    assert beside.offset == "h" and target(beside) == "Temp"
    both = load(write(lines("day,stamp,v", [f"{t:%Y-%m-%d}" for t in HOURS], HOURS, VALUES)))
    assert both.offset == "h" and both.columns == ["v"]


@pytest.mark.parametrize(
    "header, columns",
    [
        ("YYYYMMDD,HH,T", ["{t:%Y%m%d}", "{h}"]),
        ("STN,DAY,STD,T", ["999", "{t:%Y%m%d}", "{h}"]),
        ("x,d,h,T", ["1", "{t:%y%m%d}", "{t.hour}"]),
        ("date,HHMM,T", ["{t:%Y%m%d}", "{t:%H%M}"]),
        ("YEAR,DOY,HR,T", ["{t:%Y}", "{n}", "{t.hour}"]),
        ("day of year,yr,hour,minute,T", ["{n}", "{t:%Y}", "{t.hour}", "0"]),
        ("datum,uur,T", ["{t:%d-%m-%Y}", "{t.hour}"]),
        ("datum,slot,T", ["{t:%Y-%m-%d}", "{t:%H:%M:%S}"]),
    ],
)
def test_a_date_and_the_hours_that_run_through_each_day_are_the_time(write, header, columns):
    for order in (1, -1):
        rows = [
            [cell.format(t=t, h=t.hour + 1, n=t.timetuple().tm_yday) for cell in columns] + [v]
            for t, v in zip(HOURS[::order], VALUES)
        ]
        table = load(write(lines(header, *zip(*rows))))
        first = HOURS[0].replace(hour=1) if "{h}" in columns else HOURS[0]
        assert table.offset == "h" and table.times[0] == np.datetime64(first) and target(table) == "T"


def test_numbers_of_eight_digits_that_are_no_days_are_values(write):
    meter = np.cumsum(np.random.default_rng(1).integers(1, 900, N)) + 20_230_000
    assert load(write(lines("a,h,v", meter, [k % 24 for k in COUNTED], VALUES))).times is None
    shifts = lines("date,shift,v", [f"{DAYS[k // 3]:%Y%m%d}" for k in COUNTED], [k % 3 + 1 for k in COUNTED], VALUES)
    with pytest.raises(DataError, match="shift has the values 1, 2, 3"):  # three a day are no hours
        load(write(shifts.replace("date", "datum")))


def test_years_newest_first_are_the_time(write):
    table = load(write(lines("Year,Value", range(2023, 2023 - N, -1), VALUES)))
    assert table.offset == "YS-JAN" and table.columns == ["Value"] and table.values[-1, 0] == VALUES[0]
    assert "rows were not in time order: sorted" in table.notes
    months = [f"{2020 - k // 12}{12 - k % 12:02}" for k in COUNTED]
    assert load(write(lines("month,Value", months, VALUES))).offset == "MS"


# ---- several series ----

LATER = [DAYS[-80 + k] for k in range(80)] + [DAYS[-1] + (DAYS[1] - DAYS[0]) * (k + 1) for k in range(20)]
TWO = {
    "a number": ["1"] * N + ["2"] * 100,
    "a name": ["Oslo"] * N + ["Bergen"] * 100,
    "a number with a point": ["10.0"] * N + ["20.0"] * 100,
}


@pytest.mark.parametrize("cells", TWO.values(), ids=TWO)
def test_series_one_after_the_other_are_refused_with_the_column_that_tells_them_apart(write, cells):
    rows = list(zip(DAYS + LATER, cells, [*VALUES, *np.array(VALUES[:100]) * 40]))
    for order in (rows, sorted(rows, key=lambda row: row[0]), rows[::-1]):
        message = refusal(load, write(lines("date,store,sales", *zip(*order))))
        assert "220 rows have only 140 different times: store has the values" in message


def test_series_whose_times_do_not_meet_are_refused_if_the_second_begins_before_the_first(write):
    year = [day.replace(year=2021) for day in DAYS]
    table = lines("date,shop,sales", DAYS + year, ["A"] * N + ["B"] * N, VALUES * 2)
    assert "shop has the values A, B, each with times of its own" in refusal(load, write(table))
    table = lines("date,shop,sales", year + DAYS, ["A"] * N + ["B"] * N, VALUES * 2)
    assert "shop has the values A and B in blocks" in " ".join(load(write(table)).notes)


def test_a_column_of_very_many_texts_is_no_name_of_series(write, monkeypatch):
    from npseq.data import columns

    path = write(lines("date,shop,sales", DAYS * 2, ["A"] * N + ["B"] * N, VALUES * 2))
    monkeypatch.setattr(columns, "MOST_TEXTS", 2)
    assert "shop has the values A, B" in refusal(load, path)
    monkeypatch.setattr(columns, "MOST_TEXTS", 1)
    assert "240 rows have only 120 different times; if the hour" in refusal(load, path)


@pytest.mark.wide
def test_two_columns_together_may_tell_series_apart(write):
    rows = [
        (day, store, item, 7 * store + k % 11) for store in (1, 2) for item in "xyz" for k, day in enumerate(DAYS[:40])
    ]
    assert "store (with item) has the values 1, 2, each with times" in refusal(
        load, write(lines("date,store,item,n", *zip(*rows)))
    )


def test_what_repeats_times_otherwise_is_one_series(write):
    minutes = [HOURS[0].replace(minute=k // 2) for k in COUNTED]
    assert "id has the values 11, 12" in refusal(load, write(lines("t,id,v", minutes, [11, 12] * (N // 2), VALUES)))
    clock = [HOURS[k - (k > 60)] for k in COUNTED]  # an hour twice, as the clock is set back
    summer = [int(k <= 60) for k in COUNTED]
    assert "1 rows have a duplicate time" in load(write(lines("t,summer,v", clock, summer, VALUES))).notes[-1]
    weekday = [day.strftime("%a") for day in DAYS]
    assert load(write(lines("date,weekday,v", DAYS, weekday, VALUES))).offset == "D"
    regime = ["on" if k % 30 < 20 else "off" for k in COUNTED]
    assert len(load(write(lines("date,state,v", DAYS, regime, VALUES))).values) == N


# ---- names that are times ----

DATES = [str(day) for day in DAYS[:60]]
ACROSS = {
    "days": DATES,
    "years": [str(year) for year in range(1990, 2021)],
    "years, newest first": [str(year) for year in range(2020, 1989, -1)],
    "months": [f"2020-{month:02}" for month in range(1, 13)],
    "names of months": "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(),
    "names of months in Spanish": "Enero Febrero Marzo Abril Mayo Junio Julio Agosto Septiembre Octubre Noviembre Diciembre".split(),
    "quarters": ["Q1", "Q2", "Q3", "Q4"],
    "clock": [f"{hour}:00" for hour in range(24)],
    "hours": [f"H{hour}" for hour in range(1, 25)],
    "days of M5": [f"d_{k}" for k in range(1, 100)],
    "weeks": [f"week {k}" for k in range(1, 9)],
}


@pytest.mark.parametrize("names", ACROSS.values(), ids=ACROSS)
def test_a_table_with_its_times_in_the_header_is_refused(write, names):
    rng = np.random.default_rng(0)
    for key, firsts in (
        ("page", ["p7", "p8", "p9", "p10"]),
        ("page", [3000, 3017, 3001, 2500]),
        ("Year", [1999, 2000, 2001, 2002]),
    ):
        rows = [[first, *rng.integers(20, 60, len(names))] for first in firsts]
        content = lines(",".join([key, *names]), *zip(*rows))
        if key == "Year" and not {"Jan", "Enero", "Q1", "0:00", "H1"} & {*names}:
            continue
        message = refusal(load, write(content))
        assert (
            f"the names of {len(names)} columns, {names[0]} … {names[-1]}, are times in order, so a row is a series"
            in message
        )


def test_a_mark_far_below_values_that_lie_far_from_zero_is_named(write):
    values = [100 + k % 11 for k in COUNTED]
    for mark, far in ((79, True), (91, False), (90, False), (131, True)):  # further than the others spread, which is 10
        cells = [mark if k % 40 == 7 else value for k, value in enumerate(values)]
        assert any("far from all other values" in note for note in load(write(lines("a", cells))).notes) == far, mark
    assert not any("far" in note for note in load(write(lines("a", [*values[:-1], -999]))).notes)  # once


def test_a_single_column_of_grouped_numbers_is_one_column(write):
    table = load(write("a\n" + "".join(f"{k} {(k * 37) % 900 + 100},5\n" for k in range(1, 40))))
    assert table.columns == ["a"] and table.values[0, 0] == 1137.5


def test_years_that_come_twice_are_values_and_months_have_no_step_in_seconds(write):
    twice = load(write(lines("year,a", [2100 - k // 2 for k in COUNTED], VALUES)))
    assert twice.times is None
    months = load(write(lines("month,a", [f"{1990 + k // 12}-{k % 12 + 1:02}" for k in COUNTED if k != 50], VALUES)))
    assert months.step is None and months.offset == "MS"
    weekdays = load(write(lines("day,a", [day for day in DAYS if day.weekday() < 5], VALUES)))
    assert weekdays.step == 86_400 and weekdays.offset == "B"


def test_names_that_only_look_like_it_are_names(write):
    for names in (
        ["0.5", "1.5", "2.5"],
        ["x1", "x2", "x3"],
        ["d1", "d2", "d3"],
        ["1550", "1553", "1561"],
        ["may", "load", "temp"],
    ):
        rows = zip(DAYS, *(VALUES[k:] + VALUES[:k] for k in range(3)))
        assert load(write(lines(",".join(["date", *names]), *zip(*rows)))).columns == names
    sensors = load(write(lines("date,2019,2020,2021", DAYS, VALUES, VALUES, VALUES)))
    assert sensors.columns == ["2019", "2020", "2021"]  # every row has its own time


def test_the_header_of_a_series_without_a_name(write):
    for index, step in ((DAYS, "D"), (COUNTED, None)):
        series = pd.Series(VALUES, index)
        table = load(write(series.to_csv()))
        assert len(table.values) == N and target(table) == "0" and table.offset == step
    assert load(write(pd.DataFrame({0: VALUES, 1: VALUES[::-1]}, DAYS).to_csv())).columns == ["0", "1"]
    assert len(load(write(",0\n1,5\n2,7\n,8\n")).values) == 4  # a missing value above a missing value


# ---- a cell is one value ----


def cells_of(write, cells, sep=";", **said):
    return load(
        write(f"t{sep}v\n" + "".join(f"{day}{sep}{cell}\n" for day, cell in zip(DAYS, cells))),
        options=TableOptions(**said),
    )


@pytest.mark.parametrize(
    "cells, values, words",
    [
        (["(12.34)", "5.00", "7"], [-12.34, 5, 7], "negative numbers in brackets"),
        (["(1.234,5)", "5,0"], [-1234.5, 5], "negative numbers in brackets"),
        (["12,34-", "5,00", "1.234,00-"], [-12.34, 5, -1234], "a minus after negative numbers"),
        (["12.34 -", "5.00"], [-12.34, 5], "a minus after negative numbers"),
        (["−12.34", "- 5.00"], [-12.34, -5], "decimal point"),
        (["5,24,462", "1,23,45,678.5", "24,462"], [524_462, 12_345_678.5, 24_462], "',' between thousands"),
        (["-5,24,462", "12"], [-524_462, 12], "',' between thousands"),
    ],
)
def test_numbers_in_the_notation_of_accounts(write, cells, values, words):
    table = cells_of(write, cells)
    assert table.values[:, 0].tolist() == values and words in table.notes[0]


@pytest.mark.parametrize("quality", ["1", "15"])
def test_two_values_in_a_cell_are_no_number(write, quality):
    content = "a,v,TMP,SLP\n" + "".join(
        f'{day},{v},"{(k * 37) % 400 - 200:+05d},{quality[k % len(quality)]}","{10132 + k % 90},{"159"[k % 3]}"\n'
        for k, (day, v) in enumerate(zip(DAYS, VALUES))
    )
    table = load(write(content))
    assert table.columns == ["v"] and target(table) == "v"
    assert any("'TMP' holds '-0200,1', two values in one cell" in note for note in table.notes)
    assert "two values in one cell" in refusal(table.column, "TMP") and "two values" in refusal(table.column, "SLP")
    assert "--" not in refusal(table.column, "TMP")  # no option makes these two values one


def test_codes_after_a_comma_need_evidence(write):
    codes = [f"{10_132 + k},{'159'[k % 3]}" for k in COUNTED]
    assert "two values in one cell" in refusal(cells_of, write, codes)
    assert cells_of(write, codes, decimal=",").values[1, 0] == 10_133.5  # said
    assert cells_of(write, codes[:29]).values[1, 0] == 10_133.5  # too few cells
    for ends in ("0159", "1579", "5"):  # steps of a half, too many different ones, one
        cells = [f"{10_132 + k},{ends[k % len(ends)]}" for k in COUNTED]
        assert cells_of(write, cells).values[0, 0] == float(cells[0].replace(",", "."))


@pytest.mark.parametrize(
    "form",
    [
        "{:%d/%m/%Y %I:%M:%S} {}. m.",
        "{:%d/%m/%Y %I:%M:%S}\u00a0{}.\u00a0m.",
        "{:%d/%m/%Y %I:%M} {}.m.",
        "{:%Y-%m-%d %I:%M}{}m",
    ],
)
def test_halves_of_the_day_as_spreadsheets_write_them(write, form):
    cells = [form.format(t, "ap"[t.hour // 12]) for t in HOURS]
    table = load(write(lines("fecha,carga", cells, VALUES)))
    assert table.times[13] == np.datetime64(HOURS[13]) and table.offset == "h"


@pytest.mark.parametrize(
    "halves", ["오전 오후", "上午 下午", "午前 午後", "πμ μμ", "π.μ. μ.μ.", "ÖÖ ÖS", "de. du.", "SA CH", "fm em"]
)
def test_halves_of_the_day_in_other_languages(write, halves):
    before = halves[0] in "오上午"
    cells = [
        (f"{t:%Y-%m-%d} {h} {t:%I:%M:%S}" if before else f"{t:%Y-%m-%d %I:%M:%S} {h}")
        for t in HOURS
        for h in [halves.split()[t.hour // 12]]
    ]
    table = load(write(lines("t,v", cells, VALUES)))
    assert table.times[13] == np.datetime64(HOURS[13]) and table.offset == "h"


@pytest.mark.parametrize("names", [
    "janvier février mars avril", "jan. feb. mrt. apr.", "января февраля марта апреля",
    *(pytest.param(names, marks=pytest.mark.wide) for names in (
        "ene feb mar abr", "Januar Februar März April", "gen feb mar apr", "stycznia lutego marca kwietnia",
        "ocak şubat mart nisan", "janeiro fevereiro março abril")),
])  # fmt: skip
def test_months_in_other_languages(write, names):
    names = names.split()
    for form in ("{d} {m} {y}", "{d}-{m}-{y}", "{d} de {m} de {y}", "{d}er {m} {y}", "{d}º {m} {y}"):
        cells = [form.format(d=day.day, m=names[day.month - 1], y=day.year) for day in DAYS]
        assert load(write(lines("t,v", cells, VALUES))).offset == "D", form


# ---- encodings ----


@pytest.mark.parametrize(
    "encoding, text",
    [
        ("cp932", "年月日,負荷\n2023年1月1日,40\n"), ("cp932", "日時,気温\n"), ("gb18030", "日期,负荷\n"), ("gb18030", "时间,销售额\n"),
        ("big5", "日期,負荷\n"), ("big5", "時間,銷售額\n"), ("euc-kr", "날짜,부하\n"), ("euc-kr", "시간,전력사용량\n"), ("koi8-r", "да,не\n"),
        ("koi8-r", "дата,нагрузка\n"),
        ("koi8-r", "ДАТА,НАГРУЗКА\n"), ("cp1251", "дата,нагрузка\n"), ("cp1253", "ημερομηνία,φορτίο\n"), ("cp1250", "Łódź,świeże\n"),
    ],
)  # fmt: skip
def test_letters_that_are_not_told_from_the_bytes_are_asked_about_with_the_two_best_readings(write, encoding, text):
    path = write((text + "2023-01-01,1\n2023-01-02,2\n2023-01-03,4\n").encode(encoding))
    message = refusal(load, path)
    assert f"--encoding {encoding}" in message and message.count("--encoding") == 2
    assert text.split(",")[1].split("\n")[0][:2] in message or encoding == "cp1250"
    load(path, options=TableOptions(encoding=encoding))


@pytest.mark.parametrize(
    "text", ["Größe,Köln °C", "année,coût réel", "«Été»,5 m²", "piñón,l’année", "Øre,µg/m³", "preço médio,ação"]
)
def test_accents_of_western_letters_are_told_and_read(write, text):
    table = load(write((text + "\n2023,1\n2022,2\n2021,4\n").encode("cp1252")))
    assert table.all_columns == text.split(",") and "cp1252" in table.notes[0]


def test_letters_far_below_the_first_rows_are_asked_about_too(write, monkeypatch):
    from npseq.data import table_reader

    monkeypatch.setattr(table_reader.layout, "SAMPLE", 500)
    rows = lines("date,who,v", DAYS, ["x"] * N, VALUES)
    assert "--encoding cp932" in refusal(load, write(rows.encode() + "2023-05-01,東京,7\n".encode("cp932")))
    table = load(write(rows.encode() + "2023-05-01,Köln,1\u00a0018,5\n".encode("cp1252").replace(b",5\n", b"\n")))
    assert table.values[-1, 0] == 1018 and "cp1252" in table.notes[0]


# ---- a file is read twice at most ----


@pytest.fixture
def counted(monkeypatch):
    """Bytes that were read of each file."""
    import io

    from npseq.data import table_reader

    class File(io.BytesIO):
        total = 0

        def read(self, size=-1):
            block = super().read(size)
            File.total += len(block)
            return block

        def read1(self, size=-1):
            return self.read(size)

        def readinto(self, buffer):
            n = super().readinto(buffer)
            File.total += n
            return n

        def readline(self, size=-1):
            line = super().readline(size)
            File.total += len(line)
            return line

    def opened(path, max_memory=None):
        file = File(open(path, "rb").read())
        return file, file, len(file.getvalue())

    monkeypatch.setattr(table_reader, "open_binary", opened)
    monkeypatch.setattr(table_reader.layout, "SAMPLE", 2000)
    monkeypatch.setattr(table_reader, "CELLS", 900)
    return File


LONG = [str(k % 97) for k in range(6000)]
STAMPS = [np.datetime64("2020-01-01T00", "s") + k * np.timedelta64(3600, "s") for k in range(6000)]
PASSES = {
    "plain": lines("t,a,b", STAMPS, LONG, LONG),
    "a last cell is missing": lines("t,a,b", STAMPS, LONG, LONG[:3000] + [""] * 3000),
    "text in several columns": lines("t,w,a,b", STAMPS, ["x"] * 6000, LONG[:5000] + ["many"] * 1000, LONG),
    "decimals, other letters and a missing cell, far down": lines(
        "t;w;a;b".replace(";", ","),
        STAMPS,
        LONG[:5000] + ["é"] * 1000,
        LONG[:5500] + ['"1,5"'] * 500,
        LONG[:5900] + [""] * 100,
    ).encode("latin-1"),
    "numbers that are no days after all": lines("a,b", [20_200_101 + k for k in range(28)] + LONG, LONG + LONG[:28]),
    "a row that is too short": lines("t,a,b", STAMPS, LONG, LONG) + "2020-01-01,5\n2020-01-01,5,6\n",
    "a row that is too long": lines("t,a,b", STAMPS, LONG, LONG) + "2020-01-01,5,6,7\n",
    "a time that is none": lines("t,a,b", STAMPS, LONG, LONG) + "soon,5,7\n",
}


@pytest.mark.parametrize("content", PASSES.values(), ids=PASSES)
def test_a_file_is_read_twice_at_most(write, counted, content):
    path = write(content)
    try:
        load(path)
    except DataError as error:
        assert "line" in str(error)
    assert len(content) < counted.total <= 2 * len(content) + 3 * 2001


def test_a_second_pass_reads_what_the_first_has_shown(write, counted):
    table = load(write(PASSES["decimals, other letters and a missing cell, far down"]))
    assert table.columns == ["a", "b"] and table.values[-1, 0] == 1.5 and table.values[4999, 0] == 4999 % 97
    assert "latin" in table.notes[0] or "cp1252" in table.notes[0]
    assert table.refused["w"].count("holds 'é', a number expected") and "line 5002" in table.refused["w"]


def test_a_column_of_text_changes_no_row_of_a_long_table(write, monkeypatch):
    from npseq.data import table_reader

    monkeypatch.setattr(table_reader, "CELLS", 900)
    table = load(write(lines("t,w,a", STAMPS, ["x", "y"] * 3000, range(6000, 12_000, 1))))
    assert table.values[:, 0].tolist() == list(range(6000, 12_000)) and np.array_equal(table.times, np.array(STAMPS))


# ---- formats that say what they are ----

TS = """#made for a test
@problemName ramps
@timeStamps false
@univariate {univariate}
@classLabel {labels}
@data
{rows}
"""
ARFF = """% made for a test
@relation ramps
@attribute 'att 0' numeric
@attribute att1 REAL
@attribute att2 numeric
@attribute target {{down,up}}
@data
{rows}
"""


def ts(rows, labels="true down up", univariate="true"):
    return TS.format(rows=rows, labels=labels, univariate=univariate)


def test_files_of_sequences_say_so(write):
    path = write(ts("1,2,3:up\n3,2,1.5,0:down\n?,5,7:up"), "ramps_TRAIN.ts")
    sequences, _ = load_sequences(path)
    assert (
        kind_of(path) == "sequences" and sequences.classes == ["down", "up"] and sequences.labels.tolist() == [1, 0, 1]
    )
    assert np.diff(sequences.starts).tolist() == [3, 4, 3] and sequences.frames[:3, 0].tolist() == [1, 2, 3]
    assert "holds 3 sequences (.ts" in refusal(load, path)
    two, _ = load_sequences(write(ts("1,2:5,6:up\n3,4:7,8:down", univariate="false"), "t.txt"))
    assert two.columns == ["x0", "x1"] and two.frames.tolist() == [[1, 5], [2, 6], [3, 7], [4, 8]]
    stamped, _ = load_sequences(
        write(ts("(2020-01-01 00:00:00,1.5),(2020-01-01 01:00:00,2):up\n(0,3),(1,4):down"), "t.ts")
    )
    assert stamped.frames[:, 0].tolist() == [1.5, 2, 3, 4] and stamped.classes == ["down", "up"]
    numbers = write(ts("1,2:0.5\n3,4:7", "false").replace("@classLabel", "@targetlabel true\n@classLabel"), "n.ts")
    assert "has classes and no numbers to predict" in refusal(load_sequences, path, regress=True)
    assert load_sequences(numbers, regress=True)[0].targets.tolist() == [0.5, 7] and "--regress" in refusal(
        load_sequences, numbers
    )


@pytest.mark.parametrize("rows, words", [
    ("1,2:up\n3,x:up", "line 9: "), ("1,2:up\n3,4", "line 9 has no label after a colon"), ("1,2:3,4:up\n1,2:up", "line 9 has 1 dimensions; 2 expected"),
    ("1,2:3:up", "line 8 has dimensions of 2, 1 steps"), ("", "has no line after @data"),
])  # fmt: skip
def test_damaged_lines_of_sequences_are_named(write, rows, words):
    assert words in refusal(
        load_sequences, write(ts(rows).replace("@timeStamps false\n", "@timeStamps false\n@missing false\n"), "t.ts")
    )


def test_arff_is_a_table_or_sequences(write):
    path = write(ARFF.format(rows="1,2,3,up\n3,2,?,down\n5,6,8,up"), "t.arff")
    sequences, _ = load_sequences(path)
    assert (
        kind_of(path) == "sequences"
        and sequences.classes == ["down", "up"]
        and np.diff(sequences.starts).tolist() == [3, 2, 3]
    )
    series = "@relation air\n@attribute n numeric\n@attribute 'the day' date 'yyyy-MM-dd'\n@data\n" + "".join(
        f"{v},{day}\n" for v, day in zip(VALUES, DAYS)
    )
    table = load(write(series, "air.arff"))
    assert (
        kind_of(write(series, "air.arff")) == "table"
        and table.columns == ["n"]
        and table.offset == "D"
        and table.values[:, 0].tolist() == VALUES
    )
    inner = "@relation m\n@attribute x relational\n@attribute t0 numeric\n@attribute t1 numeric\n@end x\n@attribute c {a,b}\n@data\n'1,2\\n3,4',a\n'5,6\\n7,8',b\n"
    several, _ = load_sequences(write(inner, "m.arff"))
    assert several.frames.tolist() == [[1, 3], [2, 4], [5, 7], [6, 8]] and several.classes == ["a", "b"]
    assert "line 7 is a sparse row" in refusal(
        load, write(ARFF.format(rows="{0 1.5, 3 up}").replace("% made for a test\n", ""), "s.arff")
    )
    assert "line 8 has 3 values; 4 attributes" in refusal(load, write(ARFF.format(rows="1,2,3"), "s.arff"))


def test_a_file_of_many_series_is_no_table_of_one_by_whatever_name(write):
    tsf = "# c\n@relation nn5\n@attribute series_name string\n@attribute start_timestamp date\n@frequency daily\n@horizon 8\n@missing false\n@equallength true\n@data\nT1:1996-03-18 00-00-00:13.4,14.7\nT2:1996-03-18 00-00-00:11.5,1.7\n"
    for name in ("nn5.tsf", "nn5.txt"):
        assert "holds 2 series (T1, T2)" in refusal(load, write(tsf, name))


@pytest.mark.parametrize("content, kind", [
    (b'{"date": "2023-01-01", "load": 5}\n', "JSON"), (b'[{"a": 1}, {"a": 2}]', "JSON"), (b"<!DOCTYPE html><table><tr>", "HTML"), (b"<?xml version='1.0'?>", "XML"),
    (b"%PDF-1.7\n", "PDF"), (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ".xls"), (b"PK\x03\x04\x14\x00rubbish", "zip"), (b"\x1f\x8b\x08", "gzip"), (b"PAR1\x15\x04\x00", "Parquet"),
])  # fmt: skip
def test_a_file_of_another_format_than_its_name_says_is_named(write, content, kind):
    message = refusal(load, write(content))
    assert kind in message and "no table of text" in message


def test_what_only_begins_like_another_format_is_what_it_is(write):
    for name in ("PAR1", "CDF", "RDX", "@", "BZh"):
        assert load(write(f"{name},b\n1,2\n3,5\n")).columns == [name, "b"]
    assert kind_of(write("@anna: see you at 8\n@ben: no, at 9 then\n" * 9, "t.txt")) != "sequences"


def test_a_txt_of_rows_that_are_nearly_all_alike_is_a_table(write):
    rows = "".join(f"XX\t{hour}\tEST\t{v}\n" for hour, v in zip(HOURS, VALUES))
    for above in (
        "5s\t20d\t6s\t14n\n",
        "Station 7 in Oslo\n",
        "agency\ttime\tzone\tflow\n\t\t\tm3/s\n",
        "# c\n\nagency\ttime\tzone\tflow\n",
    ):
        assert kind_of(write(above + rows, "t.txt")) == "table", above
    prose = "It was the best of times, it was the worst of times\n" * 2
    assert kind_of(write(prose * 30 + rows, "t.txt")) == "unclear"
    assert kind_of(write(prose * 90 + rows, "t.txt")) == "text"
    assert kind_of(write("年月日,負荷\n2023-01-01,40\n2023-01-02,50\n", "t.txt", "cp932")) == "table"


# ---- frames ----


def test_names_of_a_frame_are_taken_as_they_are():
    frame = pd.DataFrame({"Date ": pd.to_datetime(DAYS), " load": VALUES, "a, b": VALUES[::-1]})
    table = load(frame)
    assert table.columns == [" load", "a, b"] and table.offset == "D" and load(frame, time="Date ").offset == "D"
    levels = frame.set_axis(pd.MultiIndex.from_tuples([("Date", ""), ("Close", "X"), ("Open", "X")]), axis=1)
    table = load(levels)
    assert table.columns == ["Close, X", "Open, X"] and table.offset == "D" and table.column("Open, X") == 1
    assert load(levels.set_index(("Date", ""))).columns == ["Close, X", "Open, X"]
    text = frame.assign(**{"Date ": [str(day) for day in DAYS]})
    assert load(text).offset == "D" and load(text.set_index("Date ")).offset == "D"


def test_times_of_pandas_come_before_written_ones():
    frame = pd.DataFrame({"written": [f"{day:%d.%m.%Y}" for day in DAYS], "stamp": HOURS, "v": VALUES})
    table = load(frame)
    assert table.offset == "h" and table.columns == ["v"] and table.kinds["stamp"] == "time"


def test_a_frame_with_arrays_in_its_cells_is_refused_by_name():
    nested = pd.DataFrame({"dim_0": [np.arange(5.0)] * 9, "dim_1": [pd.Series(np.arange(5.0))] * 9})
    assert "'dim_0' holds arrays" in refusal(load, nested)
