"""Forecasts of many series by closed forms and trained networks: their training's last step, and their use."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...data.errors import DataError
from ...data.panel import Panel
from ...fused import blas
from ...nn.model import Model
from ...training.processes import mapped
from ..ensemble import unknown_ahead
from . import combination
from .closed_forms import forms
from .combination import Parts
from .metadata import PanelMetadata
from .recipe import PanelRecipe
from .series import Many
from .task import season_of
from .windows import PanelTask, Windows, by_series

Member = tuple[Model, PanelMetadata]


@dataclass
class PanelForecast:
    """Forecasts of a column after the end of each series. ids; places: their numbers in the panel; ends: the rows from
    which on they are forecast; times: (h,) of each; mean (K, h); low and high: coverage
    -> (K, h); closed, network (K, h): what was combined; left_out: name -> why it has no forecast."""

    target: str
    ids: list[str]
    places: list[int]
    ends: list[int]
    times: list[np.ndarray]
    mean: np.ndarray
    low: dict[float, np.ndarray]
    high: dict[float, np.ndarray]
    closed: np.ndarray
    network: np.ndarray
    left_out: dict[str, str]


@blas.limited(1)
def _local(*args: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    found = forms(*args)
    return (*found.combined(), found.actual)


def collect(many: Many, recipe: PanelRecipe, models: list[Model], steps: int, jobs: int = 1) -> list[Parts]:
    """Return the forecasts of each series, from its rolling origins and ``steps`` rows after its end.

    Args:
        jobs: processes for the closed forms (``processes.mapped``).
    """
    h, all_cuts = recipe.horizon, many.cuts(recipe.horizon)
    known = [each[:, len(recipe.inputs) :] if recipe.future else None for each in many.others]
    local = mapped(_local, [(y, many.season, c, h, steps, u) for y, c, u in zip(many.values, all_cuts, known)], jobs)
    ends = [np.append(c, len(y)) for y, c in zip(many.values, all_cuts)]
    found, later = list(by_series(Windows(many, recipe), models, ends)), many
    network: list[list[np.ndarray]] = [[each[-1]] for each in found]
    for _ in range(-(-steps // h) - 1):  # fed back
        grown = [np.append(y, each[-1]) for y, each in zip(later.values, network)]
        later = replace(later, values=grown)
        more = by_series(Windows(later, recipe), models, [np.array([len(y)]) for y in grown])
        for parts, (ahead,) in zip(network, more):
            parts.append(ahead)
    every = []
    for k, (cuts, each, scale) in enumerate(zip(all_cuts, found, many.scale)):
        past, ahead, actual = local[k]
        missing = many.missing[k][cuts[:, None] + np.arange(h)]
        actual = np.where(missing, np.nan, actual)
        both = np.stack([past, each[:-1]])
        every.append(Parts(both, np.stack([ahead, np.concatenate(network[k])[:steps]]), actual, scale))
    return every


def begin(task: PanelTask, **run: Any) -> PanelMetadata:
    """Return what is known before the training. Arguments as ``finish``."""
    table = np.zeros((len(combination.LEVELS), task.recipe().horizon))
    return PanelMetadata(task.recipe(), **run, errors=[1.0] * 3, quantiles=table, seen=task.seen_rows())


def finish(model: Model, task: PanelTask, jobs: int = 1, **run: Any) -> PanelMetadata:
    """Return what a weights file keeps of a trained network: its errors from the rolling origins.

    Args:
        jobs: processes for the closed forms. run: ``columns``, ``seed``, ``best_epoch`` and ``table``, as ``Metadata``.
    """
    recipe = task.recipe()
    with blas.limited(1):
        every = collect(task.many, recipe, [model], recipe.horizon, jobs)
        known = combination.Errors(np.maximum(combination.typical(every), 1e-9))
        known = known._replace(combined=combination.mean_error(every, known))
        table = combination.quantiles(every, known)
    errors = [*known.typical.tolist(), known.combined]
    return PanelMetadata(recipe, **run, errors=errors, quantiles=table, seen=task.seen_rows())


class PanelEnsemble:
    """The mean of trained networks, each beside the same closed forms, on the series of a panel.

    Args:
        members: networks of one recipe. panel: all rows up to now, and rows ahead (``Many.of``). jobs: processes for
            the closed forms. held_out: rows at the end of each series that are forecast; by default those without a
            target.

    Raises:
        DataError: for networks of different recipes, or a panel without their columns.
    """

    def __init__(self, members: list[Member], panel: Panel, jobs: int = 1, held_out: int | None = None):
        recipes = [{**metadata.recipe.to_json(), "data": ""} for _, metadata in members]
        if any(recipe != recipes[0] for recipe in recipes):
            raise DataError(
                "the files differ in column, horizon or windows: files of the same kind of training expected"
            )
        self.recipe, self.panel, self.jobs = members[0][1].recipe, panel, jobs
        self.models = [model for model, _ in members]
        self.known = combination.Errors(
            np.mean([metadata.known.typical for _, metadata in members], axis=0),
            float(np.mean([metadata.known.combined for _, metadata in members])),
        )
        self.table = np.mean([metadata.quantiles for _, metadata in members], axis=0)
        others = self.recipe.inputs, self.recipe.future
        self.many = Many.of(panel, self.recipe.target, season_of(self.recipe), *others, held_out)

    def _steps(self, steps: int | None) -> int:
        """The rows to forecast. Raises DataError for columns that are not known so far ahead."""
        many, recipe = self.many, self.recipe
        empty = [self.panel.lengths[k] - end for k, end in zip(many.places, many.ends)]
        steps = steps or (int(max(empty)) if min(empty) else recipe.horizon)
        if recipe.inputs and steps > recipe.horizon:
            raise DataError(unknown_ahead(recipe.inputs))
        for one, given in zip(many.ids, many.given):
            if recipe.future and given < steps:
                raise DataError(
                    f"{steps:,} rows after the last value of {recipe.target} in the series {one} asked for, but "
                    f"{', '.join(recipe.future)} are given for {given:,}: add rows with their values and an empty "
                    f"{recipe.target}"
                )
        return steps

    def _times(self, k: int, end: int, steps: int) -> np.ndarray:
        """The times of the rows to forecast of series k of the panel."""
        own = self.panel.times(k)[end : end + steps]
        return np.concatenate([own, self.panel.times_after(k, steps - len(own))])

    @blas.limited(1)
    def predict(self, steps: int | None = None, coverages: tuple[float, ...] = (0.9,)) -> PanelForecast:
        """Forecast the rows after the end of each series, in the order of the panel.

        Args:
            steps: how many; by default the rows without a target at the end, if each series has some, or the horizon.
            coverages: of the intervals.

        Raises:
            DataError: for steps of which columns that the network reads are not known.
        """
        steps, known = self._steps(steps), self.known
        every = collect(self.many, self.recipe, self.models, steps, self.jobs)
        order, many = np.argsort(self.many.places), self.many
        every, values = [every[k] for k in order], [many.values[k] for k in order]
        mean = np.array([np.tensordot(combination.shares(part, known), part.ahead, 1) for part in every])
        floor = np.array([0.0 if y.min() >= 0 else -np.inf for y in values])[:, None]
        mean = np.maximum(mean, floor)
        spreads = np.array([combination.spread(part, known) * combination.unseen(part) for part in every])[:, None]
        low, high = {}, {}
        for coverage in coverages:
            below, above = (combination.offsets(self.table, p, steps) for p in ((1 - coverage) / 2, (1 + coverage) / 2))
            low[coverage] = np.maximum(mean + np.minimum(spreads * below, 0), floor)
            high[coverage] = mean + np.maximum(spreads * above, 0)
        closed, network = (np.maximum([part.ahead[j] for part in every], floor) for j in (0, 1))
        return PanelForecast(
            self.recipe.target,
            [many.ids[k] for k in order],
            [many.places[k] for k in order],
            [many.ends[k] for k in order],
            [self._times(many.places[k], many.ends[k], steps) for k in order],
            mean, low, high, closed, network, many.left_out,
        )  # fmt: skip
