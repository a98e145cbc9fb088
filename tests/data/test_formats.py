"""docs/formats.md, row by row: what it says is read, asked for or refused is."""

import re
from pathlib import Path

import numpy as np
import pytest

from npseq.cli import arguments, data_options
from npseq.cli.arguments import told
from npseq.data import DataError, load
from npseq.data.layout import MARKS

pytest.importorskip("pandas")
PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
SIGNS = str.maketrans({"⏎": "\n", "⇥": "\t", "¦": "|", "␣": " "})
ROWS = re.findall(r"^\| ([^|]+?) \| `([^|]*)` \| (?:`([^|]*)` )?\| ([^|]+) \|$", PAGE, re.M)


def parser():
    p = arguments.Parser(prog="x")
    p.add_argument("--time")
    data_options.add_table_options(p)
    return p


def shown(time):
    text = str(time)
    return text[:10] if text.endswith("T00:00:00") else text[:13]


@pytest.mark.parametrize("what, text, options, result", ROWS, ids=[row[0] for row in ROWS])
def test_a_row_of_the_page(tmp_path, what, text, options, result):
    path = tmp_path / "t.csv"
    path.write_text(text.translate(SIGNS), encoding="utf-8")
    args = parser().parse_args(options.split())

    def read():
        return load(str(path), args.time, options=data_options.table_options(args))

    outcome, _, words = result.partition(": ")
    if outcome in ("asked", "refused"):
        with pytest.raises(DataError) as error:
            table = read()
            table.column(None)
        assert "\n" not in str(error.value)
        for word in words.split(", ") if "','" not in words else [words.split(",")[0], "--decimal", "--thousands"]:
            assert word in told(error.value)
        return
    table = read()
    named = [name for name in table.columns if name not in table.counters]
    expected = dict(re.findall(r"(?:^|, )(\S+) = ([^,]+)", result))
    assert named == list(expected)
    for name, values in expected.items():
        values = [float(value) for value in values.split()]
        assert table.values[: len(values), table.columns.index(name)].tolist() == values
    time, step = re.search(r"time (\S+?)(?:,|$)", result), re.search(r"step (\S+)", result)
    assert (table.times is None) == (time is None)
    assert time is None or shown(table.times[0]) == time[1]
    assert step is None or table.offset == step[1]


def test_the_page_has_as_many_rows_as_are_tested():
    tables = re.findall(r"^\| what \|.*\n\|---.*\n((?:\|.*\n)+)", PAGE, re.M)
    assert sum(table.count("\n") for table in tables) == len(ROWS) > 60


def test_the_marks_of_the_page_are_those_that_are_read(tmp_path):
    marks = re.search(r"## Missing values(.*?)adds others", PAGE, re.S)[1]
    named = {mark.lower() for mark in re.findall(r"`([^`\s-][^`]*|-+)`", marks)}
    known = {mark.lower() for mark in MARKS} - {"", "-nan", "-1.#ind", "-1.#qnan", "#na"}
    assert named - {"--na mark"} == known
    for mark in MARKS:
        for one in (mark, mark.lower()):
            (tmp_path / "t.csv").write_text(f"a,b\n1,2\n{one},3\n4,5\n")
            assert np.flatnonzero(load(str(tmp_path / "t.csv")).filled[:, 0]).tolist() == [1], one


def test_every_source_of_the_page_is_tested():
    tests = (Path(__file__).parent / "test_sources.py").read_text(encoding="utf-8")
    sources = re.search(r"## Sources(.*?)## Text", PAGE, re.S)[1]
    for end in re.findall(r"`(\.\w+)", sources):
        assert end in tests or end in (".npy", ".npz")  # test_tables_and_sequences.py
