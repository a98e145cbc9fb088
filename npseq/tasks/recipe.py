"""What a weights file must keep so that the model can be used on new data, and how it is read back.

A recipe says how data become examples: columns, window, scaler, classes. ``to_json`` gives what the file keeps;
``from_json`` checks every type, range and name, because a file may come from an untrusted source.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from ..data.corpus import TOKENS, Corpus, Vocabulary
from ..data.errors import DataError
from ..formats import schema
from ..formats.model_file import load_model
from ..formats.unpickler import CheckpointError
from ..nn.model import Model
from ..nn.scaling import Scaler
from . import agreement
from .bases import Base, Bases
from .row_hashes import SeenRows
from .width import Width

_SCALER = {"mean": schema.listed(schema.NUMBER), "spread": schema.listed(schema.POSITIVE)}


@dataclass(frozen=True)
class ForecastRecipe:
    """How the rows of a table become windows (``windows.Windows``).

    ``scaler`` has the targets' columns first and those known ahead last.
    """

    task: ClassVar[str] = "forecast"
    FIELDS: ClassVar[dict[str, schema.Field]] = {
        "task": schema.one_of(["forecast"]),
        "data": schema.TEXT,
        "target": schema.listed(schema.TEXT),
        "inputs": schema.listed(schema.TEXT),
        "window": schema.COUNT,
        "horizon": schema.COUNT,
        "lags": schema.listed(schema.COUNT),
        "scale": schema.one_of(["standard", "none"]),
        "step": schema.optional(schema.COUNT),
        "calendar": schema.BOOLEAN,
        **_SCALER,
        "future": schema.missing(schema.listed(schema.TEXT), []),
        "base": schema.optional(schema.MAPPING),
    }

    data: str
    target: list[str]
    inputs: list[str]
    window: int
    horizon: int
    lags: list[int]
    scale: str
    step: int | None  # seconds between rows; None where they are irregular
    calendar: bool
    scaler: Scaler
    future: list[str] = field(default_factory=list)
    base: Bases | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as a weights file keeps it: ``future`` and ``base`` only if there are any."""
        values = _to_json(self)
        values["base"] = self.base and self.base.to_json()
        return {name: value for name, value in values.items() if name not in ("future", "base") or value}

    @property
    def first(self) -> int:
        """The first row that has a whole window, its lagged values, and the values that the base reads, before it."""
        return self.window + max(max(self.lags, default=1) - 1, self.base.reach if self.base else 0)


@dataclass(frozen=True)
class ClassificationRecipe:
    """How labelled sequences become examples (``classification.Frames``)."""

    task: ClassVar[str] = "classify"
    FIELDS: ClassVar[dict[str, schema.Field]] = {
        "task": schema.one_of(["classify"]),
        "data": schema.TEXT,
        "inputs": schema.listed(schema.TEXT),
        "classes": schema.listed(schema.TEXT),
        **_SCALER,
    }

    data: str
    inputs: list[str]
    classes: list[str]
    scaler: Scaler

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as a weights file keeps it."""
        return _to_json(self)


@dataclass(frozen=True)
class LabellingRecipe(ClassificationRecipe):
    """How sequences with a class for each row become examples (``labelling.LabelledFrames``)."""

    task: ClassVar[str] = "label"
    FIELDS: ClassVar[dict[str, schema.Field]] = {**ClassificationRecipe.FIELDS, "task": schema.one_of(["label"])}


@dataclass(frozen=True)
class RegressionRecipe:
    """How sequences with a number each become examples (``regression.NumberedFrames``)."""

    task: ClassVar[str] = "regress"
    FIELDS: ClassVar[dict[str, schema.Field]] = {
        "task": schema.one_of(["regress"]),
        "data": schema.TEXT,
        "inputs": schema.listed(schema.TEXT),
        **_SCALER,
        "target_mean": schema.NUMBER,
        "target_spread": schema.POSITIVE,
    }

    data: str
    inputs: list[str]
    scaler: Scaler
    target_scaler: Scaler  # of the number, one column

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as a weights file keeps it."""
        return _to_json(self)


@dataclass(frozen=True)
class AddingRecipe:
    """How the sequences of the adding problem are generated (``adding.Adding``)."""

    task: ClassVar[str] = "adding"
    FIELDS: ClassVar[dict[str, schema.Field]] = {
        "task": schema.one_of(["adding"]),
        "data": schema.TEXT,
        "length": schema.COUNT,
        "count": schema.COUNT,
        "held_out": schema.COUNT,
        "seed": schema.SEED,
    }

    data: str
    length: int
    count: int
    held_out: int
    seed: int

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as a weights file keeps it."""
        return _to_json(self)


def _is_alphabet(value: Any) -> bool:
    # surrogates are no characters, and could not be written
    return schema.TEXT.fits(value) and list(value) == sorted({c for c in value if not "\ud800" <= c <= "\udfff"})


@dataclass(frozen=True)
class TextRecipe:
    """How a text becomes examples (``text.Text``).

    ``vocabulary``: the characters, sorted; empty for bytes. ``digest``: of the text that the model was trained on,
    empty if it is not known.
    """

    task: ClassVar[str] = "text"
    FIELDS: ClassVar[dict[str, schema.Field]] = {
        "task": schema.one_of(["text"]),
        "data": schema.TEXT,
        "tokens": schema.one_of(TOKENS),
        "vocabulary": schema.Field(_is_alphabet, "a text of sorted, different characters"),
        "window": schema.COUNT,
        "split": schema.listed(schema.SHARE, 3),
        "carries": schema.BOOLEAN,
        "digest": schema.missing(schema.TEXT, ""),
    }

    data: str
    tokens: str
    vocabulary: str
    window: int
    split: list[float]
    carries: bool
    digest: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as a weights file keeps it."""
        return _to_json(self)

    def is_of(self, corpus: Corpus) -> bool:
        """True if the model was trained on this text: of the same content or, if that is not known, of the same
        name."""
        return self.digest == corpus.digest() if self.digest else self.data == corpus.name

    @property
    def alphabet(self) -> Vocabulary:
        """The symbols that the model knows."""
        return Vocabulary(self.tokens, self.vocabulary)


Recipe = ForecastRecipe | ClassificationRecipe | LabellingRecipe | RegressionRecipe | AddingRecipe | TextRecipe
RECIPES: dict[str, type[Recipe]] = {
    recipe.task: recipe
    for recipe in (ForecastRecipe, ClassificationRecipe, RegressionRecipe, LabellingRecipe, AddingRecipe, TextRecipe)
}


def _to_json(recipe: Recipe) -> dict[str, Any]:
    values = {"task": recipe.task, **vars(recipe)}
    if (scaler := values.pop("scaler", None)) is not None:
        values |= {"mean": scaler.mean.tolist(), "spread": scaler.scale.tolist()}
    if (scaler := values.pop("target_scaler", None)) is not None:
        values |= {"target_mean": float(scaler.mean[0]), "target_spread": float(scaler.scale[0])}
    return values


def from_json(mapping: Any) -> Recipe:
    """Return the recipe that a weights file keeps.

    Raises:
        ValueError: for anything else, naming the first fault.
    """
    task = mapping.get("task") if isinstance(mapping, dict) else None
    if not isinstance(task, str) or task not in RECIPES:
        raise ValueError(f"its recipe names no task that npseq knows; one of {', '.join(RECIPES)} expected")
    values = schema.check(mapping, RECIPES[task].FIELDS, "its recipe")
    del values["task"]
    if "mean" in values:
        columns = sum(len(values.get(name, ())) for name in ("target", "inputs", "future"))
        if not len(values["mean"]) == len(values["spread"]) == columns:
            raise ValueError(f"its recipe has {columns} columns, but another number of means or standard deviations")
        values["scaler"] = Scaler(values.pop("mean"), values.pop("spread"))
    if "target_mean" in values:
        values["target_scaler"] = Scaler([values.pop("target_mean")], [values.pop("target_spread")])
    if values.get("base") is not None:
        values["base"] = Bases.from_json(values["base"], len(values["target"]), values["horizon"])
        if any(len(part.known) not in (0, len(values["future"])) for part in values["base"].parts):
            raise ValueError(f"its base does not fit its {len(values['future'])} columns known ahead")
    return RECIPES[task](**values)


def of_forecast(recipe: Recipe) -> ForecastRecipe:
    """Return the recipe, which must be that of a forecast.

    Raises:
        DataError: for that of another task.
    """
    if not isinstance(recipe, ForecastRecipe):
        raise DataError(f"a model of the task {recipe.task!r} given; one that forecasts expected")
    return recipe


def _is_table(value: Any) -> bool:
    rows = schema.listed(schema.listed(schema.NUMBER))
    return rows.fits(value) and len(value) > 1 and len({len(row) for row in value}) == 1


_QUANTILES = schema.Field(lambda value: value is None or _is_table(value), "a table of numbers", None)
TRAINED = {
    "recipe": schema.MAPPING,
    "columns": schema.Field(
        lambda value: (
            schema.MAPPING.fits(value)
            and set(value) <= {"time", "sequence", "label"}
            and all(map(schema.TEXT.fits, value.values()))
        ),
        "names of the columns time, sequence and label",
        {},
    ),
    "seed": schema.missing(schema.SEED, 0),
    "best_epoch": schema.missing(schema.NATURAL, 0),
    "residual_quantiles": _QUANTILES,
    "ahead_quantiles": _QUANTILES,
    "blend": schema.Field(
        lambda value: (
            value is None
            or schema.listed(schema.listed(schema.SHARE)).fits(value)
            and len(value) > 0
            and len({len(row) for row in value}) == 1
        ),
        "a table of numbers from 0 to 1",
        None,
    ),
    "width": schema.optional(schema.MAPPING),
    "baselines": schema.missing(
        schema.Field(
            lambda value: (
                schema.MAPPING.fits(value)
                and set(value) <= {"ar", "ar_slot"}
                and all(schema.listed(schema.MAPPING).fits(parts) for parts in value.values())
            ),
            "an object of ar and ar_slot, each a list of objects",
        ),
        {},
    ),
    "seen": schema.optional(schema.MAPPING),
    "range": schema.optional(schema.listed(schema.listed(schema.NUMBER, 2))),
}


@dataclass(frozen=True)
class Trained:
    """What ``npseq train`` keeps beside the model.

    recipe; columns: option -> column, of ``--time``, ``--sequence`` and ``--label`` where they were given; seed and
    best_epoch of the training; the quantiles of the validation residuals, (levels, outputs) or None
    (``intervals.py``); blend (steps, targets) of recursive forecasts with their base, or None (``multistep.py``);
    width: of the interval whose width follows the state, or None; baselines: the autoregressions that the model is
    compared with (``baselines.fit``); seen: hashes of the rows of training and validation, or None;
    range: smallest and largest value of each column in the training rows, or None.
    """

    recipe: Recipe
    columns: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    best_epoch: int = 0
    residual_quantiles: np.ndarray | None = None
    ahead_quantiles: np.ndarray | None = None
    blend: np.ndarray | None = None
    width: Width | None = None
    baselines: Mapping[str, Sequence[Base]] = field(default_factory=dict)
    seen: SeenRows | None = None
    range: list[list[float]] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the entries of the weights file; quantiles only if there are some."""
        values = {
            "recipe": self.recipe.to_json(),
            "columns": dict(self.columns),
            "seed": self.seed,
            "best_epoch": self.best_epoch,
        }
        for name in ("residual_quantiles", "ahead_quantiles", "blend"):
            if (table := getattr(self, name)) is not None:
                values[name] = np.asarray(table).tolist()
        if self.width is not None:
            values["width"] = self.width.to_json()
        if self.baselines:
            values["baselines"] = {name: [part.to_json() for part in parts] for name, parts in self.baselines.items()}
        if self.seen is not None:
            values["seen"] = self.seen.to_json()
        if self.range is not None:
            values["range"] = self.range
        return values

    @classmethod
    def from_json(cls, metadata: Any) -> Trained:
        """Return what the metadata of a weights file say.

        Raises:
            ValueError: for the first fault.
        """
        values = schema.check(metadata, {**_OF_THE_MODEL, **TRAINED}, "the file")
        for name in _OF_THE_MODEL:
            del values[name]
        values["recipe"] = from_json(values["recipe"])
        if values["width"] is not None:
            recipe = values["recipe"]
            if not isinstance(recipe, ForecastRecipe):
                raise ValueError("it has an interval, but is no forecaster")
            O = len(recipe.target)
            values["width"] = Width.from_json(values["width"], recipe.horizon * O, O)
        values["baselines"] = {
            name: [Base.from_json(part) for part in parts] for name, parts in values["baselines"].items()
        }
        if values["baselines"] and any(
            len(parts) != len(values["recipe"].target) for parts in values["baselines"].values()
        ):
            raise ValueError("its baselines have another number of targets than its recipe")
        if values["seen"] is not None:
            values["seen"] = SeenRows.from_json(values["seen"])
        for name in ("residual_quantiles", "ahead_quantiles", "blend"):
            if values[name] is not None:
                values[name] = np.array(values[name], np.float64)  # whole numbers, too, however large
        return cls(**values)


# read by ``formats.model_file``
_OF_THE_MODEL = {
    "npseq": schema.COUNT,
    "config": schema.MAPPING,
    "scaling": schema.optional(schema.MAPPING),
}


def load_trained(path: str) -> tuple[Model, Trained]:
    """Return the model of a weights file and what ``npseq train`` has kept beside it.

    Raises:
        CheckpointError: for a file that ``npseq train`` has not written. OSError: if it cannot be opened.
    """
    model = load_model(path)
    if not isinstance(model.metadata, dict) or "recipe" not in model.metadata:
        raise CheckpointError(
            f"{path} does not say how its data were prepared: a file of npseq train expected; in Python, "
            "npseq.load(path).predict(x) takes any"
        )
    try:
        trained = Trained.from_json(model.metadata)
        agreement.check(model, trained)
    except ValueError as error:
        raise CheckpointError(f"{path}: its data description is invalid: {error}") from None
    return model, trained
