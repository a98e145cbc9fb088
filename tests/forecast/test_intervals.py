"""Intervals whose width follows the state: the gradient of the scale head, quantiles of few errors, what is known when."""

import dataclasses
import json

import numpy as np
import pytest

from npseq import data
from npseq.forecast import ForecastTask, interval_scale, intervals
from npseq.nn.model import Model
from npseq.tasks.scoring import outputs


def task_of(n=900, seed=0):
    """An hourly series whose noise is three times as large in the afternoon."""
    rng, t = np.random.default_rng(seed), np.arange(n)
    noise = rng.normal(size=n) * np.where(t % 24 < 12, 1.0, 3.0)
    values = 50 + 10 * np.sin(2 * np.pi * t / 24) + noise
    table = data.Table("made", values[:, None], ["y"], step=3600, start=np.datetime64("2024-03-04", "s"))
    return ForecastTask(table, window=6, base="seasonal")


def model_of(task):
    model = Model("gru", task.input_size, 6, task.output_size, rng=0, dtype=np.float64)
    task.prepare(model)
    return model


def test_the_gradient_of_the_scale_head_is_right_to_the_last_digits():
    rng = np.random.default_rng(0)
    V, c, h, e = rng.normal(size=(3, 4)), rng.normal(size=3), rng.normal(size=(7, 4)), rng.normal(size=(7, 3))
    _, dV, dc = intervals.head_loss(V, c, h, e)
    step = 1e-30
    for index in np.ndindex(V.shape):
        other = V.astype(complex)
        other[index] += 1j * step
        assert abs(intervals.head_loss(other, c, h, e)[0].imag / step - dV[index]) <= 1e-13 * np.abs(dV).max()
    for k in range(3):
        other = c.astype(complex)
        other[k] += 1j * step
        assert abs(intervals.head_loss(V, other, h, e)[0].imag / step - dc[k]) <= 1e-13 * np.abs(dc).max()


def test_the_head_learns_when_errors_are_large():
    task = task_of(3000)
    model = model_of(task)
    V, c = intervals.fit_head(model, task)
    rows = task.parts["test"]
    s = np.exp(intervals.hidden_states(model, task, rows) @ V.T + c)[:, 0]
    hour = (task.table.times[rows].astype("datetime64[h]").astype(int)) % 24
    assert 1.5 < s[hour >= 12].mean() / s[hour < 12].mean() < 4


def width_of(errors):
    """The width of a model without a state, from errors in units of their scale."""
    zero = np.zeros((1, 2)), np.zeros(1)
    summary = intervals._summary([errors[:, None]])
    return interval_scale.Width(*zero, **summary, rows=24, reference=np.ones(1), floor=np.array([np.nan]))


def test_of_few_errors_the_interval_is_wide_enough():
    rng, inside, constant = np.random.default_rng(0), [], []
    for _ in range(300):
        errors, new = rng.normal(size=9), rng.normal()
        low, high = width_of(errors).bounds(np.zeros((1, 1, 1)), np.ones((1, 1, 1)), 0.9)
        inside.append(low[0, 0, 0] <= new <= high[0, 0, 0])
        constant.append(np.quantile(errors, 0.05) <= new <= np.quantile(errors, 0.95))
    assert 0.85 < np.mean(inside) <= 0.97 and np.mean(constant) < 0.82


def test_of_many_errors_the_bounds_are_their_quantiles():
    errors = np.random.default_rng(1).standard_t(4, size=20_000)
    low, high = width_of(errors).bounds(np.zeros((1, 1, 1)), np.full((1, 1, 1), 2.0), 0.9)
    assert np.allclose([low[0, 0, 0], high[0, 0, 0]], 2 * np.quantile(errors, [0.05, 0.95]), rtol=0.01)


def test_bounds_are_no_smaller_than_what_can_be():
    found = dataclasses.replace(width_of(np.random.default_rng(0).normal(size=500)), floor=np.zeros(1))
    low, _ = found.bounds(np.full((1, 2, 1), 0.5), np.ones((1, 2, 1)), 0.9)
    assert (low == 0).all()


def test_only_errors_before_a_row_count_in_its_width():
    task = task_of()
    model = model_of(task)
    found = intervals.measure(model, task)["width"]
    row = int(task.parts["test"][20])
    before = intervals.scales(model, task, np.array([row]), found)
    table = task_of().table
    table.values[row:] = 1e5
    other = ForecastTask(table, window=6, base=task.base, scaler=task.scaler)
    assert np.array_equal(before, intervals.scales(model, other, np.array([row]), found))
    table.values[row - 1] = 200.0
    other = ForecastTask(table, window=6, base=task.base, scaler=task.scaler)
    assert (intervals.scales(model, other, np.array([row]), found) != before).all()


def test_a_width_goes_through_json_and_covers_its_share():
    task = task_of(3000)
    model = model_of(task)
    found = intervals.measure(model, task)["width"]
    again = interval_scale.Width.from_json(json.loads(json.dumps(found.to_json())), 1, 1)
    rows = task.parts["test"]
    y = outputs(model, task, rows)[:, :, None]
    low, high = again.bounds(y, intervals.scales(model, task, rows, again), 0.9)
    actual = task.actual(rows)[:, :, None]
    assert 0.86 < ((low <= actual) & (actual <= high)).mean() < 0.94
    afternoon = task.table.times[rows].astype("datetime64[h]").astype(int) % 24 >= 12
    assert (high - low)[afternoon].mean() > 1.5 * (high - low)[~afternoon].mean()


@pytest.mark.parametrize(
    "change, words",
    [
        ({"mean": []}, "shape"),
        ({"weight": [[1.0]], "bias": []}, "bias"),
        ({"quantiles": [[1.0]]}, "quantiles"),
        ({"quantiles": [[1.0], [1.0, 2.0]]}, "different lengths"),
        ({"rows": 0}, "rows"),
        ({"floor": []}, "floor"),
    ],
)
def test_an_invalid_width_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        interval_scale.Width.from_json({**width_of(np.arange(9.0)).to_json(), **change}, 1, 1)


def test_the_interval_score_is_the_width_and_the_distance_outside():
    low, high, actual = np.zeros(3), np.full(3, 2.0), np.array([1.0, -0.5, 2.1])
    assert np.allclose(intervals.interval_score(low, high, actual, 0.9), [2, 2 + 20 * 0.5, 2 + 20 * 0.1])
