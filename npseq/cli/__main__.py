"""``python -m npseq.cli``: as ``npseq``."""

import sys

from . import main

sys.exit(main())
