"""The page of ``npseq neurons``: one HTML file with everything in it, no script or style from elsewhere."""

from __future__ import annotations

import base64
import json
from importlib import resources

import numpy as np

from .neurons import Neurons


def render(neurons: Neurons, text: str, title: str) -> str:
    """Return the page.

    Args:
        neurons: what was measured over ``text``.
        text: the characters, as they are shown.
        title: of the page, such as the file's name.
    """
    largest = np.maximum(np.abs(neurons.units).max(axis=0), 1e-12)
    units = np.round(127 * neurons.units / largest).astype(np.int8)
    with np.errstate(divide="ignore"):  # six powers of ten below the largest, as 0 to 255
        reach = np.log10(neurons.reach / max(neurons.reach.max(), 1e-300))
    reach = np.round(255 * np.clip(1 + reach / 6, 0, 1)).astype(np.uint8)
    content = {
        "text": list(text),
        "units": _base64(units),
        "hidden": units.shape[1],
        "largest": [round(float(value), 4) for value in largest],
        "tracking": {name: [round(float(r), 3) for r in values] for name, values in neurons.tracking.items()},
        "nats": [None if np.isnan(value) else round(float(value), 3) for value in neurons.nats],
        "reach": _base64(reach),
        "window": reach.shape[1],
        "top": float(neurons.reach.max()),
        "title": title,
    }
    data = json.dumps(content, ensure_ascii=True).replace("<", "\\u003c")  # no text can end the script element
    page = (resources.files(__package__) / "web" / "neurons.html").read_text(encoding="utf-8")
    return page.replace("{{data}}", data)


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
