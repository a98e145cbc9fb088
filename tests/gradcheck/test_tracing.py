"""Assignments of a running function: recorded in order with their values, and one of them changed."""

import sys

import numpy as np
import pytest

from npseq.gradcheck.diagnosis.tracing import changed, record


def names_and_values(found):
    return [(item.name, item.value.tolist() if isinstance(item.value, np.ndarray) else item.value) for item in found]


def recorded(function, *arguments, **options):
    return record(lambda: function(*arguments), [function.__code__], **options)


def forward(a, b):
    x, y = a + b, a * b  # CPython may store y first
    z = np.concatenate(
        [
            x,
            2 * y,
        ]
    )
    z[0] = 7
    z += 1; w = z.sum()  # fmt: skip  # noqa: E702
    return w, (u := w + 1)  # noqa: F841


def test_every_assignment_is_recorded_with_its_value_and_line():
    returned, found = recorded(forward, np.array([2.0]), np.array([5.0]))
    assert returned == (29, 30)
    found = sorted(found, key=lambda item: (item.line, item.name == "y"))
    assert names_and_values(found) == [("x", [7]), ("y", [10]), ("z", [7, 20]), ("z", [8, 21]), ("w", 29), ("u", 30)]
    first = forward.__code__.co_firstlineno
    assert [item.line - first for item in found] == [1, 1, 2, 9, 9, 10]
    assert [item.count for item in found] == [0, 0, 0, 1, 0, 0]


def loop(n, das, out=None):
    total = np.zeros(1)
    for t in reversed(range(n)):
        da = total + t
        das[t] = da
        for k in range(2):
            total = sum((total + da for _ in [k]), np.zeros(1))
    out[...] = total
    return total


def test_a_loop_is_recorded_at_each_step_and_elements_and_filled_arguments_if_asked_for():
    das, out = np.zeros((2, 1)), np.zeros(1)
    _, found = recorded(loop, 2, das, out, elements=True)
    names = "da", "das[t]", "out at the end"
    kept = [(item.name, item.step, item.value.tolist()) for item in found if item.name in names]
    # t = 1: da = 1, total = 1 + 1; t = 0: da = 2, total = 4 + 2
    assert kept == [
        ("da", 1, [1]),
        ("das[t]", 1, [1]),
        ("da", 0, [2]),
        ("das[t]", 0, [2]),
        ("out at the end", 0, [6]),
    ]
    totals = [(item.count, item.step, item.value.tolist()) for item in found if item.name == "total"]
    assert totals == [(0, None, [0]), (1, 1, [1]), (2, 1, [2]), (3, 0, [4]), (4, 0, [6])]
    assert not [item for item in recorded(loop, 2, das, out)[1] if "[" in item.name or " " in item.name]


def comprehensions(n, out):
    for t in range(n):
        a = np.array([t + t for t in range(3)])
        b = a + sum(t for _ in a)
        c = np.array(
            [
                t - k
                for t in range(3)
                for k in b
            ]
        )  # fmt: skip
        for k in range(2): b = b + k  # fmt: skip  # noqa: E701
        out[:] = c[: len(out)]
        try:
            d = [t / 0 for t in [1] if [b for b in [2]]]
        except ZeroDivisionError:
            d = b
        e = d
    return e


def test_comprehensions_that_use_the_variables_of_the_function_are_recorded_and_crash_nothing():
    """CPython 3.13.0 crashes where such a variable is read within the comprehension."""
    out = np.zeros(2)
    _, found = recorded(comprehensions, 2, out, elements=True)
    values = {name: [item.value.tolist() for item in found if item.name == name] for name in "ace"}
    assert values["a"] == [[0, 2, 4]] * 2
    assert values["c"] == [[0, -2, -4, 1, -1, -3, 2, 0, -2], [-3, -5, -7, -2, -4, -6, -1, -3, -5]]
    assert values["e"] == [[1, 3, 5], [4, 6, 8]] and out.tolist() == [-3, -5]
    assert [item.value.tolist() for item in found if item.name == "out at the end"] == [[-3, -5]]


def fails(a):
    d = a + 1
    try:
        d = np.ones(2) @ np.ones(3)
    except ValueError:
        e = d * 2
    d = e @ np.ones(3)
    return d


def test_an_assignment_that_an_exception_prevented_is_not_recorded():
    found, before = [], sys.gettrace()
    with pytest.raises(ValueError, match="size 3"):
        recorded(fails, np.zeros(2), into=found)
    assert names_and_values(found) == [("d", [1, 1]), ("e", [2, 2])]
    assert sys.gettrace() is before


def with_a_closure(x):
    y = x * 3
    double = lambda: 2 * y  # noqa: E731
    z = double() + x
    return z


@pytest.mark.parametrize("name, count, value", [("y", 0, 26), ("z", 0, 12), ("x", 0, 14), ("y", 1, 14)])
def test_one_assignment_stores_another_value(name, count, value):
    """z = 2 · (3 x) + x with x = 2; arguments and assignments that do not happen are not changed."""
    call = lambda: with_a_closure(np.array([2.0]))  # noqa: E731
    change = (lambda v: v * 2) if name == "y" else (lambda v: v - 2)
    assert changed(call, with_a_closure.__code__, name, count, change) == value
    assert call() == 14


def test_a_function_without_a_source_file_is_recorded_too():
    names = {}
    exec("def f(a):\n    b = a + 1\n    return b * 2\n", names)
    assert names_and_values(recorded(names["f"], 1)[1]) == [("b", 2)]


def test_the_trace_function_that_was_there_is_called_again_afterwards():
    seen = []

    def tracer(frame, event, argument):
        seen.append(frame.f_code.co_name)

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        recorded(with_a_closure, np.ones(1))
        assert sys.gettrace() is tracer
        seen.clear()
        with_a_closure(np.ones(1))
    finally:
        sys.settrace(before)
    assert "with_a_closure" in seen
