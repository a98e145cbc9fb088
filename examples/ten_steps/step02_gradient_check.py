"""Step 2 of 10: is the gradient right?

New: each parameter is moved along the imaginary axis. For a tiny s, f(w + is) has the imaginary part s f'(w), and
nothing is subtracted, so no digit is lost: a right gradient agrees to 1e-14, a wrong one does not. All that the
forward pass has to do for it is to run in complex numbers. ``python step02_gradient_check.py`` checks step 1, and
then step 1 with a bug.
"""

import numpy as np
import step01_char_rnn as step01


def loss_of(p, inputs, targets, h_0):
    """The loss alone, in complex numbers; log-softmax without the maximum, which has no derivative there."""
    _, scores = step01.forward(p, inputs, h_0)
    return sum(np.log(np.exp(s).sum()) - s[target] for s, target in zip(scores, targets)) / len(inputs)


def by_complex_step(p, *data):
    """The gradient of ``loss_of``, one parameter after the other."""
    d = {}
    for name, value in p.items():
        d[name] = np.empty_like(value)
        for index in np.ndindex(value.shape):
            moved = value.astype(complex)
            moved[index] += 1e-30j
            d[name][index] = loss_of({**p, name: moved}, *data).imag / 1e-30
    return d


def check(p, d, *data):
    """For each array the largest error of d, relative to the largest element."""
    right = by_complex_step(p, *data)
    return {name: abs(d[name] - right[name]).max() / abs(right[name]).max() for name in p}


def main():
    rng = np.random.default_rng(0)
    p = step01.start(5, 4, rng)
    data = rng.integers(5, size=7), rng.integers(5, size=7), rng.normal(size=4)  # h_0 is not zero: that hides mistakes
    _, d, _ = step01.loss_and_grad(p, *data)
    for name, error in check(p, d, *data).items():
        print(f"d{name:4} {error:.0e}")
    h, _ = step01.forward(p, data[0], data[2])
    d["W_h"] += 0.01 * np.outer(h[1], h[0])  # a small mistake, which training would never show
    print("with a bug in dW_h:", f"{check(p, d, *data)['W_h']:.0e}")


if __name__ == "__main__":
    main()
