from .nn.losses import *
