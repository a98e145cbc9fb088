"""``npseq inspect FILE.pth``: what a weights file holds, without running anything in it."""

import json

import numpy as np

from ..formats import checkpoint
from . import arguments

MOST = 200  # lines of content that are shown


def lines_of(value, name="", depth=0):
    """One line for each array and plain value of a nesting, by its path."""
    if isinstance(value, np.ndarray):
        yield f"{name:48} {str(value.dtype):10} {str(tuple(value.shape)):18} {value.size:>10,}"
    elif isinstance(value, (dict, list, tuple)) and depth < 8:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        if not value:
            yield f"{name:48} empty {type(value).__name__}"
        for key, item in items:
            yield from lines_of(item, f"{name}.{key}" if name else str(key), depth + 1)
    else:
        shown = repr(value)
        yield f"{name:48} {shown[:60]}{'…' if len(shown) > 60 else ''}"


def main(argv=None):
    """-> exit status."""
    p = arguments.Parser(
        prog="npseq inspect",
        description="Show what a .pth file holds, without running anything in it.",
        epilog="example: npseq inspect rnn_lstm_best.pth",
    )
    p.add_argument("file", metavar="FILE.pth")
    p.add_argument("--all", action="store_true", help=f"every entry, however many; default: the first {MOST}")
    args = p.parse_args(argv)
    try:
        file = checkpoint.load(args.file)
    except (OSError, ValueError) as error:
        p.error(str(error))
    print(f"{'name':48} {'dtype':10} {'shape':18} {'elements':>10}")
    for count, line in enumerate(lines_of(file.content)):
        if count == MOST and not args.all:
            print("… more (--all)")
            break
        print(line)
    print(
        f"\n{len(file.state_dict)} tensors in the state_dict, {sum(a.size for a in file.state_dict.values()):,} "
        "parameters"
    )
    if file.passed_over:
        print(f"passed over unread: {', '.join(file.passed_over)}")
    if file.metadata is not None:
        print("\nnpseq's own metadata")
        for name, value in file.metadata.items():
            text = json.dumps(value)
            print(f"  {name:20} {text[:96]}{'…' if len(text) > 96 else ''}")
    return 0
