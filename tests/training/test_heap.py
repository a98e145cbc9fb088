"""The memory of one update is reused by the next."""

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.wide

PROGRAM = """
import resource
import numpy as np
import npseq
from npseq.tasks.base import Batch
from npseq.training.heap import keep_freed_memory

rng = np.random.default_rng(0)
model = npseq.Model("lstm", 12, 32, 1, rng=rng)
batch = Batch(rng.normal(size=(32, 24, 12)).astype("f"), rng.normal(size=(32, 1)).astype("f"), None)

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        model.loss_and_grad(batch)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
usual = faults()
keep_freed_memory()
faults()
print(usual, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the bound is one of glibc")
def test_an_update_fetches_no_new_memory():
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    usual, kept = map(int, run.stdout.split())
    assert kept < 50 and kept < usual / 10  # less than one a step
