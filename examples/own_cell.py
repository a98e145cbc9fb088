"""A cell of your own: the LSTM with coupled gates, i = 1 − f, checked, trained and compared by npseq's own machinery.

    python examples/own_cell.py --epochs 10

takes the options of ``npseq train``. The cell is variant CIFG of Greff et al., "LSTM: a search space odyssey", IEEE
Trans. Neural Networks and Learning Systems 28, 2017 (arXiv 1503.04069v2), here without peepholes; the paper writes
f = 1 − i. What is forgotten makes room for what is new: three gate blocks in place of four, a quarter fewer parameters.

What a cell may be: any element-wise function of a_x = W_x x + b_x, a_h = W_h h' + b_h and the state before (the
contract is in ``npseq/cells.py``). A cell that multiplies h' by a gate in front of W_h, such as the reset-before GRU or
the minimal gated unit, needs a second product within the step and is outside it, by design.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this checkout's npseq, installed or not

from npseq import train
from npseq.cells import gate_blocks, sigmoid
from npseq.gradcheck import check_layer
from npseq.layers import Recurrent
from npseq.nn.registry import MODELS


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


class CoupledLSTM(Recurrent):
    cell = CoupledCell


def main(argv=None):
    result = check_layer(CoupledLSTM(3, 4, num_layers=2, bidirectional=True), lengths=[7, 0, 3])
    result.assert_ok()
    print(f"gradient    agrees with the complex step to {result.threshold:.0e}", flush=True)
    MODELS["coupled_lstm"] = CoupledLSTM  # from here on a name that --model takes
    return train.main(["--model", "coupled_lstm", *(sys.argv[1:] if argv is None else argv)])


if __name__ == "__main__":
    sys.exit(main())
