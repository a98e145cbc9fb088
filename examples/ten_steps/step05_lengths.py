"""Step 5 of 10: sequences of different lengths.

New: padding. valid (T, 1, B) is 1 where a sequence has that step. A padded step copies the state, so its gradient
bypasses the cell: one line forward, two lines backward. Whatever stands in the padding then changes nothing, and
the state after the loop is that of each sequence's own last step.
"""

import numpy as np
from step03_batch import of_inputs
from step04_lstm import sigmoid


def valid_of(lengths, T):
    return (np.arange(T)[:, None] < np.array(lengths))[:, None, :].astype(float)


def forward(p, inputs, state, valid):
    """As in step 4; the outputs are valid * h[1:]."""
    h, c, gates = [state[0]], [state[1]], []
    for x, v in zip(inputs, valid):
        i, f, g, o = np.split(p["W_x"][:, x] + p["W_h"] @ h[-1] + p["b"], 4)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        new_c = f * c[-1] + i * g
        new_h = o * np.tanh(new_c)
        h.append(v * new_h + (1 - v) * h[-1])  # new
        c.append(v * new_c + (1 - v) * c[-1])  # new
        gates.append((i, f, g, o))
    return np.array(h), np.array(c), np.array(gates)


def backward(p, inputs, h, c, gates, dhs, valid):
    da, dh_carried, dc_carried = np.empty_like(gates), np.zeros_like(h[0]), np.zeros_like(c[0])
    for t in reversed(range(len(inputs))):
        (i, f, g, o), v = gates[t], valid[t]
        tanh_c = np.tanh(c[t + 1])
        dh_new = v * (dhs[t] + dh_carried)  # new: only a valid step has an output, and only there the cell is passed
        dc_new = v * dc_carried + dh_new * o * (1 - tanh_c**2)
        do, df, di, dg = dh_new * tanh_c, dc_new * c[t], dc_new * g, dc_new * i
        da[t] = di * i * (1 - i), df * f * (1 - f), dg * (1 - g**2), do * o * (1 - o)
        through = p["W_h"].T @ da[t].reshape(-1, dh_new.shape[1])
        dh_carried = through + (1 - v) * dh_carried  # new: past the cell
        dc_carried = dc_new * f + (1 - v) * dc_carried  # new
    da = da.reshape(len(inputs), -1, da.shape[-1])
    d = {"W_h": np.einsum("tab,thb->ah", da, h[:-1]), "W_x": of_inputs(da, inputs, p["W_x"].shape[1])}
    return {**d, "b": da.sum(axis=(0, 2))[:, None]}


def main():
    from step04_lstm import start

    rng = np.random.default_rng(0)
    p, inputs, dhs = start(9, 5, rng), rng.integers(9, size=(6, 3)), rng.normal(size=(6, 5, 3))
    zero, valid = np.zeros((5, 3)), valid_of([6, 2, 0], 6)
    before = backward(p, inputs, *forward(p, inputs, (zero, zero), valid), dhs, valid)
    inputs[2:, 1] = 7  # the padding of the second sequence
    after = backward(p, inputs, *forward(p, inputs, (zero, zero), valid), dhs, valid)
    print("the padding changes nothing:", all(np.array_equal(before[name], after[name]) for name in before))


if __name__ == "__main__":
    main()
