"""The LSTM with coupled gates: its input gate is one minus the forget gate, i = 1 − f. It has no parameters of its own.

    c = f ⊙ c' + (1 − f) ⊙ g,   h = o ⊙ tanh(c)

Variant CIFG of Greff et al., "LSTM: a search space odyssey", IEEE Trans. Neural Networks and Learning Systems 28, 2017
(arXiv 1503.04069v2), here without peepholes; the paper writes f = 1 − i. Three gate blocks instead of four: a quarter
fewer parameters. ``npseq train --cell examples/coupled_gates.py`` trains it.
"""

import numpy as np

from npseq.cells import gate_blocks, sigmoid


class CoupledCell:
    gates, state = "fgo", "hc"

    @staticmethod
    def forward(a_x, a_h, state):
        _, c_prev = state
        a_f, a_g, a_o = gate_blocks(a_x + a_h, "fgo")
        f, g, o = sigmoid(a_f), np.tanh(a_g), sigmoid(a_o)
        c = f * c_prev + (1 - f) * g
        tanh_c = np.tanh(c)
        return (o * tanh_c, c), (f, g, o, c_prev, tanh_c)

    @staticmethod
    def backward(d_state, cache):
        (dh, dc), (f, g, o, c_prev, tanh_c) = d_state, cache
        do, dc = dh * tanh_c, dc + dh * o * (1 - tanh_c * tanh_c)
        df, dg = dc * (c_prev - g), dc * (1 - f)
        da = np.concatenate([df * f * (1 - f), dg * (1 - g * g), do * o * (1 - o)])
        return da, da, (np.zeros_like(dh), dc * f)
