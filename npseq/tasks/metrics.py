"""Scores of a forecast and of a classifier."""

from __future__ import annotations

from typing import Any

import numpy as np

CHUNK_EXAMPLES = 1 << 16  # examples whose errors are in memory at a time


def forecast_metrics(
    predictions: np.ndarray, actual: np.ndarray, observed: np.ndarray, columns: list[str]
) -> dict[str, Any]:
    """Return the root mean squared error and the mean absolute error over all observed values.

    With several columns, whose units may differ, the scores of each are under ``targets`` and the pooled ones are not
    given.

    Args:
        predictions, actual, observed: (n, steps · columns), step by step, column by column; ``observed`` is True for
            the values that count.
    """
    size, O = actual.shape[1], len(columns)
    squares, sizes, counts = np.zeros(size), np.zeros(size), np.zeros(size)
    for start in range(0, len(actual), CHUNK_EXAMPLES):
        part = slice(start, start + CHUNK_EXAMPLES)
        errors = np.where(observed[part], predictions[part] - actual[part], 0.0)
        squares += (errors * errors).sum(axis=0)
        sizes += np.abs(errors).sum(axis=0)
        counts += observed[part].sum(axis=0)

    def scores(which: slice) -> dict[str, Any]:
        count = max(counts[which].sum(), 1)
        result = {
            "rmse": float(np.sqrt(squares[which].sum() / count)),
            "mae": float(sizes[which].sum() / count),
        }
        if squares[which].size > 1:
            result["rmse_by_output"] = np.sqrt(squares[which] / np.maximum(counts[which], 1)).tolist()
        return result

    if O == 1:
        return scores(slice(None))
    return {"targets": {name: scores(slice(k, None, O)) for k, name in enumerate(columns)}}


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
