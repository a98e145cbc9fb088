"""An encoder-decoder that learns to write a sequence of symbols backwards, with teacher forcing."""

import numpy as np

import npseq
from npseq import fit, optim, tasks


class EncoderDecoder(npseq.Module):
    """The decoder starts from the encoder's final state and reads the symbol before the one that it must write."""

    loss = "cross_entropy"

    def __init__(self, symbols, hidden_size, rng=None, dtype=np.float32):
        self.symbols, options = symbols, dict(rng=np.random.default_rng(rng), dtype=dtype)
        self.encoder = npseq.LSTM(symbols, hidden_size, batch_first=True, **options)
        self.decoder = npseq.LSTM(symbols + 1, hidden_size, batch_first=True, **options)  # one more: the start
        self.fc = npseq.Linear(hidden_size, symbols, **options)

    def forward(self, x):
        source, before = x  # (B, T) and (B, T') integers: one-hot vectors by their indices
        _, state, encoder = self.encoder.forward(source)
        hs, _, decoder = self.decoder.forward(before, state)
        y, fc = self.fc.forward(hs)
        return y, (encoder, decoder, fc)

    def backward(self, tape, dy):
        encoder, decoder, fc = tape
        d_hs, d_fc = self.fc.backward(fc, dy)
        _, d_state, d_decoder = self.decoder.backward(decoder, d_hs)
        _, _, d_encoder = self.encoder.backward(encoder, None, d_state)  # the loss reads its final state alone
        return None, self.new_gradients(encoder=d_encoder, decoder=d_decoder, fc=d_fc)

    def write(self, source, steps):
        written, (_, state) = [np.full(len(source), self.symbols)], self.encoder(source)
        for _ in range(steps):  # without a teacher: each symbol is the next input
            hs, state = self.decoder(written[-1][:, None], state)
            written.append(self.fc(hs[:, 0]).argmax(-1))
        return np.stack(written[1:], 1)


if __name__ == "__main__":
    source = np.random.default_rng(0).integers(0, 6, (2000, 5))
    target, start = source[:, ::-1], np.full((2000, 1), 6)
    task = tasks.Arrays((source, np.concatenate([start, target[:, :-1]], 1)), target)
    net = EncoderDecoder(6, 32, rng=0)
    fit.fit(net, task, optim.Adam(net.theta, lr=0.01), epochs=12, rng=0)
    test = task.parts["test"]
    print(f"written backwards without an error: {(net.write(source[test], 5) == target[test]).all(1).mean():.0%}")
