"""What a training is told: the fields of ``TrainingConfig``, their checks, and the defaults that depend on the task."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import optim
from ..formats import schema
from ..nn.losses import LOSSES
from ..nn.reading import READS
from ..nn.registry import MODELS
from .fit import BATCH_SIZE

if TYPE_CHECKING:
    from typing_extensions import Self

# Defaults by task. Fields that are not here have one default, that of ``TrainingConfig``.
DEFAULTS: dict[str, dict[str, Any]] = {
    # a forecast with a base; of the window a quarter of the training rows, if that is less
    "forecast": {"window": 24, "batch_size": BATCH_SIZE},
    # a forecast without a base, and everything that is neither a forecast nor a text
    "alone": {"window": 12, "batch_size": 16},
    # the network of many series
    "panel": {"hidden_size": 128, "num_layers": 2, "batch_size": 128, "epochs": 6},
    # a class of each sequence
    "classify": {"lr": 0.005, "bidirectional": True, "read": "mean+max"},
    # the estimators of scikit-learn: a number for each sequence, and the early stopping of both
    "regressor": {"lr": 0.01, "epochs": 30},
    "early_stopping": {"validation_fraction": 0.1, "n_iter_no_change": 10},
    # chosen on the validation part of tiny_shakespeare (benchmarks/text.py), to train in three minutes on two cores
    "text": {
        "hidden_size": 256,
        "window": 64,
        "embedding": 64,
        "batch_size": 16,
        "epochs": 4,
        "lr": 0.004,
        "schedule": "cosine",
    },
}
EPOCHS, UPDATES = 30, 600  # at least, of a class of each sequence
AUTO_PEAK = 3  # largest learning rate of the schedule "auto" for a forecast with a base, as a multiple of lr
OPTIMIZERS = [*optim.OPTIMIZERS, "lbfgs"]
_LAYERS = schema.Field(lambda n: schema.COUNT.fits(n) and n <= 1000, "a whole number from 1 to 1,000")
_BIAS = schema.Field(lambda b: schema.NUMBER.fits(b) and abs(b) <= 1e30, "a number that float32 holds, at most 1e30")
_DECAY = schema.Field(lambda d: schema.NUMBER.fits(d) and d >= 0, "a finite number from 0 up")


def _field(default: Any, check: schema.Field, group: str, about: str = "", **more: Any) -> Any:
    """A field: its default and check, the group of options it belongs to, what it is, and the values to choose from."""
    return field(default=default, metadata={"check": check, "group": group, "about": about, **more})


def _choice(default: str | None, choices: list[str], group: str, about: str = "") -> Any:
    return _field(default, schema.one_of(choices), group, about, choices=choices)


@dataclass(frozen=True)
class TrainingConfig:
    """What ``npseq train`` has options for, with the same names and defaults.

    model: a name of ``registry.MODELS``; batch_size: None for 32 with a base, otherwise 16; clip: largest norm of the
    gradient; weight_decay: None for the optimiser's own; schedule: "auto" is one cycle with its peak at 3 · lr for a
    forecast with a base, otherwise constant; warmup: updates over which the rate rises; patience: None, or stop after
    this many epochs without a better validation loss; loss: None for the task's own; threads: None for automatic.

    Raises:
        ValueError: for the first field that is not valid, naming what was expected.
    """

    model: str = _field("lstm", schema.one_of(MODELS), "", choices=MODELS)
    epochs: int = _field(10, schema.COUNT, "")
    hidden_size: int = _field(32, schema.COUNT, "")
    lr: float = _field(0.001, schema.POSITIVE, "", "learning rate", metavar="RATE")
    num_layers: int = _field(1, _LAYERS, "model")
    bidirectional: bool = _field(False, schema.BOOLEAN, "model", "also run from the last row to the first")
    read: str = _choice("final", list(READS), "model", "what the output reads of the steps")
    dropout: float = _field(0.0, schema.PROBABILITY, "model", "between layers", metavar="P")
    recurrent_dropout: float = _field(0.0, schema.PROBABILITY, "model", "one mask for all steps", metavar="P")
    forget_bias: float | None = _field(None, _BIAS, "model", "initial bias of the LSTM's forget gate", metavar="B")
    batch_size: int | None = _field(
        None,
        schema.COUNT,
        "training",
        f"default: {DEFAULTS['forecast']['batch_size']} for a forecast with a base, otherwise "
        f"{DEFAULTS['alone']['batch_size']}",
    )
    clip: float = _field(1.0, schema.POSITIVE, "training", "largest norm of the gradient", metavar="NORM")
    optimizer: str = _choice(
        "adam", OPTIMIZERS, "training", "lbfgs takes all examples at once, one iteration per epoch"
    )
    weight_decay: float | None = _field(None, _DECAY, "training", "default: the optimiser's own", metavar="D")
    schedule: str = _choice(
        "auto",
        ["auto", *optim.SCHEDULES],
        "training",
        f"of the learning rate; auto is for a forecast with a base one cycle with its peak at {AUTO_PEAK} times the "
        "learning rate, otherwise constant",
    )
    warmup: int = _field(0, schema.NATURAL, "training", "updates over which the rate rises")
    patience: int | None = _field(
        None, schema.COUNT, "training", "stop after N epochs without a better validation loss; default: never"
    )
    loss: str | None = _choice(
        None, [name for name in LOSSES if name != "cross_entropy"], "training", "of a forecast; default: mse"
    )
    seed: int = _field(0, schema.SEED, "training", "of initial weights, order of the examples and dropout")
    dtype: str = _choice("float32", ["float32", "float64"], "training")
    threads: int | None = _field(None, schema.COUNT, "training", "default: chosen automatically")

    def __post_init__(self) -> None:
        checks = {each.name: each.metadata["check"] for each in fields(self)}
        optional = [each.name for each in fields(self) if each.default is None]
        checks |= {name: schema.optional(checks[name]) for name in optional}
        schema.check(asdict(self), checks, "the training")

    @classmethod
    def of(cls, kind: str, **given: Any) -> Self:
        """Return the configuration of a task: what was ``given`` (None: the default), and the defaults of its ``kind``.

        Args:
            kind: a name of ``DEFAULTS``.

        Raises:
            ValueError: as the class. TypeError: for an unknown field.
        """
        given = {name: plain(value) for name, value in given.items() if value is not None}
        return cls(**{**{name: value for name, value in DEFAULTS[kind].items() if name in NAMES}, **given})

    @classmethod
    def to_classify(cls, count: int, **given: Any) -> Self:
        """Return the configuration of a classification of ``count`` training sequences. Arguments, errors as ``of``.

        Without ``epochs`` they are at least ``EPOCHS``, and so many that there are ``UPDATES`` updates; "auto" is then
        warm-up and cosine. With L-BFGS they are ``EPOCHS``.
        """
        usual = {**DEFAULTS["alone"], **DEFAULTS["classify"]}
        given = {**usual, **{name: value for name, value in given.items() if value is not None}}
        if "epochs" not in given:
            given["epochs"] = EPOCHS
            if given.get("optimizer") != "lbfgs":
                steps = -(-count // plain(given["batch_size"]))
                given["epochs"] = max(EPOCHS, -(-UPDATES // steps))
                if given.get("schedule", "auto") == "auto":
                    given["schedule"] = "cosine"
                    given["warmup"] = given.get("warmup") or given["epochs"] * steps // 20
        return cls.of("alone", **{name: value for name, value in given.items() if name in NAMES})

    def changed(self, *names: str) -> dict[str, Any]:
        """Return those of the fields that differ from their defaults."""
        return {name: getattr(self, name) for name in names if getattr(self, name) != getattr(TrainingConfig, name)}


NAMES = [each.name for each in fields(TrainingConfig)]


def plain(value: Any) -> Any:
    """Return a NumPy number, as a grid of settings may hold, as Python's."""
    return value.item() if isinstance(value, np.generic) else value
