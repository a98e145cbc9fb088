"""Rows in time order, equally spaced."""

from collections import Counter

import numpy as np

MOST_ROWS = 1.25  # rows with those put in for missing times, as a multiple of the rows there; above that (prices have
# no weekends) times are irregular
CHUNK = 1 << 20  # rows that are looked at at a time, so that no second copy of a table is made


def _steps(times):
    """How often each difference between neighbours occurs, in seconds."""
    counts = Counter()
    for start in range(0, len(times) - 1, CHUNK):
        steps, count = np.unique(np.diff(times[start : start + CHUNK + 1]).astype(np.int64), return_counts=True)
        counts.update(dict(zip(steps.tolist(), count.tolist())))
    return counts


def put_in_time_order(table, times):
    """Rows in time order, one for each time, and a row for each time that is missing; the notes say what was done."""
    steps = _steps(times)
    if min(steps, default=0) < 0:
        order = np.argsort(times, kind="stable")
        times, table.values = times[order], table.values[order]
        table.notes.append("rows were not in time order: sorted")
        steps = _steps(times)
    if repeats := steps.pop(0, 0):
        first = np.append(True, times[1:] > times[:-1])
        times, table.values = times[first], table.values[first]
        table.notes.append(f"{repeats:,} rows repeat a time: the first of each was kept")
    if not steps:
        return
    step = table.step = steps.most_common(1)[0][0]
    span = int((times[-1] - times[0]).astype(np.int64))
    if all(other % step == 0 for other in steps) and span // step < MOST_ROWS * len(times):
        table.start, missing = times[0], span // step + 1 - len(times)
        if missing:
            table.notes.append(f"{missing:,} times are missing: a row for each was put in, as a gap")
            at = times.view(np.int64)
            at -= at[0]
            at //= step
            whole = np.full((span // step + 1, table.values.shape[1]), np.nan)
            whole[at] = table.values
            table.values = whole
    else:
        table.irregular = times
        count = sum(steps.values())
        table.notes.append(
            f"irregular times: {count - steps[step]:,} of {count:,} steps are not the usual {step:,} "
            "s; the "
            "rows are taken as they follow each other"
        )
