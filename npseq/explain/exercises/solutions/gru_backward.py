"""Backward of one step of the GRU, element by element. All arrays are (H, B), one column for each sequence.

The forward pass is given. Write its derivative, the last line of forward first; the equations are those of section 5 of
docs/derivation.md. The matrix products with W_x and W_h are not part of the cell.
"""

import numpy as np


def sigmoid(a):
    return 0.5 * np.tanh(0.5 * a) + 0.5


def forward(a_xr, a_hr, a_xz, a_hz, a_xn, a_hn, h_prev):
    """Returns h, and what backward needs."""
    r, z = sigmoid(a_xr + a_hr), sigmoid(a_xz + a_hz)  # (21)
    n = np.tanh(a_xn + r * a_hn)  # (22)
    h = (1 - z) * h_prev + z * n  # (23)
    return h, (r, z, n, a_hn, h_prev)


def backward(dh, cache):
    """dh is the gradient of h; dh_direct is the part of h_prev's gradient that does not go through W_h."""
    r, z, n, a_hn, h_prev = cache
    dz = dh * (n - h_prev)  #: (24)
    dn = dh * z  #: (24)
    dh_direct = dh * (1 - z)  #: (24)
    da_xn = dn * (1 - n**2)  #: (25)
    dr = da_xn * a_hn  #: (26)
    da_hn = da_xn * r  #: (26)
    da_r = dr * r * (1 - r)  #: (27)
    da_z = dz * z * (1 - z)  #: (27)
    gates = {"dz": dz, "dn": dn, "dh_direct": dh_direct, "da_xn": da_xn, "dr": dr}
    return {**gates, "da_hn": da_hn, "da_r": da_r, "da_z": da_z}
