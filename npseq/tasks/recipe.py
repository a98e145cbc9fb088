"""What a weights file must keep so that the model can be used on new data, and how it is read back.

A recipe says how data become examples: columns, window, scaler, classes. ``to_json`` gives what the file keeps;
``from_json`` checks every type, range and name, because a file may come from an untrusted source.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, NamedTuple, TypeVar

from ..data.corpus import TOKENS, Corpus, Vocabulary
from ..formats import schema
from ..nn.losses import LOSSES
from ..nn.scaling import Scaler

R = TypeVar("R", bound="Recipe")
CLASSES = ["cross_entropy"]
NUMBERS = [name for name in LOSSES if name not in CLASSES]
TEXTS = schema.listed(schema.TEXT)
PATCH = schema.missing(schema.COUNT, 1)
SCALER = {"mean": schema.listed(schema.NUMBER), "spread": schema.listed(schema.POSITIVE)}


class Needs(NamedTuple):
    """What a recipe needs of its model: ``input_size``, ``output_size``, one of ``losses``, and ``outputs``, the steps
    at which it answers."""

    input_size: int
    output_size: int
    losses: list[str]
    outputs: str = "last"


@dataclass(frozen=True)
class Recipe(schema.Record):
    """What a recipe of every task has: the base class of the recipes, which ``register`` makes known.

    task: its name in a file.
    """

    task: ClassVar[str]
    data: Annotated[str, schema.TEXT]

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as a weights file keeps it."""
        values = {"task": self.task, **vars(self)}
        if (scaler := values.pop("scaler", None)) is not None:
            values |= {"mean": scaler.mean.tolist(), "spread": scaler.scale.tolist()}
        if (scaler := values.pop("target_scaler", None)) is not None:
            values |= {"target_mean": float(scaler.mean[0]), "target_spread": float(scaler.scale[0])}
        return values

    def needs(self) -> Needs:
        """Return what the recipe needs of its model."""
        raise NotImplementedError


RECIPES: dict[str, type[Recipe]] = {}


def register(recipe: type[R]) -> type[R]:
    """Make a class of recipes known, so that ``from_json`` reads files of its task."""
    RECIPES[recipe.task] = recipe
    return recipe


@register
@dataclass(frozen=True)
class ClassificationRecipe(Recipe):
    """How labelled sequences become examples (``sequences.SequenceDataset``)."""

    task: ClassVar[str] = "classify"

    inputs: Annotated[list[str], TEXTS]
    classes: Annotated[list[str], TEXTS]
    scaler: Annotated[Scaler, SCALER]
    patch: Annotated[int, PATCH]  # rows that are one step of the model

    def needs(self) -> Needs:
        """Return what the recipe needs of its model."""
        return Needs(self.patch * len(self.inputs), len(self.classes), CLASSES)


@register
@dataclass(frozen=True)
class LabellingRecipe(ClassificationRecipe):
    """How sequences with a class for each row become examples (``sequences.SequenceDataset``)."""

    task: ClassVar[str] = "label"

    def needs(self) -> Needs:
        """Return what the recipe needs of its model."""
        return super().needs()._replace(outputs="all")


@register
@dataclass(frozen=True)
class RegressionRecipe(Recipe):
    """How sequences with a number each become examples (``sequences.SequenceDataset``)."""

    task: ClassVar[str] = "regress"

    inputs: Annotated[list[str], TEXTS]
    scaler: Annotated[Scaler, SCALER]
    target_scaler: Annotated[Scaler, {"target_mean": schema.NUMBER, "target_spread": schema.POSITIVE}]  # one column
    patch: Annotated[int, PATCH]  # rows that are one step of the model

    def needs(self) -> Needs:
        """Return what the recipe needs of its model."""
        return Needs(self.patch * len(self.inputs), 1, NUMBERS)


@register
@dataclass(frozen=True)
class AddingRecipe(Recipe):
    """How the sequences of the adding problem are generated (``adding.Adding``)."""

    task: ClassVar[str] = "adding"

    length: Annotated[int, schema.COUNT]
    count: Annotated[int, schema.COUNT]
    held_out: Annotated[int, schema.COUNT]
    seed: Annotated[int, schema.SEED]

    def needs(self) -> Needs:
        """Return what the recipe needs of its model."""
        return Needs(2, 1, NUMBERS)


def _is_alphabet(value: Any) -> bool:
    # surrogates are no characters, and could not be written
    return schema.TEXT.fits(value) and list(value) == sorted({c for c in value if not "\ud800" <= c <= "\udfff"})


_LENGTH = schema.Field(lambda k: type(k) is int and k >= 0, "a whole number from 0")


@register
@dataclass(frozen=True)
class TextRecipe(Recipe):
    """How a text becomes examples (``text.Text``).

    ``vocabulary``: the characters, sorted; empty for bytes. ``digest``: of the text that the model was trained on,
    empty if it is not known; ``count``: of the symbols of that text.
    """

    task: ClassVar[str] = "text"

    tokens: Annotated[str, schema.one_of(TOKENS)]
    vocabulary: Annotated[str, schema.Field(_is_alphabet, "a text of sorted, different characters")]
    window: Annotated[int, schema.COUNT]
    split: Annotated[list[float], schema.listed(schema.SHARE, 3)]
    carries: Annotated[bool, schema.BOOLEAN]
    digest: Annotated[str, schema.missing(schema.TEXT, "")]
    count: Annotated[int, schema.missing(_LENGTH, 0)]

    def needs(self) -> Needs:
        """Return what the recipe needs of its model."""
        return Needs(self.alphabet.size, self.alphabet.size, CLASSES, "all")

    def is_of(self, corpus: Corpus) -> bool:
        """True if the model was trained on this text: of the same content or, if that is not known, of the same
        name."""
        return self.digest == corpus.digest() if self.digest else self.data == corpus.name

    def begins(self, corpus: Corpus) -> bool:
        """True if the text begins with the one that the model was trained on."""
        return self.digest == replace(corpus, symbols=corpus.symbols[: self.count or None]).digest()

    @property
    def alphabet(self) -> Vocabulary:
        """The symbols that the model knows."""
        return Vocabulary(self.tokens, self.vocabulary)


def from_json(mapping: Any) -> Recipe:
    """Return the recipe that a weights file keeps.

    Raises:
        ValueError: for anything else, naming the first fault.
    """
    task = mapping.get("task") if isinstance(mapping, dict) else None
    if not isinstance(task, str) or task not in RECIPES:
        raise ValueError(f"its recipe names no task that npseq knows; one of {', '.join(RECIPES)} expected")
    values = schema.check(mapping, {"task": schema.TEXT, **RECIPES[task].FIELDS}, "its recipe")
    del values["task"]
    if "mean" in values:
        columns = sum(len(values.get(name, ())) for name in ("target", "inputs", "future"))
        if not len(values["mean"]) == len(values["spread"]) == columns:
            raise ValueError(f"its recipe has {columns} columns, but another number of means or standard deviations")
        values["scaler"] = Scaler(values.pop("mean"), values.pop("spread"))
    if "target_mean" in values:
        values["target_scaler"] = Scaler([values.pop("target_mean")], [values.pop("target_spread")])
    return RECIPES[task].from_values(values)
