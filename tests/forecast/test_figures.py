"""The figures of docs/forecasts.md: each table has the bounds that the page speaks of, and a run gives its numbers."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
import forecasts
import hard_series

PAGE = Path(__file__).resolve().parents[2] / "docs" / "forecasts.md"
METRO = {"optimized_lstm": (198, 359, 378), "optimized_gru": (201, 359, 378), "optimized_rnn": (211, 372, 384.3)}


def table(name):
    """The rows of a table of the page: first cells to the others."""
    text = PAGE.read_text(encoding="utf-8").split(f"<!-- {name}: made")[1]
    rows = [line.strip("| ").split(" | ") for line in text.split(f"<!-- /{name}")[0].splitlines() if "|" in line]
    return {(row[0], row[1]): row for row in rows[2:]}


def test_the_table_of_forecasts_is_within_its_bounds():
    for (series, model), row in table("forecasts").items():
        rmse = [float(row[at].split(" (")[0]) for at in (2, 5, 8)]
        for at, error in zip((3, 6, 9), rmse):
            assert abs(error / float(row[at]) - float(row[at + 1])) < 0.002 and error <= 1.0005 * float(row[at])
        if series == "metro_traffic":
            assert all(error <= bound for error, bound in zip(rmse, METRO[model]))
        coverage, worst, score = ([float(part.rstrip("%")) for part in cell.split(" – ")] for cell in row[11:])
        assert all(85 <= share <= 93 for share in coverage) and worst[0] >= 70 and score[0] <= 1.05


@pytest.mark.wide
def test_a_run_gives_the_numbers_of_the_table_of_forecasts(tmp_path, monkeypatch):
    monkeypatch.setattr(forecasts, "STEPS", (48,))
    found = forecasts.run("optimized_gru", "metro_traffic", 0, str(tmp_path), [])["48"]
    row = table("forecasts")["metro_traffic", "optimized_gru"]
    for part, cell in ((found, row[2]), (found["fed_back"], row[8])):
        low, high = map(float, cell.split("(")[1].rstrip(")").split(" – "))
        assert 0.99 * low <= part["model"]["rmse"] <= 1.01 * high


@pytest.mark.parametrize("name", hard_series.SERIES)
def test_the_table_of_hard_series_is_what_its_script_finds(name):
    [row] = [row for (series, _), row in table("hard").items() if series == name]
    for steps, (own, best) in zip(hard_series.STEPS, ((row[1], row[2]), (row[4], row[5]))):
        error, baseline, least = hard_series.compared(name, steps)
        assert abs(error - float(own)) <= 0.005 * least and best.startswith(baseline)
        assert error <= 1.1 * least + 1e-9
