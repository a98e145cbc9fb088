"""What a model is told beside the values: the calendar; how values are scaled; and how a season is found."""

import numpy as np

WEEK, DAY = 604_800, 86_400  # seconds
MONDAY = np.datetime64("1970-01-05", "s")  # weeks are counted from a Monday
CALENDAR = ["hour of day sin", "hour of day cos", "day of week sin", "day of week cos", "weekend"]
CHUNK = 1 << 20  # rows at a time, so that a long series is never in memory twice
SEASON_ROWS = 1 << 17  # the newest rows, which a season is looked for in


def second_of_week(times):
    """(n,) datetime64 -> seconds since Monday 00:00."""
    return (np.asarray(times).astype("datetime64[s]") - MONDAY).astype(np.int64) % WEEK


def calendar(times):
    """datetime64 of any shape -> (…, 5): hour of day and day of week, each as sine and cosine, and 1 on Saturdays and
    Sundays.

    An angle as sine and cosine has no jump at midnight, or from Sunday to Monday.
    """
    second = second_of_week(times)
    day = second // DAY
    hour_angle, day_angle = 2 * np.pi * (second % DAY) / DAY, 2 * np.pi * day / 7
    return np.stack([np.sin(hour_angle), np.cos(hour_angle), np.sin(day_angle), np.cos(day_angle), day >= 5], axis=-1)


def moments(values):
    """(n, C) -> mean and standard deviation (over n) of each column; a constant column gets the scale 1."""
    chunks = [values[start : start + CHUNK] for start in range(0, len(values), CHUNK)]
    mean = sum(chunk.sum(axis=0) for chunk in chunks) / len(values)
    scale = np.sqrt(sum(((chunk - mean) ** 2).sum(axis=0) for chunk in chunks) / len(values))
    return mean, np.where(scale > 1e-12 * np.abs(mean), scale, 1.0)


def season(values, step=None, longest=2000):
    """The period, in rows, after which a series (n,) resembles itself most, or None.

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
