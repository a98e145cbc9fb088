"""A series and features that do not change with time, in one network: the level of a noisy sensor of a known gain."""

import numpy as np

import npseq
from npseq import fit, optim, tasks


class WithFeatures(npseq.Module):
    """y = W [h_n; s] + b: the linear layer reads the final state of the series and the features s."""

    def __init__(self, input_size, features, hidden_size, output_size=1, rng=None, dtype=np.float32):
        options = dict(rng=np.random.default_rng(rng), dtype=dtype)
        self.rnn = npseq.GRU(input_size, hidden_size, batch_first=True, **options)
        self.fc = npseq.Linear(hidden_size + features, output_size, **options)

    def forward(self, x, lengths=None):
        series, features = x  # (B, T, I) and (B, S)
        _, state, rnn = self.rnn.forward(series, lengths=lengths)
        y, fc = self.fc.forward(np.concatenate([state[0], features], 1))
        return y, (rnn, fc)

    def backward(self, tape, dy):
        rnn, fc = tape
        d, d_fc = self.fc.backward(fc, dy)
        dh, d_features = np.split(d, [self.rnn.hidden_size], axis=1)
        dx, _, d_rnn = self.rnn.backward(rnn, None, dh[None])
        return (dx, d_features), self.new_gradients(rnn=d_rnn, fc=d_fc)


if __name__ == "__main__":
    rng, n, T = np.random.default_rng(0), 2000, 10
    level, offset = rng.normal(size=(2, n, 1))
    series = (level + offset)[:, :, None] + 0.3 * rng.normal(size=(n, T, 1))
    task, net = tasks.Arrays((series, offset), level), WithFeatures(1, 1, 16, rng=0)
    progress = fit.fit(net, task, optim.Adam(net.theta, lr=0.01), epochs=20, rng=0)
    print(f"mean squared error: {progress.best_loss:.3f}; of the mean of the series and the offset: {0.3**2 / T:.3f}")
    npseq.nn.registry.register("with_features", WithFeatures)
    npseq.save("with_features.pth", net)
    print(npseq.load("with_features.pth").outputs((series[:2].astype("f4"), offset[:2].astype("f4"))))
