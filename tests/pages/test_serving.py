"""docs/serving.md: its blocks of Python run, and the names of its commands and functions exist."""

import re
from pathlib import Path

import pytest

from npseq.cli import export, stream

TEXT = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL))
def test_a_block_of_python_runs(code):
    exec(compile(code, "serving.md", "exec"), {})


def test_every_option_that_is_named_exists():
    known = {word for command in (export, stream) for word in command.parser()._option_string_actions}
    named = set(re.findall(r"--[a-z][a-z-]+", TEXT))
    assert named <= known and {"--state", "--strict", "--interval", "--example", "--prefix"} <= named
