"""Messages that name an argument: Python shows its name, the command the option in its place.

    raise DataError(f"give {argument('num_layers')} 2 or more, or {argument('na', 'n. a.')}")

``str`` of the error is "give num_layers 2 or more, or na='n. a.'"; ``shown(error, option)`` of the command says
"--num-layers" and "--na 'n. a.'".
"""

from __future__ import annotations

import re
from collections.abc import Callable

# characters for private use: a name, or a name and a value, stand between them
_START, _VALUE, _END = "\ue000", "\ue001", "\ue002"
_ARGUMENT = re.compile(f"{_START}([^{_END}]*?)(?:{_VALUE}([^{_END}]*))?{_END}")


def argument(name: str, value: object = None) -> str:
    """Return the name of an argument, and a value to give it, for a ``Message``."""
    return f"{_START}{name}{'' if value is None else _VALUE + str(value)}{_END}"


class Message(str):
    """A text for people, which names arguments by ``argument``; ``marked`` is the text as it was given."""

    marked: str

    def __new__(cls, marked: str) -> Message:
        self = super().__new__(cls, _replaced(marked, _in_python))
        self.marked = marked
        return self


class ArgumentError(ValueError):
    """An argument has a value that is not valid; the message is one line."""

    def __init__(self, message: str = "") -> None:
        super().__init__(Message(marked(message)))


def marked(text: object) -> str:
    """Return a message, or that of an error, as it was given, to be part of another ``Message``."""
    if isinstance(text, Exception):
        text = text.args[0] if len(text.args) == 1 else str(text)
    return text.marked if isinstance(text, Message) else str(text)


def shown(text: object, option: Callable[[str, str | None], str]) -> str:
    """Return a message, or that of an error, with ``option(name, value or None)`` in place of each argument."""
    return _replaced(marked(text), option)


def _replaced(text: str, how: Callable[[str, str | None], str]) -> str:
    return _ARGUMENT.sub(lambda found: how(found[1], found[2]), text)


def _in_python(name: str, value: str | None) -> str:
    return name if value is None else f"{name}={value!r}"
