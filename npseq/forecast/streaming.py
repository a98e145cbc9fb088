"""A trained forecaster, one row at a time: a row in data units goes in, a forecast in data units comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.load import LARGEST
from ..formats.messages import ArgumentError, argument
from ..nn.model import Model
from ..nn.streaming import WindowStream
from ..nn.validation import OBJECTS, as_array
from . import features
from .adaptive import ERRORS, Replay
from .asked import coverage_of
from .base_model import PERSISTENCE
from .interval_scale import WINDOW, Width
from .intervals import factor
from .recipe import ForecastRecipe
from .streamed_base import StreamedBase

if TYPE_CHECKING:
    from typing_extensions import Self

UNKNOWN = np.datetime64("NaT", "s")
LARGEST_REACH = 1_000_000  # rows, a week of seconds is 604,800


@lru_cache(maxsize=1 << 12)
def _calendar(second: int, half_day: bool) -> np.ndarray:
    """The calendar of a second of the week: it repeats every week, and costs more than the model's step."""
    return features.calendar(np.asarray(features.MONDAY + np.timedelta64(second, "s")), half_day)


class ForecastStream:
    """What ``npseq predict`` gives, row by row: scaler, calendar, lags and windows are kept inside.

    Row t gives the forecast of the rows t + 1 … t + horizon from the rows up to t, as soon as there are
    ``recipe.first`` rows. The inputs of a row are those of ``WindowDataset``; the model runs through ``WindowStream``.

    Args:
        model: ``Model``; one direction.
        recipe: of its training.
        width: of its interval, for ``bounds``; None for no interval.
        until: the time of the last row that the model was fitted to, whose errors do not move the level; None if no
            row of the stream is.

    Attributes:
        columns: the names of the values of a row: targets, then inputs.
        seen: the number of rows so far, with those that were put in for missing times.
        inserted: how many of these the last ``step`` put in.
        time: of the last row, datetime64[s], or NaT.

    Raises:
        ValueError: for a model with two directions, one that reads values ahead or very far back, or one that was
            trained on irregular times with a calendar: its inputs include the time of the next row, which a stream
            cannot know.
    """

    def __init__(
        self, model: Model, recipe: ForecastRecipe, width: Width | None = None, until: str | None = None
    ) -> None:
        if recipe.calendar and recipe.step is None:
            raise ValueError(
                "the model was trained on irregular times with a calendar, so its inputs include the time of the next "
                "row, which is not known yet; train with equally spaced times"
            )
        self.recipe, self.columns = recipe, [*recipe.target, *recipe.inputs]
        if recipe.future:
            raise ValueError(
                f"the model reads values of {', '.join(recipe.future)} ahead, which a stream of rows does not hold"
            )
        self._reach = max(recipe.first, 0 if width is None else width.rows)
        if self._reach > LARGEST_REACH:  # a file may come from anywhere
            raise ValueError(f"the model looks back over {self._reach:,} rows; a stream holds up to {LARGEST_REACH:,}")
        O, lags = len(recipe.target), tuple(dict.fromkeys(recipe.lags))
        self._lags, self._targets = lags, recipe.scaler.first(O)
        self._units = self._targets.repeat(recipe.horizon)
        self._windows = WindowStream(model, recipe.window)
        self._x = np.zeros(self._windows.input_size, model.dtype)
        base = recipe.base
        self._base = None if base is None else StreamedBase(base, recipe.step, recipe.horizon)
        self._calendar_size = (len(features.CALENDAR) + 2 * (base is not None)) * recipe.calendar
        if self._windows.input_size != (expected := recipe.input_size):
            raise ValueError(f"the model has {self._windows.input_size} inputs; its recipe needs {expected}")
        order, reach = (0, 0) if base is None else (base.order, base.reach)
        self._needed = max(max(lags, default=1), reach + 1)  # rows until the inputs of a row are known
        self._errors = np.zeros((max(reach - order, 0) + 1, O))  # of the base, in units of their spread, as ``_past``
        # what fills gaps without a base, as in ``windows``
        self._season = max(lags, default=1) if base is None else 1
        # standardised targets of the last rows, row t in t % len
        self._past = np.zeros((max(max(lags, default=1) + (self._season > 1), order), O))
        spread = np.ones((recipe.horizon, O)) if base is None else base.spread.reshape(recipe.horizon, O)
        self.width, self._unit = width, spread * self._targets.scale
        h = recipe.horizon
        self._until = None if until is None else np.datetime64(until, "s")
        # one-step errors, as ``_past``; forecasts and their scales, and the errors in units of these, by origin
        self._residuals = np.full((0 if width is None else max(width.rows, WINDOW), O), np.nan)
        self._ahead = np.full((0 if width is None else h + 1, 2, h, O), np.nan)
        self._scaled = np.full((0 if width is None else ERRORS[1], h, O), np.nan)
        self._forget()

    def _forget(self) -> None:
        self._last = np.full(len(self.columns), np.nan)  # values of the last row
        self._forecast = np.full((self.recipe.horizon, len(self.recipe.target)), np.nan)  # the last one
        for ring in (self._residuals, self._ahead, self._scaled):
            ring[...] = np.nan
        self._replays: dict[float, tuple[list[Replay], int]] = {}
        self.seen, self.inserted, self._longest = 0, 0, 0
        self.time: Any = UNKNOWN

    @property
    def next_time(self) -> Any:
        """The time of the first row of the next forecast, datetime64[s]; NaT if it is not known."""
        return UNKNOWN if self.recipe.step is None else self.time + np.timedelta64(self.recipe.step, "s")

    def step(
        self,
        values: float | Mapping[str, float] | Sequence[float] | np.ndarray,
        time: Any = None,
        reset_on_gap: bool = False,
    ) -> np.ndarray | None:
        """Take one row.

        Args:
            values: name to number, or numbers in the order of ``columns`` (of one column: the number), in data units.
                A missing value (NaN) is replaced by the one before, that of a target by the base's forecast if there is
                one, as in ``npseq predict``.
            time: datetime64, datetime or ISO text. Needed if the model was trained with a calendar. With equally spaced
                times a row for each time that is missing since the last row is put in first, with the last values.
            reset_on_gap: after a gap of more rows (of irregular times: of the longest step so far) than the model looks
                back over, start again with this one; otherwise it is refused: a wrong clock would make all later rows
                look old.

        Returns:
            (horizon, targets) in data units: the forecast of the next rows; None before ``recipe.first`` rows.

        Raises:
            ValueError: for a missing column, a value or time that cannot be used or does not follow, or too long a gap.
                The state is then unchanged.
        """
        when, missing = self._checked_time(time)
        far = missing > self._reach
        if far and not reset_on_gap:
            rows = "rows" if self.recipe.step else "of the longest steps so far"
            raise ArgumentError(
                f"the time {shown(when)} is {missing + 1:,} {rows} after that of the row before, {shown(self.time)}; "
                f"the model looks back over {self._reach:,} ({argument('reset_on_gap', True)} starts again there)"
            )
        row, absent = self._checked(values, np.full_like(self._last, np.nan) if far else self._last)
        if far:
            self.reset()
        self.inserted = 0 if far or self.recipe.step is None else missing
        for k in range(self.inserted, 0, -1):
            self._advance(self._last, when - k * np.timedelta64(self.recipe.step or 0, "s"), np.ones(row.shape, bool))
        return self._advance(row, when, absent)

    def _checked(self, values: Any, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The values of the row, with those of ``last`` for missing ones, and which were missing."""
        if isinstance(values, Mapping):
            absent = [name for name in self.columns if name not in values]
            if absent:
                raise ValueError(f"the row has no {absent[0]!r}; {', '.join(self.columns)} expected")
            values = [values[name] for name in self.columns]
        row = np.array(as_array("the row", values, OBJECTS), np.float64, ndmin=1)
        if row.shape != last.shape:
            raise ValueError(f"a row of {row.size} values; {len(self.columns)} expected: {', '.join(self.columns)}")
        missing = np.isnan(row)
        row = np.where(missing, last, row)
        for name, value in zip(self.columns, row):
            if np.isnan(value):
                raise ValueError(f"{name!r} is missing, and there is no value before it")
            if abs(value) > LARGEST:
                raise ValueError(f"{name!r} is {value:.3g}, too large to compute with")
        return row, missing

    def _checked_time(self, time: Any) -> tuple[Any, int]:
        """The time of the row, and the number of rows that are missing before it; with irregular times, how many of the
        longest steps so far would fit there."""
        step = self.recipe.step
        if time is None:
            if self.recipe.calendar:
                raise ValueError("the row has no time; the model was trained with a calendar, so it needs one")
            if not np.isnat(self.time):
                raise ValueError(f"the row has no time; the rows before have, up to {shown(self.time)}")
            return UNKNOWN, 0
        when = np.datetime64(time, "s")
        if np.isnat(when):
            raise ValueError("the time of the row is missing")
        if self.seen and np.isnat(self.time):
            raise ValueError(f"the row has the time {shown(when)}; the rows before have none")
        if not self.seen:
            return when, 0
        if when <= self.time:
            raise ValueError(f"the time {shown(when)} does not follow that of the row before, {shown(self.time)}")
        if step is None:
            step = self._longest or int((when - self.time).astype(np.int64))
            return when, -(-int((when - self.time).astype(np.int64)) // step) - 1
        steps, rest = divmod(int((when - self.time).astype(np.int64)), step)
        if rest:
            raise ValueError(
                f"the time {shown(when)} is not a multiple of {step:,} s after that of the row before, "
                f"{shown(self.time)}"
            )
        return when, steps - 1

    def _advance(self, values: np.ndarray, time: Any, missing: np.ndarray) -> np.ndarray | None:
        recipe, base, past, x = self.recipe, self._base, self._past, self._x
        z, O, at = recipe.scaler.standardise(values), len(recipe.target), len(values)
        if base is not None and self.seen >= base.bases.order:
            expected = base.forecast(past, self.seen, time, 1)[0]
            z[:O] = np.where(missing[:O], expected, z[:O])
            self._errors[self.seen % len(self._errors)] = (z[:O] - expected) / base.bases.spread[:O]
            values = np.concatenate([self._targets.to_units(z[:O]), values[O:]]) if missing[:O].any() else values
        elif missing[:O].any() and self._season > 1 and self.seen > self._season:
            season, before, one = (past[(self.seen - k) % len(past)] for k in (self._season, self._season + 1, 1))
            z[:O] = np.where(missing[:O], season + PERSISTENCE * (one - before), z[:O])
            values = np.concatenate([self._targets.to_units(z[:O]), values[O:]])
        if self.width is not None:
            residual = (values[:O] - self._forecast[0]) / self._unit[0]
            self._residuals[self.seen % len(self._residuals)] = np.where(missing[:O], np.nan, residual)
            self._observe(np.where(missing[:O], np.nan, values[:O]))
        past[self.seen % len(past)] = z[:O]
        if self.seen and not np.isnat(time):
            self._longest = max(self._longest, int((time - self.time).astype(np.int64)))
        self.seen += 1
        self._last, self.time = values, time
        if self.seen < self._needed:
            return None
        x[:at] = z
        ahead: Any = 0.0
        if base is not None:
            ahead = base.forecast(past, self.seen, self.next_time, recipe.horizon)
            for lag in (1, *base.bases.lags):
                x[at : at + O] = self._errors[(self.seen - lag) % len(self._errors)]
                at += O
            x[at : at + ahead.size] = ahead.reshape(-1)
            at += ahead.size
        if recipe.calendar:
            second = (self.next_time - features.MONDAY).astype(np.int64) % features.WEEK
            x[at : at + self._calendar_size] = _calendar(int(second), base is not None)
            at += self._calendar_size
        for lag in self._lags:
            for step in range(recipe.horizon):  # of this row t = seen − 1: the row t + 1 + step − lag
                x[at : at + O] = past[(self.seen + step - lag) % len(past)]
                at += O
        y = self._windows.step(x)
        if y is None:
            return None
        if base is not None:
            y = ahead.reshape(-1) + base.bases.spread * y
        self._forecast = self._units.to_units(y).reshape(recipe.horizon, O)
        if self.width is None:
            return self._forecast.copy()
        forecast = self.width.not_below(self._forecast)
        self._ahead[self.seen % len(self._ahead)] = forecast, self._scale()
        self._scaled[self.seen % len(self._scaled)] = np.nan
        return forecast.copy()

    def _observe(self, values: np.ndarray) -> None:
        """Compare the values of the row ``seen`` with the forecasts of it."""
        for step in range(min(self.recipe.horizon, self.seen + 1)):
            origin = self.seen - step
            forecast, scale = self._ahead[origin % len(self._ahead), :, step]
            if self._until is None or np.isnat(self.time) or self._first_of(origin) > self._until:
                self._scaled[origin % len(self._scaled), step] = (values - forecast) / scale

    def _first_of(self, origin: int) -> Any:
        """The time of the row ``origin``, one of the last ones."""
        return self.next_time - (self.seen - origin) * np.timedelta64(self.recipe.step or 0, "s")

    def _scale(self) -> np.ndarray:
        """The scale (horizon, targets) of the forecast from the row ``seen`` on."""
        assert self.width is not None
        log_s = self.width.log_scale(self._windows.hidden[None].astype(float)).reshape(1, *self._forecast.shape)
        errors = np.roll(self._residuals, -self.seen, axis=0)
        return np.asarray(
            factor(self.width.kinds[0], log_s, errors, np.array([len(errors)]), self.width)[0] * self._unit
        )

    def bounds(self, coverage: float) -> tuple[np.ndarray, np.ndarray]:
        """Return low and high (horizon, targets) around the last forecast, in data units: the interval whose width
        follows the state (``intervals``). NaN before the first forecast.

        Args:
            coverage: nominal coverage, between 0 and 1.

        Raises:
            ValueError: for a stream without ``width``, or a coverage that is not between 0 and 1.
        """
        coverage = coverage_of(coverage)
        if self.width is None:
            raise ValueError("the stream was made without width: the model has no interval that follows its state")
        forecast, scale = self._ahead[self.seen % len(self._ahead)]
        if np.isnan(scale).any():
            return np.full_like(forecast, np.nan), np.full_like(forecast, np.nan)
        h, O = forecast.shape
        replays, last = self._replays.get(coverage) or (
            [Replay(self.width.start(s, k), coverage, s + 1, bool(self.width.rests[k])) for s, k in np.ndindex(h, O)],
            max(self.recipe.first - 1, self.seen - len(self._scaled) + h),
        )
        for origin in range(last + 1, self.seen + 1):
            pairs = [
                replay.at(origin, lambda before, s=s, k=k: float(self._scaled[before % len(self._scaled), s, k]))  # type: ignore[misc]
                for replay, (s, k) in zip(replays, np.ndindex(h, O))
            ]
            self._pairs = np.array(pairs).reshape(1, h, O, 2)
        self._replays[coverage] = replays, self.seen
        low, high = self.width.bounds(forecast[None], scale[None], coverage, self._pairs)
        return low[0], high[0]

    # ---- the state ----

    def state(self) -> dict[str, np.ndarray]:
        """Return all that later forecasts depend on, as arrays by name. ``restore`` takes it back."""
        states = self._windows.state
        parts = states if isinstance(states, tuple) else (states,)
        counts = np.array([self.seen, self._windows.seen, self.time.astype(np.int64), self._longest], np.int64)
        return {
            "counts": counts,
            "past": self._past.copy(),
            "errors": self._errors.copy(),
            "last": self._last.copy(),
            "residuals": self._residuals.copy(),
            "ahead": self._ahead.copy(),
            "scaled": self._scaled.copy(),
            "forecast": self._forecast.copy(),
            **dict(zip(("h", "c"), parts)),
        }

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from a ``state`` of a stream of the same model.

        Raises:
            ValueError: for the state of another model; this one is then unchanged.
        """
        own = self.state()
        for name, array in own.items():
            given = state.get(name)
            if not isinstance(given, np.ndarray) or given.shape != array.shape or given.dtype != array.dtype:
                raise ValueError(f"the state has no {name} of shape {array.shape}: it is of another model")
        seen, rows, seconds, longest = map(int, state["counts"])
        if min(seen, rows, longest) < 0:
            raise ValueError(f"the state counts {min(seen, rows, longest)} rows; a number from 0 up expected")
        self._windows.state = (state["h"], state["c"]) if "c" in own else state["h"]
        self.seen, self._windows.seen, self.time = seen, rows, np.datetime64(seconds, "s")
        self._longest = longest
        self._past[...], self._errors[...] = state["past"], state["errors"]
        self._last, self._forecast = state["last"].copy(), state["forecast"].copy()
        self._residuals[...], self._ahead[...], self._scaled[...] = state["residuals"], state["ahead"], state["scaled"]
        self._replays = {}

    def reset(self) -> None:
        """Forget all rows."""
        self._windows.reset()
        self._forget()

    def copy(self) -> Self:
        """Return a second stream in the same state, which goes on by itself. The weights are shared."""
        other = object.__new__(type(self))
        vars(other).update(vars(self), _windows=self._windows.copy())
        for name in ("_past", "_errors", "_residuals", "_x", "_ahead", "_scaled"):
            setattr(other, name, getattr(self, name).copy())
        other._replays = {}
        return other


def shown(time: Any) -> str:
    """Return a time as the commands write it."""
    return str(time).replace("T", " ")
