"""npseq: RNN, LSTM and GRU in NumPy, with backpropagation through time written by hand.

Reading order: ``cells.py`` (one step and its derivative), ``bptt.py`` (carried through time), ``fused/`` (the same,
fast), ``recurrent.py`` and ``layers.py`` (torch-shaped layers), ``losses.py``, ``model.py``, ``optim.py``, ``fit.py``.

Letters, everywhere:

    T time steps    B sequences in the batch    I input features    H hidden units    P projection size
    L layers        D directions (1 or 2)       G gate blocks: RNN 1, GRU 3 (r z n), LSTM 4 (i f g o)

    x input    h hidden state    c cell state    y output    a pre-activation: a_x = W_x x + b_x, a_h = W_h h + b_h
    d + name   the gradient of the loss with respect to that name, of the same shape
    theta      all parameters as one flat vector

Outside (layers, models) arrays have torch's shapes, x (T, B, I) or (B, T, I) and states (L·D, B, H); inside (cells,
bptt, fused) there is one column per sequence: x_t (I, B), h_t (H, B). Names that end in ``_prev`` belong to the step
before.
"""

from . import _interrupt  # noqa: F401 # isort: skip  (first: it handles Ctrl-C during the imports below)

import importlib
import sys
from typing import TYPE_CHECKING

from . import optim
from ._aliases import Aliases
from ._version import __version__
from .formats import checkpoint
from .formats.model_file import load_model as load
from .formats.model_file import save_model as save
from .nn import layers, losses
from .nn.layers import GRU, LSTM, RNN, OptimizedGRU, OptimizedLSTM, OptimizedRNN
from .nn.linear import Embedding, Linear
from .nn.model import Model

__all__ = [
    # layers and models
    "RNN",
    "LSTM",
    "GRU",
    "OptimizedRNN",
    "OptimizedLSTM",
    "OptimizedGRU",
    "Linear",
    "Embedding",
    "Model",
    "Forecaster",
    # a model in a file
    "load",
    "save",
    "sample",
    # modules
    "checkpoint",
    "layers",
    "losses",
    "optim",
    # modules that are imported on first access
    "baselines",
    "bptt",
    "c",
    "cells",
    "data",
    "explain",
    "features",
    "fit",
    "forecast",
    "fused",
    "gradcheck",
    "onnx",
    "parallel",
    "rtrl",
    "tasks",
    "training",
    "__version__",
]

# Public names of modules -> where they are. ``import npseq.losses`` and ``from npseq.losses import mse`` work too.
_PUBLIC = {
    "baselines": "forecast.baselines",
    "c": "formats.c",
    "checkpoint": "formats.checkpoint",
    "features": "forecast.features",
    "fit": "training.fit",
    "layers": "nn.layers",
    "losses": "nn.losses",
    "onnx": "formats.onnx",
    "parallel": "training.mpi",
    "rtrl": "gradcheck.rtrl",
}
sys.meta_path.append(Aliases(__name__, _PUBLIC))
_LATER = {"Forecaster": ".forecast.forecaster", "sample": ".tasks.text_samples"}  # names that are no modules
_OPTIONAL = ("estimators",)  # public modules that need a package of an extra; ``from npseq import *`` leaves them out

if TYPE_CHECKING:  # what ``__getattr__`` imports; for a type checker each module of ``_PUBLIC`` is a NAME.pyi
    from . import (
        baselines,
        bptt,
        c,
        cells,
        data,
        explain,
        features,
        fit,
        forecast,
        fused,
        gradcheck,
        onnx,
        parallel,
        rtrl,
        tasks,
        training,
    )
    from . import estimators as estimators
    from .forecast.forecaster import Forecaster
    from .tasks.text_samples import sample
else:

    def __getattr__(name):
        """What the layers and models do not need is imported on first access, so that ``import npseq`` is fast."""
        if name in _LATER:
            return getattr(importlib.import_module(_LATER[name], __name__), name)
        if name in __all__ or name in _OPTIONAL:
            return importlib.import_module("." + name, __name__)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_OPTIONAL})
