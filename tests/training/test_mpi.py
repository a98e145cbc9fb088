"""Several processes train the model that one would: their sums, under real MPI, and what happens when one of them
fails."""

import copy
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from npseq import checkpoint, data, forecast, parallel, tasks
from npseq.fit import fit
from npseq.gradcheck import relative_error
from npseq.nn.model import Model
from npseq.nn.registry import MODELS
from npseq.optim import Adam
from npseq.tasks.scoring import mean_loss, outputs
from npseq.training import mpi

REPO = Path(__file__).resolve().parents[2]


class Together:
    """n ranks as threads of this process: each waits for the others at every exchange."""

    def __init__(self, n):
        self.n, self.barrier, self.slots = n, threading.Barrier(n, timeout=60), [None] * n

    def run(self, work):
        """work(Ranks) in every rank -> the results in order."""
        results, errors = [None] * self.n, []

        def one(rank):
            try:
                results[rank] = work(parallel.Ranks(Communicator(self, rank)))
            except Exception as error:
                errors.append(error)
                self.barrier.abort()

        threads = [threading.Thread(target=one, args=(rank,)) for rank in range(self.n)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        return results


class Communicator:
    def __init__(self, together, rank):
        self.together, self.rank, self.size = together, rank, together.n

    def allgather(self, value):
        self.together.slots[self.rank] = value
        self.together.barrier.wait()
        found = list(self.together.slots)
        self.together.barrier.wait()
        return found

    def Allreduce(self, vector, total):
        total[...] = sum(self.allgather(vector.copy()))


def vowels():
    train, test = data.load_sequences("japanese_vowels")
    return tasks.SequenceTask(train, test)


def traffic():
    rng = np.random.default_rng(0)
    rows = np.cumsum(rng.normal(size=(160, 2)), axis=0)
    return forecast.ForecastTask(data.Table("walk", rows, ["a", "b"], None, None), window=6)


def trained(kind, task, ranks=None, batch_size=13, epochs=2, **options):
    """The parameters after some epochs whose last batch is short, in float64."""
    rng = np.random.default_rng(3)
    model = Model(kind, task.input_size, 5, task.output_size, loss=task.loss, dtype=np.float64, rng=rng, **options)
    generator = model.rnn.rng
    with (ranks or parallel.OneProcess()).shared(model, task) as (learner, examples):
        progress = fit(
            learner, examples, Adam(model.theta, lr=0.01), epochs=epochs, batch_size=batch_size, clip=0.5, rng=rng
        )
    assert model.rnn.rng is generator  # the model is the caller's: it has its own generator again
    return model.theta, [(row["train_loss"], row["validation_loss"]) for row in progress.history]


@pytest.mark.wide
@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize("kind", MODELS)
def test_n_processes_train_the_model_of_one_with_a_short_last_batch(n, kind):
    task = traffic()
    assert len(task.parts["train"]) % 13
    theta, losses = trained(kind, task, epochs=7)  # 7 epochs of 9 updates
    for other, other_losses in Together(n).run(lambda ranks: trained(kind, task, ranks, epochs=7)):
        assert relative_error(other, theta) <= 1e-10
        assert np.allclose(other_losses, losses, rtol=1e-12)


@pytest.mark.parametrize("kind", ["lstm", "optimized_gru"])
def test_sequences_of_different_lengths_are_weighted_rightly(kind):
    task = vowels()
    theta, losses = trained(kind, task, epochs=1)
    for other, other_losses in Together(3).run(lambda ranks: trained(kind, task, ranks, epochs=1)):
        assert relative_error(other, theta) <= 1e-10
        assert np.allclose(other_losses, losses, rtol=1e-12)


@pytest.mark.wide
def test_a_batch_smaller_than_the_number_of_processes():
    task = traffic()
    theta, _ = trained("gru", task, batch_size=2)
    for other, _ in Together(4).run(lambda ranks: trained("gru", task, ranks, batch_size=2)):
        assert relative_error(other, theta) <= 1e-10


def test_dropout_masks_are_those_of_one_process():
    task = traffic()
    options = dict(num_layers=2, dropout=0.4, recurrent_dropout=0.3)
    theta, _ = trained("lstm", task, **options)
    for other, _ in Together(3).run(lambda ranks: trained("lstm", task, ranks, **options)):
        assert relative_error(other, theta) <= 1e-10


def test_a_mean_of_means_would_be_caught(monkeypatch):
    task = traffic()
    theta, _ = trained("gru", task)
    real = parallel.SharedTask.batch

    def unweighted(self, rows, dtype):
        batch = real(self, rows, dtype)
        self.count = 1
        return batch

    monkeypatch.setattr(parallel.SharedTask, "batch", unweighted)
    for other, _ in Together(3).run(lambda ranks: trained("gru", task, ranks)):
        assert relative_error(other, theta) > 1e-6


def test_the_same_number_of_processes_gives_the_same_bits():
    task = traffic()
    first, second = (Together(3).run(lambda ranks: trained("lstm", task, ranks)) for _ in range(2))
    for (a, _), (b, _) in zip(first, second):
        assert np.array_equal(a, b)


def test_predictions_come_in_the_order_of_the_rows():
    task = traffic()
    model = Model("gru", task.input_size, 4, task.output_size, rng=0)
    rows = task.parts["test"][:5]
    whole = outputs(model, task, rows)
    for part in Together(8).run(lambda ranks: ranks.predict(model, task, rows)):  # some have no row
        assert np.allclose(part, whole, rtol=1e-6)


def test_a_process_that_differs_is_named():
    with pytest.raises(parallel.ParallelError, match="rank 2 and rank 0 have different data: x and y"):
        Together(3).run(lambda ranks: ranks.compare("data", "x" if ranks.rank == 2 else "y"))
    with pytest.raises(parallel.ParallelError, match="rank 1: no such file"):
        Together(3).run(lambda ranks: ranks.agree("no such file" if ranks.rank == 1 else None))


def test_the_first_process_alone_is_the_root():
    assert Together(3).run(lambda ranks: ranks.root) == [True, False, False]


@pytest.mark.parametrize(
    "error, line", [(ValueError("of\ntwo lines"), "ValueError: of two lines"), (SystemExit(143), "SIGTERM")]
)
def test_a_process_that_leaves_ends_all_with_one_line(capfd, error, line):
    ended = []
    communicator = SimpleNamespace(rank=1, size=2, Abort=ended.append)
    with pytest.raises(type(error)), parallel.Ranks(communicator).ending_together("npseq train", (KeyError,)):
        raise error
    assert ended == [1] and capfd.readouterr().err == f"npseq train: rank 1: {line}\n"
    with pytest.raises(KeyError), parallel.Ranks(communicator).ending_together("npseq train", (KeyError,)):
        raise KeyError  # which all processes raise
    assert ended == [1]


def test_what_an_empty_share_has_for_a_loss_counts_nothing():
    """The row that it runs instead may have a loss that is not finite."""

    class Nowhere:
        theta, dtype = np.zeros(2), np.dtype(float)

        def loss_of(self, batch):
            return np.nan

        def loss_and_grad(self, batch, training=True):
            return np.nan, np.full(2, np.nan)

    class Somewhere(Nowhere):
        def loss_of(self, batch):
            return 3.0

        def loss_and_grad(self, batch, training=True):
            return 3.0, np.array([1.0, 2.0])

    def work(ranks):
        model, count = (Nowhere(), 0) if ranks.rank else (Somewhere(), 4)
        shared = mpi.SharedModel(model, SimpleNamespace(count=count), ranks)
        return shared.loss_of(None), *shared.loss_and_grad(None)

    for loss, again, grad in Together(2).run(work):
        assert loss == again == 3.0 and grad.tolist() == [1.0, 2.0]


def npseq(*argv, cwd, **environment):
    return subprocess.run(
        [sys.executable, "-m", "npseq", *argv],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(REPO), **environment},
    )


@pytest.mark.wide
def test_without_mpi4py_one_line_says_what_to_install(tmp_path):
    (tmp_path / "mpi4py.py").write_text("raise ImportError('No module named mpi4py')\n")
    done = npseq("train", cwd=tmp_path, OMPI_COMM_WORLD_SIZE="2")
    assert done.returncode == 2 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and "pip install mpi4py" in done.stderr


@pytest.mark.wide
def test_one_process_imports_nothing_of_mpi4py(tmp_path):
    (tmp_path / "mpi4py.py").write_text("raise AssertionError('imported')\n")
    (tmp_path / "short.csv").write_text("y\n" + "\n".join(f"{np.sin(t):.6f}" for t in range(200)) + "\n")
    for environment in {}, {"OMPI_COMM_WORLD_SIZE": "1"}:
        done = npseq("train", "--data", "short.csv", "--epochs", "1", cwd=tmp_path, **environment)
        assert done.returncode == 0, done.stderr


@pytest.mark.wide
def test_other_commands_say_that_they_run_in_one_process(tmp_path):
    done = npseq("compare", cwd=tmp_path, OMPI_COMM_WORLD_SIZE="2")
    assert done.returncode == 2 and "only npseq train" in done.stderr


# ---- under real MPI ----


@pytest.fixture(scope="module")
def mpiexec():
    pytest.importorskip("mpi4py")
    program = Path(sys.executable).parent / "mpiexec"
    if not program.exists():
        pytest.skip("no mpiexec beside this interpreter")
    environment = {**os.environ, "PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1"}
    for runtime in "OMPI", "PRTE":  # containers run as root
        environment |= {f"{runtime}_ALLOW_RUN_AS_ROOT": "1", f"{runtime}_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}

    def run(n, *argv, cwd):
        return subprocess.run(
            [program, "--oversubscribe", "-n", str(n), sys.executable, *argv],
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=90,
            env=environment,
            stdin=subprocess.DEVNULL,
        )

    return run


TRAIN = "--model optimized_lstm --epochs 2 --dtype float64 --lags none --window 24 --batch-size 15".split()
TRAIN += ["--schedule", "constant"]  # one that does not depend on the number of epochs


@pytest.mark.wide
@pytest.mark.parametrize(
    "task, counts", [("", [2, 3]), ("--data japanese_vowels", [3]), ("--dropout 0.2 --num-layers 2", [2])]
)
def test_mpiexec_trains_the_model_of_one_process(mpiexec, tmp_path, small_csv, task, counts):
    found = {}
    for n in [1, *counts]:
        (tmp_path / str(n)).mkdir()
        done = mpiexec(n, *f"-m npseq train --data {small_csv}".split(), *TRAIN, *task.split(), cwd=tmp_path / str(n))
        assert done.returncode == 0, done.stderr
        assert (f"processes   {n} (MPI)" in done.stdout) == (n > 1)
        assert done.stdout.count("best epoch") == 1 and done.stderr == ""
        found[n] = checkpoint.load(tmp_path / str(n) / "rnn_optimized_lstm_best.pth").state_dict
    for name, value in found[1].items():
        assert all(relative_error(found[n][name], value) <= 1e-10 for n in counts), name


@pytest.mark.wide
def test_a_run_is_resumed_with_another_number_of_processes(mpiexec, tmp_path, small_csv):
    folders = [tmp_path / name for name in ("whole", "broken")]
    for folder in folders:
        folder.mkdir()
    argv = ["-m", "npseq", "train", "--data", small_csv, *TRAIN, "--checkpoint"]
    assert mpiexec(1, *argv, cwd=folders[0]).returncode == 0
    assert mpiexec(2, *argv, "--epochs", "1", cwd=folders[1]).returncode == 0
    done = mpiexec(
        3, "-m", "npseq", "train", "--resume", "rnn_optimized_lstm_last.pth", "--epochs", "2", cwd=folders[1]
    )
    assert done.returncode == 0, done.stderr
    one, several = (checkpoint.load(folder / "rnn_optimized_lstm_best.pth").state_dict for folder in folders)
    assert all(relative_error(several[name], value) <= 1e-10 for name, value in one.items())


@pytest.mark.wide
@pytest.mark.parametrize(
    "fault, line",
    [
        ("MemoryError", "MemoryError: planted"),
        ("SystemExit", "SystemExit: planted"),
        ("KeyboardInterrupt", "KeyboardInterrupt"),
        ("SIGTERM", "SIGTERM"),
        ("score:SIGTERM", "SIGTERM"),
        ("score:KeyboardInterrupt", "KeyboardInterrupt: planted"),
        ("save:SystemExit", "SystemExit: planted"),
        ("SIGKILL", None),
        ("_exit", None),
    ],
)
def test_a_rank_that_leaves_in_any_way_ends_all_soon_and_the_files_are_whole(mpiexec, tmp_path, small_csv, fault, line):
    during = not fault.startswith(("score", "save"))
    rank, step = ("0" if fault.startswith("save") else "1"), 28 if during else 1  # of 22 updates an epoch
    started = time.perf_counter()
    argv = [fault, rank, str(step), "--data", small_csv, *TRAIN, "--checkpoint", "--epochs", "20000" if during else "2"]
    n = 3 if fault in ("SystemExit", "SIGTERM", "SIGKILL") else 2
    done = mpiexec(n, str(REPO / "tests" / "support" / "mpi_train.py"), *argv, cwd=tmp_path)
    assert done.returncode != 0 and time.perf_counter() - started < 30
    assert f"rank {rank}" in done.stderr
    if line is not None:
        assert (
            done.stderr.count(f"npseq train: rank {rank}: {line}")
            == done.stderr.count(f"npseq train: rank {rank}")
            == 1
        )
        others = done.stderr.count("npseq train: rank") - 1  # the launcher ends them with SIGTERM, which they may tell
        assert done.stderr.count(": SIGTERM") - (line == "SIGTERM") == others
    for which in "best", "last":
        assert checkpoint.load(tmp_path / f"rnn_optimized_lstm_{which}.pth").state_dict


@pytest.mark.wide
def test_a_rank_with_other_data_is_named_and_nothing_is_written(mpiexec, tmp_path):
    for name, change in ("same.csv", 0), ("other.csv", 1):
        (tmp_path / name).write_text(
            "y\n" + "\n".join(f"{np.sin(t) + change * (t == 90):.6f}" for t in range(200)) + "\n"
        )
    done = mpiexec(
        3,
        str(REPO / "tests" / "support" / "mpi_train.py"),
        "data",
        "2",
        str(tmp_path / "other.csv"),
        "--data",
        str(tmp_path / "same.csv"),
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert "npseq train: error: rank 2 and rank 0 have different" in done.stderr
    assert not list(tmp_path.glob("*.pth"))
    done = mpiexec(2, "-m", "npseq", "train", "--data", "missing.csv", cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.count("there is no file missing.csv") == 1


@pytest.mark.parametrize(
    "given, several",
    [
        ({}, False),
        ({"OMPI_COMM_WORLD_SIZE": "1"}, False),
        ({"PMI_SIZE": "2"}, True),
        ({"PMIX_RANK": "0"}, True),
        ({"PMIX_RANK": "1"}, True),
        ({"SLURM_STEP_NUM_TASKS": "1", "PMIX_RANK": "0"}, False),
    ],
)
def test_the_launchers_variables_are_read_rightly(monkeypatch, given, several):
    for name in (*parallel.SIZES, "PMIX_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert parallel.launched() == several


def test_the_loss_of_a_text_is_that_of_one_process():
    """The state is carried, and every process has its part of the streams."""
    corpus = data.Corpus("t", "bytes", np.frombuffer(b"to be or not to be " * 30, np.uint8))
    task = tasks.Text(corpus, window=8, split=(0.5, 0.5, 0))
    model = Model("rnn", task.input_size, 3, task.output_size, loss=task.loss, outputs="all", dtype=float, rng=0)
    rows = task.parts["validation"]
    alone = mean_loss(model, task, rows, 4)

    def work(ranks):
        with ranks.shared(copy.deepcopy(model), task) as (shared, part):
            return mean_loss(shared, part, rows, 4)

    assert np.allclose(Together(2).run(work), alone, rtol=1e-12, atol=0)
    one = parallel.OneProcess()
    assert (one.rank, one.size, one.root) == (0, 1, True)
