"""Every line of every page in Chromium: each number that is printed or drawn is npseq's."""

import re

import numpy as np
import pytest
from browser import Leaky, drive

from npseq.cells import GRUCell, LSTMCell, RNNCell
from npseq.explain import page
from npseq.explain.worked_example import WorkedExample, explain

pytestmark = pytest.mark.wide
CELLS = {"npseq rnn": RNNCell, "npseq lstm": LSTMCell, "npseq gru": GRUCell, "own Leaky": Leaky}
T, H, I = 3, 2, 2


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lines")
    pages = {"npseq": (page.build(), ["lstm", "gru", "rnn"]), "own": (page.build(Leaky), ["Leaky"])}
    plan = {}
    for name, (text, models) in pages.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
        plan[name] = [(folder / f"{name}.html").as_uri(), models]
    return drive("drive_lines.js", {"pages": plan}, folder)


def example(cell, T, last=False):
    network = page.part_of(WorkedExample(cell, page.MAX_UNITS, page.MAX_STEPS, 0, page.MAX_INPUTS), T, H, I)
    if last:
        network.dys[:-1] = 0
    return network


def close(printed, value):
    """Three significant digits, or four decimals, of the value."""
    number = float(printed)
    return abs(number - value) <= max(0.0051 * abs(value), 0) or abs(number - value) <= 5.1e-5 <= 1e-3 * abs(value)


def in_python(numbers):
    """The value of the text with numbers that stands in the place of a formula."""
    text = numbers.replace("·", "*").replace("²", "**2").replace("−", "-").replace("⊙", "*")
    assert re.fullmatch(r"(?:tanh|σ|e-?\d+|[-\d. ()+*/])*", text), numbers
    return eval(text, {"tanh": np.tanh, "σ": lambda a: 0.5 * np.tanh(0.5 * a) + 0.5})


@pytest.mark.parametrize("name", list(CELLS))
def test_every_line_prints_npseqs_numbers(seen, name):
    lines, _, _ = explain(example(CELLS[name], T))
    expected = {(line.section, f"{line.name}{label}"): value for line in lines for label, _, value, _ in line.elements}
    names = {"h'": "h_prev", "c'": "c_prev", "dh'": "dh_prev", "dc'": "dc_prev", "dh'_direct": "dh_direct"}
    shown = seen["pages"][name]["lines"]
    assert len(shown) > 20
    for line in shown[:-1]:
        for row in line["rows"]:
            what, label = re.fullmatch(r"(.*)(\[\d\])", row["label"]).groups()
            right = expected.pop((line["section"], names.get(what, what) + label))
            assert abs(row["value"] - right) < 1e-13 and close(row["printed"], right), (line, row)
            computed = in_python(row["numbers"])
            assert abs(computed - right) < 0.01 * max(abs(right), 0.02), (line, row)
    assert all(section == "after the loop" for section, _ in expected), expected
    (total,) = shown[-1]["rows"]
    right = next(v for (_, label), v in expected.items() if label == total["label"])
    assert abs(total["value"] - right) < 1e-13 and abs(in_python(total["numbers"]) - right) < 0.01


@pytest.mark.parametrize("far", [False, True])
@pytest.mark.parametrize("name", list(CELLS))
def test_every_number_of_the_picture_is_npseqs(seen, name, far):
    """Also where the gradient has almost vanished: it is printed, not rounded to nothing."""
    found = seen["pages"][name]
    network = example(CELLS[name], 12 if far else T, far)
    if far:
        network = page.part_of(network, 12, H, 1)
    _, steps, _ = explain(network)
    labels = (found["far"] if far else found)["labels"]
    drawn = {label for _, label, _ in labels}
    assert {"h", "h_prev", "dh", "dh_prev", "dx"} <= drawn and any(label.startswith("da") for label in drawn)
    for t, label, text in labels:
        value = 1 - steps[t]["z"][0] if label == "1 − z" else steps[t][label][0]
        assert close(text.split()[-1], value), (t, label, text, value)
    if name == "npseq lstm":
        assert {"i", "f", "g", "o", "c", "dc", "da_i", "da_f", "da_g", "da_o", "di", "dg"} <= drawn


def test_no_label_lies_on_a_box_or_on_another(seen):
    assert {name: found["overlaps"] + found["far"]["overlaps"] for name, found in seen["pages"].items()} == {
        name: [] for name in CELLS
    }


def test_chain_equation_and_code_are_in_one_view_and_the_step_is_in_sight(seen):
    for found in seen["pages"].values():
        assert max(found["seen"]) <= 720


def test_the_page_fits_every_width(seen):
    assert set(seen["widths"].values()) == {0}, seen["widths"]


def test_addresses_that_nobody_should_write_are_put_right(seen):
    assert seen["messages"] == []
    for address, what in seen["addresses"].items():
        now, of = map(int, what["progress"].split(" of "))
        assert 1 <= now <= of and what["line"], address
    assert seen["addresses"]["line=-5"]["progress"].startswith("1 of")


def test_a_drag_ends_when_the_finger_is_taken_away(seen):
    before, moved, second, after = seen["touch"]["seen"]
    assert abs(moved - before - 0.5) < 1e-9 and second == moved == after
    assert seen["touch"]["actions"] == ["none", "none"]
    assert 0 < seen["touch"]["mark"][0] < seen["touch"]["mark"][1] < 390  # on a phone what is computed is in sight
