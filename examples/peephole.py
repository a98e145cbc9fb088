"""The LSTM with peepholes: its gates also read the cell state, each unit its own, through the vectors p_i, p_f, p_o.

    i, f = σ(a_x + a_h + p ⊙ c'),   c = f ⊙ c' + i ⊙ tanh(a_g),   o = σ(a_x + a_h + p_o ⊙ c),   h = o ⊙ tanh(c)

Gers, Schraudolph & Schmidhuber, "Learning precise timing with LSTM recurrent networks", JMLR 3, 2002; the P of ONNX's
LSTM. ``npseq gradcheck --cell examples/peephole.py`` checks it, ``npseq train --cell examples/peephole.py`` trains it.
"""

import numpy as np

from npseq.cells import gate_blocks, sigmoid


class PeepholeCell:
    gates, state = "ifgo", "hc"
    own, own_init = {"p_i": "H", "p_f": "H", "p_o": "H"}, {"p_i": 0.0, "p_f": 0.0, "p_o": 0.0}

    @staticmethod
    def forward(a_x, a_h, state, own):
        _, c_prev = state
        a_i, a_f, a_g, a_o = gate_blocks(a_x + a_h, "ifgo")
        i, f, g = sigmoid(a_i + own["p_i"] * c_prev), sigmoid(a_f + own["p_f"] * c_prev), np.tanh(a_g)
        c = f * c_prev + i * g
        o, tanh_c = sigmoid(a_o + own["p_o"] * c), np.tanh(c)
        return (o * tanh_c, c), (i, f, g, o, c_prev, c, tanh_c)

    @staticmethod
    def backward(d_state, cache, own):
        (dh, dc), (i, f, g, o, c_prev, c, tanh_c) = d_state, cache
        da_o = dh * tanh_c * o * (1 - o)
        dc = dc + dh * o * (1 - tanh_c * tanh_c) + da_o * own["p_o"]
        da_i, da_f, da_g = dc * g * i * (1 - i), dc * c_prev * f * (1 - f), dc * i * (1 - g * g)
        dc_prev = dc * f + da_i * own["p_i"] + da_f * own["p_f"]
        d_own = {"p_i": da_i * c_prev, "p_f": da_f * c_prev, "p_o": da_o * c}
        da = np.concatenate([da_i, da_f, da_g, da_o])
        return da, da, (np.zeros_like(dh), dc_prev), {name: d.sum(1, keepdims=True) for name, d in d_own.items()}
