"""The commands."""

from .commands import COMMANDS, main
