"""docs/: the derivation's equations and the code name each other."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
FILES = ["cells.py", "bptt.py", "fused.py", "layers.py", "gradcheck.py", "rtrl.py"]


def equations():
    """number -> the file that the derivation says the equation is code in, or None."""
    text = (DOCS / "derivation.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```math\n(.*?)```\n(?:\*Code: `(\w+\.py)`\*)?", text, re.DOTALL)
    tagged = [(re.findall(r"\\tag\{(\d+)\}", maths), file) for maths, file in blocks]
    assert all(len(numbers) < 2 for numbers, _ in tagged), "one number a block"
    return {int(numbers[0]): file or None for numbers, file in tagged if numbers}


def numbers_in(file):
    """Equation numbers in the comments and docstrings of a module, as in "(8), (30)"."""
    source = (ROOT / "npseq" / file).read_text(encoding="utf-8")
    texts = [token.string for token in tokenize.generate_tokens(io.StringIO(source).readline)
             if token.type == tokenize.COMMENT]
    texts += [ast.get_docstring(node) or "" for node in ast.walk(ast.parse(source))
              if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef))]
    return {int(number) for text in texts for number in re.findall(r"(?<![\w)])\((\d+)\)", text)}


def test_the_equations_of_the_derivation_are_numbered_from_one_without_a_gap():
    assert list(equations()) == list(range(1, len(equations()) + 1))


@pytest.mark.parametrize("file", FILES)
def test_every_equation_number_in_the_code_exists_in_the_derivation(file):
    assert numbers_in(file) and numbers_in(file) <= set(equations())


@pytest.mark.parametrize("file", FILES)
def test_every_equation_marked_as_code_is_named_in_that_file(file):
    assert {number for number, where in equations().items() if where == file} <= numbers_in(file)


def test_every_file_that_the_derivation_names_as_code_is_looked_at():
    assert {where for where in equations().values() if where} == set(FILES)


def test_the_derivation_s_references_to_equations_exist():
    text = re.sub(r"```math.*?```", "", (DOCS / "derivation.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    # a year, (1994), is no equation, nor is σ(0)
    named = {int(number) for number in re.findall(r"(?<!\w)\((\d{1,2})\)", text)}
    assert named and named <= set(equations())
