"""Type hints, as a user's strict checker sees them: a program that has every public name in it, and the first pages."""

import ast
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import npseq

ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / "tests" / "support" / "user_program.py"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "MYPYPATH": str(ROOT)}
wide = pytest.mark.wide


def public_names():
    """``NAME`` and ``MODULE.NAME`` for everything public: what ``__all__`` says, or what a module without one defines."""
    for name in [*npseq.__all__, *npseq._OPTIONAL]:
        yield name
        try:
            module = getattr(npseq, name)
        except ModuleNotFoundError:  # it needs a package of an extra
            continue
        if isinstance(module, ModuleType):
            door = re.search(r"^from \.(\S+) import \*$", inspect.getsource(module), re.M)
            place = f"npseq.{door[1]}" if door else module.__name__
            own = [
                key
                for key, value in vars(module).items()
                if not key.startswith("_")
                and (inspect.isfunction(value) or inspect.isclass(value))
                and value.__module__ == place
            ]
            yield from (f"{name}.{key}" for key in getattr(module, "__all__", own))


def used_names(path):
    """The dotted names in a file, those of npseq without "npseq."."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Attribute):
            names.add(ast.unparse(node).removeprefix("npseq."))
        elif isinstance(node, ast.ImportFrom) and node.module == "npseq":
            names |= {alias.name for alias in node.names}
    return names


@pytest.fixture(scope="module")
def mypy(tmp_path_factory):
    """What mypy says of a program of someone who has npseq installed: of npseq's own files it reports nothing."""
    pytest.importorskip("mypy")
    environment = {**ENVIRONMENT, "MYPY_CACHE_DIR": str(tmp_path_factory.mktemp("mypy"))}

    def said(*arguments):
        command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--follow-imports=silent", *arguments]
        done = subprocess.run(command, cwd=PROGRAM.parent, env=environment, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    return said


def test_the_program_of_a_user_has_every_public_name():
    used = used_names(PROGRAM)
    assert not [name for name in public_names() if name not in used]


@pytest.mark.wide
def test_the_program_of_a_user_runs(tmp_path):
    pytest.importorskip("pandas")  # tables are read with options
    done = subprocess.run([sys.executable, PROGRAM, tmp_path], env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"npseq {npseq.__version__}")


@wide
def test_the_program_of_a_user_passes_mypy_strict(mypy):
    assert mypy(PROGRAM.name) == (0, "Success: no issues found in 1 source file\n")


@wide
def test_mypy_finds_mistakes_in_the_use_of_npseq(mypy, tmp_path):
    path = tmp_path / "wrong.py"
    mistakes = {
        "npseq.LSTM('three', 4)": "arg-type",
        "npseq.no_such_name": "attr-defined",
        "npseq.losses.no_such_loss": "attr-defined",
        "npseq.bptt.forward_through_time(npseq.LSTM, weights, x, (x,))": "arg-type",
        "npseq.Forecaster('lstm', 24)": "call-arg",
        "loss: str = npseq.losses.probabilities(x)": "assignment",
        "npseq.fit.fit(x, npseq.tasks.Adding(), npseq.optim.Adam(x))": "arg-type",
    }
    head = "import numpy as np\nimport npseq\nx = np.zeros(3)\nweights = npseq.LSTM(3, 4).weights()\n"
    path.write_text(head + "\n".join(mistakes) + "\n")
    status, said = mypy(str(path))
    found = dict(re.findall(r"wrong\.py:(\d+): error: .*\[([a-z-]+)\]", said))
    assert status == 1 and found == {str(k): code for k, code in enumerate(mistakes.values(), 5)}, said


@wide
def test_the_python_of_the_readme_and_the_first_page_passes_mypy_strict(mypy, tmp_path):
    pages = (ROOT / page for page in ("README.md", "docs/start.md"))
    blocks = [
        code for page in pages for code in re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)
    ]
    path = tmp_path / "readme.py"
    path.write_text("\n".join(block for block in blocks if "import torch" not in block))  # torch has hints of its own
    status, said = mypy("--disable-error-code=import-untyped", "--disable-error-code=import-not-found", str(path))
    assert status == 0, said
