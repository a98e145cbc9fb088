"""``npseq explain``: every equation of a small network with numbers substituted, as text or as an interactive page."""

from __future__ import annotations

import argparse
from typing import Any

from .. import status
from ..explain import page
from ..explain.as_text import describe, render
from ..explain.equations import CELLS
from ..explain.worked_example import WorkedExample, disagreements, explain
from ..formats import atomic
from . import arguments, output, own_cell

EXAMPLE = "example: npseq explain --model lstm --hidden-size 2 --steps 2 --only dW_h"
LARGEST = 16  # hidden units, inputs and steps: larger networks would print too many numbers to read


def parser() -> arguments.Parser:
    """Return the parser of the command's options."""
    parser = arguments.Parser(
        prog="npseq explain",
        epilog=EXAMPLE,
        description="Print every equation of a small network with numbers substituted, forward and backward.",
    )
    arguments.add(parser, "--model", "default: lstm", arguments.name, "lstm", choices=list(CELLS))
    own_cell.add_option(parser, "a cell of your own that states its equations")
    for name, default in (("--hidden-size", 2), ("--input-size", 1), ("--steps", 2)):
        arguments.add(parser, f"{name} N", kind=arguments.positive_int, default=default)
    arguments.add_seed(parser, "the numbers given")
    arguments.add(parser, "--only NAME", "follow one tensor, such as dW_h, dc or a_xi")
    arguments.add(parser, "--html FILE.html", "write an interactive page there instead")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit status: 0, or 1 if an equation and its check disagree. Wrong usage: SystemExit with status 2.
    """
    p = parser()
    args = p.parse_args(argv)
    for name in "hidden_size", "input_size", "steps":
        if (value := getattr(args, name)) > LARGEST:
            p.error(f"{arguments.option(name)} {value} given, at most {LARGEST} expected: every number is printed")
    with p.refusing():
        cell = CELLS[args.model] if args.cell is None else args.cell.found
        cell = cell.cell if own_cell.is_layer(cell) else cell
        if args.html:
            return _write_page(args, cell)
        network = WorkedExample(
            cell, args.hidden_size, args.steps, args.seed, args.input_size, args.model if args.cell is None else None
        )
    return _print(p, network, args.only)


def _print(p: argparse.ArgumentParser, network: WorkedExample, only: str | None) -> int:
    lines, steps, gradients = explain(network)
    text = "\n".join(render(lines, only))
    if not text:
        names = ", ".join(dict.fromkeys((line.names[1] if len(line.names) > 1 else line.name) for line in lines))
        p.error(
            f"--only {only}: no such name in the {network.description.name}; one of {names} expected, with or without "
            "a gate's letter"
        )
    if only is None:
        print("\n".join(describe(network)))
    print(text if only is None else text.lstrip("\n"))
    wrong = disagreements(network, lines, steps, gradients)
    verdict = "all of it agrees with the complex step and with bptt.py to 1e-13"
    print(f"\nWRONG: {len(wrong)} values differ, first {wrong[0]}" if wrong else f"\n{verdict}")
    return status.UNEXPECTED if wrong else status.OK


def _write_page(args: argparse.Namespace, cell: Any) -> int:
    if not args.html.lower().endswith((".html", ".htm")):
        raise ValueError(f"--html {args.html} given, a file name that ends in .html expected")
    output.check_file(args.html)
    text = page.build(None if args.cell is None else cell, args.model, args.seed).encode("utf-8")
    with atomic.replacing(args.html) as file:
        file.write(text)
    print(f"{args.html}: {len(text) / 1000:.0f} kB; open it in a browser")
    return status.OK
