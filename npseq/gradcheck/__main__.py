"""``python -m npseq.gradcheck``: as ``npseq gradcheck``."""

import os
import sys

from ..cli import main
from ..status import INTERRUPTED

status = main(["gradcheck", *sys.argv[1:]])
if status == INTERRUPTED:  # Python would end by the signal if it came while text was executed, as named tuples do
    sys.stdout.flush()
    os._exit(status)
sys.exit(status)
