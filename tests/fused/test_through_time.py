"""The two functions of the room are those of ``bptt.py``, with any options: the same numbers, and None where asked."""

import numpy as np
import pytest

import npseq
from npseq import bptt
from npseq.cells import GRUCell, LSTMCell, ReLURNNCell, RNNCell
from npseq.fused import batch_parallel, blas, pool, through_time
from npseq.gradcheck import relative_error

T, B, I, H = 9, 5, 3, 4
CELLS = [RNNCell, ReLURNNCell, LSTMCell, GRUCell]


def weights_of(cell, rng, bias=True, projection=False):
    rows, P = len(cell.gates) * H, 2 if projection else H
    b = [rng.normal(size=(rows, 1)) if bias else None for _ in range(2)]
    W_p = rng.normal(size=(P, H)) if projection else None
    return bptt.Weights(rng.normal(size=(rows, I)), rng.normal(size=(rows, P)) / 2, *b, W_p)


def run(module, cell, weights, x, state, dy, d_state, need_dx=True, keep=True, **options):
    """hs, final state, d_weights, d_x, d_state, in one list without the None; the last three only with a tape."""
    hs, final, tape = module.forward_through_time(cell, weights, x, state, keep_tape=keep, **options)
    found = [hs, *final]
    if keep:
        d_weights, d_x, d_initial = module.backward_through_time(cell, weights, tape, dy, d_state, need_dx=need_dx)
        assert (d_x is None) is (not need_dx or x.ndim == 2)
        assert (d_weights.b_x is None) is (weights.b_x is None)
        found += [*(d for d in d_weights if isinstance(d, np.ndarray)), *d_initial, *([d_x] if d_x is not None else [])]
    else:
        assert tape is None
    return found


OPTIONS = [
    {},
    {"bias": False},
    {"need_dx": False},
    {"keep": False},
    {"reverse": True},
    {"lengths": [9, 0, 3, 9, 1]},
    {"lengths": [9, 0, 3, 9, 1], "need_dx": False, "reverse": True},
    {"lengths": [9] * B},
    {"lengths": [0] * B},
    {"indices": True},
    {"indices": True, "lengths": [9, 0, 3, 9, 1], "bias": False},
    {"dy": None},
    {"dy": None, "lengths": [9, 0, 3, 9, 1]},
    {"steps": 0},
    {"checkpoint_every": 4},
    {"h_mask": True},
]


@pytest.mark.parametrize(
    "cell, options",
    [*((cell, options) for cell in CELLS for options in OPTIONS), (LSTMCell, {"projection": True})],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_every_option_gives_the_numbers_of_the_plain_recurrence(cell, options):
    options, rng = dict(options), np.random.default_rng(0)
    if options.pop("indices", False):
        x = rng.integers(I, size=(T, B))
    else:
        x = rng.normal(size=(options.pop("steps", T), I, B))
    projection = options.pop("projection", False)
    weights = weights_of(cell, rng, options.pop("bias", True), projection)
    sizes = [weights.W_h.shape[1], H][: len(cell.state)]
    state, d_state = (tuple(rng.normal(size=(size, B)) for size in sizes) for _ in range(2))
    dy = options.pop("dy", rng.normal(size=(len(x), sizes[0], B)))
    if "lengths" in options:
        options["lengths"] = np.array(options["lengths"])
    if options.get("h_mask"):
        options["h_mask"] = rng.integers(0, 2, (H, B)) * 2.0
    plain, fast = (run(module, cell, weights, x, state, dy, d_state, **options) for module in (bptt, through_time))
    assert len(plain) == len(fast)
    assert all(relative_error(b, a) <= 1e-12 for a, b in zip(plain, fast) if a.size)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.__name__)
def test_a_gradient_of_the_state_alone_or_of_nothing(cell):
    rng = np.random.default_rng(0)
    weights, x = weights_of(cell, rng), rng.normal(size=(T, I, B))
    zero = tuple(np.zeros((H, B)) for _ in cell.state)
    lengths = np.array([9, 0, 3, 9, 1])
    for given in (None, lengths) if cell is not ReLURNNCell else (None,):
        found = run(through_time, cell, weights, x, zero, None, zero, lengths=given)
        assert all(not part.any() for part in found[1 + len(zero) :])


def test_blas_is_limited_to_one_thread_where_it_has_more(monkeypatch):
    limits = []
    monkeypatch.setattr(batch_parallel, "limited", lambda count: limits.append(count) or blas.limited(count))
    layer = npseq.OptimizedGRU(I, H, rng=0)
    for one, calls in [(True, []), (False, [1, 1])]:
        monkeypatch.setattr(batch_parallel, "one_at_the_start", lambda one=one: one)
        y, _, tape = layer.forward(np.ones((T, B, I), np.float32))
        layer.backward(tape, y)
        assert limits == calls


@pytest.mark.parametrize("count, found", [(None, 1), (3, 3)])
def test_without_an_affinity_the_processors_are_counted(monkeypatch, count, found):
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: count)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    assert blas.available() == found


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.__name__)
@pytest.mark.parametrize("columns", [2, 10, 15])
@pytest.mark.parametrize("inputs", ["small", "large", "indices"])
def test_many_small_groups_and_chunks_of_steps_give_the_same_numbers(monkeypatch, cell, columns, inputs):
    monkeypatch.setattr("npseq.fused.workspace.CACHE_BYTES", 1)
    monkeypatch.setattr("npseq.fused.workspace.PRODUCT_MIN_COLUMNS", columns)
    monkeypatch.setattr("npseq.fused.through_time.POOL", pool.WorkspacePool(1 << 20))
    if inputs == "large":  # W_x x is computed for each group of steps
        monkeypatch.setattr("npseq.fused.workspace.HOIST_MIN_ELEMENTS", 0)
        monkeypatch.setattr("npseq.fused.workspace.HOIST_MIN_INPUTS", I)
    rng = np.random.default_rng(0)
    x = rng.integers(I, size=(T, B)) if inputs == "indices" else rng.normal(size=(T, I, B))
    weights, dy = weights_of(cell, rng), rng.normal(size=(T, H, B))
    state, d_state = (tuple(rng.normal(size=(H, B)) for _ in cell.state) for _ in range(2))
    for lengths in (None, np.array([9, 0, 3, 9, 1])):
        for keep in (True, False):
            options = {"lengths": lengths, "keep": keep}
            plain, fast = (
                run(module, cell, weights, x, state, dy, d_state, **options) for module in (bptt, through_time)
            )
            assert all(relative_error(b, a) <= 1e-12 for a, b in zip(plain, fast))


def test_inference_works_in_the_memory_of_a_few_steps(monkeypatch):
    seen = []

    class Spy(pool.WorkspacePool):
        def acquire(self, workspace_class, *sizes):
            seen.append(sizes[1])
            return super().acquire(workspace_class, *sizes)

    monkeypatch.setattr("npseq.fused.through_time.POOL", Spy(1 << 20))
    npseq.OptimizedLSTM(I, H, rng=0)(np.ones((1000, 2, I), np.float32))
    assert seen == [through_time.INFERENCE_STEPS]
