"""Closed forms for one series of a panel: ridge autoregressions and simple forecasts, from several origins at once.

    w_t = b_{slot(t)} + Σ_{k=1…p} φ_k w_{t−k},   w = y, log y or their differences

What columns known ahead explain of y, or of log y, is left out first and added to the forecasts (``covariates``).
All orders of one w are solved from the normal equations of the longest order (``linear.equations``): those of a shorter
one are a part of them. Forecasts are fed back for all candidates and origins together.

A series of counts with many zeros has Croston's forecast besides, as Teunter, Syntetos & Babai correct it (2011,
European Journal of Operational Research 214, 606–615): the probability p of a value above zero times its size z,

    p ← p + β ([y > 0] − p) in every row,   z ← z + α (y − z) where y > 0
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .. import linear
from ..candidates import ROOM, ROWS
from .covariates import explained

ORDERS = (1, 3)  # besides the seasons'
PENALTIES = (0.03,)  # of the sum of the squared coefficients of standardised data
LONGEST = 336  # rows of an order
FEW = 400  # with fewer rows differences are tried, too
SLOT_ROWS = 3  # of each slot
ROOM_OF_RANGE = 1.0  # forecasts fed back stay within so many ranges of the values around them
ZEROS = 0.25  # of the rows: more make a series intermittent
SMOOTHING = 0.1  # α and β
POWER = 4  # weights are proportional to error⁻⁴
EVEN = 1e-9  # shares that add up to half but for this have two middle forecasts


class Season(NamedTuple):
    """The seasons of a panel, in rows. s: the usual one, or 1; longer: others, such as a week of hours."""

    s: int = 1
    longer: tuple[int, ...] = ()


class Forms(NamedTuple):
    """Forecasts of C closed forms. past (O, C, h) from the origins, of forms fitted to the rows before the first one;
    ahead (C, steps) after the last row, of forms fitted to all rows; actual (O, h)."""

    past: np.ndarray
    ahead: np.ndarray
    actual: np.ndarray

    def shares(self, left_out: int | None = None) -> np.ndarray:
        """Return the share (C,) of each form, proportional to error⁻⁴ over all origins but one."""
        errors = np.abs(self.past - self.actual[:, None]).mean(axis=2)
        if left_out is not None and len(errors) > 1:
            errors = np.delete(errors, left_out, axis=0)
        if not len(errors):
            return np.full(len(self.ahead), 1 / len(self.ahead))
        e: np.ndarray = errors.mean(axis=0)
        if e.min() <= 0:
            return np.asarray((e <= 0) / np.count_nonzero(e <= 0))
        weights = (e / e.min()) ** -POWER
        return np.asarray(weights / weights.sum())

    def combined(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the combined forecasts: (O, h) from the origins, each with the others' shares, and (steps,)."""
        past = [_centre(self.past[j], self.shares(j)) for j in range(len(self.past))]
        return np.reshape(past, self.actual.shape), _centre(self.ahead, self.shares())


def _centre(forecasts: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The mean (h,) of the weighted mean and the weighted median of forecasts (C, h), which one far away moves less."""
    order = np.argsort(forecasts, axis=0)
    below, ordered = np.cumsum(shares[order], axis=0), np.take_along_axis(forecasts, order, 0)
    middle = np.stack([np.argmax(below > share, axis=0) for share in (0.5 - EVEN, 0.5 + EVEN)])
    return np.asarray((shares @ forecasts + np.take_along_axis(ordered, middle, 0).mean(axis=0)) / 2)


def forms(
    y: np.ndarray, season: Season, cuts: np.ndarray, h: int, ahead: int, known: np.ndarray | None = None
) -> Forms:
    """Forecast one series from its origins and after its end.

    Args:
        y: (n,) without missing values. cuts: (O,) origins, the rows that come first after them, in order; none for a
            series that is too short.
        h, ahead: steps from the origins, and after the end. known: (n + ahead, F) values known ahead, or None; after
            its end the last ones.
    """
    least = int(cuts[0]) if len(cuts) else len(y)
    after = _all_forms(y, len(y), least, season, np.array([len(y)]), ahead, known)[0]
    if not len(cuts):
        return Forms(np.zeros((0, len(after), h)), after, np.zeros((0, h)))
    past = _all_forms(y, least, least, season, cuts, h, known)
    return Forms(past, after, y[cuts[:, None] + np.arange(h)])


def _all_forms(
    y: np.ndarray, rows: int, least: int, season: Season, cuts: np.ndarray, h: int, known: np.ndarray | None
) -> np.ndarray:
    """Forecasts (len(cuts), C, h) of forms fitted to the first ``rows``: of those that the first ``least`` allow."""
    found, ahead = [], cuts[:, None] + np.arange(h)
    for log in (False, True)[: 1 + bool(y.min() > 1e-9 * y.max())]:
        w, effect = np.log(y) if log else y, np.zeros(1)
        if known is not None:
            e = explained(w, known, rows, season.s)
            w, effect = w - e[: len(w)], e[np.minimum(ahead, len(e) - 1)][:, None]
        found += [] if log else [_simple(w, least, season, cuts, h) + effect]
        low, high = w[:rows].min(), w[:rows].max()
        room = max(ROOM_OF_RANGE * (high - low), ROOM if log else 0.0)
        for differences in (False, True)[: 1 + (least < FEW)]:
            f = _regressions(w, rows, least, season, cuts, h, differences, (low - room, high + room))
            found += [] if f is None else [np.exp(f + effect) if log else f + effect]
    return np.concatenate(found, axis=1)


def _simple(y: np.ndarray, least: int, season: Season, cuts: np.ndarray, h: int) -> np.ndarray:
    """Forecasts without a regression: last value, mean, drift, and those of each season."""
    steps, found = np.arange(h), []
    for c in cuts:
        past = y[:c]
        drift = (past[-1] - past[0]) / max(c - 1, 1)
        each = [np.full(h, past[-1]), np.full(h, past.mean()), past[-1] + drift * (1 + steps)]
        seasonal = [past[c - p + steps % p] for p in (season.s, *season.longer) if 1 < p <= least]
        each += [*seasonal, np.mean(seasonal, axis=0)] if len(seasonal) > 1 else seasonal
        if y.min() >= 0 and np.mean(y == 0) > ZEROS:
            each.append(np.full(h, _tsb(past)))
        found.append(each)
    return np.array(found)


def _tsb(y: np.ndarray) -> float:
    above = y > 0
    p, size = float(above.mean()), float(y[above].mean()) if above.any() else 0.0
    for value, there in zip(y.tolist(), above.tolist()):
        p += SMOOTHING * (there - p)
        if there:
            size += SMOOTHING * (value - size)
    return p * size


def _regressions(
    w: np.ndarray,
    rows: int,
    least: int,
    season: Season,
    cuts: np.ndarray,
    h: int,
    differences: bool,
    limits: tuple[float, float],
) -> np.ndarray | None:
    """Forecasts (len(cuts), C, h) of ridge regressions of w, or of its differences, on the first ``rows``."""
    S = season.s if 1 < season.s <= LONGEST and least >= SLOT_ROWS * season.s else 1
    own = np.diff(w) if differences else w
    rows, least, after = rows - differences, least - differences, np.arange(differences, len(w) + h) % S
    orders = {p for p in (*ORDERS, season.s, 2 * season.s + 1, *season.longer) if 0 < p <= LONGEST}
    orders = {p for p in orders if least - p >= ROWS * (p + 1) and least > 2 * p + 2}
    if not orders:
        return None
    P = max(orders)
    mean, scale = float(own[:rows].mean()), float(own[:rows].std())
    if not own[:least].std() > 1e-12 * max(abs(mean), 1e-300):
        return None
    z = (own - mean) / scale
    e = linear.equations(z[:rows], P, 1, after[:rows], S)
    weights, drives = [], []
    for p in sorted(orders):
        for by_slot in (False, True)[: 1 + (S > 1 and least - p >= ROWS * (p + S))]:
            for lagged, b in _solved(e, p, S, by_slot):
                weights.append(np.append(np.zeros(P - p), lagged[::-1]))
                drives.append(b[after])
    phi, g = np.array(weights), np.array(drives)
    buffer = np.empty((len(cuts), len(phi), P + h))
    level = w[cuts - 1][:, None] if differences else np.zeros((len(cuts), 1))
    at = cuts - differences
    buffer[:, :, :P] = z[at[:, None] - P + np.arange(P)][:, None]
    low, high = ((limit - (0 if differences else mean)) / scale for limit in limits)
    if differences:
        low, high = (low - high), (high - low)
    for k in range(h):
        step = np.einsum("ocp,cp->oc", buffer[:, :, k : k + P], phi) + g[:, at + k].T
        buffer[:, :, P + k] = np.clip(step, low, high)
    f = mean + scale * buffer[:, :, P:]
    return np.asarray(np.clip(level[:, :, None] + np.cumsum(f, axis=2), *limits) if differences else f)


def _solved(e: linear.Equations, p: int, S: int, by_slot: bool) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Solve the part of the equations with p lags and one intercept, or one for each slot, for each penalty."""
    part = e.part(p, S if by_slot else 1)
    for penalty in PENALTIES:
        lagged, b, _ = (each[:, 0] for each in linear.solve(part, penalty / e.count))
        yield lagged, b if by_slot else np.repeat(b, S)
