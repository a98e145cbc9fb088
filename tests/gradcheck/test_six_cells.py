"""Six cells of the literature: right, and each of three errors in each is named."""

import importlib.util
from pathlib import Path

import pytest
import six_cells
from six_cells import CELLS, ERRORS

from npseq.gradcheck import check_cell


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.__name__)
def test_a_cell_of_the_literature_is_right(cell):
    result = check_cell(cell)
    assert result.verdict == "right", str(result)
    if cell is six_cells.IndRNN:
        assert any("does not read a_h" in note for note in result.notes)


@pytest.mark.parametrize(
    "number", [k if k % 3 == 0 else pytest.param(k, marks=pytest.mark.wide) for k in range(len(ERRORS))]
)
def test_an_error_in_it_is_named(number, tmp_path):
    cell, old, new, words = ERRORS[number]
    source = Path(six_cells.__file__).read_text("utf-8")
    start = source.index(f"class {cell.__name__}")
    at = source.index(old, source.index("def backward", start))
    path = tmp_path / "edited_cell.py"
    path.write_text(source[:at] + new + source[at + len(old) :], "utf-8")
    spec = importlib.util.spec_from_file_location(f"edited_cell_{number}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    result = check_cell(getattr(module, cell.__name__))
    report = str(result)
    assert result.verdict == "wrong" and words in report, report
    assert f"edited_cell.py:{source.count(chr(10), 0, at) + 1}" in report, report
