"""The worked example as lines of text."""

import textwrap

import numpy as np

from .equations import SHOWN

LEFT, WIDTH = 66, 100  # columns before the value, and in all


def render(lines, only=None):
    """The Lines as text, at most WIDTH columns wide; with ``only``, those of one name."""
    section = None
    for line in lines:
        if only is not None and only not in (line.name, line.group, SHOWN.get(line.name)):
            continue
        if line.section != section:
            section = line.section
            yield f"\n{section}"
        yield f"({line.number}) {SHOWN.get(line.name, line.name)} = {line.formula}"
        for label, numbers, value, expected in line.elements:
            text = f"{SHOWN.get(line.name, line.name)}{label} = {numbers}"
            *above, last = textwrap.wrap(text, LEFT, initial_indent=" " * 5, subsequent_indent=" " * 10)
            yield from above
            end = "" if expected is None else f"   complex step {expected + 0.0:8.4f}"
            yield f"{last:{LEFT}} = {value + 0.0:7.4f}{end}"


def describe(network):
    H, T = len(network.state["h"]), len(network.xs)
    yield f"{network.model}: {H} hidden unit{'s' * (H > 1)}, 1 input, {T} step{'s' * (T > 1)}, one sequence"
    yield "the loss is the sum over steps of dy · h; a prime is the step before; equations: docs/derivation.md"
    yield "\ngiven"
    given = {**network.given, **{letter + "_0": part for letter, part in network.state.items()}}
    for name, value in {
        **given,
        **{f"x_{t}": x for t, x in enumerate(network.xs, 1)},
        **{f"dy_{t}": dy for t, dy in enumerate(network.dys, 1)},
    }.items():
        text = f"{name} = {np.array2string(value, separator=', ', max_line_width=10_000, threshold=10_000)}"
        yield from textwrap.wrap(" ".join(text.split()), WIDTH, initial_indent="    ", subsequent_indent=" " * 8)
