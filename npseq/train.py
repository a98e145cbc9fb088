"""The documented command: ``cd npseq; python train.py --model lstm --epochs 10``.

Trains a model, shows it beside honest baselines on the same test rows, and keeps the best weights in
``rnn_{model}_best.pth``. Also ``python -m npseq.train`` and ``npseq train``.
"""

import os
import sys

if __name__ == "__main__" and not __package__:  # run as a script: this checkout's package, not the folder it stands in
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

if __name__ == "__main__":
    from npseq.cli import interrupt

    interrupt.watch()

from npseq.cli.commands import run
from npseq.cli.training_run import main, parser

__all__ = ["main", "parser"]

if __name__ == "__main__":
    sys.exit(run(main, "npseq train"))
