"""Arrays read from the outside world: tables, time axes, labelled sequences; and the shipped files."""

from .errors import DataError
from .sequences import Sequences, load_sequences
from .sources import SHIPPED, SHIPPED_SEQUENCES, shipped
from .table import Table, load

__all__ = ["SHIPPED", "SHIPPED_SEQUENCES", "DataError", "Sequences", "Table", "load", "load_sequences", "shipped"]
