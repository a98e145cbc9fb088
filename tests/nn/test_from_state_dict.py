"""Layers and models of foreign weights: found from names and shapes alone, bit-equal both ways, the same outputs."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import npseq
from npseq import checkpoint
from npseq.layers import from_state_dict

torch = pytest.importorskip("torch")
REPO = Path(__file__).resolve().parents[2]
CASES = [
    (kind, options)
    for kind, options in itertools.product(
        ["RNN", "GRU", "LSTM"],
        [
            {},
            {"num_layers": 3},
            {"bidirectional": True},
            {"bias": False},
            {"num_layers": 2, "bidirectional": True, "bias": False},
        ],
    )
]
CASES += [
    ("LSTM", {"proj_size": 2}),
    ("LSTM", {"proj_size": 2, "num_layers": 2, "bidirectional": True}),
    ("RNN", {"nonlinearity": "relu"}),
]


@pytest.mark.parametrize("kind, options", CASES, ids=str)
@pytest.mark.parametrize("optimized", [False, True])
def test_torch_to_npseq_to_torch_is_bit_equal_with_the_same_outputs(tmp_path, kind, options, optimized):
    module = getattr(torch.nn, kind)(3, 5, dtype=torch.float64, **options)
    torch.save({"encoder." + name: value for name, value in module.state_dict().items()}, tmp_path / "a.pth")
    layer = from_state_dict(
        checkpoint.load(tmp_path / "a.pth").state_dict, "encoder.", optimized, options.get("nonlinearity", "tanh")
    )
    assert type(layer).__name__ == "Optimized" * optimized + kind
    assert all(getattr(layer, name) == value for name, value in options.items())
    x = np.random.default_rng(0).normal(size=(4, 2, 3))
    with torch.no_grad():
        expected = module(torch.tensor(x))[0].numpy()
    assert np.abs(layer(x)[0] - expected).max() <= 1e-12
    checkpoint.save(tmp_path / "b.pth", layer.state_dict())
    again = torch.load(tmp_path / "b.pth", weights_only=True)
    assert list(again) == list(module.state_dict())
    assert all(torch.equal(again[name], value) for name, value in module.state_dict().items())


@pytest.mark.parametrize("kind, options", CASES, ids=str)
def test_npseq_to_torch_to_npseq_is_bit_equal(tmp_path, kind, options):
    layer = getattr(npseq, kind)(3, 5, rng=0, **options)
    checkpoint.save(tmp_path / "a.pth", layer.state_dict())
    module = getattr(torch.nn, kind)(3, 5, **options)
    module.load_state_dict(torch.load(tmp_path / "a.pth", weights_only=True), strict=True)
    torch.save(module.state_dict(), tmp_path / "b.pth")
    assert np.array_equal(from_state_dict(checkpoint.load(tmp_path / "b.pth").state_dict).theta, layer.theta)


def test_a_learned_initial_state_is_found():
    layer = npseq.LSTM(3, 5, learn_initial_state=True, rng=0)
    assert from_state_dict(layer.state_dict()).learn_initial_state


@pytest.mark.parametrize(
    "mapping, words",
    [
        ({}, ["weight_ih_l0"]),
        ({"a.weight": np.zeros((2, 2))}, ["weight_ih_l0", "a.weight"]),
        ({"weight_ih_l0": np.zeros((10, 3)), "weight_hh_l0": np.zeros((10, 5))}, ["(10, 5)", "5, 15 or 20"]),
        ({"weight_ih_l0": np.zeros((4, 3)), "weight_hh_l0": np.zeros((4, 0))}, ["(4, 0)", "0 units"]),
        (
            {f"weight_{name}_l0": np.zeros(shape) for name, shape in {"ih": (8, 3), "hh": (8, 1), "hr": ()}.items()},
            ["matrices", "weight_hr_l0"],
        ),
        (
            {"weight_ih_l0": np.zeros((20, 3)), "weight_hh_l0": np.zeros((20, 5)), "bias_ih_l0": np.zeros(20)},
            ["missing", "bias_hh_l0"],
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name(mapping, words):
    with pytest.raises(ValueError) as error:
        from_state_dict(mapping)
    assert all(word in str(error.value) for word in words)


def test_a_model_of_torchs_own_opens_whatever_its_names(tmp_path):
    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = torch.nn.LSTM(3, 5, bidirectional=True, batch_first=True)
            self.out = torch.nn.Linear(10, 2, bias=False)

    module = Module()
    torch.save(
        {"state_dict": {"module." + k: v for k, v in module.state_dict().items()}, "epoch": 3}, tmp_path / "m.pth"
    )
    model = npseq.load(tmp_path / "m.pth")
    x = np.random.default_rng(0).normal(size=(4, 6, 3)).astype(np.float32)
    with torch.no_grad():
        _, (h, _) = module.encoder(torch.tensor(x))
        expected = module.out(torch.cat([h[0], h[1]], 1)).numpy()
    assert np.abs(model.outputs(x) - expected).max() < 1e-6 and model.metadata is None


@pytest.mark.parametrize(
    "state, words",
    [
        ({"a.weight": torch.zeros(2, 2)}, ["0 recurrent layers"]),
        (torch.nn.GRU(3, 5).state_dict(), ["none", "one linear"]),
        ({**torch.nn.GRU(3, 5).state_dict(), "fc.weight": torch.zeros(2, 7)}, ["reads 7", "has 5"]),
        ({**torch.nn.GRU(3, 5).state_dict(), "conv.weight": torch.zeros(2, 5, 3)}, ["conv.weight"]),
    ],
)
def test_a_file_with_something_else_in_it_is_refused(tmp_path, state, words):
    torch.save(dict(state), tmp_path / "m.pth")
    with pytest.raises(checkpoint.CheckpointError) as error:
        npseq.load(tmp_path / "m.pth")
    assert all(word in str(error.value) for word in words)


@pytest.mark.wide
def test_a_model_trained_by_torch_alone_predicts_the_same_here_and_passes_the_checker(tmp_path):
    done = subprocess.run(
        [sys.executable, str(REPO / "examples" / "train_in_torch.py"), str(tmp_path / "sine.pth")],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split("predictions ")[1].split()[0]) < 1e-5
    assert "agree with the complex step" in done.stdout
