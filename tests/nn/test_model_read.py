"""What the head of a model with two directions reads: the final states, or the outputs at the last step."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import npseq
from npseq.gradcheck import check
from npseq.nn.model import Model

torch = pytest.importorskip("torch")
FILES = Path(__file__).parents[1] / "files"
LENGTHS = np.array([5, 0, 3, 1])


@pytest.mark.wide
@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru", "optimized_lstm", "optimized_gru"])
@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_the_gradient_of_the_last_output_is_right(kind, lengths):
    rng = np.random.default_rng(0)
    model = Model(kind, 2, 3, num_layers=2, bidirectional=True, read="last", dtype=np.float64, rng=0)
    x, target = rng.normal(size=(4, 5, 2)), rng.normal(size=(4, 1))

    def at(theta):
        other = model.astype(theta.dtype)
        other.theta[...] = theta
        return other.loss_and_grad((x, target, lengths), training=False)

    result = check(lambda theta: at(theta)[0], lambda theta: {"theta": at(theta)[1]}, {"theta": model.theta})
    assert result.ok, result


def test_it_is_the_output_at_each_sequences_last_step():
    model = Model("lstm", 2, 3, bidirectional=True, read="last", rng=0, dtype=np.float64)
    x = np.random.default_rng(0).normal(size=(4, 5, 2))
    hs, _ = model.rnn(x, None, LENGTHS)
    for row, length in enumerate(LENGTHS):
        h = hs[row, length - 1] if length else np.zeros(6)
        np.testing.assert_allclose(model.outputs(x, LENGTHS)[row], model.fc.forward(h[None])[0][0], rtol=1e-14)
    np.testing.assert_array_equal(model.outputs(x, LENGTHS), model.forward(x, lengths=LENGTHS)[0])
    np.testing.assert_allclose(model.outputs(x[:1]), model.outputs(x)[:1], rtol=1e-12)


def test_of_one_direction_both_are_the_same():
    x = np.random.default_rng(0).normal(size=(4, 5, 2)).astype(np.float32)
    final, last = (Model("gru", 2, 3, rng=0, read=read) for read in ("final", "last"))
    np.testing.assert_array_equal(final.outputs(x), last.outputs(x))
    np.testing.assert_array_equal(
        *(model.loss_and_grad((x, np.ones((4, 1), np.float32), None))[1] for model in (final, last))
    )


def test_another_word_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'first'.*final, last"):
        Model("lstm", 2, 3, read="first")
    with pytest.raises(ValueError, match="'first'.*final, last"):
        npseq.load(tmp_path / "absent.pth", read="first")


class Net(torch.nn.Module):
    def __init__(self, kind, directions):
        super().__init__()
        self.rnn = kind(3, 4, num_layers=2, bidirectional=directions == 2, batch_first=True)
        self.head = torch.nn.Linear(4 * directions, 2)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


@pytest.mark.parametrize("kind", [torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN])
def test_a_torch_model_that_reads_its_last_output(tmp_path, kind):
    torch.manual_seed(0)
    net, path = Net(kind, 2), tmp_path / "m.pth"
    torch.save(net.state_dict(), path)
    x = torch.randn(5, 7, 3)
    expected = net(x).detach().numpy()
    model = npseq.load(path, read="last", nonlinearity="tanh")
    np.testing.assert_allclose(model.predict(x.numpy()), expected, rtol=1e-4, atol=1e-6)
    npseq.save(path, model)  # and it stays so
    again = npseq.load(path)
    np.testing.assert_array_equal(again.predict(x.numpy()), model.predict(x.numpy()))
    with pytest.warns(UserWarning, match="read='final'.*or 'last'"):
        torch.save(net.state_dict(), path)
        assert np.abs(npseq.load(path).predict(x.numpy()) - expected).max() > 1e-3


def test_load_tells_what_it_assumed_and_nothing_else(tmp_path, recwarn):
    for kind, directions, words in [
        (torch.nn.RNN, 1, ["nonlinearity='tanh'", "read='final'"]),
        (torch.nn.RNN, 2, ["nonlinearity='tanh'", "read='final'"]),
        (torch.nn.LSTM, 2, ["read='final'"]),
        (torch.nn.LSTM, 1, ["read='final'", "'mean', 'max'", "no activation"]),
    ]:
        torch.save(Net(kind, directions).state_dict(), tmp_path / "m.pth")
        recwarn.clear()
        npseq.load(tmp_path / "m.pth")
        told = " ".join(str(warning.message) for warning in recwarn)
        assert all(word in told for word in words) and bool(told) == bool(words)
        recwarn.clear()
        npseq.load(tmp_path / "m.pth", nonlinearity="tanh", read="final")
        assert not recwarn.list


def test_load_tells_what_it_passed_over(tmp_path):
    import argparse

    content = {
        "state_dict": Net(torch.nn.LSTM, 1).state_dict(),
        "best": np.float64(0.5),
        "args": argparse.Namespace(a=1),
    }
    torch.save(content, tmp_path / "m.pth")
    with pytest.warns(UserWarning, match="passed over unread: argparse.Namespace$"):
        assert npseq.load(tmp_path / "m.pth").kind == "lstm"


def test_a_refusal_names_the_door_that_is_open(tmp_path):
    parts = torch.nn.ModuleDict({f"rnn{k}": torch.nn.LSTM(2, 3 + k) for k in range(2)})
    parts["head"] = torch.nn.Linear(3, 1)
    torch.save(parts.state_dict(), tmp_path / "m.pth")
    with pytest.raises(npseq.checkpoint.CheckpointError, match="under 'rnn0.' 'rnn1.'") as error:
        npseq.load(tmp_path / "m.pth")
    assert door(error, tmp_path / "m.pth").hidden_size == 3


def door(error, path):
    """What the expression in a message gives."""
    expression = re.search(r"alone: (.*?)(?: \(and \d+ more\))?$", str(error.value)).group(1)
    return eval(expression, {"npseq": npseq, "path": path})


def test_a_file_without_a_recurrent_layer_is_refused_with_what_it_has(tmp_path):
    torch.save(torch.nn.ModuleDict({"head": torch.nn.Linear(3, 1)}).state_dict(), tmp_path / "m.pth")
    with pytest.raises(npseq.checkpoint.CheckpointError, match="0 recurrent layers .*; head.weight, head.bias$"):
        npseq.load(tmp_path / "m.pth")


@pytest.mark.parametrize("name, options", [("numpy_scalar", {}), ("two_directions_last", {"read": "last"})])
def test_files_that_people_have(name, options):
    """A best loss that is a number of NumPy's beside the weights; a head on ``output[:, -1]`` of two directions."""
    expected = json.loads((FILES / f"{name}.json").read_text())
    y = npseq.load(FILES / f"{name}.pth", **options).predict(np.array(expected["x"]))
    np.testing.assert_allclose(y, expected["y"], atol=1e-6)
