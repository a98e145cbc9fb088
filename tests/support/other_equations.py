"""Values for the equations of docs/derivation.md about checking, variants, layers and losses: sections 12, 13, 15–17.

Each function returns a list of sets of values, name -> value, all of which must satisfy the equation; a set may itself
be a list, with values for each statement of the equation.
"""

import numpy as np
from derivation_values import ETA, B, H, T, complex_step, run

import npseq
from npseq import losses
from npseq.gradcheck import hessian_vector_product, relative_error

RNG = np.random.default_rng(2)


def derivatives():  # (52), (53)
    theta, eye, out = RNG.normal(size=4), np.eye(4), []
    for j in range(4):
        shared = {"theta": theta, "1_j": eye[j], "∂F/∂θ_j": np.cos(theta)[j] * np.exp(np.sin(theta).sum())}
        out.append({**shared, "F": lambda a: np.exp(np.sin(a).sum()), "i": 1j, "O": lambda _: 0})
    return out


def check_loss():  # (54): that of gradcheck is the one of Run
    r = run("rnn")
    end = r.steps[-1]["h"]
    return [{"T": T, "loss": r.loss, "R": list(r.R), "y": [s["y"] for s in r.steps], "S": r.S["h"], "state": {T: end}}]


def curvature():  # (55): npseq's Hessian-vector product against the Hessian by differences of complex steps
    theta, u = RNG.normal(size=4), RNG.normal(size=4)

    def gradient(a):  # of F = exp(Σ sin a)
        return np.cos(a) * np.exp(np.sin(a).sum())

    def hessian(a):
        e = np.exp(np.sin(a).sum())
        return e * (np.outer(np.cos(a), np.cos(a)) - np.diag(np.sin(a)))

    assert relative_error(hessian_vector_product(gradient, theta, u), hessian(theta) @ u) < 1e-13
    shared = {"theta": theta, "u": u, "eta": ETA, "i": 1j, "O": lambda _: 0}
    return [{**shared, "∇loss": gradient, "∇²loss": hessian}]


def peephole():  # (58)
    v, (omega, a, c, R) = {}, (RNG.normal(size=size) for size in ((H, 1), (H, B), (H, B), (H, B)))

    def f(omega, c, kept=None):  # a loss that reads c in a second place
        return (R * np.tanh(a + omega * c)).sum() + (np.sin(c if kept is None else kept)).sum()

    v |= {"a_x_i": a, "a_h_i": 0 * a, "omega_i": omega, "c'": c, "a_i": a + omega * c}
    v["da_i"] = complex_step(lambda a_i: (R * np.tanh(a_i)).sum(), v["a_i"])
    v["domega_i"], v["dc'"] = complex_step(lambda w: f(w, c), omega), complex_step(lambda x: f(omega, x), c)
    v["dc'_without peepholes"] = np.cos(c)
    return [v]


def layer_norm():  # (59)
    a, R = RNG.normal(size=(H, B)), RNG.normal(size=(H, B))

    def normal(a):
        return (a - a.mean(0)) / np.sqrt(((a - a.mean(0)) ** 2).mean(0))

    return [{"a": a, "abar": normal(a), "dabar": R, "da": complex_step(lambda a: (R * normal(a)).sum(), a)}]


def linear():  # (60): npseq's layer
    layer, X, R = npseq.Linear(3, 2, dtype=np.float64, rng=0), RNG.normal(size=(4, 3)), RNG.normal(size=(4, 2))
    Y, tape = layer.forward(X)
    dX, grads = layer.backward(tape, R)
    W, b = layer.params["weight"], layer.params["bias"]
    truth = {
        "dW": complex_step(lambda W: (R * (X @ W.T + b)).sum(), W),
        "dX": complex_step(lambda X: (R * (X @ W.T + b)).sum(), X),
        "db": complex_step(lambda b: (R * (X @ W.T + b)).sum(), b),
    }
    given = {"X": X, "Y": Y, "W": W, "b": b, "dY": R}
    return [{**given, **truth}, {**given, "dW": grads["weight"], "dX": dX, "db": grads["bias"]}]


def embedding():  # (61): npseq's layer, with an index that occurs twice
    layer, indices, R = npseq.Embedding(4, 2, dtype=np.float64, rng=0), np.array([2, 0, 2]), RNG.normal(size=(3, 2))
    Y, tape = layer.forward(indices)
    return [{"E": np.eye(4)[indices], "W": layer.params["weight"], "Y": Y, "dY": R, **grads_of(layer, tape, R)}]


def grads_of(layer, tape, R):
    return {"dW": layer.backward(tape, R)[1]["weight"]}


def dropout():  # (62): between the layers of npseq, whose second layer's dx is that of the dropped input
    layer = npseq.RNN(2, H, num_layers=2, dropout=0.5, dtype=np.float64, rng=0)
    _, _, tape = layer.forward(RNG.normal(size=(T, B, 2)), training=True)
    mask = tape.dropout[0]
    assert set(np.unique(mask)) == {0, 2}
    X, R = RNG.normal(size=mask.shape), RNG.normal(size=mask.shape)
    return [{"mu": mask, "X": X, "Y": mask * X, "dY": R, "dX": complex_step(lambda X: (R * mask * X).sum(), X)}]


def regression(loss, **options):  # (63)–(65): npseq's losses
    out = []
    for scale in (0.1, 3.0):  # below and above δ
        y, target = scale * RNG.normal(size=(3, 2)), np.zeros((3, 2))
        value, dy = loss(y, target, **options)
        assert relative_error(dy, complex_step(lambda y: loss(y, target, **options)[0], y)) < 1e-13
        out.append({"e": y - target, "N": y.size, "loss": value, "dy": dy, "delta": 1.0})
    return out


def softmax():  # (66)–(68): npseq's cross entropy with label smoothing
    logits, labels, smoothing = RNG.normal(size=(3, 4)), np.array([1, 3, 1]), 0.2
    loss, dlogits = losses.cross_entropy(logits, labels, label_smoothing=smoothing)
    assert (
        relative_error(
            dlogits, complex_step(lambda a: losses.cross_entropy(a, labels, label_smoothing=smoothing)[0], logits)
        )
        < 1e-13
    )
    ell = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    q = np.full((3, 4), smoothing / 4)
    q[np.arange(3), labels] += 1 - smoothing
    known = {"logits": logits, "ell": ell, "q": q, "E": np.eye(4)[labels], "N": 3, "varepsilon": smoothing}
    return [{**known, "dell": -q / 3, "number of classes": 4, "loss": loss, "dlogits": dlogits}]
