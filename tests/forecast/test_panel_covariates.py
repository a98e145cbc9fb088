"""Many series with other columns: past ones, and those whose values are known ahead."""

from dataclasses import replace

import numpy as np
import pytest

import npseq
from npseq.data.errors import DataError
from npseq.data.panel import Panel
from npseq.forecast.panel import closed_forms, ensemble, scores
from npseq.forecast.panel.covariates import Read, explained, scales_of
from npseq.forecast.panel.recipe import PanelRecipe
from npseq.forecast.panel.series import Many
from npseq.forecast.panel.task import panel_task
from npseq.training.config import TrainingConfig
from npseq.training.run import TrainingRun

H, ROWS = 7, 120


def shops(rows=ROWS, count=6):
    """Sales that follow the season of a week and, against it, a price that changes at random."""
    rng = np.random.default_rng(0)
    t, values = np.arange(rows), []
    for k in range(count):
        price = np.where(rng.random(rows) < 0.2, 0.7, 1.0)
        y = 10.0**k * (3 + np.sin(2 * np.pi * t / 7) + 4 * (1 - price) + 0.1 * rng.normal(size=rows))
        values.append(np.stack([y, 5 * 10.0**k * price, rng.normal(size=rows)], axis=1))
    starts = rows * np.arange(count + 1)
    names = ["y", "price", "rain"]
    return Panel("shops", [f"s{k}" for k in range(count)], np.concatenate(values), names, starts, [None] * count,
                 filled=np.zeros((rows * count, 3), bool), all_columns=names)  # fmt: skip


def trained(panel, **columns):
    task = panel_task(panel, horizon=H, **columns)
    run = TrainingRun(task, TrainingConfig.of("panel", model="gru", hidden_size=8, epochs=1))
    run.train()
    return run.model, ensemble.finish(run.model, task)


@pytest.fixture(scope="module")
def priced():
    return trained(shops().without_last(H), future=["price"], inputs=["rain"])


def test_a_price_known_ahead_makes_the_forecasts_clearly_better(priced):
    without = trained(shops().without_last(H))
    found, other = (scores.evaluate([member], shops(), H)["scores"] for member in (priced, without))
    assert found["npseq"]["mase"] < 0.7 * other["npseq"]["mase"]
    assert found["network"]["mase"] < 0.7 * other["network"]["mase"]  # not the closed forms alone
    assert 0.8 <= found["npseq"]["coverage"]


def test_a_column_that_explains_nothing_is_left_alone_and_one_that_does_is_found():
    rng = np.random.default_rng(1)
    u, noise = rng.normal(size=(210, 1)), rng.normal(size=200).cumsum() * 0.3
    assert not explained(noise, u, 200, 7).any()
    e = explained(noise + 2 * u[:200, 0], u, 200, 7)
    assert np.abs(e - 2 * (u - u[:200].mean())[:, 0]).max() < 0.2
    assert not explained(noise, np.ones((210, 1)), 200, 7).any()  # a column that does not change
    assert np.abs(explained(noise + 2 * u[:200, 0], np.append(u[:200], [[1e9]] * 10, axis=0), 200, 7)).max() < 30


@pytest.mark.parametrize(
    ("rows", "s", "lag"), [(40, 7, 7), (22, 7, 7), (21, 7, 1), (9, 3, 1), (10, 3, None), (9, 1, 1), (8, 1, None)]
)
def test_what_a_column_explains_is_estimated_from_differences_twice(rows, s, lag):
    """Of one column: 8 differences at least, to the season before if the rows hold more than three."""
    rng = np.random.default_rng(0)
    u = rng.normal(size=rows + 5)
    w = 3 * u[:rows] + 0.1 * rng.normal(size=rows).cumsum()
    found = explained(w, u[:, None], rows, s)
    if lag is None:
        lag = s if rows > 3 * s else 1
        assert rows - lag < 8 and not found.any()
        return
    d, x = w[lag:] - w[:-lag], u[lag:rows] - u[: rows - lag]
    size = np.sqrt(np.mean(x * x))
    x = x / size
    r = d - x * (x @ d) / (x @ x + 0.01 * len(x))
    rho = r[1:] @ r[:-1] / (r @ r)
    d, x = d[1:] - rho * d[:-1], x[1:] - rho * x[:-1]
    e = (u - u[:rows].mean()) / size * (x @ d) / (x @ x + 0.01 * len(x))
    low, high = e[:rows].min(), e[:rows].max()
    assert np.allclose(found, np.clip(e, 2 * low - high, 2 * high - low), rtol=1e-10)


def test_the_network_reads_past_columns_of_its_step_and_known_ones_up_to_the_last_forecast_row():
    rng, p, T, h = np.random.default_rng(0), 2, 3, 2
    others = [rng.normal(size=(n, 2)) * [1, 5] + [3, -40] for n in (6, 12)]
    others[1][:, 1] = 7.0  # does not change: the scale of all
    others[1][10, 0] = 1e6
    recipe = PanelRecipe("d", "y", h, 2, [], p, T, False, [2], [1.0], ["a"], ["b"], [0.25, 3.0])
    x = Read(others, recipe).inputs(np.array([0, 1, 1]), np.array([3, 7, 12]), np.array([2, 3, 3]))
    assert x.shape == (3, T, p + p + h)
    for at, (k, origin, length) in enumerate([(0, 3, 2), (1, 7, 3), (1, 12, 3)]):
        known = others[k][:origin]
        spread = np.where(known.std(axis=0) > 0, known.std(axis=0), recipe.scales)
        for t in range(T):
            rows = origin - length * p + t * p + np.arange(p + h)
            z = (others[k][np.clip(rows, 0, len(others[k]) - 1)] - known.mean(axis=0)) / spread
            z = np.clip(z, -20, 20) * ((rows >= 0) & (rows < origin + h))[:, None]
            expected = [*(z[:p, 0] * (rows[:p] < origin)), *z[:, 1]]
            assert np.allclose(x[at, t], expected, atol=1e-8), (at, t)
    far = Read([np.append(np.zeros((9, 1)), [[1e3]], axis=0)], replace(recipe, inputs=[], future=["b"], scales=[3.0]))
    assert far.inputs(np.array([0]), np.array([9]), np.array([3])).max() == 20
    assert scales_of([np.array([[1.0, 5], [3, 5]]), np.array([[0.0, 5], [0, 5]])]) == [np.sqrt(0.5), 1.0]


def test_nothing_looks_ahead_from_any_origin(priced):
    panel, (model, kept) = shops(), priced
    recipe, place = kept.recipe, np.tile(np.arange(ROWS), 6)

    def first(values):
        """The forecasts of the second series from its first origin, by each closed form and by the network."""
        changed = replace(panel, values=values)
        many = Many.of(changed, "y", ensemble.season_of(recipe), recipe.inputs, recipe.future, H)
        cuts = many.cuts(H)[1]
        forms = closed_forms.forms(many.values[1], many.season, cuts, H, H, many.others[1][:, 1:])
        return cuts[0], forms.past[0], ensemble.collect(many, recipe, [model], H)[1].past[1, 0]

    cut, *before = first(panel.values)
    other = panel.values.copy()
    other[place >= cut] *= [3, 1, -9]
    other[place >= cut + H] *= [1, 2, 1]
    assert all(map(np.array_equal, before, first(other)[1:]))
    other[place >= cut] *= [1, 2, 1]  # the price of the rows to forecast is read
    assert not any(map(np.array_equal, before, first(other)[1:]))


def test_rows_ahead_that_are_missing_are_refused_by_series(priced):
    panel = shops()
    places = np.tile(np.arange(ROWS), len(panel))
    panel.filled[places >= ROWS - H, 0] = True  # no target: rows to forecast
    panel.values[places >= ROWS - H, 0] = np.nan
    found = ensemble.PanelEnsemble([priced], panel).predict()
    assert found.mean.shape == (6, H) and list(found.times[0]) == list(range(ROWS - H + 1, ROWS + 1))
    held = ensemble.PanelEnsemble([priced], shops(), held_out=H).predict()
    assert np.array_equal(found.mean, held.mean)
    panel.filled[3 * ROWS - 2, 1] = True
    with pytest.raises(DataError, match=r"7 rows after .* of y in the series s2 .* price are given for 5"):
        ensemble.PanelEnsemble([priced], panel).predict()
    assert ensemble.PanelEnsemble([priced], panel).predict(5).mean.shape == (6, 5)


def test_columns_of_a_task_are_checked():
    for columns, words in (
        ({"inputs": ["price"], "future": ["price"]}, "'price' is named twice"),
        ({"inputs": ["y"]}, "'y' is named twice"),
        ({"future": ["snow"]}, "no column 'snow'"),
    ):
        with pytest.raises(DataError, match=words):
            panel_task(shops(), "y", H, **columns)


@pytest.mark.wide
def test_a_forecaster_takes_the_rows_ahead_in_a_frame_of_their_own(tmp_path):
    pd = pytest.importorskip("pandas")
    panel = shops(count=3)
    frame = pd.DataFrame(panel.values, columns=panel.columns)
    frame.insert(0, "unique_id", np.repeat(panel.ids, ROWS))
    frame.insert(1, "ds", np.tile(pd.date_range("2024-01-01", periods=ROWS).to_numpy(), 3))
    last = frame.groupby("unique_id").cumcount(ascending=False) < H
    made = npseq.Forecaster("gru", epochs=1, hidden_size=4)
    made.fit(frame[~last], "y", horizon=H, future=["price"])
    found = made.predict(future=frame[last].drop(columns="y"))
    assert found.equals(made.predict(H, future=frame[last])) and len(found) == 3 * H
    assert found.ds.tolist() == frame.ds[last].tolist()
    made.save(tmp_path / "m.pth")
    loaded = npseq.Forecaster.load(tmp_path / "m.pth").update(frame[~last])
    assert loaded.predict(future=frame[last]).equals(found)
    assert loaded._panel.asked == {"target": ["y"], "horizon": H, "inputs": None, "future": ["price"]}
    blank = frame.assign(y=frame.y.where(~last))
    assert np.allclose(made.update(blank).predict().npseq, found.npseq)
    with pytest.raises(DataError, match="in the series s1 asked for, but price are given for 0"):
        made.fit(frame[~last], "y", horizon=H, future="price").predict(future=frame[last & (frame.unique_id != "s1")])
    windows = made.cross_validation(frame, h=H, n_windows=1)
    assert len(windows) == 3 * H and windows.y.tolist() == frame.y[last].tolist()
    with pytest.raises(DataError, match="cannot be fed back"):
        made.fit(frame, "y", "rain", horizon=H).predict(H + 1)
