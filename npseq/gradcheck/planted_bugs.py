"""Twenty bugs to plant in a layer. Public name of ``npseq/gradcheck/bugs/planted_bugs.py``."""

from .bugs.planted_bugs import *
