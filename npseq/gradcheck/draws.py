"""Configurations of layers, models and losses, drawn at random: the sizes, options and values of one check.

A configuration is a ``Config``. Its text, such as ``"model=gru T=7 B=2 lengths=mixed seed=5"``, names what differs from
the defaults; ``Config.parse`` reads it, so a failure can be repeated.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..fused import batch_parallel, workspace
from ..nn.losses import LOSSES
from ..nn.reading import READS
from ..nn.registry import MODELS

LENGTHS = "equal", "mixed", "one", "empty"


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
        given = [f"model={self.model}"]
        given += [f"{k}={v}" for k, v in self._asdict().items() if k != "model" and v != self._field_defaults[k]]
        return " ".join(given)

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
    def gates(self) -> int:
        """G."""
        return len(MODELS[self.model](1, 1).cell.gates)

    @property
    def optimized(self) -> bool:
        return self.model.startswith("optimized_")

    def valid(self) -> Config:
        """Return the configuration without options that exclude each other.

        Raises:
            ValueError: for a model that does not exist.
        """
        if self.model not in MODELS:
            raise ValueError(f"unknown model {self.model!r}; one of {', '.join(MODELS)} expected")
        lstm, rnn = len(MODELS[self.model](1, 1).cell.state) > 1, self.model in ("rnn", "optimized_rnn")
        c = self._replace(
            relu=self.relu and rnn,
            P=min(self.P, self.H - 1) if lstm else 0,
            dropout=self.dropout if self.L > 1 else 0.0,
            threads=self.threads if self.optimized else 1,
            embedding=self.embedding if self.head else 0,
            read=self.read if self.head and not self.every_step else "final",
            every_step=bool(self.head) and self.every_step,
            weighted=bool(self.head) and self.weighted,
        )
        if c.unbatched:
            c = c._replace(B=1, lengths="equal")
        if c.head:  # a model is run without dropout, batch first, by its own forward
            c = c._replace(batch_first=True, dropout=0.0, recurrent_dropout=0.0, unbatched=False, tapes=False)
            c = c._replace(state=False, dy=True, d_state=True, need_dx=True, indices=c.indices or c.embedding > 0)
        if not (c.dy or c.d_state):
            c = c._replace(dy=True)
        return c._replace(need_dx=False) if c.indices else c


def covered(model: str) -> list[Config]:
    """Return what is always checked of a model: T = 1 and 2, B = 1, empty sequences, and every option alone."""
    alone: list[dict[str, Any]] = [
        {"T": 1, "B": 1},
        {"T": 2},
        {"T": 1, "lengths": "empty"},
        {"lengths": "mixed"},
        {"lengths": "mixed", "D": 2},
        {"L": 2, "D": 2, "lengths": "mixed", "dropout": 0.3},
        {"L": 3, "dropout": 0.5},
        {"bias": False},
        {"batch_first": True},
        {"unbatched": True},
        {"recurrent_dropout": 0.3},
        {"learned": True, "state": False, "L": 2, "D": 2},
        {"checkpoint": 3, "lengths": "mixed"},
        {"checkpoint": "sqrt", "T": 7},
        {"indices": True},
        {"dy": False},
        {"d_state": False},
        {"state": False},
        {"need_dx": False},
        {"again": True, "lengths": "mixed"},
        {"tapes": True},
        {"scale": 3.0},
    ]
    cell = MODELS[model](1, 1).cell
    if len(cell.state) > 1:
        alone += [{"P": 2}, {"P": 2, "L": 2, "D": 2, "lengths": "mixed"}]
    heads: list[dict[str, Any]] = [
        {"head": loss, "lengths": lengths, "every_step": every}
        for loss in LOSSES
        for lengths, every in (("equal", False), ("mixed", True))
    ]
    heads += [{"head": "mse", "D": 2, "read": read, "lengths": "mixed"} for read in READS]
    heads += [{"head": "cross_entropy", "embedding": 3, "every_step": True, "weighted": True, "lengths": "mixed"}]
    heads += [{"head": "mse", "embedding": 2, "L": 2, "weighted": True}, {"head": "mse", "indices": True}]
    configs = [Config(model, seed=k, **fields).valid() for k, fields in enumerate([*alone, *heads])]
    if model in ("rnn", "optimized_rnn"):
        configs += [Config(model, relu=True, seed=k, **f).valid() for k, f in enumerate(alone[:6])]
    return configs + list(large(model))


def large(model: str) -> Iterator[Config]:
    """Yield sizes of an optimized layer that reach the code that small ones do not."""
    if not model.startswith("optimized_"):
        return
    G = Config(model).gates
    H = 160 if G == 1 else 96
    wide = batch_parallel.LARGE_WEIGHTS_MIN_ELEMENTS // (G * H) + 1
    many = workspace.HOIST_MIN_INPUTS
    narrow = workspace.HOIST_MIN_ELEMENTS // (G * H) + 1
    yield Config(model, I=wide, H=H, T=3, B=4, threads=2).valid()  # W_x x is computed before the loop, by two threads
    yield Config(model, I=narrow, H=H, T=9, B=4, again=True, tapes=True).valid()  # before the loop
    yield Config(model, I=narrow, H=H, T=34, B=33, scale=0.3).valid()  # before the loop, several groups of steps
    yield Config(model, I=5, H=33, T=130, B=70, scale=0.3).valid()  # forward in groups of steps
    yield Config(model, I=5, H=33, T=130, B=70, scale=0.3, indices=True).valid()
    yield Config(model, I=many, H=H, T=4, B=80, threads=2).valid()  # the batch is split over threads
    yield Config(model, I=many, H=H, T=4, B=80, threads=4, lengths="mixed", D=2).valid()
    yield Config(model, I=24, H=H if G == 1 else 72, T=20, B=96, lengths="mixed").valid()  # packed
    yield Config(model, I=3, H=8, T=40, B=40, D=2).valid()  # backward in chunks
    yield Config(model, I=5, H=8, T=40, B=40, indices=True, tapes=True).valid()
    yield Config(model, I=5, H=72, T=20, B=96, lengths="mixed", D=2, again=True).valid()


def draw(rng: np.random.Generator, models: list[str]) -> Config:
    """Return a configuration at random. Every third is large where the model has code for that."""
    model = models[rng.integers(len(models))]
    big = model.startswith("optimized_") and rng.random() < 0.25

    def one_of(*values: Any) -> Any:
        return values[int(rng.integers(len(values)))]

    def often(p: float) -> bool:
        return bool(rng.random() < p)

    c = Config(
        model,
        I=one_of(1, 2, 3, 5) if not big else one_of(1, 3, 24, 64, 65, 130),
        H=one_of(1, 2, 3, 4) if not big else one_of(8, 33, 72, 96),
        T=one_of(1, 2, 3, 5, 8) if not big else one_of(2, 17, 33, 40),
        B=one_of(1, 2, 3, 5) if not big else one_of(1, 4, 16, 33, 70),
        L=one_of(1, 1, 2, 3) if not big else one_of(1, 1, 2),
        D=one_of(1, 2),
        P=one_of(0, 0, 1, 2),
        lengths=one_of("equal", "mixed", "mixed", "one", "empty") if often(0.7) else "equal",
        relu=often(0.4),
        bias=often(0.8),
        batch_first=often(0.4),
        dropout=one_of(0.0, 0.3, 0.6),
        recurrent_dropout=one_of(0.0, 0.4) if often(0.3) else 0.0,
        learned=often(0.25),
        checkpoint=one_of(1, 2, 3, "sqrt") if often(0.25) else None,
        indices=often(0.2),
        unbatched=often(0.1),
        threads=one_of(1, 2, 3, 4),
        state=often(0.6),
        dy=often(0.85),
        d_state=often(0.75),
        need_dx=often(0.85),
        again=often(0.25),
        tapes=often(0.25),
        scale=one_of(0.3, 1.0, 1.0, 3.0),
        head=one_of(*LOSSES) if often(0.2) and not big else "",
        every_step=often(0.5),
        embedding=one_of(0, 3),
        read=one_of(*READS),
        weighted=often(0.4),
        seed=int(rng.integers(1 << 30)),
    ).valid()
    if often(0.08) and not big:
        c = c._replace(T=130, L=1).valid()
    return c


def smaller(config: Config) -> Iterator[Config]:
    """Yield configurations that are simpler than one, the simplest first: for the shrinking of a failure."""
    simple = Config(config.model, seed=config.seed)
    for name in config._fields:
        value, default = getattr(config, name), getattr(simple, name)
        if name in ("I", "H", "T", "B", "L", "D"):
            least = {"L": 1, "D": 1}.get(name, 1)
            steps = {least, 2, 3, value // 2, value - 1} if value > least else set()
            for size in sorted(size for size in steps if least <= size < value):
                yield config._replace(**{name: size}).valid()
        elif value != default and name not in ("model", "seed"):
            yield config._replace(**{name: default}).valid()
