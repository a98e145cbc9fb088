"""Forecasts: windows, base models, recursive forecasts, intervals, averages, evaluation, streaming, and
``forecaster.Forecaster``."""

from .frames import predict_frame
from .streaming import ForecastStream
from .task import ForecastTask
from .windows import WindowDataset

__all__ = ["ForecastStream", "ForecastTask", "WindowDataset", "predict_frame"]
