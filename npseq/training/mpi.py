"""Training in several processes over MPI: ``mpiexec -n 4 npseq train …``.

Data parallelism is one sum. Every process has the same parameters and the same shuffled order; of each batch of B
examples process r of n takes the rows from ⌊B r / n⌋ to ⌊B (r + 1) / n⌋, b_r of them, and computes the mean loss L_r
over those and its gradient g_r. The loss of the whole batch and its gradient are

    L = Σ_r b_r L_r / Σ_r b_r,    g = Σ_r b_r g_r / Σ_r b_r,

whatever the shares are: a short last batch and sequences of different lengths change nothing. So one message a step,
the Allreduce of [b_r g_r, b_r L_r, b_r], gives every process the gradient of the whole batch, and all that follows
(clipping by the global norm, the schedule, the optimiser) is the same everywhere and happens everywhere. A process
without a row (b_r = 0) runs the first row of the batch and adds it with weight 0.

Dropout masks are drawn for the whole batch and cut (``_Generator``), so that they are those of one process too, and the
generators of all processes stay in step.

Nothing of mpi4py is imported unless a launcher's variables are in the environment.
"""

import hashlib
import os
import signal

import numpy as np

from ..status import UNEXPECTED
from .scoring import outputs

# Where launchers tell the processes that they start how many there are.
SIZES = "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS", "SLURM_STEP_NUM_TASKS"


class ParallelError(Exception):
    """The processes cannot train together; the message names the rank and the reason."""


def launched():
    """Was this process started by an MPI launcher, as one of several?"""
    found = [os.environ[name] for name in SIZES if name in os.environ]
    return found[0] != "1" if found else "PMIX_RANK" in os.environ


def find():
    """-> ``Ranks``, or None for one process alone.

    Raises:
        ParallelError: under a launcher without mpi4py.
    """
    if not launched():
        return None
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # RuntimeError: mpi4py found no MPI library
        raise ParallelError(
            f"started by an MPI launcher, but mpi4py cannot be used ({str(error).splitlines()[0]}): "
            "pip install 'npseq[mpi]', or start one process"
        ) from None
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends all at once; the files are whole at any time
    return Ranks(MPI.COMM_WORLD) if MPI.COMM_WORLD.size > 1 else None


class Ranks:
    """The processes that train together, seen from one of them.

    Args:
        communicator: of mpi4py, or anything with its ``rank``, ``size``, ``Allreduce``, ``allgather``, ``Abort``.
    """

    def __init__(self, communicator):
        self.communicator, self.rank, self.size = communicator, communicator.rank, communicator.size

    def share(self, rows):
        """This process's part of ``rows``; all parts in the order of the ranks are ``rows``."""
        n = len(rows)
        return rows[n * self.rank // self.size : n * (self.rank + 1) // self.size]

    def sum(self, vector):
        """Σ over the processes; the same bits in each."""
        total = np.empty_like(vector)
        self.communicator.Allreduce(vector, total)
        return total

    def predict(self, model, task, rows):
        """As ``fit.predict``, each process its share; every process gets all."""
        own = self.share(rows)
        parts = self.communicator.allgather(outputs(model, task, own) if len(own) else None)
        return np.concatenate([part for part in parts if part is not None])

    def agree(self, problem):
        """Go on only if no process has a problem: a message, or None.

        Raises:
            ParallelError: in every process, with the first problem and its rank.
        """
        for rank, message in enumerate(self.communicator.allgather(problem)):
            if message is not None:
                raise ParallelError(f"rank {rank}: {message}")

    def compare(self, what, value):
        """Is ``value``, a short text, the same in every process?

        Raises:
            ParallelError: in every process, naming a rank that differs.
        """
        values = self.communicator.allgather(value)
        for rank, other in enumerate(values):
            if other != values[0]:
                raise ParallelError(f"rank {rank} has other {what} than rank 0: {other} there, {values[0]} here")

    def check_parameters(self, model):
        """After each epoch: do all processes still have the same parameters? Errors as ``compare``."""
        self.compare("parameters", hashlib.sha256(model.theta).hexdigest()[:16])

    def abort(self, prog, error):
        """End every process, with one line."""
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        os.write(2, f"{prog}: rank {self.rank}: {reason}\n".encode())
        self.communicator.Abort(UNEXPECTED)


class SharedTask:
    """A task whose batches are this process's share. ``count`` is the number of examples in the last one."""

    def __init__(self, task, ranks):
        self.task, self.ranks, self.count = task, ranks, 0

    def __getattr__(self, name):
        return getattr(self.task, name)

    def batch(self, rows, dtype=np.float32):
        own = self.ranks.share(rows)
        self.count, self.size = len(own), len(rows)
        self.start = len(rows) * self.ranks.rank // self.ranks.size
        if not len(own):  # something has to be run; it counts for nothing
            self.start, own = 0, rows[:1]
        return self.task.batch(own, dtype)


class SharedModel:
    """A model whose losses and gradients are those of the whole batch, for batches of ``SharedTask``."""

    def __init__(self, model, task, ranks):
        self.model, self.task, self.ranks = model, task, ranks
        self.theta, self.dtype = model.theta, model.dtype
        model.rnn.rng = _Generator(model.rnn.rng, task)

    def loss_and_grad(self, batch, training=True):
        loss, grad = self.model.loss_and_grad(batch, training)
        message = np.append(grad, self.dtype.type([loss, 1])) * self.dtype.type(self.task.count)
        if self.task.count == 0:
            message[...] = 0  # also where the loss is not finite
        total = self.ranks.sum(message)
        total[:-1] /= total[-1]
        return total[-2], total[:-2]

    def loss_of(self, batch):
        loss = float(self.model.loss_of(batch)) if self.task.count else 0.0
        total = self.ranks.sum(np.array([loss * self.task.count, self.task.count]))
        return total[0] / total[1]


class _Generator:
    """Draws for the whole batch, whose sequences are the second axis, and gives this process's part."""

    def __init__(self, rng, task):
        self.rng, self.task = rng, task

    def random(self, shape):
        first, count, *rest = shape
        return self.rng.random((first, self.task.size, *rest))[:, self.task.start : self.task.start + count]
