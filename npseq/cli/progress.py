"""Progress bars in a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any


def bar(text: str) -> Callable[[Iterable[Any]], Iterable[Any]]:
    """Return a function that hands items on and shows a bar in a terminal after one second."""

    def show(items: Iterable[Any]) -> Iterable[Any]:
        if not sys.stderr.isatty():
            return items
        try:
            from tqdm import tqdm
        except ImportError:
            return items
        return tqdm(items, desc=text, delay=1, leave=False)

    return show


def reading() -> Callable[[float], None]:
    """Return a callback for the fraction of a file read so far; it shows a progress bar in a terminal after one
    second."""
    hundredths = iter(bar("reading")(range(100)))
    shown = -1

    def report_progress(fraction: float) -> None:
        nonlocal shown
        while shown < int(100 * fraction):
            shown = next(hundredths, 100)

    return report_progress


class EpochBar:
    """A tqdm bar over the updates of an epoch in a terminal; only the line of each epoch elsewhere."""

    def __init__(self, epochs: int, quiet: bool):
        self.epochs, self.quiet, self.bar, self.tqdm = epochs, quiet, None, None
        self.step: Callable[[int, int, int], None] | None = None  # called for each update, unless it is None
        if not quiet and sys.stderr.isatty():
            try:
                from tqdm import tqdm
            except ImportError:
                return
            self.tqdm, self.step = tqdm, self._step

    def _step(self, epoch: int, done: int, steps: int) -> None:
        if self.bar is None:
            self.bar = self.tqdm(total=steps, leave=False, desc=f"epoch {epoch}/{self.epochs}", unit="batch")
        self.bar.update()

    def line(self, text: str) -> None:
        """End the bar and print a line."""
        self.close()
        if not self.quiet:
            print(text, flush=True)

    def close(self) -> None:
        """Remove the bar."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None
