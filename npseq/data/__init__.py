"""Arrays read from the outside world.

``load.py`` reads a ``Table`` (``table.py``), ``panel_reader.py`` a ``Panel`` of many series (``panel.py``),
``sequences.py`` labelled sequences, ``corpus.py`` texts. ``sources.py`` finds and opens the source, also shipped files;
``roles.py`` decides what each column is, ``time_axis.py`` puts rows in time order, ``missing.py`` fills gaps.
"""

from .archives import label_of
from .corpus import Corpus, Vocabulary, load_corpus
from .errors import DataError
from .generated import many
from .layout import kind_of
from .load import load, load_series
from .panel import Panel
from .sequences import Sequences, load_sequences
from .sources import SHIPPED, SHIPPED_SEQUENCES, SHIPPED_TEXTS, TableOptions, shipped
from .table import Table

__all__ = [
    "SHIPPED",
    "SHIPPED_SEQUENCES",
    "SHIPPED_TEXTS",
    "Corpus",
    "DataError",
    "Panel",
    "Sequences",
    "Table",
    "TableOptions",
    "Vocabulary",
    "kind_of",
    "label_of",
    "load",
    "load_corpus",
    "load_sequences",
    "load_series",
    "many",
    "shipped",
]
