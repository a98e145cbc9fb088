"""The optimized schedule of the recurrences of ``bptt.py``: the same two functions, the same numbers."""

from .bptt import backward_through_time, forward_through_time  # noqa: F401
