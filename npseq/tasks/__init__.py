"""What every task shares, and the tasks that are no forecasts: examples, splits, metrics, what a file keeps."""

from .adding import Adding
from .arrays import Arrays
from .base import Batch, Dataset, Task
from .sequences import SequenceDataset, SequenceTask
from .text import Text

__all__ = ["Adding", "Arrays", "Batch", "Dataset", "SequenceDataset", "SequenceTask", "Task", "Text"]
