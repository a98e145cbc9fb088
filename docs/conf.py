"""Sphinx: ``make docs`` builds the site into docs/_build/html, with warnings as errors."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

project = "npseq"
author = "the npseq developers"
release = re.search(r'"(.*)"', (ROOT / "npseq" / "_version.py").read_text(encoding="utf-8").splitlines()[-1])[1]
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"npseq {release}"
html_static_path: list[str] = []

nb_execution_mode = "off"  # every block is run by a test (tests/pages/)
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_fence_as_directive = ["math"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header", "misc.highlighting_failure"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Yields", "returns_style"), ("Example", "example")]


def _indented_equations(app, what, name, obj, options, lines):
    """Show indented blocks of docstrings, which are equations and examples, as they are: not as quotations."""
    shown, previous = [], ""
    for line in lines:
        if line.startswith("    ") and not previous.strip() and not _in_literal(shown):
            shown += ["::", ""] if shown and shown[-1] == "" else ["", "::", ""]
        shown.append(line)
        previous = line
    lines[:] = shown


def _in_literal(lines):
    """True if the lines end within a literal block."""
    for line in reversed(lines):
        if line.strip() and not line.startswith("    "):
            return line.rstrip().endswith("::")
    return False


def setup(app):
    """Connect what docstrings need."""
    app.connect("autodoc-process-docstring", _indented_equations, priority=900)
