"""What is learned and how it is scored: examples from data, scaling, metrics, baselines, forecasts of several steps."""

from .adding import Adding
from .base import Batch, Task
from .classification import Classification, Frames
from .forecast import Forecast
from .labelling import LabelledFrames, Labelling
from .pandas_frames import predict_frame
from .regression import NumberedFrames, SequenceRegression
from .streaming import ForecastStream
from .text import Text
from .windows import Windows

__all__ = [
    "Adding",
    "Batch",
    "Classification",
    "Forecast",
    "ForecastStream",
    "Frames",
    "LabelledFrames",
    "Labelling",
    "NumberedFrames",
    "SequenceRegression",
    "Task",
    "Text",
    "Windows",
    "predict_frame",
]
