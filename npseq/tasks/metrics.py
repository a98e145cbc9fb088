"""Scores of a classifier."""

from __future__ import annotations

from typing import Any

import numpy as np


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
