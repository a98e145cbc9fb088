from .forecast.baselines import *
