"""Run by mpiexec in test_parallel.py: ``npseq train`` with a fault planted in one rank.

    mpi_train.py FAULT RANK STEP argv…

FAULT: the name of an exception, a signal or ``_exit`` at the update STEP of rank RANK, or ``score:``, ``save:`` and one
of these while that rank scores or rank 0 saves; ``data``: that rank reads the file named by STEP.
"""

import builtins
import os
import signal
import sys

from npseq import parallel
from npseq.cli import commands, training_run

moment, _, fault = sys.argv[1].rpartition(":")
rank, step, *argv = sys.argv[2:]
me = os.environ["OMPI_COMM_WORLD_RANK"]
places = {
    "score": (training_run._Run, "score"),
    "save": (training_run._Run, "report"),
    "": (parallel.SharedTask, "batch"),
}
if me == rank and fault == "data":
    argv += ["--data", step]
elif me == rank:
    owner, name = places[moment]
    real, seen = getattr(owner, name), []

    def planted(*args):
        seen.append(1)
        if len(seen) == int(step):
            if fault.startswith("SIG"):
                os.kill(os.getpid(), getattr(signal, fault))
            elif fault == "_exit":
                os._exit(0)
            else:
                raise getattr(builtins, fault)("planted")
        return real(*args)

    setattr(owner, name, planted)
sys.exit(commands.run(training_run.main, "npseq train", argv))
