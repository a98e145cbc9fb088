"""Where a model with a head goes wrong: its recurrence, its layer, the linear layer, the loss, or the model itself."""

from __future__ import annotations

from .. import random_models
from ..draws import Config
from ..random_check import drawn
from . import failure
from .fused import blame as blame_fused
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
        return failure.raised(error)
    for call in recorder.calls:
        wrong = wrong_results(call)
        if wrong:
            return in_the_recurrence(
                call, recorder.engine, wrong, lambda: blame_fused(lambda: model.loss_and_grad(batch, training=False))
            )
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
    failed = {finding.what for finding in random_models.check_config(config)}  # of the model, whose parts are right
    head = "the recurrence, the linear layer and the loss are right"
    if "outputs" in failed:
        return [f"model.py, Model._read: {head}: what the linear layer reads (h) is wrong"]
    if failed & {"loss", "loss without gradient"}:
        return [f"module.py, Module._loss: {head}: what the loss is given (target, weights) is wrong"]
    where = "Model.backward" if config.every_step else "Model._d_read"
    return [f"model.py, {where}: {head}: what the recurrence is given going back (d_state, d_hs) is wrong"]
