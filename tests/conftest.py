"""Fixtures that tests of several rooms share."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def small_csv(tmp_path_factory):
    """Three weeks of an hourly series with a daily rhythm: enough to train on in a moment."""
    path = tmp_path_factory.mktemp("data") / "small.csv"
    hours = np.datetime64("2024-03-04T00") + np.arange(24 * 21)
    rng = np.random.default_rng(5)
    values = 100 + 40 * np.sin(2 * np.pi * np.arange(len(hours)) / 24) + rng.normal(0, 5, len(hours))
    path.write_text("hour,load\n" + "".join(f"{h},{v:.2f}\n" for h, v in zip(hours, values)))
    return str(path)


def pytest_ignore_collect(collection_path, config):
    """The quick suite does not load files of which every test is wide: what they import takes seconds."""
    if config.option.markexpr == "not wide" and collection_path.suffix == ".py":
        return "\npytestmark = pytest.mark.wide\n" in collection_path.read_text(encoding="utf-8") or None
