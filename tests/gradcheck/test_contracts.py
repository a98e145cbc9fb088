"""The contracts of the functions of ``fused``: kept by right code, and the first function that breaks its own is named."""

import pytest
from sandbox import scaled

from npseq.fused import batch_parallel, memory_layout, one_hot, packing, through_time
from npseq.fused.kernel_base import Kernel
from npseq.fused.kernels import LSTMKernel
from npseq.fused.step import LSTMStep
from npseq.gradcheck import draws
from npseq.gradcheck.diagnosis import fused, replay
from npseq.gradcheck.draws import Config
from npseq.gradcheck.random_check import LayerCheck, drawn
from npseq.nn.streaming import Stream

MIXED = Config("optimized_lstm", T=4, lengths="mixed", D=2)
SPLIT = Config("optimized_lstm", I=64, H=96, T=4, B=80, threads=2)
INDICES = Config("optimized_rnn", I=5, T=4, indices=True, tapes=True)


def blamed(config):
    return fused.blame(lambda: LayerCheck(drawn(config)).run())


@pytest.mark.parametrize("config", [MIXED, INDICES, Config("optimized_gru", T=3, again=True)], ids=str)
def test_right_code_keeps_every_contract(config):
    before = vars(through_time)["POOL"], LSTMKernel.forward, memory_layout.outer
    assert blamed(config) == []
    assert before == (vars(through_time)["POOL"], LSTMKernel.forward, memory_layout.outer)  # as they were


@pytest.mark.wide
@pytest.mark.parametrize("model", ["optimized_rnn", "optimized_lstm", "optimized_gru"])
def test_right_code_keeps_every_contract_with_every_option(model):
    """With NPSEQ_FUZZ at every size of the random check."""
    for config in draws.covered(model)[: None if scaled(1) > 1 else 16]:
        assert config.head or blamed(config) == [], config


def pieces(self, first, last):
    return kept["pieces"](self, first, last - 1)


def packed(self, x):
    return kept["packed"](self, x)[::-1]


kept = {
    "pieces": packing.Packing.pieces,
    "packed": packing.Packing.packed,
}


@pytest.mark.parametrize(
    "owner, name, broken, config, words",
    [
        (packing.Packing, "pieces", pieces, MIXED, "the pieces are not all steps"),
        (packing.Packing, "packed", packed, MIXED, "packing.py, Packing._number"),
        pytest.param(batch_parallel, "_sum", lambda parts: parts[0], SPLIT, "the sum of all", marks=pytest.mark.wide),
        (Kernel, "add_dW", classmethod(lambda cls, dW, D, Z, H, buffer, matmul: None), MIXED, "dW is not"),
        (LSTMKernel, "halve", staticmethod(lambda W: 0.5 * W), MIXED, "the rows of the σ gates"),
        (one_hot.TableGradient, "add", lambda self, D, start, buffer: None, INDICES, "dW_x is not"),
    ],
)
def test_the_function_that_breaks_its_contract_is_named(owner, name, broken, config, words, monkeypatch):
    monkeypatch.setattr(owner, name, broken)
    (line,) = replay.blame(drawn(config))
    assert words in line, line


@pytest.mark.parametrize("file", ["step.py", "streaming.py"])
def test_a_stream_that_is_not_the_layer_is_blamed_on_the_step_or_the_stream(file, monkeypatch):
    if file == "step.py":
        monkeypatch.setattr(LSTMStep, "halved", "of")
    else:
        step = Stream.step
        monkeypatch.setattr(Stream, "step", lambda self, x: 2 * step(self, x))
    (line,) = replay.blame(drawn(Config("lstm", lengths="equal")))
    assert line.startswith(file) or file == "step.py" and "the new h, c is wrong" in line
