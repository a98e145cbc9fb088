"""Exit statuses."""

OK, UNEXPECTED, USAGE, DIVERGED, INTERRUPTED = 0, 1, 2, 3, 130  # exit statuses
