"""What the units of a text's model follow, and how far back the loss of a character reaches.

Two measurements over a piece of text: h_t of the top layer after each character, correlated with properties of the
text; and for each character the norm of ∂L/∂x_s, the gradient of its loss with respect to what the model read at each
position s before it.

Source of the idea: Karpathy, Johnson & Fei-Fei 2015, "Visualizing and understanding recurrent networks", arXiv
1506.02078v2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..nn import losses
from ..nn.model import Model

BATCH = 128  # characters whose gradients are computed at a time
QUOTES, OPEN, CLOSE = '"“”«»', "([{", ")]}"


class Neurons(NamedTuple):
    """What was measured over n characters.

    units: (n, H), h of the top layer after each character. tracking: property -> (H,), the correlation of each unit
    with it, 0 for one that is constant. nats: (n,), the loss of each character given those before it; NaN for the
    first. reach: (n, W), for character t the norm of ∂L_t/∂x_s for s = t − 1, …, t − W; 0 before the text.
    """

    units: np.ndarray
    tracking: dict[str, np.ndarray]
    nats: np.ndarray
    reach: np.ndarray


def properties(text: str) -> dict[str, np.ndarray]:
    """Return the properties of each character, (n,) each.

    quotes: 1 inside quotation marks; line position: characters since the line's start; brackets: how many are open;
    capitals: 1 for a capital letter. A quotation mark, like a bracket that opens, belongs to the inside; what is open
    ends with an empty line.
    """
    found = {name: np.zeros(len(text)) for name in ("quotes", "line position", "brackets", "capitals")}
    inside, depth, column, before = False, 0, 0, ""
    for k, character in enumerate(text):
        if character == "\n" == before:
            inside, depth = False, 0
        opens = character in QUOTES and not inside
        depth += character in OPEN
        values = inside or opens, column, depth, character.isupper()
        for array, value in zip(found.values(), values):
            array[k] = value
        if character in QUOTES:
            inside = opens
        depth = max(0, depth - (character in CLOSE))
        column, before = 0 if character == "\n" else column + 1, character
    return found


def correlations(units: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return Pearson's correlation of each column of ``units`` (n, H) with ``values`` (n,); 0 where one is constant."""
    units, values = units - units.mean(axis=0), values - values.mean()
    size = np.sqrt((units * units).sum(axis=0) * (values @ values))
    return np.where(size > 1e-12, values @ units / np.maximum(size, 1e-12), 0.0)


def measure(model: Model, numbers: np.ndarray, text: str, window: int = 64) -> Neurons:
    """Run the model over a piece of text, from the zero state.

    Args:
        model: of a text (``tasks.Text``).
        numbers: (n,) integers, the symbols; text: the n characters that they stand for.
        window: W, characters before each one that its gradient is followed to.
    """
    states: list[Any] = []  # before each character, as the encoder gives them; None before the first
    n = len(numbers)
    units = np.empty((n, model.rnn.output_size))
    state, logits = None, np.empty((n, model.config["output_size"]))
    for t in range(n):
        states.append(state)
        x = numbers[None, t : t + 1]
        if model.embedding is not None:
            x = model.embedding(x)
        hs, state = model.rnn(x, state)
        units[t], logits[t] = hs[0, 0], model.fc(hs[0])[0]
    nats = np.full(n, np.nan)
    for t in range(1, n):
        nats[t] = losses.cross_entropy(logits[t - 1 : t], numbers[t : t + 1])[0]
    reach = np.zeros((n, window))
    for start in range(1, n, BATCH):
        some = np.arange(start, min(start + BATCH, n))
        reach[some] = _reach(model, numbers, states, some, window)
    tracking = {name: correlations(units, values) for name, values in properties(text).items()}
    return Neurons(units, tracking, nats, reach)


def _reach(model: Model, numbers: np.ndarray, states: Sequence[Any], targets: np.ndarray, window: int) -> np.ndarray:
    """Return ‖∂L_t/∂x_s‖ for s = t − 1, …, t − W, of the characters ``targets``, each with the state it was read in."""
    starts = np.maximum(targets - window, 0)
    lengths = targets - starts
    steps = np.minimum(starts[:, None] + np.arange(lengths.max()), len(numbers) - 1)
    if model.embedding is not None:
        x = model.embedding(numbers[steps])
    else:
        x = np.eye(model.config["input_size"], dtype=model.dtype)[numbers[steps]]
    hs, _, tape = model.rnn.forward(x, _joined(model, states, starts), lengths)
    rows, last = np.arange(len(targets)), lengths - 1
    logits, head = model.fc.forward(hs[rows, last])
    _, d_logits = losses.cross_entropy(logits, numbers[targets])
    dy = np.zeros_like(hs)
    dy[rows, last] = model.fc.backward(head, d_logits * model.dtype.type(len(targets)))[0]  # of a sum, not a mean
    dx, _, _ = model.rnn.backward(tape, dy)
    assert dx is not None
    norms, reach = np.sqrt((dx * dx).sum(axis=2)), np.zeros((len(targets), window))
    for row, length in enumerate(lengths):
        reach[row, :length] = norms[row, :length][::-1]
    return reach


def _joined(model: Model, states: Sequence[Any], starts: np.ndarray) -> np.ndarray | tuple[np.ndarray, ...]:
    """Return the states before the steps ``starts``, side by side; the first one is that of a call without a state."""
    letters, layers = model.rnn.cell.state, model.rnn.num_layers
    parts = []
    for k, (letter, size) in enumerate(zip(letters, model.rnn.state_sizes())):
        first = np.zeros((layers, 1, size), model.dtype)
        if model.rnn.learn_initial_state:
            first = model.rnn.params[letter + "_0"][:, None]
        each = [(states[s] if len(letters) == 1 else states[s][k]) if s else first for s in starts]
        parts.append(np.concatenate(each, axis=1))
    return parts[0] if len(parts) == 1 else tuple(parts)
