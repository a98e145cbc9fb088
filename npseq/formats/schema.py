"""Checks of what a file says about itself: a file may come from an untrusted source.

    class Recipe(Record):
        window: Annotated[int, COUNT]
        lags: Annotated[list[int], listed(COUNT)]

    values = check(mapping, Recipe.FIELDS, "its recipe")  # ValueError with one line, or a dict of exactly these fields

JSON knows no integer type and no bounds, so a field says what a value must be.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, get_type_hints

if TYPE_CHECKING:
    from typing_extensions import Self

LARGEST_COUNT = 10**9
LARGEST_NUMBER = 1e300
SHOWN = 60  # characters of a wrong value that a message shows


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED = _Required()


class Field(NamedTuple):
    """What one value must be.

    fits: True if a value is valid; expected: the same in words; default: of a field that may be missing.
    """

    fits: Callable[[Any], bool]
    expected: str
    default: Any = REQUIRED


def _is_whole(value: Any) -> bool:
    return type(value) is int  # True and False are not numbers here


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= LARGEST_NUMBER  # NaN and infinity are not


COUNT = Field(lambda value: _is_whole(value) and 0 < value <= LARGEST_COUNT, "a whole number from 1 to 10⁹")
NATURAL = Field(lambda value: _is_whole(value) and 0 <= value <= LARGEST_COUNT, "a whole number from 0 to 10⁹")
SEED = Field(lambda value: _is_whole(value) and 0 <= value < 2**128, "a whole number from 0 to 2¹²⁸ − 1")
NUMBER = Field(_is_number, "a finite number")
POSITIVE = Field(lambda value: _is_number(value) and value > 0, "a finite number greater than 0")
PROBABILITY = Field(lambda value: _is_number(value) and 0 <= value < 1, "a number from 0 up to, not including, 1")
SHARE = Field(lambda value: _is_number(value) and 0 <= value <= 1, "a number from 0 to 1")
TEXT = Field(lambda value: isinstance(value, str), "a text")
BOOLEAN = Field(lambda value: isinstance(value, bool), "true or false")
MAPPING = Field(
    lambda value: isinstance(value, dict) and all(isinstance(name, str) for name in value), "an object of names"
)


def optional(field: Field, default: Any = None) -> Field:
    """``field`` or null; ``default`` if it is missing."""
    return Field(lambda value: value is None or field.fits(value), f"{field.expected}, or null", default)


def missing(field: Field, default: Any) -> Field:
    """``field``, or ``default`` if it is missing."""
    return field._replace(default=default)


def listed(field: Field, size: int | None = None) -> Field:
    """A list of ``field``; of ``size`` elements if that is given."""
    count = "" if size is None else f"{size} "
    return Field(
        lambda value: isinstance(value, list) and size in (None, len(value)) and all(map(field.fits, value)),
        f"a list of {count}elements, each {field.expected}",
    )


def some_of(fields: Mapping[str, Field], expected: str) -> Field:
    """An object of some of these ``fields``, by their names; none of them if it is missing."""
    return Field(
        lambda value: MAPPING.fits(value) and all(name in fields and fields[name].fits(value[name]) for name in value),
        expected,
        {},
    )


def one_of(values: Collection[Any]) -> Field:
    """One of some texts."""
    return Field(lambda value: isinstance(value, str) and value in values, f"one of {', '.join(map(str, values))}")


def check(mapping: Any, fields: Mapping[str, Field], where: str, *, others: bool = False) -> dict[str, Any]:
    """Return the values of exactly these ``fields``, with the default of each that is missing.

    Args:
        mapping: as it came from the file.
        where: what the mapping is, for messages, such as "its recipe".
        others: allow further names; they are left out of the result.

    Raises:
        ValueError: for the first missing, unknown or invalid value, naming what is there and what is expected.
    """
    if not MAPPING.fits(mapping):
        raise ValueError(f"{where} is {shown(mapping)}; {MAPPING.expected} and values expected")
    unknown = [name for name in mapping if name not in fields]
    if unknown and not others:
        raise ValueError(f"{where} has the unknown entry {unknown[0][:SHOWN]!r}; expected {', '.join(fields)}")
    values = {}
    for name, field in fields.items():
        if name not in mapping:
            if field.default is REQUIRED:
                raise ValueError(f"{where} has no {name}; {field.expected} expected")
            values[name] = field.default
        elif not field.fits(mapping[name]):
            raise ValueError(f"{where} has {name} {shown(mapping[name])}; {field.expected} expected")
        else:
            values[name] = mapping[name]
    return values


def entry(value: Any, *names: str) -> Any:
    """Return an entry of an object in a file, or of one within it; None if there is no such entry."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


class Record:
    """A class that a file keeps, whose annotations say what each value must be there.

    An example is ``window: Annotated[int, COUNT]``; a value in several entries has a dict of fields. FIELDS: name of
    the entry -> field.
    """

    FIELDS: ClassVar[dict[str, Field]] = {}

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> Self:
        """Return the object of values that have been checked, each by itself.

        Raises:
            ValueError: for values that do not fit each other.
        """
        return cls(**values)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.FIELDS = {}
        for name, hint in get_type_hints(cls, include_extras=True).items():
            for said in getattr(hint, "__metadata__", ()):
                cls.FIELDS |= said if isinstance(said, dict) else {name: said}


def check_version(version: Any, known: int, what: str) -> None:
    """Check the number of a format.

    Raises:
        ValueError: for a number that is newer than ``known``, or that is no number of a format.
    """
    if not _is_whole(version) or version < 1:
        raise ValueError(f"{what} has the format {shown(version)}; a whole number from 1 to {known} expected")
    if version > known:
        raise ValueError(
            f"{what} has the format {version}, and this npseq reads formats up to {known}: install a newer npseq"
        )


def shown(value: Any, form: Callable[[Any], str] = repr, longest: int = SHOWN) -> str:
    """Return the start of a value's text; its type if it has none (nested too deeply, or a number of many digits)."""
    try:
        text = form(value)
    except (RecursionError, ValueError):
        return f"a {type(value).__name__}"
    return text[:longest] + ("…" if len(text) > longest else "")
