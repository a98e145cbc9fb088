"""Step 1 of 10: a network that learns to write, in a hundred lines of NumPy.

It reads a text character by character and predicts the next one. Everything is here: the forward pass, its
derivative by hand, the update, and writing. Run it: ``python step01_char_rnn.py [TEXT FILE]``.
"""

import sys

import numpy as np

VERSE = "the sun has set, the moon is high;\nthe wind has dropped, the fields are dry.\n"


def numbered(text):
    """Each character as a number, and the list of characters."""
    characters = sorted(set(text))
    return np.array([characters.index(c) for c in text]), characters


def start(V, H, rng):
    """The parameters: V characters, H hidden units."""
    shapes = {"W_x": (H, V), "W_h": (H, H), "b": (H,), "W_y": (V, H), "b_y": (V,)}
    return {name: rng.uniform(-1, 1, shape) / np.sqrt(H) for name, shape in shapes.items()}


def forward(p, inputs, h_0):
    """The states h_0 … h_T and the scores of the next character after each step."""
    h, scores = [h_0], []
    for i in inputs:
        # x is 1 at character i and 0 elsewhere, so the product W_x x is one column of W_x
        h.append(np.tanh(p["W_x"][:, i] + p["W_h"] @ h[-1] + p["b"]))
        scores.append(p["W_y"] @ h[-1] + p["b_y"])
    return h, scores


def softmax(scores):
    e = np.exp(scores - scores.max())
    return e / e.sum()


def loss_and_grad(p, inputs, targets, h_0):
    """The mean of −log p(target) over the steps, its gradient by name, and the last state."""
    h, scores = forward(p, inputs, h_0)
    T, loss = len(inputs), 0.0
    d = {name: np.zeros_like(value) for name, value in p.items()}
    carried = np.zeros_like(h_0)  # there is no step after the last
    for t in reversed(range(T)):
        dscores = softmax(scores[t])
        loss -= np.log(dscores[targets[t]]) / T
        dscores[targets[t]] -= 1  # the derivative of −log softmax
        dscores /= T
        d["W_y"] += np.outer(dscores, h[t + 1])
        d["b_y"] += dscores
        # h is read by the scores and by the next step: two gradients add
        dh = p["W_y"].T @ dscores + carried
        da = dh * (1 - h[t + 1] ** 2)
        d["W_x"][:, inputs[t]] += da
        d["W_h"] += np.outer(da, h[t])  # the state before the step
        d["b"] += da
        carried = p["W_h"].T @ da
    return loss, d, h[-1]


def update(p, d, lr):
    """One step of gradient descent, no longer than 1 in all."""
    norm = np.sqrt(sum((each**2).sum() for each in d.values()))
    for name in p:
        p[name] -= lr * d[name] / max(norm, 1.0)


def write(p, characters, first, length, rng):
    """Draw characters one after the other; each is the next input."""
    i, h, text = characters.index(first), np.zeros(len(p["b"])), first
    for _ in range(length):
        (_, h), (scores,) = forward(p, [i], h)
        i = rng.choice(len(characters), p=softmax(scores))
        text += characters[i]
    return text


def main(text=VERSE, updates=600, H=40, T=25):
    rng = np.random.default_rng(0)
    numbers, characters = numbered(text)
    p, place, h = start(len(characters), H, rng), 0, np.zeros(H)
    for k in range(updates):
        if place + T + 1 > len(numbers):  # the end of the text: from the start, with an empty memory
            place, h = 0, np.zeros(H)
        window = numbers[place : place + T + 1]
        loss, d, h = loss_and_grad(p, window[:-1], window[1:], h)
        update(p, d, lr=0.5)
        place += T
        if k % 100 == 0:
            print(f"update {k:4}: loss {loss:.3f}")
    print(write(p, characters, text[0], 150, rng))
    return loss


if __name__ == "__main__":
    main(open(sys.argv[1], encoding="utf-8").read() if sys.argv[1:] else VERSE)
