"""Every file that npseq writes is there whole or not at all: full disks, vanished folders, killed writers."""

import csv
import json
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from sandbox import file_size_limit

import npseq
from npseq.cli import exercise, output, plots
from npseq.formats import atomic
from npseq.nn.model import Model

resource = pytest.importorskip("resource")  # POSIX


def write_weights(path):
    npseq.save(path, Model("lstm", 3, 40, rng=0))


def write_onnx(path):
    npseq.onnx.export(Model("lstm", 3, 40, rng=0), path)


def write_table(path):
    with output.csv_writer(path) as writer:
        writer.writerows([[k, "é" * 40] for k in range(400)])


def write_report(path):
    output.write_json(path, list(range(4000)))


def write_picture(path):
    pytest.importorskip("matplotlib")
    plots.curves(path, {"lstm": [[1.0, 0.5, 0.2]]}, "losses")


WRITERS = {
    "weights.pth": write_weights,
    "model.onnx": write_onnx,
    "forecast.csv": write_table,
    "report.json": write_report,
    "picture.png": write_picture,
    "picture.svg": write_picture,
}
every_file = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.wide] * (name == "picture.png")) for name in WRITERS]
)


@every_file
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, name):
    path = tmp_path / name
    WRITERS[name](str(path))
    before = path.read_bytes()
    assert len(before) > 3000
    with file_size_limit(2000), pytest.raises(OSError) as error:
        WRITERS[name](str(path))
    assert path.read_bytes() == before and os.listdir(tmp_path) == [name]
    message = str(error.value)
    assert name in message and "\n" not in message and atomic.PREFIX not in message


@every_file
def test_a_folder_that_is_missing_is_named(tmp_path, name):
    path = tmp_path / "gone" / name
    with pytest.raises(OSError, match="cannot be written: No such file") as error:
        WRITERS[name](str(path))
    assert str(path) in str(error.value) and atomic.PREFIX not in str(error.value)


@pytest.mark.parametrize("name", ["x" * 300, "loop/x.csv", "loop", "file/x.csv"])
def test_a_path_that_cannot_be_written_is_refused_before_anything_is_computed(tmp_path, name):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot (be written|write)"):
        output.check_file(str(tmp_path / name))
    assert sorted(os.listdir(tmp_path)) == ["file", "loop"]


def test_the_file_of_an_exercise_is_written_whole_or_not_at_all(tmp_path, capsys):
    argv = ["start", "lstm-backward", "--dir", str(tmp_path)]
    with file_size_limit(500), pytest.raises(SystemExit) as end:
        exercise.main(argv)
    assert end.value.code == 2 and capsys.readouterr().err.count("\n") == 1 and os.listdir(tmp_path) == []
    assert exercise.main(argv) == 0
    with pytest.raises(SystemExit):  # it may be half solved
        exercise.main(argv)


@pytest.mark.parametrize("argv", [["grade", "\0"], ["start", "lstm-backward", "--dir", "\0"]])
def test_a_path_with_a_zero_byte_is_refused(capsys, argv):
    with pytest.raises(SystemExit) as end:
        exercise.main(argv)
    assert end.value.code == 2 and capsys.readouterr().err.count("\n") == 1


def test_a_folder_that_vanishes_while_a_file_is_written_is_named(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(OSError, match="x.csv cannot be written: No such file"):
        with output.csv_writer(str(folder / "x.csv")) as writer:
            writer.writerow([1])
            for part in folder.iterdir():
                part.unlink()
            folder.rmdir()


def test_a_file_that_may_not_be_changed_is_not_replaced(tmp_path, monkeypatch):
    path = tmp_path / "x.csv"
    write_table(str(path))
    before = path.read_bytes()
    monkeypatch.setattr(os, "access", lambda name, mode: False)  # root may change everything
    with pytest.raises(PermissionError, match="x.csv cannot be written: there is a file that may not be changed"):
        write_table(str(path))
    assert path.read_bytes() == before


def test_an_error_of_the_caller_is_not_taken_for_one_of_writing(tmp_path):
    with pytest.raises(FileNotFoundError, match="data.csv"):
        with atomic.replacing(tmp_path / "x.csv"):
            open(tmp_path / "data.csv")
    assert os.listdir(tmp_path) == []


@every_file
def test_a_killed_writer_leaves_a_file_that_the_next_one_removes(tmp_path, name):
    path = tmp_path / name
    child = os.fork()
    if child == 0:  # dies within the write
        with atomic.replacing(path) as file:
            file.write(b"half")
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert len(os.listdir(tmp_path)) == 1 and not path.exists()
    WRITERS[name](str(path))
    assert os.listdir(tmp_path) == [name]


def test_a_file_that_another_process_is_writing_is_left_alone(tmp_path):
    ready, hold = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        with atomic.replacing(tmp_path / "slow.csv") as file:
            os.write(ready[1], b"x")
            os.read(hold[0], 1)
            file.write(b"slow")
        os._exit(0)
    os.read(ready[0], 1)
    write_table(str(tmp_path / "quick.csv"))
    os.write(hold[1], b"x")
    assert os.waitpid(child, 0)[1] == 0
    assert sorted(os.listdir(tmp_path)) == ["quick.csv", "slow.csv"]
    assert (tmp_path / "slow.csv").read_bytes() == b"slow"


def test_many_writers_of_one_file_never_fail_and_leave_one_whole_file(tmp_path):
    """Each tries to remove what the others have abandoned, at the moment at which it is created."""
    path, failures = tmp_path / "x", []

    def write(letter):
        try:
            for _ in range(60):
                with atomic.replacing(path) as file:
                    file.write(letter * 1000)
        except OSError as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b", b"c", b"d")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and os.listdir(tmp_path) == ["x"]
    assert len(set(path.read_bytes())) == 1 and path.stat().st_size == 1000


@every_file
def test_permissions_are_those_of_any_new_file_and_the_process_mask_is_not_touched(tmp_path, monkeypatch, name):
    monkeypatch.setattr("npseq.formats.atomic.os.umask", None)  # calling it would let other threads see it
    WRITERS[name](str(tmp_path / name))
    (tmp_path / "other").write_text("")
    assert (tmp_path / name).stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_private_file_stays_private(tmp_path):
    path = tmp_path / "x.json"
    write_report(str(path))
    path.chmod(0o600)
    write_report(str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    link = tmp_path / "best.pth"
    link.symlink_to(tmp_path / "disk" / "best.pth")
    for _ in range(2):  # a link that points to nothing, then to a file
        write_weights(str(link))
        assert link.is_symlink() and not (tmp_path / "disk" / "best.pth").is_symlink()
    assert npseq.load(link).kind == "lstm"
    assert os.listdir(tmp_path / "disk") == ["best.pth"]


def test_a_pipe_is_written_and_not_replaced(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    output.check_file(str(path))
    reader = subprocess.Popen([sys.executable, "-c", f"print(len(open({str(path)!r}).read()))"], stdout=subprocess.PIPE)
    try:
        output.write_json(str(path), [1, 2])
        received = reader.communicate(timeout=60)[0]
    finally:
        reader.kill()
    assert int(received) == len(json.dumps([1, 2], indent=1))
    assert stat.S_ISFIFO(path.stat().st_mode)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux")
def test_a_full_device_is_named():
    with pytest.raises(OSError, match="/dev/full cannot be written: No space left"):
        output.write_json("/dev/full", [1])


def test_a_table_of_numbers_and_letters_is_utf_8_whatever_the_locale(tmp_path):
    with output.csv_writer(str(tmp_path / "x.csv")) as writer:
        writer.writerow(["Größe", np.float32(0.5)])
    assert list(csv.reader((tmp_path / "x.csv").read_text("utf-8").splitlines())) == [["Größe", "0.5"]]
