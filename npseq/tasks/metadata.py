"""Metadata of a weights file: what ``npseq train`` keeps beside the model, and its validation, type by type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, TypeVar

from ..data.sources import SAID, TableOptions
from ..formats import schema
from ..formats.model_file import DESCRIBED, load_model
from ..formats.unpickler import CheckpointError
from ..nn.model import Model
from .recipe import ClassificationRecipe, LabellingRecipe, Recipe, RegressionRecipe
from .recipe import from_json as recipe_from_json
from .seen import SEQUENCES

_NAMED = dict.fromkeys(("time", "sequence", "label"), schema.TEXT)
_COLUMNS = schema.some_of(_NAMED, "names of the columns time, sequence and label")


@dataclass(frozen=True)
class Metadata(schema.Record):
    """What ``npseq train`` keeps beside the model, of any task. A task that keeps more has a class of its own
    (``register``).

    recipe: how data become examples; columns: option -> column, of ``--time``, ``--sequence`` and ``--label`` where
    they were given; seed and best_epoch of the training; settings: those of it that are not the defaults
    (``TrainingRun.settings``); table: what was said about it (``TableOptions``); card: what
    a reader of the file may want to know (``TrainingRun.card``), and the scores; no computation depends on it.
    """

    recipe: Annotated[Recipe, schema.MAPPING]
    columns: Annotated[Mapping[str, str], _COLUMNS] = field(default_factory=dict)
    seed: Annotated[int, schema.missing(schema.SEED, 0)] = 0
    best_epoch: Annotated[int, schema.missing(schema.NATURAL, 0)] = 0
    settings: Annotated[Mapping[str, Any], schema.missing(schema.MAPPING, {})] = field(default_factory=dict)
    table: Annotated[Mapping[str, Any], SAID] = field(default_factory=dict)
    card: Annotated[Mapping[str, Any], schema.missing(schema.MAPPING, {})] = field(default_factory=dict)

    @property
    def options(self) -> TableOptions:
        """What was said about the table of the training, which holds for new data, too."""
        return TableOptions.from_json(self.table)

    def to_json(self) -> dict[str, Any]:
        """Return the entries of the weights file: of settings, table and card only what there is."""
        values: dict[str, Any] = {
            "recipe": self.recipe.to_json(),
            "columns": dict(self.columns),
            "seed": self.seed,
            "best_epoch": self.best_epoch,
        }
        return values | {name: dict(part) for name in ("settings", "table", "card") if (part := getattr(self, name))}

    @staticmethod
    def from_json(mapping: Any) -> Metadata:
        """Return what the metadata of a weights file say, in the class of the recipe's task.

        Raises:
            ValueError: for the first fault.
        """
        recipe = recipe_from_json(mapping.get("recipe"))
        cls = _CLASSES.get(recipe.task, Metadata)
        values = schema.check(mapping, {**DESCRIBED, **cls.FIELDS}, "the file")
        for name in DESCRIBED:
            del values[name]
        return cls.from_values({**values, "recipe": recipe})

    def check(self, model: Model) -> None:
        """Compare the model with what its file says besides. Each may be valid by itself.

        Raises:
            ValueError: for the first disagreement, naming both.
        """
        needed = self.recipe.needs()
        for name in "input_size", "output_size":
            if model.config[name] != getattr(needed, name):
                raise ValueError(f"the model has {name} {model.config[name]}; its recipe needs {getattr(needed, name)}")
        if model.loss not in needed.losses or model.every_step != (needed.outputs == "all"):
            raise ValueError(
                f"the model has the loss {model.loss} and {'an' if model.every_step else 'no'} output at every step, "
                f"which does not fit the task {self.recipe.task}"
            )


_CLASSES: dict[str, type[Metadata]] = {}


@dataclass(frozen=True)
class SequenceMetadata(Metadata):
    """What ``npseq train`` keeps beside a model of sequences.

    seen: hashes of those that it was trained and validated on (``seen.hashes_of``), or None.
    """

    seen: Annotated[list[str] | None, schema.optional(SEQUENCES)] = None

    def to_json(self) -> dict[str, Any]:
        """Return the entries of the weights file."""
        return {**super().to_json(), "seen": self.seen}


def register(recipe: type[Recipe], metadata: type[Metadata]) -> None:
    """Register the class that holds the metadata of a task."""
    _CLASSES[recipe.task] = metadata


for _recipe in (ClassificationRecipe, LabellingRecipe, RegressionRecipe):
    register(_recipe, SequenceMetadata)


def of_recipe(recipe: Recipe, **values: Any) -> Metadata:
    """Return the metadata of a model of the recipe's task, of the class that holds them."""
    return _CLASSES.get(recipe.task, Metadata)(recipe, **values)


def with_scores(kept: Metadata, results: Mapping[str, Any], baselines: Mapping[str, Mapping[str, Any]]) -> Any:
    """Return the metadata with the scores of the model and the baselines in its card: the numbers of each."""
    shown = {name: _numbers(scores) for name, scores in baselines.items()}
    return replace(kept, card={**kept.card, "scores": {"model": _numbers(results), "baselines": shown}})


def _numbers(scores: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of a score, and of each target's."""
    found = {name: value for name, value in scores.items() if isinstance(value, (int, float))}
    targets = {name: _numbers(each) for name, each in scores.get("targets", {}).items()}
    return {**found, "targets": targets} if targets else found


M = TypeVar("M", bound=Metadata)


def load_trained(path: str, weights: str | None = None) -> tuple[Model, Metadata]:
    """Return the model of a weights file and what ``npseq train`` has kept beside it.

    Args:
        path: of the file.
        weights: which of several, as ``load_model`` takes it.

    Raises:
        CheckpointError: for a file that ``npseq train`` has not written. OSError: if it cannot be opened.
    """
    model = load_model(path, weights=weights)
    if not isinstance(model.metadata, dict) or "recipe" not in model.metadata:
        raise CheckpointError(
            f"{path} does not say how its data were prepared: a file of npseq train expected; in Python, "
            "npseq.load(path).predict(x) takes any"
        )
    try:
        metadata = Metadata.from_json(model.metadata)
        metadata.check(model)
    except ValueError as error:
        raise CheckpointError(f"{path}: its data description is invalid: {error}") from None
    return model, metadata


def load_as(kind: type[M], path: str, weights: str | None, words: str) -> tuple[Model, M]:
    """Return what ``load_trained`` does, of a file whose metadata are of one ``kind``; ``words`` say that it is not.

    Raises:
        CheckpointError: for a model of another task, or as ``load_trained``. OSError: if it cannot be opened.
    """
    model, metadata = load_trained(path, weights)
    if not isinstance(metadata, kind):
        raise CheckpointError(f"{path} {words}: it was trained to {metadata.recipe.task}")
    return model, metadata
