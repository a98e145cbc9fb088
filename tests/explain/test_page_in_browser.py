"""The interactive page in a real browser (Chromium through playwright-core; ``.ci/browser`` installs both)."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from browser import MODULES, ROOT, Leaky, drive, needed

from npseq.cells import GRUCell, LSTMCell
from npseq.explain import page
from npseq.explain.worked_example import WorkedExample

pytestmark = pytest.mark.wide


class QuietCell(LSTMCell):
    """A cell that does not state its equations."""


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What the browser saw."""
    folder = tmp_path_factory.mktemp("page")
    pages = {"lstm": page.build(), "leaky": page.build(Leaky), "quiet": page.build(QuietCell)}
    for name, text in pages.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    plan = {
        "pages": {name: (folder / f"{name}.html").as_uri() for name in pages},
        "shots": {scheme: str(folder / f"{scheme}.png") for scheme in ("light", "dark")},
    }
    return {**drive("drive_page.js", plan, folder), "shots": plan["shots"]}


def npseq_says(cell, what, T, H=2, I=1):
    """npseq's gradients of the network whose numbers the page shows."""
    network = page.part_of(WorkedExample(cell, page.MAX_UNITS, page.MAX_STEPS, 0, page.MAX_INPUTS), T, H, I)
    for key, value in what["inputs"]:
        name, *index = key.split(".")
        index = tuple(map(int, index if name != "state" else index[1:]))
        array = {"x": network.xs, "dy": network.dys}.get(name)
        array = network.state[key.split(".")[1]] if name == "state" else network.given[name] if array is None else array
        array[index] = value
    return page.npseq_gradients(network)


def assert_npseqs(cell, what, T, **sizes):
    found = npseq_says(cell, what, T, **sizes)
    for key, value in what["gradients"]:
        name, *index = key.split(".")
        if name in ("x", "dy"):
            expected = found["dx" if name == "x" else "h"]
        elif name == "state":
            expected, index = found[index[0] + "_0"], index[1:]
        else:
            expected = found[name]
        assert abs(value - expected[tuple(map(int, index))]) < 1e-9, key


def test_nothing_is_said_in_the_console_and_nothing_is_asked_of_the_network(seen):
    assert seen["messages"] == []


def test_the_line_at_the_foot_says_how_well_the_numbers_agree(seen):
    assert seen["digits"] >= 12 and f"{seen['digits']} digits" in seen["agreement"]


def test_dragging_and_typing_give_npseqs_numbers(seen):
    dragged, typed = (dict(seen[name]["inputs"]) for name in ("dragged", "typed"))
    assert abs(dragged["W_hf.0.1"] - dict(seen["first"]["inputs"])["W_hf.0.1"] - 0.37) < 1e-9
    assert (typed["x.1.0"], typed["dy.2.1"], typed["state.c.0"]) == (0.37, -1.25, 0.05)
    for name in ("first", "dragged", "typed", "reset"):
        assert_npseqs(LSTMCell, seen[name], 4)
    assert_npseqs(GRUCell, seen["gru"], 12)
    assert seen["steps"] == "12" and seen["reset"]["inputs"] == seen["first"]["inputs"]


def test_the_matrix_adds_up_and_the_complex_step_agrees(seen):
    for name in ("dragged", "typed", "forget", "radius"):
        what = seen[name]
        assert abs(sum(what["matrix"]) - what["total"]) < 1e-12 and abs(what["total"] - what["complexStep"]) < 1e-12
        assert "equal" in what["sums"]
    gradient = dict(seen["dragged"]["gradients"])["W_hf.0.1"]
    assert seen["dragged"]["total"] == gradient


def test_paths_cut_and_bug_change_the_gradient_and_the_page_says_so(seen):
    for name in ("withoutW_h", "withoutC", "bug", "cut"):
        assert "different" in seen[name]["sums"], name
        assert abs(seen[name]["complexStep"] - seen["keyed"]["complexStep"]) < 1e-15
    matrix = np.array(seen["cut"]["matrix"]).reshape(4, 4)
    assert (matrix[~np.eye(4, dtype=bool)] == 0).all() and (np.diag(matrix) != 0).all()
    assert "bug" in seen["bug"]["sums"] and "with c instead of c'" in seen["bug"]["text"]


def test_sliders_set_the_forget_bias_and_the_spectral_radius(seen):
    forget = dict(seen["forget"]["inputs"])
    assert forget["b_xf.0"] == 6 and forget["b_hf.0"] == 0
    assert all(value == 0 for key, value in seen["radius"]["inputs"] if key.startswith("W_h"))


def test_keys_go_through_the_computation(seen):
    assert seen["first"]["progress"].startswith("1 of") and seen["keyed"]["progress"].startswith("2 of")
    assert "cells.py" in seen["keyed"]["line"] or "bptt.py" in seen["keyed"]["line"]


def test_the_address_holds_the_state(seen):
    for part in ("total", "inputs", "progress", "gradients"):
        assert seen["again"][part] == seen["keyed"][part]


def test_predicting_hides_the_number_and_judges_the_answer(seen):
    assert seen["hidden"] and seen["wrongVerdict"].startswith("✗") and seen["rightVerdict"].startswith("✓")
    assert seen["afterAnswer"].startswith("2 of")


def test_a_cell_of_ones_own_has_a_page_and_one_without_equations_its_recorded_values(seen):
    assert int(seen["page leaky"]["digits"]) >= 12 and not seen["page leaky"]["note"]
    assert seen["page quiet"]["note"] and seen["page quiet"]["fields"] == 0 and "c_6" in seen["page quiet"]["chain"]


def test_it_is_light_and_dark_and_fits_the_window(seen):
    assert seen["light"] != seen["dark"] and seen["overflow"] <= 0
    pictures = {scheme: Path(path).read_bytes() for scheme, path in seen["shots"].items()}
    assert all(picture[:4] == b"\x89PNG" and len(picture) > 50_000 for picture in pictures.values())
    assert pictures["light"] != pictures["dark"]


def test_the_script_passes_the_linter(tmp_path):
    eslint = MODULES / ".bin" / "eslint"
    needed("eslint", eslint.exists())
    command = [eslint, "--config", ROOT / ".ci" / "eslint.config.mjs", "--max-warnings", "0"]
    command += [Path(page.__file__).parent / "web" / name for name in page.SCRIPTS]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
