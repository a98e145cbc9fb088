from .tasks.baselines import *
