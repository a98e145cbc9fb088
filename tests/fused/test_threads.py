"""Threads: a batch split over them gives the same numbers and the same bits each time."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import npseq
from npseq.fused import batch_parallel, blas, through_time
from npseq.gradcheck import relative_error

KINDS = ["OptimizedRNN", "OptimizedLSTM", "OptimizedGRU"]


@pytest.fixture
def always_split(monkeypatch):
    monkeypatch.setattr(batch_parallel, "MIN_MULTIPLICATIONS_PER_GATE", 0)
    for constant in ("MIN_COLUMNS", "MIN_COLUMNS_UNPACKED"):
        monkeypatch.setattr(batch_parallel, constant, 2)


def results(layer, x, lengths=None, training=False):
    rng = np.random.default_rng(1)
    y, final, tape = layer.forward(x, None, lengths, training, np.random.default_rng(5))
    dx, d_state, grads = layer.backward(tape, rng.normal(size=y.shape))
    listed = lambda s: list(s) if isinstance(s, tuple) else [s]  # noqa: E731
    return [y, *listed(final), dx, *listed(d_state), grads.theta, layer(x, None, lengths)[0]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize(
    "options", [{}, {"num_layers": 2, "bidirectional": True}, {"recurrent_dropout": 0.3}, {"bias": False}], ids=str
)
def test_a_split_batch_gives_the_numbers_of_a_whole_one_and_the_same_bits_each_time(always_split, kind, count, options):
    whole = getattr(npseq, kind)(3, 4, dtype=np.float64, rng=0, threads=1, **options)
    split = getattr(npseq, kind)(3, 4, dtype=np.float64, rng=0, threads=count, **options)
    x = np.random.default_rng(0).normal(size=(9, 7, 3))
    for lengths in (None, np.array([9, 0, 4, 1, 9, 7, 2])):
        expected, found, again = (results(layer, x, lengths, True) for layer in (whole, split, split))
        assert all(relative_error(a, b) <= 1e-12 for a, b in zip(found, expected))
        assert all(np.array_equal(a, b) for a, b in zip(found, again))


@pytest.mark.parametrize("kind", KINDS)
def test_a_split_batch_of_indices_has_no_gradient_of_x(always_split, kind):
    whole, split = (getattr(npseq, kind)(3, 4, dtype=np.float64, rng=0, threads=count) for count in (1, 2))
    x = np.random.default_rng(0).integers(0, 3, (9, 7))
    expected, found = (results(layer, x) for layer in (whole, split))
    assert len(expected) == len(found)
    for a, b in zip(found, expected):
        assert a is b is None or relative_error(a, b) <= 1e-12


def test_the_parts_do_run_in_different_threads(always_split, monkeypatch):
    seen = set()
    forward = through_time.forward_through_time

    def spy(*args, **options):
        seen.add(threading.get_ident())
        return forward(*args, **options)

    monkeypatch.setattr(through_time, "forward_through_time", spy)
    npseq.OptimizedGRU(3, 4, threads=3, rng=0).forward(np.zeros((5, 9, 3), np.float32))
    assert len(seen) >= 2


@pytest.mark.wide
@pytest.mark.parametrize("kind", KINDS)
def test_large_weights_with_a_narrow_batch_split_the_products_of_many_steps(kind, monkeypatch):
    seen = set()
    real = np.matmul

    class Spy:
        def __getattr__(self, name):
            return getattr(np, name)

        def matmul(self, *args, **options):
            seen.add(threading.get_ident())
            return real(*args, **options)

    monkeypatch.setattr(batch_parallel, "np", Spy())
    one, two = (getattr(npseq, kind)(150, 450, dtype=np.float64, rng=0, threads=count) for count in (1, 2))
    x = np.random.default_rng(0).normal(size=(9, 7, 150))
    for lengths in (None, np.array([9, 0, 4, 1, 9, 7, 2])):
        expected, found, again = (results(layer, x, lengths) for layer in (one, two, two))
        assert all(relative_error(a, b) <= 1e-12 for a, b in zip(found, expected))
        assert all(np.array_equal(a, b) for a, b in zip(found, again))
    assert len(seen) == 2


def test_small_work_stays_on_one_thread():
    layer = npseq.OptimizedLSTM(6, 32, threads=2)
    assert len(layer.through_time.parts(layer.weights(), 32)) == 1
    wide = npseq.OptimizedLSTM(64, 128, threads=2)
    assert wide.through_time.parts(wide.weights(), 256) == [slice(0, 128), slice(128, 256)]


@pytest.mark.parametrize("count", [0, -1, 1.5])
def test_a_number_of_threads_that_is_none_is_refused(count):
    with pytest.raises(ValueError, match="threads"):
        npseq.OptimizedGRU(3, 4, threads=count)


def test_no_more_than_the_environment_and_the_affinity_allow(monkeypatch):
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    most = blas.available()
    assert most >= 1
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    assert blas.available() == 1
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1000")
    assert blas.available() == most


def test_an_error_in_one_part_is_raised_after_all_parts_have_ended(always_split, monkeypatch):
    ended = []

    def fail(cell, weights, x, *args, **options):
        ended.append(x.shape[2])
        raise ArithmeticError("in a part")

    monkeypatch.setattr(through_time, "forward_through_time", fail)
    with pytest.raises(ArithmeticError, match="in a part"):
        npseq.OptimizedGRU(3, 4, threads=2).forward(np.zeros((5, 8, 3), np.float32))
    assert ended == [4, 4]


def test_two_threads_do_not_make_two_pools(monkeypatch):
    made = []

    class Slow(batch_parallel.ThreadPoolExecutor):
        def __init__(self, *args, **options):
            made.append(args)
            time.sleep(0.05)  # the other thread looks for a pool meanwhile
            super().__init__(*args, **options)

    monkeypatch.setattr(batch_parallel, "ThreadPoolExecutor", Slow)
    layer, x = npseq.OptimizedGRU(3, 4, threads=7, rng=0), np.zeros((5, 21, 3), np.float32)
    monkeypatch.setattr(batch_parallel, "MIN_MULTIPLICATIONS_PER_GATE", 0)
    for constant in ("MIN_COLUMNS", "MIN_COLUMNS_UNPACKED"):
        monkeypatch.setattr(batch_parallel, constant, 3)
    threads = [threading.Thread(target=layer, args=(x,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def run_in_a_process(code):
    """The exit status of a Python process, killed after 60 s: a thread that waits for ever would hold this one too."""
    environment = {**os.environ, "PYTHONPATH": str(Path(npseq.__file__).parents[1]), "PYTHONWARNINGS": "ignore"}
    return subprocess.run([sys.executable, "-c", code], env=environment, timeout=60).returncode


def test_a_layer_that_is_called_in_a_pools_thread_does_not_wait_for_that_pool():
    code = """
import os, threading, numpy as np, npseq
from npseq.fused import batch_parallel, through_time
batch_parallel.MIN_MULTIPLICATIONS_PER_GATE = 0
batch_parallel.MIN_COLUMNS = batch_parallel.MIN_COLUMNS_UNPACKED = 2
layer, x = npseq.OptimizedGRU(3, 4, rng=0, threads=2), np.ones((5, 9, 3), np.float32)
forward, depth, seen = through_time.forward_through_time, threading.local(), []
expected = layer(x)[0]

def nested(*args, **options):  # each part of a batch calls the layer again, three levels deep
    depth.now = getattr(depth, "now", 0) + 1
    if depth.now <= 3:
        seen.append(np.array_equal(layer(x)[0], expected))
    depth.now -= 1
    return forward(*args, **options)

through_time.forward_through_time = nested
threads = [threading.Thread(target=layer, args=(x,), daemon=True) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(20)
os._exit(0 if not any(t.is_alive() for t in threads) and all(seen) and len(seen) > 20 else 1)
"""
    assert run_in_a_process(code) == 0


@pytest.mark.wide
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_does_not_wait_for_its_parents_threads():
    code = """
import os, signal, numpy as np, npseq
from npseq.fused import batch_parallel, blas
batch_parallel.MIN_MULTIPLICATIONS_PER_GATE = 0
batch_parallel.MIN_COLUMNS = batch_parallel.MIN_COLUMNS_UNPACKED = 2
layer, x = npseq.OptimizedGRU(3, 4, rng=0, threads=2), np.zeros((5, 9, 3), np.float32)
layer(x)
child = os.fork()
if not child:
    signal.alarm(20)  # ends a child that waits for ever
    layer(x)
    os._exit(0)
raise SystemExit(os.waitpid(child, 0)[1])
"""
    assert run_in_a_process(code) == 0
