"""Arrays read from the outside world: tables, time axes, labelled sequences; and the shipped files."""

from .table import SHIPPED, SHIPPED_SEQUENCES, Sequences, Table, load, load_sequences, shipped
from .text_table import DataError
