"""Where a model with a head goes wrong: its recurrence, its layer, the linear layer, the loss, or the model itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import random_models
from .. import reference_layer as layers
from ..draws import Config
from ..random_check import drawn
from ..reference import known
from ..result import relative_error
from . import failure
from .replay import Recorder, blame, in_the_recurrence, wrong_results

SEEDS = 8  # of configurations of the layer alone, and of the parts, that are tried


def blame_model(config: Config) -> list[str]:
    """Return a line for the first part of a model that is shown to be wrong; empty if none is."""
    model, batch = random_models.draw_model(config)
    recorder = Recorder(model.rnn.through_time)
    model.rnn.through_time = recorder
    try:
        model.loss_and_grad(batch, training=False)
    except Exception as error:
        return [failure.raised(error)]
    for k, call in enumerate(recorder.calls):
        wrong = wrong_results(call)
        if wrong:
            return in_the_recurrence(recorder.calls[: k + 1], recorder.engine, wrong)
    alone = config._replace(head="", embedding=0, every_step=False, read="final", weighted=False).valid()
    for seed in range(SEEDS):
        if random_models.check_config(alone._replace(seed=seed)):
            return blame(drawn(alone._replace(seed=seed)))
    for seed in range(SEEDS):
        weighted = config.weighted
        for found in (
            random_models.check_linear((5, 130)[seed % 2], True, seed),
            random_models.check_embedding((5, 65)[seed % 2], seed) if config.embedding else [],
            random_models.check_loss(config.head, {}, weighted, seed),
        ):
            if found:
                return [found[0].line.removeprefix("nn/")]
    return _between(config, model, batch)


def _between(config: Config, model: Any, batch: Any) -> list[str]:
    """Return which function of the model is wrong, whose parts are right."""
    rnn, (x, _, lengths, *_) = model.rnn, batch
    shape = layers.Shape(known(rnn.cell), config.L, config.D)
    options = {"loss": config.head, "every_step": config.every_step, "read": config.read}
    true_y, true_loss = layers.model(dict(model.params), shape, options, batch)
    y, (loss, _) = model.outputs(x, lengths), model.loss_and_grad(batch, training=False)
    if config.every_step and lengths is not None:
        there = np.arange(x.shape[1]) < np.asarray(lengths)[:, None]
        y, true_y = y[there], true_y[there]
    head = "the recurrence, the linear layer and the loss are right"
    if y.shape != true_y.shape or not relative_error(y, true_y) <= 1e-9:
        return [f"model.py, Model._read: {head}: what the linear layer reads (h) is wrong"]
    if not relative_error(np.asarray(loss), np.asarray(true_loss)) <= 1e-9:
        return [f"module.py, Module._loss: {head}: what the loss is given (target, weights) is wrong"]
    where = "Model.backward" if config.every_step else "Model._d_read"
    return [f"model.py, {where}: {head}: what the recurrence is given going back (d_state, d_hs) is wrong"]
