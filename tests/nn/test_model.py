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
    pytest.param({"num_layers": 2, "bidirectional": True}, marks=pytest.mark.wide),
    {"bias": False},
    {"learn_initial_state": True},
]


def batch(rng, loss, outputs, lengths=None):
    x = rng.normal(size=(4, 5, 3))
    target = rng.integers(0, outputs, 4) if loss == "cross_entropy" else rng.normal(size=(4, outputs))
    return Batch(x, target, lengths)


def complex_step(model, data):
    """The gradient of the loss with respect to theta, element by element."""
    twin, h = model.astype(np.complex128), 1e-30
    grad = np.empty_like(model.theta)
    for k in range(grad.size):
        twin.theta[k] += 1j * h
        grad[k] = twin.loss_of(data).imag / h
        twin.theta[k] = model.theta[k]
    return grad


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("loss", ["mse", pytest.param("cross_entropy", marks=pytest.mark.wide)])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_gradient_of_every_parameter_agrees_with_the_complex_step(kind, loss, options):
    rng = np.random.default_rng(1)
    model = Model(kind, 3, 3, 2, loss=loss, dtype=np.float64, rng=rng, **options)
    model.theta += rng.normal(0, 0.1, model.theta.shape)
    data = batch(rng, loss, 2, np.array([5, 3, 1, 4]))
    _, grad = model.loss_and_grad(data)
    for name, part in model.named(complex_step(model, data)).items():
        assert np.abs(model.named(grad)[name] - part).max() <= 1e-13 * max(np.abs(part).max(), 1e-300), name


@pytest.mark.parametrize("kind", ["gru", "optimized_lstm"])
@pytest.mark.parametrize("loss", ["mse", "mae", "huber", "cross_entropy"])
@pytest.mark.parametrize("outputs", ["last", "all"])
def test_with_weights_the_gradient_agrees_with_the_complex_step(kind, loss, outputs):
    rng, lengths = np.random.default_rng(1), np.array([5, 3, 1, 4])
    model = Model(kind, 3, 4, 2, loss=loss, outputs=outputs, dtype=np.float64, rng=rng)
    model.theta += rng.normal(0, 0.1, model.theta.shape)
    x, target, _ = batch(rng, loss, 2)
    if outputs == "all":
        target = np.repeat(target[:, None], 5, axis=1)
    data = x, target, lengths, np.array([2.0, 0.0, 1.5, 1.0])
    _, grad = model.loss_and_grad(data)
    for name, part in model.named(complex_step(model, data)).items():
        assert np.abs(model.named(grad)[name] - part).max() <= 1e-13 * np.abs(part).max(), name


@pytest.mark.parametrize("outputs", ["last", "all"])
@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_a_sequence_of_weight_two_counts_as_two_and_one_of_weight_zero_as_none(outputs, loss):
    rng, lengths = np.random.default_rng(1), np.array([5, 3, 1, 4])
    model = Model("lstm", 3, 4, 2, loss=loss, outputs=outputs, dtype=np.float64, rng=rng)
    x, target, _ = batch(rng, loss, 2)
    if outputs == "all":
        target = np.repeat(target[:, None], 5, axis=1)
    weights, twice = np.array([2.0, 0.0, 1.0, 1.0]), [0, 0, 2, 3]
    weighted = model.loss_and_grad((x, target, lengths, weights))
    repeated = model.loss_and_grad((x[twice], target[twice], lengths[twice]))
    # the divisor is the number of outputs, whatever their weights
    ratio = lengths[twice].sum() / lengths.sum() if outputs == "all" else 1.0
    assert weighted[0] == pytest.approx(ratio * repeated[0], rel=1e-13)
    assert np.abs(weighted[1] - ratio * repeated[1]).max() <= 1e-13 * np.abs(weighted[1]).max()


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


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_a_file_of_any_dtype_gives_the_same_parameters(tmp_path, dtype, recwarn):
    model = Model("gru", 3, 4, rng=0, dtype=dtype)
    model.theta *= dtype(1 + 0.5j) if dtype is np.complex128 else 1
    npseq.save(tmp_path / "m.pth", model)
    other = npseq.load(tmp_path / "m.pth")
    assert other.dtype == dtype and np.array_equal(other.theta, model.theta) and not recwarn.list


@pytest.mark.parametrize("dtype", [np.int64, np.float16, bool])
def test_a_copy_in_a_dtype_that_does_not_work_is_refused(dtype):
    for module in npseq.LSTM(3, 4), Model("lstm", 3, 4):
        with pytest.raises(TypeError, match="float32, float64 or complex128 expected"):
            module.astype(dtype)


# ---- an output at every step, embeddings, one-hot inputs ----

EVERY_STEP = [
    {},
    {"embedding_size": 3},
    {"num_layers": 2, "embedding_size": 2},
    {"bidirectional": True},
    {"learn_initial_state": True, "bias": False},
]


def labelled(rng, size=5, shape=(3, 6)):
    return Batch(rng.integers(0, size, shape), rng.integers(0, 4, shape), None)


@pytest.mark.wide
@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("lengths", [None, [6, 2, 0]], ids=str)
@pytest.mark.parametrize("options", EVERY_STEP, ids=str)
def test_with_an_output_at_every_step_the_gradient_agrees_with_the_complex_step(kind, lengths, options):
    rng = np.random.default_rng(1)
    model = Model(kind, 5, 3, 4, loss="cross_entropy", outputs="all", dtype=np.float64, rng=rng, **options)
    model.theta += rng.normal(0, 0.1, model.theta.shape)
    data = labelled(rng)._replace(lengths=lengths)
    loss, grad = model.loss_and_grad(data)
    for name, part in model.named(complex_step(model, data)).items():
        assert np.abs(model.named(grad)[name] - part).max() <= 1e-13 * max(np.abs(part).max(), 1e-2), name
    assert loss == pytest.approx(float(model.loss_of(data)), rel=1e-13)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("B", [1, pytest.param(3, marks=pytest.mark.wide), 40])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2}, {"bidirectional": True}], ids=str)
def test_indices_are_one_hot_vectors_to_1e_12(kind, B, options):
    rng = np.random.default_rng(B)
    layer = MODELS[kind](7, 5, dtype=np.float64, rng=0, **options)
    indices = rng.integers(0, 7, (70, B))
    dy = None
    for lengths in None, rng.integers(0, 71, B):
        y, state, tape = layer.forward(indices, lengths=lengths)
        expected, end, dense = layer.forward(np.eye(7)[indices], lengths=lengths)
        dy = rng.normal(size=y.shape) if dy is None else dy
        dx, _, grads = layer.backward(tape, dy)
        assert dx is None and np.abs(y - expected).max() <= 1e-12
        of_dense = layer.backward(dense, dy)[2].theta
        assert np.abs(grads.theta - of_dense).max() <= 1e-12 * np.abs(of_dense).max()
        assert np.allclose(layer(indices, lengths=lengths)[0], expected, rtol=0, atol=1e-12)
        assert np.allclose(state, end, rtol=0, atol=1e-12)


def test_one_hot_inputs_take_no_product_with_zeros(monkeypatch):
    """W_x is read by its columns: no array with I rows or columns of inputs is ever made."""
    I, made = 5003, []
    layer = npseq.OptimizedLSTM(I, 2, rng=0)
    zeros, empty = np.zeros, np.empty
    monkeypatch.setattr(np, "zeros", lambda shape, *a, **k: made.append(shape) or zeros(shape, *a, **k))
    monkeypatch.setattr(np, "empty", lambda shape, *a, **k: made.append(shape) or empty(shape, *a, **k))
    y, _, tape = layer.forward(np.full((11, 13), I - 1))
    layer.backward(tape, np.ones(y.shape, np.float32))
    sizes = [np.prod(shape) for shape in made]
    assert max(sizes) < 11 * 13 * I // 8, "inputs as large as one-hot vectors"


def test_indices_out_of_range_and_of_more_dimensions_are_refused():
    layer = npseq.LSTM(4, 3)
    for bad in [[[0, 4]], [[-1, 0]]]:
        with pytest.raises(ValueError, match="indices of one-hot vectors, must be from 0 to 3"):
            layer(np.array(bad))
    with pytest.raises(ValueError, match="at least one time step"):
        layer(np.zeros((0, 2), int))
    with pytest.raises(TypeError, match="x is int64"):
        layer(np.zeros((2, 2, 4), int))
    one, batch = layer(np.array([1, 2, 3]))[0], layer(np.array([[1], [2], [3]]))[0]
    assert one.shape == (3, 3) and np.array_equal(one, batch[:, 0])


@pytest.mark.parametrize("kind", ["lstm", "optimized_gru", "optimized_rnn"])
def test_halves_with_the_state_carried_are_the_whole(kind):
    rng = np.random.default_rng(0)
    model = Model(kind, 5, 4, 5, loss="cross_entropy", outputs="all", embedding_size=3, dtype=np.float64, rng=0)
    x = rng.integers(0, 5, (2, 20))
    whole, end = model(x)
    first, state = model(x[:, :7])
    second, last = model(x[:, 7:], state)
    assert np.allclose(np.concatenate([first, second], axis=1), whole, rtol=0, atol=1e-14)
    assert np.allclose(last, end, rtol=0, atol=1e-14)
    assert np.allclose(model.predict(x[0]), model.outputs(x)[0], rtol=0, atol=1e-14)


@pytest.mark.parametrize("kind", ["rnn", "gru", "optimized_lstm"])
@pytest.mark.parametrize("embedding_size", [0, 6])
def test_logits_over_1000_characters_and_the_gradient_of_a_chunk_are_torchs(kind, embedding_size):
    torch = pytest.importorskip("torch")
    V, H, rng = 11, 16, np.random.default_rng(0)
    model = Model(kind, V, H, V, loss="cross_entropy", outputs="all", embedding_size=embedding_size, rng=1)

    class Twin(torch.nn.Module):
        def __init__(self):
            super().__init__()
            if embedding_size:
                self.embedding = torch.nn.Embedding(V, embedding_size)
            layer = getattr(torch.nn, kind.removeprefix("optimized_").upper())
            self.rnn, self.fc = layer(embedding_size or V, H, batch_first=True), torch.nn.Linear(H, V)

        def forward(self, x, state=None):
            one_hot = torch.nn.functional.one_hot(x, V).to(self.fc.weight.dtype)
            h, state = self.rnn(self.embedding(x) if embedding_size else one_hot, state)
            return self.fc(h), state

    twin, x = Twin(), rng.integers(0, V, (1, 1000))
    twin.load_state_dict({name: torch.tensor(array) for name, array in model.state_dict().items()})
    state = theirs = None
    for start in range(0, 1000, 90):  # the state carried from chunk to chunk
        y, state = model(x[:, start : start + 90], state)
        with torch.no_grad():
            expected, theirs = twin(torch.tensor(x[:, start : start + 90]), theirs)
        assert np.abs(y - expected.numpy()).max() <= 1e-5

    model, twin = model.astype(np.float64), twin.double()
    batch = Batch(rng.integers(0, V, (3, 20)), rng.integers(0, V, (3, 20)), None)
    _, start = model(rng.integers(0, V, (3, 5)))
    given = tuple(map(torch.tensor, start)) if isinstance(start, tuple) else torch.tensor(start)
    loss, grad, _ = model.loss_and_grad(batch, state=start)
    logits, _ = twin(torch.tensor(batch.x), given)
    expected = torch.nn.functional.cross_entropy(logits.reshape(-1, V), torch.tensor(batch.target).reshape(-1))
    expected.backward()
    assert float(loss) == pytest.approx(expected.item(), rel=1e-12)
    named = model.named(grad)
    for name, parameter in twin.named_parameters():
        d = parameter.grad.numpy()
        ours = model.to_torch_convention(name, named[name])  # the sign of the GRU's z rows, of gradients too
        assert np.abs(ours - d).max() <= 1e-12 * np.abs(d).max(), name


@pytest.mark.parametrize(
    "options", [{"outputs": "all"}, {"outputs": "all", "embedding_size": 3}, {"embedding_size": 3}]
)
def test_a_model_with_outputs_at_every_step_or_an_embedding_comes_back_from_its_file(tmp_path, options):
    model = Model("gru", 5, 4, 5, loss="cross_entropy", rng=0, **options)
    npseq.save(tmp_path / "m.pth", model)
    other = npseq.load(tmp_path / "m.pth")
    assert other.config == model.config and np.array_equal(other.theta, model.theta)
    x = np.array([[0, 4, 2]])
    assert np.array_equal(other.outputs(x), model.outputs(x))
    names = list(model.state_dict())
    assert names[-2:] == ["fc.weight", "fc.bias"] and ("embedding.weight" == names[0]) == ("embedding_size" in options)
    twin = copy.deepcopy(model)
    twin.theta[...] = 7
    assert all((array == 7).all() for part in (twin.rnn, twin.fc) for array in part.params.values())


def test_an_embedding_of_another_size_than_the_file_says_is_refused(tmp_path):
    model = Model("lstm", 5, 4, 5, outputs="all", embedding_size=3, rng=0)
    model.config["embedding_size"] = 10**9
    npseq.save(tmp_path / "m.pth", model)
    with pytest.raises(checkpoint.CheckpointError, match="embedding_size 1000000000, its arrays 3"):
        npseq.load(tmp_path / "m.pth")


def test_the_files_of_models_without_these_options_are_as_before():
    assert set(Model("lstm", 3).config) == {"kind", "loss", "input_size", "hidden_size", "output_size"}
    with pytest.raises(ValueError, match="unknown outputs 'first'; one of last, all expected"):
        Model("lstm", 3, outputs="first")


# ---- what is accepted, and what it then means ----


def test_a_skip_of_a_model_with_an_output_at_every_step_is_refused():
    model = Model("gru", 2, 3, 1, outputs="all", rng=0)
    skip = {
        "input_mean": [0.0, 0.0],
        "input_scale": [1.0, 1.0],
        "output_mean": [0.0],
        "output_scale": [1.0],
        "skip": [0],
    }
    with pytest.raises(ValueError, match="scaling.skip adds the last row's values to one output"):
        Model("gru", 2, 3, 1, outputs="all", scaling=skip)
    with pytest.raises(ValueError, match="scaling.skip adds"):
        model.scaling = Model("gru", 2, 3, 1, scaling=skip).scaling
    assert model.scaling is None


@pytest.mark.parametrize("T", [3, 5])
def test_predict_takes_integers_for_indices_as_outputs_does(T):
    model = Model("gru", 5, 3, 5, outputs="all", rng=0)
    x = np.random.default_rng(0).integers(0, 5, (3, T))
    assert np.array_equal(model.predict(x), model.outputs(x)) and np.allclose(
        model.predict(x[0]), model.outputs(x)[0], atol=1e-6
    )
    scaling = {"input_mean": [1.0] * T, "input_scale": [2.0] * T, "output_mean": [0.0], "output_scale": [1.0]}
    scaled, counts = Model("gru", T, 3, 1, rng=0, scaling=scaling), np.arange(4 * T).reshape(4, T)
    assert np.array_equal(scaled.predict(counts), scaled.predict(counts.astype(float)))  # in data units: numbers


def test_options_of_numpy_or_of_another_kind_are_saved_as_plain_numbers(tmp_path):
    options = dict(num_layers=np.int64(2), dropout=np.float64(0.1), bidirectional=np.bool_(True), bias=1, forget_bias=1)
    model = Model("lstm", 3, 4, 2, rng=0, recurrent_dropout=np.float32(0), checkpoint_every=np.int64(2), **options)
    npseq.save(tmp_path / "m.pth", model)
    again = npseq.load(tmp_path / "m.pth")
    assert again.config == model.config and np.array_equal(again.theta, model.theta)


@pytest.mark.parametrize("kind", ["gru", "optimized_gru"])
@pytest.mark.parametrize("embedding_size", [0, 2])
def test_anything_may_stand_in_the_padding_of_indices(kind, embedding_size):
    model = Model(kind, 5, 3, 5, loss="cross_entropy", outputs="all", embedding_size=embedding_size, rng=0)
    x, lengths = np.array([[0, 3, 1], [2, 4, 4], [1, 1, 1]]), np.array([3, 1, 0])
    target, bad = np.zeros((3, 3), int), x.copy()
    bad[np.arange(3) >= lengths[:, None]] = -1
    (loss, grad), (found, d) = (model.loss_and_grad((x, target, lengths)), model.loss_and_grad((bad, target, lengths)))
    assert loss == found and np.array_equal(grad, d)
    assert np.array_equal(model(x, lengths=lengths)[0], model(bad, lengths=lengths)[0])
    with pytest.raises(ValueError, match="from 0 to 4"):
        model(bad)


def test_lbfgs_as_its_docstring_says_converges_with_dropout():
    rng = np.random.default_rng(0)
    model = Model("gru", 2, 4, 1, num_layers=2, dropout=0.5, dtype=np.float64, rng=0)
    batch = rng.normal(size=(8, 5, 2)), rng.normal(size=(8, 1)), None
    assert "model.loss_and_grad(batch, training=False)" in npseq.optim.lbfgs.__doc__
    first = model.loss_of(batch)
    npseq.optim.lbfgs(lambda theta: model.loss_and_grad(batch, training=False), model.theta, max_iterations=20)
    assert model.loss_of(batch) < 0.5 * first


@pytest.mark.parametrize("make", [npseq.RNN, npseq.LSTM, npseq.GRU, npseq.OptimizedRNN, npseq.OptimizedLSTM])
def test_the_warning_about_dropout_names_the_line_of_the_program(make):
    with pytest.warns(UserWarning, match="acts between layers") as told:
        make(2, 3, dropout=0.1)
        Model(make.__name__.lower().replace("optimized", "optimized_"), 2, 3, dropout=0.1)
    assert [warning.filename for warning in told] == [__file__] * 2
