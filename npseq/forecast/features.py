"""Calendar features and season detection."""

from __future__ import annotations

import numpy as np

from ..nn.scaling import moments

__all__ = ["CALENDAR", "DAY", "WEEK", "calendar", "moments", "season", "second_of_week"]

WEEK, DAY = 604_800, 86_400  # seconds
MONDAY = np.datetime64("1970-01-05", "s")  # weeks are counted from a Monday
CALENDAR = ["hour of day sin", "hour of day cos", "day of week sin", "day of week cos", "weekend"]
SEASON_ROWS = 1 << 17  # season detection uses only this many of the most recent rows


def second_of_week(times: np.ndarray) -> np.ndarray:
    """Return the seconds since Monday 00:00 of datetime64 ``times`` of any shape."""
    return (np.asarray(times).astype("datetime64[s]") - MONDAY).astype(np.int64) % WEEK


def calendar(times: np.ndarray, half_day: bool = False) -> np.ndarray:
    """Return (…, 5) for datetime64 ``times``: hour of day and day of week, each as sine and cosine, and 1 on Saturdays
    and Sundays; with ``half_day`` (…, 7), the sine and cosine of half a day before the last one.

    An angle as sine and cosine has no jump at midnight, or from Sunday to Monday.
    """
    second = second_of_week(times)
    day = second // DAY
    hour_angle, day_angle = 2 * np.pi * (second % DAY) / DAY, 2 * np.pi * day / 7
    angles = [hour_angle, day_angle, 2 * hour_angle] if half_day else [hour_angle, day_angle]
    waves = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
    return np.stack([*waves, day >= 5], axis=-1)


def season(values: np.ndarray, step: int | None = None, longest: int = 2000) -> int | None:
    """Return the dominant period of a series (n,), in rows, or None.

    The first peak of the autocorrelation that is within 0.05 of the highest one, at least 0.2, and 0.1 above the lowest
    value before it, between 2 rows and a third of the series. Where ``step``, the seconds between rows, is known, a
    week or else a day wins over it when there is a peak there and it is within 0.01 of the highest. Pass the training
    rows only.
    """
    values = values[-SEASON_ROWS:]
    n = len(values)
    longest = min(longest, n // 3)
    if longest < 3:
        return None
    mean, scale = moments(values[:, None])
    z = (values - mean) / scale
    spectrum = np.fft.rfft(z, 1 << (2 * n - 1).bit_length())  # padded: a product of spectra correlates in a circle
    correlation = np.fft.irfft(spectrum * spectrum.conj())[: longest + 2] / (n - np.arange(longest + 2))
    lags = np.arange(2, longest + 1)
    peaks = lags[(correlation[lags] > correlation[lags - 1]) & (correlation[lags] >= correlation[lags + 1])]
    lowest = np.minimum.accumulate(correlation)
    peaks = peaks[(correlation[peaks] >= 0.2) & (correlation[peaks] > lowest[peaks] + 0.1)]  # no ripple on a slow decay
    if len(peaks) == 0:
        return None
    highest = correlation[peaks].max()
    for period in (WEEK // step, DAY // step) if step else ():
        if 2 <= period <= longest and np.abs(peaks / period - 1).min() <= 0.02:
            if correlation[period] >= highest - 0.01:
                return int(period)
    first = peaks[correlation[peaks] >= highest - 0.05][0]
    near = peaks[(peaks >= first) & (peaks <= 1.2 * first)]  # noise puts small peaks around the true one
    return int(near[correlation[near].argmax()])
