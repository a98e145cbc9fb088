"""Scores."""

import numpy as np


def class_metrics(truth, answer, classes):
    """The labels (n,) and the answers (n,), numbers below ``classes`` -> as ``Classification.metrics``."""
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (truth, answer), 1)
    counts = confusion.sum(axis=1)
    return {
        "accuracy": float((truth == answer).mean()),
        "confusion": confusion.tolist(),
        "recall": [int(confusion[k, k]) / int(n) if n else None for k, n in enumerate(counts)],
    }
