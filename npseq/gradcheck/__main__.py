"""``python -m npseq.gradcheck``: as ``npseq gradcheck``."""

import sys

from ..cli import main

sys.exit(main(["gradcheck", *sys.argv[1:]]))
