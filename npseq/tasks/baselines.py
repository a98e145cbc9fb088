"""Forecasts that a recurrent network should beat: persistence, the season before, linear autoregression.

Each function predicts the targets of some rows, (len(rows), N), N being the horizon; ``rows`` are the first predicted
rows, and nothing at or after a row is used to predict it. Autoregressions are fitted on training targets alone.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..fused import blas
from .features import WEEK, moments, second_of_week

CHUNK = 4096  # rows of lagged values in memory at a time
LONGEST = 336  # the most lags, and slots of the week, of an autoregression


def persistence(values, rows, horizon=1):
    """The last value, for every step of the horizon."""
    return np.repeat(values[rows - 1, None], horizon, axis=1)


def seasonal(values, rows, period, horizon=1):
    """The value one period before (or the fewest periods that lie before the forecast's first row)."""
    ahead = np.arange(horizon)
    back = period * (ahead // period + 1)
    return values[rows[:, None] + ahead - back]


class Autoregression:
    """Linear autoregression by least squares, with an intercept or one for each slot of the week.

        ŷ_{r+h} = b_{h, slot(r)} + Σ_{k=1…p} φ_{h,k} y_{r−k},   h = 0 … N − 1

    Each step of the horizon has coefficients of its own. They solve the normal equations, whose sums
    S_{u,v} = Σ_e y_{e−u} y_{e−v} over the ends e = a … b − 1 of all windows need one row by summing; the others follow:

        S_{u+1,v+1} = S_{u,v} + y_{a−1−u} y_{a−1−v} − y_{b−1−u} y_{b−1−v}

    Args:
        values (n,), order p, train_end: the first row that is not a training row; horizon N; slots (n,): the number of
        each row's slot, or None for one intercept.
    """

    @blas.limited(1)  # a second thread gains nothing here, and may wait for seconds on a busy machine
    def __init__(self, values, order, train_end, horizon=1, slots=None):
        self.order, self.horizon = order, horizon
        mean, scale = moments(values[:train_end, None])
        self.mean, self.scale = mean[0], scale[0]
        z = values[:train_end] - self.mean
        z /= self.scale
        K, a, b = order + horizon, order + horizon - 1, train_end
        S = np.empty((K, K))
        S[0] = S[:, 0] = [z[a:b] @ z[a - u : b - u] for u in range(K)]
        head, tail = z[a - 1 :: -1] if a else z[:0], z[b - 1 : b - K : -1]
        for u in range(K - 1):
            S[u + 1, 1:] = S[u, :-1] + head[u] * head - tail[u] * tail
        if slots is None:
            count = np.array([b - a])
            sums = (z[a:b].sum() + np.append(0, np.cumsum(head[: K - 1] - tail)))[:, None]
        else:
            slot = slots[order : order + b - a].astype(np.intp)
            count = np.bincount(slot, minlength=int(slots.max()) + 1)
            sums = np.stack([np.bincount(slot, z[a - u : b - u], len(count)) for u in range(K)])  # (K, slots)

        # u = 0 … N − 1 are the targets, the last step of the horizon first; u = N … K − 1 the lags 1 … p
        gram = np.block([[S[horizon:, horizon:], sums[horizon:]], [sums[horizon:].T, np.diag(count)]])
        right = np.concatenate([S[horizon:, :horizon], sums[:horizon].T])[:, ::-1]
        # a slot that never occurs, or a constant series, leaves the equations singular: the smallest solution
        coefficients = np.linalg.lstsq(gram, right, rcond=1e-12)[0]
        self.lagged, self.intercepts = coefficients[:order][::-1], coefficients[order:]

    @blas.limited(1)
    def predict(self, values, rows, slots=None):
        """(len(rows), N) in the units of ``values``."""
        windows, parts = sliding_window_view(values, self.order), []
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            z = (windows[part - self.order] - self.mean) / self.scale
            parts.append(z @ self.lagged + self.intercepts[0 if slots is None else slots[part]])
        return np.concatenate(parts) * self.scale + self.mean


def week_slots(table):
    """(n,) the slot of the week of each row of a table (168 for hours, 7 for days), or None where the step is no part
    of a week or there would be more than ``LONGEST`` slots."""
    step = table.step
    if not step or WEEK % step or not 2 <= WEEK // step <= LONGEST:
        return None
    if table.start is None:
        return (second_of_week(table.irregular) // step).astype(np.int16)
    week = np.arange(WEEK // step) + second_of_week(table.start) // step
    return np.resize((week % (WEEK // step)).astype(np.int16), len(table.values))


def forecasts(values, table, period, train_end, rows, horizon=1):
    """name -> predictions (len(rows), N) of every baseline that this series allows.

    ``values`` (n,) in the data's units: a column of ``table``, whose time column is used; ``period`` the season in rows
    or None; ``train_end`` the first row that is not a training row; ``rows`` the first predicted rows.
    """
    results = {"persistence": persistence(values, rows, horizon)}
    if period:
        results[season_name(period, table.step)] = seasonal(values, rows, period, horizon)
    order = min(period or 24, LONGEST, (train_end - horizon) // 4)
    if order >= 1:
        results[f"AR({order})"] = Autoregression(values, order, train_end, horizon).predict(values, rows)
        slots = week_slots(table)
        if slots is not None and train_end - order > 4 * (order + WEEK // table.step):
            name = {3600: "hour", 86_400: "day"}.get(table.step, "slot")
            model = Autoregression(values, order, train_end, horizon, slots)
            results[f"AR({order}) + {name} of week"] = model.predict(values, rows, slots)
    return results


def season_name(period, step):
    if step == 3600 and period == 168:
        return "same hour last week"
    if step == 3600 and period == 24:
        return "same hour yesterday"
    if step and period * step == WEEK:
        return "same time last week"
    return f"{period} rows before"
