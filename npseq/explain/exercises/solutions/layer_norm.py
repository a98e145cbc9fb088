"""Backward of an RNN cell with layer normalisation (Ba, Kiros and Hinton 2016).

Each column of the pre-activations a (H, B) is normalised over its H units; gamma and beta (H, 1) are the cell's own
parameters. Compare section 15 of docs/derivation.md.
"""

import numpy as np


def forward(a, gamma, beta):
    """Returns h (H, B), and what backward needs."""
    std = np.sqrt(((a - a.mean(axis=0)) ** 2).mean(axis=0))
    a_bar = (a - a.mean(axis=0)) / std  # (59)
    h = np.tanh(gamma * a_bar + beta)
    return h, (a_bar, std, h)


def backward(dh, cache, gamma):
    """dh is the gradient of h. u is gamma * a_bar + beta, the argument of tanh. std is (B,)."""
    a_bar, std, h = cache
    du = dh * (1 - h**2)  #: (10), (H, B)
    dgamma = (du * a_bar).sum(axis=1, keepdims=True)  #: by (2), summed over the columns, (H, 1)
    dbeta = du.sum(axis=1, keepdims=True)  #: by (2), summed over the columns, (H, 1)
    da_bar = du * gamma  #: by (2), (H, B)
    da = (da_bar - da_bar.mean(axis=0) - a_bar * (da_bar * a_bar).mean(axis=0)) / std  #: (59), (H, B)
    return {"du": du, "dgamma": dgamma, "dbeta": dbeta, "da_bar": da_bar, "da": da}
