"""The limit of BLAS threads: whatever the order of entering and leaving, the process gets back what it had."""

import os
import random
import threading

import pytest

from npseq.fused import blas

pytest.importorskip("threadpoolctl")


def count():
    """The number of threads that BLAS may use now; a library with another one would be an error here."""
    return max(lib["num_threads"] for lib in blas.controller().info() if lib["user_api"] == "blas")


@pytest.fixture(autouse=True)
def three_threads():
    """A number before that no test sets, so that "as before" is not the same as a limit that was left."""
    with blas.controller().limit(limits=3, user_api="blas"):
        if {lib["num_threads"] for lib in blas.controller().info() if lib["user_api"] == "blas"} != {3}:
            pytest.skip("threadpoolctl finds no BLAS with a number of threads")
        yield


class Visitor(threading.Thread):
    """A thread that enters and leaves ``limited(n)`` when told to."""

    def __init__(self, n):
        super().__init__(daemon=True)
        self.n, self.steps = n, [threading.Event() for _ in range(4)]
        self.start()

    def run(self):
        self.steps[0].wait()
        with blas.limited(self.n):
            self.steps[1].set()
            self.steps[2].wait()
        self.steps[3].set()

    def enter(self):
        self.steps[0].set()
        assert self.steps[1].wait(10)

    def leave(self):
        self.steps[2].set()
        assert self.steps[3].wait(10)
        self.join(10)


def test_in_one_thread_the_innermost_count_applies():
    with blas.limited(1):
        assert count() == 1
        with blas.limited(2):
            assert count() == 2
            with blas.limited(2):
                assert count() == 2
            assert count() == 2
        assert count() == 1
    assert count() == 3


def test_overlapping_threads_do_not_leave_a_limit_behind():
    first, second = Visitor(1), Visitor(1)
    first.enter()
    second.enter()
    first.leave()
    assert count() == 1  # the second one is still inside
    second.leave()
    assert count() == 3


def test_of_two_threads_the_smaller_count_applies_while_both_are_inside():
    one, two = Visitor(1), Visitor(2)
    one.enter()
    two.enter()
    assert count() == 1
    one.leave()
    assert count() == 2
    two.leave()
    assert count() == 3


@pytest.mark.parametrize("seed", range(5))
def test_any_order_of_entering_and_leaving_restores_what_was_there(seed):
    rng = random.Random(seed)
    visitors = [Visitor(rng.randint(1, 2)) for _ in range(6)]
    outside, inside = list(visitors), []
    while outside or inside:
        if outside and (not inside or rng.random() < 0.5):
            inside.append(outside.pop())
            inside[-1].enter()
        else:
            inside.pop(rng.randrange(len(inside))).leave()
        assert count() == min((visitor.n for visitor in inside), default=3)


def test_contexts_of_one_thread_that_end_in_the_order_of_their_beginning():
    first, second = blas.limited(1), blas.limited(1)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert count() == 1
    second.__exit__(None, None, None)
    assert count() == 3


def test_an_exception_restores_it_and_a_wrong_count_changes_nothing():
    with pytest.raises(KeyError):
        with blas.limited(1):
            raise KeyError
    assert count() == 3
    with blas.limited(2):
        for wrong in "many", 0, -1, 1.5, None:
            with pytest.raises(ValueError, match="count"):
                with blas.limited(wrong):
                    pass
        assert count() == 2
    assert count() == 3


def test_it_is_a_decorator_too():
    @blas.limited(1)
    def down(n):
        return [count()] + (down(n - 1) if n else [])

    assert down(2) == [1, 1, 1] and count() == 3


class PerThread:
    """A library with a number of threads for each thread, as OpenBLAS on OpenMP is."""

    threading_layer = "openmp"

    def __init__(self):
        self.local = threading.local()

    @property
    def num_threads(self):
        return getattr(self.local, "number", 3)

    def set_num_threads(self, number):
        self.local.number = number


def test_a_library_with_a_number_for_each_thread_is_set_and_restored_in_that_thread(monkeypatch):
    library = PerThread()
    monkeypatch.setattr(blas, "_libraries", lambda per_thread: [library] * per_thread)
    seen = {}

    def visit(name, entered, leave):
        seen[name] = [library.num_threads]
        with blas.limited(1):
            seen[name].append(library.num_threads)
            entered.set()
            leave.wait(10)
        seen[name].append(library.num_threads)

    events = {name: (threading.Event(), threading.Event()) for name in "ab"}
    threads = [threading.Thread(target=visit, args=(name, *pair)) for name, pair in events.items()]
    for thread, (entered, _) in zip(threads, events.values()):
        thread.start()
        entered.wait(10)
    for thread, (_, leave) in zip(threads, events.values()):
        leave.set()
        thread.join(10)
    assert seen == {"a": [3, 1, 3], "b": [3, 1, 3]} and library.num_threads == 3


def in_a_forked_process(check):
    """True if ``check()`` holds in a child, which must end within 20 s."""
    import signal

    child = os.fork()
    if not child:
        try:
            signal.alarm(20)
            os._exit(0 if check() else 1)
        finally:
            os._exit(2)
    return os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # fork in a process with threads: that is what is tested
class TestFork:
    def test_a_child_does_not_inherit_another_threads_limit(self):
        visitor = Visitor(1)
        visitor.enter()
        assert in_a_forked_process(lambda: count() == 3)
        assert count() == 1
        visitor.leave()
        assert count() == 3

    def test_a_child_leaves_its_own_threads_limit(self):
        def leave():
            inside = count()
            limit.__exit__(None, None, None)
            return (inside, count()) == (1, 3)

        limit = blas.limited(1)
        limit.__enter__()
        try:
            assert in_a_forked_process(leave)
            assert count() == 1
        finally:
            limit.__exit__(None, None, None)

    @pytest.mark.wide
    def test_a_child_forked_while_another_thread_changes_the_limit_is_not_locked(self):
        stop = threading.Event()

        def change():
            while not stop.is_set():
                with blas.limited(1):
                    pass

        def use():
            with blas.limited(2):
                return count() == 2

        thread = threading.Thread(target=change)
        thread.start()
        try:
            assert all(in_a_forked_process(use) for _ in range(5))
        finally:
            stop.set()
            thread.join()
