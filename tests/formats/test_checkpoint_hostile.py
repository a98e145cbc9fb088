"""A ``.pth`` file from a stranger: whatever is wrong with it ends in a CheckpointError, and nothing in it is run."""

import io
import os
import pickle
import re
import struct
import tracemalloc
import warnings
import zipfile
import zlib

import numpy as np
import pytest
from sandbox import scaled, seeded

from npseq.checkpoint import CheckpointError, load, save
from npseq.formats import checkpoint

MEMORY = 32 << 20


def zipped(data_pkl, storages=(b"\0" * 16,), compression=zipfile.ZIP_STORED, root="archive/", **records):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        if data_pkl is not None:
            archive.writestr(root + "data.pkl", data_pkl)
        for key, data in enumerate(storages):
            archive.writestr(f"{root}data/{key}", data)
        for name, data in records.items():
            archive.writestr(root + name, data)
    return out.getvalue()


def pickled(body):
    return b"\x80\x02" + body + b"."


def tensor(shape=(2, 2), strides=(2, 1), offset=0, count=4, storage="FloatStorage", key="0"):
    """The pickle of one tensor with these numbers."""
    plain = checkpoint._plain
    reference = (
        b"(" + plain("storage") + f"ctorch\n{storage}\n".encode() + plain(key) + plain("cpu") + plain(count) + b"tQ"
    )
    return pickled(
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + reference
        + plain(offset)
        + plain(shape)
        + plain(strides)
        + plain(False)
        + b"ccollections\nOrderedDict\n)RtR"
    )


def refused(tmp_path, data):
    path = tmp_path / "hostile.pth"
    path.write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError) as error:
            load(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    message = str(error.value)
    assert "hostile.pth" in message and "\n" not in message and len(message) < 600 and peak < MEMORY + 2 * len(data)
    assert sorted(os.listdir(tmp_path)) == ["hostile.pth"]  # nothing was written
    return message


def twice(name):
    """An archive with one more record of a name, of other bytes."""
    out = io.BytesIO(zipped(tensor()))
    with zipfile.ZipFile(out, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # zipfile's of the name
        archive.writestr(name, b"other")
    return out.getvalue()


class Run:
    """Unpickled by pickle.load this calls a function."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


MARKER = "npseq_hostile_marker"
CODE = {
    "os.system": lambda: Run(os.system, f"touch {MARKER}"),
    "eval": lambda: Run(eval, f"open({MARKER!r}, 'w')"),
    "exec": lambda: Run(exec, f"open({MARKER!r}, 'w')"),
    "getattr": lambda: Run(getattr, "a", "upper"),
    "numpy": lambda: Run(np.load, "x"),
    "open": lambda: Run(open, MARKER, "w"),
}


@pytest.mark.parametrize("name", CODE)
@pytest.mark.parametrize("protocol", [2, 4])
def test_code_in_the_pickle_is_refused_by_name_and_not_run(tmp_path, monkeypatch, name, protocol):
    monkeypatch.chdir(tmp_path)
    data = pickle.dumps({"w": CODE[name]()}, protocol)
    assert "asks for" in refused(tmp_path, zipped(data))  # by its name
    assert "no zip archive" in refused(tmp_path, data)
    assert not os.path.exists(MARKER)


def test_an_allowed_name_cannot_be_called_in_another_way(tmp_path):
    for body in (
        b"ctorch\nSize\n(K\x01K\x02tR",
        b"ctorch\nFloatStorage\n)R",
        b"ccollections\nOrderedDict\n(K\x01tR",
        b"ctorch._utils\n_rebuild_parameter\n(K\x01tR",
        b"ctorch._utils\n_rebuild_tensor_v2\n)R",
        b"K\x01)R",
    ):
        refused(tmp_path, zipped(pickled(body)))


@pytest.mark.parametrize(
    "data, word",
    [
        (b"", "empty"),
        (b"hello world\n", "neither"),
        (b"PK\x03\x04" + b"\0" * 50, "zip"),
        (b"PK", "zip"),
        (b"\x80\x02.", "pickle"),
        (zipped(None), "data.pkl"),
        (zipped(b""), "cut off"),
        (zipped(b"\x80\x02}"), "cut off"),
        (zipped(b"\x80\x09}."), "protocol"),
        (zipped(pickled(b"}K\x01")[:-1] + b"u."), "group"),
        (zipped(pickled(b"]K\x01h\x05")), "undefined memo"),
        (zipped(pickled(b"\x81")), "underflow"),
        (zipped(pickled(b"\x97")), "0x97"),
        (zipped(pickled(b"K\x01)\x81")), "not a class"),
        (zipped(pickled(b"}(](K\x01tK\x02u")), "key"),
        (zipped(pickled(b"R")), "stack"),
        (zipped(pickled(b"}"), **{"byteorder": b"middle"}), "byte order"),
        (zipped(pickled(b"}"), **{"npseq.json": b"{"}), "JSON"),
        (zipped(pickled(b"}"), compression=zipfile.ZIP_DEFLATED), "compressed"),
        (zipped(tensor(), storages=()), "missing"),
        (zipped(tensor(key="../../etc/passwd")), "missing"),
        (zipped(tensor(shape=(3, 2))), "outside"),
        (zipped(tensor(strides=(3, 1))), "outside"),
        (zipped(tensor(offset=1)), "outside"),
        (zipped(tensor(offset=-1)), "counts"),
        (zipped(tensor(strides=(-1, 1))), "counts"),
        (zipped(tensor(shape=(2,))), "counts"),
        (zipped(tensor(count=5)), "claimed"),
        (zipped(tensor(count=2**61)), "claimed"),
        (zipped(tensor(shape=(2**40, 1), strides=(0, 1))), "claims"),
        (zipped(tensor(shape=(2**61, 2**61), strides=(0, 0))), "claims"),
        (zipped(tensor(shape=(0, 2**61), strides=(1, 1), offset=99)), "outside"),
        (zipped(tensor(storage="NoStorage")), "NoStorage"),
        (zipped(tensor(shape=(1,) * 40, strides=(1,) * 40)), "32 dimensions"),
        (zipped(tensor(shape=(0, 2**61), strides=(1, 1))), "too large"),
        (zipped(tensor(shape=(1,), strides=(2**61,))), "too large"),
        (zipped(pickled(b"\x95" + struct.pack("<Q", 3) + b"}")), "frame of 3 bytes"),
        (zipped(pickled(b"\x95" + b"\xff" * 8 + b"}")), "frame"),
        (zipped(pickled(b"}]K\x01s")), "list as the key"),
        (zipped(pickled(b"}N" + b"\x85" * 1000 + b"K\x01s")), "tuple of over 1000 parts as the key"),
        (twice("archive/data.pkl"), "two records of one name"),
        (twice("archive/data/0"), "two records of one name"),
        (zipped(pickled(b"(" * 1000)), "stack"),
        (zipped(pickled(b"\x8a\xff" + b"\x01" * 3)), "cut off"),
        (zipped(pickled(b"X\xff\xff\xff\x7fab")), "cut off"),
        (zipped(pickled(b"X\x02\x00\x00\x00\xff\xfe")), "broken"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_said(tmp_path, data, word):
    assert word in refused(tmp_path, data)


SIZES = [0, 1, 2, 4, 2**31, 2**40, 2**59, 2**61, 2**62 - 1, 2**62, 2**64]


def test_a_tensor_of_any_shape_strides_and_offset_is_an_array_inside_its_storage_or_refused(tmp_path):
    rng, path, read = np.random.default_rng(0), tmp_path / "hostile.pth", 0
    for storage, size in [("FloatStorage", 4), ("ComplexDoubleStorage", 1), ("BFloat16Storage", 8)] * 60:
        axes = int(rng.integers(5))
        shape, strides = (tuple(SIZES[k] for k in rng.integers(len(SIZES), size=axes)) for _ in range(2))
        shape = tuple(1 if rng.random() < 0.7 else n for n in shape)
        path.write_bytes(zipped(tensor(shape, strides, int(rng.integers(3)), size, storage)))
        try:
            array = load(path).content
        except CheckpointError:
            continue
        read += 1
        assert array.shape == shape
        np.array(array)
    assert 5 < read < 150


def test_a_file_cut_off_anywhere_is_refused(tmp_path):
    torch = pytest.importorskip("torch")
    buffer = io.BytesIO()
    torch.save({"w": torch.arange(6.0), "epoch": 3}, buffer)
    whole = buffer.getvalue()
    for length in range(0, len(whole) - 1, 7):
        path = tmp_path / "hostile.pth"
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError):
            load(path)


def test_a_changed_byte_of_a_tensor_is_found_by_its_checksum(tmp_path):
    path = tmp_path / "hostile.pth"
    save(path, {"w": np.full(100, 7.0)})
    data = bytearray(path.read_bytes())
    at = data.index(struct.pack("<d", 7.0)) + 80
    data[at] ^= 1
    assert "CRC" in refused(tmp_path, bytes(data))


def test_records_that_lie_on_top_of_each_other_do_not_multiply(tmp_path):
    """One stored megabyte, named a thousand times in the directory: each reference is honest, all together are not."""
    big = b"\0" * (1 << 20)
    keys = 100
    body = (
        b"]("
        + b"".join(tensor(shape=(1 << 18,), strides=(1,), count=1 << 18, key=str(k))[2:-1] for k in range(keys))
        + b"e"
    )
    data = bytearray(zipped(pickled(body), storages=[big]))
    end = data.rindex(b"PK\x05\x06")
    start = struct.unpack_from("<I", data, end + 16)[0]
    entries, at = [], start
    while data[at : at + 4] == b"PK\x01\x02":
        length = 46 + sum(struct.unpack_from("<HHH", data, at + 28))
        entries.append(bytes(data[at : at + length]))
        at += length
    storage = next(e for e in entries if b"data/0" in e)
    entries = (
        [e for e in entries if e is not storage]
        + [storage]
        + [
            storage[:28] + struct.pack("<H", len(name)) + storage[30:46] + name
            for name in (f"archive/data/{k}".encode() for k in range(1, keys))
        ]
    )
    directory = b"".join(entries)
    forged = (
        bytes(data[:start])
        + directory
        + data[end : end + 8]
        + struct.pack("<HHII", len(entries), len(entries), len(directory), start)
        + b"\0\0"
    )
    refused(tmp_path, forged)


def test_records_inside_each_other_claim_more_than_the_file_has(tmp_path):
    """Each record has its own name, place and checksum, and the next record is part of its bytes."""
    names, data, entries = ["archive/data/1", "archive/data/0"], b"\0" * (1 << 12), []
    for name in names:
        header = struct.pack("<HHHHHIIIHH", 20, 0, 0, 0, 33, zlib.crc32(data), len(data), len(data), len(name), 0)
        entries.append((header, name))
        data = b"PK\x03\x04" + header + name.encode() + data
    body = b"](" + b"".join(tensor((1024,), (1,), count=1024, key=k)[2:-1] for k in "01") + b"e"
    whole = bytearray(zipped(pickled(body), storages=()))
    end = whole.index(b"PK\x01\x02")
    start, directory = end, bytes(whole[end : whole.index(b"PK\x05\x06")])
    for (header, name), offset in zip(reversed(entries), (0, 30 + len(names[0]))):
        directory += b"PK\x01\x02\x14\0" + header + struct.pack("<HHHII", 0, 0, 0, 0, start + offset) + name.encode()
    whole[end:] = data + directory
    whole += b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 3, 3, len(directory), start + len(data), 0)
    assert re.search(
        "data/1 (claims 4096 bytes, more than the file has|is broken .Overlapped)", refused(tmp_path, whole)
    )


@pytest.mark.wide
def test_a_deep_or_circular_nesting_is_read_without_running_out_of_stack(tmp_path):
    path = tmp_path / "deep.pth"
    path.write_bytes(zipped(pickled(b"]q\x00" + b"h\x00a")))
    content = load(path).content
    assert content[0] is content
    path.write_bytes(zipped(pickled(b"N" + b"\x85" * 200_000)))
    load(path)
    refused_names = zipped(pickled(b"}N" + b"\x85" * 200_000 + b"K\x01s"))
    path.unlink()
    assert "key" in refused(tmp_path, refused_names)


# ---- fuzzing ----


def corpus():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    layer = torch.nn.GRU(2, 3)
    adam = torch.optim.Adam(layer.parameters())
    layer(torch.ones(1, 1, 2))[0].sum().backward()
    adam.step()
    contents = [
        layer.state_dict(),
        {"state_dict": layer.state_dict(), "optimizer": adam.state_dict(), "epoch": 3},
        {
            "a": torch.arange(6).reshape(2, 3).T,
            "b": torch.tensor(True),
            "c": torch.randn(3).bfloat16(),
            "d": torch.randn(2, dtype=torch.complex64),
        },
    ]
    files = []
    for content in contents:
        for options in ({}, {"pickle_protocol": 4}):
            buffer = io.BytesIO()
            torch.save(content, buffer, **options)
            files.append(buffer.getvalue())
    return files


def mutated(data, rng):
    """Bytes changed, cut out, doubled or inserted, in one to eight places; often near the pickle and the directory."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 9)):
        at, kind = int(rng.integers(len(data))), rng.integers(6)
        if rng.random() < 0.5:
            marks = [
                m for m in (data.find(b"\x80\x02"), data.rfind(b"PK\x01\x02"), data.rfind(b"PK\x05\x06")) if m >= 0
            ]
            if marks:
                at = min(len(data) - 1, int(rng.choice(marks)) + int(rng.integers(400)))
        if kind == 0:
            data[at] = rng.integers(256)
        elif kind == 1:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            del data[at : at + int(rng.integers(1, 20))]
        elif kind == 3:
            data[at:at] = data[at : at + int(rng.integers(1, 40))]
        elif kind == 4:
            data[at : at + 4] = struct.pack("<I", int(rng.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, len(data)])))
        else:
            data[at : at + 1] = bytes(
                [rng.choice(np.frombuffer(b"cR()tQqhX}]u.aeb\x80\x85\x86\x87\x88\x8a", np.uint8))]
            )
        if not data:
            data = bytearray(b"\0")
    return bytes(data)


def without_checksums(data):
    """The same archive with its CRCs made right again, so that a change reaches the interpreter."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            out = io.BytesIO()
            with zipfile.ZipFile(out, "w") as target:
                for info in archive.infolist():
                    target.writestr(info.filename, _raw(data, info))
            return out.getvalue()
    except Exception:
        return data


def _raw(data, info):
    header = struct.unpack_from("<HH", data, info.header_offset + 26)
    start = info.header_offset + 30 + sum(header)
    return data[start : start + info.file_size]


def fuzz(tmp_path, count, seed):
    """Open ``count`` mutated files -> how many of them still opened."""
    files, rng, path, opened = corpus(), np.random.default_rng(seed), tmp_path / "fuzz.pth", 0
    largest = max(map(len, files))
    tracemalloc.start()
    try:
        for k in range(count):
            data = mutated(files[k % len(files)], rng)
            if k % 2:
                data = without_checksums(data)
            path.write_bytes(data)
            try:
                load(path)
                opened += 1
            except CheckpointError:
                pass
        assert tracemalloc.get_traced_memory()[1] < MEMORY + 20 * largest
    finally:
        tracemalloc.stop()
    return opened


@pytest.mark.wide
def test_twenty_thousand_mutated_files_end_in_a_checkpoint_or_a_checkpoint_error(tmp_path):
    """20,000 with NPSEQ_FUZZ=10."""
    opened = fuzz(tmp_path, scaled(2000), seed=seeded(2))
    assert 0.01 * scaled(2000) < opened < 0.95 * scaled(2000)  # the mutations neither all miss nor all destroy


@pytest.mark.wide
def test_pickles_of_any_opcodes_end_in_a_checkpoint_error_or_a_value(tmp_path):
    hypothesis = pytest.importorskip("hypothesis")
    st = hypothesis.strategies
    from npseq.formats.unpickler import unpickle

    pieces = st.sampled_from(
        [
            b"(",
            b"N",
            b"K\x01",
            b"}",
            b"]",
            b")",
            b"t",
            b"u",
            b"s",
            b"e",
            b"a",
            b"R",
            b"Q",
            b"b",
            b"q\x00",
            b"h\x00",
            b"\x85",
            b"\x86",
            b"X\x01\x00\x00\x00a",
            b"ctorch\nSize\n",
            b"ccollections\nOrderedDict\n",
            b"ctorch._utils\n_rebuild_tensor_v2\n",
            b"ctorch\nFloatStorage\n",
            b"\x8c\x07storage",
            b"\x93",
            b"\x94",
        ]
    )

    @hypothesis.settings(max_examples=500, deadline=None)
    @hypothesis.given(st.lists(pieces, max_size=30))
    def check(parts):
        try:
            unpickle(pickled(b"".join(parts)), lambda key, dtype, count: np.zeros(16, np.uint8))
        except CheckpointError:
            pass

    check()
