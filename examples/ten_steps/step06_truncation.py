"""Step 6 of 10: a text that is longer than the memory.

New: truncation. The text is cut into B streams, side by side, and each stream into chunks of T steps. The state
passes from chunk to chunk; the gradient stops at the chunk's start. So the memory needed is that of T steps, while
the network still reads what is older: its state brings it along. The sum of the chunks' gradients is not the whole
gradient.
"""

import numpy as np
from step04_lstm import loss_and_grad, start


def streams(numbers, B):
    """The text as B pieces of equal length, one a column: (steps, B)."""
    length = len(numbers) // B
    return numbers[: length * B].reshape(B, length).T


def chunks(columns, T):
    """Inputs and targets, T steps each; the targets are the next characters."""
    for t in range(0, len(columns) - 1, T):
        end = min(t + T, len(columns) - 1)
        yield columns[t:end], columns[t + 1 : end + 1]


def truncated(p, columns, T, state):
    """The loss of all steps and its truncated gradient; each chunk counts by its number of steps."""
    total, d, steps = 0.0, {name: np.zeros_like(value) for name, value in p.items()}, len(columns) - 1
    for inputs, targets in chunks(columns, T):
        loss, part, state = loss_and_grad(p, inputs, targets, state)  # the state goes on, the gradient does not
        share = len(inputs) / steps
        total += share * loss
        for name in d:
            d[name] += share * part[name]
    return total, d


def main():
    rng = np.random.default_rng(0)
    p, columns = start(10, 16, rng), streams(rng.integers(10, size=4 * 49), 4)
    zero = np.zeros((16, 4)), np.zeros((16, 4))
    _, full = truncated(p, columns, 48, zero)
    for T in (1, 4, 12, 48):
        _, d = truncated(p, columns, T, zero)
        error = np.linalg.norm(d["W_h"] - full["W_h"]) / np.linalg.norm(full["W_h"])
        print(f"chunks of {T:2}: dW_h differs by {error:.3f}")


if __name__ == "__main__":
    main()
