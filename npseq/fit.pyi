from .training.fit import *
