"""Step 7 of 10: Adam, on one flat vector.

New: all parameters are views into one vector theta, and so are their gradients. The norm of the gradient is then
one product, and Adam (Kingma and Ba 2015) a few lines for the whole network: each parameter gets a step of its own
size, by the mean of its gradient over the mean of its square.
"""

import numpy as np


def flat(p):
    """One vector, and the same parameters as views into it."""
    theta = np.concatenate([value.ravel() for value in p.values()])
    return theta, views(theta, p)


def views(theta, like):
    ends = np.cumsum([value.size for value in like.values()])
    return {name: part.reshape(value.shape) for (name, value), part in zip(like.items(), np.split(theta, ends[:-1]))}


def flattened(d, like):
    """Gradients by name as one vector, in the order of the parameters."""
    return np.concatenate([d[name].ravel() for name in like])


def clip(grad, longest):
    """Make the vector shorter if it is longer: its direction stays."""
    norm = np.sqrt(grad @ grad)
    return grad * min(1.0, longest / max(norm, 1e-300))


class Adam:
    def __init__(self, theta, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
        self.theta, self.lr, self.betas, self.eps, self.t = theta, lr, betas, eps, 0
        self.m, self.v = np.zeros_like(theta), np.zeros_like(theta)

    def step(self, grad):
        (b1, b2), self.t = self.betas, self.t + 1
        self.m += (1 - b1) * (grad - self.m)
        self.v += (1 - b2) * (grad**2 - self.v)
        m, v = self.m / (1 - b1**self.t), self.v / (1 - b2**self.t)  # both started at zero
        self.theta -= self.lr * m / (np.sqrt(v) + self.eps)


def main(updates=200):
    from step01_char_rnn import VERSE, numbered
    from step04_lstm import loss_and_grad, start

    numbers, characters = numbered(VERSE)
    inputs, targets = numbers[:-1, None], numbers[1:, None]
    for lr, adam in ((0.5, False), (0.01, True)):
        theta, p = flat(start(len(characters), 32, np.random.default_rng(0)))
        optimizer = Adam(theta, lr)
        for _ in range(updates):
            loss, d, _ = loss_and_grad(p, inputs, targets, (np.zeros((32, 1)), np.zeros((32, 1))))
            grad = clip(flattened(d, p), 1.0)
            if adam:
                optimizer.step(grad)
            else:
                theta -= lr * grad
        print(f"{'Adam' if adam else 'gradient descent':16} {updates} updates: loss {loss:.3f}")
    return loss


if __name__ == "__main__":
    main()
