from .tasks.features import *
