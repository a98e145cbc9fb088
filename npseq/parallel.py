"""Training by several processes over MPI. Public name of ``npseq/training/mpi.py``."""

from .training.mpi import *
