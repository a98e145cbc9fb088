"""The GRU that resets before the product, n = tanh(a_xn + W_n (r ⊙ h')): the function of arXiv 1406.1078v3.

npseq's GRU resets after it, as torch's and cuDNN's do; the weights of one are of no use in the other. W_n and b_n are
parameters of the cell, and the block n of W_h and b_h is not read. ONNX has it as linear_before_reset = 0, Keras as
reset_after=False, with 1 − z for our z.
"""

import numpy as np

from npseq.cells import gate_blocks, sigmoid


class ResetBeforeCell:
    gates, state = "rzn", "h"
    own = {"W_n": "H,H", "b_n": "H"}

    @staticmethod
    def forward(a_x, a_h, state, own):
        (h_prev,) = state
        (a_r, a_z, _), a_xn = gate_blocks(a_x + a_h, "rzn"), gate_blocks(a_x, "rzn")[2]
        r, z = sigmoid(a_r), sigmoid(a_z)
        n = np.tanh(a_xn + own["W_n"] @ (r * h_prev) + own["b_n"])
        return ((1 - z) * h_prev + z * n,), (r, z, n, h_prev)

    @staticmethod
    def backward(d_state, cache, own):
        (dh,), (r, z, n, h_prev) = d_state, cache
        dz, dn, dh_prev = dh * (n - h_prev), dh * z, dh * (1 - z)
        da_n = dn * (1 - n * n)
        d_reset = own["W_n"].T @ da_n  # of r ⊙ h'
        dr, dh_prev = d_reset * h_prev, dh_prev + d_reset * r
        da_r, da_z = dr * r * (1 - r), dz * z * (1 - z)
        d_own = {"W_n": da_n @ (r * h_prev).T, "b_n": da_n.sum(1, keepdims=True)}
        da_x = np.concatenate([da_r, da_z, da_n])
        return da_x, np.concatenate([da_r, da_z, np.zeros_like(da_n)]), (dh_prev,), d_own
