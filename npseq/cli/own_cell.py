"""``--cell FILE.py[:Class]``: a cell of the user's own, from a Python file."""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import sys
from typing import Any

import numpy as np

from ..nn.recurrent import Recurrent
from ..nn.registry import OWN, layer_of, register
from . import arguments

METAVAR = "FILE.py[:Class]"


def add_option(p: argparse.ArgumentParser, what: str) -> None:
    """Add ``--cell``; after parsing, ``args.cell`` is a ``CellFile`` whose layer is registered."""
    about = f"{what}, a class with the contract of npseq/cells.py; the file is run"
    arguments.add(p, f"--cell {METAVAR}", about, CellFile)


class CellFile(str):
    """What was given for ``--cell``: a text, with the name under which the layer of the cell is registered.

    Attributes:
        path: of the file, without the class.
        found: the class, a cell or a subclass of ``Recurrent``.
        name: the class in snake_case: ``PeepholeCell`` is ``peephole_cell``.

    Raises:
        ArgumentTypeError: with one line, for a file without a cell, or a cell whose functions do not work.
    """

    path: str
    found: Any
    name: str

    def __new__(cls, text: str) -> CellFile:
        self = super().__new__(cls, text)
        self.path, class_name = _split(text)
        try:
            self.found = _find(self.path, class_name)
            self.name = snake_case(self.found.__name__)
            layer_class = register(self.name, self.found if is_layer(self.found) else layer_of(self.found))
            _try(layer_class)
        except (OSError, ValueError, TypeError) as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        return self


def instead_of_model(p: Any, args: argparse.Namespace, given: dict[str, Any]) -> dict[str, Any]:
    """Return the name of the cell's layer as ``model``, {} without one; ends with one line if both are given."""
    if args.cell is None:
        return {}
    if "model" in given and given["model"] != args.cell.name:
        p.error(f"--model {given['model']} and --cell {args.cell} given: give one of them")
    return {"model": args.cell.name}


def check_needed(args: argparse.Namespace, model: Any) -> None:
    """Check that ``--cell`` names the cell of the weights file, if it is given.

    Raises:
        ValueError: if the file holds another model.
    """
    if args.cell is not None and model.kind != args.cell.name:
        advice = f"the cell {model.kind} expected" if model.kind not in OWN else "leave out --cell"
        raise ValueError(f"{args.file} holds the model {model.kind}, --cell gives {args.cell.name}: {advice}")


def snake_case(name: str) -> str:
    """Return LayerNormLSTM as layer_norm_lstm."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _split(text: str) -> tuple[str, str | None]:
    """Return the path and the class of FILE.py[:Class]."""
    path, colon, name = text.rpartition(":")
    return (path, name) if colon and name.isidentifier() and not os.path.exists(text) else (text, None)


def is_layer(found: Any) -> bool:
    """True for a subclass of ``Recurrent``."""
    return isinstance(found, type) and issubclass(found, Recurrent)


def _is_cell(found: Any) -> bool:
    """True for a class with the names of the contract."""
    return isinstance(found, type) and all(hasattr(found, name) for name in ("gates", "state", "forward", "backward"))


def _find(path: str, name: str | None) -> Any:
    """Run the file and return the class of that name, or its only cell.

    Raises:
        OSError: if the file cannot be read. ValueError: if running it fails, or there is no such class.
    """
    if not os.path.isfile(path):
        raise ValueError(f"{path}: no such file; {METAVAR} expected")
    module_name = f"npseq_cell_{re.sub(r'[^0-9a-zA-Z_]', '_', os.path.basename(path))}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} is not a Python file; {METAVAR} expected")
    module = importlib.util.module_from_spec(spec)
    folder = os.path.dirname(os.path.abspath(path))
    sys.path.append(folder)  # its own modules are found, and hide none of Python's
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # no __pycache__ beside a file that is only read
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ValueError(f"{path} cannot be run: {type(error).__name__}: {error}") from None
    finally:
        sys.path.reverse()
        sys.path.remove(folder)
        sys.path.reverse()
        sys.dont_write_bytecode = before
    if name is not None:
        found = getattr(module, name, None)
        if not isinstance(found, type):
            raise ValueError(f"{path} has no cell {name}: a class with gates, state, forward and backward expected")
        return found
    classes = [found for found in vars(module).values() if getattr(found, "__module__", "") == module_name]
    cells = [found for found in classes if _is_cell(found)]
    incomplete = [found for found in classes if isinstance(found, type) and hasattr(found, "forward")]
    if not cells and len(incomplete) == 1 and not is_layer(incomplete[0]):
        return incomplete[0]  # what it lacks is said when a layer is made of it
    if len(cells) != 1:
        several = (
            f"the cells {', '.join(found.__name__ for found in cells)}: say which, {path}:Class"
            if cells
            else ("no cell: a class with gates, state, forward and backward expected")
        )
        raise ValueError(f"{path} has {several}")
    return cells[0]


def _try(layer_class: type[Recurrent]) -> None:
    """Run a small layer forward and backward, so that a cell that does not work is refused at once."""
    layer = layer_class(2, 3, rng=0)
    y, _, tape = layer.forward(np.zeros((2, 2, 2), layer.dtype))
    layer.backward(tape, y)
