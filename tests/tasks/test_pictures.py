"""Pictures of forecasts, losses and answers: titles, labels, lines and colours, without a file."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from npseq.tasks import pictures
from npseq.tasks.pictures import COLOURS, Panel, Tile

HISTORY = [{"epoch": 1, "train_loss": 4.0, "validation_loss": 5.0}, {"epoch": 2, "train_loss": 2.0, "validation_loss": 3.0}]  # fmt: skip


def lines(axes):
    """Label -> (x, y, colour) of the lines of some axes."""
    return {line.get_label(): (list(line.get_xdata()), list(line.get_ydata()), line.get_color()) for line in axes.lines}


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_forecast_is_drawn_below_its_title_with_band_mark_and_losses():
    x, y = np.arange(4), np.arange(3.0)
    one = Panel("a$", y, {"forecast": x + 1.0, "other": x + 2.0}, x - 0.5, x + 0.5)
    figure = pictures.forecasts(None, x, [one, Panel("b", np.arange(4.0), {"forecast": x})], "ti$tle", 0.9, (HISTORY, 7.0))  # fmt: skip
    first, second, losses = figure.axes
    assert first.get_title("left") == r"ti\$tle" and first.get_ylabel() == r"a\$" and second.get_ylabel() == "b"
    assert (first.get_xlabel(), second.get_xlabel(), losses.get_xlabel()) == ("", "row", "epoch")
    drawn = lines(first)
    assert drawn["actual"][:2] == ([0, 1, 2], [0, 1, 2])
    assert drawn["forecast"][2] == COLOURS[0] and drawn["other"][2] == COLOURS[1]
    assert [line.get_linewidth() > 1.2 for line in first.lines[1:3]] == [True, False]
    assert first.lines[3].get_xdata() == [3, 3] and len(second.lines) == 2 and len(first.collections) == 1
    assert lines(losses)["validation"][:2] == ([0, 1, 2], [7, 5, 3]) and lines(losses)["train"][0] == [1, 2]
    assert lines(losses)["train"][2] == COLOURS[1] and lines(losses)["validation"][2] == COLOURS[0]
    assert legend(figure) == ["90% interval", "actual", "forecast", "other"] and len(second.collections) == 0
    assert first.get_facecolor() == (1, 1, 1, 1) and not first.spines["top"].get_visible()
    assert first.xaxis.get_gridlines()[0].get_visible() and figure.get_size_inches().tolist() == [9, 10.5]
    unknown = one._replace(low=np.full(4, np.nan))
    times = np.datetime64("2024-01-01") + x
    (dated,) = pictures.forecasts(None, times, [unknown], "t").axes
    assert dated.get_xlabel() == "time" and not dated.collections
    assert type(dated.xaxis.get_major_formatter()).__name__ == "ConciseDateFormatter"


@pytest.mark.parametrize(
    ("losses", "scale"), [([10.0, 1.0], "linear"), ([10.2, 1.0], "log"), ([20.0, -1.0], "linear"), ([5.0, 0], "linear")]
)
def test_losses_over_more_than_a_power_of_ten_are_drawn_by_their_logarithm(losses, scale):
    history = [{"epoch": k + 1, "train_loss": loss, "validation_loss": losses[0]} for k, loss in enumerate(losses)]
    (axes,) = pictures.learning(None, history, None, "t").axes
    assert axes.get_yscale() == scale and axes.get_title("left") == "t" and axes.get_ylabel() == "loss"
    assert lines(axes)["validation"][0] == [1, 2] and axes.get_legend() is not None
    assert all(tick == int(tick) for tick in axes.get_xticks())


def test_many_series_are_drawn_three_in_a_row():
    tile = Tile("s", np.arange(5.0), 3, np.array([8.0, 9.0]), np.zeros(2), np.ones(2))
    figure = pictures.grid(None, [tile] * 4, "t", 0.8)
    assert [axes.get_visible() for axes in figure.axes] == [True] * 4 + [False] * 2
    assert figure._suptitle.get_text() == "t" and figure.axes[0].get_title("left") == "s"
    assert lines(figure.axes[0])["forecast"][:2] == ([3, 4], [8, 9]) and len(figure.axes[3].lines) == 2
    assert legend(figure) == ["80% interval", "actual", "forecast"]
    assert [size.get_fontsize() for size in (figure.axes[0]._left_title, figure.axes[0].get_xticklabels()[0])] == [
        10,
        8,
    ]
    assert len(pictures.grid(None, [tile] * 2, "t", 0.8).axes) == 2
    assert len(pictures.grid(None, [tile] * 3, "t", 0.8).axes) == 3


def test_errors_by_step_begin_at_step_one_and_the_last_one_stands_out():
    figure = pictures.by_step(None, {"a": [1, 2], "b": [3, 4], "net": [0.5, 0.6]}, "t")
    (axes,) = figure.axes
    drawn = lines(axes)
    assert [drawn[name][2] for name in drawn] == [COLOURS[1], COLOURS[2], COLOURS[0]]
    assert drawn["net"][:2] == ([1, 2], [0.5, 0.6]) and axes.get_ylim()[0] == 0 and legend(figure) == ["a", "b", "net"]
    assert axes.get_title("left") == "t" and (axes.get_xlabel(), axes.get_ylabel()) == ("rows ahead", "RMSE")
    widths = [line.get_linewidth() for line in axes.lines]
    assert widths[0] == widths[1] < widths[2]


def test_curves_are_means_of_runs_as_long_as_the_shortest():
    histories = {"optimized_gru": [[4.0, 2.0, 1.0], [2.0, 1.0]], "gru": [[1.0, 1.0]]}
    (axes,) = pictures.curves(None, histories, "t", 0.25, first=0).axes
    drawn = lines(axes)
    assert drawn["optimized_gru"] == ([0, 1], [3.0, 1.5], COLOURS[0]) and drawn["gru"][2] == COLOURS[1]
    assert [line.get_linestyle() for line in axes.lines] == ["--", "-", ":"] and "level 0.25" in drawn
    band = axes.collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == 1 and band[:, 1].max() == 4 and (axes.get_title(), axes.get_ylabel()) == ("t", "validation loss")  # fmt: skip
    (plain,) = pictures.curves(None, {"gru": [[1.0, 1.0]]}, "t").axes
    assert lines(plain)["gru"][0] == [1, 2] and len(plain.lines) == 1


def test_a_table_of_answers_has_counts_names_and_accuracy():
    figure = pictures.confusion(None, [[2, 2, 0], [0, 3, 1], [0, 0, 0]], ["a", "b", "c$"], "t", (HISTORY, None))
    axes, losses = figure.axes
    assert axes.get_title("left") == "t\naccuracy 62.5% of 8" and lines(losses)["train"][1] == [4, 2]
    assert {(*text.get_position(), text.get_text(), text.get_color()) for text in axes.texts} == {
        (0, 0, "2", "#222222"), (1, 0, "2", "#222222"), (1, 1, "3", "white"), (2, 1, "1", "#222222")}  # fmt: skip
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b", r"c\$"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b", r"c\$"]
    assert axes.get_xticklabels()[0].get_rotation() == 0 and (axes.get_xlabel(), axes.get_ylabel()) == (
        "answer",
        "class",
    )
    assert np.allclose(axes.images[0].get_array(), [[0.5, 0.5, 0], [0, 0.75, 0.25], [0, 0, 0]])
    assert axes.images[0].get_clim() == (0, 1) and not axes.xaxis.get_gridlines()[0].get_visible()
    (alone,) = pictures.confusion(None, np.zeros((2, 2), int), ["abcd", "x"], "t").axes
    assert alone.get_title("left").endswith("accuracy 0.0% of 0") and alone.get_xticklabels()[0].get_rotation() == 45
    (three,) = pictures.confusion(None, np.eye(2, dtype=int), ["abc", "x"], "t").axes
    assert three.get_xticklabels()[0].get_rotation() == 0


@pytest.mark.parametrize("ending", ["svg", pytest.param("PNG", marks=pytest.mark.wide)])
def test_a_picture_is_written_without_a_date_and_alike_twice(tmp_path, ending):
    paths = [str(tmp_path / f"{k}.{ending}") for k in range(2)]
    for path in paths:
        pictures.by_step(path, {"a": [1.0, 2.0]}, "t")
    first, second = (open(path, "rb").read() for path in paths)
    assert first == second and b"<dc:date>" not in first and first[:4] in (b"<?xm", b"\x89PNG")
    with pytest.raises(pictures.PlotError, match="as .png or .svg"):
        pictures.check("a.pdf")
    assert pictures.plain_text("a\n$b\ud800") == r"a?\$b?"
