"""Tables and sequences: shipped, from files, in time order, with their gaps filled and counted."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

from npseq.data import DataError, load, load_sequences
from npseq.data.arrays import read_arrays
from npseq.data.missing import fill_column
from npseq.data.sources import shipped

SHIPPED = Path(shipped("."))


@pytest.fixture
def write(tmp_path):
    pytest.importorskip("pandas")

    def write(content, name="t.csv"):
        path = tmp_path / name
        path.write_text(content)
        return str(path)

    return write


def refusal(function, *args, **options):
    with pytest.raises(DataError) as error:
        function(*args, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


# ---- what is shipped ----


def test_the_shipped_files_are_those_of_the_notice():
    notice = (SHIPPED / "PROVENANCE.md").read_text()
    named = re.findall(r"^\| (\S+\.csv) \| (\d+) \| ([0-9a-f]{64}) \|$", notice, re.M)
    assert {name for name, _, _ in named} == {path.name for path in SHIPPED.glob("*.csv")}
    for name, size, digest in named:
        content = (SHIPPED / name).read_bytes()
        assert len(content) == int(size) and hashlib.sha256(content).hexdigest() == digest
    assert notice.count("CC BY 4.0") >= 3 and notice.count("**Changes:**") == 2


@pytest.mark.wide
def test_the_traffic_series_is_regular_and_its_gaps_are_counted():
    table = load("metro_traffic")
    assert table.values.shape == (24_096, 1) and table.columns == ["traffic_volume"] and table.step == 3600
    assert table.filled.sum() == 1012 and np.isfinite(table.values).all()
    assert table.notes == ["1,012 gaps in traffic_volume filled by linear interpolation"]
    assert table.times[0] == np.datetime64("2016-01-01T00") and table.times[-1] == np.datetime64("2018-09-30T23")


@pytest.mark.wide
def test_the_vowels_have_their_official_split():
    train, test = load_sequences("japanese_vowels")
    assert (len(train.labels), len(test.labels)) == (270, 370)
    assert train.classes == test.classes == list("123456789")
    assert np.bincount(train.labels).tolist() == [30] * 9
    assert np.bincount(test.labels).tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]
    assert train.columns == [f"c{k}" for k in range(1, 13)]  # the frame's number is no input
    lengths = np.diff(train.starts)
    assert (lengths.min(), lengths.max(), len(train.frames)) == (7, 26, 4274)


# ---- gaps ----


def filled(*cells, fill="linear"):
    column = np.array(cells, float)
    fill_column(column, np.isnan(column), fill)
    return column.tolist()


_ = np.nan


def test_gaps_are_filled_on_a_line_and_ends_are_held():
    assert filled(_, _, 1, _, _, _, 5, 6, _, 10, _) == [1, 1, 1, 2, 3, 4, 5, 6, 8, 10, 10]


def test_filling_from_the_past_repeats_the_value_before():
    assert filled(_, 1, _, _, 5, _, fill="past") == [1, 1, 1, 1, 5, 5]


def test_gaps_are_filled_as_numpy_interpolates():
    rng = np.random.default_rng(0)
    column = rng.normal(size=500)
    column[rng.random(500) < 0.4] = np.nan
    there = ~np.isnan(column)
    expected = np.interp(np.arange(500), np.flatnonzero(there), column[there])
    assert np.allclose(filled(*column), expected, rtol=1e-13)


def test_values_that_are_there_are_never_changed(write):
    rows = ["" if k % 7 == 3 else f"{k * 0.1:.3f}" for k in range(60)]
    table = load(write("x,y\n" + "".join(f"{cell},{k}\n" for k, cell in enumerate(rows))))
    there = [k for k, cell in enumerate(rows) if cell]
    assert [f"{value:.3f}" for value in table.values[there, 0]] == [rows[k] for k in there]
    assert np.array_equal(np.flatnonzero(table.filled[:, 0]), np.arange(3, 60, 7)) and not table.filled[:, 1].any()


# ---- time ----


def hours(*numbers):
    return "".join(f"2024-03-04 {n:02},{n}\n" for n in numbers)


def test_missing_times_become_gaps(write):
    table = load(write("t,x\n" + hours(0, 1, 2, 5, 6, 8, *range(9, 24))))
    assert table.values[:, 0].tolist() == list(range(24)) and table.step == 3600
    assert np.flatnonzero(table.filled[:, 0]).tolist() == [3, 4, 7]
    assert table.notes[-2:] == [
        "3 times are missing; an empty row was inserted for each",
        "3 gaps in x filled by linear interpolation",
    ]


def test_repeated_times_keep_their_first_row(write):
    table = load(write("t,x\n" + hours(0, 1) + "2024-03-04 01,77\n" + hours(2, 3)))
    assert table.values[:, 0].tolist() == [0, 1, 2, 3] and "1 rows have a duplicate time" in table.notes[1]


def test_rows_are_put_in_time_order(write):
    table = load(write("t,x\n" + hours(3, 0, 2, 1)))
    assert table.values[:, 0].tolist() == [0, 1, 2, 3] and "sorted" in table.notes[1]


def test_irregular_times_are_reported_and_kept(write):
    table = load(write("t,x\n2024-01-01,1\n2024-02-11,2\n2024-02-13,3\n2024-05-01,4\n2024-05-02,5\n2024-05-03,6\n"))
    assert table.start is None and len(table.values) == 6 and table.step == 86_400 and table.offset is None
    assert "3 of 5 steps" in table.notes[1] and np.array_equal(table.times, table.irregular)
    assert table.times_after(3) is None


def test_a_single_row_has_no_step(write):
    table = load(write("t,x\n2024-01-31,1\n"))
    assert table.step is None and table.times is None


def test_all_of_it_at_once(write):
    table = load(write("t,x\n" + hours(5, 0, 2) + "2024-03-04 00,9\n" + hours(3, 1)))
    assert table.values[:, 0].tolist() == [0, 1, 2, 3, 4, 5] and len(table.notes) == 5


# ---- columns ----


def test_columns_are_found_by_name_and_by_their_number_in_the_file(write):
    table = load(write("t,x,kind,y\n2024-03-04,1,a,2\n2024-03-05,3,b,4\n"))
    assert [table.column(name) for name in (None, "x", "1", 1, "y", 3)] == [0, 0, 0, 0, 1, 1]
    assert "non-numeric columns ignored: kind" in table.notes
    for name, words in (
        ("z", "it has x, y"),
        ("7", "it has x, y"),
        ("-1", "it has x, y"),
        ("t", "holds times"),
        ("kind", "'a'"),
    ):
        assert words in refusal(table.column, name)


def test_a_first_column_of_text_is_not_passed_over_for_the_next(write):
    table = load(write("x,y\n1,2\nmany,4\n"))
    assert "'many'" in refusal(table.column, None)


# ---- NumPy files ----


def test_numpy_files(tmp_path):
    values = np.random.default_rng(0).normal(size=(50, 3))
    np.save(tmp_path / "a.npy", values)
    table = load(str(tmp_path / "a.npy"))
    assert np.array_equal(table.values, values) and table.columns == ["c0", "c1", "c2"]
    assert isinstance(table.values, np.memmap)
    times = np.datetime64("2024-03-04T00") + np.arange(50)
    np.savez(tmp_path / "b.npz", load=values[:, 0].astype(np.float32), other=values[:, 1:], when=times)
    table = load(str(tmp_path / "b.npz"))
    assert table.columns == ["load", "other0", "other1"] and table.step == 3600 and table.times[3] == times[3]


def test_a_gap_in_a_mapped_file_is_filled_in_memory_and_not_in_the_file(tmp_path):
    np.save(tmp_path / "a.npy", np.array([1, np.nan, 3]))
    before = (tmp_path / "a.npy").read_bytes()
    assert load(str(tmp_path / "a.npy")).values[:, 0].tolist() == [1, 2, 3]
    assert (tmp_path / "a.npy").read_bytes() == before


@pytest.mark.parametrize(
    "array",
    [
        np.array(["a"]),
        np.zeros((2, 2, 2)),
        np.zeros(0),
        np.zeros((3, 0)),
        np.array([1 + 1j]),
        np.array([{}], dtype=object),
        np.array(["2024-01-01"], "M8[D]"),
        np.array(5.0),
    ],
)
def test_arrays_that_are_no_table_are_refused(tmp_path, array):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    assert "a.npy" in refusal(load, str(tmp_path / "a.npy"))


@pytest.mark.parametrize("content", [b"", b"no numpy file", b"\x93NUMPY\x01\x00\xff\xff{", b"PK\x03\x04broken"])
@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_damaged_numpy_files_are_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert "cannot be read" in refusal(load, str(tmp_path / name))


def test_arrays_of_different_lengths_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.zeros(3), b=np.zeros(4))
    assert "(3,)" in refusal(load, str(tmp_path / "a.npz"))


# ---- what is refused ----


def test_a_folder_and_a_missing_file_are_told_apart(tmp_path):
    assert "is a folder" in refusal(load, str(tmp_path))
    assert "there is no file" in refusal(load, str(tmp_path / "x.csv"))
    assert "metro_traffic" in refusal(load, "x.csv") and "japanese_vowels" in refusal(load, "x.csv")


def test_a_number_too_large_to_square_is_named_with_its_place(write):
    assert "row 2 of 'x' holds 1e+200" in refusal(load, write("x\n1\n2\n1e200\n3\n"))


def test_progress_is_told_up_to_the_whole_file(write, monkeypatch):
    told = []
    monkeypatch.setattr(pytest.importorskip("npseq.data.table_reader"), "CELLS", 5000)
    load(write("x\n" + "1.5\n" * 40_000), on_progress=told.append)
    assert len(told) == 8 and told == sorted(told) and told[-1] == 1


# ---- fingerprints ----


def test_the_fingerprint_changes_with_any_value_name_or_time(write):
    table = "t,x\n" + hours(0, 1, 2, 3)
    prints = {
        load(write(content)).fingerprint()
        for content in (
            table,
            table.replace("x", "y"),
            table.replace(",2\n", ",2.0000001\n"),
            table.replace("03-04", "03-05"),
        )
    }
    assert len(prints) == 4
    assert load(write(table)).fingerprint() == load(write(table, "other.csv")).fingerprint()


# ---- sequences ----

FRAMES = "who,run,a,b\nx,1,1,2\nx,1,3,\nx,1,5,4\ny,10,0,0\nx,2,7,8\ny,10,1,1\n"


def test_rows_of_a_sequence_are_gathered_and_classes_sorted(write):
    sequences, test = load_sequences(write(FRAMES), "run", "who")
    assert test is None and sequences.classes == ["x", "y"] and sequences.labels.tolist() == [0, 1, 0]
    assert sequences.starts.tolist() == [0, 3, 5, 6]
    assert sequences.frames.tolist() == [[1, 2], [3, 3], [5, 4], [0, 0], [1, 1], [7, 8]]
    assert sequences.notes[1:] == ["1 gaps filled by linear interpolation within their sequences"]


def test_a_gap_at_the_end_of_a_sequence_is_not_filled_from_the_next_one(write):
    sequences, _ = load_sequences(write("s,l,a,b\n1,x,5,0\n1,x,,1\n2,y,,7\n2,y,9,7\n"), "s", "l")
    assert sequences.frames[:, 0].tolist() == [5, 5, 9, 9]


def test_a_batch_is_padded_with_zeros_and_carries_lengths(write):
    sequences, _ = load_sequences(write(FRAMES), "run", "who")
    x, lengths = sequences.batch(np.array([1, 0]), mean=np.array([1.0, 0.0]), scale=2.0)
    assert lengths.tolist() == [2, 3] and x.dtype == np.float32
    assert x.tolist() == [[[-0.5, 0], [0, 0.5], [0, 0]], [[0, 1], [1, 1.5], [2, 2]]]


def test_classes_that_are_numbers_are_in_their_order(write):
    rows = "".join(f"{k},{k % 12},1,{k}\n" for k in range(24))
    assert load_sequences(write("s,l,a,b\n" + rows), "s", "l")[0].classes == [str(k) for k in range(12)]


def test_inputs_may_be_chosen(write):
    assert load_sequences(write(FRAMES), "run", "who", inputs=["b"])[0].frames.shape == (6, 1)


@pytest.mark.parametrize(
    "content, options, words",
    [
        (FRAMES + "y,1,1,1\n", {}, ["'1'", "two labels", "'x'", "'y'"]),
        (FRAMES + "x,3,,1\n", {}, ["'3'", "no number", "'a'"]),
        (FRAMES, {"label": "class"}, ["no column 'class'"]),
        (FRAMES, {"label": "run"}, ["two columns expected"]),
        (FRAMES, {"inputs": ["c"]}, ["no column 'c'"]),
        ("who,run\nx,1\n", {}, ["no column of numbers"]),
    ],
)
def test_sequences_that_make_no_sense_are_refused(write, content, options, words):
    message = refusal(load_sequences, write(content), **{"sequence": "run", "label": "who", **options})
    for word in words:
        assert word in message


def test_values_too_large_to_compute_with_are_named_before_gaps_between_them_are_filled(write):
    path = write("y\n" + "1\n" * 30 + "1e308\n\n\n-1e308\n" + "1\n" * 30)
    with pytest.raises(DataError, match="1e\\+308"):
        load(path)


def test_of_two_arrays_of_times_the_one_that_is_named_is_the_time_column():
    first, second = (np.datetime64(start, "s") + np.arange(5) * np.timedelta64(1, "h") for start in ("2024", "2025"))
    arrays = {"first": first, "y": np.arange(5.0)}
    assert np.array_equal(read_arrays(arrays, "a").times, first)
    both = read_arrays({"y": arrays["y"], "second": second, "other": np.arange(5)}, "a", "second")
    assert np.array_equal(both.times, second) and both.columns == ["y", "other"]
    for name in ("y", "missing"):
        with pytest.raises(DataError, match=f"a has no array '{name}' of datetime64"):
            read_arrays(arrays, "a", name)
