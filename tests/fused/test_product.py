"""Products in pieces: which ones, that they are the same numbers, and that nothing but shape and processor decides."""

import threading

import numpy as np
import pytest

import npseq
from npseq.fused import blas, pool, product
from npseq.fused.batch_parallel import BatchParallel
from npseq.fused.kernels import KERNELS
from npseq.fused.workspace import ForwardWorkspace

F4 = np.dtype(np.float32)


@pytest.fixture(autouse=True)
def own_pool(monkeypatch):
    monkeypatch.setattr("npseq.fused.through_time.POOL", pool.WorkspacePool(1 << 24))


@pytest.fixture
def unpacked(monkeypatch):
    """As on a processor whose kernels have a product without packing."""
    monkeypatch.setattr(product, "architecture", lambda: "SkylakeX")


@pytest.mark.parametrize(
    "rows, size, columns, count",
    [
        (100, 100, 100, 1),  # 10⁶ multiplications
        (100, 100, 101, 2),
        (2048, 1025, 32, 128),
        (256, 1024, 64, 32),
        (256, 1024, 256, 0),  # pieces of two rows
        (12, 2500, 100, 3),  # pieces of four rows
        (12, 2501, 100, 0),  # of three
        (257, 300, 32, 0),  # a prime number of rows
        (259, 300, 32, 7),
        (2048, 1025, 2, 8),
        (2048, 1025, 1, 0),
        (128, 34, 1, 0),
        (128, 34, 2, 1),
        (3, 10, 10, 1),
    ],
)
def test_the_pieces_are_the_fewest_that_are_not_packed_of_four_rows_at_least(unpacked, rows, size, columns, count):
    assert product.pieces(rows, size, columns, F4) == count
    assert product.pieces(rows, size, columns, np.dtype(np.float64)) == 0


def test_a_transposed_matrix_has_pieces_of_sixteen_rows_at_least(unpacked):
    least = product.MIN_ROWS_OF_TRANSPOSED
    assert product.pieces(1024, 488, 128, F4, least) == 64  # 16 rows
    assert product.pieces(1024, 489, 128, F4, least) == 0


@pytest.mark.parametrize(
    "name, count",
    [(None, 0), ("Haswell", 0), ("Zen", 0), ("skylakex", 2), ("Cooperlake", 2), ("SapphireRapids", 2)],
)
def test_pieces_are_for_the_kernels_that_have_a_product_without_packing(monkeypatch, name, count):
    monkeypatch.setattr(product, "architecture", lambda: name)
    assert product.pieces(512, 193, 16, F4) == count


def test_the_architecture_is_that_of_numpys_own_library(monkeypatch):
    folder = np.__file__.rpartition("numpy")[0]
    own = {"internal_api": "openblas", "filepath": folder + "numpy.libs/libopenblas.so", "architecture": "Zen"}
    other = {"internal_api": "openblas", "filepath": "/opt/libopenblas.so", "architecture": "SkylakeX"}
    mkl = {"internal_api": "mkl", "filepath": folder + "numpy.libs/libmkl.so"}

    class Controller:
        def __init__(self, *libraries):
            self.libraries = libraries

        def info(self):
            return self.libraries

    for controller, found in [
        (Controller(other, own), "Zen"),
        (Controller(other, mkl), None),
        (Controller(), None),
        (None, None),
    ]:
        monkeypatch.setattr(blas, "controller", lambda controller=controller: controller)
        assert blas.architecture.__wrapped__() == found


@pytest.mark.parametrize("limit", [1, 300, np.inf])
@pytest.mark.parametrize("size, columns", [(7, 5), (64, 16), (4096, 3)])
def test_a_product_in_pieces_is_within_its_bound_of_the_exact_one(unpacked, monkeypatch, limit, size, columns):
    monkeypatch.setattr(product, "MAX_MULTIPLICATIONS", 4 * size * columns if limit == 300 else limit)
    rng = np.random.default_rng(0)
    W, Z = (rng.normal(size=shape).astype(F4) for shape in [(24, size), (size, columns)])
    out = np.empty((24, columns), F4)
    assert product.pieces(*W.shape, columns, F4) == {1: 0, 300: 6, np.inf: 1}[limit]
    assert product.product(W, columns)(Z, out) is out
    exact = W.astype(np.float64) @ Z.astype(np.float64)
    bound = 2 * size**0.5 * 2.0**-24 * (np.abs(W).astype(np.float64) @ np.abs(Z)).max()
    assert np.abs(out - exact).max() <= bound
    wide = np.full((24, columns), np.nan)
    product.product(W.astype(np.float64), columns)(Z.astype(np.float64), wide)
    assert np.array_equal(wide, W.astype(np.float64).dot(Z.astype(np.float64)))


def run(layer, x, dy, lengths=None):
    y, state, tape = layer.forward(x, None, lengths)
    dx, d_state, grads = layer.backward(tape, dy)
    flat = [part for group in (state, d_state) for part in (group if isinstance(group, tuple) else (group,))]
    return [y, dx, grads.theta, layer(x, None, lengths)[0], *flat]


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("limit", [1, "pieces", np.inf])
def test_a_layer_gives_the_numbers_of_the_plain_one_on_both_sides_of_the_rule(
    unpacked, monkeypatch, kind, mixed, threads, limit
):
    T, B, I, H = 20, 12, 5, 16
    monkeypatch.setattr(product, "MAX_MULTIPLICATIONS", 4 * 64 * B if limit == "pieces" else limit)
    monkeypatch.setattr(product, "MIN_ROWS_OF_TRANSPOSED", 2)
    monkeypatch.setattr("npseq.fused.packing.MIN_MULTIPLICATIONS_SAVED", -1)
    monkeypatch.setattr("npseq.fused.workspace.HOIST_MIN_ELEMENTS", 0)
    monkeypatch.setattr("npseq.fused.workspace.HOIST_MIN_INPUTS", 1)
    monkeypatch.setattr("npseq.fused.batch_parallel.MIN_MULTIPLICATIONS_PER_GATE", 0)
    monkeypatch.setattr("npseq.fused.batch_parallel.MIN_COLUMNS_UNPACKED", 2)
    cut = []
    real = product.pieces
    monkeypatch.setattr(product, "pieces", lambda *args: cut.append(real(*args)) or cut[-1])
    rng = np.random.default_rng(0)
    x, dy = (rng.normal(size=(T, B, n)).astype(F4) for n in (I, H))
    lengths = rng.integers(0, T + 1, B) if mixed else None
    fast = getattr(npseq, "Optimized" + kind)(I, H, rng=0, threads=threads)
    exact = getattr(npseq, kind)(I, H, rng=0, dtype=np.float64)
    expected = run(exact, x.astype(np.float64), dy.astype(np.float64), lengths)
    found = run(fast, x, dy, lengths)
    for a, b in zip(found, expected):
        assert np.abs(a - b).max() <= 1e-5 * max(1, np.abs(b).max())
    assert all(np.array_equal(a, b) for a, b in zip(found, run(fast, x, dy, lengths)))
    assert (max(cut) > 1) is (limit == "pieces")


def test_double_precision_has_the_same_bits_whatever_the_limit(unpacked, monkeypatch):
    rng = np.random.default_rng(0)
    x, dy = (rng.normal(size=(6, 8, n)) for n in (5, 16))
    layer = npseq.OptimizedLSTM(5, 16, rng=0, dtype=np.float64)
    results = []
    for limit in (1, 1000, np.inf):
        monkeypatch.setattr(product, "MAX_MULTIPLICATIONS", limit)
        results.append(run(layer, x, dy))
    assert all(np.array_equal(a, b) for other in results[1:] for a, b in zip(results[0], other))


def test_what_else_runs_changes_no_bit(unpacked):
    rng = np.random.default_rng(0)
    x, dy = (rng.normal(size=(4, 32, n)).astype(F4) for n in (64, 128))
    layer = npseq.OptimizedLSTM(64, 128, rng=0)
    alone, stop = run(layer, x, dy), threading.Event()
    busy = np.ones((200, 200), F4)

    def work():
        while not stop.is_set():
            busy @ busy

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert all(np.array_equal(a, b) for _ in range(3) for a, b in zip(alone, run(layer, x, dy)))
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("name, large", [("SkylakeX", False), ("Haswell", True)])
def test_inputs_are_multiplied_beforehand_only_where_the_products_of_steps_are_packed(monkeypatch, name, large):
    monkeypatch.setattr(product, "architecture", lambda: name)
    kernel = KERNELS[npseq.cells.LSTMCell]
    assert ForwardWorkspace(kernel, 2, 200, 300, 4, F4).large is large
    assert ForwardWorkspace(kernel, 2, 200, 300, 4, np.dtype(np.float64)).large
    assert not ForwardWorkspace(kernel, 2, 63, 300, 4, F4).large


@pytest.mark.parametrize("name, least", [("SkylakeX", 8), ("Haswell", 16)])
def test_a_batch_is_split_from_eight_columns_on_where_products_are_unpacked_else_from_sixteen(monkeypatch, name, least):
    monkeypatch.setattr(product, "architecture", lambda: name)
    layer = npseq.OptimizedLSTM(512, 512, rng=0)
    for B, parts in [(2 * least - 1, 1), (2 * least, 2), (3 * least, 3), (100 * least, 4)]:
        assert len(BatchParallel(4).parts(layer.weights(), B)) == parts
