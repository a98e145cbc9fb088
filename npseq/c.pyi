from .formats.c import *
