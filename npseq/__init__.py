"""npseq: RNN, LSTM and GRU in NumPy, with backpropagation through time written by hand.

Reading order: ``cells.py`` (one step and its derivative), ``bptt.py`` (carried through time), ``fused/`` (the same,
fast), ``nn/recurrent.py`` and ``nn/layers.py`` (torch-shaped layers), ``nn/losses.py``, ``nn/model.py``, ``optim.py``,
``training/fit.py``; ``gradcheck/checks.py`` proves the gradients.

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

from typing import TYPE_CHECKING

from ._lazy import getter
from ._version import __version__

__all__ = [
    # layers and models
    "RNN", "LSTM", "GRU", "OptimizedRNN", "OptimizedLSTM", "OptimizedGRU", "Linear", "Embedding",
    "Model", "Module", "Sequential", "Forecaster",
    # a model in a file
    "load", "save", "sample",
    # modules
    "baselines", "bptt", "c", "cells", "checkpoint", "data", "explain", "features", "fit", "forecast", "fused",
    "gradcheck", "layers", "losses", "nn", "onnx", "optim", "parallel", "rtrl", "tasks", "training",
    "__version__",
]  # fmt: skip

_PLACES = {  # of the names that are no modules
    **dict.fromkeys(__all__[:6], "nn.layers"),
    "Linear": "nn.linear",
    "Embedding": "nn.linear",
    "Model": "nn.model",
    "Module": "nn.module",
    "Sequential": "nn.sequential",
    "Forecaster": "forecast.forecaster",
    "load": "formats.model_file:load_model",
    "save": "formats.model_file:save_model",
    "sample": "tasks.text_samples",
}

_OPTIONAL = ("estimators",)  # public modules that need a package of an extra; ``from npseq import *`` leaves them out

if TYPE_CHECKING:  # what ``__getattr__`` imports
    from . import (
        baselines,
        bptt,
        c,
        cells,
        checkpoint,
        data,
        explain,
        features,
        fit,
        forecast,
        fused,
        gradcheck,
        layers,
        losses,
        nn,
        onnx,
        optim,
        parallel,
        rtrl,
        tasks,
        training,
    )
    from . import estimators as estimators
    from .forecast.forecaster import Forecaster
    from .formats.model_file import load_model as load
    from .formats.model_file import save_model as save
    from .nn.layers import GRU, LSTM, RNN, OptimizedGRU, OptimizedLSTM, OptimizedRNN
    from .nn.linear import Embedding, Linear
    from .nn.model import Model
    from .nn.module import Module
    from .nn.sequential import Sequential
    from .tasks.text_samples import sample
else:
    __getattr__ = getter(__name__, _PLACES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_OPTIONAL})
