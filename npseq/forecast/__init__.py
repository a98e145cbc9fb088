"""Forecasts of one series or many.

The examples and their splits are in ``windows.py`` and ``task.py``; the base model that the network corrects is chosen
in ``candidates.py`` and ``combination.py``, and applied in ``base_model.py`` and ``bases.py``. ``recursive.py`` feeds
forecasts back; ``intervals.py`` measures the prediction interval, ``interval_scale.py`` and ``adaptive.py`` give its
bounds. ``ensemble.py`` forecasts with one or several models, and knows which rows are new to them; ``evaluation.py``
and ``baselines.py`` score. ``finish.py`` makes what a weights file keeps. ``forecaster.Forecaster`` offers all of it to
Python.
"""

from .frames import predict_frame
from .streaming import ForecastStream
from .task import ForecastTask
from .windows import WindowDataset

__all__ = ["ForecastStream", "ForecastTask", "WindowDataset", "predict_frame"]
