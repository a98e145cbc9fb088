"""The shipped files, and where a source of data is."""

import os

from .errors import DataError

SHIPPED = {"metro_traffic": "metro_traffic_hourly.csv"}
SHIPPED_SEQUENCES = {"japanese_vowels": ("japanese_vowels_train.csv", "japanese_vowels_test.csv")}


def shipped(file):
    """The path of a file in ``npseq/data/datasets``."""
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "datasets", file)


def existing(source):
    known = ", ".join([*SHIPPED, *SHIPPED_SEQUENCES, "adding"])
    if os.path.isdir(source):
        raise DataError(f"{source} is a folder; a file, or one of {known}, expected")
    if not os.path.exists(source):
        raise DataError(f"there is no file {source}; a CSV, .npy or .npz file, or one of {known}, expected")
    return source
