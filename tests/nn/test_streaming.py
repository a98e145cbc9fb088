"""Streams: T steps one at a time are the layer's T steps, for every kind and option, without drift and without cost."""

import copy
import pickle
import threading
import tracemalloc

import numpy as np
import pytest
from sandbox import scaled
from torch_witness import KINDS, as_tuple

import npseq
from npseq.gradcheck import relative_error
from npseq.nn.model import Model
from npseq.nn.registry import MODELS
from npseq.nn.streaming import Stream, WindowStream

LONG, SHORT = 10_000, 1_000
OPTIONS = [{}, {"num_layers": 3}, {"bias": False}, {"learn_initial_state": True, "num_layers": 2}]
CASES = [
    ({}, LONG),
    *((options, SHORT) for options in OPTIONS[1:]),
    *(pytest.param(options, LONG, marks=pytest.mark.wide) for options in OPTIONS[1:]),
]
BOUND = {np.float32: 1e-6, np.float64: 1e-12}


def make(kind, dtype=np.float32, I=3, H=6, **options):
    name, _, own = KINDS[kind]
    layer = getattr(npseq, name)(I, H, dtype=dtype, rng=1, **own, **options)
    if layer.learn_initial_state:  # it starts at zero
        for letter in layer.cell.state:
            layer.params[letter + "_0"][...] = np.random.default_rng(2).standard_normal(layer.params["h_0"].shape[0])[
                :, None
            ]
    return layer


def drawn(layer, T, *batch, seed=0):
    return np.random.default_rng(seed).standard_normal((T, *batch, layer.input_size)).astype(layer.dtype)


@pytest.mark.wide
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options, steps", CASES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_many_steps_are_the_layers_without_drift(kind, options, steps, dtype):
    layer = make(kind, dtype, **options)
    x = drawn(layer, steps)
    expected, final = layer(x)
    stream = layer.stream()
    y = np.array([stream.step(row) for row in x])
    assert y.dtype == dtype and y.shape == expected.shape
    assert np.abs(y - expected).max() <= BOUND[dtype]
    for own, part in zip(as_tuple(stream.state), as_tuple(final)):
        assert own[:, 0].shape == part.shape and np.abs(own[:, 0] - part).max() <= 2 * BOUND[dtype]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_steps_together_and_goes_on_from_a_layers_state(kind, options):
    layer = make(kind, np.float64, **options)
    x = drawn(layer, 12, 3)
    expected, final = layer(x)
    _, middle = layer(x[:5])
    stream = layer.stream(batch=3)
    stream.state = middle
    y = np.stack([stream.step(row) for row in x[5:]])
    assert y.flags.c_contiguous and relative_error(y, expected[5:]) <= 1e-13
    for own, part in zip(as_tuple(stream.state), as_tuple(final)):
        assert own.shape == part.shape and relative_error(own, part) <= 1e-13


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("options", [{}, {"num_layers": 2}], ids=str)
def test_a_models_answer_is_that_to_the_steps_so_far(kind, options):
    model = Model(kind, 3, 5, 2, dtype=np.float64, rng=0, **options)
    x = drawn(model.rnn, 7, 2)
    stream, alone = model.stream(batch=2), model.stream()
    for t in range(7):
        y = model.outputs(x[: t + 1].swapaxes(0, 1))
        assert relative_error(stream.step(x[t]), y) <= 1e-13
        assert relative_error(alone.step(x[t, 0]), y[0]) <= 1e-13


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("window", [1, 2, 7])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "learn_initial_state": True}], ids=str)
def test_a_window_stream_gives_the_models_answer_to_each_window(kind, window, options):
    model = Model(kind, 3, 5, 2, dtype=np.float64, rng=0, **options)
    model.theta[...] = np.random.default_rng(3).normal(0, 0.5, model.theta.shape)
    x = drawn(model.rnn, 30)
    stream = WindowStream(model, window)
    for attempt in range(2):
        for t in range(30):
            if t == 20:  # a copy goes on by itself
                stream, before = stream.copy(), stream
            y = stream.step(x[t])
            assert stream.seen == t + 1 and (y is None) == (t + 1 < window)
            if y is not None:
                assert relative_error(y, model.outputs(x[None, t + 1 - window : t + 1])[0]) <= 1e-13
        assert before.seen == 20
        stream.reset()
    with pytest.raises(ValueError, match=r"\(4,\).*\(3,\) expected"):
        stream.step(np.zeros(4))
    assert stream.seen == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_allocates_its_answer_and_nothing_else(kind):
    layer = make(kind, I=8, H=64, num_layers=2)
    stream, x = layer.stream(), np.ones(8, np.float32)
    answer = 4 * layer.output_size
    y = stream.step(x)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        for _ in range(50):
            y = stream.step(x)
        now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    small = 1200  # Python's own objects: the array object of the answer, views of NumPy's calls
    assert len(y) == layer.output_size
    assert peak - before <= 2 * answer + small  # the answer before is let go when the new one is there
    assert now - before <= answer + small


@pytest.mark.wide
@pytest.mark.parametrize("kind", KINDS)
def test_memory_is_constant_over_a_million_steps(kind):
    """A million with NPSEQ_FUZZ=10."""
    stream, x = make(kind).stream(), np.ones(3, np.float32)
    stream.step(x)
    tracemalloc.start()
    try:
        for _ in range(10):
            stream.step(x)
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(scaled(100_000)):
            stream.step(x)
        assert tracemalloc.get_traced_memory()[0] - before < 2000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", KINDS)
def test_streams_do_not_touch_each_other_in_two_threads_neither(kind):
    layer = make(kind, num_layers=2)
    xs = [drawn(layer, 1500, seed=seed) for seed in (1, 2)]
    found, start = [None, None], threading.Barrier(2)

    def run(k):
        stream = layer.stream()
        start.wait()
        found[k] = np.array([stream.step(row) for row in xs[k]])

    threads = [threading.Thread(target=run, args=(k,)) for k in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for x, y in zip(xs, found):
        alone = layer.stream()
        assert np.array_equal(y, [alone.step(row) for row in x])


@pytest.mark.parametrize("kind", KINDS)
def test_state_reset_and_copies(kind):
    layer = make(kind, learn_initial_state=True)
    x = drawn(layer, 9)
    stream = layer.stream()
    whole = [stream.step(row) for row in x]
    stream.reset()
    first = [stream.step(row) for row in x[:4]]
    assert np.array_equal(first, whole[:4])  # an answer is not written over by later steps
    saved, others = stream.state, [stream.copy(), copy.copy(stream), copy.deepcopy(stream)]
    layer.theta[...] = np.nan  # the weights were copied when the stream was made
    assert np.array_equal([stream.step(row) for row in x[4:]], whole[4:])
    for other in others:
        assert np.array_equal([other.step(row) for row in x[4:]], whole[4:])
    stream.state = saved
    assert np.array_equal([stream.step(row) for row in x[4:]], whole[4:])
    stream.state = tuple(part[:, 0] for part in saved) if isinstance(saved, tuple) else saved[:, 0]
    assert np.array_equal(stream.step(x[4]), whole[4])


def test_inputs_of_any_real_kind_are_taken_and_others_leave_the_state_alone():
    layer = make("gru")
    stream, x = layer.stream(), np.array([1, -2, 3])
    y = stream.copy().step(x.astype(np.float32))
    assert np.array_equal(y, stream.copy().step([1, -2, 3]))
    assert np.array_equal(y, stream.copy().step(x.astype(np.float64)))
    assert np.array_equal(y[None], stream.copy().step(x[None]))
    for wrong, error, message in [
        (np.zeros(4), ValueError, r"\(4,\); \(3,\) or \(1, 3\) expected"),
        (np.zeros((2, 3)), ValueError, r"\(2, 3\)"),
        (1.0, ValueError, r"\(\)"),
        (np.zeros(3, complex), TypeError, "complex128"),
        (["a", "b", "c"], TypeError, "real numbers"),
    ]:
        with pytest.raises(error, match=message):
            stream.step(wrong)
    with pytest.raises(ValueError, match=r"\(3,\); \(2, 3\) expected"):
        layer.stream(batch=2).step(np.zeros(3))
    assert np.array_equal(y, stream.step(x))


def test_what_cannot_be_streamed_is_refused_by_name():
    for make_stream in (
        npseq.LSTM(3, 4, bidirectional=True).stream,
        Model("gru", 3, 4, bidirectional=True).stream,
        lambda: WindowStream(Model("rnn", 3, 4, bidirectional=True), 5),
    ):
        with pytest.raises(ValueError, match="bidirectional"):
            make_stream()
    with pytest.raises(ValueError, match="batch.*0 given"):
        npseq.GRU(3, 4).stream(batch=0)
    with pytest.raises(ValueError, match="window.*0 given"):
        WindowStream(Model("gru", 3, 4), 0)
    lstm = npseq.LSTM(3, 4).stream(batch=2)
    for state, error, message in [
        (np.zeros((1, 2, 4)), TypeError, r"tuple \(h, c\); ndarray given"),
        (
            (np.zeros((1, 2, 4), np.float32), np.zeros((1, 2, 5), np.float32)),
            ValueError,
            r"state c .*\(1, 2, 4\); \(1, 2, 5\) given",
        ),
        ((np.zeros((1, 2, 4), complex), np.zeros((1, 2, 4))), TypeError, "state h .*complex128"),
    ]:
        with pytest.raises(error, match=message):
            lstm.state = state
    assert not np.any(lstm.state)
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(lstm)


def test_own_cells_and_complex_layers_stream_too():
    layer = npseq.LSTM(3, 4, num_layers=2, dtype=np.complex128, rng=0)
    x = drawn(layer, 6) + 1e-3j
    stream = Stream(layer)
    assert relative_error(np.array([stream.step(row) for row in x]), layer(x)[0]) <= 1e-13
