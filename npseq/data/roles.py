"""What each column of a table is, decided from the values of the whole column and of its neighbours.

    measurement   can be forecast                     counter       counts the rows, up or down, or is their number
    flag          a code beside a measurement         elapsed       a time that runs: equal steps, or nearly equal ones
    text          no number                           part of time  year, month, hour, weekday … of the time
    unread        numbers in a form that is not read  circle        counts and begins again, such as hours without days
    time          the time of the rows                constant      does not change in the training rows
                                                      series        tells several series apart

Names only break ties: between years and other whole numbers, or an index and a measurement that always rises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from .content import Content
from .grid import DAY
from .local_words import MONTH_OF
from .time_axis import find_grid, step_counts
from .time_forms import CLOCK_TIME, YEARS, is_time

TRAINING = 0.7  # of the rows: in these a target must change
FIRST = 1000  # rows by which most columns are decided
LEAST = 20  # rows from which on equal steps alone are evidence
USUAL = 0.6  # of the whole steps of a counter are equal: days without weekends, an index with gaps
ELAPSED = re.compile(
    r"t|times?|timestamps?|time.?steps?|steps?|sec(ond)?s?|elapsed.*|time ?[(\[].*|dates?|unix.*|epoch|ds|ts|year|yr",
    re.I,
)
COUNTERS = re.compile(r"unnamed: \d+|(.*[_ -])?id|index|idx|row|rownum|nr|no|number|#|n|obs|record|seq|key", re.I)
COUNTED = re.compile(
    r"(^|[^a-z])(ds|t|time|step|timestamp|date|hour|day|week|month|quarter|year|period)s?([^a-z]|$)", re.I
)
NAMES = re.compile(
    r"(^|[^a-z])(id|series|store|shop|item|product|sku|sensor|station|unit|customer|machine)([^a-z]|$)", re.I
)
WEEKDAY = re.compile(r"(mon|tue|wed|thu|fri|sat|sun)", re.I)
FLAGS = re.compile(r"(^|[^a-z])(quality|qual|qc|flags?|status|codes?|cd|valid|qn?|qlty|qa)([^a-z]|$)", re.I)
MOST_FLAGS = 20  # different values of a flag
NEAR = 0.1  # of a step: a nearly equal one; and the fraction of others, where rows are missing
LEAST_ROWS, COMPLETE, MOST_PAIRED = 4, 0.6, 10  # rows of a series; of its times; columns of which pairs are tried
UNIT = re.compile(r"(days?|d|weeks?|wk|w|months?|mon|m|quarter|qtr|q|years?|yr|y)[_ .-]?(\d+)", re.I)
QUARTER, HOUR = re.compile(r"Q[1-4]|[1-4]Q", re.I), re.compile(r"(?:h|hr|hour)[_ ]?\d\d?", re.I)
ACROSS, MANY = 3, 20  # names of columns that are times in order; numbers after a single letter
CLOCK_SET_BACK = 2 * 3600  # seconds that occur twice in autumn


class Roles(NamedTuple):
    """kinds: name -> what the column is; series: the columns whose values together tell several series apart, none if
    there is one; why: how that is seen, for messages."""

    kinds: dict[str, str]
    series: list[str]
    why: str


def decide(content: Content) -> Roles:
    """Return what each column of a table is."""
    times, n = content.times, len(content.values)
    kinds = dict.fromkeys(content.all_columns, "text")
    kinds |= dict.fromkeys(content.time, "time") | dict.fromkeys(content.unread, "unread")
    if (
        "c0" in content.refused and times is None
    ):  # without a header and a time it may be no table: it is not passed over
        kinds["c0"] = "unread"
    training = first_in_time(times, n)
    for k, name in enumerate(content.columns):
        kinds[name] = kind_of_column(name, content.values[:, k], times, training)
    series, why = several_series(content, times) if times is not None else _counted_series(content)
    return Roles(kinds | dict.fromkeys(series, "series"), series, why)


def kind_of_column(name: str, column: np.ndarray, times: np.ndarray | None = None, training: Any = slice(None)) -> str:
    """Return what a column of numbers is.

    Args:
        column: (n,), NaN where a value is missing. times: (n,) datetime64, of the rows, or None.
        training: the first rows in time.
    """
    if len(column) < 3:
        return "measurement"
    if _has_one_value(column[training]):
        return "constant"
    if counts_rows(name, column):
        return "counter"
    if is_elapsed(name, column):
        return "elapsed"
    if times is not None and _is_part_of(times, column):
        return "part of time"
    if counts_in_circles(column):
        return "circle"
    head = column[:FIRST]
    if _is_whole(head) and len(np.unique(head)) <= (MOST_FLAGS if FLAGS.search(name) else 2) and _is_whole(column):
        return "flag" if len(np.unique(column)) <= MOST_FLAGS else "measurement"
    return "measurement"


def first_in_time(times: np.ndarray | None, n: int) -> Any:
    """Return the index of the rows that a model is trained on, the first ones in time."""
    first = int(np.ceil(TRAINING * n))
    if times is None or (times[1:] >= times[:-1]).all():
        return slice(first)
    return np.argsort(times, kind="stable")[:first]


def _has_one_value(column: np.ndarray) -> bool:
    there = column[:FIRST][~np.isnan(column[:FIRST])]
    if (there != there[:1]).any():
        return False
    there = column[~np.isnan(column)]
    return bool((there == there[:1]).all())


def _is_whole(column: np.ndarray) -> bool:
    return bool((column[~np.isnan(column)] % 1 == 0).all())


def counts_rows(name: str, column: np.ndarray) -> bool:
    """True if a column only counts its rows, up or down, or has whole numbers that rise, or fall, under the name of an
    index, or mostly by equal steps."""
    if len(column) < 3 or len(column) > FIRST and not counts_rows(name, column[:FIRST]):
        return False
    steps, named = np.diff(column), COUNTERS.fullmatch(name)
    if not (column % 1 == 0).all():
        return False
    if (steps == steps[0]).all():
        return bool(abs(steps[0]) == 1 or named)
    usual = len(steps) >= LEAST and (steps == np.median(steps)).mean() >= USUAL
    return bool(((steps > 0).all() or (steps < 0).all()) and (named or usual))


def is_elapsed(name: str, column: np.ndarray) -> bool:
    """True if a column is a running time: it rises, or falls, in every row, and has the name of a time, or nearly equal
    steps whose differences do not add up, as they do in a curve."""
    if len(column) < 3 or len(column) > FIRST and not is_elapsed(name, column[:FIRST]):
        return False
    steps = np.diff(column)
    if not ((steps > 0).all() or (steps < 0).all()):
        return False
    usual = np.median(steps)
    off = (steps - usual) / usual
    if (
        ELAPSED.fullmatch(name)
        or 1500 < min(column[0], column[-1])
        and max(column[0], column[-1]) < 2200
        and np.ptp(off) < 0.2
    ):
        return True
    near = off[np.abs(off) <= NEAR]
    drift = np.cumsum(near - near.mean()) if len(near) else near
    return bool(len(steps) >= LEAST and len(near) >= (1 - NEAR) * len(steps) and np.abs(drift).max() <= 0.5)


def counts_in_circles(column: np.ndarray) -> bool:
    """True for whole numbers that count and begin again after equally many rows, such as hours without their days."""
    head = column[:FIRST]
    again = np.flatnonzero(head[1:] == head[0])
    period = int(again[0]) + 1 if len(again) else 0
    if not 3 <= period <= len(head) // 2 or (head[:period] % 1 != 0).any():
        return False
    steps = np.diff(head[:period])
    return bool(steps[0] and (steps == steps[0]).all() and (column[period:] == column[:-period]).all())


def _is_part_of(times: np.ndarray, column: np.ndarray) -> bool:
    """True for the year, month, hour, weekday or another part of the times of the rows."""
    if len(column) > FIRST and not _is_part_of(times[:FIRST], column[:FIRST]):
        return False
    there = ~np.isnan(column)
    return len(column) >= 3 and any((column == part)[there].all() for part in _parts_of(times))


def _parts_of(times: np.ndarray) -> Iterator[np.ndarray]:
    """Yield year, month, quarter, day of the month and of the year, weekday in its usual countings, weekend, ISO week, hour,
    minute and second."""
    years, months, days = (times.astype(f"M8[{unit}]") for unit in "YMD")
    month, day = (months - years).astype(np.int64) + 1, (days - months).astype(np.int64) + 1
    weekday = (days.astype(np.int64) + 3) % 7  # Monday is 0
    yield from (years.astype(np.int64) + 1970, month, (month + 2) // 3, day, (days - years).astype(np.int64) + 1)
    yield from (weekday, weekday + 1, (weekday + 1) % 7, (weekday + 1) % 7 + 1, (weekday > 4).astype(np.int64))
    thursday = days - weekday.astype("m8[D]") + np.timedelta64(3, "D")
    yield (thursday - thursday.astype("M8[Y]")).astype(np.int64) // 7 + 1
    seconds = (times - days).astype("m8[s]").astype(np.int64)
    yield from (seconds // 3600, seconds // 3600 + 1, seconds // 60 % 60, seconds % 60)


def several_series(content: Content, times: np.ndarray) -> tuple[list[str], str]:
    """Return the columns that tell several series apart, and how that is seen; or no column, and what may be one.

    They are those, one or two, with which no time occurs twice, where the rows of each value are nearly complete in
    themselves, or have nearly all the times that there are meanwhile; or one whose values are in blocks, where a new block
    begins before the last one ends.
    """
    if (times[1:] > times[:-1]).all() or (times[1:] < times[:-1]).all():
        return [], _blocks(content)
    ticks = times.astype("M8[us]").astype(np.int64)
    different, rank = np.unique(ticks, return_inverse=True)
    candidates = {name: codes for name, codes in _codes(content) if codes.max() > 0}
    repeated = different[np.bincount(rank) > 1]
    if (
        len(repeated)
        and np.ptp(repeated) < CLOCK_SET_BACK * 1e6
        and 2 * len(repeated) < len(different)
        and np.ptp(different) > DAY * 1e6
    ):
        return [], ""
    found = [name for name, codes in candidates.items() if _begins_again(codes, ticks)][:1]
    if not len(repeated):  # rows of several series, mixed, are at irregular times
        irregular = find_grid(np.sort(times.astype("M8[s]")))[0] is None
        candidates = {name: codes for name, codes in candidates.items() if irregular and name in content.texts}
    if not found:
        sizes = [1, 2] if len(candidates) <= MOST_PAIRED else [1]
        sets = (names for size in sizes for names in combinations(candidates, size))
        found = next(
            (list(names) for names in sets if _tell_apart([candidates[name] for name in names], rank, ticks)), []
        )
    return found, _shown(content, found)


def _counted_series(content: Content) -> tuple[list[str], str]:
    """As ``several_series``, for rows whose times are whole numbers in a column that is named so. The names are text, or
    numbers in a column that is named so, too: months and days tell no series apart.
    """
    texts = {
        name: (codes, values)
        for name, (codes, values) in content.texts.items()
        if not any(is_time(one) or one.lower() in MONTH_OF or WEEKDAY.match(one) for one in values[:FIRST])
    }
    named = [k for k, name in enumerate(content.columns) if NAMES.search(name)]
    own = content._replace(columns=[content.columns[k] for k in named], values=content.values[:, named], texts=texts)
    for name in content.columns if texts or named else []:
        column = content.column(name)
        if COUNTED.search(name) and not np.isnan(column).any() and _is_whole(column) and np.abs(column).max() < 2**53:
            found = several_series(own, column.astype(np.int64).view("M8[s]"))
            if found[0]:
                return found
    return [], ""


def _codes(content: Content) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each column of text or whole numbers that has few different values, as codes from 0."""
    for name in content.all_columns:
        if name in content.texts:
            codes = content.texts[name][0]
            if codes.min() >= 0:
                yield name, codes.astype(np.int64)
        elif name in content.columns:
            column = content.column(name)
            if _is_whole(column[:FIRST]) and not np.isnan(column).any() and _is_whole(column):
                values, codes = np.unique(column, return_inverse=True)
                if len(values) <= max(2, len(column) // LEAST_ROWS):
                    yield name, codes


def _blocks(content: Content) -> str:
    """Words for a column of text whose values are one block of rows each, other than times and months; "" without one."""
    for name, (codes, values) in content.texts.items():
        blocks = 1 + np.count_nonzero(codes[1:] != codes[:-1])
        if codes.min() >= 0 and 2 <= blocks == len(values) <= len(codes) // LEAST_ROWS:
            if not any(is_time(value) or value.lower() in MONTH_OF for value in values[:FIRST]):
                return f"{name} has the values {' and '.join(values[:2])}{', …' * (len(values) > 2)} in blocks, each with times of its own"
    return ""


def _begins_again(codes: np.ndarray, ticks: np.ndarray) -> bool:
    """True if each value is one block of rows, in which times go one way, and they go back where a new block begins."""
    new = codes[1:] != codes[:-1]
    inside, between = np.sign(np.diff(ticks))[~new], np.sign(np.diff(ticks))[new]
    return bool(
        new.sum() == codes.max() and len(inside) and (inside == inside[0]).all() and (between != inside[0]).any()
    )


def _tell_apart(parts: Sequence[np.ndarray], rank: np.ndarray, ticks: np.ndarray) -> bool:
    """True if no time occurs twice with the same values of these columns, and most rows belong to series without gaps."""
    codes = np.zeros(len(rank), np.int64)
    for part in parts:
        codes = np.unique(codes * (part.max() + 1) + part, return_inverse=True)[1]
    order = np.lexsort((rank, codes))
    codes, ticks = codes[order], ticks[order]
    same, steps = codes[1:] == codes[:-1], np.diff(ticks)
    if (steps[same] == 0).any() or not same.any():
        return False
    count, usual = np.bincount(codes), np.median(steps[same])
    first = np.append(0, np.cumsum(count)[:-1])
    span = ticks[first + count - 1] - ticks[first]
    slots = np.unique(ticks // max(int(usual), 1), return_inverse=True)[1]  # the steps in which there is any row
    meanwhile = slots[first + count - 1] - slots[first] + 1
    whole = (count > 2) & (count >= COMPLETE * np.minimum(span / usual + 1, meanwhile))
    return bool(count[whole].sum() >= COMPLETE * len(codes) and whole.sum() > 1)


def _shown(content: Content, names: Sequence[str]) -> str:
    """Words for the columns that tell series apart."""
    if not names:
        return ""
    name = names[0]
    if name in content.texts:
        values = content.texts[name][1]
    else:
        values = [f"{value:g}" for value in np.unique(content.column(name))]
    shown = ", ".join(values[:3]) + ", …" * (len(values) > 3)
    beside = f" (with {names[1]})" if len(names) > 1 else ""
    return f"{name}{beside} has the values {shown}, each with times of its own"


def times_in_names(content: Content) -> list[str]:
    """Return the names of columns that are times in order, so that a row is a series; [] if there are not enough."""
    names = [name for name in content.columns if name not in content.time]
    step = DAY * 366 if content.times is None else _usual_step(content.times)
    years = [name for name in names if YEARS.fullmatch(name)]
    runs = [[], [name for name in names if name.lower().strip(". ") in MONTH_OF]] if step >= 27 * DAY else [[]]
    if content.times is None:
        runs += [[name for name in names if is_time(name) and not (name.isdigit() and len(name) < 6)]]
        runs += [years] * (len({int(b) - int(a) for a, b in zip(years, years[1:])}) == 1)
    runs += [[name for name in names if QUARTER.fullmatch(name)]] * (step >= 80 * DAY)
    runs += [[name for name in names if CLOCK_TIME.fullmatch(name) or HOUR.fullmatch(name)]] * (step >= DAY)
    if content.times is None:
        counted = [(name, found) for name in names if (found := UNIT.fullmatch(name))]
        least = ACROSS if all(len(found[1]) > 1 for _, found in counted) else MANY
        numbers = [int(found[2]) for _, found in counted]
        runs += [[name for name, _ in counted]] * (len(counted) >= least and set(np.diff(numbers).tolist()) == {1})
    longest = max(runs, key=len)
    return longest if len(longest) >= max(ACROSS, len(names) / 2) else []


def _usual_step(times: np.ndarray) -> float:
    different = np.unique(times[:FIRST].astype("M8[s]"))
    return float(step_counts(different).most_common(1)[0][0]) if len(different) > 1 else 0.0
