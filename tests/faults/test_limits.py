"""Archives that swell, members that lie about their size, and a mapped file that shrinks while it is read."""

import bz2
import gzip
import io
import lzma
import os
import subprocess
import sys
import time
import zipfile
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
from sandbox import Ended

import npseq
from npseq.data import DataError, limits
from npseq.data import load as load_table

resource = pytest.importorskip("resource")


@pytest.fixture
def small_limit(monkeypatch):
    monkeypatch.setattr(limits, "ALWAYS", 1 << 20)


def header(shape, dtype="<f8"):
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": dtype, "fortran_order": False, "shape": shape})
    return out.getvalue()


def archive(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(f"{name}.npy", data)
    return str(path)


def test_an_archive_that_swells_is_refused_at_once_and_can_be_allowed(tmp_path, small_limit):
    path = str(tmp_path / "a.npz")
    np.savez_compressed(path, load=np.zeros(1 << 20))  # 8 MiB of zeros in 8 KiB
    assert os.path.getsize(path) < 20_000
    with pytest.raises(DataError, match=r"a\.npz: its .* open to 8,388,608 or more.*max_memory=1 \(GiB\)"):
        limits.load_arrays(path)
    assert len(limits.load_arrays(path, max_memory=0.01)["load"]) == 1 << 20
    with pytest.raises(DataError):
        limits.load_arrays(path, max_memory=0.001)


def test_numbers_that_hardly_compress_are_not_refused(tmp_path, small_limit):
    path = str(tmp_path / "a.npz")
    np.savez_compressed(path, load=np.random.default_rng(0).normal(size=300_000))
    assert len(limits.load_arrays(path)["load"]) == 300_000


@pytest.mark.parametrize("shape", [(2**40,), (10**9, 10**9), (2**62, 2**62)])
def test_a_member_that_claims_more_than_it_has_is_refused_before_memory_is_taken(tmp_path, shape):
    path = archive(tmp_path / "a.npz", load=header(shape) + b"\0" * 80)
    with pytest.raises(DataError, match="claims .* bytes of numbers, but has 80"):
        load_table(path)


@pytest.mark.parametrize("data", [b"", b"hello", b"\x93NUMPY", b"\x93NUMPY\x09\x09" + b"\0" * 40])
def test_a_member_that_is_no_array_is_refused_by_name(tmp_path, data):
    path = archive(tmp_path / "a.npz", load=header((10,)) + b"\0" * 80, notes=data)
    with pytest.raises(DataError, match="notes|format") as error:
        load_table(path)
    assert "a.npz" in str(error.value) and "\n" not in str(error.value)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("readme.txt", "text")
    with pytest.raises(DataError):
        load_table(path)


class Run:
    def __reduce__(self):
        return os.system, ("touch npseq_limits_marker",)


def test_pickles_in_arrays_are_never_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    objects = np.array([Run(), 1], dtype=object)
    np.save("a.npy", objects, allow_pickle=True)
    np.savez("b.npz", load=objects)
    for name in "a.npy", "b.npz":
        with pytest.raises(DataError, match=name.replace(".", r"\.")):
            load_table(name)
    assert sorted(os.listdir()) == ["a.npy", "b.npz"]


def test_a_stream_that_swells_is_ended(small_limit):
    """For compressed CSV: what is given is counted, whatever the file says of itself."""
    data = gzip.compress(b"1,2,3\n" * 10**6)
    stream = limits.Counted(gzip.open(io.BytesIO(data)), len(data), "x.csv.gz")
    with pytest.raises(DataError, match=r"x\.csv\.gz: its .* open to .*max_memory=1 \(GiB\)"):
        for _ in io.TextIOWrapper(io.BufferedReader(stream)):
            pass
    assert stream.given < 3 << 20
    stream = limits.Counted(gzip.open(io.BytesIO(data)), len(data), "x.csv.gz", max_memory=0.01)
    assert sum(1 for _ in io.TextIOWrapper(io.BufferedReader(stream))) == 10**6


def test_a_mapped_file_that_is_cut_off_is_named(tmp_path):
    path = str(tmp_path / "a.npy")
    np.save(path, np.random.default_rng(0).normal(size=(100_000, 2)))
    table = load_table(path)
    assert isinstance(table.values, np.memmap) and type(table.values[[1, 2]]) is np.ndarray
    assert type(table.values + 1) is np.ndarray and isinstance(table.values.sum(), float)
    os.truncate(path, 4096)
    for index in 99_999, slice(50_000, 60_000), np.array([3, 99_000]), (slice(None), 0):
        with pytest.raises(DataError, match=r"a\.npy became shorter.*4,096 bytes, 1,600,128 expected"):
            table.values[index]


def test_a_mapped_file_that_is_replaced_stays_as_it_was(tmp_path):
    path, values = str(tmp_path / "a.npy"), np.random.default_rng(0).normal(size=(1000, 2))
    np.save(path, values)
    table = load_table(path)
    np.save(str(tmp_path / "b.npy"), np.zeros(3))
    os.replace(tmp_path / "b.npy", path)
    np.testing.assert_array_equal(table.values[500:], values[500:])


@pytest.mark.wide
def test_a_training_whose_data_are_cut_off_ends_in_one_line(tmp_path):
    path = str(tmp_path / "a.npy")
    np.save(path, np.random.default_rng(0).normal(size=20_000))
    argv = [
        sys.executable,
        *f"-m npseq train --data {path} --epochs 50 --lags none --base none --batch-size 512".split(),
    ]
    run = subprocess.Popen(
        argv,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(npseq.__file__)), "OMP_NUM_THREADS": "1"},
    )
    while not run.stdout.readline().startswith("epoch  1"):
        assert run.poll() is None
    os.truncate(path, 4096)
    errors = run.communicate(timeout=60)[1]
    assert run.returncode in (1, 2) and errors.count("\n") == 1 and "became shorter" in errors
    npseq.load(tmp_path / "rnn_lstm_best.pth")


@pytest.mark.wide
def test_four_megabytes_that_open_to_four_gigabytes(tmp_path):
    path = str(tmp_path / "a.npz")
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file,
        file.open("load.npy", "w", force_zip64=True) as member,
    ):
        z, zeros = zlib.compressobj(9, zlib.DEFLATED, -15), bytes(16 << 20)
        first, block = (z.compress(part) + z.flush(zlib.Z_FULL_FLUSH) for part in (header((1 << 29,)), zeros))
        blocks = iter([first] + [block] * 256)  # compressed once
        member._compressor = SimpleNamespace(compress=lambda _: next(blocks), flush=z.flush)
        for part in [header((1 << 29,))] + [zeros] * 256:
            member.write(part)
    started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match="max_memory=4"):
        load_table(path)
    assert time.monotonic() - started < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


@pytest.mark.wide
@pytest.mark.parametrize("end", [".csv.gz", ".csv.bz2", ".csv.xz", ".csv.zip", ".parquet", ".feather", ".xlsx"])
def test_compressed_tables_that_swell_are_refused_and_can_be_allowed(tmp_path, small_limit, end):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip({".parquet": "pyarrow", ".feather": "pyarrow", ".xlsx": "openpyxl"}.get(end, "pandas"))
    path = str(tmp_path / f"a{end}")
    rows = 20_000 if end == ".xlsx" else 300_000
    frame = pandas.DataFrame({"load": np.zeros(rows), "other": np.ones(rows)})
    if end == ".feather":
        frame.to_feather(path)
    else:
        {".parquet": frame.to_parquet, ".xlsx": frame.to_excel}.get(end, frame.to_csv)(path, index=False)
    if 20 * os.path.getsize(path) > 1 << 20:
        limits.RATIO = 1  # a spreadsheet compresses less
    try:
        with pytest.raises(DataError, match=r"a\.(csv|parquet|feather|xlsx).* open to .*max_memory=1 \(GiB\)"):
            load_table(path)
        options = npseq.data.TableOptions(max_memory=1)
        assert load_table(path, options=options).values.shape == (rows, 2)
    finally:
        limits.RATIO = 20


@pytest.mark.parametrize("end", [".parquet", ".feather"])
def test_equal_texts_are_counted_at_their_length(tmp_path, small_limit, end):
    """Kept once in the file, each takes its place in memory."""
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({"load": np.arange(2000.0), "note": ["x" * 1000] * 2000})
    path = str(tmp_path / f"a{end}")
    (frame.to_parquet if end == ".parquet" else frame.to_feather)(path)
    with pytest.raises(DataError, match=r"open to .*max_memory=1 \(GiB\)"):
        load_table(path)
    assert len(load_table(path, options=npseq.data.TableOptions(max_memory=1)).values) == 2000


@pytest.mark.wide
def test_a_cell_in_the_last_corner_of_a_sheet_does_not_fill_the_memory(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in range(100):
        book.active.append([row * 0.5])
    book.active.cell(1 << 20, 1 << 14, 1.0)
    book.save(tmp_path / "a.xlsx")
    with pytest.raises(DataError, match=r"open to 137,438,953,472 or more.*max_memory=128 \(GiB\)"):
        load_table(str(tmp_path / "a.xlsx"))


COMPRESSED = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


@pytest.mark.parametrize("kind", ["csv", "txt"])
@pytest.mark.parametrize("end", [*COMPRESSED, ".zip"])
@pytest.mark.parametrize("damage", ["cut off", "changed", "of another kind"])
def test_a_damaged_compressed_file_is_named(tmp_path, monkeypatch, kind, end, damage):
    pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    text = "".join(f"{k * 0.37 % 7:.3f}\n" for k in range(300)).encode()
    if end == ".zip":
        with zipfile.ZipFile("a", "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("a.csv", text)
        with open("a", "rb") as file:
            data = file.read()
    else:
        data = COMPRESSED[end](text)
    middle = len(data) // 2
    changed = data[: middle - 20] + bytes(byte ^ 0x55 for byte in data[middle - 20 : middle]) + data[middle:]
    name = f"a.{kind}{end}"
    with open(name, "wb") as file:
        file.write({"cut off": data[:middle], "changed": changed, "of another kind": text}[damage])
    argv = ["train", "--data", name, "--epochs", "1", "--hidden-size", "2", "--quiet"]
    for more in [], ["--task", "text"]:
        ended = Ended([*argv, *more])
        assert ended.status == 2 and not ended.fault() and name in ended.err, (ended.err, ended.trace)


def test_the_option_that_the_message_names(tmp_path, monkeypatch, small_limit):
    pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    with gzip.open("a.csv.gz", "wt") as file:
        file.write("load\n" + "".join(f"{k % 7}\n" for k in range(600_000)))
    argv = ["train", "--data", "a.csv.gz", "--epochs", "1", "--hidden-size", "1", "--base", "none", "--lags", "none"]
    refused = Ended(argv)
    assert refused.status == 2 and "--max-memory 1 (GiB)" in refused.err
    allowed = Ended([*argv, "--max-memory", "1", "--window", "1000000"])
    assert allowed.status == 2 and "window" in allowed.err  # read, and then too short


@pytest.mark.wide
@pytest.mark.parametrize("text", ["words without a line end " * 9000, '"' + "a quote that does not end\n" * 9000])
def test_a_text_in_one_long_line_is_a_text(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text(text)
    argv = ["train", "--data", "a.txt", "--epochs", "1", "--hidden-size", "1", "--window", "8", "--quiet"]
    ended = Ended(argv)
    assert ended.status == 0 and not ended.fault(), (ended.err, ended.trace)
    ended = Ended([*argv, "--task", "forecast"])
    assert ended.status == 2 and not ended.fault(), (ended.err, ended.trace)


def test_what_is_allowed_holds_for_archives_of_sequences_too(tmp_path):
    path = str(tmp_path / "x.ts.gz")
    rows = "".join(",".join(["1.5"] * 1000) + f":{'pq'[k % 2]}\n" for k in range(40))
    with gzip.open(path, "wt") as file:
        file.write(f"@problemName x\n@univariate true\n@classLabel true p q\n@data\n{rows}")
    assert len(npseq.data.load_sequences(path)[0].names) == 40
    with pytest.raises(DataError, match=r"x\.ts\.gz: its .* open to .*max_memory"):
        npseq.data.load_sequences(path, options=npseq.data.TableOptions(max_memory=1e-4))


def test_the_numbers_of_a_compressed_table_are_counted_before_they_are_kept(tmp_path, small_limit):
    pytest.importorskip("pandas")
    path = tmp_path / "a.csv.xz"
    path.write_bytes(lzma.compress(b"load,other\n" + b"0,1\n" * 100_000))  # 0.4 MB of text, 1.6 MB of numbers
    with pytest.raises(DataError, match=r"open to [\d,]+ or more, .*max_memory=1 \(GiB\)"):
        load_table(str(path))
    assert load_table(str(path), options=npseq.data.TableOptions(max_memory=1)).values.shape == (100_000, 2)
