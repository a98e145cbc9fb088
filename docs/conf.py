"""Sphinx: ``make docs`` builds the site into docs/_build/html, with warnings as errors."""

import re
import sys
from pathlib import Path

import docutils.nodes

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

from make_options import page  # noqa: E402

project = "npseq"
author = "the npseq developers"
release = re.search(r'"(.*)"', (ROOT / "npseq" / "_version.py").read_text(encoding="utf-8").splitlines()[-1])[1]
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]

smartquotes = False  # quotes and dashes are what is written, in options and code too

html_theme = "furo"
html_title = f"npseq {release}"
html_static_path = ["static"]
html_css_files = ["equations.css"]

nb_execution_mode = "force"  # of notebooks; every block of the other pages is run by a test (tests/pages/)
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_ipywidgets_js: dict = {}  # no widget is used, and nothing is loaded from another host
html_math_renderer = "mathml"
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_fence_as_directive = ["math"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header", "misc.highlighting_failure", "ref.python"]  # two classes may share a name

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Yields", "returns_style"), ("Example", "example")]


def _indented_equations(app, what, name, obj, options, lines):
    """Show indented blocks of docstrings, which are equations and examples, as they are: not as quotations."""
    shown, previous = [], ""
    for line in lines:
        line = "    " * line.startswith("|") + line  # a table as people write it
        if not line.startswith("    "):  # elsewhere a bar is a bar, and not a reference
            line = re.sub(r"(``.*?``)|\|", lambda found: found[1] or r"\|", line)
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


TAG = re.compile(r"\\tag\{(\w+)\}")


def mathml(latex, display):
    """An equation as MathML, which browsers show by themselves: no script, no font, no request to another host."""
    from latex2mathml.converter import convert

    text = re.sub(r"\\dot\\(\w+)", r"\\dot{\\\1}", TAG.sub("", latex)).strip()
    dot = "&#x2022;"  # over a letter; the character that is meant for it can hardly be seen
    return convert(text, display="block" if display else "inline").replace("&#x002D9;", dot)


def _inline(translator, node):
    translator.body.append(mathml(node.astext(), display=False))
    raise docutils.nodes.SkipNode


def _block(translator, node):
    number = TAG.search(node.astext())
    tag = f'<span class="eqno">({number[1]})</span>' if number else ""
    translator.body.append(f'<div class="math notranslate">{mathml(node.astext(), display=True)}{tag}</div>')
    raise docutils.nodes.SkipNode


def setup(app):
    """Write the page of options; connect what docstrings need, and the equations."""
    (ROOT / "docs" / "options.md").write_text(page(), encoding="utf-8")
    app.connect("autodoc-process-docstring", _indented_equations, priority=900)
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
