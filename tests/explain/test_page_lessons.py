"""What a student does in the page, in Chromium: scenes with a question first, and exercises by the keyboard alone."""

import re

import numpy as np
import pytest
from browser import drive

from npseq.cells import LSTMCell, RNNCell
from npseq.explain import neurons_page, page
from npseq.explain.neurons import Neurons
from npseq.explain.worked_example import WorkedExample, explain

pytestmark = pytest.mark.wide
WRONG = {"dc": ("dh * o * (1 - tanh(c)**2)", "the term dc_carried is missing"), "da_g": ("dg * (", "unfinished")}


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lessons")
    (folder / "page.html").write_text(page.build(), encoding="utf-8")
    solutions = {
        name: [[s["name"], s["formula"], WRONG.get(s["name"], [None])[0]] for s in exercise["steps"]]
        for name, exercise in page.exercise_data()["exercises"].items()
    }
    rng, text = np.random.default_rng(0), "Ann said no.\nAnn said yes.\n" * 4
    tracking = {"quotes": rng.uniform(-1, 1, 3), "line position": rng.uniform(-1, 1, 3)}
    n = len(text)
    measured = Neurons(rng.normal(size=(n, 3)), tracking, rng.uniform(1, 2, n), rng.uniform(0, 1, (n, 5)))
    (folder / "neurons.html").write_text(neurons_page.render(measured, text, "a text"), encoding="utf-8")
    urls = {name: (folder / f"{file}.html").as_uri() for name, file in (("url", "page"), ("neurons", "neurons"))}
    return drive("drive_lessons.js", {**urls, "solutions": solutions}, folder)


def test_a_student_without_python_finishes_every_exercise_by_keyboard(seen):
    assert seen["messages"] == [] and set(seen["exercises"]) == {"rnn-backward", "lstm-backward", "gru-backward"}
    for done in seen["exercises"].values():
        assert done["finished"] == "1" and "✓ equal" in done["trial"]
    assert seen["exercises"]["lstm-backward"]["hint"].startswith("do: Start with the last line")


def test_on_the_way_the_first_wrong_value_is_named_with_its_mistake(seen):
    done = seen["exercises"]["lstm-backward"]
    assert all(message in found for (_, message), found in zip(WRONG.values(), done["wrong"]))
    assert "first wrong one is dc" in done["says"][0] and len(done["wrong"]) == 2


def test_a_scene_asks_before_it_shows_and_the_address_holds_it(seen):
    assert set(seen["scenes"]) == {"vanishing", "exploding", "highway", "forget", "truncation", "beside"}
    for name, scene in seen["scenes"].items():
        assert scene["asked"] == {"gradients": 0, "hidden": True, "told": 0}, name
        assert scene["told"]["gradients"] > 5 and scene["told"]["right"] >= 0
        assert scene["verdict"].startswith("✓ right") and scene["again"] == scene["verdict"]


@pytest.mark.parametrize(
    "name, cell, letter, low, high",
    [
        ("vanishing", RNNCell, "h", 0, 1e-3),
        ("exploding", RNNCell, "h", 10, 1e4),
        ("highway", LSTMCell, "c", 0.1, 10),
        ("forget", LSTMCell, "c", 0, 1e-3),
    ],
)
def test_what_a_scene_says_is_what_npseq_computes(seen, name, cell, letter, low, high):
    scene = seen["scenes"][name]
    network = page.part_of(WorkedExample(cell, page.MAX_UNITS, page.MAX_STEPS, 0, page.MAX_INPUTS), 12, 2, 1)
    network.dys[:-1] = 0
    for key, value in scene["inputs"]:
        what, *index = key.split(".")
        if what == "state":
            what, *index = index
            network.state[what][int(index[0])] = value
        elif what != "dy":
            (network.xs if what == "x" else network.given[what])[tuple(map(int, index))] = value
    _, steps, _ = explain(network)
    ratio = np.linalg.norm(steps[0][f"d{letter}_prev"]) / np.linalg.norm(steps[-1][f"d{letter}"])
    assert low <= ratio < high and abs(scene["told"]["measure"] - ratio) < 1e-3 * ratio
    sizes = [size for series, size in scene["bars"] if series == f"|d{letter}|"]
    assert abs(sizes[0] / sizes[-1] - ratio) < 1e-3 * ratio


def test_the_other_scenes(seen):
    assert seen["scenes"]["truncation"]["told"] | {"gradients": 0} == {"measure": 0, "right": 2, "gradients": 0}
    assert {series for series, _ in seen["scenes"]["beside"]["bars"]} == {"|dh| lstm", "|dh| gru"}


def test_the_language_is_switched_and_back(seen):
    assert seen["chinese"]["lang"] == "zh-CN" and "反向传播" in seen["chinese"]["title"]
    assert "正确" in seen["chinese"]["says"] and seen["english"] == "Backpropagation through time, step by step"
    words = set(re.findall(r"[a-z]{4,}", seen["chinese"]["text"]))
    assert words <= {"npseq", "bptt", "docs", "derivation", "tanh", "carried", "prev", "nglish"}, words


def test_the_text_of_the_neurons_page_is_one_tab_stop_with_arrows_inside(seen):
    found = seen["neurons"]
    assert [stop for stop in found["stops"] if stop.isdecimal()].count("0") >= 1
    assert {stop for stop in found["stops"] if stop.isdecimal()} == {"0"}
    assert found["moves"] == ["1", "2", "15", "2", "107", "0", "0", "1", "1"]
    assert found["status"].startswith("character 2,") and found["background"] == "rgb(21, 24, 29)"
