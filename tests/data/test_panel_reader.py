"""Each form in which many series come gives the same panel; nothing is joined."""

import io

import numpy as np
import pytest

from npseq.data import DataError, Panel, TableOptions, load, load_series, many
from npseq.data.grid import Numbers

pd = pytest.importorskip("pandas")

SERIES = {"b": [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0], "a": [2.0, 7.0, np.nan, 8.0, 2.0], "c": [8.0] * 9}
FILLED = [3, 1, 4, 1, 5, 9, 2, 6, 2, 7, 7, 8, 2, *[8] * 9]
DAYS = np.datetime64("2024-01-01") + np.arange(9)


def long(times=None, names=("unique_id", "ds", "y")):
    rows = [
        (one, k + 1 if times is None else times[k], value)
        for one, values in SERIES.items()
        for k, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=list(names))


def wide(times=None):
    columns = {one: [*values, *[np.nan] * (9 - len(values))] for one, values in SERIES.items()}
    return pd.DataFrame({"ds": range(1, 10) if times is None else times, **columns})


def rows_of(header):
    lines = [
        ",".join([one, *("" if np.isnan(value) else f"{value:g}" for value in values)])
        for one, values in SERIES.items()
    ]
    width = 10
    return f"{header}\n" + "".join(line + "," * (width - 1 - line.count(",")) + "\n" for line in lines)


TSF = "@relation t\n@attribute series_name string\n{}@frequency daily\n@data\n" + "".join(
    f"{one}:{{}}{','.join('?' if np.isnan(value) else f'{value:g}' for value in values)}\n"
    for one, values in SERIES.items()
)
COUNTED = "a row for each", "rows of different lengths", "dict"  # forms without times
TIMED = "a row for each, times in the names", "Series with times"  # and those that have some
FORMS = {
    "long": (lambda days: long(days), {}),
    "long of GluonTS": (lambda days: long(days, ("item_id", "timestamp", "target")), {}),
    "long of another name": (lambda days: long(days, ("shop", "day", "sold")), {"id": "shop"}),
    "long, its rows mixed": (lambda days: long(days).sort_values("ds", kind="stable"), {}),
    "long in a file": (lambda days: long(days).to_csv(index=False), {}),
    "frame with an index": (lambda days: long(days).set_index(["unique_id", "ds"]), {}),
    "wide": (lambda days: wide(days), {"wide": True}),
    "wide in a file": (lambda days: wide(days).to_csv(index=False), {"wide": True}),
    "a row for each": (
        lambda days: rows_of("V1,V2,V3,V4,V5,V6,V7,V8,V9,V10"),
        {"wide_rows": True},
    ),
    "a row for each, times in the names": (
        lambda days: rows_of(",".join(["", *np.datetime_as_string(days if days is not None else DAYS)])),
        {"wide_rows": True},
    ),
    "frames by name": (
        lambda days: {one: group.drop(columns="unique_id") for one, group in long(days).groupby("unique_id")},
        {},
    ),
    "Series with times": (
        lambda days: [pd.Series(values, days[: len(values)], name=one) for one, values in SERIES.items()],
        {},
    ),
    "rows of different lengths": (
        lambda days: rows_of("a,b,c,d,e,f,g,h,i,j").replace(",\n", "\n").replace(",,,\n", "\n"),
        {"wide_rows": True},
    ),
    "tsf": (
        lambda days: (
            TSF.format("", "", "", "")
            if days is None
            else TSF.format("@attribute start_timestamp date\n", *["2024-01-01 00-00-00:"] * 3)
        ),
        {},
    ),
    "dict": (lambda days: {one: np.array(values) for one, values in SERIES.items()}, {}),
}


@pytest.mark.parametrize(
    "days, form",
    [(days, form) for days in (None, DAYS) for form in FORMS if form not in (TIMED if days is None else COUNTED)],
)
def test_every_form_gives_the_same_panel(tmp_path, days, form):
    make, said = FORMS[form]
    source = make(days)
    if isinstance(source, str):
        (tmp_path / "t.csv").write_text(source)
        source = str(tmp_path / "t.csv")
    panel = load_series(source, options=TableOptions(**said))
    assert sorted(panel.ids) == ["a", "b", "c"] and len(panel.columns) == 1
    panel = panel.take([panel.ids.index(one) for one in SERIES])
    assert panel.values[:, 0].tolist() == FILLED and panel.starts.tolist() == [0, 8, 13, 22]
    assert np.flatnonzero(panel.filled).tolist() == [10]
    if days is None:
        assert panel.grids == [Numbers(1)] * 3 and panel.times_after(1, 2).tolist() == [6, 7]
    else:
        assert panel.series(1).offset == "D" and str(panel.times_after(1, 1)[0])[:10] == "2024-01-06"
    assert any("3 series of 5 to 9 rows" in note for note in panel.notes)
    assert any("do not change: c" in note for note in panel.notes)


def test_names_of_columns_that_are_no_times_in_order_are_none():
    for header in ("V1,V2,V3,V4,V5,V6,V7,V8,V9,V10", "s,2024-01-02,2024-01-01" + ",x" * 7):
        header = ",".join(f"{name}{k}" if name == "x" else name for k, name in enumerate(header.split(",")))
        panel = load_series(pd.read_csv(io.StringIO(rows_of(header))), options=TableOptions(wide_rows=True))
        assert panel.grids == [Numbers(1)] * 3
    frame = pd.read_csv(io.StringIO(rows_of(",".join(["s", *(f"{year}" for year in range(2000, 2009))]))))
    panel = load_series(frame, options=TableOptions(wide_rows=True))
    assert str(panel.times(0)[-1])[:10] == "2007-01-01" and panel.grids[0].months == 12


def test_na_nan_none_and_an_empty_text_are_names_of_series(tmp_path):
    names = ["a", "nan", "NA", "None", "null", "-", ""]
    frame = pd.DataFrame(
        {"unique_id": np.repeat(names, 9), "ds": np.tile(DAYS, len(names)), "y": np.arange(9.0 * len(names))}
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    for source in (frame, str(tmp_path / "t.csv")):
        panel = load_series(source)
        assert panel.ids == names and panel.values[:, 0].tolist() == frame.y.tolist()
    some = frame.assign(unique_id=frame.unique_id.astype(object).where(frame.unique_id == "a", None))
    found = load_series(some)
    assert found.ids == ["a"] and len(found.values) == 9
    assert any("54 rows name no series: left out" in note for note in found.notes)
    assert load_series(panel) is panel


def test_without_times_the_rows_of_a_series_keep_their_order():
    rows = pd.DataFrame({"unique_id": ["b", "a", "b", "a", "b"], "y": [3.0, 1.0, 2.0, np.nan, 5.0]})
    panel = load_series(rows, options=TableOptions(id="unique_id"))
    panel = panel.take([panel.ids.index(one) for one in "ab"])
    assert panel.values[:, 0].tolist() == [1, 1, 3, 2, 5] and panel.starts.tolist() == [0, 2, 5]
    assert panel.grids == [None, None] and panel.irregular is None and panel.times_after(0, 2).tolist() == [3, 4]


def test_a_list_of_arrays_counts_its_series():
    panel = load_series([np.arange(4.0), np.arange(6.0)])
    assert panel.ids == ["0", "1"] and panel.lengths.tolist() == [4, 6]


def test_a_panel_is_no_table_of_one_series():
    with pytest.raises(DataError, match=r"holds 3 series \(b, a, c\); one expected"):
        load(long())


@pytest.mark.parametrize("times", [None, DAYS], ids=["counted", "days"])
def test_one_series_in_long_form_is_the_plain_table_to_the_last_bit(tmp_path, times):
    one = long(times)
    one = one[one.unique_id == "a"]
    for source in (one, "file"):
        if isinstance(source, str):
            one.to_csv(tmp_path / "long.csv", index=False)
            one[["ds", "y"]].to_csv(tmp_path / "plain.csv", index=False)
            read = [load_series(str(tmp_path / name)) for name in ("long.csv", "plain.csv")]
        else:
            read = [load_series(one), load_series(one[["ds", "y"]])]
        assert [table.ids for table in read] == [["a"], []]
        assert read[0].fingerprint() == read[1].fingerprint() and read[0].column(None) == read[1].column(None)


def test_series_without_a_number_are_left_out_and_single_values_are_told():
    frame = pd.concat(
        [
            long(DAYS),
            pd.DataFrame({"unique_id": ["n", "n", "s", "g"], "ds": DAYS[[0, 1, 0, 2]], "y": [np.nan, np.nan, 5, 1e12]}),
        ]
    )
    panel = load_series(frame)
    assert panel.ids == ["b", "a", "c", "s", "g"] and np.isfinite(panel.values).all()
    told = " ".join(panel.notes)
    assert "left out, as they have no number: n" in told and "2 series have a single row: s, g" in told
    with pytest.raises(DataError, match="has no number in it"):
        load_series(frame[frame.unique_id == "n"].assign(unique_id=["n", "m"]))


def test_gaps_in_time_and_different_starts_are_kept_apart():
    frame = long(DAYS).drop(index=2)  # a day of b
    frame.loc[frame.unique_id == "a", "ds"] += np.timedelta64(30, "D")
    panel = load_series(frame)
    assert panel.values[:8, 0].tolist() == [3, 1, 1, 1, 5, 9, 2, 6] and panel.filled[2, 0]
    assert [str(table.times[0])[:10] for table in panel] == ["2024-01-01", "2024-01-31", "2024-01-01"]


def test_few_rows_take_the_steps_of_the_others_and_other_frequencies_are_refused():
    base = pd.concat([long(DAYS).assign(unique_id=one) for one in "xyz"]).drop_duplicates(["unique_id", "ds"])
    few = pd.DataFrame({"unique_id": "f", "ds": DAYS[[0, 2]], "y": [1.0, 2.0]})
    panel = load_series(pd.concat([base, few]))
    assert panel.lengths.tolist() == [9, 9, 9, 3]
    weeks = pd.DataFrame({"unique_id": "w", "ds": DAYS[0] + 7 * np.arange(12), "y": range(12)})
    with pytest.raises(DataError, match="mixed frequencies: the rows of x are 1 day apart, those of w 7 days"):
        load_series(pd.concat([base, weeks]))


def test_irregular_times_are_kept_for_every_series():
    rng = np.random.default_rng(0)
    times = [
        np.datetime64("2024-01-01", "s") + np.sort(rng.choice(10**6, 60, replace=False)).astype("m8[s]") for _ in "pq"
    ]
    frame = pd.DataFrame({"unique_id": ["p"] * 60 + ["q"] * 60, "ds": np.concatenate(times), "y": rng.normal(size=120)})
    panel = load_series(frame)
    assert panel.grids == [None, None] and (panel.times(1) == times[1]).all()
    assert len(panel.times_after(0, 5)) == 5 and (panel.times_after(0, 5) > times[0][-1]).all()


def test_whole_numbers_are_times_by_name_or_where_they_rise_in_every_series():
    frame = long().rename(columns={"ds": "week", "unique_id": "shop"})
    for time in ("week", None):
        panel = load_series(frame.assign(extra=1.5 * np.arange(len(frame)) % 7), time, options=TableOptions(id="shop"))
        assert panel.columns == ["y", "extra"] and panel.grids[0] == Numbers(1)
    with pytest.raises(DataError, match="'month'"):
        load_series(frame, "month", options=TableOptions(id="shop"))


def test_series_with_whole_numbers_as_times_are_not_joined_either(tmp_path):
    frame = long().rename(columns={"ds": "week", "unique_id": "shop"})
    for rows in (frame, frame.sort_values("week", kind="stable")):
        for names in (rows, rows.assign(shop=rows["shop"].map({"a": 1, "b": 2, "c": 3}))):
            with pytest.raises(DataError, match="shop has the values .*id='shop' reads them"):
                load_series(names)
    hours = pd.DataFrame(
        {"weekday": np.repeat(["Monday", "Tuesday", "Friday"], 24), "hour": [*range(24)] * 3, "y": np.arange(72.0) % 7}
    )
    assert len(load(hours).values) == 72  # one series, told by its weekdays


def test_other_columns_stay_beside_the_target_which_comes_first():
    frame = long(DAYS)
    frame.insert(2, "price", np.where(frame.unique_id == "c", np.nan, np.arange(22.0)))
    panel = load_series(frame)
    assert panel.columns[panel.column(None)] == "y" and panel.columns[panel.column("price")] == "price"
    price = panel.values[panel.rows(2), panel.column("price")]
    assert (price == 0).all() and panel.filled[panel.rows(2), panel.column("price")].all()


def test_bad_forms_are_refused_in_one_line(tmp_path):
    (tmp_path / "t.csv").write_text("name,1,2\na,3,4\na,5,6\n")
    for options, words in (({"wide_rows": True}, "two rows are named 'a'"), ({"id": "shop"}, "no column 'shop'")):
        with pytest.raises(DataError, match=words) as error:
            load_series(str(tmp_path / "t.csv"), options=TableOptions(**options))
        assert "\n" not in str(error.value)


def test_generated_series_are_many_kinds_and_the_same_every_time():
    panel = many()
    again = load_series("many")
    assert isinstance(again, Panel) and (again.values == panel.values).all()
    assert len(panel) == 200 and panel.lengths.min() < 400 < 1200 < panel.lengths.max()
    means = [table.values.mean() for table in panel]
    assert max(means) / min(means) > 1e4 and (many(3).values == panel.take(range(3)).values).all()
    assert len({table.times[-1] for table in panel}) == 1 and (panel.values[panel.rows(0)] % 1 == 0).all()


def garages(order, jitter):
    """Rows of opening hours, at times of each garage's own."""
    rng = np.random.default_rng(3)
    opening = np.datetime64("2024-01-01T08:00", "s") + np.concatenate(
        [d * 86400 + 1800 * np.arange(18) for d in range(20)]
    )
    parts = []
    for k, one in enumerate(("north", "south", "west")):
        times = opening + rng.integers(0, 200, len(opening)) * jitter + k * jitter
        parts.append(pd.DataFrame({"garage": one, "size": 100 * (k + 1), "cars": rng.poisson(50, 360), "when": times}))
    frame = pd.concat(parts, ignore_index=True)
    return frame.sort_values("when", kind="stable") if order == "by time" else frame


@pytest.mark.parametrize("order", ["one after the other", "by time"])
@pytest.mark.parametrize("jitter", [0, 1], ids=["the same times", "times of their own"])
def test_series_of_opening_hours_are_never_joined(order, jitter):
    frame = garages(order, jitter)
    with pytest.raises(DataError, match=r"garage has the values .*id='garage' reads them"):
        load(frame)
    panel = load_series(frame, options=TableOptions(id="garage"))
    assert sorted(panel.ids) == ["north", "south", "west"] and panel.lengths.tolist() == [360] * 3
    assert panel.columns[panel.column(None)] == "cars" and panel.kinds["size"] == "constant"
    after = panel.times_after(0, 19)
    assert {str(time)[11:13] for time in after[:18]} == {f"{hour:02}" for hour in range(8, 17)}
    assert str(after[18])[:10] == "2024-01-22"
