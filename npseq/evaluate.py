"""``npseq evaluate``: see ``predict.py``, which has both commands."""

import sys

from .predict import evaluate_main as main

if __name__ == "__main__":
    sys.exit(main())
