"""Keep freed arrays for the next step instead of returning them to the system.

glibc maps each array above a bound of 128 KiB by itself and unmaps it when it is freed, so the next array of that size
gets new pages, each with a page fault: 380 of them in an update of the default LSTM, and a third of its time. Whenever
glibc frees a mapped block it raises the bound to the block's size, up to 32 MiB, and keeps twice as much freed memory
(mallopt(3), M_MMAP_THRESHOLD). So one large block, made and freed, is enough; its pages are never touched. With other C
libraries nothing changes.
"""

from __future__ import annotations

import numpy as np

LARGEST = (32 << 20) - (64 << 10)  # bytes; with malloc's own header still below the 32 MiB


def keep_freed_memory() -> None:
    """Have malloc reuse freed arrays of up to 32 MiB in this process."""
    np.empty(LARGEST, np.uint8)
