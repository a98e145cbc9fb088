"""Write what commands print into the pages: the text block under ``<!-- output of: COMMAND -->``, and the one behind a
block of one command.

    python docs/make_outputs.py
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).resolve().parent
SHOWN = re.compile(
    r"(<!-- output of: ([^\n]*) -->\n```text\n|```sh\n((?:npseq|python) [^\n]*)\n```\n```text\n)(.*?)```", re.DOTALL
)


def printed(command):
    """Return what a command prints, in an empty folder. Its output shows as it is written: a failure raises."""
    program, *words = shlex.split(command)
    words = [str(DOCS.parent / word) if word.endswith(".py") else word for word in words]
    words = [sys.executable, *(["-m", "npseq"] if program == "npseq" else []), *words]
    here = os.environ | {"PYTHONPATH": str(DOCS.parent)}  # the npseq of this checkout, installed or not
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run(words, cwd=folder, env=here, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout


def updated(page, printed=printed):
    """Return the text of a page with what its commands print now."""
    return SHOWN.sub(lambda found: f"{found[1]}{printed(found[2] or found[3]).strip()}\n```", page)


if __name__ == "__main__":
    for path in sorted(DOCS.glob("*.md")):
        path.write_text(updated(path.read_text(encoding="utf-8")), encoding="utf-8")
