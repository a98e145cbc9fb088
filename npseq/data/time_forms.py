"""Times as they are written: regular expressions, and the formats of strptime that they stand for."""

from __future__ import annotations

import re
from functools import lru_cache

from .local_words import in_english
from .numbers import Late

MONTHS = "January February March April May June July August September October November December".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()


def _either(short: str, names: list[str]) -> str:
    """The regular expression of names, or of their first three letters."""
    return f"(?:(?P<{short}>{'|'.join(name[:3] for name in names)})|(?P<{short.upper()}>{'|'.join(names)}))"


# Times as regular expressions, whose groups have the names of strptime's codes.
YEAR, MONTH, DAY = r"(?:(?P<Y>\d{4})|(?P<y>\d\d))", _either("b", MONTHS), rf"(?:{_either('a', DAYS)}[.,]?\s+)?"
PARTS = {"y": YEAR, "m": rf"(?:(?P<m>\d\d?)|{MONTH})", "d": r"(?P<d>\d\d?)"}
FIXED = {"y": YEAR, "m": r"(?P<m>\d\d)", "d": r"(?P<d>\d\d)"}
SIGN = r"(?!(?<=\d)(?=\d))(?:\s?[-/.:_M']\s?|[^\x00-\x7f]|[.,]?\s+|)"  # between the parts; not nothing between digits
END = r"[^\x00-\x7f]?"
CLOCK = (
    r"(?P<H>\d\d?)(?:(?P<sign>[:.h]|(?<=\d\d))(?P<M>\d\d|(?<=:)\d)(?:(?P=sign)(?P<S>\d\d|(?<=:)\d)(?:[.,](?P<f>\d{1,9}))?)?)?"
    r"(?:\s?(?P<p>[ap]m))?(?:\s?(?:h|Uhr))?"
)
ZONED = r"(?:\s?(?P<z>[+-]\d\d:?\d\d))?(?:\s?(?:Z|UTC|GMT|(?-i:[A-Z]{3,4})))?"
LATE = rf"{END}(?:(?:[T_:-]|,?\s+|\s-\s){CLOCK}{ZONED}|Z)?"
EARLY = rf"(?=\d\d?:){CLOCK}[\s,]+"
DATES = {order: [SIGN.join(PARTS[part] for part in order), "".join(FIXED[part] for part in order)]
         for order in ("ymd", "dmy", "mdy")}  # fmt: skip
DATES["ymd"].append(r"(?P<Y>\d{4})[-/]?(?P<j>\d{3})")
SHAPES = {order: [shape for date in dates for shape in (DAY + date + LATE, EARLY + DAY + date + END + ZONED)]
          for order, dates in DATES.items()}  # fmt: skip
SHAPES["ymd"].append(r"(?P<Y>\d{4})(?P<m>\d\d)(?P<d>\d\d)(?P<H>\d\d)(?:(?P<M>\d\d)(?P<S>\d\d)?)?")
SHAPES["mdy"].append(rf"{DAY}{MONTH}\s+(?P<d>\d\d?)\s+{EARLY}(?P<Y>\d{{4}})")
SHAPES["ym"] = [rf"(?P<Y>\d{{4}})(?:{SIGN}{PARTS['m']}{END})?", r"(?P<Y>\d{4})(?P<m>\d\d)"]
SHAPES["my"] = [rf"{PARTS['m']}{SIGN}(?P<Y>\d{{4}})", rf"{MONTH}{SIGN}(?P<y>\d\d)"]
READERS = {order: [*map(Late, shapes)] for order, shapes in SHAPES.items()}
UNLIKELY = re.compile(r"^%m\.%d|%y.?%[bB]|^%[ymd]:")  # nobody writes 12.31.2024 or 24-Dec-31; 10:30:00 is a clock
ZONE = re.compile(r"%z|(Z|UTC|GMT)$", re.I)
NAMED_ZONE = re.compile(r"%[A-Za-z]\s?(?!UTC|GMT)([A-Z]{3,4})$")

QUARTER = re.compile(r"\d{4}(?:[-/ :.]?Q|[-/:])[1-4]|(?:Q[1-4][-/ ]|[1-4]Q[-/ ]?)\d{4}", re.I)
YEARS = re.compile(r"1[5-9]\d\d|2[01]\d\d")  # of data
ISO_WEEK = re.compile(r"(\d{4})[- ]?W(\d{1,2})(?:-?([1-7]))?", re.I)
INTERVAL = re.compile(r"\s+(?:-|–|—|to|bis)\s+|(?<=\d)/(?=\d{4}-\d\d-\d\d)")
DIGIT = re.compile(r"\d")
LONGEST = 80  # characters of a time
CLOCK_TIME = re.compile(r"\d{1,2}:\d\d(:\d\d(\.\d+)?)?( ?[AaPp][Mm])?|\d{1,2}\.\d\d\.\d\d")


def format_of(cell: str, order: str) -> str | None:
    """Return the strptime format of a date in this order of day, month and year, or None if it cannot be one."""
    matches = (reader.fullmatch(cell.strip()) for reader in READERS.get(order, ()) if len(cell) < LONGEST)
    forms = (_format(match) for match in matches if match)
    return next((form for form in forms if not UNLIKELY.search(form)), None)


def _format(match: re.Match[str]) -> str:
    """The text that a reader matches, with strptime's code in the place of each group."""
    form = match.string
    parts = [name for name, part in match.groupdict().items() if part and name != "sign"]
    for name in sorted(parts, key=match.start, reverse=True):
        form = f"{form[: match.start(name)]}%{name}{form[match.end(name) :]}"
    return form.replace("%H", "%I") if "%p" in form else form


def start_of(cell: str) -> str:
    """Return the start of an interval; the cell itself if it is none."""
    return cell if any(format_of(cell, order) for order in READERS) else INTERVAL.split(cell)[0]


@lru_cache(maxsize=10_000)
def is_time(cell: str) -> bool:
    """True for a time, or an interval, in any order; not for Unix times."""
    if len(cell) > 2 * LONGEST or not DIGIT.search(cell):
        return False
    return any(
        QUARTER.fullmatch(one) or ISO_WEEK.fullmatch(one) or any(format_of(one, order) for order in READERS)
        for one in dict.fromkeys((cell, INTERVAL.split(cell)[0], in_english(cell)))
    )
