"""The training loop. Public name of ``npseq/training/fit.py``."""

from .training.fit import *
