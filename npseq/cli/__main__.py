"""``python -m npseq.cli``: as ``npseq``."""

import sys

from .commands import main

sys.exit(main())
