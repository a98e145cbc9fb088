"""The tables that the commands print: which row is last, how figures are written, and when a baseline is said to win."""

import argparse

import numpy as np
import pytest

from npseq.cli import backtest, plots, tables
from npseq.cli.evaluate_forecast import verdict, verdicts
from npseq.cli.predict_forecast import outside
from npseq.forecast.metadata import ForecastMetadata


def names(text):
    return [line.split("  ")[0].strip() for line in text.splitlines()[1:]]


@pytest.mark.parametrize(
    "metric, model, order",
    [
        ("rmse", 2.0, ["worse", "ours", "better"]),
        ("mse", 2.0, ["worse", "ours", "better"]),
        ("nats", 2.0, ["worse", "ours", "better"]),
        ("accuracy", 2.0, ["better", "ours", "worse"]),
    ],
)
def test_the_best_row_is_the_last_and_the_model_is_marked(metric, model, order):
    others = {"worse": {metric: 3.0}, "better": {metric: 1.0}}
    text = tables.comparison("ours", {metric: model}, others)
    assert names(text) == order and text.splitlines()[0].startswith("on the test part")
    assert [line.endswith("  <") for line in text.splitlines()[1:]] == [name == "ours" for name in order]


def test_the_skill_is_over_the_best_baseline():
    text = tables.comparison(
        "ours", {"rmse": 15.0, "mae": 1.0}, {"a": {"rmse": 20.0, "mae": 1}, "b": {"rmse": 30.0, "mae": 1}}
    )
    skills = {line.split()[0]: line.split()[3] for line in text.splitlines()[1:]}
    assert skills == {"b": "-50.0%", "a": "0.0%", "ours": "25.0%"} and "skill" in text.splitlines()[0]
    assert "skill" not in tables.comparison("ours", {"accuracy": 0.5}, {"a": {"accuracy": 0.4}})


@pytest.mark.parametrize(
    ("largest", "least", "shown"),
    [
        (9.99, 1.0, "9.99"),
        (10.0, 1.0, "10.000"),
        (9_999_999.0, 999.0, "9999999.0"),
        (9_999_999.0, 2e4, "9999999.0"),
        (20.0, 0.0011, "20.000000"),
        (20.0, 0.0009, "20"),
        (1e7, 1.0, "1e+07"),
    ],
)
def test_of_figures_from_10_to_10_million_the_smallest_has_four_significant_digits(largest, least, shown):
    text = tables.comparison("ours", {"rmse": largest, "mae": 1.0}, {"a": {"rmse": least, "mae": 1.0}})
    assert next(line for line in text.splitlines() if line.startswith("ours")).split()[1] == shown


def test_several_targets_have_a_table_each():
    results = {"targets": {"a": {"rmse": 1.0}, "b": {"rmse": 2.0}}}
    text = tables.comparison("ours", results, {"x": {"targets": {"a": {"rmse": 3.0}, "b": {"rmse": 1.0}}}})
    first, second = text.split("\n\n")
    assert first.startswith("a, on the test part") and names(first) == ["x", "ours"] and names(second) == ["ours", "x"]


def test_a_target_is_named():
    assert tables.comparison("ours", {"rmse": 1.0}, {"a": {"rmse": 2.0}}, target="load").startswith("load, on the test")


@pytest.mark.parametrize("count", [10, 11])
def test_more_than_ten_targets_have_a_summary(count):
    own = {f"s{k}": {"rmse": 1.0 if k else 4.0} for k in range(count)}
    others = {
        "x": {"targets": {name: {"rmse": 2.0} for name in own}},
        "y": {"targets": {n: {"rmse": 6.0} for n in own}},
    }
    lines = tables.comparison("ours", {"targets": own}, others).splitlines()
    if count == 10:
        assert sum(line.endswith("<") for line in lines) == 10
        return
    assert [line.split() for line in lines[1:4]] == [
        ["y", "3.000", "0"],
        ["x", "1.000", "1"],
        ["ours", "0.500", "10", "<"],
    ]
    assert lines[5] == "ours is better than every baseline for 10 of 11 targets: skill from -100.0% (s0) to 50.0% (s1)"


@pytest.mark.parametrize("count", [1, 10, 11])
def test_up_to_ten_targets_have_a_last_line_each(count):
    own = {f"s{k}": {"rmse": 1.0} for k in range(count)}
    others = {"x": {"targets": {name: {"rmse": 2.0} for name in own}}}
    lines = verdicts("ours", {"targets": own}, others, {"x": "X"})
    expected = [f"{name}: ours is better than every baseline by 50.0%" for name in own]
    assert lines == (expected if count <= 10 else [])


def test_errors_by_step_show_some_steps_and_mark_the_best():
    by_step = [{"step": k, "model": {"rmse": 1.0 * k}, "baselines": {"p": {"rmse": 2.5}}} for k in range(1, 6)]
    head, baseline, model = tables.by_step_table("ours", by_step, {"p": "persistence"})
    assert head.split()[3:] == ["1", "2", "3", "5"]
    assert baseline.split()[1:] == ["2.5", "2.5", "2.5*", "2.5*"] and model.split()[1:] == ["1*", "2*", "3", "5"]


def test_the_table_of_models_is_best_first_with_the_spread_of_the_seeds():
    def run(rmse, losses, seconds):
        history = [{"validation_loss": loss} for loss in losses]
        return {"test": {"rmse": rmse}, "baselines": {"b": {"rmse": 25.0}}, "history": history, "parameters": 1234,
                "seconds": seconds}  # fmt: skip

    reports = {"slow": [run(30.0, [3.0, 2.0], 4.0)], "ours": [run(20.0, [1.0, 3.0], 1.0), run(22.0, [3.0, 1.5], 3.0)]}
    lines = tables.comparison_of_models(reports).splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["**ours**", "b", "**slow**"]
    assert (
        "| 21.00 (20.00 – 22.00) | 2.0 | 1.5 |" in lines[2]
        and "1,234" in lines[2]
        and "| 30.00 | 4.0 | 2.0 |" in lines[4]
    )
    assert tables.level_of(reports) == 2.0 and "a validation loss of 2 |" in lines[0]
    small = {"m": [{**run(5.0, [1.0], 1.0), "baselines": {"b": {"rmse": 9.99}}}]}
    assert "| 5 |" in tables.comparison_of_models(small) and "base alone" not in tables.comparison_of_models(small)


def test_rows_whose_network_adds_nothing_are_marked_and_not_called_equal_networks():
    def runs(*alone):
        one = {
            "test": {"rmse": 5.0},
            "baselines": {},
            "history": [{"validation_loss": 1.0}],
            "parameters": 1,
            "seconds": 1,
        }
        return [{**one, "base_alone": each} for each in alone]

    shown = tables.comparison_of_models({"a": runs(True, True), "b": runs(False, True, False), "c": runs(False)})
    assert "**a** (base alone) |" in shown and "**b** (base alone in 1 of 3) |" in shown and "**c** |" in shown
    assert shown.splitlines()[-1].startswith("base alone: the network adds nothing there")


@pytest.mark.parametrize(
    "skill, far, words",
    [
        (0.0004, None, "m is as good as Best"),
        (-0.0004, None, "m is as good as Best"),
        (0.0006, None, "m is better than every baseline by 0.1%"),
        (-0.0006, None, "one horizon ahead Best is 0.1% better than m: use that baseline there"),
        (0.1, -0.2, "fed back Best is 20.0% better than m: use that baseline there"),
        (-0.1, -0.2, "one horizon ahead Best is 10.0% better than m; fed back Best is 20.0% better than m: use that"),
    ],
)
def test_when_a_baseline_is_said_to_win(skill, far, words):
    found = {"skill": skill, "best_baseline": "b"}
    if far is not None:
        found["fed_back"] = {"skill": far, "best_baseline": "b"}
    (line,) = verdict("m", found, {"b": "Best"})
    assert line.startswith(words)


class _Part:
    """A trained model's range and the rows it is used on."""

    far_outside = ForecastMetadata.far_outside

    def __init__(self, low, high, values):
        self.range, self.name, self.column_names = [(low, high)], "t", ["x"]
        self.values = np.array(values, float)[:, None]


@pytest.mark.parametrize(
    "low, high, value, told",
    [
        (0, 10, 15.0, False),
        (0, 10, 15.1, True),
        (0, 10, -5.1, True),
        (4, 4, 6.0, False),
        (4, 4, 6.1, True),
        (-4, -4, -6.1, True),
        (0, 0, 0.5, False),
        (0, 0, 0.6, True),
    ],
)
def test_values_half_a_range_outside_the_training_rows_are_told(low, high, value, told):
    part = _Part(low, high, [low, value, value])
    lines = outside(argparse.Namespace(members=[(None, part)], windows=[part]))
    assert bool(lines) == told
    assert not told or "2 values of x lie far outside" in lines[0] and f"in row 1: {value:g}" in lines[0]


def test_a_backtest_has_at_most_12_origins():
    args = argparse.Namespace(backtest=13)
    with pytest.raises(backtest.BacktestError, match="--backtest 13 given; at most 12"):
        backtest.check(args)


def test_a_forecast_of_several_rows_is_drawn_as_lines_of_its_first_three():
    steps = np.arange(8.0).reshape(4, 2)
    lines = plots.lines_ahead(steps)
    assert list(lines) == ["1 ahead", "2 ahead", "3 ahead"] and lines["1 ahead"].tolist() == [0, 1]
    assert np.isnan(lines["2 ahead"][0]) and lines["2 ahead"][1] == 2 and np.isnan(lines["3 ahead"]).all()
    assert list(plots.lines_ahead(steps[:1])) == ["forecast"]


def test_the_table_of_answers_has_recall_and_counts():
    lines = tables.confusion_table(
        {"recall": [0.5, None], "confusion": [[1, 1], [0, 0]]}, ["yes", "nonsense"]
    ).splitlines()
    assert lines[2].split() == ["yes", "50.0%", "1", "1"] and lines[3].split() == ["nonsense", "–", "0", "0"]
    assert tables.part_name("test", "x") == "the test part" and tables.part_name("all", "x") == "all of x"
