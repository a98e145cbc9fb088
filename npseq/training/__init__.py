"""The training loop and what runs it: configuration, resuming, several processes."""

from ..tasks.scoring import mean_loss, outputs
from . import fit
from .config import TrainingConfig
from .fit import Diverged, Progress
from .run import TrainingRun

__all__ = ["Diverged", "Progress", "TrainingConfig", "TrainingRun", "fit", "mean_loss", "outputs"]
