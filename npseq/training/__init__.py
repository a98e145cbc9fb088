"""The training loop and what runs it.

``config.py`` has the options and their defaults by task (``DEFAULTS``, the window among them); ``fit.py`` is the loop;
``run.py`` makes model, optimiser and schedule; ``resume.py`` continues a run; ``mpi.py`` shares it between processes.
"""

from ..tasks.scoring import mean_loss, outputs
from . import fit
from .config import TrainingConfig
from .fit import Diverged, Progress
from .run import TrainingRun

__all__ = ["Diverged", "Progress", "TrainingConfig", "TrainingRun", "fit", "mean_loss", "outputs"]
