"""Scores of a forecast and of a classifier."""

from __future__ import annotations

from typing import Any

import numpy as np


def errors(forecast: np.ndarray, actual: np.ndarray) -> dict[str, Any]:
    """Return ``rmse`` and ``mae`` over the values of ``actual`` that are not NaN; None for both if all are.

    Args:
        forecast, actual: of the same shape.
    """
    there = ~np.isnan(actual)
    difference = forecast[there] - actual[there]
    if not difference.size:
        return {"rmse": None, "mae": None}
    return {"rmse": float(np.sqrt((difference**2).mean())), "mae": float(np.abs(difference).mean())}


def class_metrics(truth: np.ndarray, answer: np.ndarray, classes: int) -> dict[str, Any]:
    """Return accuracy, recall per class (None for a class without examples) and the confusion matrix.

    Args:
        truth, answer: (n,) true and predicted classes, numbers below ``classes``. In the confusion matrix a row is a
            true class and a column a predicted one.
    """
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (truth, answer), 1)
    counts = confusion.sum(axis=1)
    return {
        "accuracy": float((truth == answer).mean()),
        "confusion": confusion.tolist(),
        "recall": [int(confusion[k, k]) / int(n) if n else None for k, n in enumerate(counts)],
    }
