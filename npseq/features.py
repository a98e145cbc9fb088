"""Calendar features and season detection. Public name of ``npseq/forecast/features.py``."""

from .forecast.features import *
