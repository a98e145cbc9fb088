"""What a weights file must keep so that the model can be used on new data, and how it is read back.

A recipe says how data become examples: columns, window, scaler, classes. ``to_json`` gives what the file keeps;
``from_json`` checks every type, range and name, because a file may come from an untrusted source.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from ..data.corpus import TOKENS, Corpus, Vocabulary
from ..data.errors import DataError
from ..formats import schema
from ..nn.scaling import Scaler
from .bases import Bases

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
