from .nn.layers import *
