"""Names of a package that are imported on first access, so that ``import npseq`` is fast."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def getter(package: str, places: Mapping[str, str]) -> Callable[[str], Any]:
    """Return ``__getattr__`` for a package.

    Args:
        package: its name.
        places: name -> the module in the package that has it, such as ``"nn.layers"``, with ``":other"`` behind it if
            it has another name there. Any other name is that of a module in the package.
    """

    def get(name: str) -> Any:
        module, _, other = places.get(name, "").partition(":")
        if module:
            value = getattr(importlib.import_module(f"{package}.{module}"), other or name)
            setattr(sys.modules[package], name, value)
            return value
        if not name.startswith("_"):
            try:
                return importlib.import_module(f"{package}.{name}")
            except ModuleNotFoundError as error:
                if error.name != f"{package}.{name}":  # a module of an extra that is not installed
                    raise
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return get
