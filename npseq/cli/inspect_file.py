"""``npseq inspect FILE.pth``: what a weights file holds, running nothing in it: a card of the model, and its arrays."""

from __future__ import annotations

import itertools
import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from .. import status
from ..data.errors import listed
from ..forecast import bases
from ..forecast.metadata import ALONE, ForecastMetadata
from ..forecast.panel.metadata import PanelMetadata
from ..forecast.recipe import ForecastRecipe
from ..formats import checkpoint, schema
from ..tasks.metadata import Metadata
from ..training.config import TrainingConfig
from . import arguments
from .streams import shown

MOST = 200  # lines of content that are shown
DEEPEST = 8  # nesting that is shown entry by entry


def lines_of(value: Any, name: str = "", depth: int = 0) -> Iterator[str]:
    """Yield one line for each array and plain value of a nesting, by its path."""
    if isinstance(value, np.ndarray):
        yield f"{name:48} {value.dtype!s:10} {tuple(value.shape)!s:18} {value.size:>10,}"
    elif isinstance(value, (dict, list, tuple)) and depth < DEEPEST:
        if not value:
            yield f"{name:48} empty {type(value).__name__}"
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from lines_of(item, f"{name}.{key}" if name else str(key), depth + 1)
    else:
        yield f"{name:48} {schema.shown(value)}"


def parser() -> arguments.Parser:
    """Return the parser of the command's options."""
    p = arguments.Parser(
        prog="npseq inspect",
        description="Show what a .pth file holds, without running anything in it.",
        epilog="example: npseq inspect rnn_lstm_best.pth",
    )
    arguments.add(p, "file FILE.pth")
    about = f"every entry, however many, and all that npseq keeps; default: a card and {MOST} entries"
    arguments.add(p, "--all", about)
    arguments.add_weights(p)
    arguments.add_json(p)
    return p


def settings_of(trained: Metadata, kind: str) -> dict[str, Any]:
    """Return all settings of the training of a model of this ``kind``."""
    recipe = trained.recipe
    task = recipe.task if recipe.task == "panel" else "forecast" if getattr(recipe, "base", None) else "alone"
    usual = asdict(TrainingConfig.of(task))
    found = {**usual, **trained.settings, "model": kind, "seed": trained.seed}
    return {name: value for name, value in found.items() if value is not None}


def card(trained: Metadata, kind: str) -> list[str]:
    """Return what a reader of the file may want to know: the data, the settings, the scores."""
    recipe, own = trained.recipe, trained.card
    lines = [("task", recipe.task), ("data", f"{recipe.data}, hash {own.get('data', 'not known')}")]
    if isinstance(recipe, ForecastRecipe):
        ahead = "1 row" if recipe.horizon == 1 else f"{recipe.horizon} rows"
        names = listed(recipe.target) + (f"; reads {listed(recipe.inputs)}" if recipe.inputs else "")
        lines.append(("target", f"{names}; {ahead} ahead, from the last {recipe.window}"))
        for line in [] if recipe.base is None else bases.describe(recipe.base, recipe.target):
            lines.append(tuple(line.split(None, 1)) if line[0] != " " else ("", line.strip()))
    if (seen := getattr(trained, "seen", None)) is not None and isinstance(trained, ForecastMetadata):
        until = f" up to {seen.until}" if seen.until else ""
        lines.append(("trained on", f"{seen.count:,} rows{until}, validation included; later rows are new to it"))
    if isinstance(trained, PanelMetadata):
        lines += trained.told()
    if own.get("split"):
        lines.append(("split", ", ".join(f"{count} {part}" for part, count in pairs(own["split"]))))
    lines.append(("settings", ", ".join(f"{name} {value}" for name, value in settings_of(trained, kind).items())))
    if "validation_loss" in own:
        start = own.get("start_loss")
        before = "" if start is None else f"; of the base alone {number(start)}"
        lines.append(("validation", f"loss {number(own['validation_loss'])} in epoch {trained.best_epoch}{before}"))
    scores = own.get("scores")
    for name, found in [*pairs(schema.entry(scores, "baselines")), ("the model", schema.entry(scores, "model"))]:
        for target, each in pairs(schema.entry(found, "targets") or {"": found}):
            numbers = ", ".join(f"{metric} {number(value)}" for metric, value in pairs(each))
            lines += (
                [("held out" if recipe.task == "panel" else "test", f"{name}{', ' * bool(target)}{target}: {numbers}")]
                if numbers
                else []
            )
    shown_lines = []
    for (title, text), before in zip(lines, [("", ""), *lines]):
        head = f"{'' if title == before[0] else title:12}"
        shown_lines += textwrap.wrap(str(text), 116, initial_indent=head, subsequent_indent=" " * 12)
    return shown_lines


def pairs(value: Any) -> list[tuple[Any, Any]]:
    """Return the entries of a dict, none of anything else: the card is what the file says."""
    return list(value.items()) if isinstance(value, dict) else []


def number(value: Any) -> str:
    """Return a number with five digits, anything else as it is."""
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _as_dict(file: checkpoint.Checkpoint, chosen: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, Any]:
    several = len(chosen) > 1
    return {
        "tensors": [
            {"name": f"{of}.{name}" if several else name, "dtype": str(array.dtype), "shape": list(array.shape)}
            for of, tensors in chosen.items()
            for name, array in tensors.items()
        ],
        "parameters": sum(map(_parameters, chosen.values())),
        "passed_over": list(file.passed_over),
        "metadata": file.metadata,
    }


def _is_base_alone(metadata: Any, chosen: Mapping[str, Mapping[str, np.ndarray]]) -> bool:
    """True for a forecaster whose network corrects its base by 0."""
    heads = [array for tensors in chosen.values() for name, array in tensors.items() if name.startswith("fc.")]
    return bool(schema.entry(metadata, "recipe", "base") and heads) and not any(head.any() for head in heads)


def _parameters(tensors: Mapping[str, np.ndarray]) -> int:
    return sum(array.size for array in tensors.values())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status."""
    p = parser()
    args = p.parse_args(argv)
    with p.refusing():
        file = checkpoint.load(args.file)
        names = [args.weights] if args.weights is not None or len(file.names()) < 2 else file.names()
        chosen = {name or "the state_dict": file.weights(name) for name in names}
    if args.json:
        print(json.dumps(_as_dict(file, chosen)))
        return status.OK
    trained = None
    if isinstance(file.metadata, dict) and "recipe" in file.metadata:
        try:
            trained = Metadata.from_json(file.metadata)
        except ValueError:  # the entries are shown one by one
            pass
        else:
            print("\n".join(map(shown, card(trained, str(schema.entry(file.metadata["config"], "kind"))))) + "\n")
    print(f"{'name':48} {'dtype':10} {'shape':18} {'elements':>10}")
    lines = lines_of(file.content)
    for line in lines if args.all else itertools.islice(lines, MOST):
        print(shown(line))
    if next(lines, None) is not None:
        print("… more (--all)")
    print()
    for name, tensors in chosen.items():
        print(shown(f"{len(tensors)} tensors in {name}, {_parameters(tensors):,} parameters"))
    if file.passed_over:
        print(shown(f"passed over unread: {', '.join(file.passed_over)}"))
    if file.metadata is not None and (trained is None or args.all):
        print("\nnpseq's own metadata")
        for name, value in file.metadata.items() if isinstance(file.metadata, dict) else [("", file.metadata)]:
            print(shown(f"  {name:20} {schema.shown(value, json.dumps, 96)}"))
    if _is_base_alone(file.metadata, chosen):
        print(f"\n{ALONE}")
    return status.OK
