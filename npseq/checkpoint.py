"""torch's ``.pth`` files. Public name of ``npseq/formats/checkpoint.py``."""

from .formats.checkpoint import *
