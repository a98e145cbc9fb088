"""Step 8 of 10: dropout.

New: in training a part of what the readout reads is set to zero, another part at every update, so that the network
cannot rely on any one unit (Srivastava et al. 2014). What is kept is divided by the share kept, so that nothing has
to change when it writes. The mask is drawn once, in the forward pass: backward multiplies by the same one.
"""

import numpy as np
from step03_batch import readout
from step04_lstm import backward, forward


def mask_of(shape, drop, rng):
    return (rng.random(shape) >= drop) / (1 - drop)


def loss_and_grad(p, inputs, targets, state, mask=1.0):
    """``mask`` (T, H, B); 1 where there is no dropout."""
    h, c, gates = forward(p, inputs, state)
    loss, dropped, d = readout(p, h[1:] * mask, targets)  # new
    return loss, {**d, **backward(p, inputs, h, c, gates, dropped * mask)}, (h[-1], c[-1])  # new


def main(updates=150):
    """Few data, many parameters: with dropout the training loss is higher, and that on other data lower."""
    from step04_lstm import start
    from step07_adam import Adam, clip, flat, flattened

    for drop in (0.0, 0.5):
        rng = np.random.default_rng(0)
        steps = np.cumsum(rng.choice([1, 2, 3], size=(40, 24), p=[0.6, 0.3, 0.1]), axis=0) % 10
        train, other = steps[:, :4], steps[:, 4:]
        theta, p = flat(start(10, 32, rng))
        optimizer, zero = Adam(theta, 0.02), np.zeros((32, 4))
        for _ in range(updates):
            mask = mask_of((39, 32, 4), drop, rng)
            loss, d, _ = loss_and_grad(p, train[:-1], train[1:], (zero, zero), mask)
            optimizer.step(clip(flattened(d, p), 1.0))
        unseen, _, _ = loss_and_grad(p, other[:-1], other[1:], (np.zeros((32, 20)), np.zeros((32, 20))))
        print(f"dropout {drop}: training {loss:.2f}, other data {unseen:.2f}")


if __name__ == "__main__":
    main()
