"""Weights of others: what the names and shapes of torch's say about a layer, and Keras's under torch's names.

Keras has another order of the gates, transposes and other biases:

| | Keras 3 | torch and npseq |
|---|---|---|
| kernel | ``kernel`` (I, G·H) | ``weight_ih`` (G·H, I) |
| recurrent kernel | ``recurrent_kernel`` (H, G·H) | ``weight_hh`` (G·H, H) |
| biases | one (G·H,); GRU (2, 3H): input, recurrent | ``bias_ih`` and ``bias_hh`` (G·H,) |
| gates of the LSTM | i f c o | i f g o |
| gates of the GRU | z r h | r z n |

In both, z of the GRU keeps the old state: h = z ⊙ h' + (1 − z) ⊙ n. (``layers.GRU.params`` has npseq's z, 1 − z.)
``reset_after=True``, the default of Keras 3, applies the reset gate after the product, as torch and npseq do.

Source: Keras 3.15, ``keras/src/layers/rnn``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .layers import GRU, LSTM, RNN, OptimizedGRU, OptimizedLSTM, OptimizedRNN
from .parameters import undrawn
from .recurrent import Recurrent

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["from_keras_weights", "from_state_dict"]

_RECURRENT_NAME = re.compile(r"(weight_(ih|hh|hr)|bias_(ih|hh))_l\d+(_reverse)?|[hc]_0")
GATES = {"simplernn": 1, "rnn": 1, "lstm": 4, "gru": 3}


def from_state_dict(
    mapping: Mapping[str, ArrayLike], prefix: str = "", optimized: bool = False, nonlinearity: str = "tanh"
) -> Recurrent:
    """Return the layer whose parameters are in ``mapping`` under ``prefix``.

    Kind, sizes, number of layers, directions, bias, projection and learned initial state follow from the names and
    shapes; other names are ignored.

    Args:
        mapping: name -> array, in torch's names and convention.
        prefix: of the names of the layer's parameters.
        optimized: return the optimized twin.
        nonlinearity: of an RNN. It is not recorded in a state_dict: pass ``"relu"`` if the RNN used relu.

    Returns:
        An ``RNN``, ``LSTM`` or ``GRU``, or with ``optimized`` its twin, in float64 if the arrays are, in complex128 if
        they are complex, else in float32.

    Raises:
        ValueError: if there is no such layer under the prefix, or its shapes do not fit together.
    """
    sizes = sizes_in(mapping, prefix)
    kinds = {1: RNN, 3: GRU, 4: LSTM}
    H, rows = sizes["hidden_size"], sizes.pop("rows")
    if H == 0 or rows % H or rows // H not in kinds:
        raise ValueError(
            f"{prefix}weight_hh_l0 is {np.shape(mapping[prefix + 'weight_hh_l0'])}: {H} units need {H}, {3 * H} or "
            f"{4 * H} rows (RNN, GRU, LSTM)"
        )
    kind = kinds[rows // H]
    if optimized:
        kind = {RNN: OptimizedRNN, GRU: OptimizedGRU, LSTM: OptimizedLSTM}[kind]
    own = {name[len(prefix) :]: np.asarray(value) for name, value in mapping.items() if _is_recurrent(name, prefix)}
    given = own["weight_ih_l0"].dtype
    with undrawn():
        layer: Recurrent = kind(
            dtype=np.complex128 if given.kind == "c" else np.float64 if given == np.float64 else np.float32,
            **sizes,
            **({"nonlinearity": nonlinearity} if issubclass(kind, RNN) else {}),
        )
    layer.load_state_dict(own)
    return layer


def from_keras_weights(
    weights: Sequence[ArrayLike],
    kind: str,
    reset_after: bool = True,
    optimized: bool = False,
    nonlinearity: str = "tanh",
) -> Recurrent:
    """Return the layer that computes what a Keras layer computes: ``layer(x)`` with x (B, T, I), as in Keras.

    Args:
        weights: ``keras_layer.get_weights()`` of a ``SimpleRNN``, ``LSTM`` or ``GRU``, or of a ``Bidirectional`` around
            one, whose outputs then stand side by side (``merge_mode="concat"``).
        kind: ``"SimpleRNN"``, ``"LSTM"`` or ``"GRU"``.
        reset_after: of the Keras GRU.
        optimized: return the optimized twin.
        nonlinearity: ``"tanh"`` or ``"relu"``, of a SimpleRNN. Of the others the activations must be Keras's defaults.

    Returns:
        A layer with ``batch_first=True``, in float64 if the arrays are, else in float32.

    Raises:
        ValueError: for ``reset_after=False``, which is another function, or arrays of another number or other shapes.
    """
    layer = from_state_dict(state_dict_of_keras(weights, kind, reset_after), "", optimized, nonlinearity)
    layer.batch_first = True
    return layer


def sizes_in(mapping: Mapping[str, ArrayLike], prefix: str = "") -> dict[str, Any]:
    """Return the sizes and options of the recurrent layer in ``mapping``, of any cell, from the names and shapes.

    Returns:
        the arguments of a ``Recurrent``, and ``rows``, the number of rows of W_h: G·H.

    Raises:
        ValueError: if there is no such layer under the prefix.
    """
    names = {name[len(prefix) :] for name in mapping if _is_recurrent(name, prefix)}
    W_x, W_h, W_p = (
        np.asarray(mapping[prefix + name]) if name in names else None
        for name in ("weight_ih_l0", "weight_hh_l0", "weight_hr_l0")
    )
    if W_x is None or W_h is None or any(W is not None and W.ndim != 2 for W in (W_x, W_h, W_p)):
        raise ValueError(
            f"no recurrent layer under the prefix {prefix!r}: matrices {prefix}weight_ih_l0 and {prefix}weight_hh_l0 "
            f"expected, {', '.join(list(mapping)[:8]) or 'nothing'} given"
        )
    return {
        "input_size": W_x.shape[1],
        "hidden_size": W_h.shape[1] if W_p is None else W_p.shape[1],
        "num_layers": sum(name.startswith("weight_hh_l") and not name.endswith("_reverse") for name in names),
        "bias": "bias_ih_l0" in names,
        "bidirectional": "weight_ih_l0_reverse" in names,
        "proj_size": 0 if W_p is None else len(W_p),
        "learn_initial_state": "h_0" in names,
        "rows": len(W_h),
    }


def _is_recurrent(name: str, prefix: str) -> bool:
    """True if a name under the prefix is one of the parameters of npseq's layers."""
    return name.startswith(prefix) and _RECURRENT_NAME.fullmatch(name[len(prefix) :]) is not None


def state_dict_of_keras(weights: Sequence[ArrayLike], kind: str, reset_after: bool = True) -> dict[str, np.ndarray]:
    """Return ``weight_ih_l0``, … in torch's shapes, order and convention.

    Args:
        weights: ``get_weights()`` of a Keras layer: kernel, recurrent kernel and, with ``use_bias``, bias; of a
            ``Bidirectional`` around one, forward then backward.
        kind: ``"SimpleRNN"``, ``"LSTM"`` or ``"GRU"``, in any case of letters.
        reset_after: of the GRU.

    Raises:
        ValueError: for ``reset_after=False``, which is another function, or arrays of another number or other shapes.
    """
    name = kind.lower().replace("_", "")
    if name not in GATES:
        raise ValueError(f"kind {kind!r} given; 'SimpleRNN', 'LSTM' or 'GRU' expected")
    if name == "gru" and not reset_after:
        raise ValueError(
            "reset_after=False is another function (the reset gate acts before the product, Cho et al. 2014, arXiv "
            "1406.1078v3), which npseq's GRU cannot express: train with reset_after=True"
        )
    arrays = [np.asarray(array) for array in weights]
    count = {2: 2, 3: 3, 4: 2, 6: 3}.get(len(arrays))
    if count is None:
        shapes = ", ".join(str(array.shape) for array in arrays) or "nothing"
        raise ValueError(
            f"arrays of the shapes {shapes} given; kernel (I, G·H), recurrent kernel (H, G·H) and bias expected, or "
            "those of two directions"
        )
    state = {}
    for suffix, start in (("_l0", 0), ("_l0_reverse", count)):
        if start < len(arrays):
            state.update(_direction(arrays[start : start + count], suffix, name))
    return state


def _direction(arrays: list[np.ndarray], suffix: str, name: str) -> dict[str, np.ndarray]:
    """The arrays of one direction."""
    kernel, recurrent, *bias = arrays
    rows = GATES[name] * (recurrent.shape[0] if recurrent.ndim == 2 else 0)
    bias_shape = (2, rows) if name == "gru" else (rows,)
    if kernel.ndim != 2 or recurrent.ndim != 2 or {kernel.shape[1], recurrent.shape[1]} != {rows}:
        raise ValueError(
            f"kernel {kernel.shape} and recurrent kernel {recurrent.shape} given; (I, {GATES[name]}·H) and (H, "
            f"{GATES[name]}·H) expected for {name}"
        )
    if bias and bias[0].shape != bias_shape:
        raise ValueError(f"bias {bias[0].shape} given; {bias_shape} expected for {name}")
    found = {"weight_ih": kernel.T, "weight_hh": recurrent.T}
    if bias:
        found["bias_ih"], found["bias_hh"] = bias[0] if name == "gru" else (bias[0], np.zeros_like(bias[0]))
    if name == "gru":  # z r h -> r z n
        H = len(recurrent)
        found = {key: np.concatenate([a[H : 2 * H], a[:H], a[2 * H :]]) for key, a in found.items()}
    return {key + suffix: array for key, array in found.items()}
