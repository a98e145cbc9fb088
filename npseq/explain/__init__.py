"""Material to learn from, computed by the code itself."""

from .worked_example import BACKWARD, CELLS, FORWARD, Network, disagreements, explain, main, render
