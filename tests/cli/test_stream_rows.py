"""Lines of ``npseq stream`` as rows: where the time and the columns are, with a header and without."""

from types import SimpleNamespace

import numpy as np
import pytest

from npseq.cli.stream_rows import BadRow, Rows
from npseq.data.errors import DataError
from npseq.data.sources import TableOptions

TIME = "2024-03-04T05:00:00"


def rows(columns, time=None, calendar=True, **options):
    stream = SimpleNamespace(columns=columns, recipe=SimpleNamespace(calendar=calendar))
    return Rows(stream, time, None, TableOptions(**options))


@pytest.mark.parametrize(
    "lines, columns, time, values",
    [
        (["hour,load", "2024-03-04 05,7"], ["load"], None, [7]),
        (["hour,load", "2024-03-04 05,7"], ["load"], "when", [7]),  # another name: found by what it holds
        (["x,hour,load", "2024-03-04 05,2024-03-04T05:00Z,7"], ["load"], "hour", [7]),
        (["\ufeffhour;load;x", "2024-03-04 05;7,5;1"], ["x", "load"], None, [1, 7.5]),
        (["7,2024-03-04 05"], ["c0"], "1", [7]),
        (["7,2024-03-04 05"], ["c0"], "2", [7]),  # no such field
        (["2024-03-04 05,7,8"], ["a", "b"], None, [7, 8]),
        (["hour\tload", "2024-03-04 05\tNA"], ["load"], None, [np.nan]),
    ],
)
def test_time_and_columns_are_found(lines, columns, time, values):
    found = rows(columns, time)
    for line in lines[:-1]:
        assert found.take(line + "\n") is None
    for line in (lines[-1], lines[-1]):
        got, when = found.take(line + "\n")
        assert np.array_equal(got, values, equal_nan=True) and when == TIME
    assert found.take("\n") is None and all(found.take(line.lstrip("\ufeff") + "\n") is None for line in lines[:-1])


def test_without_a_calendar_no_time_is_needed():
    assert rows(["a", "b"], calendar=False).take("1,2\n")[1] is None
    assert rows(["a", "b"], calendar=False).take("2024-03-04 05,1,2\n")[1] == TIME
    with pytest.raises(DataError, match="4 fields; 2, or 3 with the time first, expected"):
        rows(["a", "b"], calendar=False).take("1,2,3,4\n")
    with pytest.raises(DataError, match="2 fields; 3, the time first, expected"):
        rows(["a", "b"]).take("1,2\n")
    with pytest.raises(DataError, match="2 fields"):
        rows(["c2"]).take("2024-03-04 05,1\n")


def test_marks_and_signs_are_those_of_the_training():
    found = rows(["a"], calendar=False, sep=";", decimal=",", thousands=".", na=("-99",), strip=("€",))
    for cell, value in (("1.234,5 €", 1234.5), ("-99", np.nan), ("-99,0", np.nan), ("na", np.nan)):
        assert np.array_equal(found.take(f"{cell}\n")[0], [value], equal_nan=True)
    with pytest.raises(BadRow, match="'x' in 'a'; a number expected"):
        found.take("x\n")
