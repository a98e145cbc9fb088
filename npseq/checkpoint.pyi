from .formats.checkpoint import *
