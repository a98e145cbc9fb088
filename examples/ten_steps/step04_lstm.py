"""Step 4 of 10: the LSTM.

New: a second state, c, and three gates. Along c a step back multiplies by f alone; no matrix, no tanh. So the
gradient reaches further back. The four blocks of the gates are stacked, i f g o: still one matrix product a step,
forward and backward. The equations are those of docs/derivation.md, section 4.
"""

import numpy as np
from step03_batch import of_inputs, readout


def sigmoid(a):
    return 0.5 * np.tanh(0.5 * a) + 0.5


def start(V, H, rng, forget_bias=1.0):
    """The biases of the forget gate start at 1: at 0 it would halve the gradient at every step."""
    shapes = {"W_x": (4 * H, V), "W_h": (4 * H, H), "b": (4 * H, 1), "W_y": (V, H), "b_y": (V, 1)}
    p = {name: rng.uniform(-1, 1, shape) / np.sqrt(H) for name, shape in shapes.items()}
    p["b"][H : 2 * H] = forget_bias
    return p


def forward(p, inputs, state):
    """inputs (T, B), state (h, c), each (H, B) -> the slots h and c (T + 1, H, B), the gates (T, 4, H, B)."""
    h, c, gates = [state[0]], [state[1]], []
    for x in inputs:
        a = p["W_x"][:, x] + p["W_h"] @ h[-1] + p["b"]
        i, f, g, o = np.split(a, 4)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)  # (13)
        c.append(f * c[-1] + i * g)  # (14)
        h.append(o * np.tanh(c[-1]))  # (15)
        gates.append((i, f, g, o))
    return np.array(h), np.array(c), np.array(gates)


def backward(p, inputs, h, c, gates, dhs):
    """dhs (T, H, B): what the loss says about each output -> the gradients by name."""
    da, dh_carried, dc_carried = np.empty_like(gates), 0.0, 0.0
    for t in reversed(range(len(inputs))):
        i, f, g, o = gates[t]
        tanh_c = np.tanh(c[t + 1])
        dh = dhs[t] + dh_carried
        do = dh * tanh_c  # (16)
        dc = dc_carried + dh * o * (1 - tanh_c**2)  # (17)
        df, di, dg = dc * c[t], dc * g, dc * i  # (18), (19): c before the step
        da[t] = di * i * (1 - i), df * f * (1 - f), dg * (1 - g**2), do * o * (1 - o)  # (20)
        dh_carried = p["W_h"].T @ da[t].reshape(-1, dh.shape[1])
        dc_carried = dc * f
    da = da.reshape(len(inputs), -1, da.shape[-1])
    d = {"W_h": np.einsum("tab,thb->ah", da, h[:-1]), "W_x": of_inputs(da, inputs, p["W_x"].shape[1])}
    return {**d, "b": da.sum(axis=(0, 2))[:, None]}


def loss_and_grad(p, inputs, targets, state):
    h, c, gates = forward(p, inputs, state)
    loss, dhs, d = readout(p, h[1:], targets)
    return loss, {**d, **backward(p, inputs, h, c, gates, dhs)}, (h[-1], c[-1])


def main(T=60, H=32):
    """How much of the gradient of the last output reaches the first step's pre-activations?"""
    for bias in (0.0, 1.0, 3.0):
        rng = np.random.default_rng(0)
        p = start(20, H, rng, bias)
        inputs = rng.integers(20, size=(T, 8))
        h, c, gates = forward(p, inputs, (np.zeros((H, 8)), np.zeros((H, 8))))
        dhs = np.zeros((T, H, 8))
        dhs[-1] = 1.0
        inputs[0] = 0  # the character 0 is read at step 0 alone
        inputs[1:][inputs[1:] == 0] = 1
        reach = np.linalg.norm(backward(p, inputs, h, c, gates, dhs)["W_x"][:, 0])
        print(f"forget bias {bias:.0f}: {T} steps back {reach:.0e}")


if __name__ == "__main__":
    main()
