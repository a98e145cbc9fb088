"""The exercises, from easy to hard."""

from __future__ import annotations

from . import bug_hunt, one_step, sequences
from .exercise import Exercise

_ONE = one_step.ONE_STEP
_ALL = [
    Exercise(
        "rnn-step",
        "one step of the RNN by hand, forward and backward",
        10,
        one_step.rnn_step_calls,
        one_step.judge_rnn_step,
        (
            "Forward is (7), (8), (9) in this order. Everything else starts from da, the gradient of a_x + a_h.",
            "The slope of tanh follows from its value: 1 − h_1². So da is dh_1 times that.",
            "In a_x = W_x x_0 + b_x, the gradient of each factor is da times the other factor, and that of b_x is da.",
        ),
        ("a_x a_h h_1", "da", "dW_x dW_h db_x dx_0 dh_0"),
        one_step.with_numbers,
    ),
    Exercise(
        "rnn-backward",
        "backward of the RNN, for several units and sequences",
        15,
        _ONE["rnn"].calls,
        _ONE["rnn"].judge,
        (
            "The slope of tanh follows from its value: 1 − h². So da is dh times that, element by element.",
            "Compare the shapes: da is (H, B), x is (I, B), and dW_x must be (H, I).",
            "A product W X passes back dY Xᵀ to W and Wᵀ dY to X (3). The product sums over the batch.",
            "A bias is added to every column, so its gradient is the sum over the columns: axis=1, keepdims=True.",
        ),
        ("da", "dW_x dW_h", "dx dh_prev", "db"),
    ),
    Exercise(
        "lstm-backward",
        "backward of the LSTM, gate by gate",
        25,
        _ONE["lstm"].calls,
        _ONE["lstm"].judge,
        (
            "Start with the last line, h = o ⊙ tanh(c): each factor gets dh times the other factor.",
            "c is read by h and by the next step: dc is a sum of two gradients (17).",
            "i, f, g, o already are the values of σ and tanh: the slopes are i(1 − i) and 1 − g², nothing else.",
        ),
        ("do df di dg dc_prev", "dc", "da_i da_f da_g da_o"),
    ),
    Exercise(
        "gru-backward",
        "backward of the GRU, gate by gate",
        20,
        _ONE["gru"].calls,
        _ONE["gru"].judge,
        (
            "In h = (1 − z) ⊙ h' + z ⊙ n, z occurs twice: two gradients of opposite sign add.",
            "a_xn and r ⊙ a_hn are added inside tanh: both get the same gradient, and r and a_hn share theirs (2).",
            "da_xn and da_hn differ by the factor r. The slope of σ is its value times one minus it.",
        ),
        ("dz dn dh_direct", "da_xn dr", "da_hn da_r da_z"),
    ),
    Exercise(
        "through-time",
        "the loop through time: what is carried, which slot, lengths",
        30,
        sequences.through_time_calls,
        sequences.judge_through_time,
        (
            "dh[t] is a sum: the output's own gradient, and what the next step passed back.",
            "Step t reads slot t and writes slot t + 1: the slope uses h[t + 1], dW_h uses h[t].",
            "In the padding the state is copied: its gradient bypasses the cell, da is zero, and dh goes on unchanged.",
        ),
        ("dh", "da dW_x dW_h db dx", "dh_0"),
    ),
    Exercise(
        "truncated",
        "truncated backpropagation through time",
        20,
        sequences.truncated_calls,
        sequences.judge_truncated,
        (
            "With one chunk as long as the sequence the result is the full gradient.",
            "At the last step of a chunk, what the next step passed back is dropped; dys[t] is still added.",
            "The chunks are counted from the start: the last step of a chunk is t with (t + 1) divisible by chunk.",
            "The rest follows from dh as in the exercise through-time: da from slot t + 1, dW_h from slot t.",
        ),
        ("", "dh", "", "da dW_x dW_h db"),
    ),
    Exercise(
        "bug-hunt",
        "one line of a backward pass is wrong; each seed plants another bug",
        20,
        bug_hunt.calls,
        bug_hunt.judge,
        (
            "Read from the loss backwards, and say for each line which equation of the derivation it is.",
            "Which gradients are right narrows it down: what comes before the bug in backward order is not affected.",
            "Look for: which slot, which factor of a product, a sum that became an assignment, a slope taken twice.",
        ),
        ("BUG_LINE", "dx dh_0 dc_0", "dW_x dW_h db"),
        bug_hunt.with_bug,
    ),
    Exercise(
        "peephole",
        "backward of an LSTM whose gates read the cell state",
        30,
        _ONE["peephole"].calls,
        _ONE["peephole"].judge,
        (
            "Draw the arrows: c is read by tanh, by the peephole of o, and by the next step. dc has three terms.",
            "c' is read by f ⊙ c', and by the peepholes of i and f. dc_prev has three terms, too.",
            "p_i is one number per unit, used in every column: its gradient is the sum over the columns.",
        ),
        ("do da_o dc", "df di dg da_i da_f da_g dc_prev", "dp_i dp_f dp_o"),
    ),
    Exercise(
        "layer-norm",
        "backward of layer normalisation",
        30,
        _ONE["layer-norm"].calls,
        _ONE["layer-norm"].judge,
        (
            "du is that of an RNN. gamma and beta are used in every column: sum over axis 1.",
            "The mean and the standard deviation of a column depend on all its elements.",
            "The result is orthogonal to a column of ones and to a_bar: subtract the parts of da_bar along both.",
        ),
        ("du dgamma dbeta da_bar", "", "da"),
    ),
    Exercise(
        "rtrl",
        "the same gradient forward in time",
        30,
        sequences.rtrl_calls,
        sequences.judge_rtrl,
        (
            "Differentiate h_{t+1} = tanh(a) with respect to theta: the slope, times the derivative of a.",
            "a depends on theta directly (immediate) and through h_t, whose derivative is P[t].",
            "The derivative of W x with respect to the rows of W is np.kron(np.eye(H), x).",
            "The loss is the sum of dy[t] · h_{t+1} over the steps: so d_theta adds dy[t] @ P[t + 1] at each step.",
        ),
        ("P", "", "immediate", "d_theta"),
    ),
    Exercise(
        "fused-lstm",
        "a faster order of the LSTM's backward, with the same result",
        45,
        sequences.fused_calls,
        sequences.judge_fused,
        (
            "dh and dc enter every line as a factor. Everything else is known after the forward pass.",
            "As h = o ⊙ tanh(c), tanh(c) ⊙ o(1 − o) is h ⊙ (1 − o), and o(1 − tanh² c) is o − h ⊙ tanh(c).",
            "In the loop: two additions, and multiplications that serve several gates at once; np.multiply(…, out=…).",
        ),
        ("K_i K_f K_g", "K_c K_o", "da dh_0 dc_0 speed"),
    ),
]
EXERCISES: dict[str, Exercise] = {exercise.name: exercise for exercise in _ALL}
