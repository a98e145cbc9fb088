"""Base forecasts: what a network corrects. Each is linear in the past, and fixed before the network is trained.

    f_t = b_{slot(t)} + Σ_{k=1…p} φ_k w_{t−k} + Σ_j a_j q_{t,j} + Σ_j c_j u_{t,j},    w = z or log y

| kind     | φ                  | b                                          |
|----------|--------------------|--------------------------------------------|
| linear   | ridge regression   | for each slot of a period                  |
| seasonal | 1 at lag s         | 0, or s times the mean difference          |
| last     | 1 at lag 1         | 0                                          |
| drift    | 1 at lag 1         | the mean difference                        |
| mean     | none               | the mean                                   |

z are standardised values, y the same in data units; q are sines and cosines of long seasons, u values known ahead (only
for the linear base). Several steps are forecast by feeding the forecast back (``linear.fed_back``). A ``Combination``
is a weighted mean of such forecasts, each fed back by itself (``combination.py`` chooses it).

Source of a network that corrects a linear model: Zhang 2003, Neurocomputing 50, 159–175; of a linear part inside the
network: Lai et al. 2018, LSTNet, arXiv 1703.07015v3; of combined forecasts: Bates & Granger 1969, Operational Research
Quarterly 20, 451–468.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple

import numpy as np

from ..formats import schema
from . import linear
from .calendar_slots import Slots, Waves

KINDS = ["linear", "seasonal", "last", "drift", "mean"]
LONGEST = 672  # the most lags, and slots of a period: a week of quarter-hours


_NUMBERS = schema.listed(schema.NUMBER)
_WEIGHTS = schema.Field(lambda value: _NUMBERS.fits(value) and len(value) <= 10 * LONGEST, "a list of numbers")
_INTERCEPTS = schema.Field(lambda value: _WEIGHTS.fits(value) and len(value) > 0, "a list of at least one number")
_SLOTS = schema.Field(
    lambda value: (
        isinstance(value, list)
        and len(value) == 2
        and value[0] in ("one", "clock", "month")
        and schema.COUNT.fits(value[1])
    ),
    "a kind of slots and their seconds",
)
_WAVES = schema.Field(
    lambda value: (
        schema.listed(schema.listed(schema.NUMBER, 2)).fits(value)
        and all(seconds > 0 and 0 < pairs <= LONGEST and pairs % 1 == 0 for seconds, pairs in value)
    ),
    "a list of periods and their numbers of waves",
    [],
)
_LOG = schema.Field(
    lambda value: (
        value is None
        or schema.listed(schema.NUMBER, 4).fits(value)
        and value[1] > 0
        and -700 < value[2] < value[3] < 700
    ),
    "mean, scale, floor and top of a logarithm, or null",
    None,
)
_PARTS = schema.Field(
    lambda value: schema.listed(schema.MAPPING).fits(value) and 0 < len(value) <= 100, "a list of objects"
)


class Log(NamedTuple):
    """The logarithm of a standardised series: w = log(mean + scale z), kept between ``floor`` and ``top``."""

    mean: float
    scale: float
    floor: float
    top: float

    def of(self, z: np.ndarray) -> np.ndarray:
        """Return w of z, of any shape."""
        y = self.mean + self.scale * z
        return np.log(np.clip(y, np.exp(self.floor), np.exp(self.top)))

    def undone(self, w: np.ndarray) -> np.ndarray:
        """Return z of w, of any shape."""
        return np.asarray((np.exp(np.clip(w, self.floor, self.top)) - self.mean) / self.scale)


@dataclass(frozen=True)
class BaseModel(schema.Record):
    """A base forecast of one standardised column. weights (p,) φ; intercepts (slots.count,) b; known (F,) c.

    waves: the long seasons; of_waves (Q,) a. log: of a forecast of log y, else None. differences: u enters as
    u_t − u_{t−1}.
    """

    kind: Annotated[str, schema.one_of(KINDS)]
    weights: Annotated[np.ndarray, _WEIGHTS]
    intercepts: Annotated[np.ndarray, _INTERCEPTS]
    slots: Annotated[Slots, _SLOTS] = Slots()
    known: Annotated[np.ndarray, schema.missing(_NUMBERS, [])] = field(default_factory=lambda: np.zeros(0))
    waves: Annotated[tuple[Waves, ...], _WAVES] = ()
    of_waves: Annotated[np.ndarray, schema.missing(_NUMBERS, [])] = field(default_factory=lambda: np.zeros(0))
    log: Annotated[Log | None, _LOG] = None
    differences: Annotated[bool, schema.missing(schema.BOOLEAN, False)] = False

    @property
    def order(self) -> int:
        """p, the number of values that are read."""
        return len(self.weights)

    @property
    def members(self) -> tuple[tuple[float, BaseModel], ...]:
        """(share, model) of what is combined: this one alone."""
        return ((1.0, self),)

    @property
    def needs_times(self) -> bool:
        """True if the forecast depends on the times of the rows."""
        return self.slots.kind != "one" or bool(self.waves)

    def drive(self, slots: np.ndarray, known: np.ndarray | None = None, waves: np.ndarray | None = None) -> np.ndarray:
        """Return g (n,), what is added to the weighted values, for the slots (n,), known values (n, F) and waves (n, Q)
        of consecutive rows."""
        g: np.ndarray = self.intercepts[slots]
        if known is not None and self.known.size:
            g = g + (differenced(known) if self.differences else known) @ self.known
        return g if waves is None or not self.of_waves.size else np.asarray(g + waves @ self.of_waves)

    def drive_at(self, times: np.ndarray | None, rows: int, known: np.ndarray | None = None) -> np.ndarray:
        """Return g (rows,) for rows with these ``times`` and values known ahead. Rows without a time have that of the
        last one."""
        given = rows if times is None else len(times)
        waves = None if times is None or not self.waves else Waves.all_of(self.waves, times)
        slots = self.slots.of(times, given)
        if given < rows:
            slots = np.append(slots, np.full(rows - given, slots[-1]))
            waves = None if waves is None else np.concatenate([waves, np.repeat(waves[-1:], rows - given, axis=0)])
        return self.drive(slots, known, waves)

    def forecasts(self, z: np.ndarray, drive: np.ndarray, rows: np.ndarray, steps: int) -> np.ndarray:
        """Return the forecasts (len(rows), steps) of the rows r … r + steps − 1, from the values before each row r.

        Args:
            z: (n,) values. drive: (at least max(rows) + steps,) g of each row. rows: with p rows before them.
        """
        return self._forecasts(z if self.log is None else self.log.of(z), drive, rows, steps)

    def _forecasts(self, w: np.ndarray, drive: np.ndarray, rows: np.ndarray, steps: int) -> np.ndarray:
        Phi, psi = linear.fed_back(self.weights, steps)
        response = np.triu(psi[np.abs(np.arange(steps) - np.arange(steps)[:, None])])  # of step i to the drive of l ≤ i
        result = linear.lagged_products(w, rows, Phi)
        for start in range(0, len(rows), linear.CHUNK):
            part = slice(start, start + linear.CHUNK)
            result[part] += drive[rows[part, None] + np.arange(steps)] @ response
        return result if self.log is None else self.log.undone(result)

    def to_json(self) -> dict[str, Any]:
        """Return what a weights file keeps."""
        values: dict[str, Any] = {
            "kind": self.kind,
            "weights": _short(self.weights),
            "intercepts": _short(self.intercepts),
            "slots": [self.slots.kind, self.slots.seconds],
            "known": _short(self.known),
        }
        if self.waves:
            values |= {"waves": [list(each) for each in self.waves], "of_waves": _short(self.of_waves)}
        if self.log is not None:
            values["log"] = [float(number) for number in self.log]
        return values | {"differences": True} if self.differences else values

    @classmethod
    def from_json(cls, mapping: Mapping[str, Any]) -> BaseModel:
        """Return the base that a weights file describes.

        Raises:
            ValueError: for the first fault.
        """
        values = schema.check(mapping, cls.FIELDS, "its base")
        kind, seconds = values["slots"]
        count = len(values["intercepts"])
        if kind == "month" and count != 12 or kind == "one" and count != 1:
            raise ValueError(f"its base has {count} intercepts, which is no number of slots of the kind {kind!r}")
        waves = tuple(Waves(float(seconds), int(pairs)) for seconds, pairs in values["waves"])
        if len(values["of_waves"]) != sum(2 * each.pairs for each in waves):
            raise ValueError(f"its base has {len(values['of_waves'])} of_waves, which do not fit its waves")
        arrays = {name: np.array(values[name], float) for name in ("weights", "intercepts", "known", "of_waves")}
        log = None if values["log"] is None else Log(*map(float, values["log"]))
        return cls(
            values["kind"], slots=Slots(kind, count, seconds), waves=waves, log=log, differences=values["differences"],
            **arrays,
        )  # fmt: skip


def differenced(u: np.ndarray) -> np.ndarray:
    """Return u_t − u_{t−1} (n, F), 0 in the first row."""
    return np.diff(u, axis=0, prepend=u[:1])


@dataclass(frozen=True)
class Combination(schema.Record):
    """The weighted mean of several base forecasts. parts (m,); shares (m,) their weights, which add up to 1; tried: the
    number of candidates that they were chosen from. As ``BaseModel``, with a drive (m, n).
    """

    parts: Annotated[tuple[BaseModel, ...], _PARTS]
    shares: Annotated[np.ndarray, schema.listed(schema.SHARE)]
    tried: Annotated[int, schema.NATURAL] = 0

    kind = "combination"

    @property
    def order(self) -> int:
        """The number of values that are read."""
        return max(part.order for part in self.parts)

    @property
    def members(self) -> tuple[tuple[float, BaseModel], ...]:
        """(share, model) of what is combined, the greatest share first."""
        return tuple(zip(map(float, self.shares), self.parts))

    @property
    def known(self) -> np.ndarray:
        """(F,) of the part that reads most values known ahead."""
        return max((part.known for part in self.parts), key=len)

    @property
    def needs_times(self) -> bool:
        """True if the forecast depends on the times of the rows."""
        return any(part.needs_times for part in self.parts)

    def drive_at(self, times: np.ndarray | None, rows: int, known: np.ndarray | None = None) -> np.ndarray:
        """Return g (m, rows) of each part."""
        return np.stack([part.drive_at(times, rows, known) for part in self.parts])

    def forecasts(self, z: np.ndarray, drive: np.ndarray, rows: np.ndarray, steps: int) -> np.ndarray:
        """Return the forecasts (len(rows), steps), as ``BaseModel.forecasts``: each part is fed back by itself."""
        result, logs = np.zeros((len(rows), steps)), {part.log: part.log.of(z) for part in self.parts if part.log}
        for (share, part), g in zip(self.members, drive):
            result += share * part._forecasts(z if part.log is None else logs[part.log], g, rows, steps)
        return result

    def to_json(self) -> dict[str, Any]:
        """Return what a weights file keeps."""
        parts = [part.to_json() for part in self.parts]
        return {"kind": self.kind, "parts": parts, "shares": self.shares.tolist(), "tried": self.tried}

    @classmethod
    def from_json(cls, mapping: Mapping[str, Any]) -> Combination:
        """Return the combination that a weights file describes.

        Raises:
            ValueError: for the first fault.
        """
        values = schema.check(mapping, {"kind": schema.one_of([cls.kind]), **cls.FIELDS}, "its base")
        shares = np.array(values["shares"], float)
        if len(shares) != len(values["parts"]) or not abs(shares.sum() - 1) < 1e-6:
            raise ValueError(f"its base has {len(values['parts'])} parts, and shares that do not add up to 1 over them")
        return cls(tuple(map(BaseModel.from_json, values["parts"])), shares, values["tried"])


AnyBase = BaseModel | Combination


def base_from_json(mapping: Mapping[str, Any]) -> AnyBase:
    """Return the base of one target that a weights file describes. Raises ValueError for the first fault."""
    combined = mapping.get("kind") == Combination.kind
    return Combination.from_json(mapping) if combined else BaseModel.from_json(mapping)


def _short(array: np.ndarray) -> list[float]:
    """Numbers with 9 significant digits: enough for float32 inputs, and half the length."""
    return [float(f"{value:.9g}") for value in array]


PERSISTENCE = (
    0.7  # of a deviation from the season from row to row; 0, 0.9 and 1 have a greater validation error on the traffic
)


def from_season(season: int) -> BaseModel:
    """Return what fills gaps where no base is fitted: z_t = z_{t−s} + 0.7 (z_{t−1} − z_{t−1−s}), in any unit."""
    weights = np.zeros(season + 1)
    weights[season - 1] = 1.0
    weights[0] += PERSISTENCE
    weights[season] -= PERSISTENCE
    return BaseModel("seasonal", weights, np.zeros(1))


def impute(base: AnyBase, z: np.ndarray, drive: np.ndarray, filled: np.ndarray) -> None:
    """Replace z (n,), in place, where it was missing, by the base's forecast from the values before, in time order."""
    members = [(share, part, part.weights[::-1].copy()) for share, part in base.members]
    drives = np.atleast_2d(drive)
    for row in np.flatnonzero(filled):
        if row < base.order:
            continue
        value: Any = 0.0
        for (share, part, backwards), g in zip(members, drives):
            before = z[row - part.order : row]
            if part.log is None:
                value += share * (g[row] + backwards @ before)
            else:
                value += share * part.log.undone(g[row] + backwards @ part.log.of(before))
        z[row] = value


def described(part: BaseModel, words: Mapping[int, str] | None = None) -> str:
    """Return a short name of a base forecast, such as "log: AR(13) + month".

    Args:
        words: what the value some numbers of rows before is called, such as 12: "same time last year".
    """
    kind, seconds, count = part.slots.kind, part.slots.seconds, part.slots.count
    terms = []
    if kind == "month":
        terms.append("quarter" if seconds == 3 else "month")
    elif kind == "clock":
        of = {86_400: "day", 604_800: "week"}.get(count * seconds, f"{count} rows")
        terms.append("day of the week" if seconds == 86_400 else f"time of the {of}")
    terms += [each.name for each in part.waves] + ["columns known ahead"] * bool(part.known.size)
    name = {
        "linear": f"AR({part.order})",
        "seasonal": (words or {}).get(part.order, f"the value {part.order} rows before"),
        "last": "the last value",
        "drift": "the last value and the mean step",
        "mean": "the mean",
    }[part.kind]
    if part.kind == "seasonal" and part.intercepts.any():
        name += " and the trend"
    if part.kind == "linear" and part.differences:
        name = f"AR({part.order - 1}) of differences"
    return ("log: " if part.log else "") + " + ".join([name, *terms])


def shown(part: AnyBase, words: Mapping[int, str] | None = None) -> list[str]:
    """Return the names of what is combined, each with its share, the greatest first. ``words``: as ``described``."""
    if isinstance(part, BaseModel):
        return [described(part, words)]
    return [f"{described(each, words)} {share:.2f}" for share, each in part.members]
