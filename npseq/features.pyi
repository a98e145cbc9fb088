from .forecast.features import *
