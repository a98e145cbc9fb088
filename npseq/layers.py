"""The recurrent layers, with torch's shapes and names. Public name of ``npseq/nn/layers.py``."""

from .nn.layers import *
