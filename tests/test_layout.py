"""The rooms: a file imports only from rooms of a smaller level, or from its own room without a cycle."""

import ast
import functools
import importlib
import pkgutil
import re
import runpy
import subprocess
import sys
import types
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import npseq

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "npseq"
LEVELS = {
    "cells": 0,
    "bptt": 0,
    "schedules": 0,
    "lbfgs": 0,
    "status": 0,
    "_version": 0,
    "_lazy": 0,
    "optim": 1,
    "fused": 2,
    "nn": 3,
    "formats": 4,
    "data": 5,
    "tasks": 6,
    "training": 7,
    "forecast": 8,
    "estimators": 8,
    "gradcheck": 8,
    "explain": 9,
    "cli": 10,
    "train": 11,
}
DOORS = ["baselines", "c", "checkpoint", "features", "fit", "layers", "losses", "onnx", "parallel", "rtrl"]
LEVELS.update(dict.fromkeys(DOORS, 12))  # public names of modules in the rooms; nothing in the package imports them
PUBLIC = """RNN LSTM GRU OptimizedRNN OptimizedLSTM OptimizedGRU Linear Embedding Model Module Sequential Forecaster load save sample
    baselines
    checkpoint data c features fit forecast layers losses nn optim tasks bptt cells explain fused gradcheck onnx parallel rtrl training
    __version__"""
FILES = sorted(path for path in PACKAGE.rglob("*.py"))
SOURCES = [
    path for path in FILES if path.name not in ("__init__.py", "__main__.py")
]  # those two only re-export or start


def module_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in FILES}


@functools.cache
def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def statements(tree):
    """The statements of a file, inner ones too; expressions, most of a tree, hold none."""
    found = [tree]
    for node in found:
        for name in ("body", "orelse", "finalbody", "handlers", "cases"):
            found.extend(getattr(node, name, ()))
    return found


@functools.cache
def imports(path):
    return tuple(found_imports(path))


def found_imports(path):
    """(module, name or None, line) for everything of npseq that a file imports, wherever in it."""
    package = module_of(path) if path.name == "__init__.py" else module_of(path).rpartition(".")[0]
    for node in statements(tree_of(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "npseq":
                    yield alias.name, None, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join(
                    [*package.split(".")[: len(package.split(".")) - node.level + 1], *filter(None, [base])]
                )
            if base.split(".")[0] == "npseq":
                for alias in node.names:
                    inside = f"{base}.{alias.name}"
                    yield (inside, None, node.lineno) if inside in MODULES else (base, alias.name, node.lineno)


def level(module):
    return LEVELS[module.split(".")[1]]


def test_a_file_imports_only_from_rooms_below_it_or_from_its_own():
    found = [(module_of(path), module, line) for path in SOURCES for module, _, line in imports(path)]
    wrong = [
        f"{own}, line {line}: imports {module}"
        for own, module, line in found
        if module == "npseq" or module.split(".")[1] != own.split(".")[1] and level(module) >= level(own)
    ]
    assert len(found) > 500 and not wrong


def test_no_cycle_of_imports():
    graph = {module_of(path): {module for module, _, _ in imports(path)} for path in SOURCES}
    assert len(list(TopologicalSorter(graph).static_order())) >= len(SOURCES)


def test_the_proof_imports_neither_the_naming_of_mistakes_nor_a_planted_bug():
    join = {f"npseq.gradcheck.{name}" for name in ("explain", "failures", "planted_bugs")}  # called last; a public name

    def room(module):
        parts = module.split(".")
        return parts[2] if len(parts) > 3 or module in MODULES and MODULES[module].name == "__init__.py" else ""

    proof = {path.stem for path in SOURCES if path.parent == PACKAGE / "gradcheck"}
    assert proof >= {"numerical", "analytic", "judge", "result", "cases", "checks"}
    for path in SOURCES:
        own = module_of(path)
        if own.startswith("npseq.gradcheck.") and own not in join:
            found = {room(module) for module, _, _ in imports(path) if module.startswith("npseq.gradcheck.")}
            assert found <= {"", room(own)}, own
            joined = {module for module, _, _ in imports(path)} & join
            assert not joined or own == "npseq.gradcheck.checks", own
    loading = importers_at_top("npseq.gradcheck.explain")  # the proof can be loaded, and read, without it
    assert [module for module in loading if module.startswith("npseq.gradcheck")] == []


def importers_at_top(name):
    """The modules that import one while they are loaded."""
    return [
        module_of(path)
        for path in SOURCES
        if any(module == name and line in top_lines(path) for module, _, line in imports(path))
    ]


def top_lines(path):
    return {node.lineno for node in tree_of(path).body}


def test_no_private_name_is_imported_from_another_file():
    names = [f"{path.name}, line {line}: {name}" for path in FILES for _, name, line in imports(path) if name]
    assert len(names) > 500 and not [name for name in names if re.search(r": _(?!_)", name)]


@pytest.mark.wide
def test_every_room_says_in_its_docstring_what_it_holds():
    for path in FILES:
        assert ast.get_docstring(tree_of(path)), path


def test_no_module_is_longer_than_400_lines():
    lines = {module_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {module: n for module, n in lines.items() if n > 400} == {}


def without_hints(node):
    """The lines and names of the public functions in a module or class that lack a type hint."""
    for inner in node.body:
        if isinstance(inner, ast.ClassDef) and not inner.name.startswith("_"):
            yield from without_hints(inner)
        elif isinstance(inner, ast.FunctionDef) and (not inner.name.startswith("_") or inner.name == "__init__"):
            given = [*inner.args.posonlyargs, *inner.args.args, *inner.args.kwonlyargs]
            missing = [a.arg for a in given if a.annotation is None and a.arg not in ("self", "cls")]
            if missing or (inner.returns is None and inner.name != "__init__"):
                yield f"line {inner.lineno}: {inner.name}"


def test_public_functions_have_type_hints():
    # students read the solutions, which are like the files that they write
    bare = {module_of(path): [*without_hints(tree_of(path))] for path in FILES if "solutions" not in path.parts}
    assert {module: names for module, names in bare.items() if names} == {}


def test_the_public_names_are_these():
    assert set(npseq.__all__) == set(PUBLIC.split())
    assert set(npseq.__all__) <= set(dir(npseq))
    for name in npseq.__all__:
        assert getattr(npseq, name) is not None


WAYS = {
    "baselines": "seasons",
    "bptt": "forward_through_time",
    "cells": "LSTMCell",
    "checkpoint": "load",
    "data": "load",
    "features": "calendar",
    "fit": "fit",
    "fused": "forward_through_time",
    "gradcheck": "check",
    "layers": "truncated_bptt",
    "losses": "mse",
    "nn": "registry",
    "onnx": "export",
    "optim": "Adam",
    "parallel": "Ranks",
    "rtrl": "gradient_forward_in_time",
    "forecast": "ForecastTask",
    "tasks": "SequenceTask",
}


@pytest.mark.wide
@pytest.mark.parametrize("module, name", WAYS.items())
def test_a_public_module_is_reached_in_three_ways_and_is_one_module(module, name):
    code = f"""
import importlib, sys
{{}}
import npseq
assert npseq.{module} is importlib.import_module("npseq.{module}")
assert npseq.{module}.__name__ == npseq.{module}.__spec__.name == "npseq.{module}"
assert npseq.{module}.{name}
"""
    ways = f"import npseq; npseq.{module}", f"import npseq.{module}", f"from npseq.{module} import {name}"
    for way in ways:
        done = subprocess.run([sys.executable, "-c", code.format(way)], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, (way, done.stderr)


def test_every_public_module_is_a_file_that_pkgutil_and_runpy_find_and_no_import_hook_serves_it(monkeypatch):
    found = {module.name for module in pkgutil.iter_modules(npseq.__path__)}
    modules = {name for name in npseq.__all__ if isinstance(getattr(npseq, name), types.ModuleType)}
    assert modules >= set(WAYS) and modules <= found
    assert not [finder for finder in sys.meta_path if type(finder).__module__.startswith("npseq")]
    monkeypatch.delitem(sys.modules, "npseq.losses")
    assert runpy.run_module("npseq.losses")["mse"] is npseq.losses.mse


def test_a_door_is_a_docstring_and_imports_and_hides_nothing():
    for name in DOORS:
        document, *lines = tree_of(PACKAGE / f"{name}.py").body
        assert isinstance(document, ast.Expr) and len(lines) == (2 if name == "layers" else 1)
        for imported in lines:
            assert isinstance(imported, ast.ImportFrom) and [alias.name for alias in imported.names] == ["*"], name
            room = importlib.import_module(f"npseq.{imported.module}")
            public = getattr(room, "__all__", [key for key in vars(room) if not key.startswith("_")])
            assert all(getattr(getattr(npseq, name), key) is getattr(room, key) for key in public), name


def test_import_npseq_loads_no_command_no_checker_and_nothing_slow():
    code = "import sys, npseq; print('numpy' in sys.modules); npseq.LSTM; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    at_once, *loaded = done.stdout.split()
    loaded = set(loaded)
    assert at_once == "False" and "npseq.nn.layers" in loaded
    slow = {"npseq.cli", "npseq.gradcheck", "npseq.explain", "npseq.train", "scipy.optimize", "matplotlib", "pandas",
            "torch", "argparse", "mpi4py", "sklearn",
            "npseq.data", "npseq.tasks", "npseq.training"}  # fmt: skip
    assert not slow & loaded
