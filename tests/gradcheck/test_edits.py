"""One-line edits of ``cells.py`` and ``bptt.py``: each is called wrong, and the report names what was edited."""

import importlib.util
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from own_cells import CELLS as OWN_CELLS
from own_cells import example

import npseq
from npseq import bptt, cells
from npseq.gradcheck import check_cell, check_layer
from npseq.gradcheck.diagnosis import replay
from npseq.gradcheck.layer_case import Case, LayerCase
from npseq.nn.recurrent import Recurrent

# file, model, the line's text, the text that replaces it, words that the report must have: the variable that the line
# assigns (or the gate), and the tensor
CELL_EDITS = [
    ("rnn", "da = dh * (1 - h * h)", "da = dh * (1 - h)", ["da is wrong", "equation (10)"]),
    ("rnn", "da = dh * (1 - h * h)", "da = dh", ["da is wrong", "equation (10)"]),
    ("relu", "da = np.where(h.real <= 0, 0, dh)", "da = dh * 1", ["da is wrong", "equation (12)"]),
    ("relu", "da = np.where(h.real <= 0, 0, dh)", "da = np.where(h.real <= 0, 0.1 * dh, dh)", ["da is wrong"]),
    ("lstm", "do = dh * tanh_c", "do = dh * o", ["do (gate o) is wrong", "equation (16)"]),
    ("lstm", "dc = dc + dh * o * (1", "dc = dh * o * (1", ["dc is wrong", "equation (17)"]),
    ("lstm", "dc = dc + dh * o * (1", "dc = dc + dh * (1", ["dc is wrong", "equation (17)"]),
    ("lstm", "(1 - tanh_c * tanh_c)", "(1 - tanh_c)", ["dc is wrong", "equation (17)"]),
    ("lstm", "df, dc_prev = dc * c_prev,", "df, dc_prev = dc * tanh_c,", ["df (gate f) is wrong", "equation (18)"]),
    ("lstm", "dc * c_prev, dc * f  #", "dc * c_prev, dc * i  #", ["dc_prev is wrong", "equation (18)"]),
    ("lstm", "di, dg = dc * g, dc * i", "di, dg = dc * i, dc * i", ["di (gate i) is wrong", "equation (19)"]),
    ("lstm", "di, dg = dc * g, dc * i", "di, dg = dc * g, dc * f", ["dg (gate g) is wrong", "equation (19)"]),
    ("lstm", "di * i * (1 - i)", "di * i", ["da is wrong", "gate i", "equation (20)"]),
    ("lstm", "df * f * (1 - f)", "df * f * (1 - g)", ["da is wrong", "gate f", "equation (20)"]),
    ("lstm", "dg * (1 - g * g)", "dg * g * (1 - g)", ["da is wrong", "gate g", "equation (20)"]),
    ("lstm", "do * o * (1 - o)", "do", ["da is wrong", "gate o", "equation (20)"]),
    (
        "lstm",
        "return da, da, (np.zeros_like(dh), dc_prev)",
        "return da, da, (np.zeros_like(dh), 0 * dc_prev)",
        ["dc_prev"],
    ),
    (
        "gru",
        "dz, dn, dh_prev = dh * (n - h_prev)",
        "dz, dn, dh_prev = dh * (h_prev - n)",
        ["dz (gate z) is wrong", "(24)"],
    ),
    ("gru", "dh * z, dh * (1 - z)", "dh * (1 - z), dh * (1 - z)", ["dn (gate n) is wrong", "equation (24)"]),
    ("gru", "dh * z, dh * (1 - z)", "dh * z, dh * z", ["dh_prev is wrong", "equation (24)"]),
    ("gru", "da_xn = dn * (1 - n * n)", "da_xn = dn * n * (1 - n)", ["da_xn is wrong", "equation (25)"]),
    ("gru", "dr, da_hn = da_xn * a_hn", "dr, da_hn = da_xn * h_prev", ["dr (gate r) is wrong", "equation (26)"]),
    ("gru", "da_xn * a_hn, da_xn * r", "da_xn * a_hn, da_xn", ["da_hn is wrong", "equation (26)"]),
    ("gru", "da_r, da_z = dr * r * (1 - r)", "da_r, da_z = dr * r", ["da_r (gate r) is wrong", "equation (27)"]),
    ("gru", "dz * z * (1 - z)", "dz * (1 - z)", ["da_z (gate z) is wrong", "equation (27)"]),
    (
        "lstm",
        "i, f, g, o, c_prev, tanh_c = cache",
        "f, i, g, o, c_prev, tanh_c = cache",
        ["f, i are not forward's f, i", "backward: dc_prev is wrong"],
    ),
    ("gru", "r, z, n, a_hn, h_prev =", "r, z, n, h_prev, a_hn =", ["h_prev, a_hn are not forward's h_prev, a_hn"]),
    ("gru", "np.concatenate([da_r, da_z, da_hn]), (dh", "np.concatenate([da_r, da_z, da_xn]), (dh", ["da_h", "gate n"]),
]
CELL_EDITS += [  # several variables of one line, gradients that are right for most numbers, shapes, and the cache
    ("lstm", "df, dc_prev = dc * c_prev, dc * f", "df, dc_prev = dc * f, dc * c_prev", ["df (gate f), dc_prev are wrong"]),
    ("rnn", "da = dh * (1 - h * h)", "da = np.clip(dh * (1 - h * h), -99, 99)", ["da is wrong", "not linear", "weight_ih_l0"]),
    ("gru", "da_xn = dn * (1", "da_xn = np.where(np.abs(dn) < 1e-9, 0, dn) * (1", ["da_xn is wrong", "not linear"]),
    ("gru", "dn * (1 - n * n)", "(dn * (1 - n * n)).sum(1, keepdims=True)", ["da_xn is wrong", "shape (3, 1) given, (3, 4) expected"]),
    ("lstm", "dg * (1 - g * g), do * o", "do * o", ["da is wrong", "shape (9, 4) given, (12, 4) expected"]),
    ("lstm", "dc = dc + dh * o", "dh = dh + dh * o", ["dc is wrong", "dh is wrong", "dh = dh + dh * o"]),
    ("lstm", "dh, dc = d_state\n", "dh, dc = d_state[0], 0 * d_state[1]\n", ["dc is wrong (assigned", ": dh, dc = d_state[0], 0 *"]),
    ("rnn", "da = dh * (1 - h * h)", "h *= h; da = dh * (1 - h)", ["changes what the cache holds: h", "h *= h"]),
    ("lstm", "c_prev, tanh_c)\n", "c_prev, c)\n", ["tanh_c is not forward's tanh_c", "c_prev, c)) or is read", "backward"]),
]  # fmt: skip
BPTT_EDITS = [
    ("lstm", "h_before = slots[0][:-1] if", "h_before = slots[0][1:] if", ["h_before is wrong", "weight_hh_l0"]),
    ("rnn", "dh = W_h.T @ da_h if", "dh = W_h @ da_h if", ["dh is wrong", "(30)", "step 4"]),
    ("lstm", "dh = W_h.T @ da_h if", "dh = W_h @ da_h if", ["when it computes dh", "(30)"]),
    ("gru", "np.matmul(W_x.T, da_x, out=d_x)", "np.matmul(W_x.T, da_h, out=d_x)", ["dx is wrong", "(34)", "WRONG: worst 4.8e-01 in x"]),
    ("gru", "b_h is None else da_h.sum", "b_h is None else da_x.sum", ["db_h is wrong", "(33)", "bias_hh_l0"]),
    ("gru", "b_x is None else da_x.sum", "b_x is None else da_h.sum", ["db_x is wrong", "(33)", "bias_ih_l0"]),
    ("gru", "W_h=_sum_of_products(da_h, h_before,", "W_h=_sum_of_products(da_x, h_before,", ["dW_h is wrong", "(32)"]),
    ("gru", "W_x=_sum_of_products(da_x, x,", "W_x=_sum_of_products(da_h, x,", ["dW_x is wrong", "(31)"]),
    ("lstm", "+ tuple(d_direct[1:])", "+ tuple(0 * d for d in d_direct[1:])", ["d_state (c) is wrong at step 4"]),
    ("gru", "dh = dh + d_direct[0]", "dh = dh", ["dh is wrong", "step 4"]),
    ("lstm", "d_new = (d_state[0] + d_output,)", "d_new = (d_output,)", ["d_new (h) is wrong", "step 4"]),
    ("gru", "else np.where(valid[t], d_hs[t], 0)", "else d_hs[t]", ["d_output is wrong", "x"]),
    ("lstm", "d_past = tuple(np.where(valid[t], 0, d) for d in d_new)", "d_past = tuple(0 * d for d in d_new)", ["d_past"]),
    ("projected", "d_new = (W_p.T @ d_new[0],)", "d_new = (W_p.T @ d_new[0] / 2,)", ["d_new (h) is wrong", "(41)"]),
    ("projected", "d_projected[t] = d_new[0]", "d_projected[t] = 2 * d_new[0]", ["d_projected[t] is wrong at step 4", "weight_hr_l0"]),
    ("lstm", "for t in reversed(range(n)):", "for t in reversed(range(1, n)):", ["backward raises"]),
    ("gru", "= da_x, da_h, d_own", "= da_h, da_h, d_own", ["da_xs[t] is wrong at step 4, gate n", "weight_ih_l0"]),
    ("lstm", "d_new = (d_state[0] + d_output,)", "d_new = (d_state[0] - d_output,)", ["d_new (h)", "equation (29)"]),
    ("lstm", "tuple(d + past for d, past in", "tuple(d for d, past in", ["d_state (h)", "(39)"]),
    ("projected", "np.stack([m for _, m in caches])", "np.stack([m for _, m in caches[::-1]])", ["ms is wrong at step 0"]),
    ("rnn", "axes=((0, 2), (0, 2)))", "axes=((0, 2), (0, 2))) / 2", ["dW_h is wrong", "or in _sum_of_products, line"]),
    ("rnn", "total += part", "total[...] = part[0]", ["dW_h, db_x, db_h are wrong, but right where _backward_steps"]),
    ("both", "d_hs = d_hs[::-1]", "d_hs = d_hs", ["d_hs is wrong at step", ": d_hs = d_hs", "weight_ih_l0_reverse"]),
    ("both", "d_x[::-1] if d_x is not None and reverse", "d_x if reverse", ["dx is wrong, but right where _backward_st"]),
    ("lstm", "reverse else d_x, d_state", "reverse else d_x, d_state[::-1]", ["d_state (h) before", "c) before the first step are wrong, but right where"]),
    ("rnn", "b_x is None else da_x.sum", "b_x is None else da_x[0].sum", ["raises", "bptt.py:"]),
    ("segments", "segment_x = _without_padding(segment_x, segment_valid)", "pass", ["padding contributes: with NaN", "weight_hh_l0"]),
    ("masked", "h_mask * (W_h.T @ da_h)", "W_h.T @ da_h", ["dh is wrong", "(30)"]),
    ("masked", "h_mask is None else h_mask * slots[0][:-1]", "True else 0", ["h_before is wrong", "weight_hh_l0"]),
    ("segments", "in reversed(segments)", "in segments", ["with checkpoint_every=2 it returns a wrong dW_x, dW_h, db"]),
    ("segments", "total += part", "total[...] = part", ["with checkpoint_every=2", "weight_hh_l0"]),
]  # fmt: skip

LAYERS = {
    "rnn": lambda: npseq.RNN(2, 3, rng=0),
    "relu": lambda: npseq.RNN(2, 3, nonlinearity="relu", rng=0),
    "lstm": lambda: npseq.LSTM(2, 3, rng=0),
    "gru": lambda: npseq.GRU(2, 3, rng=0),
    "both": lambda: npseq.LSTM(2, 3, bidirectional=True, rng=0),
    "segments": lambda: npseq.LSTM(2, 3, checkpoint_every=2, rng=0),
    "masked": lambda: npseq.GRU(2, 3, recurrent_dropout=0.4, rng=0),
    "projected": lambda: npseq.LSTM(2, 3, proj_size=2, rng=0),
}
CELLS = {"rnn": "RNNCell", "relu": "ReLURNNCell", "lstm": "LSTMCell", "gru": "GRUCell"}
counter = itertools.count()


def wide(*values):
    return pytest.param(*values, marks=pytest.mark.wide)


def edited(module, folder, *changes, after=None):
    """A copy of a module with lines changed; ``after`` is a text behind which the first match is looked for."""
    source = Path(module.__file__).read_text(encoding="utf-8")
    start = source.index(after) if after else 0
    for old, new in changes:
        assert old in source[start:], old
        source = source[:start] + source[start:].replace(old, new, 1)
    path = folder / f"{module.__name__.rpartition('.')[2]}.py"
    path.write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(f"edited_{next(counter)}", path)
    copy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy)
    return copy


def check(layer, **options):
    return check_layer(layer, T=5, B=4, lengths=[5, 0, 3, 1], **options)


def with_edited_cell(model, folder, old, new, after="def backward"):
    layer = LAYERS[model]()
    module = edited(cells, folder, (old, new), after=f"class {CELLS[model]}")
    layer.cell = getattr(module, CELLS[model])
    layer.through_time = bptt
    return layer


@pytest.mark.wide
@pytest.mark.parametrize("model, old, new, words", CELL_EDITS)
def test_an_edited_line_of_a_cells_backward_is_named(model, old, new, words, tmp_path):
    result = check(with_edited_cell(model, tmp_path, old, new))
    report = str(result)
    assert result.verdict == "wrong" and (result.wrong or result.faults)
    for word in [*words, "cells.py:" if "is wrong" in words[0] else "backward"]:
        assert word in report, (word, result.findings())


@pytest.mark.wide
@pytest.mark.parametrize("model, old, new, words", BPTT_EDITS)
def test_an_edited_line_of_the_recurrence_is_named(model, old, new, words, tmp_path):
    layer = LAYERS[model]()
    layer.through_time = edited(bptt, tmp_path, (old, new))
    result = check(layer, training=model == "masked")
    assert result.verdict == "wrong" and (result.wrong or result.faults)
    for word in words:
        assert word in str(result), (word, result.findings())


# ---- cells of the user's own, with their own gate letters ----

USER_EDITS = [
    ("peephole", "(1 - tanh_c * tanh_c) + da_o", "(1 - tanh_c) + da_o", ["dc is wrong", "p_o_l0"]),
    ("peephole", ' + da_o * own["p_o"]', "", ["dc is wrong"]),
    ("peephole", "dc * c_prev * f * (1 - f)", "dc * c_prev * f", ["da_f (gate f) is wrong", "p_f_l0"]),
    ("peephole", ' + da_f * own["p_f"]', "", ["dc_prev is wrong"]),
    ("peephole", "da_f * c_prev", "da_f * c", ["a wrong dp_f", "p_f_l0"]),
    ("reset_before", "dh_prev + d_reset * r", "dh_prev", ["dh_prev is wrong"]),
    ("reset_before", 'own["W_n"].T @ da_n', 'own["W_n"] @ da_n', ["is wrong in gate r"]),
    ("reset_before", "dz * z * (1 - z)", "dz * z", ["da_z (gate z) is wrong"]),
    ("reset_before", "da_n @ (r * h_prev).T", "da_n @ h_prev.T", ["a wrong dW_n", "W_n_l0"]),
    ("layer_norm", 'own["g_h"], h)', 'own["g_h"], x)', ["da_h, dg_h are wrong"]),
    ("layer_norm", '"b": da.sum', '"b": 2 * da.sum', ["a wrong db", "b_l0 is 2 times what it should be"]),
    ("coupled_gates", "dc * (c_prev - g)", "dc * c_prev", ["df (gate f) is wrong"]),
    ("coupled_gates", "do, dc = dh * tanh_c,", "do, dc = dh,", ["do (gate o) is wrong"]),
    ("coupled_gates", "dc * (1 - f)", "dc * f", ["dg (gate g) is wrong"]),
]


@pytest.mark.wide
@pytest.mark.parametrize("name, old, new, words", USER_EDITS)
def test_an_edited_line_of_a_users_cell_is_named(name, old, new, words, tmp_path):
    module = edited(example(name), tmp_path, (old, new), after="class ")
    result = check_cell(getattr(module, OWN_CELLS[name].__name__), hidden_size=3, batch=2)
    assert result.verdict == "wrong", str(result)
    for word in [*words, f"{OWN_CELLS[name].__name__}.backward", "example_"]:
        assert word in str(result), (word, result.findings())
    assert sum(words[0] in line for line in result.diagnosis) == 1  # not once for the cell and once for the layer


class Scaled:
    """h = tanh(s a + M h'), with a number and a matrix of its own; the cache is a dict."""

    gates, state, own = "h", "h", {"s": "", "M": "H,H"}

    @staticmethod
    def forward(a_x, a_h, state, own):
        a = a_x + a_h
        h = np.tanh(own["s"] * a + own["M"] @ state[0])
        unread = np.tanh(a)
        return (h,), {"h": h, "a": a, "h_prev": state[0], "unread": unread}

    @staticmethod
    def backward(d_state, cache, own):
        dh, h = d_state[0], cache["h"]
        dunread = dh  # nothing reads forward's variable of this name
        db = dunread * (1 - h * h)
        dh = own["M"].T @ db  # h', not h
        return own["s"] * db, own["s"] * db, (dh,), {"s": (db * cache["a"]).sum(), "M": db @ cache["h_prev"].T}


def test_a_cell_whose_backward_uses_other_names_is_right():
    check_cell(Scaled).assert_ok()


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda d, cache, own: (*d[:3], {**d[3], "s": 2 * d[3]["s"]}), "returns a wrong ds, "),
        (lambda d, cache, own: (*d[:3], {**d[3], "M": d[3]["M"].T}), "returns a wrong dM, row "),
        (lambda d, cache, own: (*d[:2], (0 * d[2][0],), d[3]), "returns a wrong dh_prev, unit "),
    ],
)
def test_a_wrong_gradient_of_a_number_or_a_matrix_is_named_and_nothing_else(change, words):
    class Wrong(Scaled):
        @staticmethod
        def backward(d_state, cache, own):
            return change(Scaled.backward(d_state, cache, own), cache, own)

    lines = [line for line in check_cell(Wrong, hidden_size=3).diagnosis if "backward" in line]
    assert len(lines) == 1 and words in lines[0], lines


def test_a_cache_that_is_a_dict_is_seen_to_be_overwritten():
    class Wrong(Scaled):
        @staticmethod
        def backward(d_state, cache, own):
            h = cache["h"]
            h *= h
            return Scaled.backward(d_state, cache, own)

    lines = check_cell(Wrong, hidden_size=3).diagnosis
    assert any("Wrong.backward changes what the cache holds: h, test_edits.py" in line for line in lines), lines
    assert not any("right by themselves" in line for line in lines)


# ---- forward edits ----


@pytest.mark.parametrize(
    "model, old, new, verdict, words",
    [
        wide("lstm", "c = f * c_prev + i * g", "c = f * c_prev + 2 * i * g", "wrong", ["c differs", "(14)", "backward is right"]),
        ("gru", "n = np.tanh(a_xn + r * a_hn)", "n = np.tanh(a_xn + a_hn)", "wrong", ["n differs", "(22)", "backward is right"]),
        ("rnn", "h = np.tanh(a_x + a_h)", "h = np.sin(a_x + a_h)", "wrong", ["is not the RNN's", "h differs", "(9)"]),
        ("lstm", "h = o * tanh_c", "h = o * tanh_c + 0.1", "right", ["right for what forward computes", "the LSTM's", "(15)"]),
        ("lstm", "sigmoid(a_f)", "sigmoid(a_f + 1)", "right", ["right for what forward computes", "f differs", "(13)"]),
        wide("lstm", "(i, f, g, o, c_prev, tanh_c)", "(i, f, g, o, c, tanh_c)", "wrong", ["not forward's c_prev", "c-of-this-step"]),
    ],
)  # fmt: skip
def test_forward_edits_are_told_from_backward_edits(model, old, new, verdict, words, tmp_path):
    result = check(with_edited_cell(model, tmp_path, old, new))
    assert result.verdict == verdict, str(result)
    for word in words:
        assert word in str(result), (word, result.findings())


def test_a_backward_that_is_wrong_for_both_forwards_is_named_too(tmp_path):
    module = edited(cells, tmp_path, ("c = f * c_prev + i * g", "c = f * c_prev + 2 * i * g"), after="class LSTMCell")
    module = edited(module, tmp_path, ("do = dh * tanh_c", "do = dh * o"), after="class LSTMCell")
    layer = LAYERS["lstm"]()
    layer.cell, layer.through_time = module.LSTMCell, bptt
    report = str(check(layer))
    for words in ("forward is not the LSTM's: c differs", "wrong for both forwards", "do (gate o) is wrong, edited_"):
        assert words in report, report


@pytest.mark.parametrize(
    "old, new, words",
    [
        ("else a_x + b_x", "else a_x", ["a_x is wrong at step 0", "(7)"]),
        ("else W_h @ h + b_h", "else W_h @ h - b_h", ["a_h is wrong at step 0", "(8)"]),
        ("np.where(valid[t], new, old)", "new", ["state (h) is wrong", "(38)"]),
    ],
)
def test_an_edited_forward_of_the_recurrence_is_named(old, new, words, tmp_path):
    layer = LAYERS["gru"]()
    layer.through_time = edited(bptt, tmp_path, (old, new))
    result = check(layer)
    case = LayerCase(Case(layer.astype(float), 5, 4, [5, 0, 3, 1]), np.random.default_rng(0))
    report = " ".join(result.findings() + replay.blame(case))
    assert not result.ok or "forward is not the GRU's" in report
    for word in ["forward_through_time is not the recurrence of the equations", *words]:
        assert word in report, (word, report)


# ---- known bugs ----


@pytest.mark.wide
def test_no_known_bug_is_named_for_an_edit_that_is_none():
    for model, old, new in [
        ("lstm", "do = dh * tanh_c", "do = dh * o"),
        ("gru", "dh * z, dh * (1 - z)", "dh * z, dh * z"),
    ]:
        with tempfile.TemporaryDirectory() as folder:
            result = check(with_edited_cell(model, Path(folder), old, new))
        assert not any("equal to the gradient" in line for line in result.diagnosis), result.diagnosis


@pytest.mark.wide
def test_no_known_bug_is_named_when_the_layer_around_the_recurrence_is_edited(monkeypatch):
    backward = Recurrent.backward

    def without_mask(self, tape, *args, **options):
        return backward(self, tape._replace(dropout=[None] * len(tape.dropout)), *args, **options)

    monkeypatch.setattr(Recurrent, "backward", without_mask)
    result = check(npseq.GRU(2, 3, num_layers=2, dropout=0.3, rng=0), training=True)
    assert result.verdict == "wrong"
    assert any("the error is in the layer, nn/recurrent.py" in line for line in result.diagnosis), result.diagnosis
    assert not any("equal to the gradient" in line for line in result.diagnosis), result.diagnosis


@pytest.mark.parametrize(
    "module, model, old, new, bug",
    [
        wide("cells", "lstm", "(np.zeros_like(dh), dc_prev)", "(np.zeros_like(dh), 0 * dc_prev)", "dc-not-carried"),
        wide("cells", "lstm", "dc * c_prev, dc * f", "dc * (f * c_prev + i * g), dc * f", "c-of-this-step"),
        wide("cells", "lstm", "do * o * (1 - o)]", "0 * do]", "gate-not-stored"),
        ("cells", "gru", "da_xn = dn * (1 - n * n)", "da_xn = dn * (1 - np.tanh(n) ** 2)", "tanh-twice"),
        wide("bptt", "gru", "h_before = slots[0][:-1]", "h_before = np.roll(slots[0], -1, 0)[:-1]", "h-of-this-step"),
        ("bptt", "gru", "b_h is None else da_h.sum", "b_h is None else 0 * da_h.sum", "bias-without-gradient"),
    ],
)
def test_an_edit_that_is_a_known_bug_is_named(module, model, old, new, bug, tmp_path):
    if module == "cells":
        layer = with_edited_cell(model, tmp_path, old, new)
    else:
        layer = LAYERS[model]()
        layer.through_time = edited(bptt, tmp_path, (old, new))
    lines = [line for line in check(layer).diagnosis if line.startswith("equal to the gradient")]
    assert lines and lines[0].endswith(f"({bug})"), lines


# ---- the command, on an edited copy of the whole package ----


@pytest.mark.wide
@pytest.mark.parametrize(
    "file, model, old, new, words",
    [
        ("cells.py", "lstm", "df, dc_prev = dc * c_prev,", "df, dc_prev = dc,", ["df (gate f) is wrong, cells.py:", "weight_"]),
        ("bptt.py", "rnn", "dh = W_h.T @ da_h if", "dh = W_h @ da_h if", ["dh is wrong", "bptt.py:", "equation (30)"]),
        ("bptt.py", "gru", "h_mask * (W_h.T @ da_h)", "W_h.T @ da_h", ["recurrent_dropout=0.3", "dh is wrong"]),
        ("bptt.py", "gru", "state, segment_valid, h_mask)\n        d_seg", "state, None, h_mask)\n        d_seg", ["checkpoint="]),
        ("bptt.py", "lstm", "np.add.at(total, x, da", "np.add.at(total, x[::-1], da", ["indices=True", "weight_ih_l0 (W_x, gate", "error in bptt.py, _sum_of_products"]),
        ("fused/kernels.py", "lstm", "add(a, a_x, a)", "add(a, a, a)", ["optimized_lstm", "error in kernels.py, LSTMKernel.forward"]),
    ],
)  # fmt: skip
def test_the_command_names_the_edited_line_of_a_copy(file, model, old, new, words, tmp_path):
    shutil.copytree(Path(npseq.__file__).parent, tmp_path / "npseq", ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path / "npseq" / file
    source = path.read_text(encoding="utf-8")
    assert old in source
    path.write_text(source.replace(old, new), encoding="utf-8")
    command = [sys.executable, "-m", "npseq.gradcheck", "--first", "--model", model, f"optimized_{model}"]
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", env=env)
    assert done.returncode == 1, done.stderr
    for word in words:
        assert word in done.stdout, done.stdout
