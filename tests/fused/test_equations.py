"""A file of this room that promises equation numbers has them, and they are those of the derivation."""

import io
import re
import tokenize
from pathlib import Path

import pytest
from derivation import equations

import npseq.fused

FILES = [
    path
    for path in sorted(Path(npseq.fused.__file__).parent.glob("*.py"))
    if "docs/derivation.md" in path.read_text(encoding="utf-8")
]


def numbers_in_comments(path):
    """The equation numbers that stand in comments, beside the lines of code."""
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    return {int(number) for text in comments for number in re.findall(r"(?<![\w)])\((\d+)\)", text)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_that_refers_to_the_derivation_has_its_numbers_in_the_comments(path):
    assert numbers_in_comments(path) and numbers_in_comments(path) <= set(equations())


def test_every_identity_of_section_11_is_beside_a_line_of_the_kernels():
    text = (Path(npseq.__file__).parents[1] / "docs" / "derivation.md").read_text(encoding="utf-8")
    section = re.search(r"^## 11\b.*?(?=^## 12\b)", text, re.DOTALL | re.MULTILINE)[0]
    identities = {int(number) for number in re.findall(r"\\tag\{(\d+)\}", section)}
    kernels = (Path(npseq.fused.__file__).parent / "kernels.py").read_text(encoding="utf-8")
    named = {int(number) for number in re.findall(r"(?<![\w)])\((\d+)\)", kernels)}
    assert len(identities) == 8 and identities <= named


@pytest.mark.parametrize("name", ["kernels.py", "step.py"])
def test_what_the_comments_of_the_kernels_quote_stands_in_the_plain_code(name):
    folder = Path(npseq.__file__).parent
    code = (folder / "fused" / name).read_text(encoding="utf-8")
    plain = [(folder / file).read_text(encoding="utf-8") for file in ("cells.py", "bptt.py")]
    quoted = [quote for comment in re.findall(r"#.*", code) for quote in re.findall(r"``(.+?)``", comment)]
    assert len(quoted) > 20 and [q for q in quoted if not any(q in text for text in plain)] == []
