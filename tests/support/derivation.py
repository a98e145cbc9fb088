"""The equations of docs/derivation.md."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def equations():
    """number -> the file that the derivation says the equation is code in, or None."""
    text = (DOCS / "derivation.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```math\n(.*?)```\n(?:\*Code: `([\w/]+\.py)`\*)?", text, re.DOTALL)
    tagged = [(re.findall(r"\\tag\{(\d+)\}", maths), file) for maths, file in blocks]
    assert all(len(numbers) < 2 for numbers, _ in tagged), "one number a block"
    return {int(numbers[0]): file or None for numbers, file in tagged if numbers}
