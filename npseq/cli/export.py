"""``npseq export``: a trained model as an ONNX file."""

import os

from ..formats import model_file
from ..formats.onnx import export, needs_double
from . import arguments


def main(argv=None):
    """``npseq export``; -> exit status."""
    p = arguments.Parser(
        prog="npseq export",
        description="Write a trained model as an ONNX file.",
        epilog="example: npseq export rnn_lstm_best.pth --to rnn_lstm.onnx --with-scaler",
    )
    p.add_argument("file", metavar="FILE.pth")
    p.add_argument("--to", required=True, metavar="FILE.onnx")
    p.add_argument("--with-state", action="store_true", help="initial and final states as inputs and outputs")
    p.add_argument("--with-lengths", action="store_true", help="lengths of the sequences as an input")
    p.add_argument("--with-scaler", action="store_true", help="inputs and outputs in the data's own units")
    args = p.parse_args(argv)
    try:
        model = model_file.load_model(args.file)
        export(model, args.to, args.with_state, args.with_lengths, args.with_scaler)
    except (OSError, ValueError) as error:
        p.error(str(error))
    if args.with_scaler and needs_double(model):
        print("x and y are double: float32 cannot hold data so large against their standard deviation")
    print(f"{args.to}: {model.kind}, {model.theta.size:,} parameters, {os.path.getsize(args.to):,} bytes")
    return 0
