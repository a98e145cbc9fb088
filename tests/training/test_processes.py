"""Calls in other processes give what they give in this one."""

import math

import pytest

from npseq.training.processes import mapped

CALLS = [(float(n),) for n in range(1, 40)]
HERE = [math.log(n) for (n,) in CALLS]


def test_calls_are_answered_in_order_and_a_backend_of_joblib_that_was_set_takes_them():
    assert mapped(math.log, CALLS) == HERE and mapped(math.log, []) == []
    joblib = pytest.importorskip("joblib")
    with joblib.parallel_config("threading", n_jobs=2):
        assert mapped(math.log, CALLS) == HERE


@pytest.mark.wide
def test_two_processes_answer_in_order_and_hand_their_errors_on():
    assert mapped(math.log, CALLS, 2) == HERE
    with pytest.raises(ValueError, match="math|positive"):
        mapped(math.log, [(1.0,), (-1.0,)], 2)
