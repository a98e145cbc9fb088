"""Modules made of modules: one θ, and copies, dtypes, files and checks that reach the parts."""

import copy
import pickle

import numpy as np
import pytest

import npseq
from npseq.gradcheck import check_model
from npseq.nn.module import Module


class Net(Module):
    """A composite with a parameter of its own: y = fc(h_T) ⊙ gain."""

    def __init__(self, rng=0, dtype=np.float32):
        rng = np.random.default_rng(rng)
        super().__init__(
            {"gain": (2,)},
            dtype,
            rnn=npseq.GRU(2, 3, batch_first=True, dropout=0.5, num_layers=2, rng=rng, dtype=dtype),
        )
        self.fc = npseq.Linear(3, 2, rng=rng, dtype=dtype)
        self.params["gain"][...] = 1

    def forward(self, x, lengths=None, training=False):
        hs, state, rnn = self.rnn.forward(x, None, lengths, training)
        y, fc = self.fc.forward(state[-1])
        return y * self.params["gain"], (rnn, fc, y, hs.shape)

    def backward(self, tape, dy):
        rnn, fc, y, shape = tape
        dh, d_fc = self.fc.backward(fc, dy * self.params["gain"])
        d_state = np.zeros((2, *dh.shape), dh.dtype)
        d_state[-1] = dh
        dx, _, d_rnn = self.rnn.backward(rnn, None, d_state)
        return dx, self.new_gradients(rnn=d_rnn, fc=d_fc, gain=(dy * y).sum(0))


class ByHand(Module):
    """The pattern of before: prefixed shapes, and slices of θ bound by the class itself."""

    def __init__(self):
        self.rnn, self.fc = npseq.LSTM(2, 3, batch_first=True, rng=0), npseq.Linear(3, 1, rng=0)
        shapes = {f"{n}.{k}": s for n in ("rnn", "fc") for k, s in getattr(self, n).shapes.items()}
        super().__init__(shapes, np.float32)

    def _adopt(self, theta):
        at = 0
        for part in (self.rnn, self.fc):
            part.bind(theta[at : at + part.theta.size])
            at += part.theta.size
        super()._adopt(theta)

    def forward(self, x):
        y, tape = self.fc.forward(self.rnn(x)[0][:, -1])
        return y, tape


def batch(dtype=np.float64, B=3, T=4):
    rng = np.random.default_rng(1)
    return rng.normal(size=(B, T, 2)).astype(dtype), rng.normal(size=(B, 2)).astype(dtype), np.array([4, 0, 2])


def whole(module):
    """True if θ, the parameters and those of all parts are one vector."""
    module.theta[...] = np.arange(module.theta.size)
    views = [*module.params.values(), *module.rnn.params.values(), *module.fc.params.values()]
    flat = np.concatenate([view.reshape(-1) for view in module.params.values()])
    return np.array_equal(flat, np.arange(module.theta.size)) and all(np.shares_memory(v, module.theta) for v in views)


COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda module: pickle.loads(pickle.dumps(module)),
    "astype": lambda module: module.astype(np.float32),
    "astype float64": lambda module: module.astype(np.float64),
}


@pytest.mark.parametrize("made", [Net, ByHand])
@pytest.mark.parametrize("method", COPIES)
def test_a_copy_is_whole_and_leaves_the_original_whole(made, method):
    module, x = made(), batch(np.float32)[0]
    before, theta = module.outputs(x), module.theta.copy()
    twin = COPIES[method](module)
    assert np.array_equal(twin.theta, theta) and not np.shares_memory(twin.theta, module.theta)
    np.testing.assert_allclose(twin.outputs(x.astype(twin.dtype)), before, rtol=1e-5)
    assert whole(twin) and np.array_equal(module.theta, theta) and whole(module)
    module.theta[...] = 0.5
    assert not np.array_equal(module.outputs(x), before)


def test_names_have_the_parts_prefix_and_own_parameters_come_first():
    module = Net()
    assert list(module.params)[:2] == ["gain", "rnn.weight_ih_l0"] and list(module.params)[-1] == "fc.bias"
    assert list(module.state_dict()) == list(module.params)
    z = slice(3, 6)  # of the GRU: the sign changes in the state_dict, in a composite too
    assert np.array_equal(module.state_dict()["rnn.weight_ih_l0"][z], -module.params["rnn.weight_ih_l0"][z])
    other = Net(rng=5)
    other.load_state_dict(module.state_dict())
    assert np.array_equal(other.theta, module.theta)


@pytest.mark.wide
def test_a_composite_checks_right_and_a_wrong_one_wrong():
    module = Net(dtype=np.float64)
    check_model(module, batch()).assert_ok()
    found, grads = module.backward, module.new_gradients
    module.new_gradients = lambda rnn, fc, gain: grads(rnn=rnn, fc=fc, gain=2 * gain)
    result = check_model(module, batch())
    assert found and not result.ok and "gain" in str(result)


def test_an_optimizer_on_theta_trains_the_parts_after_any_copy():
    module = Net()
    optimizer = npseq.optim.Adam(module.theta, lr=0.02)
    first = module.loss_of(batch(np.float32))
    for _ in range(60):
        copy.copy(module), module.astype(np.float64), copy.deepcopy(module)
        loss, grad = module.loss_and_grad(batch(np.float32), training=False)
        optimizer.step(grad)
    assert loss < 0.2 * first


def test_dropout_acts_in_training_only_and_copies_draw_the_same():
    module, data = Net(), batch(np.float32)
    twin = module.astype(np.float32)
    losses = [module.loss_and_grad(data)[0] for _ in range(2)]
    assert losses[0] != losses[1] and losses == [twin.loss_and_grad(data)[0] for _ in range(2)]
    assert module.loss_and_grad(data, training=False)[0] == module.loss_of(data)


class Stack(Module):
    """Parts in a list, a tuple and a dict; one of them twice."""

    def __init__(self):
        self.layers = [npseq.Linear(3, 3, rng=k) for k in range(2)]
        self.heads = {"a": npseq.Linear(3, 1, rng=2)}
        self.tied = self.layers[0]

    def forward(self, x):
        tapes = []
        for part in (*self.layers, self.tied, self.heads["a"]):
            x, tape = part.forward(x)
            tapes.append(tape)
        return x, tapes

    def backward(self, tape, dy):
        dy, d_a = self.heads["a"].backward(tape[3], dy)
        dy, d_tied = self.tied.backward(tape[2], dy)
        dy, d_1 = self.layers[1].backward(tape[1], dy)
        dx, d_0 = self.layers[0].backward(tape[0], dy)
        return dx, self.new_gradients(layers=[d_0, d_1], heads={"a": d_a}, tied=d_tied)


@pytest.mark.parametrize("method", COPIES)
def test_parts_in_lists_and_dicts_are_found_and_one_that_has_two_names_is_one(method):
    module = Stack()  # it does not even call super().__init__
    assert [name for name in module.params if "weight" in name] == [
        "layers.0.weight",
        "layers.1.weight",
        "heads.a.weight",
    ]
    twin = COPIES[method](module)
    assert twin.tied is twin.layers[0] is not module.layers[0] and twin.theta.size == 28
    twin.theta[...] = 3
    assert (twin.heads["a"].params["bias"] == 3).all() and not (module.theta == 3).any()
    x, target = np.ones((2, 3)), np.zeros((2, 1))
    check_model(module, (x, target, None)).assert_ok()


def test_a_part_that_is_assigned_too_late_or_belongs_to_another_is_refused():
    module = Net()
    with pytest.raises(AttributeError, match="fc cannot become a part of Net any more.*before theta"):
        module.fc = npseq.Linear(3, 2)
    with pytest.raises(ValueError, match=r"GRU\(2, 3.*is a part of a Net already: use a copy"):
        assert Module(rnn=module.rnn).theta.size
    assert Module(rnn=copy.deepcopy(module.rnn)).theta.size  # a copy belongs to nobody
    del module
    assert whole(Net())


def test_an_assignment_to_theta_keeps_parameters_and_parts_in_it():
    module = Net()
    module.theta = np.arange(module.theta.size)
    assert whole(module) and module.dtype == np.float32


def test_parts_of_different_dtypes_are_refused_and_named():
    with pytest.raises(TypeError, match="must have one dtype.*a float32, b float64 given"):
        assert Module(a=npseq.Linear(2, 2), b=npseq.Linear(2, 2, dtype=np.float64)).dtype


def test_a_gradient_of_an_unknown_name_or_another_shape_is_refused():
    module = Net()
    with pytest.raises(ValueError, match="Net has no part or parameter 'head'"):
        module.new_gradients(head=np.ones(2))
    with pytest.raises(ValueError, match=r"the gradient of gain has the shape \(\); \(2,\) expected"):
        module.new_gradients(gain=np.float32(1))


def test_the_text_of_a_composite_shows_its_parts():
    shown = repr(Stack())
    assert shown.startswith("Stack(layers.0=Linear(weight (3, 3), bias (3,)), ") and "heads.a=Linear(" in shown
    with pytest.raises(ValueError, match=r"cannot load into Net\(rnn=GRU\(2, 3.* fc=Linear\(weight \(2, 3\)"):
        Net().load_state_dict({})


class OwnLoss(Module):
    """A loss of its own form, without the argument ``training``."""

    def __init__(self):
        self.fc = npseq.Linear(2, 1, rng=0)

    def loss_and_grad(self, batch):
        y, tape = self.fc.forward(batch[0])
        return (y**4).sum(), self.new_gradients(fc=self.fc.backward(tape, 4 * y**3)[1]).theta

    def loss_of(self, batch):
        return (self.fc(batch[0]) ** 4).sum()


def test_a_loss_of_ones_own_form_is_checked_and_a_loss_may_be_a_function():
    x = np.random.default_rng(0).normal(size=(3, 2))
    check_model(OwnLoss(), (x, None, None)).assert_ok()
    net = npseq.Sequential(npseq.Linear(2, 1, rng=0), loss=lambda y, target: ((y - target).sum(), np.ones_like(y)))
    check_model(net, (x, np.ones((3, 1)), None)).assert_ok()


# ---- one protocol ----

MODULES = {
    "linear": lambda rng: npseq.Linear(2, 2, rng=rng),
    "embedding": lambda rng: npseq.Embedding(3, 2, rng=rng),
    "lstm": lambda rng: npseq.LSTM(2, 3, rng=rng),
    "optimized_gru": lambda rng: npseq.OptimizedGRU(2, 3, rng=rng),
    "model": lambda rng: npseq.Model("lstm", 2, 3, rng=rng),
}


@pytest.mark.parametrize("kind", MODULES)
def test_every_module_has_one_protocol_and_refuses_the_tape_of_another(kind):
    module, other = MODULES[kind](0), MODULES[kind](1)
    x = np.array([[0, 2]]) if kind == "embedding" else np.ones((3, 4, 2), np.float32)
    y, *state, tape = module.forward(x)
    found = module(x)
    assert np.array_equal(found[0] if state else found, y) and np.array_equal(module.outputs(x), y)
    dx, *d_state, grads = module.backward(tape, np.ones_like(y))
    assert len(d_state) == len(state) and np.array_equal(
        grads.theta, np.concatenate([g.ravel() for g in grads.values()])
    )
    for twin in other, module.astype(np.float32):
        with pytest.raises(ValueError, match="the tape is of another module's forward"):
            twin.backward(tape, np.ones_like(y))
    with pytest.raises(TypeError, match="tape must be"):
        module.backward(x, np.ones_like(y))
    for twin, again in copy.deepcopy((module, tape)), pickle.loads(pickle.dumps((module, tape))):
        assert np.array_equal(twin.backward(again, np.ones_like(y))[-1].theta, grads.theta)
    for again in pickle.loads(pickle.dumps(tape)), copy.deepcopy(tape):  # back from another process
        assert np.array_equal(module.backward(again, np.ones_like(y))[-1].theta, grads.theta)


@pytest.mark.parametrize("kind", ["linear", "lstm", "model"])
def test_every_module_has_one_rule_for_dtypes(kind):
    module, x = MODULES[kind](0), np.ones((3, 4, 2))
    for bad in x, x.astype(int), x.tolist():
        with pytest.raises(TypeError, match=r"x is (float|int)64 but the parameters are float32: convert one"):
            module.forward(bad)
    y, *_, tape = module.forward(x.astype(np.float32))
    with pytest.raises(TypeError, match="dy is float64"):
        module.backward(tape, np.ones(y.shape))
    complex_module = module.astype(np.complex128)
    assert complex_module.outputs(x).dtype == np.complex128


def test_linear_and_embedding_refuse_a_dy_of_another_shape():
    for kind, x in ("linear", np.ones((4, 2), np.float32)), ("embedding", np.array([0, 1, 2, 0])):
        module = MODULES[kind](0)
        with pytest.raises(ValueError, match=r"dy has the shape \(2, 2\); y has \(4, 2\)"):
            module.backward(module.forward(x)[1], np.ones((2, 2), np.float32))
    linear = MODULES["linear"](0)
    y, tape = linear.forward(np.ones((4, 2), np.float32))
    assert linear.backward(tape, y, need_dx=False)[0] is None
