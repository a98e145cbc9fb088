"""The optimized layers held against ``bptt.py``: every size reaches code that a small layer does not."""

import numpy as np
import pytest
from against_bptt import compare_with_bptt, has_own_recurrence, sizes

import npseq
from npseq.fused import batch_parallel, one_hot, packing, workspace
from npseq.fused.kernel_base import Kernel
from npseq.fused.step import LSTMStep
from npseq.gradcheck import check_layer

CASES = {case.what: case for case in sizes(4)}


def check(what):
    case = CASES[what]
    return compare_with_bptt(npseq.OptimizedLSTM(case.I, case.H, rng=0), case, np.random.default_rng(0))


@pytest.mark.wide
@pytest.mark.parametrize("kind", [npseq.OptimizedRNN, npseq.OptimizedLSTM, npseq.OptimizedGRU])
def test_the_optimized_layers_equal_bptt_at_every_size(kind):
    assert has_own_recurrence(kind) and not has_own_recurrence(npseq.LSTM)
    for case in sizes(len(kind(1, 1).cell.gates)):
        result = compare_with_bptt(kind(case.I, case.H, rng=0), case, np.random.default_rng(0))
        assert result.ok and result.worst.error <= 1e-13, (case, str(result))


def hoist(self, W_x, *args):
    right["hoist"](self, 2 * W_x, *args)


def pieces(self, first, last):
    return [(a, b, starting if a == 0 else None) for a, b, starting in right["pieces"](self, first, last)]


def add_dW(cls, dW, *args):
    dW[...] = 0
    right["add_dW"].__func__(cls, dW, *args)


def add(self, D, start, count):
    right["add"](self, D, 0, count)


right = {
    "hoist": workspace.ForwardWorkspace.hoist,
    "pieces": packing.Packing.pieces,
    "add_dW": vars(Kernel)["add_dW"],
    "add": one_hot.TableGradient.add,
}


@pytest.mark.parametrize(
    "what, owner, name, broken",
    [
        ("many inputs", workspace.ForwardWorkspace, "hoist", hoist),
        ("many inputs", batch_parallel, "_matmul", lambda count, a, b, out: np.matmul(a, 2 * b, out=out)),
        ("many inputs", LSTMStep, "run", lambda self: None),
        ("many sequences", batch_parallel, "_sum", lambda parts: parts[0]),
        ("many sequences of mixed lengths", packing.Packing, "pieces", pieces),
        ("many steps", Kernel, "add_dW", classmethod(add_dW)),
        ("many steps, indices", one_hot.TableGradient, "add", add),
    ],
)
def test_a_fault_that_no_small_layer_shows_is_found(what, owner, name, broken, monkeypatch):
    monkeypatch.setattr(owner, name, broken)
    if owner is not LSTMStep:
        check_layer(npseq.OptimizedLSTM(2, 3, rng=0), lengths=[7, 2, 0]).assert_ok()
    result = check(what)
    assert result.verdict == "wrong" and all(found.place for found in result.wrong), str(result)


def test_a_stream_that_is_not_the_layer_is_a_fault_without_a_diagnosis_of_backward(monkeypatch):
    monkeypatch.setattr(LSTMStep, "run", lambda self: None)
    result = check_layer(npseq.LSTM(2, 3, rng=0))
    assert result.findings() == ["fault: layer.stream() returns another output than layer.forward(x)"]
