"""The commands: one module each, and what they have in common."""

from .commands import main

__all__ = ["main"]
