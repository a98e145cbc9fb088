"""Foreign objects beside the weights are passed over, named, and never run."""

import argparse
import collections
import datetime
import decimal
import enum
import os
import pathlib
import pickle

import numpy as np
import pytest
from weights_files import rezipped

from npseq import checkpoint
from npseq.checkpoint import CheckpointError, Foreign, load
from npseq.cli.inspect_file import main as inspect_main

torch = pytest.importorskip("torch")
MARKER = "npseq_foreign_marker"


class Mode(enum.Enum):
    FAST = 1


class Settings:
    __slots__ = ("a",)

    def __init__(self):
        self.a = torch.ones(2)


class Names(dict):
    pass


class Run:
    """Calls ``open`` when ``pickle.load`` reads it."""

    def __reduce__(self):
        return open, (MARKER, "w")


class RunAsState:
    def __reduce_ex__(self, protocol):
        return Settings, (), None, iter([Run()]), iter([(Run(), Run())])


def namespace():
    return argparse.Namespace(lr=0.1, mode=Mode.FAST, layers=[1, 2], more=argparse.Namespace(a=1))


FOREIGN = {
    "argparse.Namespace": namespace(),
    "Mode": Mode.FAST,
    "Settings": Settings(),
    "Names": Names(a=1),
    "builtins.set": {1, 2},
    "builtins.frozenset": frozenset([3]),
    "Path": pathlib.Path("a/b"),
    "datetime.datetime": datetime.datetime(2024, 1, 2, 3),
    "decimal.Decimal": decimal.Decimal("0.1"),
    "collections.deque": collections.deque([1, 2]),
    "_reconstruct": np.arange(3),
    "open": Run(),
    "a class": Mode,
}


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.filterwarnings("ignore:.*to be called")
@pytest.mark.parametrize("name", FOREIGN)
def test_the_weights_beside_a_foreign_object_are_read_and_it_is_named(tmp_path, monkeypatch, name, protocol):
    monkeypatch.chdir(tmp_path)
    before, after = torch.rand(2, 3), torch.rand(4)
    content = {"state_dict": {"before": before, "after": after}, "x": FOREIGN[name], "list": [FOREIGN[name], 5], "z": 7}
    torch.save(content, "a.pth", pickle_protocol=protocol)
    file = load("a.pth")
    assert list(file.state_dict) == ["before", "after"]
    np.testing.assert_array_equal(file.state_dict["after"], after.numpy())
    assert isinstance(file.content["x"], Foreign) and file.content["list"][1] == 5 and file.content["z"] == 7
    assert file.passed_over and all(isinstance(word, str) for word in file.passed_over)
    assert any(name in word for word in file.passed_over) or name == "a class" or "Path" in file.passed_over[0]
    assert os.listdir() == ["a.pth"]


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "i8", "i4", "u1", "?", "c16", ">f8", ">i2"])
def test_a_number_of_numpy_is_a_number(tmp_path, dtype, protocol):
    value = np.array([1.25], dtype)[0]
    torch.save({"w": torch.ones(2), "best": value, "all": [value, value]}, tmp_path / "a.pth", pickle_protocol=protocol)
    file = load(tmp_path / "a.pth")
    assert file.content["best"] == value.item() and type(file.content["best"]) is type(value.item())
    assert file.content["all"] == [value.item()] * 2 and file.passed_over == []


@pytest.mark.parametrize("module", ["numpy.core.multiarray", "numpy._core.multiarray"])
def test_a_number_of_older_and_newer_numpy(tmp_path, module):
    torch.save({"w": torch.ones(2), "best": np.float64(0.5)}, tmp_path / "a.pth")
    rezipped(tmp_path / "a.pth", lambda data: data.replace(b"numpy._core.multiarray", module.encode()))
    assert load(tmp_path / "a.pth").content["best"] == 0.5


def test_a_number_with_other_bytes_than_its_dtype_says_is_passed_over():
    from npseq.formats.unpickler import unpickle

    whole = pickle.dumps(np.float64(1.0), 4)
    whole = whole[:2] + whole[11:]  # without the frame, whose length changes
    for kind, data in [("f8", b"1234"), ("O8", b"12345678"), ("V9", b"123456789"), ("U1", b"1234")]:
        body = whole.replace(b"\x8c\x02f8", b"\x8c" + bytes([len(kind)]) + kind.encode())
        body = body.replace(b"C\x08" + np.float64(1.0).tobytes(), b"C" + bytes([len(data)]) + data)
        assert isinstance(unpickle(body, lambda *key: None).value, Foreign)


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_function_that_the_pickle_names_to_be_called_is_told_and_not_run(tmp_path, monkeypatch, protocol):
    monkeypatch.chdir(tmp_path)
    torch.save({"w": torch.ones(2), "x": Run(), "y": namespace().layers}, "a.pth", pickle_protocol=protocol)
    with pytest.warns(
        UserWarning, match=r"^a\.pth: its pickle names (builtins|_?io)\.open to be called; nothing was run$"
    ):
        assert list(load("a.pth").state_dict) == ["w"]
    assert os.listdir() == ["a.pth"]


def test_an_object_that_is_only_made_is_not_told_as_a_function(tmp_path, recwarn):
    torch.save({"w": torch.ones(2), "args": argparse.Namespace(a=1)}, tmp_path / "a.pth")
    assert load(tmp_path / "a.pth").passed_over == ["argparse.Namespace"] and not recwarn.list


KEYS = {
    "a tuple": ((0, "w"), True),
    "a tuple in a tuple": ((0, ("a", (None, 1.5))), True),
    "a tensor": (torch.ones(1), False),
    "a tensor in a tuple": ((0, torch.ones(1)), False),
    "an object": (Mode.FAST, False),
}


@pytest.mark.filterwarnings("ignore:.*to be called")
@pytest.mark.parametrize("name", KEYS)
def test_what_stands_under_any_key_does_not_hide_the_weights(tmp_path, name):
    key, kept = KEYS[name]
    content = {"state_dict": {"w": torch.ones(2)}, "optimizer": {"state": {key: {"step": 1}, 5: 6}}}
    torch.save(content, tmp_path / "a.pth")
    file = load(tmp_path / "a.pth")
    assert list(file.state_dict) == ["w"]
    assert file.content["optimizer"]["state"] == {**({key: {"step": 1}} if kept else {}), 5: 6}
    assert bool(file.passed_over) is not kept


def test_a_foreign_key_is_left_out(tmp_path):
    torch.save({"w": torch.ones(2), Mode.FAST: 1, "z": 2}, tmp_path / "a.pth")
    assert list(load(tmp_path / "a.pth").content) == ["w", "z"]


def test_a_defaultdict_and_a_counted_dict_of_tensors_are_read(tmp_path):
    content = collections.defaultdict(list)
    content["w"] = torch.ones(2)
    torch.save(content, tmp_path / "a.pth")
    assert list(load(tmp_path / "a.pth").state_dict) == ["w"]


def test_items_and_states_of_foreign_objects_are_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"w": torch.ones(2), "x": RunAsState()}, "a.pth")
    assert list(load("a.pth").state_dict) == ["w"] and os.listdir() == ["a.pth"]


def test_a_whole_module_is_refused_with_the_way_out(tmp_path):
    torch.save(torch.nn.LSTM(2, 3), tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"asks for torch\.nn.*LSTM.*torch\.save\(model\.state_dict\(\), file\)"):
        load(tmp_path / "a.pth")


def test_inspect_names_what_it_passed_over(tmp_path, capsys):
    torch.save({"w": torch.ones(2), "args": namespace()}, tmp_path / "a.pth")
    assert inspect_main([str(tmp_path / "a.pth")]) == 0
    shown = capsys.readouterr().out
    assert "passed over unread: argparse.Namespace" in shown and "<argparse.Namespace, not read>" in shown


def test_what_was_passed_over_cannot_be_saved_again(tmp_path):
    with pytest.raises(TypeError, match="'x' is a Foreign"):
        checkpoint.save(tmp_path / "a.pth", {"x": Foreign("a.B")})
