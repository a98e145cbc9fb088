"""Sequences of different lengths whose first step decides: what the tests of the estimators learn."""

import numpy as np


def sequences(n, seed=0, features=2, shortest=3, longest=9):
    """n arrays (T_i, F) of noise; the first step of the first feature is −1 or 1, or for every third sequence 0."""
    rng = np.random.default_rng(seed)
    X = [rng.normal(0, 0.3, (length, features)) for length in rng.integers(shortest, longest + 1, n)]
    for number, one in enumerate(X):
        one[0, 0] = number % 3 - 1
    return X


def names(X):
    """The classes: what the first step was, in words."""
    return np.array(["below", "zero", "above"])[[int(one[0, 0]) + 1 for one in X]]


def numbers(X):
    """The first step, and half the last value of the second feature."""
    return np.array([10 + 3 * one[0, 0] + one[-1, 1] / 2 for one in X])
