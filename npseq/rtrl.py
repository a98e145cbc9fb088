"""The gradient computed forward in time. Public name of ``npseq/gradcheck/rtrl.py``."""

from .gradcheck.rtrl import *
