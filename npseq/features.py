"""What a model is told beside the values: the calendar, the same hour some time ago; and how values are scaled."""

import numpy as np

WEEK, DAY = 604_800, 86_400  # seconds
MONDAY = np.datetime64("1970-01-05", "s")  # weeks are counted from a Monday
CALENDAR = ["hour of day sin", "hour of day cos", "day of week sin", "day of week cos", "weekend"]


def second_of_week(times):
    """(n,) datetime64 -> seconds since Monday 00:00."""
    return (np.asarray(times).astype("datetime64[s]") - MONDAY).astype(np.int64) % WEEK


def calendar(times):
    """(n,) datetime64 -> (n, 5): hour of day and day of week, each as sine and cosine, and 1 on Saturday and Sunday.

    An angle as sine and cosine has no jump at midnight, or from Sunday to Monday.
    """
    second = second_of_week(times)
    day = second // DAY
    hour_angle, day_angle = 2 * np.pi * (second % DAY) / DAY, 2 * np.pi * day / 7
    return np.stack([np.sin(hour_angle), np.cos(hour_angle), np.sin(day_angle), np.cos(day_angle), day >= 5], axis=1)


def next_times(times, step):
    """The time of the row after each row: what the calendar of the predicted row is made from."""
    return np.append(times[1:], times[-1] + np.timedelta64(step, "s"))


def moments(values):
    """Mean and standard deviation of each column; a constant column gets the scale 1. Safe from overflow."""
    largest = np.abs(values).max(axis=0)
    largest = np.where(largest > 0, largest, 1.0)
    mean = (values / largest).mean(axis=0) * largest
    scale = ((values - mean) / largest).std(axis=0) * largest
    return mean, np.where(scale > 1e-12 * largest, scale, 1.0)


def season(values, step=None, longest=2000):
    """The period, in rows, after which a series resembles itself most, or None.

    The autocorrelation's highest peak, of at least 0.2, between 2 rows and a third of the series; a week or a day wins
    over a period within a hundredth of its height. Use the training rows only.
    """
    n = len(values)
    longest = min(longest, n // 3)
    if longest < 3:
        return None
    mean, scale = moments(values[:, None])
    z = (values - mean) / scale
    spectrum = np.fft.rfft(z, 1 << (2 * n - 1).bit_length())
    correlation = np.fft.irfft(spectrum * spectrum.conj())[:longest + 2] / (n - np.arange(longest + 2))
    lags = np.arange(2, longest + 1)
    peaks = lags[(correlation[lags] > correlation[lags - 1]) & (correlation[lags] >= correlation[lags + 1])]
    if len(peaks) == 0 or not correlation[0] > 0:
        return None
    best = peaks[correlation[peaks].argmax()]
    if correlation[best] < 0.2 * correlation[0]:
        return None
    if step:
        for period in (WEEK // step, DAY // step):
            if period in peaks and correlation[period] >= correlation[best] - 0.01 * correlation[0]:
                return int(period)
    return int(best)
