"""Pictures by one call: what is drawn is what was forecast, measured and trained."""

import numpy as np
import pytest

import npseq
from npseq.tasks.pictures import PlotError


@pytest.fixture(scope="module")
def fitted():
    pytest.importorskip("matplotlib")
    hours = np.datetime64("2024-03-04T00") + np.arange(24 * 21)
    y = 100 + 40 * np.sin(np.arange(len(hours)) / 3.82) + np.random.default_rng(0).normal(0, 5, len(hours))
    settings = {"epochs": 2, "hidden_size": 3, "window": 6, "base": "linear"}
    return npseq.Forecaster("gru", **settings).fit({"hour": hours, "load": y}, "load", time="hour")


@pytest.mark.wide
def test_the_forecast_is_drawn_with_its_past_its_band_and_dates(fitted, tmp_path):
    figure = fitted.plot(30)
    (axes,) = figure.axes
    actual, forecast = (line.get_ydata() for line in axes.lines[:2])
    found = fitted.predict(30, interval=0.9)
    assert len(actual) == 168 and np.array_equal(forecast[-30:], found[:, 0]) and np.isnan(forecast[:-30]).all()
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert np.isclose(band.max(), found[:, 2].max()) and axes.get_ylabel() == "load"
    assert axes.lines[1].get_xdata()[-1] == np.datetime64("2024-03-26T05")
    figure.savefig(tmp_path / "f.png")


@pytest.mark.wide
def test_scores_and_losses_draw_themselves_and_are_tables_in_a_notebook(fitted, tmp_path):
    found = fitted.score()
    lines = {line.get_label(): line.get_ydata() for line in found.plot().axes[0].lines}
    assert list(lines["gru"]) == [row["model"]["rmse"] for row in found["by_step"]] and "persistence" in lines
    assert len({line.get_color() for line in found.plot().axes[0].lines}) == len(lines)
    losses = {line.get_label(): line for line in fitted.progress.plot(str(tmp_path / "l.svg")).axes[0].lines}
    assert list(losses["validation"].get_xdata()) == [0, 1, 2] and (tmp_path / "l.svg").stat().st_size > 3000
    assert f"<td>{found['model']['rmse']:.4g}</td>" in found._repr_html_()
    assert fitted._repr_html_().startswith("<pre>Forecaster(model=&#x27;gru")
    assert "\nrnn.weight_hh_l0 (9, 3)\n" in fitted.members[0][0]._repr_html_()
    assert "<pre>" in npseq.gradcheck.check(npseq.RNN(1, 2, dtype=np.float64, rng=0))._repr_html_()


def test_without_matplotlib_a_line_says_what_to_install(fitted, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    for draw in (fitted.plot, fitted.score().plot, fitted.progress.plot):
        with pytest.raises(PlotError, match="pip install matplotlib$"):
            draw()
