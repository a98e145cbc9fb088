"""The losses and their gradients. Public name of ``npseq/nn/losses.py``."""

from .nn.losses import *
