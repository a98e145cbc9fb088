"""What every task shares, and the tasks that are no forecasts: examples, splits, metrics, what a file keeps."""

from .adding import Adding
from .base import Batch, Task
from .classification import Classification, Frames
from .labelling import LabelledFrames, Labelling
from .regression import NumberedFrames, SequenceRegression
from .text import Text

__all__ = [
    "Adding",
    "Batch",
    "Classification",
    "Frames",
    "LabelledFrames",
    "Labelling",
    "NumberedFrames",
    "SequenceRegression",
    "Task",
    "Text",
]
