"""Messages that name arguments: Python shows their names, the command its options in their place.

    raise DataError(f"give {argument('num_layers')} 2 or more, or {argument('na', 'n. a.')}")

``str`` of the error is "give num_layers 2 or more, or na='n. a.'"; the command shows "--num-layers" and "--na 'n. a.'"
(``shown``).
"""

from __future__ import annotations

import re
from collections.abc import Callable

# characters for private use, between which the name, the value as Python writes it, and the value as a text stand
_START, _NEXT, _END = "\ue000", "\ue001", "\ue002"
_ARGUMENT = re.compile(f"{_START}([^{_NEXT}]*){_NEXT}([^{_NEXT}]*){_NEXT}([^{_END}]*){_END}")


def argument(name: str, value: object = None) -> str:
    """Return the name of an argument, and a value to give it, for a ``Message``."""
    text = ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    return f"{_START}{name}{_NEXT}{'' if value is None else repr(value)}{_NEXT}{'' if value is None else text}{_END}"


class Message(str):
    """A text for people, in which arguments are named by ``argument``; ``marked`` is the text as it was given."""

    marked: str

    def __new__(cls, marked: str) -> Message:
        self = super().__new__(cls, _ARGUMENT.sub(lambda m: m[1] + (f"={m[2]}" if m[2] else ""), marked))
        self.marked = marked
        return self


class ArgumentError(ValueError):
    """The value of an argument is not valid; the message is one line."""

    def __init__(self, message: object = "") -> None:
        super().__init__(Message(marked(message)))


def marked(text: object) -> str:
    """Return a message, or that of an error, as it was given, to be part of another one."""
    if isinstance(text, ArgumentError):
        text = text.args[0]
    return text.marked if isinstance(text, Message) else str(text)


def shown(text: object, option: Callable[[str, str], str]) -> str:
    """Return a message, or that of an error, with ``option(name, value or "")`` in place of each argument."""
    return _ARGUMENT.sub(lambda m: option(m[1], m[3]), marked(text))
