"""One-line edits of ``cells.py`` and ``bptt.py``: each is called wrong, and the report names what was edited."""

import importlib.util
import itertools
from pathlib import Path

import pytest

import npseq
from npseq import bptt, cells
from npseq.gradcheck import check_layer

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
    ("gru", "np.concatenate([da_r, da_z, da_hn]), (dh", "np.concatenate([da_r, da_z, da_xn]), (dh", ["da_h", "gate n"]),
]
BPTT_EDITS = [
    ("lstm", "h_before = slots[0][:-1] if", "h_before = slots[0][1:] if", ["h_before is wrong", "weight_hh_l0"]),
    ("rnn", "dh = W_h.T @ da_h if", "dh = W_h @ da_h if", ["dh is wrong", "(30)", "step 4"]),
    ("lstm", "dh = W_h.T @ da_h if", "dh = W_h @ da_h if", ["when it computes dh", "(30)"]),
    ("gru", "np.matmul(W_x.T, da_x, out=d_x)", "np.matmul(W_x.T, da_h, out=d_x)", ["dx is wrong", "(34)", "WRONG: worst 4.8e-01 in x"]),
    ("gru", "b_h is None else da_h.sum", "b_h is None else da_x.sum", ["db_h is wrong", "(33)", "bias_hh_l0"]),
    ("gru", "b_x is None else da_x.sum", "b_x is None else da_h.sum", ["db_x is wrong", "(33)", "bias_ih_l0"]),
    ("gru", "W_h=_sum_of_products(da_h, h_before)", "W_h=_sum_of_products(da_x, h_before)", ["dW_h is wrong", "(32)"]),
    ("gru", "W_x=_sum_of_products(da_x, x)", "W_x=_sum_of_products(da_h, x)", ["dW_x is wrong", "(31)"]),
    ("lstm", "+ tuple(d_direct[1:])", "+ tuple(0 * d for d in d_direct[1:])", ["d_state (c) is wrong at step 4"]),
    ("gru", "dh = dh + d_direct[0]", "dh = dh", ["dh is wrong", "step 4"]),
    ("lstm", "d_new = (d_state[0] + d_output,)", "d_new = (d_output,)", ["d_new (h) is wrong", "step 4"]),
    ("gru", "else np.where(valid[t], d_hs[t], 0)", "else d_hs[t]", ["d_output is wrong", "x"]),
    ("lstm", "d_past = tuple(np.where(valid[t], 0, d) for d in d_new)", "d_past = tuple(0 * d for d in d_new)", ["d_past"]),
    ("projected", "d_new = (W_p.T @ d_new[0],)", "d_new = (W_p.T @ d_new[0] / 2,)", ["d_new (h) is wrong", "(41)"]),
    ("projected", "d_projected[t] = d_new[0]", "d_projected[t] = 2 * d_new[0]", ["dW_p is wrong", "(41)", "weight_hr_l0"]),
    ("lstm", "for t in reversed(range(n)):", "for t in reversed(range(1, n)):", ["backward raises"]),
]  # fmt: skip

LAYERS = {
    "rnn": lambda: npseq.RNN(2, 3, rng=0),
    "relu": lambda: npseq.RNN(2, 3, nonlinearity="relu", rng=0),
    "lstm": lambda: npseq.LSTM(2, 3, rng=0),
    "gru": lambda: npseq.GRU(2, 3, rng=0),
    "projected": lambda: npseq.LSTM(2, 3, proj_size=2, rng=0),
}
CELLS = {"rnn": "RNNCell", "relu": "ReLURNNCell", "lstm": "LSTMCell", "gru": "GRUCell"}
counter = itertools.count()


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


@pytest.mark.parametrize("model, old, new, words", CELL_EDITS)
def test_an_edited_line_of_a_cells_backward_is_named(model, old, new, words, tmp_path):
    result = check(with_edited_cell(model, tmp_path, old, new))
    report = str(result)
    print(result.wrong_arrays(), *result.findings(), sep="\n")
    assert result.verdict == "wrong" and result.wrong
    for word in [*words, "cells.py:" if "is wrong" in words[0] else "backward"]:
        assert word in report, (word, result.findings())


@pytest.mark.parametrize("model, old, new, words", BPTT_EDITS)
def test_an_edited_line_of_the_recurrence_is_named(model, old, new, words, tmp_path):
    layer = LAYERS[model]()
    layer.through_time = edited(bptt, tmp_path, (old, new))
    result = check(layer)
    print(result.wrong_arrays(), *result.findings(), sep="\n")
    assert result.verdict == "wrong" and result.wrong
    for word in words:
        assert word in str(result), (word, result.findings())
