"""The training loop and what runs it: resuming, several processes."""

from ..tasks.scoring import mean_loss, outputs
from . import fit
from .fit import Diverged, Progress

__all__ = ["Diverged", "Progress", "fit", "mean_loss", "outputs"]
