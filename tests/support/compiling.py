"""Compiling what npseq writes in C; tests that need a compiler are skipped without one."""

import shutil
import subprocess

import pytest

COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
needs_a_compiler = pytest.mark.skipif(not COMPILERS, reason="no C compiler (gcc or clang)")
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
SANITIZED = ["-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def built(compiler, folder, source, *options):
    """Compile ``source``, a file in ``folder``; the path of the program."""
    program = folder / f"{source.split('.')[0]}_{len(list(folder.iterdir()))}"
    command = [compiler, *STRICT, source, *options, "-o", str(program)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:2000]
    assert done.stderr == ""
    return str(program)
