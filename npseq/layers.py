"""The recurrent layers, with torch's shapes and names. Public name of ``npseq/nn/layers.py`` and ``conversion.py``."""

from .nn.conversion import *
from .nn.layers import *
