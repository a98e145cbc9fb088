"""What a weights file holds, and which of the state_dicts in it is meant."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .messages import argument
from .unpickler import CheckpointError

FIRST = "weight_ih_l0"  # the name of a recurrent layer's first parameter ends so
DEEPEST = 8  # nesting in which state_dicts are sought


@dataclass
class Checkpoint:
    """What a file holds.

    ``content``: the whole object as it was saved, of dicts, lists, tuples, numbers, strings, None, arrays, and
    ``Foreign`` for objects of any other class. ``metadata``: npseq's own, or None. ``passed_over``: the names of those
    classes; nothing of such an object was read. ``path``: of the file.
    """

    content: Any
    metadata: Any = None
    passed_over: list[str] = field(default_factory=list)
    path: str = "the file"

    @property
    def state_dict(self) -> dict[str, np.ndarray]:
        """name -> array: the only state_dict in the file, as ``weights()`` finds it; empty if there is none."""
        return self.weights()

    def names(self) -> list[str]:
        """Return the names of the state_dicts with a recurrent layer, as ``weights`` takes them."""
        return list(_with_recurrent_layer(self.content))

    def weights(self, name: str | None = None) -> dict[str, np.ndarray]:
        """Return a state_dict: name -> array, without a prefix ``module.`` that all names have.

        Args:
            name: where it stands in the content, ``"model_ema"``, or ``"nets.en"`` for ``content["nets"]["en"]``; or
                what the names of its parameters begin with, up to a point. None: the only dict with a recurrent layer,
                at any depth; if there is none, the content itself, or its entry ``state_dict``, ``model_state_dict`` or
                ``model``, if that has tensors.

        Raises:
            CheckpointError: if there is none of that name, or if name is None and several have a recurrent layer,
                naming them.
        """
        found = _with_recurrent_layer(self.content)
        if name is None:
            if len(found) > 1:
                raise CheckpointError(
                    f"{self.path} has {len(found)} state_dicts, {_quoted(found)}: say which, such as "
                    f"{argument('weights', next(iter(found))[:60])}{self.door()}"
                )
            return _without_module(next(iter(found.values()), _usual(self.content)))
        tensors = {_name(keys): value for keys, value in _dicts_of_tensors(self.content)}
        if name in tensors:
            return _without_module(tensors[name])
        under = [{k[len(name) + 1 :]: v for k, v in d.items() if k.startswith(name + ".")} for d in tensors.values()]
        if len(under := [part for part in under if part]) != 1:
            raise CheckpointError(f"{self.path} has no weights {name!r}; {_quoted(found or tensors)} expected")
        return _without_module(under[0])

    def door(self) -> str:
        """Return the words that say which dicts of tensors are in the file, and how to take its recurrent layers alone;
        none if there are none."""
        found = []
        for keys, tensors in _dicts_of_tensors(self.content):
            where = "".join(f"[{json.dumps(key) if isinstance(key, str) else repr(key)}]" for key in keys)
            for prefix in recurrent_prefixes(tensors):
                found.append(f"(npseq.checkpoint.load(path).content{where}, {json.dumps(prefix)})")
        named = [_name(keys) for keys, _ in _dicts_of_tensors(self.content) if all(isinstance(k, str) for k in keys)]
        others = f"; dicts of tensors in it: {_quoted(named)}" if len(named) > 1 else ""
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        return others + (f"; a recurrent layer alone: npseq.layers.from_state_dict{found[0]}{more}" if found else "")

    def lists_beside(self, taken: Mapping[str, np.ndarray]) -> list[str]:
        """Return the names of lists in the content that have as many tensors, or more, of the shapes of those that were
        taken: averaged weights are kept so, without names."""
        wanted, found = Counter(value.shape for value in taken.values()), []
        for keys, value in _nesting(self.content):
            if isinstance(value, list | tuple):
                shapes = Counter(entry.shape for entry in value if isinstance(entry, np.ndarray))
                if wanted and not wanted - shapes:
                    found.append(_name(keys))
        return found


def recurrent_prefixes(tensors: Mapping[str, Any]) -> list[str]:
    """Return what the parameters' names of each recurrent layer begin with."""
    return [name[: -len(FIRST)] for name, value in tensors.items() if name.endswith(FIRST) and value.ndim == 2]


def _nesting(content: Any) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield every dict, list and tuple in a nesting, and before it the keys that lead to it."""
    waiting: list[tuple[tuple[Any, ...], Any]] = [((), content)]
    seen = set()
    while waiting:
        keys, value = waiting.pop()
        yield keys, value
        if isinstance(value, (dict, list, tuple)) and id(value) not in seen and len(keys) < DEEPEST:
            seen.add(id(value))
            items = value.items() if isinstance(value, dict) else enumerate(value)
            waiting += [((*keys, k), v) for k, v in items if isinstance(v, (dict, list, tuple))][::-1]


def _dicts_of_tensors(content: Any) -> Iterator[tuple[tuple[Any, ...], dict[str, np.ndarray]]]:
    """Yield the keys that lead to each dict with tensors, and its tensors by name."""
    for keys, value in _nesting(content):
        if isinstance(value, dict):
            tensors = {k: v for k, v in value.items() if isinstance(k, str) and isinstance(v, np.ndarray)}
            if tensors:
                yield keys, tensors


def _with_recurrent_layer(content: Any) -> dict[str, dict[str, np.ndarray]]:
    """Return the dicts of tensors that have a recurrent layer, by name: ``nets.en``, or a point for the content."""
    return {_name(keys): tensors for keys, tensors in _dicts_of_tensors(content) if recurrent_prefixes(tensors)}


def _name(keys: tuple[Any, ...]) -> str:
    return ".".join(map(str, keys)) or "."


def _usual(content: Any) -> dict[str, np.ndarray]:
    """Return the tensors by name, wherever torch's users put them."""
    found = dict(_dicts_of_tensors(content))
    for keys in (("state_dict",), ("model_state_dict",), ("model",), ()):
        if keys in found:
            return found[keys]
    return {}


def _without_module(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    prefix = "module." if all(name.startswith("module.") for name in tensors) else ""
    return {name[len(prefix) :]: value for name, value in tensors.items()}


def _quoted(names: Iterable[str]) -> str:
    shown = [repr(name)[:60] for name in names]
    return ", ".join(shown[:6]) + (", …" if len(shown) > 6 else "")
