"""Exit statuses."""

OK, UNEXPECTED, USAGE, DIVERGED, INTERRUPTED = 0, 1, 2, 3, 130

# of a gradient check: all right, one wrong, none wrong but one that could not be checked
RIGHT, WRONG, UNCHECKED = OK, 1, 4
