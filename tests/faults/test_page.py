"""docs/faults.md names a test for every promise."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROMISES = re.findall(r"\| `([\w/]+\.py)::(\w+)` \|", (ROOT / "docs" / "faults.md").read_text(encoding="utf-8"))


def test_every_row_of_the_tables_names_a_test():
    rows = [line for line in (ROOT / "docs" / "faults.md").read_text(encoding="utf-8").splitlines() if line[:1] == "|"]
    tables = sum(line.startswith("|--") for line in rows)
    assert tables == 7 and len(rows) - 2 * tables == len(PROMISES) > 15


@pytest.mark.parametrize("file, name", PROMISES)
def test_the_test_of_a_promise_exists(file, name):
    assert f"\ndef {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8")
