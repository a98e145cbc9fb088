"""docs/: the derivation's equations and the code name each other; what the pages run prints what they show."""

import ast
import contextlib
import importlib.util
import io
import os
import re
import sys
import tokenize
from pathlib import Path

import pytest
from derivation import equations
from running import typed

from npseq.data.sources import shipped

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = ["derivation.md", "tour.md", "pytorch.md"]
MODULES = sorted(str(path.relative_to(ROOT / "npseq")) for path in (ROOT / "npseq").rglob("*.py"))


def numbers_in(file):
    """Equation numbers in the comments and docstrings of a module, as in "(8), (30)"."""
    source = (ROOT / "npseq" / file).read_text(encoding="utf-8")
    texts = [
        token.string
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    ]
    texts += [
        ast.get_docstring(node) or ""
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef))
    ]
    return {int(number) for text in texts for number in re.findall(r"(?<![\w)])\(([1-9]\d?)\)", text)}


def test_the_equations_of_the_derivation_are_numbered_from_one_without_a_gap():
    assert list(equations()) == list(range(1, len(equations()) + 1))


@pytest.mark.wide
def test_every_equation_number_in_the_code_exists_in_the_derivation():
    named = {file: numbers_in(file) - set(equations()) for file in MODULES}
    assert {file: numbers for file, numbers in named.items() if numbers} == {}


@pytest.mark.wide
def test_every_equation_is_code_and_is_named_in_a_comment_of_the_file_that_the_derivation_gives():
    missing = {number: file for number, file in equations().items() if file is None or number not in numbers_in(file)}
    assert missing == {}


@pytest.mark.parametrize("page", PAGES)
def test_the_equations_that_a_page_refers_to_exist(page):
    text = re.sub(r"```math.*?```", "", (DOCS / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    # a year, (1994), is no equation, nor is σ(0)
    named = {int(number) for number in re.findall(r"(?<!\w)\((\d{1,2})\)", text)}
    assert named and named <= set(equations())


# ---- what the pages run ----

NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]\d+)?")


def agree(shown, printed):
    """The same text, and numbers equal to about a unit of the last digit shown (with an exponent, to a factor of 2)."""
    numbers = list(zip(NUMBER.findall(shown), NUMBER.findall(printed)))
    same_text = NUMBER.sub("#", shown).split() == NUMBER.sub("#", printed).split()
    return same_text and all(
        0.5 <= float(a) / float(b) <= 2
        if "e" in a
        else abs(float(a) - float(b)) <= ("." in a) * 1.5 * 10.0 ** -len(a.partition(".")[2])
        for a, b in numbers
    )


def blocks(page, language):
    """(code, output shown behind it, or None) in order."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.findall(rf"```{language}\n(.*?)```\n(?:```text\n(.*?)```)?", text, re.DOTALL)
    return [(code, shown or None) for code, shown in found]


def commands(page):
    """Commands inside a line of text, in `…`; one that ends with a placeholder is none."""
    text = re.sub(r"```.*?```", "", (DOCS / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.findall(r"`((?:python|npseq) [^`]*)`", text)


@pytest.mark.wide
def test_every_block_of_the_tour_runs_in_order_and_prints_what_it_shows(tmp_path):
    pytest.importorskip("torch")
    names, here, compared = {}, os.getcwd(), 0
    os.chdir(tmp_path)
    try:
        for code, shown in blocks("tour.md", "python"):
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                exec(code, names)
            assert agree(shown or "", printed.getvalue()), f"{code}\nprints\n{printed.getvalue()}"
            compared += shown is not None
    finally:
        os.chdir(here)
    assert compared > 10


@pytest.mark.wide
def test_every_command_of_the_tour_that_shows_its_output_gives_it():
    shown_ones = blocks("tour.md", "sh")
    assert shown_ones
    for command, shown in shown_ones:
        status, out, errors = typed(command)
        assert status == 0 and agree(shown, out), out + errors


@pytest.mark.parametrize("page", ["derivation.md", "tour.md"])
@pytest.mark.wide
def test_every_command_within_the_text_runs(page, tmp_path, monkeypatch):
    found = commands(page)
    assert found
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short.txt").write_text(Path(shipped("tiny_shakespeare.txt")).read_text(encoding="utf-8")[:20_000])
    for command in found:
        # the last word counts: a short text, and one configuration where there are all (test_gradcheck.py runs them)
        more = ["--data", "short.txt"] * ("tiny_shakespeare" in command)
        if "gradcheck" in command and "--layers" not in command:
            more += "--layers 1 --directions 1 --lengths equal".split()
        status, _, errors = typed(command, *more)
        assert status == ("--break" in command), f"{command}\n{errors}"  # 1: a planted bug was found


@pytest.mark.parametrize("page", [*PAGES, "study.md"])
def test_every_link_leads_to_a_file_and_a_heading(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", text):
        path = (DOCS / target) if target else DOCS / page
        assert path.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}, anchor


def test_the_order_of_study_has_every_exercise_and_every_page():
    from npseq.explain.exercises import EXERCISES

    text = (DOCS / "study.md").read_text(encoding="utf-8")
    started = re.findall(r"`npseq exercise start ([\w-]+)`", text)
    assert list(dict.fromkeys(started)) == list(EXERCISES)  # in the same order, from easy to hard
    assert "(tour.md)" in text and "(derivation.md)" in text and "npseq explain --html" in text
    minutes = dict(re.findall(r"^\| (\d+) \|.*\| (\d+)(?: each)? \|$", text, re.MULTILINE))
    assert sum(map(int, list(minutes.values())[:7])) == 120 and 5 * 60 < sum(map(int, minutes.values())) < 9 * 60


@pytest.mark.parametrize("page, last", [("tour.md", 11), ("derivation.md", 17), ("ten_steps.md", 9)])
def test_each_section_ends_with_a_question_and_its_answer(page, last):
    text = (DOCS / page).read_text(encoding="utf-8")
    sections = re.split(r"^## (?=\d+\. )", text, flags=re.MULTILINE)[1:]
    for number, section in enumerate(sections[:last], 1):
        assert section.startswith(f"{number}. ")
        ends = section.split("\n## ")[0].rstrip().split("\n\n")[-1]
        assert re.fullmatch(r"\*\*Question\.\*\* .+\? \*.+\*", " ".join(ends.split())), ends


def test_outputs_of_commands_are_written_into_the_pages_by_a_script():
    """What they are is compared above, and for the documented command in test_readme.py."""
    spec = importlib.util.spec_from_file_location("make_outputs", DOCS / "make_outputs.py")
    make_outputs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_outputs)
    commands = []
    for path in sorted(DOCS.glob("*.md")):
        page = path.read_text(encoding="utf-8")
        assert make_outputs.updated(page, lambda command: commands.append(command) or "NEW").count("NEW\n```") == (
            len(make_outputs.SHOWN.findall(page))
        )
    assert commands == ["python npseq/train.py", "npseq explain --model lstm --only dc"]
    assert (
        make_outputs.printed("npseq explain --model lstm --only dc") == typed("npseq explain --model lstm --only dc")[1]
    )


# ---- the pictures ----


@pytest.fixture(scope="module")
def make_pictures():
    spec = importlib.util.spec_from_file_location("make_pictures", DOCS / "make_pictures.py")
    module = importlib.util.module_from_spec(spec)
    path = list(sys.path)
    spec.loader.exec_module(module)
    yield module
    sys.path[:] = path


@pytest.mark.wide
def test_the_pictures_are_made_by_their_script(make_pictures, tmp_path):
    pytest.importorskip("matplotlib")
    make_pictures.main(tmp_path)
    for name in make_pictures.PICTURES:
        made = (tmp_path / f"{name}.svg").read_text(encoding="utf-8")
        assert made.startswith("<?xml") and (DOCS / f"{name}.svg").exists()
        for picture in (made, (DOCS / f"{name}.svg").read_text(encoding="utf-8")):
            assert make_pictures.TITLES[name].replace("'", "&#x27;") in picture or make_pictures.TITLES[name] in picture


def test_the_gradient_flows_as_the_picture_and_the_text_say(make_pictures):
    import numpy as np

    layers = {
        name: kind(4, 32, dtype=np.float64, rng=0, **options) for name, (kind, options) in make_pictures.MODELS.items()
    }
    flow = {name: make_pictures.gradient_flow(layer) for name, layer in layers.items()}
    assert flow["rnn"][40] < flow["lstm"][40] < flow["gru"][40] < 1e-6 * flow["lstm, forget bias 3"][40]
    np.testing.assert_allclose(flow["optimized_lstm"], flow["lstm"], rtol=1e-9)
    # section 7: the two paths separately, 59 steps back
    text = (DOCS / "derivation.md").read_text(encoding="utf-8")
    both, direct, W_h = (
        make_pictures.gradient_flow(layers[make_pictures.PATHS], path)[59] for path in ("both", "direct", "W_h")
    )
    assert f"has fallen to {direct:.3f}" in text and f"With both it is {both:.1f}".lower() in text.lower()
    assert -51.5 < np.log10(W_h) < -50.5 and "it has vanished, 10⁻⁵¹" in text
