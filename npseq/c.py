"""A trained model as a C header. Public name of ``npseq/formats/c.py``."""

from .formats.c import *
