"""Attention over the outputs of a GRU, which learns to find the value at the marked step of a sequence."""

import numpy as np

import npseq
from npseq import fit, optim, tasks


def softmax(e, lengths):
    """Return weights (B, T) that add up to 1 over the steps of each sequence; 0 in the padding, and without a step."""
    e = e if lengths is None else np.where(np.arange(e.shape[1]) < np.asarray(lengths)[:, None], e, -np.inf)
    p = np.exp(e - e.real.max(1, initial=-1e30, keepdims=True))
    return p / np.maximum(p.sum(1, keepdims=True), np.finfo(p.dtype).tiny)


class Attention(npseq.Module):
    """e_t = h_t · q,  q = W_q h_n,  a = softmax(e),  c = Σ_t a_t h_t,  y = W c + b."""

    def __init__(self, input_size, hidden_size, rng=None, dtype=np.float32):
        options = dict(rng=np.random.default_rng(rng), dtype=dtype)
        self.rnn = npseq.OptimizedGRU(input_size, hidden_size, batch_first=True, **options)
        self.query = npseq.Linear(hidden_size, hidden_size, bias=False, **options)
        self.fc = npseq.Linear(hidden_size, 1, **options)

    def forward(self, x, lengths=None):
        hs, state, rnn = self.rnn.forward(x, lengths=lengths)
        q, query = self.query.forward(state[0])
        a = softmax((hs @ q[:, :, None])[:, :, 0], lengths)
        y, fc = self.fc.forward((a[:, None] @ hs)[:, 0])
        return y, (rnn, query, fc, hs, q, a)

    def backward(self, tape, dy):
        rnn, query, fc, hs, q, a = tape
        dc, d_fc = self.fc.backward(fc, dy)
        da = (hs @ dc[:, :, None])[:, :, 0]
        de = a * (da - (a * da).sum(1, keepdims=True))  # 0 in the padding, as a is
        d_hs = a[:, :, None] * dc[:, None] + de[:, :, None] * q[:, None]
        d_state, d_query = self.query.backward(query, (de[:, None] @ hs)[:, 0])
        dx, _, d_rnn = self.rnn.backward(rnn, d_hs, d_state[None])
        return dx, self.new_gradients(rnn=d_rnn, query=d_query, fc=d_fc)


if __name__ == "__main__":
    rng, n, T = np.random.default_rng(0), 3000, 12
    lengths, values = rng.integers(1, T + 1, n), rng.normal(size=(n, T))
    marks = np.arange(T) == rng.integers(lengths)[:, None]
    task, net = tasks.Arrays(np.stack([values, marks], 2), values[marks][:, None], lengths), Attention(2, 32, rng=0)
    progress = fit.fit(net, task, optim.Adam(net.theta, lr=0.01), epochs=15, rng=0)
    print(f"mean squared error: {progress.best_loss:.3f}; of the mean value: {values.var():.3f}")
