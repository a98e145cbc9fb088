"""``python -m npseq SUBCOMMAND``."""

import sys

from .cli.commands import main

sys.exit(main())
