"""Modules under their public names: ``import npseq.losses`` finds ``npseq/nn/losses.py``.

Each public name is the very module it stands for, not a copy, so a value that is set through one name is seen through
the other. Nothing is imported before it is asked for.
"""

from __future__ import annotations

import importlib
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class Aliases(MetaPathFinder, Loader):
    """An import hook for the submodules of ``package`` that are found elsewhere in it.

    Args:
        package: its name.
        modules: public name -> where the module is, relative to the package, such as ``"nn.losses"``.
    """

    def __init__(self, package: str, modules: dict[str, str]):
        self.modules = {f"{package}.{name}": f"{package}.{place}" for name, place in modules.items()}

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Return a spec for a public name, None for any other."""
        return ModuleSpec(name, self) if name in self.modules else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module that the name stands for."""
        module = importlib.import_module(self.modules[spec.name])
        spec.loader_state = module.__spec__  # the import machinery puts ``spec`` in its place
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give the module its own spec back; it has been executed already."""
        assert module.__spec__ is not None  # the import machinery has just set it
        module.__spec__ = module.__spec__.loader_state
