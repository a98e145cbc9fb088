"""``.pth`` files: what npseq writes torch opens, what torch writes npseq opens, bit for bit; writing is atomic."""

import http
import os
import pickle
import subprocess
import sys
from collections import OrderedDict

import numpy as np
import pytest

import npseq
from npseq.checkpoint import load, save
from npseq.cli.inspect_file import main as inspect_main

torch = pytest.importorskip("torch")

DTYPES = [
    "float64",
    "float32",
    "float16",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint8",
    "bool",
    "complex64",
    "complex128",
]


def arrays(seed=0):
    rng = np.random.default_rng(seed)
    result = {dtype: (rng.normal(size=(3, 4)) * 5).astype(dtype) for dtype in DTYPES if not dtype.startswith("complex")}
    result.update(
        {dtype: (rng.normal(size=(2, 2)) + 1j * rng.normal(size=(2, 2))).astype(dtype) for dtype in DTYPES[-2:]}
    )
    return {
        **result,
        "scalar": np.float32(2.5),
        "zero-dimensional": np.array(7),
        "empty": np.zeros((0, 3), np.float32),
        "not contiguous": rng.normal(size=(4, 6))[::2, ::-1].T,
        "öäü 🙂": np.ones(2),
    }


def same(a, b):
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


# ---- what npseq writes ----


def test_torch_opens_what_is_saved_bit_for_bit(tmp_path):
    save(tmp_path / "a.pth", arrays())
    for options in ({}, {"mmap": True}):
        opened = torch.load(tmp_path / "a.pth", weights_only=True, **options)
        assert list(opened) == list(arrays())
        assert all(same(opened[name].numpy(), array) for name, array in arrays().items())


def test_any_nesting_of_plain_values_comes_back(tmp_path):
    content = {
        "epoch": 3,
        "lr": 1e-3,
        "name": "lstm",
        "none": None,
        "flags": [True, False],
        5: (1, -2, 70_000, 2**40, -(2**70), 10**30),
        "nested": {"a": [{"b": (np.arange(3),)}], "empty": [(), {}, []]},
        "text": "a\nb\0c" * 100,
        "inf": float("inf"),
    }
    save(tmp_path / "a.pth", content)

    def plain(value):
        if isinstance(value, dict):
            return {k: plain(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(plain(v) for v in value)
        return value.tolist() if hasattr(value, "tolist") else value

    found = [torch.load(tmp_path / "a.pth", weights_only=True), load(tmp_path / "a.pth").content, content]
    assert plain(found[0]) == plain(found[1]) == plain(found[2])


def test_numbers_that_are_more_than_pythons_come_back_as_pythons(tmp_path):
    content = {"loss": np.float64(0.1), np.float64(1.5): http.HTTPStatus.OK, http.HTTPStatus.OK: np.str_("a")}
    save(tmp_path / "a.pth", content)
    assert torch.load(tmp_path / "a.pth", weights_only=True) == content
    found = load(tmp_path / "a.pth").content
    types = [type(value) for value in [*found, *found.values()]]
    assert found == content and types == [str, float, int, float, int, str]


def test_metadata_stand_beside_the_weights_and_torch_passes_over_them(tmp_path):
    save(tmp_path / "a.pth", {"w": np.ones(2)}, {"window": 24, "columns": ["a", "ä"]})
    assert load(tmp_path / "a.pth").metadata == {"window": 24, "columns": ["a", "ä"]}
    assert list(torch.load(tmp_path / "a.pth", weights_only=True)) == ["w"]


def test_the_same_content_gives_the_same_bytes_under_any_name(tmp_path):
    save(tmp_path / "a.pth", arrays(), {"k": 1})
    save(tmp_path / "another name.pth", arrays(), {"k": 1})
    assert (tmp_path / "a.pth").read_bytes() == (tmp_path / "another name.pth").read_bytes()


@pytest.mark.parametrize(
    "content, word",
    [({"w": object()}, "'w'"), ({"w": np.array(["a"])}, "<U1"), ({("a",): 1}, "('a',)"), ({"s": {1, 2}}, "set")],
)
def test_what_a_weights_file_cannot_hold_is_refused_by_name(tmp_path, content, word):
    with pytest.raises(TypeError) as error:
        save(tmp_path / "a.pth", content)
    assert word in str(error.value) and not list(tmp_path.iterdir())
    with pytest.raises(TypeError, match="JSON"):
        save(tmp_path / "a.pth", {}, {"a": object()})


@pytest.mark.parametrize("broken", ["os.fsync", "os.replace", "npseq.formats.checkpoint._write_record"])
def test_a_failure_while_writing_leaves_the_old_file_whole_and_nothing_else(tmp_path, monkeypatch, broken):
    path = tmp_path / "a.pth"
    save(path, {"w": np.zeros(3)})
    before = path.read_bytes()

    def fail(*args):
        raise OSError("the disk is full")

    monkeypatch.setattr(broken, fail)
    with pytest.raises(OSError, match="disk is full"):
        save(path, {"w": np.ones(3)})
    assert path.read_bytes() == before and [f.name for f in tmp_path.iterdir()] == ["a.pth"]


def test_a_file_written_is_as_readable_as_any_other(tmp_path):
    save(tmp_path / "a.pth", {})
    (tmp_path / "other").write_text("")
    assert os.stat(tmp_path / "a.pth").st_mode == os.stat(tmp_path / "other").st_mode


# ---- what torch writes ----


def module():
    torch.manual_seed(0)
    return torch.nn.LSTM(3, 4, num_layers=2)


def shared():
    whole = torch.arange(24.0).reshape(4, 6)
    return {"whole": whole, "part": whole[1:3, ::2], "turned": whole.T, "again": whole}


def optimiser():
    own = module()
    adam = torch.optim.Adam(own.parameters())
    own(torch.ones(2, 1, 3))[0].sum().backward()
    adam.step()
    return {
        "epoch": 3,
        "optimizer": adam.state_dict(),
        "state_dict": own.state_dict(),
        "args": ("lstm", [1, 2.5], None, True),
    }


CONTENTS = {
    "state_dict": lambda: module().state_dict(),
    "parameters": lambda: dict(module().named_parameters()),
    "shared and not contiguous": shared,
    "with an optimiser": optimiser,
    "dtypes": lambda: {name: torch.tensor(np.ascontiguousarray(array)) for name, array in arrays().items()},
    "plain": lambda: {
        "a": [1, 2.5, "x"],
        "b": (None, True),
        "size": torch.Size([2, 3]),
        "dtype": torch.float32,
        "o": OrderedDict(k=1),
    },
}


def numpied(value):
    if isinstance(value, torch.Tensor):
        return value.detach().numpy()
    if isinstance(value, dict):
        return {k: numpied(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [numpied(v) for v in value]
    return str(value) if isinstance(value, torch.dtype) else value


def equal(a, b):
    if isinstance(b, np.ndarray):
        return isinstance(a, np.ndarray) and same(a, b)
    if isinstance(b, dict):
        return list(a) == list(b) and all(equal(a[k], b[k]) for k in b)
    if isinstance(b, list):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b


@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_npseq_opens_what_torch_saves_bit_for_bit(tmp_path, name, protocol):
    content = CONTENTS[name]()
    torch.save(content, tmp_path / "a.pth", pickle_protocol=protocol)
    assert equal(load(tmp_path / "a.pth").content, numpied(content))


def test_the_format_of_before_torch_1_6_is_refused_with_the_way_out(tmp_path):
    torch.save(module().state_dict(), tmp_path / "a.pth", _use_new_zipfile_serialization=False)
    with pytest.raises(npseq.checkpoint.CheckpointError, match=r"before 1\.6.*torch\.save\(torch\.load\("):
        load(tmp_path / "a.pth")


def test_bfloat16_is_read_as_float32_exactly(tmp_path):
    values = torch.randn(50).bfloat16()
    torch.save({"a": values, "b": values[::3]}, tmp_path / "a.pth")
    content = load(tmp_path / "a.pth").content
    assert same(content["a"], values.float().numpy()) and same(content["b"], values[::3].float().numpy())


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"state_dict": s},
        lambda s: {"model_state_dict": s, "epoch": 1},
        lambda s: {"model": s},
        lambda s: {"module." + k: v for k, v in s.items()},
        lambda s: {"state_dict": {"module." + k: v for k, v in s.items()}},
    ],
)
def test_the_state_dict_is_found_wherever_it_is_usually_put(tmp_path, wrap):
    state = module().state_dict()
    torch.save(wrap(state), tmp_path / "a.pth")
    found = load(tmp_path / "a.pth").state_dict
    assert list(found) == list(state) and all(same(found[name], state[name].numpy()) for name in state)


def test_big_endian_files_are_honoured(tmp_path):
    import torch.serialization

    state = {
        "f": torch.arange(6.0).reshape(2, 3),
        "c": torch.tensor([1 + 2j]),
        "i": torch.tensor([1, 2**40]),
        "b": torch.tensor([1.5]).bfloat16(),
    }
    torch.save(state, tmp_path / "a.pth")
    import zipfile

    sizes = {"0": 4, "1": 4, "2": 8, "3": 2}  # of a real, in the order of the storages
    with zipfile.ZipFile(tmp_path / "a.pth") as source, zipfile.ZipFile(tmp_path / "b.pth", "w") as target:
        for info in source.infolist():
            data = source.read(info)
            if info.filename.endswith("byteorder"):
                data = b"big"
            elif "/data/" in info.filename:
                size = sizes[info.filename.rsplit("/")[-1]]
                data = np.frombuffer(data, np.uint8).reshape(-1, size)[:, ::-1].tobytes()
            target.writestr(info.filename, data)
    assert all(
        np.array_equal(load(tmp_path / "b.pth").content[name], load(tmp_path / "a.pth").content[name]) for name in state
    )


def test_a_missing_file_is_an_oserror(tmp_path):
    with pytest.raises(OSError):
        load(tmp_path / "absent.pth")


# ---- inspect ----


def test_inspect_shows_names_shapes_and_metadata_and_refuses_what_is_none(tmp_path, capsys):
    save(tmp_path / "a.pth", {"rnn.weight": np.ones((2, 3), np.float32), "epoch": 4}, {"window": 24})
    assert inspect_main([str(tmp_path / "a.pth")]) == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("rnn.weight", "float32", "(2, 3)", "6", "epoch", "window", "24"))
    (tmp_path / "b.pth").write_bytes(pickle.dumps(os.getcwd))
    for path in ("b.pth", "absent.pth"):
        with pytest.raises(SystemExit) as end:
            inspect_main([str(tmp_path / path)])
        message = capsys.readouterr().err
        assert end.value.code == 2 and message.count("\n") == 1 and path in message


def test_reading_loads_neither_torch_nor_pickles_loader():
    code = (
        "import sys, io, builtins; sys.modules['torch'] = None; import pickle; pickle.load = pickle.loads = "
        "pickle.Unpickler = None; "
        "from npseq import checkpoint; import numpy as np; checkpoint.save(sys.argv[1], {'w': np.ones(3)}); "
        "print(checkpoint.load(sys.argv[1]).content['w'].sum())"
    )
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", code, os.path.join(folder, "a.pth")],
            capture_output=True,
            text=True,
            cwd=os.path.dirname(os.path.dirname(npseq.__file__)),
        )
    assert done.stdout.strip() == "3.0", done.stderr
