"""The optimized schedule of the recurrences: the two functions of ``bptt.py`` again, in an order made for speed."""

from .through_time import backward_through_time, forward_through_time

__all__ = ["backward_through_time", "forward_through_time"]
