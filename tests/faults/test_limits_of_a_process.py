"""Ways to start Python, and limits on what a process may take: commands work as usual, or end in one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sandbox import Ended, file_size_limit, files_below, scaled

import npseq

resource = pytest.importorskip("resource")
TRAIN = "train --model optimized_rnn --epochs 1 --hidden-size 2 --window 6 --base none --lags none".split()
WEIGHTS = "rnn_optimized_rnn_best.pth"
START = f"""import sys
sys.path[0] = {str(Path(npseq.__file__).parent.parent)!r}
from npseq.cli import main
if __name__ == "__main__":
    sys.exit(main())
"""


def started(folder, argv, flags=(), limits=(), given="", **environment):
    """Run a command in a new interpreter."""
    (folder / "start.py").write_text(START)

    def limit():
        for which, value in limits:
            resource.setrlimit(which, (value, value))

    kept = {name: value for name, value in os.environ.items() if environment.get(name, "") is not None}
    more = {name: value for name, value in environment.items() if value is not None}
    return subprocess.run(
        [sys.executable, *flags, str(folder / "start.py"), *argv],
        cwd=folder / "work",
        env={**kept, "OMP_NUM_THREADS": "1", **more},
        input=given,
        capture_output=True,
        text=True,
        preexec_fn=limit,
        timeout=300,
    )


@pytest.mark.wide
@pytest.mark.parametrize(
    "way",
    [
        {"flags": ["-X", "dev"]},
        {"flags": ["-bb", "-W", "error"]},
        {"flags": ["-OO"]},
        {"flags": ["-I"]},
        {"HOME": None},
        {"LC_ALL": "C", "LANG": "C"},
        {"limits": [(resource.RLIMIT_NOFILE, 16)]},
    ],
    ids=lambda way: " ".join(map(str, next(iter(way.values())) or ["no HOME"])),
)
def test_commands_work_however_python_is_started(tmp_path, small_csv, way):
    (tmp_path / "work").mkdir()
    rows = Path(small_csv).read_text()
    for argv in ([*TRAIN, "--data", small_csv, "--checkpoint"], ["stream", WEIGHTS, "--state", "state.pth"]):
        done = started(tmp_path, argv, given=rows, **way)
        assert (done.returncode, done.stderr) == (0, ""), argv
    assert len(done.stdout.splitlines()) > 400 and (tmp_path / "work" / "state.pth").exists()


@pytest.mark.wide
def test_a_limit_on_the_size_of_files_ends_a_training_in_one_line_with_whole_files(tmp_path, small_csv, monkeypatch):
    monkeypatch.chdir(tmp_path)
    argv = [*TRAIN, "--data", small_csv, "--checkpoint", "--history", "h.csv", "--report", "r.json"]
    assert Ended(argv).status == 0
    whole = files_below(tmp_path)
    largest = max(map(len, whole.values()))
    for k in range(20):
        size = largest * k // 18
        with file_size_limit(size):
            end = Ended([*argv, "--out-dir", str(k), "--history", f"{k}/h.csv", "--report", f"{k}/r.json"])
        assert end.status == (0 if size >= largest else 1) and not end.trace, (size, end.err)
        assert end.err.count("\n") == (end.status == 1), end.err
        for name, content in files_below(tmp_path / str(k)).items():
            assert len(content) <= size and (
                not name.endswith(".pth") or npseq.checkpoint.load(tmp_path / str(k) / name)
            )


@pytest.mark.wide
def test_a_limit_on_the_memory_ends_a_command_in_one_line(tmp_path, small_csv):
    """At twenty limits with NPSEQ_FUZZ=4. A library may add a line of its own or end the process."""
    (tmp_path / "work").mkdir()
    for k in range(scaled(5)):
        memory = round(60e6 + k * 600e6 / scaled(5))
        done = started(tmp_path, [*TRAIN, "--data", small_csv], limits=[(resource.RLIMIT_AS, memory)])
        errors = done.stderr
        if done.returncode >= 0 and "OpenBLAS" not in errors:
            ours = [line for line in errors.splitlines() if not line.startswith("<jemalloc>")]
            assert done.returncode in (0, 1, 2) and len(ours) == (done.returncode > 0), (memory, errors)
        assert "Traceback" not in errors, (memory, errors)
        for name in os.listdir(tmp_path / "work"):
            assert name == WEIGHTS and npseq.load(tmp_path / "work" / name)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="Linux")
def test_a_folder_in_which_nothing_can_be_written_is_named(tmp_path, small_csv, monkeypatch):
    monkeypatch.chdir("/proc")  # also for root
    for argv in ([*TRAIN, "--data", small_csv], ["train", "--data", small_csv, "--model", "rnn", "--report", "r.json"]):
        end = Ended(argv)
        assert end.status == 2 and end.err.count("\n") == 1 and "cannot write into the folder" in end.err
    assert Ended(["explain", "--only", "dc"]).status == 0
