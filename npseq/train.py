"""The documented command: ``cd npseq; python train.py --model lstm --epochs 10``.

Trains a model, shows it beside honest baselines on the same test rows, and keeps the best weights in
``rnn_{model}_best.pth``. Also ``python -m npseq.train`` and ``npseq train``.
"""

import os
import sys

if __name__ == "__main__":
    if not __package__:  # run as a script: this checkout's package, not the folder it stands in
        sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    from npseq import cli

    sys.argv.insert(1, "train")
    sys.exit(cli.main())

from npseq.cli.training_run import main, parser

__all__ = ["main", "parser"]
