"""What every task has."""

import hashlib
import json
from typing import NamedTuple

import numpy as np


class Batch(NamedTuple):
    """x (B, T, I); target (B, O) of numbers or (B,) of labels; lengths (B,) or None."""

    x: np.ndarray
    target: np.ndarray
    lengths: np.ndarray | None = None


def fingerprint(*parts):
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
