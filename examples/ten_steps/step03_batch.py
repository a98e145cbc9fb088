"""Step 3 of 10: many sequences at once.

New: a column for each sequence. h becomes a matrix (H, B), W_h h a product of two matrices, and the sums over the
batch are part of the matrix products of the backward pass: da hᵀ adds up what the columns say. Only the biases need
a sum of their own. And because a sum of products is one product of longer matrices, the gradients of the weights
leave the loop.
"""

import numpy as np
import step01_char_rnn as step01


def start(V, H, rng):
    """As before, with biases that are columns."""
    p = step01.start(V, H, rng)
    return {name: value if value.ndim == 2 else value[:, None] for name, value in p.items()}


def readout(p, hs, targets):
    """hs (T, H, B), targets (T, B) -> the mean loss, the gradient of hs, those of W_y and b_y."""
    scores = p["W_y"] @ hs + p["b_y"]  # (T, V, B), all steps at once
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    dscores = e / e.sum(axis=1, keepdims=True)
    t, b = np.indices(targets.shape)
    loss = -np.log(dscores[t, targets, b]).mean()
    dscores[t, targets, b] -= 1
    dscores /= targets.size
    d = {"W_y": np.einsum("tvb,thb->vh", dscores, hs), "b_y": dscores.sum(axis=(0, 2))[:, None]}
    return loss, p["W_y"].T @ dscores, d


def of_inputs(da, inputs, V):
    """Σ da xᵀ for inputs that are 1 in one place: each column of da is added to the column of its character."""
    dW_x = np.zeros((da.shape[1], V))
    np.add.at(dW_x.T, inputs.ravel(), da.transpose(0, 2, 1).reshape(-1, da.shape[1]))
    return dW_x


def loss_and_grad(p, inputs, targets, h_0):
    """inputs, targets (T, B), h_0 (H, B) -> loss, gradients by name, h_T."""
    h = [h_0]
    for i in inputs:
        h.append(np.tanh(p["W_x"][:, i] + p["W_h"] @ h[-1] + p["b"]))
    h = np.array(h)
    loss, dhs, d = readout(p, h[1:], targets)
    da, carried = np.empty_like(dhs), 0.0
    for t in reversed(range(len(inputs))):  # what has to be in the loop: one product a step
        da[t] = (dhs[t] + carried) * (1 - h[t + 1] ** 2)
        carried = p["W_h"].T @ da[t]
    d["W_h"] = np.einsum("tab,thb->ah", da, h[:-1])
    d["W_x"] = of_inputs(da, inputs, p["W_x"].shape[1])
    d["b"] = da.sum(axis=(0, 2))[:, None]
    return loss, d, h[-1]


def main():
    import time

    rng = np.random.default_rng(0)
    p, B = start(30, 64, rng), 32
    inputs, targets = rng.integers(30, size=(2, 25, B))
    seconds = []
    for columns in (1, B):
        at = time.perf_counter()
        for k in range(0, B, columns):
            loss_and_grad(p, inputs[:, k : k + columns], targets[:, k : k + columns], np.zeros((64, columns)))
        seconds.append(time.perf_counter() - at)
    print(f"{B} sequences one by one {seconds[0]:.3f} s, together {seconds[1]:.3f} s")


if __name__ == "__main__":
    main()
