"""A model that torch alone has trained opens in npseq: the same predictions, and gradients that pass npseq's checker.

    python examples/train_in_torch.py [FILE.pth]

torch (``pip install torch``) trains a GRU to forecast the next value of a noisy sine wave and saves its state_dict;
npseq opens the file with NumPy alone.
"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this checkout's npseq, installed or not

import npseq
from npseq.gradcheck import check_layer


class Forecaster(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.GRU(1, 8, num_layers=2, batch_first=True)
        self.head = torch.nn.Linear(8, 1)

    def forward(self, x):
        _, h = self.encoder(x)
        return self.head(h[-1])


def main(path="sine_gru.pth"):
    torch.manual_seed(0)
    series = torch.sin(torch.arange(600) * 0.3) + 0.1 * torch.randn(600)
    x, target = series.unfold(0, 20, 1)[:-1, :, None], series[20:, None]
    module = Forecaster()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    for step in range(60):
        loss = torch.nn.functional.mse_loss(module(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.save({"epoch": step, "model_state_dict": module.state_dict(), "optimizer": optimizer.state_dict()}, path)
    print(f"torch       loss {loss.item():.4f} after {step + 1} steps, saved to {path}")

    model = npseq.load(path)
    with torch.no_grad():
        theirs = module(x).numpy()
    print(f"npseq       {model!r}")
    print(f"            largest difference of the predictions {np.abs(model.outputs(x.numpy()) - theirs).max():.1e}")
    result = check_layer(model.rnn)
    result.assert_ok()
    print(f"            gradients agree with the complex step to {result.threshold:.0e}")


if __name__ == "__main__":
    main(*sys.argv[1:])
