"""The exercises, from easy to hard."""

from __future__ import annotations

from . import bug_hunt, one_step, sequences
from .exercise import Exercise

_ALL = [
    Exercise(
        "rnn-step",
        "one step of the RNN by hand, forward and backward",
        10,
        one_step.grade_rnn_step,
        (
            "Forward is (7), (8), (9) in this order. Everything else starts from da, the gradient of a_x + a_h.",
            "The slope of tanh follows from its value: 1 − h_1². So da is dh_1 times that.",
            "In a_x = W_x x_0 + b_x, the gradient of each factor is da times the other factor, and that of b_x is da.",
        ),
        one_step.with_numbers,
    ),
    Exercise(
        "rnn-backward",
        "backward of the RNN, for several units and sequences",
        15,
        one_step.grade_rnn_backward,
        (
            "Compare the shapes: da is (H, B), x is (I, B), and dW_x must be (H, I).",
            "A product W X passes back dY Xᵀ to W and Wᵀ dY to X (3). The product sums over the batch.",
            "A bias is added to every column, so its gradient is the sum over the columns: axis=1, keepdims=True.",
        ),
    ),
    Exercise(
        "lstm-backward",
        "backward of the LSTM, gate by gate",
        25,
        one_step.grade_lstm_backward,
        (
            "Start with the last line, h = o ⊙ tanh(c): each factor gets dh times the other factor.",
            "c is read by h and by the next step: dc is a sum of two gradients (17).",
            "i, f, g, o already are the values of σ and tanh: the slopes are i(1 − i) and 1 − g², nothing else.",
        ),
    ),
    Exercise(
        "gru-backward",
        "backward of the GRU, gate by gate",
        20,
        one_step.grade_gru_backward,
        (
            "In h = (1 − z) ⊙ h' + z ⊙ n, z occurs twice: two gradients of opposite sign add.",
            "a_xn and r ⊙ a_hn are added inside tanh: both get the same gradient, and r and a_hn share theirs (2).",
            "da_xn and da_hn differ by the factor r. For r and z, σ' is the value times one minus the value.",
        ),
    ),
    Exercise(
        "through-time",
        "the loop through time: what is carried, which slot, lengths",
        30,
        sequences.grade_through_time,
        (
            "dh[t] is a sum: the output's own gradient, and what the next step passed back.",
            "Step t reads slot t and writes slot t + 1: the slope uses h[t + 1], dW_h uses h[t].",
            "In the padding the state is copied: its gradient bypasses the cell, da is zero, and dh goes on unchanged.",
        ),
    ),
    Exercise(
        "truncated",
        "truncated backpropagation through time",
        20,
        sequences.grade_truncated,
        (
            "With one chunk as long as the sequence the result is the full gradient.",
            "At the last step of a chunk, what the next step passed back is dropped; dys[t] is still added.",
            "The chunks are counted from the start: the last step of a chunk is t with (t + 1) divisible by chunk.",
        ),
    ),
    Exercise(
        "bug-hunt",
        "one line of a backward pass is wrong; each seed plants another bug",
        20,
        bug_hunt.grade,
        (
            "Read from the loss backwards, and say for each line which equation of the derivation it is.",
            "Which gradients are right narrows it down: what comes before the bug in backward order is not affected.",
            "Look for: which slot, which factor of a product, a sum that became an assignment, a slope taken twice.",
        ),
        bug_hunt.with_bug,
    ),
    Exercise(
        "peephole",
        "backward of an LSTM whose gates read the cell state",
        30,
        one_step.grade_peephole,
        (
            "Draw the arrows: c is read by tanh, by the peephole of o, and by the next step. dc has three terms.",
            "c' is read by f ⊙ c', and by the peepholes of i and f. dc_prev has three terms, too.",
            "p_i is one number per unit, used in every column: its gradient is the sum over the columns.",
        ),
    ),
    Exercise(
        "layer-norm",
        "backward of layer normalisation",
        30,
        one_step.grade_layer_norm,
        (
            "du is that of an RNN. gamma and beta are used in every column: sum over axis 1.",
            "The mean and the standard deviation of a column depend on all its elements.",
            "The result is orthogonal to a column of ones and to a_bar: subtract the parts of da_bar along both.",
        ),
    ),
    Exercise(
        "rtrl",
        "the same gradient forward in time",
        30,
        sequences.grade_rtrl,
        (
            "Differentiate h_{t+1} = tanh(a) with respect to theta: the slope, times the derivative of a.",
            "a depends on theta directly (immediate) and through h_t, whose derivative is P[t].",
            "The derivative of W x with respect to the rows of W is np.kron(np.eye(H), x).",
        ),
    ),
    Exercise(
        "fused-lstm",
        "a faster order of the LSTM's backward, with the same result",
        45,
        sequences.grade_fused_lstm,
        (
            "dh and dc enter every line as a factor. Everything else is known after the forward pass.",
            "As h = o ⊙ tanh(c), tanh(c) ⊙ o(1 − o) is h ⊙ (1 − o), and o(1 − tanh² c) is o − h ⊙ tanh(c).",
            "In the loop: two additions, and multiplications that serve several gates at once; np.multiply(…, out=…).",
        ),
    ),
]
EXERCISES: dict[str, Exercise] = {exercise.name: exercise for exercise in _ALL}
