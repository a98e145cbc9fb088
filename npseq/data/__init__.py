"""Arrays read from the outside world: tables, time axes, labelled sequences; and the shipped files."""

from .errors import DataError
from .layout import kind_of
from .sequences import Sequences, load_sequences
from .sources import SHIPPED, SHIPPED_SEQUENCES, TableOptions, shipped
from .table import Table, load

__all__ = [
    "SHIPPED",
    "SHIPPED_SEQUENCES",
    "DataError",
    "Sequences",
    "Table",
    "TableOptions",
    "kind_of",
    "load",
    "load_sequences",
    "shipped",
]
