"""The version of the package, apart from everything else so that any file may record it."""

__version__ = "0.2.0"
