"""docs/reference/: every public function and class is on one of its pages."""

import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

import npseq

PAGES = Path(__file__).parents[2] / "docs" / "reference"
SHOWN = {name for page in PAGES.glob("*.md") for name in re.findall(r"automodule:: ([\w.]+)", page.read_text("utf-8"))}


def objects(name):
    """The functions and classes that a public name gives."""
    value = getattr(npseq, name)
    if not isinstance(value, ModuleType):
        return [value]
    own = [key for key, one in vars(value).items() if getattr(one, "__module__", "") == value.__name__]
    names = getattr(value, "__all__", [key for key in own if not key.startswith("_")])
    return [one for one in (getattr(value, key) for key in names) if inspect.isfunction(one) or inspect.isclass(one)]


@pytest.mark.parametrize("name", [name for name in npseq.__all__ if name != "__version__"])
def test_every_public_name_is_in_the_reference(name):
    value = getattr(npseq, name)
    if isinstance(value, ModuleType) and value.__name__ in SHOWN:  # with all that it imports for its users
        return
    assert [f"{one.__module__}.{one.__qualname__}" for one in objects(name) if one.__module__ not in SHOWN] == []
