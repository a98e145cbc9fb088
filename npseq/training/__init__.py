"""The training loop and what runs it: scoring in batches, resuming, several processes."""

from . import fit
from .fit import Diverged, Progress
from .scoring import mean_loss, outputs

__all__ = ["Diverged", "Progress", "fit", "mean_loss", "outputs"]
