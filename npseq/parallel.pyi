from .training.mpi import *
