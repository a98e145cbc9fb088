"""Text written by a trained model, symbol by symbol."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

from ..data.corpus import Vocabulary
from ..nn.model import Model
from ..nn.sampling import generate
from .recipe import TextRecipe, from_json


def vocabulary_of(model: Model) -> Vocabulary:
    """Return the vocabulary of a model that was loaded from a file of ``npseq train``.

    Raises:
        ValueError: for a model of another task, or one that knows another number of symbols.
    """
    metadata: Any = model.metadata if isinstance(model.metadata, dict) else {}
    if "recipe" not in metadata:
        raise ValueError("the model does not say which symbols it knows: one of a text, from npseq train, expected")
    recipe = from_json(metadata["recipe"])
    if not isinstance(recipe, TextRecipe):
        raise ValueError(f"the model was trained for the task {recipe.task}; one of a text expected")
    if recipe.alphabet.size != model.config["input_size"]:
        raise ValueError(
            f"the model reads {model.config['input_size']} symbols, but its vocabulary has {recipe.alphabet.size}"
        )
    return recipe.alphabet


def stream(
    model: Model,
    prime: str = "",
    temperature: float = 1.0,
    top_k: int | None = None,
    rng: np.random.Generator | int | None = None,
    vocabulary: Vocabulary | None = None,
) -> Iterator[str]:
    """Yield an endless text, one symbol at a time. Arguments and errors as ``sample``; the prime is not yielded.

    Of a model of bytes a part is "" until a character of UTF-8 is complete.
    """
    vocabulary = vocabulary or vocabulary_of(model)
    start = vocabulary.encode(prime) if prime else _beginning(vocabulary)
    symbols = generate(model, start, temperature, top_k, rng, vocabulary.unknown)
    if vocabulary.tokens == "bytes":
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        return (decoder.decode(bytes([symbol])) for symbol in symbols)
    return (vocabulary.characters[symbol] for symbol in symbols)


def sample(
    model: Model,
    length: int,
    prime: str = "",
    temperature: float = 1.0,
    top_k: int | None = None,
    rng: np.random.Generator | int | None = None,
    *,
    vocabulary: Vocabulary | None = None,
) -> str:
    """Return ``prime`` and ``length`` symbols after it, written by the model.

    Args:
        model: of a text, from ``npseq.load``.
        length: characters to write, or bytes.
        prime: what the text starts with. Without it the model starts as after a line end, which is not returned.
        temperature: divides the logits: 1 is the model's own distribution, 0 takes the likeliest symbol.
        top_k: draw from the k likeliest symbols only.
        rng: generator or seed; the same seed gives the same text.
        vocabulary: of a model that was not loaded from a file: ``task.vocabulary``.

    Raises:
        ValueError: for a model that is not one of a text, a character that it does not know, or a number out of range.

    Example:
        npseq.sample(npseq.load("rnn_optimized_lstm_best.pth"), 200, prime="ROMEO:", temperature=0.8, rng=1)
    """
    if length < 0:
        raise ValueError(f"length must be at least 0; {length!r} given")
    parts = stream(model, prime, temperature, top_k, rng, vocabulary)
    return prime + "".join(islice(parts, length))


def _beginning(vocabulary: Vocabulary) -> np.ndarray:
    """Return what the model reads when there is no prime: the end of a line, else a blank, else the first symbol."""
    for character in "\n ":
        if vocabulary.tokens == "bytes" or character in vocabulary.characters:
            return vocabulary.encode(character)
    return np.zeros(1, np.int64)
