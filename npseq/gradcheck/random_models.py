"""The random check of what is not recurrent: models with a head, losses, linear layers and embeddings."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ..nn import losses
from ..nn.linear import Embedding, Linear
from ..nn.model import Model
from . import reference_layer as layers
from .draws import Config
from .numerical import numerical_gradient
from .random_check import OUTPUTS_ALLOWED, Finding, LayerCheck, difference, drawn, wrong_direction
from .reference import known
from .result import largest

TERMS = 1e-14  # rounding of an element of a gradient, whose terms are of the order of 1
FLOAT32_TERMS = 1e-6  # the same in float32
FLOAT32_ALLOWED = 3e-4  # of losses and heads, which amplify no rounding

Checks = Iterator[tuple[str, Callable[[], list[Finding]]]]  # description, check


def check_config(config: Config, float32: bool = True) -> list[Finding]:
    """Check one configuration of a layer or a model, in float32 too. Returns what is wrong, nothing if all is right."""
    return check_model_config(config) if config.head else LayerCheck(drawn(config)).run(float32)


def _compared(
    text: str, pairs: Iterable[tuple[str, Any, Any]], allowed: float = OUTPUTS_ALLOWED, absolute: float = 0.0
) -> list[Finding]:
    """Return what differs of pairs (what, given, true), as the text with a name says."""
    errors = [(what, difference(given, true), largest(true)) for what, given, true in pairs]
    return [
        Finding(what, f"{text.format(what)}: relative error {error:.1e}", error)
        for what, error, size in errors
        if not error <= allowed and not error * size <= absolute
    ]


def _in_float32(text: str, pairs: list[tuple[str, Any, Any]]) -> list[Finding]:
    """Return what is not float32, or is not near the value in float64."""
    found = [what for what, given, _ in pairs if given.dtype != np.float32]
    if found:
        return [Finding("float32", f"{text}: in float32 the {found[0]} has another dtype")]
    return _compared(f"{text}: in float32 the {{}} is not that in float64", pairs, FLOAT32_ALLOWED, FLOAT32_TERMS)


def single(array: Any) -> Any:
    """Return floats in float32; everything else as it is."""
    return array.astype(np.float32) if getattr(array, "dtype", None) == np.float64 else array


def reference_of_model(config: Config, model: Model, batch: Any) -> Callable[[Any], tuple[np.ndarray, Any]]:
    """Return outputs and loss of a batch as a function of the model's arrays, by the second statement."""
    shape = layers.Shape(known(model.rnn.cell), config.L, config.D)
    options = {"loss": config.head, "every_step": config.every_step, "read": config.read}
    return lambda arrays: layers.model(arrays, shape, options, batch)


def check_model_config(config: Config) -> list[Finding]:
    """Check the outputs, the loss and the gradient of a model of a configuration with a head."""
    model, batch = draw_model(config)
    reference, (x, _, lengths, *_) = reference_of_model(config, model, batch), batch
    true_y, true_loss = reference(model.params)
    value, grad = model.loss_and_grad(batch, training=False)
    y = model.outputs(x, lengths)
    if config.every_step and lengths is not None and y.shape == true_y.shape:
        there = np.arange(x.shape[1]) < np.asarray(lengths)[:, None]
        y, true_y = y[there], true_y[there]
    pairs = [("outputs", y, true_y), ("loss", np.asarray(value), np.asarray(true_loss))]
    pairs.append(("loss without gradient", np.asarray(model.loss_of(batch)), np.asarray(true_loss)))
    found = _compared("{} of the model is not that of the equations", pairs)

    def rounding_along(v: Any, size: float) -> float:
        return TERMS * sum(float(np.abs(d).sum()) for d in v.values()) / size

    loss = lambda arrays: reference(arrays)[1]  # noqa: E731
    found += wrong_direction(model.named(grad), loss, dict(model.params), config.seed, rounding_along)
    if found:
        return found
    value32, grad32 = model.astype(np.float32).loss_and_grad(tuple(map(single, batch)), training=False)
    pairs = [("loss", np.asarray(value32), np.asarray(value)), ("gradient", grad32, grad)]
    return _in_float32("the model", pairs)


def draw_model(c: Config) -> tuple[Model, tuple[Any, ...]]:
    """Return the model of a configuration, float64, and a batch."""
    rng, K, of_layers = np.random.default_rng(c.seed), 3, ("batch_first", "dropout", "recurrent_dropout", "threads")
    options = {name: value for name, value in c.layer_options().items() if name not in of_layers}
    options.update(loss=c.head, outputs="all" if c.every_step else "last", embedding_size=c.embedding, read=c.read)
    outputs = K if c.head == "cross_entropy" else 2
    model = Model(c.model, c.I, c.H, outputs, dtype=np.float64, rng=rng, **options)
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


def loss_checks(rng: np.random.Generator, count: int) -> Checks:
    """Yield the checks of every loss, with every option alone and then ``count`` times at random."""
    always: list[tuple[str, dict[str, Any], bool]] = [(name, {}, w) for name in losses.LOSSES for w in (False, True)]
    always += [("huber", {"delta": 0.3}, False), ("huber", {"delta": 2.5}, True)]
    smooth, ignore = {"label_smoothing": 0.2}, {"ignore_index": 1}
    smooth_too, one = {**ignore, "label_smoothing": 0.3}, {"classes": 1, "ignore_index": -1}
    always += [("cross_entropy", options, False) for options in (smooth, ignore, smooth_too, one)]
    for k in range(len(always) + count):
        name = list(losses.LOSSES)[rng.integers(len(losses.LOSSES))]
        given = always[k] if k < len(always) else (name, _loss_options(name, rng), bool(rng.random() < 0.4))
        yield f"loss {given[0]}", functools.partial(check_loss, *given, int(rng.integers(1 << 30)))


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
    """Check the value and the gradient of a loss for random predictions, of 1 or 2 dimensions."""
    rng, options, function = np.random.default_rng(seed), dict(options), losses.LOSSES[name]
    text = f"nn/losses.py, {name}" + "".join(f" {k}={v}" for k, v in options.items()) + " weighted" * weighted
    K = options.pop("classes", 3)
    shape = (2, 4) if rng.random() < 0.5 else (7,)
    y, target = 2 * rng.standard_normal((2, *shape, K))
    if name == "cross_entropy":
        y += rng.choice([0.0, 800.0, -800.0])  # exp must not overflow
        target = rng.integers(K, size=shape)
        target.flat[1::3] = options.get("ignore_index", target.flat[1])
    else:
        target.flat[0] = y.flat[0]  # the slope at 0 is 0
    weights = rng.uniform(0.5, 1.5, target.shape) if weighted else None
    given = {**options, **({"weights": weights} if weighted else {})}
    value, dy = function(y, target, **given)
    value32, dy32 = function(single(y), single(target), **given)

    def loss(array: np.ndarray) -> Any:
        return layers.loss(name, array, target, weights, **options)

    moved = y.astype(complex)
    true = numerical_gradient(lambda: loss(moved), {"y": moved})["y"]
    if name in ("mae", "huber"):
        true.flat[0] = 0
    pairs = [("value", np.asarray(value), np.asarray(loss(y))), ("gradient", dy, true)]
    pairs32 = [("value", np.asarray(value32), np.asarray(value)), ("gradient", dy32, dy)]
    return _compared(f"{text}: the {{}} is not that of the formula", pairs) or _in_float32(text, pairs32)


def part_checks(rng: np.random.Generator, count: int) -> Checks:
    """Yield the checks of linear layers and embeddings of several sizes."""
    for k in range(count):
        rows, seed = (1, 5, 65, 130)[k % 4], int(rng.integers(1 << 30))
        yield "linear", functools.partial(check_linear, rows, k % 3 != 2, seed)
        yield "embedding", functools.partial(check_embedding, rows, seed)


def check_linear(rows: int, bias: bool, seed: int) -> list[Finding]:
    """Check y = x Wᵀ + b and its gradients, for x (rows, I) or (rows, 2, I)."""
    rng = np.random.default_rng(seed)
    I, O = (int(n) for n in rng.integers(1, 6, 2))
    layer = Linear(I, O, bias, np.float64, rng)
    x = rng.standard_normal((rows, 2, I) if seed % 2 else (rows, I))
    dy = rng.standard_normal((*x.shape[:-1], O))
    W, b, flat = layer.params["weight"], layer.params["bias"] if bias else 0, dy.reshape(-1, O)
    true = {"y": np.einsum("...i,oi->...o", x, W) + b, "dx": np.einsum("...o,oi->...i", dy, W)}
    true.update({"dW": flat.T @ x.reshape(-1, I)}, **({"db": flat.sum(0)} if bias else {}))
    return _check_part(layer, x, dy, true)


def check_embedding(rows: int, seed: int) -> list[Finding]:
    """Check y = W[indices] and the gradient of W, with indices that repeat."""
    rng = np.random.default_rng(seed)
    count, size = int(rng.integers(1, 7)), int(rng.integers(1, 5))
    layer = Embedding(count, size, np.float64, rng)
    indices = rng.integers(count, size=(rows, 2) if seed % 2 else rows)
    dy, ones = rng.standard_normal((*indices.shape, size)), layers.one_hot(indices, count)
    true = {"y": ones @ layer.params["weight"], "dW": ones.reshape(-1, count).T @ dy.reshape(-1, size)}
    return _check_part(layer, indices, dy, true)


def _check_part(layer: Any, x: np.ndarray, dy: np.ndarray, true: dict[str, np.ndarray]) -> list[Finding]:
    """Compare what a layer returns, in float64 and in float32, with what is true."""
    text = f"nn/linear.py, {type(layer).__name__}"

    def results(layer: Any, x: np.ndarray, dy: np.ndarray) -> dict[str, np.ndarray]:
        y, tape = layer.forward(x)
        dx, grads = layer.backward(tape, dy)
        return {"y": y, "dx": dx, "dW": grads["weight"], "db": grads.get("bias")}

    given, given32 = results(layer, x, dy), results(layer.astype(np.float32), single(x), single(dy))
    found = _compared(f"{text}.forward: {{}} is wrong", [("y", given["y"], true.pop("y"))])
    found += _compared(f"{text}.backward: {{}} is wrong", [(name, given[name], d) for name, d in true.items()])
    return found or _in_float32(text, [(name, given32[name], given[name]) for name in ("y", *true)])
