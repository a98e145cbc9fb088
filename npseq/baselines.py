"""Forecasts that a recurrent network should beat: persistence, the season before, linear autoregression.

Each function predicts the targets of some rows, (len(rows), N), N being the horizon; ``rows`` are the first predicted
rows, and nothing at or after a row is used to predict it. Autoregressions are fitted on training targets alone.
"""

import numpy as np

from .features import WEEK, second_of_week

CHUNK = 16_384  # rows of a design matrix in memory at a time


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

    Each step of the horizon has coefficients of its own. ``slots`` (n,) numbers the slot of each row, or is None.
    """

    def __init__(self, values, order, train_end, horizon=1, slots=None):
        self.order, self.horizon = order, horizon
        self.mean, self.scale = values[:train_end].mean(), values[:train_end].std() or 1.0
        self.slot_count = 1 if slots is None else int(slots.max()) + 1
        rows = np.arange(order, train_end - horizon + 1)
        size = order + self.slot_count
        gram, right = np.zeros((size, size)), np.zeros((size, horizon))
        for start in range(0, len(rows), CHUNK):
            part = rows[start:start + CHUNK]
            X = self._design(values, part, slots)
            y = self._standard(values[part[:, None] + np.arange(horizon)])
            gram += X.T @ X
            right += X.T @ y
        # a slot that never occurs, or a constant series, leaves the equations singular: the smallest solution
        self.coefficients = np.linalg.lstsq(gram, right, rcond=1e-12)[0]

    def _standard(self, values):
        return (values - self.mean) / self.scale

    def _design(self, values, rows, slots):
        X = np.zeros((len(rows), self.order + self.slot_count))
        X[:, :self.order] = self._standard(values[rows[:, None] - np.arange(1, self.order + 1)])
        X[np.arange(len(rows)), self.order + (0 if slots is None else slots[rows])] = 1
        return X

    def predict(self, values, rows, slots=None):
        parts = [self._design(values, rows[start:start + CHUNK], slots) @ self.coefficients
                 for start in range(0, len(rows), CHUNK)]
        return np.concatenate(parts) * self.scale + self.mean


def week_slots(times, step):
    """(n,) the slot of the week of each row (168 for hours, 7 for days), or None where the step is no part of a week or
    there would be more than 336 slots."""
    if times is None or not step or WEEK % step or WEEK // step > 336 or WEEK // step < 2:
        return None
    return second_of_week(times) // step


def forecasts(values, times, step, period, train_end, rows, horizon=1):
    """name -> predictions (len(rows), N) of every baseline that this series allows.

    ``values`` (n,) in the data's units, ``period`` the season in rows or None, ``train_end`` the first row that is not a
    training row, ``rows`` the first predicted rows.
    """
    results = {"persistence": persistence(values, rows, horizon)}
    if period:
        results[season_name(period, step)] = seasonal(values, rows, period, horizon)
    order = min(period or 24, 336, (train_end - horizon) // 4)
    if order >= 1:
        results[f"AR({order})"] = Autoregression(values, order, train_end, horizon).predict(values, rows)
        slots = week_slots(times, step)
        if slots is not None and train_end - order > 4 * (order + WEEK // step):
            name = {3600: "hour", 86_400: "day"}.get(step, "slot")
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
