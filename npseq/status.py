"""Exit statuses."""

OK, UNEXPECTED, USAGE, DIVERGED, INTERRUPTED = 0, 1, 2, 3, 130

# of a gradient check: all right; at least one wrong; none wrong, at least one unchecked
OF_VERDICT = {"right": OK, "wrong": UNEXPECTED, "unchecked": 4}
