"""``python -m npseq.gradcheck``: as ``npseq gradcheck``."""

import sys

from ..cli import main

sys.argv.insert(1, "gradcheck")
sys.exit(main())
