"""Any module in a weights file: it comes back by its registered name, and nothing else does."""

import json

import numpy as np
import pytest

import npseq
from npseq.formats import module_file
from npseq.nn import registry
from npseq.nn.scaling import Scaler, Scaling


class Net(npseq.Module):
    """Arguments of every kind: a module, a number of NumPy's, a list, a generator, a dtype, one by keyword only."""

    def __init__(self, encoder, size, sizes=(2,), *, gain=1.0, rng=None, dtype=np.float32):
        super().__init__({"gain": (1,)}, dtype)
        self.encoder, self.heads = encoder, [npseq.Linear(size, n, rng=rng, dtype=dtype) for n in sizes]
        self.params["gain"][...] = gain

    def forward(self, x):
        hs, _, encoder = self.encoder.forward(x)
        found = [head.forward(hs[:, -1]) for head in self.heads]
        return np.concatenate([y for y, _ in found], 1) * self.params["gain"], (encoder, [tape for _, tape in found])


class Other(npseq.Module):
    def __init__(self):
        self.fc = npseq.Linear(2, 2, rng=0)


@pytest.fixture
def registered(monkeypatch):
    for names in ("MODELS", "MODULES"):
        monkeypatch.setattr(registry, names, dict(getattr(registry, names)))
        monkeypatch.setattr(module_file, names, getattr(registry, names))
    npseq.nn.registry.register("net", Net)


def net(dtype=np.float32):
    rng = np.random.default_rng(0)
    encoder = npseq.GRU(3, 4, batch_first=True, rng=rng, dtype=dtype)
    return Net(encoder, np.int64(4), [2, 1], gain=2.5, rng=rng, dtype=dtype)


MODULES = {
    "lstm": lambda: npseq.LSTM(3, 4, 2, batch_first=True, bidirectional=True, proj_size=2, rng=0),
    "relu": lambda: npseq.OptimizedRNN(3, 4, nonlinearity="relu", learn_initial_state=True, bias=False, rng=0),
    "forget": lambda: npseq.LSTM(3, 4, forget_bias=1, checkpoint_every="sqrt", recurrent_init="orthogonal", rng=0),
    "linear": lambda: npseq.Linear(3, 2, bias=False, rng=0, dtype=np.float64),
    "embedding": lambda: npseq.Embedding(3, 2, rng=0),
    "sequential": lambda: npseq.Sequential(
        npseq.GRU(3, 4, rng=0), npseq.Sequential(npseq.Linear(4, 3, rng=0)), loss="mae"
    ),
    "model within": lambda: npseq.Sequential(
        npseq.Model("gru", 3, 4, 2, read="max", scaling=Scaling(Scaler.identity(3), Scaler.identity(2)), rng=0)
    ),
    "net": net,
    "net float64": lambda: net(np.float64),
    "net converted": lambda: net().astype(np.float64),
}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_comes_back(name, tmp_path, registered):
    module, path = MODULES[name](), tmp_path / "m.pth"
    module.theta += 0.01
    npseq.save(path, module, {"note": "kept"})
    again = npseq.load(path)
    assert type(again) is type(module) and again.dtype == module.dtype and again.metadata["note"] == "kept"
    assert list(again.params) == list(module.params) and np.array_equal(again.theta, module.theta)
    x = np.array([[0, 2]]) if name == "embedding" else np.ones((2, 5, 3), module.dtype)
    assert np.array_equal(again.outputs(x), module.outputs(x))
    again.theta[...] = 0  # and its parts are in θ
    assert not np.array_equal(again.outputs(x), module.outputs(x))
    npseq.save(tmp_path / "again.pth", again)
    assert np.array_equal(npseq.load(tmp_path / "again.pth").theta, again.theta)


def test_what_was_changed_after_the_layer_was_made_is_kept(tmp_path):
    layer = npseq.LSTM(3, 4, num_layers=2, rng=0)
    layer.batch_first, layer.dropout = True, 0.5
    npseq.save(tmp_path / "m.pth", layer)
    again = npseq.load(tmp_path / "m.pth")
    assert again.batch_first and again.dropout == 0.5


class Holder(npseq.Module):
    def __init__(self, what=None):
        self.fc = npseq.Linear(2, 2, rng=0)
        self.what = what


class Moody(npseq.Module):
    made = 0

    def __init__(self):
        Moody.made += 1
        self.fc = npseq.Linear(2, Moody.made, rng=0)


@pytest.mark.parametrize(
    "module, message",
    [
        (Other(), r"Other has no name in files: npseq.nn.registry.register\('other', Other\) gives it one"),
        (npseq.Sequential(npseq.Linear(2, 2), Other()), "Other has no name in files"),
        (npseq.nn.registry.layer_of(npseq.cells.GRUCell)(2, 3), "GRULayer with GRUCell has no name in files"),
        (Holder(np.zeros(3)), "holder's what is ndarray .*; numbers, texts, modules"),
        (Holder({"f": np.tanh}), r"holder's what\['f'\] is ufunc"),
        (Holder(float("nan")), "holder's what is float 'nan'"),
        (Moody(), "Moody cannot be made again: {} gives other parameters"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, npseq.Module) else None,
)
def test_what_cannot_be_made_again_is_refused_by_name_before_anything_is_written(module, message, tmp_path, registered):
    npseq.nn.registry.register("holder", Holder)
    npseq.nn.registry.register("moody", Moody)
    path = tmp_path / "m.pth"
    path.write_bytes(b"precious")
    with pytest.raises(ValueError, match="the model cannot be saved: " + message):
        npseq.save(path, module)
    assert path.read_bytes() == b"precious"
    with pytest.raises(TypeError, match="a module expected; int given"):
        npseq.save(path, 5)


def test_a_file_of_a_class_that_is_not_registered_names_it(tmp_path, registered, monkeypatch):
    npseq.save(tmp_path / "m.pth", net())
    del registry.MODULES["net"]
    with pytest.raises(npseq.checkpoint.CheckpointError, match=r"it holds a 'net': first call .*register\('net', …\)"):
        npseq.load(tmp_path / "m.pth")


def changed(config, kind="linear"):
    return {"kind": kind, "config": config}


@pytest.mark.parametrize(
    "module, message",
    [
        ({"kind": "os.system", "config": {}}, "it holds a 'os.system': first call"),
        ({"kind": ["linear"], "config": {}}, "its module has kind"),
        (changed([]), "its module has config"),
        (changed({"input_size": 10**9, "output_size": 10**9}), "wrong shape: weight"),
        (changed({"input_size": 3, "output_size": 2, "rng": 5}), "unknown entry 'rng'"),
        (changed({"input_size": 3, "output_size": 2, "bias": 10}), "bias 10; true or false expected"),
        (changed({"count": 10**9, "size": 10**9}, "embedding"), "wrong shape: weight"),
        (changed({"*": [3]}, "sequential"), "modules expected; int given"),
        (changed({"*": 3}, "sequential"), "a list of modules expected"),
        (
            changed({"input_size": 3, "hidden_size": 4, "num_layers": 10**9}, "lstm"),
            "has 1000000000 layers; the file holds",
        ),
        (changed({"input_size": 10**9, "hidden_size": 10**9}, "lstm"), "missing: weight_ih_l0"),
        (changed({"encoder": 1, "size": 2, "nothing": 3}, "net"), "unexpected keyword argument 'nothing'"),
    ],
    ids=str,
)
def test_a_file_that_claims_anything_ends_in_one_line(module, message, tmp_path, registered):
    linear = npseq.Linear(3, 2, dtype=np.float64, rng=0)
    npseq.checkpoint.save(
        tmp_path / "m.pth", linear.state_dict(), {"npseq": 2, "module": json.loads(json.dumps(module))}
    )
    with pytest.raises(npseq.checkpoint.CheckpointError, match=message):
        npseq.load(tmp_path / "m.pth")


def test_a_name_is_for_one_class():
    with pytest.raises(ValueError, match="'sequential' is a name of npseq's own"):
        npseq.nn.registry.register("sequential", Other)
    with pytest.raises(TypeError, match="a subclass of npseq.Module.* expected; int given"):
        npseq.nn.registry.register("number", int)


class Wider(npseq.Model):
    def __init__(self, size, rng=None):
        super().__init__("gru", 3, size, 2, rng=rng)
        self.extra = npseq.Linear(2, 2, rng=rng)


def test_a_subclass_of_model_is_saved_by_its_own_name_or_not_at_all(tmp_path, registered):
    model = Wider(4, rng=0)
    with pytest.raises(ValueError, match="Wider has no name in files"):
        npseq.save(tmp_path / "m.pth", model)
    npseq.nn.registry.register("wider", Wider)
    npseq.save(tmp_path / "m.pth", model)
    again = npseq.load(tmp_path / "m.pth")
    assert type(again) is Wider and np.array_equal(again.theta, model.theta) and "extra.weight" in again.params
