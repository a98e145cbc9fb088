"""What every task shares, and the tasks that are no forecasts.

``base.py`` has the base class ``Task``; ``seen.py`` tells rows and sequences that a model was trained on from new ones;
``recipe.py`` and ``metadata.py`` hold what a weights file keeps; ``scoring.py`` and ``metrics.py`` score. The tasks are
``sequences.py``, ``text.py``, ``adding.py`` and ``arrays.py``; forecasts are in ``npseq/forecast/``.
"""

from .adding import Adding
from .arrays import Arrays
from .base import Batch, Dataset, Task
from .sequences import SequenceDataset, SequenceTask
from .text import Text

__all__ = ["Adding", "Arrays", "Batch", "Dataset", "SequenceDataset", "SequenceTask", "Task", "Text"]
