"""Samples from a model with an output at every step that predicts its next input.

    p_k = exp(y_k / τ) / Σ_j exp(y_j / τ)

τ is the temperature: 1 for the model's own distribution, smaller for likelier symbols, 0 for the likeliest one (arg
max). With top-k only the k likeliest symbols can be drawn (Fan et al. 2018, arXiv 1805.04833v1).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .model import Model
from .streaming import Stream

PRIME_STEPS = 1024  # of the beginning that are read at a time


def choose(
    logits: np.ndarray, temperature: float, top_k: int | None, rng: np.random.Generator, excluded: int | None = None
) -> int:
    """Draw a symbol from softmax(logits / temperature), in float64.

    Args:
        logits: (V,).
        temperature: from 0 up; 0 takes the largest logit.
        top_k: draw from the k largest only; None for all.
        rng: one number is drawn from it, unless the temperature is 0.
        excluded: a symbol that is never drawn.

    Raises:
        ValueError: for a logit that is NaN or plus infinity, as those of a model that has diverged.
    """
    logits = logits.astype(np.float64)
    if not (logits < np.inf).all():
        raise ValueError("the model's outputs are not finite: no symbol can be drawn from them")
    if excluded is not None:
        logits[excluded] = -np.inf
    if temperature == 0:
        return int(logits.argmax())
    if top_k is not None and top_k < len(logits):
        smallest = np.argsort(-logits, kind="stable")[top_k:]  # of equal logits those of the first symbols stay
        logits[smallest] = -np.inf
    with np.errstate(over="ignore"):  # at a tiny temperature all but the largest become −inf, and p 0
        p = np.exp((logits - logits.max()) / temperature)
    cumulative = np.cumsum(p)
    return int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))


def generate(
    model: Model,
    prime: np.ndarray,
    temperature: float = 1.0,
    top_k: int | None = None,
    rng: np.random.Generator | int | None = None,
    excluded: int | None = None,
) -> Iterator[int]:
    """Yield symbols without end: each is drawn given ``prime`` and all those before it.

    Args:
        model: with outputs at every step, as many as inputs, and one direction.
        prime: (n,) integers, n ≥ 1: what the model reads first.
        temperature, top_k, excluded: as for ``choose``.
        rng: generator or seed.

    Raises:
        ValueError: for a model that does not predict its next input, an empty prime, a temperature below 0 or not
            finite, or a top_k below 1.
    """
    config = model.config
    if not model.every_step or config["input_size"] != config["output_size"] or model.rnn.bidirectional:
        raise ValueError(
            "samples need a model that predicts its next input: one direction, an output at every step, as many "
            f"outputs as inputs; {model!r} given"
        )
    if not 0 <= temperature < np.inf:
        raise ValueError(f"temperature must be a finite number from 0 up; {temperature!r} given")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k must be at least 1; {top_k!r} given")
    if not len(prime):
        raise ValueError("prime must have at least one symbol")
    return _symbols(model, np.asarray(prime, np.int64), temperature, top_k, np.random.default_rng(rng), excluded)


def _symbols(
    model: Model,
    prime: np.ndarray,
    temperature: float,
    top_k: int | None,
    rng: np.random.Generator,
    excluded: int | None,
) -> Iterator[int]:
    state = None
    for start in range(0, len(prime), PRIME_STEPS):
        y, state = model(prime[None, start : start + PRIME_STEPS], state)
    stream, logits = Stream(model.rnn, head=model.fc), y[0, -1]
    stream.state = state
    while True:
        symbol = choose(logits, temperature, top_k, rng, excluded)
        yield symbol
        if model.embedding is None:
            x = np.zeros(model.config["input_size"], model.dtype)
            x[symbol] = 1
        else:
            x = model.embedding.params["weight"][symbol]
        logits = stream.step(x)
