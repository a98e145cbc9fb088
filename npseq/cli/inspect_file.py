"""``npseq inspect FILE.pth``: what a weights file holds, without running anything in it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .. import status
from ..formats import checkpoint, schema
from . import arguments
from .streams import shown

MOST = 200  # lines of content that are shown
DEEPEST = 8  # nesting that is shown entry by entry


def lines_of(value: Any, name: str = "", depth: int = 0) -> Iterator[str]:
    """Yield one line for each array and plain value of a nesting, by its path."""
    if isinstance(value, np.ndarray):
        yield f"{name:48} {value.dtype!s:10} {tuple(value.shape)!s:18} {value.size:>10,}"
    elif isinstance(value, (dict, list, tuple)) and depth < DEEPEST:
        if not value:
            yield f"{name:48} empty {type(value).__name__}"
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from lines_of(item, f"{name}.{key}" if name else str(key), depth + 1)
    else:
        yield f"{name:48} {schema.shown(value)}"


def parser() -> arguments.Parser:
    """Return the parser of the command's options."""
    p = arguments.Parser(
        prog="npseq inspect",
        description="Show what a .pth file holds, without running anything in it.",
        epilog="example: npseq inspect rnn_lstm_best.pth",
    )
    p.add_argument("file", metavar="FILE.pth")
    p.add_argument("--all", action="store_true", help=f"every entry, however many; default: the first {MOST}")
    arguments.add_weights(p)
    arguments.add_json(p)
    return p


def _as_dict(file: checkpoint.Checkpoint, chosen: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, Any]:
    several = len(chosen) > 1
    return {
        "tensors": [
            {"name": f"{of}.{name}" if several else name, "dtype": str(array.dtype), "shape": list(array.shape)}
            for of, tensors in chosen.items()
            for name, array in tensors.items()
        ],
        "parameters": sum(map(_parameters, chosen.values())),
        "passed_over": list(file.passed_over),
        "metadata": file.metadata,
    }


def _parameters(tensors: Mapping[str, np.ndarray]) -> int:
    return sum(array.size for array in tensors.values())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status."""
    p = parser()
    args = p.parse_args(argv)
    try:
        file = checkpoint.load(args.file)
        names = [args.weights] if args.weights is not None or len(file.names()) < 2 else file.names()
        chosen = {name or "the state_dict": file.weights(name) for name in names}
    except (OSError, ValueError) as error:
        p.error(error)
    if args.json:
        print(json.dumps(_as_dict(file, chosen)))
        return status.OK
    print(f"{'name':48} {'dtype':10} {'shape':18} {'elements':>10}")
    lines = lines_of(file.content)
    for line in lines if args.all else itertools.islice(lines, MOST):
        print(shown(line))
    if next(lines, None) is not None:
        print("… more (--all)")
    print()
    for name, tensors in chosen.items():
        print(shown(f"{len(tensors)} tensors in {name}, {_parameters(tensors):,} parameters"))
    if file.passed_over:
        print(shown(f"passed over unread: {', '.join(file.passed_over)}"))
    if file.metadata is not None:
        print("\nnpseq's own metadata")
        for name, value in file.metadata.items() if isinstance(file.metadata, dict) else [("", file.metadata)]:
            print(shown(f"  {name:20} {schema.shown(value, json.dumps, 96)}"))
    return status.OK
