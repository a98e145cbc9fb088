"""The worked example as lines of text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

import numpy as np

from .equations import SHOWN
from .worked_example import Line, WorkedExample

LEFT, WIDTH = 66, 100  # columns before the value, and in all


def render(lines: Iterable[Line], only: str | None = None) -> Iterator[str]:
    """Yield the lines as text, at most WIDTH columns wide; with ``only``, those that have this name."""
    section = None
    for line in lines:
        if only is not None and only not in line.names:
            continue
        if line.section != section:
            section = line.section
            yield f"\n{section}"
        number = "" if line.number is None else f"({line.number}) "
        yield f"{number}{SHOWN.get(line.name, line.name)} = {line.formula}"
        for label, numbers, value, expected in line.elements:
            text = f"{SHOWN.get(line.name, line.name)}{label} = {numbers}"
            *above, last = textwrap.wrap(text, LEFT, initial_indent=" " * 5, subsequent_indent=" " * 10)
            yield from above
            end = "" if expected is None else f"   complex step {expected + 0.0:8.4f}"
            yield f"{last:{LEFT}} = {value + 0.0:7.4f}{end}"


def describe(network: WorkedExample) -> Iterator[str]:
    """Yield what the network is and what is given."""
    (steps, inputs), units = network.xs.shape, len(network.state["h"])

    def count(number: int, thing: str) -> str:
        return f"{number} {thing}{'s' * (number > 1)}"

    sizes = f"{count(units, 'hidden unit')}, {count(inputs, 'input')}, {count(steps, 'step')}"
    yield f"{network.description.name}: {sizes}, one sequence"
    yield "the loss is the sum over steps of dy · h; a prime: before the step; equations: docs/derivation.md"
    yield "\ngiven"
    given = {**network.given, **{letter + "_0": part for letter, part in network.state.items()}}
    for name, value in {
        **given,
        **{f"x_{t}": x for t, x in enumerate(network.xs)},
        **{f"dy_{t}": dy for t, dy in enumerate(network.dys)},
    }.items():
        text = f"{name} = {np.array2string(value, separator=', ', max_line_width=10_000, threshold=10_000)}"
        yield from textwrap.wrap(" ".join(text.split()), WIDTH, initial_indent="    ", subsequent_indent=" " * 8)
