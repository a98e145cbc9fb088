"""One step of the RNN by hand: a pocket calculator is enough. The loss is 3 h_1.

Type each answer as a number with four decimals, or as an expression. Step 0 reads x_0 and h_0 and computes h_1; the
equations are those of docs/derivation.md, by number.
"""

from math import tanh

W_x, W_h = 0.5, -0.8  # given
b_x, b_h = 0.1, 0.2  # given
x_0, h_0 = 1.0, 0.4  # given
dh_1 = 3.0  # the gradient of the loss with respect to h_1

# forward
a_x = W_x * x_0 + b_x  #: (7)
a_h = W_h * h_0 + b_h  #: (8)
h_1 = tanh(a_x + a_h)  #: (9)

# backward
da = dh_1 * (1 - h_1**2)  #: (10)
dW_x = da * x_0  #: (31), with one step
dW_h = da * h_0  #: (32), with one step
db_x = da  #: (33), with one step
dx_0 = W_x * da  #: (34)
dh_0 = W_h * da  #: (30)
