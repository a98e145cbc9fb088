"""What is raised for data that cannot be used."""


class DataError(ValueError):
    """Something is wrong with the data that were given; the message is one line."""


def no_column(path, name, columns):
    """The error for a column that is not there."""
    shown = ", ".join(columns[:12]) + (", …" if len(columns) > 12 else "")
    return DataError(f"{path} has no column {name!r}; it has {shown}")


def listed(names):
    names = list(names)
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
