"""Training in several processes over MPI: ``mpiexec -n 4 npseq train …``.

Data parallelism is one sum. Every process has the same parameters and the same shuffled order; of each batch of B
examples process r of n takes the rows from ⌊B r / n⌋ to ⌊B (r + 1) / n⌋, b_r of them, and computes the mean loss L_r
over those and its gradient g_r. The loss of the whole batch and its gradient are

    L = Σ_r b_r L_r / Σ_r b_r,    g = Σ_r b_r g_r / Σ_r b_r,

whatever the shares are, so a short last batch and sequences of different lengths need no special case. One message per
step, the Allreduce of [b_r g_r, b_r L_r, b_r], gives every process the gradient of the whole batch, and all that
follows (clipping by the global norm, the schedule, the optimiser) is the same everywhere and happens everywhere. An
empty share (b_r = 0) still runs one row, with weight 0.

Every process draws the dropout mask of the whole batch and uses its own rows (``_Generator``), so that the masks equal
those of a single process and all generators stay synchronised.

A single process is the special case of size 1: ``OneProcess`` has the interface of ``Ranks``.

Nothing of mpi4py is imported unless a launcher's variables are in the environment.
"""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..nn.model import Model
from ..status import UNEXPECTED
from ..tasks.base import Batch, Task, WeightedBatch
from ..tasks.scoring import outputs

# Where launchers tell the processes that they start how many there are.
SIZES = "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS", "SLURM_STEP_NUM_TASKS"


Errors = tuple[type[BaseException], ...]


class ParallelError(Exception):
    """The processes cannot train together; the message names the rank and the reason."""


def launched() -> bool:
    """True if an MPI launcher started this process as one of several."""
    found = [os.environ[name] for name in SIZES if name in os.environ]
    return found[0] != "1" if found else "PMIX_RANK" in os.environ


def find() -> Ranks | OneProcess:
    """Return the processes that train together.

    Raises:
        ParallelError: under a launcher without mpi4py.
    """
    if not launched():
        return OneProcess()
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # RuntimeError: mpi4py found no MPI library
        raise ParallelError(
            f"started by an MPI launcher, but mpi4py cannot be used ({str(error).splitlines()[0]}): "
            "pip install mpi4py, or start one process"
        ) from None
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends all at once; the files are whole at any time
    return Ranks(MPI.COMM_WORLD) if MPI.COMM_WORLD.size > 1 else OneProcess()


class OneProcess:
    """A single process: it has every row and agrees with itself."""

    rank, size, root = 0, 1, True

    def predict(self, model: Model, task: Task, rows: np.ndarray) -> np.ndarray:
        """Return the outputs of the examples ``rows``, as ``scoring.outputs``."""
        return outputs(model, task, rows)

    def agree(self, problem: str | None) -> None:
        """Continue only without a problem: a message, or None.

        Raises:
            ParallelError: with the problem.
        """
        if problem is not None:
            raise ParallelError(problem)

    def compare(self, what: str, value: Any) -> None:
        """Do nothing: there is no other process whose value could differ."""

    def check_parameters(self, model: Model) -> None:
        """Do nothing: there is no other process whose parameters could differ."""

    @contextmanager
    def shared(self, model: Model, task: Task) -> Iterator[tuple[Model, Task]]:
        """Give the model and the task for ``fit``: as they are."""
        yield model, task

    @contextmanager
    def ending_together(self, prog: str, agreed: Errors) -> Iterator[None]:
        """Do nothing: no other process waits for this one."""
        yield


class Ranks:
    """The processes that train together, seen from one of them.

    Args:
        communicator: of mpi4py, or anything with its ``rank``, ``size``, ``Allreduce``, ``allgather``, ``Abort``.
    """

    def __init__(self, communicator: Any):
        self.communicator, self.rank, self.size = communicator, communicator.rank, communicator.size

    @property
    def root(self) -> bool:
        """True for the process that prints and writes."""
        return bool(self.rank == 0)

    def share(self, rows: np.ndarray) -> np.ndarray:
        """Return this process's part of ``rows``; all parts in the order of the ranks are ``rows``."""
        n = len(rows)
        return rows[n * self.rank // self.size : n * (self.rank + 1) // self.size]

    def sum(self, vector: np.ndarray) -> np.ndarray:
        """Return Σ over the processes; the same bits in each."""
        total = np.empty_like(vector)
        self.communicator.Allreduce(vector, total)
        return total

    def predict(self, model: Model, task: Task, rows: np.ndarray) -> np.ndarray:
        """Return the outputs of the examples ``rows``: each process computes its share and gets all."""
        own = self.share(rows)
        parts = self.communicator.allgather(outputs(model, task, own) if len(own) else None)
        return np.concatenate([part for part in parts if part is not None])

    def agree(self, problem: str | None) -> None:
        """Continue only if no process reports a problem (a message, or None).

        Raises:
            ParallelError: in every process, with the first problem and its rank.
        """
        for rank, message in enumerate(self.communicator.allgather(problem)):
            if message is not None:
                raise ParallelError(f"rank {rank}: {message}")

    def compare(self, what: str, value: Any) -> None:
        """Check that ``value``, a short text or plain values, is the same in every process.

        Raises:
            ParallelError: in every process, naming a rank that differs.
        """
        values = self.communicator.allgather(value)
        for rank, other in enumerate(values):
            if other != values[0]:
                raise ParallelError(f"rank {rank} and rank 0 have different {what}: {other} and {values[0]}")

    def check_parameters(self, model: Model) -> None:
        """Check that all processes still have the same parameters. Errors as ``compare``."""
        self.compare("parameters", hashlib.sha256(model.theta.data).hexdigest()[:16])

    @contextmanager
    def shared(self, model: Model, task: Task) -> Iterator[tuple[SharedModel, SharedTask]]:
        """Give the model and the task for ``fit``; afterwards the model has its own generator again."""
        examples, rng = SharedTask(task, self), model.rnn.rng
        model.rnn.rng = _Generator(rng, examples)  # type: ignore[assignment]  # dropout needs ``random`` alone
        try:
            yield SharedModel(model, examples, self), examples
        finally:
            model.rnn.rng = rng

    @contextmanager
    def ending_together(self, prog: str, agreed: Errors) -> Iterator[None]:
        """End every process, with one line, if this one leaves by any exception that is not one of ``agreed``, which
        all processes raise: the others would wait for it without end. SystemExit counts, and so SIGTERM."""
        try:
            yield
        except agreed:
            raise
        except BaseException as error:
            code = error.code if isinstance(error, SystemExit) else None
            signals: dict[Any, str] = {128 + number: number.name for number in signal.Signals}
            reason = signals.get(code) or " ".join(f"{type(error).__name__}: {error}".split())
            os.write(2, f"{prog}: rank {self.rank}: {reason}\n".encode(errors="replace"))
            self.communicator.Abort(UNEXPECTED)
            raise


class SharedTask(Task):
    """A task whose batches are this process's share. ``count`` is the number of targets in the last one."""

    def __init__(self, task: Task, ranks: Ranks):
        self.task, self.ranks, self.count = task, ranks, 0
        self.parts, self.carries = task.parts, task.carries
        self.streams, self.steps = task.streams, task.steps  # type: ignore[method-assign]  # all go through the same
        self.scored_side_by_side, self.weight = task.scored_side_by_side, task.weight  # type: ignore[method-assign]

    def batch(self, rows: np.ndarray, dtype: Any = np.float32) -> Batch | WeightedBatch:
        """Return this process's share of the examples ``rows``."""
        own = self.ranks.share(rows)
        self.count, self.size = self.task.weight(own), len(rows)
        self.start = len(rows) * self.ranks.rank // self.ranks.size
        if not len(own):  # an empty share still runs one row, with weight 0
            self.start, own = 0, rows[:1]
        return self.task.batch(own, dtype)


class SharedModel:
    """A model whose losses and gradients are those of the whole batch, for batches of ``SharedTask``."""

    def __init__(self, model: Model, task: SharedTask, ranks: Ranks):
        self.model, self.task, self.ranks = model, task, ranks
        self.theta, self.dtype = model.theta, model.dtype

    def loss_and_grad(self, batch: Batch | WeightedBatch, training: bool = True, **state: Any) -> tuple[Any, ...]:
        """Return the loss and the gradient of the whole batch, given this process's share; with ``state=…`` also the
        final state of this process's share."""
        loss, grad, *final = self.model.loss_and_grad(batch, training, **state)
        message = np.append(grad, self.dtype.type([loss, 1])) * self.dtype.type(self.task.count)
        if self.task.count == 0:
            message[...] = 0  # also where the loss is not finite
        total = self.ranks.sum(message)
        total[:-1] /= total[-1]
        return (total[-2], total[:-2], *final)

    def loss_of(self, batch: Batch | WeightedBatch, **state: Any) -> Any:
        """Return the loss of the whole batch, given this process's share; with ``state=…`` also the final state of this
        process's share."""
        found = self.model.loss_of(batch, **state)
        loss, *final = found if state else (found,)
        loss = float(loss) if self.task.count else 0.0
        total = self.ranks.sum(np.array([loss * self.task.count, self.task.count]))
        return (total[0] / total[1], *final) if state else total[0] / total[1]


class _Generator:
    """Random numbers for the whole batch, sequences along axis 1, of which each process gets its part."""

    def __init__(self, rng: np.random.Generator, task: SharedTask) -> None:
        self.rng, self.task = rng, task

    def random(self, shape: tuple[int, ...]) -> np.ndarray:
        first, count, *rest = shape
        return self.rng.random((first, self.task.size, *rest))[:, self.task.start : self.task.start + count]
