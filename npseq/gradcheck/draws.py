"""Configurations of layers, models and losses, drawn at random: the sizes, options and values of one check.

A configuration is a ``Config``. Its text, such as ``"model=gru T=7 B=2 lengths=mixed seed=5"``, names what differs from
the defaults; ``Config.parse`` reads it, so a failure can be repeated.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..fused import batch_parallel, workspace
from ..nn.losses import LOSSES
from ..nn.reading import READS
from ..nn.registry import MODELS

LENGTHS = "equal", "mixed", "one", "empty"
RNNS = "rnn", "optimized_rnn"  # which have two activations


class Config(NamedTuple):
    """One check. Letters as in ``npseq/__init__.py``.

    ``model``: a name of the registry. ``head``: "" for a layer alone; a loss for a ``Model``, which has outputs at
    every step with ``every_step``. ``state``, ``dy``, ``d_state``: whether they are given. ``again``: first a batch
    with other parameters. ``tapes``: another forward between a forward and its backward. ``scale`` multiplies the
    weights.
    """

    model: str = "lstm"
    I: int = 3
    H: int = 4
    T: int = 5
    B: int = 3
    L: int = 1
    D: int = 1
    P: int = 0
    lengths: str = "equal"
    relu: bool = False
    bias: bool = True
    batch_first: bool = False
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    learned: bool = False
    checkpoint: Any = None
    indices: bool = False
    unbatched: bool = False
    threads: int = 1
    state: bool = True
    dy: bool = True
    d_state: bool = True
    need_dx: bool = True
    again: bool = False
    tapes: bool = False
    scale: float = 1.0
    head: str = ""
    every_step: bool = False
    embedding: int = 0
    read: str = "final"
    weighted: bool = False
    seed: int = 0

    def __str__(self) -> str:
        given = [k for k in self._fields if k == "model" or getattr(self, k) != self._field_defaults[k]]
        return " ".join(f"{k}={getattr(self, k)}" for k in given)

    @classmethod
    def parse(cls, text: str) -> Config:
        """Return the configuration that ``str`` writes.

        Raises:
            ValueError: for a field or a value that does not exist.
        """
        fields: dict[str, Any] = {}
        for word in text.split():
            name, _, value = word.partition("=")
            if name not in cls._fields:
                raise ValueError(f"{name!r} is no field of a configuration; one of {', '.join(cls._fields)} expected")
            try:
                fields[name] = ast.literal_eval(value)
            except (ValueError, SyntaxError):
                fields[name] = value
            kind = type(cls._field_defaults[name])
            if kind in (int, float, bool) and not isinstance(fields[name], (int, float)):
                raise ValueError(f"{name}={value!r} given; a number expected")
        return cls(**fields).valid()

    @property
    def cell(self) -> Any:
        """The cell of the model."""
        return MODELS[self.model](1, 1).cell

    @property
    def optimized(self) -> bool:
        return self.model.startswith("optimized_")

    def layer_options(self) -> dict[str, Any]:
        """Return the options of a layer of the registry, but for its sizes, dtype and rng."""
        options = {name: getattr(self, name) for name in ("bias", "batch_first", "dropout", "recurrent_dropout")}
        options.update(num_layers=self.L, bidirectional=self.D == 2, checkpoint_every=self.checkpoint)
        options.update({"nonlinearity": "relu"} if self.relu else {}, **({"proj_size": self.P} if self.P else {}))
        options.update({"threads": self.threads} if self.optimized else {}, learn_initial_state=self.learned)
        return options

    def valid(self) -> Config:
        """Return the configuration without options that exclude each other.

        Raises:
            ValueError: for a model that does not exist.
        """
        if self.model not in MODELS:
            raise ValueError(f"unknown model {self.model!r}; one of {', '.join(MODELS)} expected")
        c = self._replace(
            relu=self.relu and self.model in RNNS,
            P=min(self.P, self.H - 1) if len(self.cell.state) > 1 else 0,
            dropout=self.dropout if self.L > 1 else 0.0,
            threads=self.threads if self.optimized else 1,
            dy=self.dy or not self.d_state,
        )
        if c.unbatched:
            c = c._replace(B=1, lengths="equal")
        if c.head:  # a model is run without dropout, batch first, by its own forward
            c = c._replace(batch_first=True, dropout=0.0, recurrent_dropout=0.0, unbatched=False, tapes=False)
            c = c._replace(state=False, dy=True, d_state=True, need_dx=True, indices=c.indices or c.embedding > 0)
            c = c._replace(read="final") if c.every_step else c
        else:
            c = c._replace(embedding=0, read="final", every_step=False, weighted=False)
        return c._replace(need_dx=False) if c.indices else c


# what is always checked, as texts of configurations: of every layer, of an LSTM, of every model with a head
ALONE = """T=1 B=1|T=2|T=1 lengths=empty|lengths=mixed|lengths=mixed D=2|L=2 D=2 lengths=mixed dropout=0.3
L=3 dropout=0.5|bias=False|batch_first=True|unbatched=True|recurrent_dropout=0.3|learned=True state=False L=2 D=2
checkpoint=3 lengths=mixed|checkpoint=sqrt T=7|indices=True|dy=False|d_state=False|state=False|need_dx=False
again=True lengths=mixed|tapes=True|scale=3.0"""
ALONE_LSTM = "P=2|P=2 L=2 D=2 lengths=mixed"
HEADS = """head=cross_entropy embedding=3 every_step=True weighted=True lengths=mixed
head=mse embedding=2 L=2 weighted=True|head=mse indices=True"""


def covered(model: str) -> list[Config]:
    """Return what is always checked of a model: T = 1 and 2, B = 1, empty sequences, and every option alone."""
    alone = re.split(r"[|\n]", ALONE)
    heads = [f"head={loss} {more}" for loss in LOSSES for more in ("", "lengths=mixed every_step=True")]
    heads += [f"head=mse D=2 read={read} lengths=mixed" for read in READS] + re.split(r"[|\n]", HEADS)
    lstm = ALONE_LSTM.split("|") if len(Config(model).cell.state) > 1 else []
    texts = [*alone, *lstm, *heads]
    relu = [f"relu=True {text}" for text in alone[:6]] if model in RNNS else []
    configs = [Config.parse(f"model={model} {text} seed={k}") for some in (texts, relu) for k, text in enumerate(some)]
    return configs + list(large(model))


def large(model: str) -> Iterator[Config]:
    """Yield sizes of an optimized layer that reach the code that small ones do not."""
    if not model.startswith("optimized_"):
        return
    G = len(Config(model).cell.gates)
    H = 160 if G == 1 else 96
    wide = batch_parallel.LARGE_WEIGHTS_MIN_ELEMENTS // (G * H) + 1
    many, narrow = workspace.HOIST_MIN_INPUTS, workspace.HOIST_MIN_ELEMENTS // (G * H) + 1
    for text in (
        f"I={wide} H={H} T=3 B=4 threads=2",  # W_x x is computed before the loop, by two threads
        f"I={narrow} H={H} T=9 B=4 again=True tapes=True",  # before the loop
        f"I={narrow} H={H} T=34 B=33 scale=0.3",  # before the loop, several groups of steps
        "I=5 H=33 T=130 B=70 scale=0.3",  # forward in groups of steps
        "I=5 H=33 T=130 B=70 scale=0.3 indices=True",
        f"I={many} H={H} T=4 B=80 threads=2",  # the batch is split over threads
        f"I={many} H={H} T=4 B=80 threads=4 lengths=mixed D=2",
        f"I=24 H={H if G == 1 else 72} T=20 B=96 lengths=mixed",  # packed
        "I=3 H=8 T=40 B=40 D=2",  # backward in chunks
        "I=5 H=8 T=40 B=40 indices=True tapes=True",
        "I=5 H=72 T=20 B=96 lengths=mixed D=2 again=True",
    ):
        yield Config.parse(f"model={model} {text}")


# name -> values that are drawn with equal chances: of small layers, and of large ones where the model has code for that
SMALL: dict[str, tuple[Any, ...]] = {
    **dict(I=(1, 2, 3, 5), H=(1, 2, 3, 4), T=(1, 2, 3, 5, 8), B=(1, 2, 3, 5), L=(1, 1, 2, 3), D=(1, 2), P=(0, 0, 1, 2)),
    **dict(lengths=("equal",) * 2 + ("mixed",) * 3 + ("one", "empty"), threads=(1, 2, 3, 4)),
    **dict(dropout=(0.0, 0.3, 0.6), recurrent_dropout=(0.0,) * 5 + (0.4,), scale=(0.3, 1.0, 1.0, 3.0)),
    **dict(checkpoint=(None,) * 12 + (1, 2, 3, "sqrt"), embedding=(0, 3), read=READS),
    **dict(head=("",) * 4 * len(LOSSES) + tuple(LOSSES)),
}
LARGE: dict[str, tuple[Any, ...]] = {
    **dict(I=(1, 3, 24, 64, 65, 130), H=(8, 33, 72, 96), T=(2, 17, 33, 40), B=(1, 4, 16, 33, 70), L=(1, 1, 2)),
    **dict(head=("",)),
}
OFTEN = {  # chances of options that are on or off
    **dict(relu=0.4, bias=0.8, batch_first=0.4, learned=0.25, indices=0.2, unbatched=0.1, state=0.6, dy=0.85),
    **dict(d_state=0.75, need_dx=0.85, again=0.25, tapes=0.25, every_step=0.5, weighted=0.4),
}


def draw(rng: np.random.Generator, models: list[str]) -> Config:
    """Return a configuration at random. A quarter is large where the model has code for that."""
    model = models[rng.integers(len(models))]
    big = model.startswith("optimized_") and rng.random() < 0.25
    choices = {**SMALL, **LARGE} if big else SMALL
    chosen = {name: values[int(rng.integers(len(values)))] for name, values in choices.items()}
    chosen.update({name: bool(rng.random() < p) for name, p in OFTEN.items()})
    if rng.random() < 0.08 and not big:
        chosen.update(T=130, L=1)
    return Config(model, seed=int(rng.integers(1 << 30)), **chosen).valid()


def smaller(config: Config) -> Iterator[Config]:
    """Yield configurations that are simpler than one, the simplest first: for the shrinking of a failure."""
    for name, value in config._asdict().items():
        simpler = [config._field_defaults[name]] if value != config._field_defaults[name] else []
        if name in ("I", "H", "T", "B", "L", "D"):
            simpler = sorted({size for size in (1, 2, 3, value // 2, value - 1) if 1 <= size < value})
        for other in simpler if name not in ("model", "seed") else ():
            yield config._replace(**{name: other}).valid()
