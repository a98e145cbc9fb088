"""The random check: what it draws, what it finds, what it says, and that it raises no false alarm."""

import re
import time
from pathlib import Path

import numpy as np
import pytest
from edits import EDITS, judged, models_of, run
from sandbox import scaled

import npseq
from npseq.cli import gradcheck as command
from npseq.fused import batch_parallel, workspace
from npseq.fused.kernels import LSTMKernel
from npseq.gradcheck import draws, random_models, rounding, survey
from npseq.gradcheck.cases import RANGES
from npseq.gradcheck.draws import Config
from npseq.gradcheck.random_models import check_config
from npseq.nn import registry
from npseq.nn.recurrent import Recurrent

MODELS = sorted(registry.MODELS)


def fail(config):
    findings = check_config(config)
    assert findings
    return findings


@pytest.mark.parametrize("model", MODELS)
def test_what_is_always_checked_has_each_option_alone_and_the_edges(model):
    configs = draws.covered(model)
    for field, value in {"T": 1, "B": 1, "lengths": "empty", "D": 2, "bias": False, "batch_first": True}.items():
        assert any(getattr(config, field) == value for config in configs)
    for field in ("learned", "checkpoint", "indices", "unbatched", "again", "tapes", "recurrent_dropout", "dropout"):
        assert any(getattr(config, field) for config in configs), field
    for field in ("state", "dy", "d_state", "need_dx"):
        assert not all(getattr(config, field) for config in configs), field
    assert any(config.T == 2 for config in configs) and any(config.L == 3 for config in configs)


def test_large_configurations_reach_both_sides_of_the_thresholds_of_fused():
    for model in ("optimized_rnn", "optimized_lstm", "optimized_gru"):
        configs = draws.covered(model)
        G = len(configs[0].cell.gates)
        elements = [G * c.H * (c.H + c.I) for c in configs if c.I >= workspace.HOIST_MIN_INPUTS]
        assert max(elements) > workspace.HOIST_MIN_ELEMENTS > min(c.H * c.H for c in configs)
        split = [
            len(batch_parallel.BatchParallel(c.threads).parts(npseq.LSTM(c.I, c.H).weights(), c.B)) for c in configs
        ]
        assert max(split) == 4 or G == 1


def test_draws_are_repeated_by_the_seed_and_a_configuration_by_its_text():
    first, second = ([draws.draw(np.random.default_rng(3), MODELS) for _ in range(20)] for _ in range(2))
    assert first == second
    for config in [*first, *draws.covered("optimized_lstm")]:
        assert Config.parse(str(config)) == config
    with pytest.raises(ValueError, match="'Q' is no field"):
        Config.parse("model=lstm Q=3")
    with pytest.raises(ValueError, match="unknown model 'elman'"):
        Config.parse("model=elman")


@pytest.mark.wide
def test_false_alarms(capsys):
    """50 configurations, 1,000 with NPSEQ_FUZZ=20: weights times 0.1 to 30, in float64 and float32."""
    seed = int(time.time())
    rng = np.random.default_rng(seed)
    for _ in range(scaled(50)):
        config = draws.draw(rng, MODELS)._replace(scale=float(np.round(10 ** rng.uniform(-1, 1.477), 3)))
        assert not check_config(config), (seed, str(config))


HOISTED = workspace.HOIST_MIN_ELEMENTS // (4 * 96) + 1  # inputs from which W_x x is computed before the loop


@pytest.mark.parametrize(
    "config",
    [
        Config("optimized_lstm", I=HOISTED, H=96, T=9, B=4, again=True, tapes=True),  # parameters that change
        Config("optimized_gru", I=HOISTED, H=96, T=9, B=4, again=True, tapes=True),
        Config("lstm", L=3, dropout=0.5),
        Config("optimized_lstm", scale=30.0, T=8),  # saturated
        Config("optimized_lstm", I=64, H=96, T=4, B=80, threads=4),  # four parts
    ],
    ids=str,
)
def test_what_no_other_test_reaches(config):
    assert not check_config(config)


def test_linear_layers_of_many_rows_and_losses_of_one_class_with_ignored_labels():
    assert not random_models.check_linear(130, True, 0) and not random_models.check_linear(65, False, 1)
    for seed in range(4):
        assert not random_models.check_loss("cross_entropy", {"classes": 1, "ignore_index": -1}, False, seed)


def test_a_failure_is_made_smaller_and_keeps_its_kind(monkeypatch):
    backward = Recurrent.backward

    def doubled(self, tape, dy, d_state=None, need_dx=True):
        dx, d_before, grads = backward(self, tape, dy, d_state, need_dx)
        if self.num_layers > 1:
            grads.theta[...] *= 2
        return dx, d_before, grads

    monkeypatch.setattr(Recurrent, "backward", doubled)
    config = Config("gru", I=3, H=4, T=6, B=3, L=3, D=2, lengths="mixed", seed=4)
    smallest, findings = survey.shrunk(config, fail(config))
    assert (smallest.L, smallest.D, smallest.T, smallest.B, smallest.H) == (2, 1, 1, 1, 1)
    assert findings[0].what == "gradient"


def test_float32_is_compared_with_float64(monkeypatch):
    forward = LSTMKernel.forward.__func__

    def half(cls, workspace, W, first, last):
        forward(cls, workspace, W, first, last)
        if W.dtype == np.float32:
            workspace.Z[first + 1 : last + 1] = workspace.Z[first + 1 : last + 1].astype(np.float16)

    monkeypatch.setattr(LSTMKernel, "forward", classmethod(half))
    config = Config("optimized_lstm", T=4)
    assert {finding.what for finding in check_config(config)} >= {"float32 y"} and not check_config(
        config, float32=False
    )


def test_rounding_is_measured_where_the_code_amplifies_it():
    from npseq.gradcheck.random_check import drawn

    calm, saturated = (drawn(Config("rnn", scale=scale, T=6)) for scale in (0.3, 30.0))
    near, far = (rounding.of_layer(case, case.shape()).allowed("weight_hh_l0") for case in (calm, saturated))
    assert near < 1e-12 and far > 30 * near


def test_the_command_repeats_one_configuration_and_refuses_what_is_none(capsys):
    assert command.main(["--only", "model=optimized_gru T=2 lengths=mixed seed=7"]) == 0
    assert "1 configuration" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stopped:
        command.main(["--only", "model=lstm T=many"])
    assert stopped.value.code == 2 and "T='many' given; a number expected" in capsys.readouterr().err


@pytest.mark.wide
def test_seconds_bound_the_time_of_the_draws():
    start = time.monotonic()
    found = list(survey.survey(["rnn"], seconds=0.2, parts=False))
    assert len(found) > len(draws.covered("rnn")) and time.monotonic() - start < 30


def test_the_report_names_the_smallest_failure_and_the_call_that_repeats_it(monkeypatch, capsys):
    monkeypatch.setattr(LSTMKernel, "halve", staticmethod(lambda W: 0.5 * W))
    assert command.main(["--model", "optimized_lstm", "--first"]) == 1
    out = capsys.readouterr().out
    call = re.search(r'npseq gradcheck --only "(.*)"', out)[1]
    assert "optimized_lstm  WRONG" in out and f"smallest: {call}" in out
    assert command.main(["--only", call]) == 1


KEPT = next(k for k, edit in enumerate(EDITS) if "else workspace.W_h" in edit.new)  # of an earlier call
SAMPLE = range(len(EDITS)) if scaled(1) > 1 else sorted({*range(1, len(EDITS), 9), KEPT})


@pytest.mark.wide
@pytest.mark.parametrize("number", SAMPLE)
def test_an_edit_of_one_line_is_caught_and_its_file_named(number, tmp_path):
    """A sample; all with NPSEQ_FUZZ. ``tests/support/edits.py`` prints the shares."""
    edit = EDITS[number]
    parts = "losses" in edit.file or "linear" in edit.file
    status, report = run([edit], tmp_path, "--first", *([] if parts else ["--model", *models_of(edit)]))
    found = judged(edit, status, report)
    assert found["caught"] and found["file"] and not found["elsewhere"], report


@pytest.mark.wide
def test_all_edits_at_once_exit_with_status_1(tmp_path):
    chosen = {edit.file: edit for edit in EDITS}  # one of each file, so that the lines stay where they are
    status, report = run(list(chosen.values()), tmp_path, "--first")
    assert status == 1, report


def test_the_claims_of_the_page_are_those_of_the_code():
    page = (Path(__file__).parents[2] / "docs" / "gradcheck.md").read_text("utf-8")
    always = sum(
        len(draws.covered(model))
        for model in ("rnn", "lstm", "gru", "optimized_rnn", "optimized_lstm", "optimized_gru")
    )
    assert f"{always} configurations that are always checked and {survey.COUNT} drawn at random" in page
    assert "up to " + ", ".join(f"±{span:g}" for span in RANGES[:-1]) + f" and ±{RANGES[-1]:g}" in page
    assert f"{len(EDITS)} edits of one line" in page
