"""A cell of your own in a program: checked, given a name, and trained like npseq's models. The cell is in
``coupled_gates.py``.

    python examples/own_cell.py --epochs 10

takes the options of ``npseq train``. Without a program: ``npseq train --cell examples/coupled_gates.py --epochs 10``.
"""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]  # this checkout's npseq

from coupled_gates import CoupledCell

from npseq import train
from npseq.gradcheck import check_layer
from npseq.layers import Recurrent
from npseq.nn.registry import register


class CoupledLSTM(Recurrent):
    cell = CoupledCell


def main(argv=None):
    result = check_layer(CoupledLSTM(3, 4, num_layers=2, bidirectional=True), lengths=[7, 0, 3])
    result.assert_ok()
    print(f"gradient    agrees with the complex step to {result.threshold:.0e}", flush=True)
    register("coupled_lstm", CoupledLSTM)  # from here on a name that --model takes, and that weights files may hold
    return train.main(["--model", "coupled_lstm", *(sys.argv[1:] if argv is None else argv)])


if __name__ == "__main__":
    sys.exit(main())
