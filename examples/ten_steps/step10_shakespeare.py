"""Step 10 of 10: Shakespeare, by one's own backward.

New: nothing. The steps before are put together: streams and chunks (6), the LSTM (4) in its fast order (9), dropout
(8), Adam on a flat vector with clipping (7), and writing (1). npseq is used for its copy of the plays alone.
``python step10_shakespeare.py`` trains for a few minutes and then writes.
"""

import sys

import numpy as np
from step03_batch import readout
from step04_lstm import start
from step06_truncation import chunks, streams
from step07_adam import Adam, clip, flat, flattened
from step08_dropout import mask_of
from step09_fused import backward, forward


def loss_and_grad(p, inputs, targets, state, mask=1.0):
    h, c, gates = forward(p, inputs, state)
    loss, dropped, d = readout(p, h[1:] * mask, targets)
    return loss, {**d, **backward(p, inputs, h, c, gates, dropped * mask)}, (h[-1], c[-1])


def zero(H, B):
    return np.zeros((H, B)), np.zeros((H, B))


def train(numbers, V, H=128, T=50, B=32, updates=1200, lr=0.005, drop=0.1, report=200):
    """The parameters after so many updates, and the mean loss of the last ones."""
    rng = np.random.default_rng(0)
    theta, p = flat(start(V, H, rng))
    optimizer, columns, losses = Adam(theta, lr), streams(numbers, B), []
    while len(losses) < updates:
        state = zero(H, B)
        for inputs, targets in chunks(columns, T):
            mask = mask_of((len(inputs), H, B), drop, rng)
            loss, d, state = loss_and_grad(p, inputs, targets, state, mask)
            optimizer.step(clip(flattened(d, p), 1.0))
            losses.append(loss)
            if len(losses) % report == 0:
                print(f"update {len(losses)}: {np.mean(losses[-report:]):.3f} nats a character", flush=True)
            if len(losses) >= updates:
                break
    return p, float(np.mean(losses[-report:]))


def write(p, characters, first, length, rng, temperature=0.6):
    """Below temperature 1 the likelier characters are favoured."""
    state, text = zero(p["W_y"].shape[1], 1), first
    for k in range(length + len(first) - 1):
        i = characters.index(text[k])
        h, c, _ = forward(p, np.array([[i]]), state)
        state = h[-1], c[-1]
        if k + 1 == len(text):
            scores = (p["W_y"] @ h[-1] + p["b_y"])[:, 0] / temperature
            e = np.exp(scores - scores.max())
            text += characters[rng.choice(len(characters), p=e / e.sum())]
    return text


def main(updates=1200):
    from npseq import data

    text = "".join(map(chr, data.load_corpus("tiny_shakespeare").symbols))
    characters = sorted(set(text))
    lookup = {c: i for i, c in enumerate(characters)}
    p, loss = train(np.array([lookup[c] for c in text]), len(characters), updates=updates)
    print(write(p, characters, "KING:\n", 400, np.random.default_rng(1)))
    return loss


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
