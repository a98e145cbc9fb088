"""A page in Chromium, driven by a script for node (playwright-core; ``.ci/browser`` installs both)."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
MODULES = ROOT / ".ci" / "node_modules"


def needed(name, there):
    if not there:
        pytest.skip(f"{name} is not installed: run .ci/browser")


def drive(script, plan, folder):
    """Run a script of ``tests/support`` on a plan; return what it printed as JSON."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    needed("node", shutil.which("node"))
    needed("chromium", chromium)
    needed("playwright-core", (MODULES / "playwright-core").is_dir())
    (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    command = ["node", Path(__file__).parent / script, MODULES / "playwright-core", chromium, folder / "plan.json"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=500)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Leaky:
    """h = tanh(a + h' / 2): a cell that states its equations."""

    gates, state, equations = "h", "h", "h = tanh(a_x + a_h + 0.5 * h_prev)"

    @staticmethod
    def forward(a_x, a_h, state):
        h = np.tanh(a_x + a_h + 0.5 * state[0])
        return (h,), (h,)

    @staticmethod
    def backward(d_state, cache):
        da = d_state[0] * (1 - cache[0] ** 2)
        return da, da, (0.5 * da,)
