"""``npseq.Forecaster``: bad paths, full disks, and files of strangers."""

import os
import pickle
import zipfile

import numpy as np
import pytest
from sandbox import file_size_limit

import npseq
from npseq.data import DataError
from npseq.formats.unpickler import CheckpointError


class Run:
    def __reduce__(self):
        return os.system, ("touch marker_of_a_pickle",)


@pytest.fixture(scope="module")
def fitted():
    values = np.sin(np.arange(400) / 3) + np.random.default_rng(0).normal(0, 0.1, 400)
    return npseq.Forecaster("gru", epochs=1, hidden_size=2).fit(values)


@pytest.mark.wide
def test_a_file_that_cannot_be_saved_leaves_the_old_one(fitted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    for path in "gone/a.pth", "file/a.pth", ".", "x" * 300, "":
        with pytest.raises(OSError):
            fitted.save(path)
    fitted.save("a.pth")
    before = (tmp_path / "a.pth").read_bytes()
    with file_size_limit(2000), pytest.raises(OSError, match="a.pth cannot be written"):
        fitted.save(tmp_path / "a.pth")
    assert sorted(os.listdir()) == ["a.pth", "file"] and (tmp_path / "a.pth").read_bytes() == before


def test_nothing_in_a_strangers_file_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.pth").write_bytes(pickle.dumps({"w": Run()}))
    with zipfile.ZipFile("b.pth", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"w": Run()}, 2))
    (tmp_path / "c.pth").write_bytes(b"")
    npseq.save("d.pth", npseq.Model("lstm", 1, 2, rng=0))  # no forecaster
    for name in sorted(os.listdir()):
        with pytest.raises(CheckpointError, match=name):
            npseq.Forecaster.load(name)
    with pytest.raises(FileNotFoundError):
        npseq.Forecaster.load("gone.pth")
    assert sorted(os.listdir()) == ["a.pth", "b.pth", "c.pth", "d.pth"]


def test_pickles_in_its_data_are_never_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", np.array([Run(), 1], dtype=object), allow_pickle=True)
    for data in "a.npy", np.array([Run(), 1], dtype=object):
        with pytest.raises(DataError):
            npseq.Forecaster().fit(data)
    assert os.listdir() == ["a.npy"]


@pytest.mark.parametrize("rows", [np.zeros((3, 2)), np.array(["a"]), [np.inf], {"a": 1}, None, "a.csv"])
def test_rows_of_another_form_leave_it_as_it_was(fitted, rows):
    before = fitted.predict(3)
    with pytest.raises((ValueError, TypeError)):
        fitted.update(rows)
    np.testing.assert_array_equal(fitted.predict(3), before)


def test_what_a_fit_that_fails_leaves(fitted):
    before = fitted.predict(3)
    for data in np.zeros(3), np.full(400, np.nan), "gone.csv":
        with pytest.raises((ValueError, OSError)):
            fitted.fit(data)
        np.testing.assert_array_equal(fitted.predict(3), before)


def test_memory_is_not_taken_for_a_setting():
    with pytest.raises(ValueError, match="hidden_size"):
        npseq.Forecaster(hidden_size=10**12)
