"""What is learned and how it is scored: examples from data, scaling, metrics, baselines."""

from .windows import Adding, Batch, Classification, Forecast, Windows, class_metrics
