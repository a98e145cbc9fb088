"""Draw the rooms of npseq and the imports between them, read from the code: ``python docs/make_rooms.py``.

Each box is a file or a folder of ``npseq/``, the ground floor below; an arrow leads from a room to one that it imports.
A file imports only from rooms of a smaller level, so every arrow points down (``tests/test_layout.py``).
"""

import ast
from collections import Counter
from html import escape
from pathlib import Path

DOCS = Path(__file__).resolve().parent
PACKAGE = DOCS.parent / "npseq"
ROOMS = {  # from the ground up: name -> what it holds; the first three are of one level
    "cells.py": "one step of each cell and its derivative",
    "bptt.py": "a cell carried through time, and its gradient back",
    "schedules.py": "learning rates",
    "optim.py": "update rules, clipping; lbfgs.py",
    "fused/": "the recurrence again, made fast",
    "nn/": "layers, losses, models",
    "formats/": "model files: .pth, ONNX",
    "data/": "tables, sequences",
    "tasks/": "examples, scores; sequences, text",
    "training/": "the loop, resuming, several processes",
    "forecast/": "windows, base models, intervals, Forecaster",
    "estimators/": "for scikit-learn",
    "gradcheck/": "proof that the gradients are right",
    "explain/": "material to learn from",
    "cli/": "the commands",
}
LEFT, WIDTH, HEIGHT, BOX = 20, 470, 50, 34
STYLE = """
text { font: 14px sans-serif; fill: #222222 }
.what { font-size: 12px; fill: #555555 }
.box { fill: #ffffff; stroke: #666666 }
.arrow { fill: none; stroke: #1b6ca8; stroke-opacity: 0.55 }
"""


def room_of(module):
    """The box of a module such as ``npseq.nn.layers``; None for files that every room may import."""
    first = module.split(".")[1].replace("lbfgs", "optim")  # L-BFGS is an update rule with a file of its own
    return next((name for name in ROOMS if name.rstrip("/").removesuffix(".py") == first), None)


def imports():
    """(room, room that it imports) -> number of import statements."""
    found = Counter()
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.name in ("__init__.py", "__main__.py"):
            continue
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                base = [*parts[: len(parts) - node.level], *(node.module or "").split(".")]
                modules = [[*base, alias.name] for alias in node.names] if not node.module else [base]
                for module in modules:
                    module = [part for part in module if part]
                    if len(module) > 1:
                        pair = room_of(".".join(parts)), room_of(".".join(module))
                        if None not in pair and pair[0] != pair[1]:
                            found[pair] += 1
    return found


def picture():
    """The SVG as text."""
    height = len(ROOMS) * HEIGHT + 20
    middle, shapes, arrows = {}, [], []
    for level, (name, what) in enumerate(ROOMS.items()):
        y = height - (level + 1) * HEIGHT
        middle[name] = y + BOX / 2
        shapes += [
            f'<rect class="box" x="{LEFT}" y="{y}" width="{WIDTH}" height="{BOX}" rx="5"/>',
            f'<text x="{LEFT + 12}" y="{y + 22}">{name}</text>',
            f'<text class="what" x="{LEFT + 125}" y="{y + 22}">{escape(what)}</text>',
        ]
    right = LEFT + WIDTH
    for (upper, lower), count in sorted(imports().items()):
        start, end = middle[upper] + 5, middle[lower] - 5
        bend = right + 36 + 0.6 * abs(end - start)
        arrows.append(
            f'<path class="arrow" stroke-width="{min(1 + count / 3, 5):.1f}" marker-end="url(#head)" '
            f'd="M{right} {start:.0f} C{bend:.0f} {start:.0f} {bend:.0f} {end:.0f} {right + 5} {end:.0f}">'
            f"<title>{upper} imports {lower}: {count}</title></path>"
        )
    head = (
        '<marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="9" markerHeight="9" orient="auto" '
        'markerUnits="userSpaceOnUse"><path d="M0 0 L10 5 L0 10 z" fill="#1b6ca8"/></marker>'
    )
    width = int(right + 50 + 0.46 * height)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
            "<title>The rooms of npseq from the ground up, and what each imports</title>",
            f"<style>{STYLE}</style><defs>{head}</defs>",
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
            *arrows,
            *shapes,
            "</svg>",
            "",
        ]
    )


def main(folder=DOCS):
    """Write ``rooms.svg`` into ``folder``."""
    (Path(folder) / "rooms.svg").write_text(picture(), encoding="utf-8")


if __name__ == "__main__":
    main()
