"""Progress bars in a terminal."""

import sys


def progress(items, text):
    """The items, with a bar in a terminal when going through them takes more than a second."""
    if not sys.stderr.isatty():
        return items
    try:
        from tqdm import tqdm
    except ImportError:
        return items
    return tqdm(items, desc=text, delay=1, leave=False)


def reading():
    """To be called with the share of a file that has been read: a bar in a terminal if it takes more than a second."""
    bar = iter(progress(range(100), "reading"))
    shown = -1

    def told(share):
        nonlocal shown
        while shown < int(100 * share):
            shown = next(bar, 100)

    return told


class EpochBar:
    """A tqdm bar over the updates of an epoch in a terminal; nothing but the epochs' lines elsewhere."""

    def __init__(self, epochs, quiet):
        self.epochs, self.quiet, self.bar, self.tqdm = epochs, quiet, None, None
        if not quiet and sys.stderr.isatty():
            try:
                from tqdm import tqdm
            except ImportError:
                return
            self.tqdm = tqdm
        else:
            self.step = None  # no call at all for each update

    def step(self, epoch, done, steps):
        if self.tqdm is None:
            return
        if self.bar is None:
            self.bar = self.tqdm(total=steps, leave=False, desc=f"epoch {epoch}/{self.epochs}", unit="batch")
        self.bar.update()

    def line(self, text):
        self.close()
        if not self.quiet:
            print(text, flush=True)

    def close(self):
        if self.bar is not None:
            self.bar.close()
            self.bar = None
