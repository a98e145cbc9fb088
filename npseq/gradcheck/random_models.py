"""The random check of what is not recurrent: models with a head, losses, linear layers and embeddings."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..nn import losses
from ..nn.linear import Embedding, Linear
from ..nn.model import Model
from . import reference_layer as layers
from .draws import Config
from .numerical import numerical_gradient
from .random_check import ALLOWED, OUTPUTS_ALLOWED, Finding, LayerCheck, along, direction, drawn
from .reference import known
from .result import largest

FLOAT32_ALLOWED = 1e-4  # of losses and heads, which amplify no rounding


def check_config(config: Config, float32: bool = True) -> list[Finding]:
    """Check one configuration of a layer or a model, in float32 too. Returns what is wrong, nothing if all is right."""
    return check_model_config(config) if config.head else LayerCheck(drawn(config)).run(float32)


def check_model_config(config: Config) -> list[Finding]:
    """Check the outputs, the loss and the gradient of a model of a configuration with a head."""
    model, batch = draw_model(config)
    rnn = model.rnn
    shape = layers.Shape(known(rnn.cell), config.L, config.D)
    options = {"loss": config.head, "every_step": config.every_step, "read": config.read}
    arrays = {name: array for name, array in model.params.items()}

    loss = reference_loss(config, model, batch)
    found: list[Finding] = []
    true_y, true_loss = layers.model(arrays, shape, options, batch)
    x, _, lengths, *_ = batch
    value, grad = model.loss_and_grad(batch, training=False)
    pairs = [("outputs", model.outputs(x, lengths), true_y), ("loss", np.asarray(value), np.asarray(true_loss))]
    pairs.append(("loss without gradient", np.asarray(model.loss_of(batch)), np.asarray(true_loss)))
    for name, given, true in pairs:
        if given.shape == true.shape and name == "outputs" and config.every_step and lengths is not None:
            there = np.arange(x.shape[1]) < np.asarray(lengths)[:, None]
            given, true = given[there], true[there]
        error = _error(given, true)
        if not error <= OUTPUTS_ALLOWED:
            found.append(
                Finding(name, f"{name} of the model is not that of the equations: relative error {error:.1e}", error)
            )
    grads = model.named(grad)
    v = direction(grads, np.random.default_rng(config.seed))
    products = [float(np.sum(d * v[name])) for name, d in grads.items()]
    expected, size = along(loss, arrays, v), sum(map(abs, products))
    error = abs(sum(products) - expected) / (size or 1.0)
    if not error <= ALLOWED:
        found.append(
            Finding(
                "gradient",
                f"along a random direction the gradient is {sum(products):.9g}; {expected:.9g} expected",
                error,
            )
        )
    if not found:
        small = model.astype(np.float32)
        batch32 = tuple(a.astype(np.float32) if getattr(a, "dtype", None) == np.float64 else a for a in batch)
        value32, grad32 = small.loss_and_grad(batch32, training=False)
        for name, given, true in (("loss", np.asarray(value32), np.asarray(value)), ("gradient", grad32, grad)):
            error = _error(given, true)
            if given.dtype != np.float32 or not error <= FLOAT32_ALLOWED:
                found.append(
                    Finding(
                        f"float32 {name}", f"in float32, the {name} is {given.dtype} and differs by {error:.1e}", error
                    )
                )
    return found


def reference_loss(config: Config, model: Model, batch: Any) -> Callable[[Any], Any]:
    """Return the loss of a batch as a function of the model's arrays, by the second statement."""
    shape = layers.Shape(known(model.rnn.cell), config.L, config.D)
    options = {"loss": config.head, "every_step": config.every_step, "read": config.read}
    return lambda arrays: layers.model(arrays, shape, options, batch)[1]


def _error(given: Any, true: Any) -> float:
    if given.shape != true.shape:
        return float("inf")
    error = largest(given - true) / (largest(true) or 1.0)
    return error if np.isfinite(error) else float("inf")


def draw_model(c: Config) -> tuple[Model, tuple[Any, ...]]:
    """Return the model of a configuration, float64, and a batch."""
    rng, K = np.random.default_rng(c.seed), 3
    options: dict[str, Any] = {"nonlinearity": "relu"} if c.relu else {}
    options.update({"proj_size": c.P} if c.P else {})
    model = Model(
        c.model,
        c.I,
        c.H,
        K if c.head == "cross_entropy" else 2,
        loss=c.head,
        outputs="all" if c.every_step else "last",
        embedding_size=c.embedding,
        dtype=np.float64,
        rng=rng,
        read=c.read,
        num_layers=c.L,
        bidirectional=c.D == 2,
        bias=c.bias,
        learn_initial_state=c.learned,
        checkpoint_every=c.checkpoint,
        **options,
    )
    model.theta += rng.uniform(-0.3, 0.3, model.theta.shape)
    lengths = None if c.lengths == "equal" else np.full(c.B, 1) if c.lengths == "one" else rng.integers(0, c.T + 1, c.B)
    if lengths is not None:
        lengths[0] = c.T  # at least one step counts in the loss
    x: Any = rng.integers(c.I, size=(c.B, c.T)) if c.indices else rng.standard_normal((c.B, c.T, c.I))
    shape = (c.B, c.T) if c.every_step else (c.B,)
    target: Any = rng.standard_normal((*shape, 2))
    if c.head == "cross_entropy":
        target = rng.integers(K, size=shape)
        if rng.random() < 0.3:
            target.flat[-1] = -100  # ignored
            target.flat[0] = 0
    weights = (rng.uniform(0.5, 1.5, c.B),) if c.weighted else ()
    return model, (x, target, lengths, *weights)


# ---- losses, linear layers, embeddings: element by element, since they are small ----


def loss_checks(rng: np.random.Generator, count: int) -> Iterator[tuple[str, Callable[[], list[Finding]]]]:
    """Yield (description, check) of every loss, with every option alone and then ``count`` times at random."""
    always: list[tuple[str, dict[str, Any], bool]] = [
        (name, {}, weighted) for name in losses.LOSSES for weighted in (False, True)
    ]
    always += [("huber", {"delta": 0.3}, False), ("huber", {"delta": 2.5}, True)]
    for options in (
        {"label_smoothing": 0.2},
        {"ignore_index": 1},
        {"ignore_index": 1, "label_smoothing": 0.3},
        {"classes": 1, "ignore_index": -1},
    ):
        always.append(("cross_entropy", options, False))
    for k in range(len(always) + count):
        if k < len(always):
            name, options, weighted = always[k]
        else:
            name = list(losses.LOSSES)[rng.integers(len(losses.LOSSES))]
            options, weighted = _loss_options(name, rng), bool(rng.random() < 0.4)
        seed = int(rng.integers(1 << 30))
        yield f"loss {name}", functools.partial(check_loss, name, options, weighted, seed)


def _loss_options(name: str, rng: np.random.Generator) -> dict[str, Any]:
    if name == "huber":
        return {"delta": float(np.round(rng.uniform(0.2, 2), 2))}
    if name != "cross_entropy":
        return {}
    found: dict[str, Any] = {"classes": int(rng.integers(1, 6))}
    if rng.random() < 0.5:
        found["label_smoothing"] = float(np.round(rng.uniform(0, 1), 2))
    if rng.random() < 0.5:
        found["ignore_index"] = int(rng.integers(found["classes"])) if rng.random() < 0.5 else -7
    return found


def check_loss(name: str, options: dict[str, Any], weighted: bool, seed: int) -> list[Finding]:
    """Check the value and the gradient of a loss for random predictions, of 1 to 3 dimensions and up to 200 rows."""
    rng, given = np.random.default_rng(seed), dict(options)
    K = given.pop("classes", 3)
    shape = (2, 4) if rng.random() < 0.5 else (7,)
    y = rng.standard_normal((*shape, K)) * 2
    if name == "cross_entropy":
        y += rng.choice([0.0, 800.0, -800.0])  # exp must not overflow
        target: Any = rng.integers(K, size=shape)
        if given.get("ignore_index", -100) != -100:
            target.flat[1::3] = given["ignore_index"]
    else:
        target = rng.standard_normal((*shape, K)) * 2
        target.flat[0] = y.flat[0]  # the slope at 0 is 0
    weights = rng.uniform(0.5, 1.5, target.shape) if weighted else None
    if weights is not None:
        given["weights"] = weights
    told = "".join(f" {key}={value}" for key, value in options.items()) + " weighted" * weighted
    function = losses.LOSSES[name]
    value, dy = function(y, target, **given)
    options = {key: value for key, value in given.items() if key != "weights"}

    def loss(array: np.ndarray) -> Any:
        return layers.loss(name, array, target, weights, **options)

    moved = y.astype(complex)
    true = numerical_gradient(lambda: loss(moved), {"y": moved})["y"]
    if name == "mae" or name == "huber":
        true.flat[0] = 0
    found = []
    for what, a, b in (("value", np.asarray(value), np.asarray(loss(y))), ("gradient", dy, true)):
        error = _error(a, b)
        if not error <= OUTPUTS_ALLOWED:
            found.append(
                Finding(
                    what,
                    f"nn/losses.py, {name}{told}: the {what} is not that of the formula: relative error {error:.1e}",
                    error,
                )
            )
    value32, dy32 = function(
        y.astype(np.float32), target if target.dtype.kind == "i" else target.astype(np.float32), **given
    )
    for what, a, b in (("value", np.asarray(value32), np.asarray(value)), ("gradient", dy32, dy)):
        if not found and (a.dtype != np.float32 or not _error(a, b) <= 3e-4):
            found.append(
                Finding(
                    what,
                    f"nn/losses.py, {name}{told}: in float32 the {what} is {a.dtype}, off by {_error(a, b):.1e}",
                )
            )
    return found


def part_checks(rng: np.random.Generator, count: int) -> Iterator[tuple[str, Callable[[], list[Finding]]]]:
    """Yield (description, check) of linear layers and embeddings of several sizes."""
    for k in range(count):
        rows = (1, 5, 65, 130)[k % 4]
        seed, bias = int(rng.integers(1 << 30)), k % 3 != 2
        yield "linear", functools.partial(check_linear, rows, bias, seed)
        yield "embedding", functools.partial(check_embedding, rows, seed)


def check_linear(rows: int, bias: bool, seed: int) -> list[Finding]:
    """Check y = x Wᵀ + b and its gradients, for x (rows, I) or (rows, 2, I)."""
    rng = np.random.default_rng(seed)
    I, O = (int(n) for n in rng.integers(1, 6, 2))
    layer = Linear(I, O, bias, np.float64, rng)
    x = rng.standard_normal((rows, 2, I) if seed % 2 else (rows, I))
    y, tape = layer.forward(x)
    dy = rng.standard_normal(y.shape)
    dx, grads = layer.backward(tape, dy)
    W = layer.params["weight"]
    b = layer.params["bias"] if bias else np.zeros(O)
    pairs = [
        ("forward", "y", y, np.einsum("...i,oi->...o", x, W) + b),
        ("backward", "dx", dx, np.einsum("...o,oi->...i", dy, W)),
        ("backward", "dW", grads["weight"], dy.reshape(-1, O).T @ x.reshape(-1, I)),
    ]
    if bias:
        pairs.append(("backward", "db", grads["bias"], dy.reshape(-1, O).sum(0)))
    return _of_part("Linear", pairs, layer, x, dy)


def check_embedding(rows: int, seed: int) -> list[Finding]:
    """Check y = W[indices] and the gradient of W, with indices that repeat."""
    rng = np.random.default_rng(seed)
    count, size = int(rng.integers(1, 7)), int(rng.integers(1, 5))
    layer = Embedding(count, size, np.float64, rng)
    indices = rng.integers(count, size=(rows, 2) if seed % 2 else rows)
    y, tape = layer.forward(indices)
    dy = rng.standard_normal(y.shape)
    returned = layer.backward(tape, dy)
    grads = returned[-1] if isinstance(returned, tuple) else returned
    ones = layers.one_hot(indices, count)
    pairs = [
        ("forward", "y", y, ones @ layer.params["weight"]),
        ("backward", "dW", grads["weight"], ones.reshape(-1, count).T @ dy.reshape(-1, size)),
    ]
    return _of_part("Embedding", pairs, layer, indices, dy)


def _of_part(name: str, pairs: list[Any], layer: Any, x: np.ndarray, dy: np.ndarray) -> list[Finding]:
    found = []
    for function, what, given, true in pairs:
        error = _error(np.asarray(given), true)
        if not error <= OUTPUTS_ALLOWED:
            line = f"nn/linear.py, {name}.{function}: {what} is wrong: relative error {error:.1e}"
            found.append(Finding(what, line, error))
    small = layer.astype(np.float32)
    y, tape = small.forward(x.astype(np.float32) if x.dtype.kind == "f" else x)
    returned = small.backward(tape, dy.astype(np.float32))
    grads = returned[-1] if isinstance(returned, tuple) else returned
    for given, true in ((y, pairs[0][2]), (grads["weight"], pairs[-2 if len(pairs) == 4 else -1][2])):
        if not found and (given.dtype != np.float32 or not _error(given, true) <= FLOAT32_ALLOWED):
            found.append(
                Finding(
                    "float32", f"nn/linear.py, {name}: in float32 a result is {given.dtype}, or not that in float64"
                )
            )
    return found
