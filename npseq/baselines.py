"""Forecasts that need no training. Public name of ``npseq/forecast/baselines.py``."""

from .forecast.baselines import *
