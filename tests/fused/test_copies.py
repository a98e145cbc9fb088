"""Copies of optimized layers, models and tapes: each owns its arrays, and nobody else's results change."""

import copy
import gc
import itertools
import pickle
import threading

import numpy as np
import pytest

import npseq
from npseq.fused import batch_parallel, packing, pool

KINDS = {
    "rnn": ("RNN", {}),
    "relu": ("RNN", {"nonlinearity": "relu"}),
    "lstm": ("LSTM", {}),
    "gru": ("GRU", {}),
}
METHODS = {"copy": copy.copy, "deepcopy": copy.deepcopy, "pickle": lambda thing: pickle.loads(pickle.dumps(thing))}
T, B, I, H = 11, 6, 3, 4
LENGTHS = np.array([11, 0, 4, 11, 7, 2])


@pytest.fixture(scope="module", autouse=True)
def quick_collections():
    """The objects of all the imported modules are left out of the many calls of gc.collect()."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def fresh_pool(monkeypatch):
    monkeypatch.setattr(pool, "POOL", pool.WorkspacePool(1 << 24))
    monkeypatch.setattr("npseq.fused.through_time.POOL", pool.POOL)


class Case:
    """A layer, the model around it, an input and an incoming gradient, and the bits that they give."""

    def __init__(self, kind, layout, monkeypatch):
        name, options = KINDS[kind]
        self.threads = 2 if layout == "split" else 1
        if layout == "split":
            monkeypatch.setattr(batch_parallel, "MIN_MULTIPLICATIONS_PER_GATE", 0)
            for constant in ("MIN_COLUMNS", "MIN_COLUMNS_UNPACKED"):
                monkeypatch.setattr(batch_parallel, constant, 2)
        if layout == "packed":
            monkeypatch.setattr(packing, "MIN_MULTIPLICATIONS_SAVED", -1)
        self.model = npseq.Model(f"optimized_{name.lower()}", I, H, 2, rng=0, threads=self.threads, **options)
        self.layer = self.model.rnn
        self.lengths = LENGTHS if layout == "packed" else None
        rng = np.random.default_rng(1)
        self.x, self.other = rng.standard_normal((2, B, T, I)).astype(np.float32)
        if layout == "one-hot":
            self.x, self.other = rng.integers(I, size=(2, B, T))
        self.dy = rng.standard_normal((B, T, H)).astype(np.float32)

    def forward(self, layer, x):
        return layer.forward(x, lengths=self.lengths)

    def bits(self, layer, y, tape):
        dx, d_state, grads = layer.backward(tape, self.dy)
        d_state = d_state if isinstance(d_state, tuple) else (d_state,)
        return [array.tobytes() for array in (y, dx, *d_state, grads.theta) if array is not None]

    def both(self, layer):
        """The bits of two passes whose tapes live at the same time."""
        (y, _, tape), (z, _, second) = self.forward(layer, self.x), self.forward(layer, self.other)
        return self.bits(layer, y, tape) + self.bits(layer, z, second)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("thing", ["layer", "model", "tape", "layer and tape", "model and tape"])
@pytest.mark.parametrize("layout", ["plain", "packed", "split", "one-hot"])
@pytest.mark.parametrize("kind", [pytest.param(kind, marks=[pytest.mark.wide] * (kind != "gru")) for kind in KINDS])
def test_no_copy_changes_a_later_result_of_the_original_or_of_the_copy(kind, layout, thing, method, monkeypatch):
    case = Case(kind, layout, monkeypatch)
    layer, expected = case.layer, case.both(case.layer)
    y, _, tape = case.forward(layer, case.x)
    first = case.bits(layer, y, tape)
    parts = {"layer": layer, "model": case.model, "tape": tape}
    given = tuple(parts[part] for part in thing.split(" and "))
    for kept in (True, False):
        made = METHODS[method](given if len(given) > 1 else given[0])
        made = dict(zip(thing.split(" and "), made if len(given) > 1 else (made,)))
        if kept:
            their_layer = made["model"].rnn if "model" in made else made.get("layer", layer)
            their_tape = made.get("tape", tape)
        del made
        assert case.both(layer) == expected
        assert case.bits(layer, y, tape) == first
        if kept:
            assert case.bits(their_layer, y, their_tape) == first
            assert case.both(their_layer) == expected
            del their_layer, their_tape
    del tape, given, parts
    gc.collect()
    assert case.both(layer) == expected


@pytest.mark.parametrize("method", METHODS)
def test_a_copy_outlives_its_original(method, monkeypatch):
    case = Case("lstm", "plain", monkeypatch)
    y, _, tape = case.forward(case.layer, case.x)
    expected = case.bits(case.layer, y, tape)
    twin = METHODS[method](tape)
    del tape
    others = [case.forward(case.layer, case.other) for _ in range(3)]  # would use the original's workspace
    assert case.bits(case.layer, y, twin) == expected
    del others


@pytest.mark.parametrize("kind", ["rnn", "relu", "lstm", "gru"])
@pytest.mark.parametrize("method", METHODS)
def test_the_views_of_a_copied_workspace_are_views_of_its_own_arrays(kind, method, monkeypatch):
    case = Case(kind, "plain", monkeypatch)
    _, _, tape = case.forward(case.layer, case.x)
    original = tape.runs[0].lease.workspace
    made = METHODS[method](original)
    assert made is not original and np.array_equal(made.Z, original.Z) and np.array_equal(made.S, original.S)
    for view in itertools.chain.from_iterable(made.steps):
        if view.size:
            assert np.shares_memory(view, made.Z) or np.shares_memory(view, made.S)
            assert not np.shares_memory(view, original.Z) and not np.shares_memory(view, original.S)


def test_a_workspace_returns_once_after_its_last_user():
    shared = pool.POOL
    layer = npseq.OptimizedLSTM(I, H, rng=0)
    _, _, tape = layer.forward(np.zeros((T, B, I), np.float32))
    twin = copy.copy(tape.runs[0])
    assert shared.used_bytes == 0
    del tape
    gc.collect()
    assert shared.used_bytes == 0  # twin shares it
    del twin
    gc.collect()
    first, second = (layer.forward(np.zeros((T, B, I), np.float32))[2] for _ in range(2))
    assert first.runs[0].lease.workspace is not second.runs[0].lease.workspace


# ---- the pool ----


class Sized:
    """A stand-in for a workspace."""

    def __init__(self, name, nbytes):
        self.key, self.nbytes = (Sized, name, nbytes), nbytes


def kept_by(own):
    return [w for kept in own._kept.values() for w in kept]


def test_a_full_pool_starts_anew_and_keeps_nothing_larger_than_itself():
    own = pool.WorkspacePool(100)
    for name in "abb":
        own.acquire(Sized, name, 50)
    a = own.acquire(Sized, "a", 50)
    assert own.used_bytes == 50 and [w.key[1] for w in kept_by(own)] == ["b"]
    del a
    assert own.used_bytes == 100  # full, and no more
    own.acquire(Sized, "c", 1)
    assert own.used_bytes == 1 and [w.key[1] for w in kept_by(own)] == ["c"]
    own.acquire(Sized, "too large", 101)
    assert own.used_bytes == 1
    largest = own.acquire(Sized, "largest", 100)
    kept = largest.workspace
    del largest
    assert own.acquire(Sized, "largest", 100).workspace is kept


def test_workspaces_of_one_size_that_are_in_use_together_are_kept_together():
    own = pool.WorkspacePool(100)
    first, second = (own.acquire(Sized, "a", 10) for _ in range(2))
    assert first.workspace is not second.workspace
    del first, second
    assert own.used_bytes == 20 == sum(w.nbytes for w in kept_by(own))


def test_nobody_has_a_workspace_twice_when_many_threads_use_the_pool():
    own, errors = pool.WorkspacePool(500), []
    barrier = threading.Barrier(8)

    def use(seed):
        rng = np.random.default_rng(seed)
        barrier.wait()
        try:
            for _ in range(400):
                leases = [own.acquire(Sized, int(n), 10 + int(n)) for n in rng.integers(0, 12, 3)]
                used = [lease.workspace for lease in leases]
                for workspace_ in used:  # nobody else has it
                    assert not hasattr(workspace_, "user")
                    workspace_.user = seed
                for workspace_ in used:
                    del workspace_.user
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=use, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and len({id(w) for w in kept_by(own)}) == len(kept_by(own))
