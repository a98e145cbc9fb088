"""Where tables come from: files of every format, pipes, and objects in memory; and what is not imported for them."""

import gzip
import io
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from npseq.data import DataError, TableOptions, kind_of, load, load_sequences
from npseq.data.sources import ending

pd = pytest.importorskip("pandas")

N = 30
TIMES = np.datetime64("2024-03-04T00", "s") + np.arange(N) * np.timedelta64(3600, "s")
VALUES = np.random.default_rng(0).normal(size=(N, 2)).round(6)
TEXT = "time,load,temp\n" + "".join(f"{t},{a!r},{b!r}\n" for t, (a, b) in zip(TIMES, VALUES.tolist()))


def frame():
    return pd.DataFrame({"time": TIMES, "load": VALUES[:, 0], "temp": VALUES[:, 1]})


def check(table, columns=("load", "temp")):
    assert table.columns == list(columns)
    assert np.array_equal(table.values, VALUES[:, : len(columns)]) and np.array_equal(table.times, TIMES)
    assert table.step == 3600 and table.offset == "h"


# ---- files ----


@pytest.mark.parametrize("end", [".csv", ".tsv", ".txt", ".dat"])
@pytest.mark.parametrize("pack", ["", ".gz", ".bz2", ".xz", ".zip"])
def test_text_packed_or_not(tmp_path, end, pack):
    path = tmp_path / f"t{end}{pack}"
    frame().to_csv(path, index=False, sep="\t" if end == ".tsv" else ",")
    check(load(str(path)))


def test_columnar_files(tmp_path):
    pytest.importorskip("pyarrow")
    frame().to_parquet(tmp_path / "t.parquet")
    frame().to_feather(tmp_path / "t.feather")
    frame().set_index("time").to_parquet(tmp_path / "indexed.parquet")
    for name in ("t.parquet", "t.feather", "indexed.parquet"):
        check(load(str(tmp_path / name)))


def test_spreadsheets(tmp_path):
    pytest.importorskip("openpyxl")
    frame().to_excel(tmp_path / "t.xlsx", index=False)
    check(load(str(tmp_path / "t.xlsx")))
    with pd.ExcelWriter(tmp_path / "two.xlsx") as book:
        pd.DataFrame({"a": [1, 2]}).to_excel(book, sheet_name="notes", index=False)
        frame().to_excel(book, sheet_name="data", index=False, startrow=3)
        pd.DataFrame([["Loads of 2024"]]).to_excel(book, sheet_name="data", index=False, header=False)
    with pytest.raises(DataError, match="sheets notes, data; say which with sheet"):
        load(str(tmp_path / "two.xlsx"))
    table = load(str(tmp_path / "two.xlsx"), options=TableOptions(sheet="data"))
    check(table)
    assert "1 lines above the header skipped" in table.notes[0]
    with pytest.raises(DataError, match="no sheet 'x'; it has notes, data"):
        load(str(tmp_path / "two.xlsx"), options=TableOptions(sheet="x"))


def test_a_cell_in_the_last_corner_of_a_sheet_is_more_than_is_allowed(tmp_path, monkeypatch):
    openpyxl = pytest.importorskip("openpyxl")
    from npseq.data import limits

    monkeypatch.setattr(limits, "ALWAYS", 100_000)
    for place, fits in (("B3", True), ("ZZ5000", False)):
        book = openpyxl.Workbook()
        for row in ("a", 1, 4):
            book.active.append([row])
        book.active[place] = 7
        book.save(tmp_path / "t.xlsx")
        if fits:
            assert len(load(str(tmp_path / "t.xlsx"), options=TableOptions(header=True)).values) == 2
        else:
            with pytest.raises(DataError, match="open to 28,080,000 or more"):
                load(str(tmp_path / "t.xlsx"))


@pytest.mark.parametrize("name", ["a.xlsx", "a.parquet", "a.feather", "a.csv.gz", "a.csv.xz", "a.csv.bz2", "a.csv.zip"])
@pytest.mark.parametrize(
    "content", [b"", b"no such file\n1\n", b"PK\x03\x04broken", b"\x1f\x8b\x08\x00rubbish", b"PAR1 PAR1"]
)
def test_damaged_files_end_in_one_line(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as error:
        load(str(tmp_path / name))
    assert "\n" not in str(error.value) and name in str(error.value)


def test_a_zip_of_several_files_is_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x.csv", TEXT)
        archive.writestr("y.csv", TEXT)
    with pytest.raises(DataError, match="holds 2 files"):
        load(str(tmp_path / "a.zip"))


def test_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
    table = load("-")
    check(table)
    assert table.name == "standard input"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen([sys.executable, "-c", f"open({str(tmp_path / 'pipe')!r}, 'w').write({TEXT!r})"]) as writer:
        check(load(str(tmp_path / "pipe")))
        assert writer.wait() == 0


def test_archives_are_known_whatever_their_names(tmp_path):
    ts = "@problemName p\n@classLabel true u d\n@data\n1,2:u\n3,4:d\n"
    arff = "@RELATION p\n@ATTRIBUTE a REAL\n@ATTRIBUTE c {u,d}\n@DATA\n1,u\n2,d\n"
    for content, ends in ((ts, (".ts", ".txt", ".csv.gz")), (arff, (".arff", ".dat"))):
        for end in ends:
            path = tmp_path / f"t{end}"
            path.write_bytes(gzip.compress(content.encode()) if end.endswith(".gz") else content.encode())
            assert kind_of(str(path)) == "sequences" and load_sequences(str(path))[0].classes == ["d", "u"], end
    for end in (".tsf", ".txt"):
        (tmp_path / f"t{end}").write_text("@relation p\n@attribute s string\n@horizon 2\n@data\nx:1,2\n")
        assert load(str(tmp_path / f"t{end}")).values[:, 1].tolist() == [1, 2]
    with pytest.raises(DataError, match="holds 1 series .*tsf"):
        load_sequences(str(tmp_path / "t.txt"))


# ---- objects in memory ----


def test_frames_series_dicts_and_arrays():
    check(load(frame()))
    check(load(frame().set_index("time")))
    check(load(frame().set_index("time").tz_localize("UTC")))
    check(load(frame().assign(time=lambda f: f["time"].astype(str))))
    check(load(frame().set_index("time")["load"]), ["load"])
    check(load({"time": TIMES, "load": VALUES[:, 0], "temp": VALUES[:, 1]}))
    check(load({"time": [str(t) for t in TIMES], "load": VALUES[:, 0].tolist(), "temp": VALUES[:, 1]}))
    assert np.array_equal(load(VALUES).values, VALUES) and np.array_equal(load(VALUES.tolist()).values, VALUES)


def test_frames_of_every_type_of_column():
    f = pd.DataFrame({"month": pd.period_range("2020-01", periods=6, freq="M"), "whole": pd.array([1, None, 3, 4, 6, 5], dtype="Int64"),
                      "flag": [True, False, True, True, False, False], "text": list("abcdef"), "number": ["1,5", "2", "3", "n/a", "4", "5"],
                      "kind": pd.Categorical(list("xyxyxy")), "float": np.arange(6, dtype=np.float32) ** 2})  # fmt: skip
    table = load(f)
    assert table.columns == ["whole", "flag", "float"] and table.offset == "MS"
    assert table.values[:, 0].tolist() == [1, 2, 3, 4, 6, 5] and set(table.refused) == {"text", "number", "kind"}
    numbers = load(f.assign(number=["1.5", "2", "3", "n/a", "4", "5"]))
    assert numbers.values[:4, 2].tolist() == [1.5, 2, 3, 3.5]
    f.index = pd.MultiIndex.from_product([["a"], range(6)], names=["key", "k"])
    assert load(f).offset == "MS"


def test_frames_are_not_changed():
    f = frame().iloc[::-1].reset_index(drop=True)
    f.loc[3, "load"] = np.nan
    before = f.copy()
    load(f)
    pd.testing.assert_frame_equal(f, before)
    values = VALUES.copy()
    values[3, 0] = np.nan
    kept = values.copy()
    load(values), load({"a": values[:, 0]})
    assert np.array_equal(values, kept, equal_nan=True)


def test_sequences_of_a_frame():
    f = pd.DataFrame({"s": [1, 1, 2, 2], "l": ["a", "a", "b", None], "v": [1.0, 2, 3, 7], "w": [0.5, 0, 1, 2]})
    sequences, _ = load_sequences(f, "s", "l")
    assert sequences.classes == ["a", "b"] and sequences.frames.tolist() == [[1, 0.5], [2, 0], [3, 1], [7, 2]]


# ---- text or table ----


def test_a_txt_is_a_table_or_text(tmp_path):
    def kind(content, name="t.txt", **said):
        (tmp_path / name).write_text(content)
        return kind_of(str(tmp_path / name), **said)

    assert kind("date load\n2024-01-01 5\n2024-01-02 6\n") == "table"
    assert kind("# load and\n# temp of 2024\n1 2\n3 4\n") == "table" and kind("# Title\n\nTwo words\n") == "text"
    assert kind("# Title\n") == "text" and kind("") == "text"
    assert kind("1\t2\n3\t4\n") == "table" and kind("a;b\n1;x\n2;y\n") == "table"
    assert kind("To be or not\nto be that is\nthe question asked here\n") == "text"
    assert kind("Four words in it\nand four in it\n") == "text"
    assert kind("1\n2\n3\n") == "text" and kind("One, two.\nThree, four, five.\n") == "text"
    assert kind("To be or not\n", options=TableOptions(sep=" ")) == "table" and kind("words\n", named=True) == "table"
    assert kind("words\n", "t.csv") == "table"


# ---- pandas only for users' tables ----

WITHOUT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "pandas":
            raise ImportError("no pandas here")
sys.meta_path.insert(0, Absent())
from npseq.data import *
import numpy as np
print(load("metro_traffic").values.shape, len(load_sequences("japanese_vowels")[0].labels))
print(load({"a": np.arange(5.0) ** 2}).columns, load(np.ones((4, 2))).columns)
table = load(sys.argv[1]); print(table.columns, table.step, table.values[0].tolist())
try:
    load(sys.argv[2])
except DataError as error:
    print(error)
"""


@pytest.mark.wide
def test_without_pandas_plain_tables_are_read_and_others_name_the_way(tmp_path):
    (tmp_path / "plain.csv").write_text(TEXT)
    (tmp_path / "other.csv").write_text(TEXT.replace(",", ";"))
    command = [sys.executable, "-c", WITHOUT, str(tmp_path / "plain.csv"), str(tmp_path / "other.csv")]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert lines[0] == "(24096, 1) 270" and lines[1] == "['a'] ['c0', 'c1']"
    assert lines[2] == f"['load', 'temp'] 3600 {VALUES[0].tolist()}"
    assert "other.csv" in lines[3] and "pip install 'pandas>=2.2'" in lines[3]


@pytest.mark.wide
def test_a_default_run_does_not_import_pandas(tmp_path):
    code = "import sys; from npseq.train import main; main(['--epochs', '1', '--quiet', '--batch-size', '512']); print('pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.strip() == "False"


@pytest.mark.wide
def test_the_strict_reader_and_pandas_agree(tmp_path):
    from npseq.data.sources import shipped
    from npseq.data.strict_reader import StrictReader, read_strict

    path = shipped("metro_traffic_hourly.csv")
    strict, other = read_strict(path, "x"), load(path)
    assert np.array_equal(strict.times, other.times) and strict.columns == other.columns
    assert np.array_equal(strict.values[~other.filled], other.values[~other.filled])
    rows = StrictReader(iter(["t,a,who\n", "2024-01-01,1.5,x\n", "2024-01-02,,y\n"]), "stream", labels=["who"])
    (time, first, label), (_, second, _) = rows.blocks()
    assert (
        time.tolist() == [np.datetime64("2024-01-01", "s").item()] and first.tolist() == [[1.5]] and label == [("x",)]
    )
    assert np.isnan(second).all()


@pytest.mark.parametrize("content, words", [
    ("t,a\n2024-01-01,1\n2024-01-02,x\n", "line 3, column 'a' holds 'x'; a number expected"),
    ("t,a\n2024-01-01,1\n01.02.2024,2\n", "line 3, column 't' holds '01.02.2024'; an ISO time expected"),
    ("t,a\n2024-01-01,1,5\n", "line 2 has 3 fields; 2 expected"), ("a\n1_0\n", "'1_0'"), ("a,a\n1,2\n", "different names"), ("1.5,2\n3,4\n", "names"),
    ("a\n", "rows of numbers expected"), ("", "rows of numbers expected"), ("a\n.\n", "'.'"),
])  # fmt: skip
def test_the_strict_reader_guesses_nothing(tmp_path, content, words):
    from npseq.data.strict_reader import read_strict

    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(DataError) as error:
        read_strict(str(tmp_path / "a.csv"), "a.csv")
    assert words in str(error.value)


def test_a_pipe_larger_than_what_is_kept_in_memory_is_read_whole(monkeypatch, tmp_path):
    from npseq.data import sources

    monkeypatch.setattr(sources, "IN_MEMORY", 100)
    content = b"x\n" + b"".join(b"%d\n" % k for k in range(300))
    read, write = os.pipe()
    os.write(write, content)
    os.close(write)
    file, _, size = sources.open_binary(f"/dev/fd/{read}")
    with file:
        assert (file.read(), size) == (content, len(content))
    os.close(read)


@pytest.mark.parametrize(
    ("name", "found"),
    [("a.CSV", ".csv"), ("a.csv.gz", ".csv"), ("a.txt.bz2", ".txt"), ("a.xz", ".csv"), ("a.ts.zip", ".ts"), ("a", "")],
)
def test_the_ending_of_a_compressed_file_is_that_of_its_content(name, found):
    assert ending(name) == found
