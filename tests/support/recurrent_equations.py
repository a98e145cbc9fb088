"""Values for the equations of docs/derivation.md about the recurrence: sections 1 to 11 and 14.

Each function returns a list of sets of values, name -> value, all of which must satisfy the equation; a set may itself
be a list, with values for each statement of the equation.
"""

from functools import cache

import latex
import numpy as np
import pytest
from derivation_values import ETA, B, H, I, Run, T, complex_step, run, statements, steps

import npseq
from npseq import bptt
from npseq.cells import LSTMCell, RNNCell, sigmoid

RNG = np.random.default_rng(1)


def small_change():  # (1), with a change so small that the loss is linear in it
    y, change = RNG.normal(size=(H, B)), 1e-30 * RNG.normal(size=(H, B))
    dY = complex_step(lambda y: np.sin(y).sum(), y)
    return [{"Δloss": np.imag(np.sin(y + 1j * change).sum()), "dY_jk": dY.ravel(), "ΔY_jk": change.ravel()}]


def rules():  # (2): φ = sin; the loss is Σ R ⊙ Y
    X, X1, X2, R = (RNG.normal(size=(H, B)) for _ in range(4))
    one = {
        "X": X,
        "dX": complex_step(lambda x: (R * np.sin(x)).sum(), X),
        "varphi": np.sin,
        "varphi'": np.cos,
        "dY": R,
        "Y": np.sin(X),
    }

    def two(f):
        d = {1: complex_step(lambda x: (R * f(x, X2)).sum(), X1), 2: complex_step(lambda x: (R * f(X1, x)).sum(), X2)}
        return {"X": {1: X1, 2: X2}, "dX": d, "dY": R, "Y": f(X1, X2)}

    return [[one] * 2 + [two(np.add)] * 2 + [two(np.multiply)] * 3]


def product():  # (3)
    W, X, b, R = RNG.normal(size=(H, 2)), RNG.normal(size=(2, B)), RNG.normal(size=(H, 1)), RNG.normal(size=(H, B))
    d = {}
    d["dW"] = complex_step(lambda a: (R * (a @ X + b)).sum(), W)
    d["dX"] = complex_step(lambda a: (R * (W @ a + b)).sum(), X)
    d["db"] = complex_step(lambda a: (R * (W @ X + a)).sum(), b)
    return [{"Y": W @ X + b, "W": W, "X": X, "b": b, "dY": R, **d}]


def twice():  # (4)
    X = RNG.normal(size=(H, B))

    def f(a, b):
        return np.sum(np.sin(a) * b * b)

    return [
        {
            "dX": complex_step(lambda x: f(x, x), X),
            "dX^first place": complex_step(lambda x: f(x, X), X),
            "dX^second place": complex_step(lambda x: f(X, x), X),
        }
    ]


def slopes():  # (5), (6)
    a = RNG.normal(size=(H, B))
    return [
        {
            "a": a,
            "sigma": sigmoid,
            "sigma'": lambda a: sigmoid(a + 1j * ETA).imag / ETA,
            "tanh'": lambda a: np.tanh(a + 1j * ETA).imag / ETA,
        }
    ]


def torchs_z():  # (28)
    torch = pytest.importorskip("torch")
    layer = npseq.GRU(I, H, dtype=np.float64, rng=0)
    x, h = RNG.normal(size=(I, B)), RNG.normal(size=(H, B))
    rows = slice(H, 2 * H)
    z_x, z_h, b_x, b_h = (np.atleast_2d(a.T).T[rows] for a in layer.params.values())
    cell = torch.nn.GRUCell(I, H, dtype=torch.float64)
    cell.load_state_dict({name.removesuffix("_l0"): torch.tensor(a) for name, a in layer.state_dict().items()})
    a = cell.weight_ih[rows] @ torch.tensor(x) + cell.bias_ih[rows, None]
    a = (a + cell.weight_hh[rows] @ torch.tensor(h) + cell.bias_hh[rows, None]).detach()
    z = sigmoid(z_x @ x + b_x + z_h @ h + b_h)
    given = {"W_xz": z_x, "W_hz": z_h, "b_xz": b_x, "b_hz": b_h, "x": x, "h'": h}
    return [{**given, "z": z, "z_torch": torch.sigmoid(a).numpy()}]


def side_by_side():  # (35)
    return [{"T": T, "X": list(RNG.normal(size=(T, H, B))), "Y": list(RNG.normal(size=(T, 2, B)))}]


def steps_from(tape, start):
    """The tape of the steps from ``start`` on."""
    (segment,) = tape.segments
    slots = tuple(slot[start:] for slot in segment.slots)
    rest = segment._replace(steps=slice(0, len(tape.x) - start), slots=slots, caches=segment.caches[start:])
    return tape._replace(x=tape.x[start:], segments=[rest])


def vanishing(cell, name):  # (36), (37): one sequence, a loss that reads slot T alone; backward by npseq's own code
    T, layer = 5, {"rnn": npseq.RNN, "lstm": npseq.LSTM}[cell](2, H, dtype=np.float64, rng=0)
    weights, zero = layer.weights(), np.zeros((H, 1))
    if cell == "lstm":  # along c alone: the path through W_h is switched off in backward
        back = weights._replace(W_h=0 * weights.W_h)
    else:
        back = weights
    state = tuple(zero for _ in layer.cell.state)
    hs, _, tape = bptt.forward_through_time(layer.cell, weights, RNG.normal(size=(T, 2, 1)), state)
    d_last, out = RNG.normal(size=(H, 1)), []
    for start in range(T):  # the gradient in slot ``start``: back over the steps after it
        d_final = (d_last,) if cell == "rnn" else (zero, d_last)
        _, _, d_state = bptt.backward_through_time(layer.cell, back, steps_from(tape, start), None, d_final)
        out.append(d_state[-1])
    out.append(d_last)
    known = {"h": [zero, *hs], "W_h": weights.W_h, "T": T, "t": T, "d" + name: out}
    known["f"] = [cache[0][1] for cache in tape.segments[0].caches] if cell == "lstm" else None
    return [{**known, "s": s} for s in range(T)]


def lengths():  # (38), (39): npseq with lengths, for the RNN
    layer, lengths, x = npseq.RNN(2, H, dtype=np.float64, rng=0), [T, 1], RNG.normal(size=(T, 2, B))
    h_0, dy, d_final = RNG.normal(size=(H, B)), RNG.normal(size=(T, H, B)), RNG.normal(size=(H, B))
    weights, out = layer.weights(), []
    valid = (np.arange(T)[:, None] < np.array(lengths))[:, None, :].astype(float)

    def state_after(t, h=h_0, start=0):
        if t == start:
            return h
        return bptt.forward_through_time(
            RNNCell, weights, x[start:t], (h,), np.clip(np.array(lengths) - start, 0, t - start)
        )[1][0]

    def loss(h, start):  # of the steps from ``start``, in complex numbers
        w, total = bptt.Weights(*(None if a is None else a.astype(complex) for a in weights)), 0
        if start < T:
            ys, (h,), _ = bptt.forward_through_time(
                RNNCell,
                w,
                x[start:].astype(complex),
                (h.astype(complex),),
                np.clip(np.array(lengths) - start, 0, T - start),
            )
            total = (dy[start:] * ys).sum()
        return total + (d_final * h).sum()

    states = [state_after(t) for t in range(T + 1)]
    ys, _, _ = bptt.forward_through_time(RNNCell, weights, x, (h_0,), lengths)

    def cell_of(t, h):
        return np.tanh(weights.W_x @ x[t] + weights.b_x + weights.W_h @ h + weights.b_h)

    def after(t, cell, kept):  # the loss as a function of what the cell computes at step t, and of what is kept
        own = (dy[t] * valid[t] * cell).sum()
        return own + loss(valid[t] * cell + (1 - valid[t]) * kept, t + 1)

    d_state = [complex_step(lambda h: loss(h, t), states[t]) for t in range(T + 1)]
    cells = [cell_of(t, states[t]) for t in range(T)]
    d_cell = [complex_step(lambda c: after(t, c, states[t]), cells[t]) for t in range(T)]
    through = [complex_step(lambda h: after(t, cell_of(t, h), states[t]), states[t]) for t in range(T)]
    # dstate_{t+1} as step t gets it: with the output's own gradient
    entering = [d_state[0]] + [d_state[t + 1] + dy[t] * valid[t] for t in range(T)]
    for t in range(T):
        pair = {t: d_state[t], t + 1: entering[t + 1]}
        shared = {"t": t, "v": list(valid), "cell": cells, "h": states, "y": list(ys), "dcell": d_cell}
        out.append({**shared, "state": states, "dstate": pair, "dstate^through the cell": through})
    return out


def projection():  # (40), (41): npseq's LSTM with projection
    layer, x = npseq.LSTM(2, H, proj_size=2, dtype=np.float64, rng=0), RNG.normal(size=(T, 2, B))
    w, state = layer.weights(), (np.zeros((2, B)), np.zeros((H, B)))
    hs, _, tape = bptt.forward_through_time(LSTMCell, w, x, state)
    d_hs = np.zeros((T, 2, B))
    d_hs[-1] = RNG.normal(size=(2, B))
    d_weights, _, _ = bptt.backward_through_time(LSTMCell, w, tape, d_hs, state)
    caches = tape.segments[0].caches
    d_h = [None] * T + [d_hs[-1]]  # the gradient in each slot
    for t in range(1, T):
        d_h[t] = bptt.backward_through_time(LSTMCell, w, steps_from(tape, t), d_hs[t:], state)[2][0]
    m = [cache[1] for cache in caches]
    dm = complex_step(lambda m: (d_hs[-1] * (w.W_p @ m)).sum(), m[-1])
    return [{"T": T, "h": hs[-1], "m": m[-1], "W_p": w.W_p, "dh": d_hs[-1], "dm": dm}] * 2 + [
        {"T": T, "dh": d_h, "m": m, "W_p": w.W_p, "dW_p": d_weights.W_p}
    ]


def recurrent_dropout():  # (42)
    masked = Run("gru", mask=2.0 * (np.random.default_rng(0).random((H, B)) < 0.5))
    of_time, sets = masked.through_time(), []
    for t in range(T):
        step = {"mu": masked.mask, "h'": masked.steps[t]["h read"], "a_h": masked.steps[t]["a_h"], **masked.given}
        sets.append([step] + [{**of_time, "t": t, "mu": masked.mask, "dh'_direct": masked.gradient(t, "h'")}] * 2)
    return sets


def checkpoints():  # (43): what npseq keeps of a sequence of T steps in segments of k, in units of one state
    out = []
    for kind, times_a_state in ((npseq.RNN, 2), (npseq.LSTM, 4), (npseq.GRU, 8)):
        T, layer = 9, kind(2, H, dtype=np.float64, rng=0)
        state = tuple(np.zeros((H, B)) for _ in layer.cell.state)
        one = sum(part.nbytes for part in state)
        x = RNG.normal(size=(T, 2, B))
        _, _, tape = bptt.forward_through_time(layer.cell, layer.weights(), x, state, checkpoint_every="sqrt")
        k = len(range(*tape.segments[0].steps.indices(T)))
        kept = sum(part.nbytes for segment in tape.segments for part in segment.state)
        w = kept_per_step(layer, state) / one
        assert w == times_a_state  # as the text says
        out.append([{"memory": kept / one + w * k, "T": T, "k": k, "w": w}, {"k": k, "T": T}])
    return out


def kept_per_step(layer, state):
    """Bytes of the slot and the cache of one step, each array once; a view keeps the whole of its array."""
    _, _, tape = bptt.forward_through_time(layer.cell, layer.weights(), np.zeros((1, 2, B)), state)
    (segment,), arrays = tape.segments, {}
    cache, m = segment.caches[0]
    for array in (*cache, m):
        while array.base is not None:
            array = array.base
        if not any(np.shares_memory(array, slot) for slot in segment.slots):
            arrays[id(array)] = array.nbytes
    return sum(slot[1:].nbytes for slot in segment.slots) + sum(arrays.values())


def stacked():  # (44): the LSTM's and the GRU's
    lstm, gru = run("lstm"), run("gru")
    return [[lstm.step(t), gru.step(t)] for t in range(T)]


def stacked_gradient():  # (45)
    v = run("lstm").through_time()
    ones = np.ones((1, B))
    v["zeta"] = [np.concatenate([v["h"][t], v["x"][t], ones]) for t in range(T)]
    v["db"] = v["db_x"]
    return [{**v, "t": t} for t in range(T)]


def one_tanh():  # (46)
    return [{"W": RNG.normal(size=(H, 4)), "zeta": RNG.normal(size=(4, B)), "sigma": sigmoid}]


def with_factors(cell):  # (48)–(50): K from the page, after a check against npseq's kernels below
    out = []
    for v in steps(cell):
        for number in (48,) if cell == "lstm" else (50,):
            for (_, name, _), formula in statements(number):
                v[name] = latex.evaluate(formula, v)
        out.append(v)
    return out


def forward_in_time():  # (56), (57): one sequence of the LSTM; θ = (W_x, W_h, b_x, b_h)
    r, b = run("lstm"), 0
    names = list(r.given)
    size = sum(r.given[name].size for name in names)

    def derivative(t, name):  # of a value of step t with respect to θ, one column for each parameter
        columns = []
        for parameter in names:
            for index in np.ndindex(r.given[parameter].shape):
                columns.append(moved(parameter, index)[t][name][:, b].imag / ETA)
        return np.array(columns).T

    @cache
    def moved(parameter, index):
        return r.run((None, parameter, index))[1]

    P = [np.zeros((2 * H, size))]
    P += [np.concatenate([derivative(t, "h"), derivative(t, "c")]) for t in range(T)]
    out = []
    for t in range(T):
        x, h, c = (r.steps[t][name][:, [b]] for name in ("x", "h read", "c read"))
        a_x, a_h = (r.steps[t][name][:, [b]] for name in ("a_x", "a_h"))

        def by(what):
            columns = []
            for j in range(len({"x": a_x, "h": a_h, "state": np.concatenate([h, c])}[what])):
                parts = {"x": a_x.astype(complex), "h": a_h.astype(complex)}
                state = np.concatenate([h, c]).astype(complex)
                (state if what == "state" else parts[what])[j] += 1j * ETA
                new, _ = LSTMCell.forward(parts["x"], parts["h"], (state[:H], state[H:]))
                columns.append(np.concatenate(new)[:, 0].imag / ETA)
            return np.array(columns).T

        E = {name: np.zeros((4 * H, size)) for name in "xh"}
        starts = dict(zip(names, np.cumsum([0] + [r.given[name].size for name in names])))
        for side, read in (("x", x), ("h", h)):
            W = starts["W_" + side]
            E[side][:, W : W + r.given["W_" + side].size] = np.kron(np.eye(4 * H), read[:, 0])
            E[side][:, starts["b_" + side] : starts["b_" + side] + 4 * H] = np.eye(4 * H)
        known = {"A_x": by("x"), "A_h": by("h"), "D": by("state"), "P": P, "P[h]": [p[:H] for p in P], "t": t}
        out.append({**known, "∂a_x/∂θ": E["x"], "∂a_h/∂θ": E["h"], "W_h": r.given["W_h"]})
    return out


def gradient_forward_in_time():  # (57), of a batch of one
    r, b = run("lstm"), 0
    known = forward_in_time()[0]
    total = np.zeros(known["P"][0].shape[1])
    place = 0
    for name in r.given:  # dloss/dθ of sequence b alone
        for index in np.ndindex(r.given[name].shape):
            _, steps_moved = r.run((None, name, index))
            loss = sum((r.R[t][:, b] * steps_moved[t]["y"][:, b]).sum() for t in range(T))
            loss += sum((r.S[letter][:, b] * steps_moved[-1][letter][:, b]).sum() for letter in "hc")
            total[place] = loss.imag / ETA
            place += 1
    d_state = np.concatenate([r.S[letter][:, [b]] for letter in "hc"])
    dy = [r.R[t][:, [b]] for t in range(T)]
    return [{**known, "T": T, "dloss/dtheta": total[None], "dy": dy, "dstate": {T: d_state}}]
