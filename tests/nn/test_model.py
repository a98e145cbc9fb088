"""The model: encoder and head over one flat vector, its gradient, and what it gives back in the data's units."""

import copy
import pickle

import numpy as np
import pytest

import npseq
from npseq import checkpoint
from npseq.nn.model import Model
from npseq.nn.registry import MODELS
from npseq.tasks import Batch

OPTIONS = [
    {},
    {"num_layers": 2},
    {"bidirectional": True},
    {"num_layers": 2, "bidirectional": True},
    {"bias": False},
    {"learn_initial_state": True},
]


def batch(rng, loss, outputs, lengths=None):
    x = rng.normal(size=(4, 5, 3))
    target = rng.integers(0, outputs, 4) if loss == "cross_entropy" else rng.normal(size=(4, outputs))
    return Batch(x, target, lengths)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_gradient_of_every_parameter_agrees_with_the_complex_step(kind, loss, options):
    rng = np.random.default_rng(1)
    model = Model(kind, 3, 4, 2, loss=loss, dtype=np.float64, rng=rng, **options)
    model.theta += rng.normal(0, 0.1, model.theta.shape)
    data = batch(rng, loss, 2, np.array([5, 3, 1, 4]))
    _, grad = model.loss_and_grad(data)
    twin, h = model.astype(np.complex128), 1e-30
    expected = np.empty_like(grad)
    for k in range(grad.size):
        twin.theta[k] += 1j * h
        expected[k] = twin.loss_of(data).imag / h
        twin.theta[k] = model.theta[k]
    for name, part in model.named(expected).items():
        assert np.abs(model.named(grad)[name] - part).max() <= 1e-13 * max(np.abs(part).max(), 1e-300), name


def test_parameters_and_parts_are_views_of_one_vector():
    model = Model("gru", 3, 4, rng=0)
    model.theta[...] = np.arange(model.theta.size)
    assert model.rnn.params["weight_ih_l0"][0, 0] == 0
    assert model.fc.params["bias"][-1] == model.theta[-1]
    model.params["fc.weight"][...] = -1
    assert (model.fc.params["weight"] == -1).all() and (model.theta == -1).sum() == 4


def test_a_copy_in_another_dtype_is_a_model_of_its_own():
    model = Model("lstm", 3, 4, rng=0)
    twin = model.astype(np.float64)
    assert np.array_equal(twin.theta, model.theta.astype(np.float64))
    twin.theta[...] = 0
    assert (model.theta != 0).any() and (model.rnn.theta != 0).any() and (twin.rnn.theta == 0).all()


def test_state_dict_is_in_torchs_sense_and_comes_back():
    model = Model("gru", 3, 4, rng=0)
    state = model.state_dict()
    assert np.array_equal(state["rnn.weight_ih_l0"][4:8], -model.params["rnn.weight_ih_l0"][4:8])
    other = Model("gru", 3, 4, rng=1)
    other.load_state_dict(state)
    assert np.array_equal(other.theta, model.theta)


def test_predict_works_in_the_datas_own_units():
    scaling = {
        "input_mean": [10.0, 0.0, 0.0],
        "input_scale": [2.0, 1.0, 1.0],
        "output_mean": [10.0],
        "output_scale": [2.0],
    }
    model = Model("rnn", 3, 4, dtype=np.float64, rng=0, scaling=scaling)
    z = np.random.default_rng(0).normal(size=(6, 5, 3))
    x = z * scaling["input_scale"] + scaling["input_mean"]
    assert np.allclose(model.predict(x), model.outputs(z) * 2 + 10, rtol=1e-12)
    assert np.allclose(model.predict(x[2]), model.predict(x)[2], rtol=1e-12)
    for shape in [(6, 5, 4), (3,), (1, 6, 5, 3)]:
        with pytest.raises(ValueError, match=r"\(B, T, 3\) or \(T, 3\) expected"):
            model.predict(np.zeros(shape))


def test_dropout_acts_in_training_only():
    rng = np.random.default_rng(0)
    model = Model("lstm", 3, 16, num_layers=2, dropout=0.5, rng=rng, dtype=np.float64)
    data = batch(rng, "mse", 1)
    assert model.loss_and_grad(data)[0] != model.loss_and_grad(data)[0]
    assert model.loss_of(data) == model.loss_of(data)
    assert np.isclose(model.loss_and_grad(data, training=False)[0], model.loss_of(data), rtol=1e-12)


def test_an_unknown_kind_or_loss_is_named():
    with pytest.raises(ValueError, match="transformer.*lstm"):
        Model("transformer", 3)
    with pytest.raises(ValueError, match="hinge.*mse"):
        Model("lstm", 3, loss="hinge")


@pytest.mark.parametrize(
    "made",
    [
        lambda: Model("optimized_lstm", 3, 4, rng=0),
        lambda: npseq.GRU(3, 4, 2, rng=0),
        lambda: npseq.Linear(3, 4, rng=0),
        lambda: npseq.Embedding(3, 4, rng=0),
    ],
)
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_in_a_copy_theta_and_the_named_parameters_are_one_too(made, copied):
    module = made()
    other = copied(module)
    assert np.array_equal(other.theta, module.theta)
    other.theta[...] = 7
    assert all((array == 7).all() for array in other.params.values()) and not (module.theta == 7).any()
    if isinstance(other, Model):
        assert (other.rnn.weights().W_h == 7).all() and (other.fc.theta == 7).all()


def test_sizes_and_scalings_of_numpy_can_be_saved(tmp_path):
    scaling = {
        "input_mean": np.zeros(3),
        "input_scale": np.ones(3),
        "output_mean": np.zeros(1),
        "output_scale": np.ones(1),
    }
    model = Model("gru", np.int64(3), np.int32(4), rng=0, scaling=scaling)
    npseq.save(tmp_path / "m.pth", model)
    assert np.array_equal(npseq.load(tmp_path / "m.pth").theta, model.theta)


def test_a_file_whose_metadata_claim_another_size_than_its_arrays_is_refused_before_anything_is_made(tmp_path):
    model = Model("lstm", 3, 4, rng=0)
    model.config["hidden_size"] = 10**9
    npseq.save(tmp_path / "m.pth", model)
    with pytest.raises(checkpoint.CheckpointError, match="hidden_size 1000000000, its arrays 4"):
        npseq.load(tmp_path / "m.pth")


@pytest.mark.parametrize("dtype", [np.int64, np.float16, bool])
def test_a_copy_in_a_dtype_that_does_not_work_is_refused(dtype):
    for module in npseq.LSTM(3, 4), Model("lstm", 3, 4):
        with pytest.raises(TypeError, match="float32, float64 or complex128 expected"):
            module.astype(dtype)
