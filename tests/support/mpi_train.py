"""Run by mpiexec in test_parallel.py: ``npseq train`` with a fault planted in one rank.

    mpi_train.py FAULT RANK STEP argv…

FAULT: ``raise`` or ``kill`` at the update STEP of rank RANK; ``data``: that rank reads the file named by STEP.
"""

import os
import signal
import sys

from npseq import parallel, train

fault, rank, step, *argv = sys.argv[1:]
me = os.environ["OMPI_COMM_WORLD_RANK"]
if me == rank and fault == "data":
    argv += ["--data", step]
elif me == rank:
    build, seen = parallel.SharedTask.batch, []

    def batch(self, rows, *args):
        seen.append(1)
        if len(seen) == int(step):
            if fault == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise MemoryError("planted")
        return build(self, rows, *args)

    parallel.SharedTask.batch = batch
sys.exit(train.main(argv))
