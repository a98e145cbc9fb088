"""Cells with parameters of their own, through everything that a layer does."""

import copy

import numpy as np
import pytest
import torch
from own_cells import CELLS, STEPS, torch_recurrence

import npseq
from npseq import bptt, fused
from npseq.cells import LSTMCell, gate_blocks, sigmoid
from npseq.explain.gradient_flow import gradient_flow
from npseq.gradcheck import check_cell, check_layer, relative_error
from npseq.nn.layers import OptimizedLSTM
from npseq.nn.recurrent import Recurrent
from npseq.nn.registry import MODELS, layer_of, register
from npseq.rtrl import gradient_forward_in_time

OWN = [name for name in CELLS if getattr(CELLS[name], "own", None)]
each_cell = pytest.mark.parametrize("name", CELLS)
each_own = pytest.mark.parametrize("name", OWN)


def make(name, *sizes, cell=None, rng=0, dtype=np.float64, **options):
    """A layer of an example's cell, its own parameters drawn anew so that none is zero."""
    layer = layer_of(cell or CELLS[name])(*(sizes or (2, 3)), rng=rng, dtype=dtype, **options)
    for key in layer.own_names():
        layer.params[key] += np.random.default_rng(1).uniform(-0.5, 0.5, layer.params[key].shape).astype(dtype)
    return layer


# ---- the gradient ----


@each_cell
def test_example_is_proved_by_the_checker_alone(name):
    result = check_cell(CELLS[name])
    result.assert_ok()
    assert result.worst.error <= 1e-14 and set(getattr(CELLS[name], "own", ())) <= set(result.arrays)


@pytest.mark.wide
@each_cell
@pytest.mark.parametrize(
    "options, how",
    [
        ({"num_layers": 2, "bidirectional": True}, {"T": 3, "lengths": [3, 0, 2]}),
        (
            {"num_layers": 2, "checkpoint_every": "sqrt", "dropout": 0.3},
            {"T": 4, "lengths": [2, 4, 1], "training": True},
        ),
        (
            {"recurrent_dropout": 0.4, "learn_initial_state": True, "bias": False},
            {"training": True, "with_state": False},
        ),
    ],
)
def test_example_is_proved_in_a_layer_with_every_option(name, options, how):
    result = check_layer(make(name, **options), **how)
    result.assert_ok()
    assert result.worst.error <= 2e-14


@pytest.mark.parametrize("name", ["peephole", "layer_norm", "coupled_gates"])
def test_a_cell_that_does_not_read_h_may_be_projected(name):
    check_layer(make(name, proj_size=2, bidirectional=True), T=3, lengths=[3, 0, 2]).assert_ok()


@each_cell
@pytest.mark.parametrize("sizes", [(4, 3, 2, 1), (2, 5, 3, 6)])  # the first: those of ONNX's node tests
def test_example_agrees_with_torchs_autograd(name, sizes):
    I, H, B, T = sizes
    rng, layer = np.random.default_rng(0), make(name, I, H)
    x, state = rng.normal(size=(T, I, B)), tuple(rng.normal(size=(H, B)) for _ in layer.cell.state)
    d_hs, d_state = rng.normal(size=(T, H, B)), tuple(rng.normal(size=(H, B)) for _ in layer.cell.state)
    weights = layer.weights()
    hs, end, tape = bptt.forward_through_time(layer.cell, weights, x, state)
    d_weights, d_x, d_initial = bptt.backward_through_time(layer.cell, weights, tape, d_hs, d_state)

    def leaf(array):
        return None if array is None else torch.tensor(array, requires_grad=True)

    own = weights.own and {key: leaf(part) for key, part in weights.own.items()}
    theirs = bptt.Weights(*map(leaf, weights[:5]), own)
    x_t, state_t = leaf(x), tuple(map(leaf, state))
    hs_t, end_t = torch_recurrence(STEPS[name], theirs, x_t, state_t)
    loss = (hs_t * torch.tensor(d_hs)).sum() + sum((e * torch.tensor(d)).sum() for e, d in zip(end_t, d_state))
    loss.backward()
    pairs = [(hs, hs_t.detach()), *((a, b.detach()) for a, b in zip(end, end_t)), (d_x, x_t.grad)]
    pairs += [(d, leaf.grad) for d, leaf in zip(d_initial, state_t)]
    pairs += [(d, leaf.grad) for d, leaf in zip(d_weights[:4], theirs[:4])]
    pairs += [(d_weights.own[key], own[key].grad) for key in own or ()]
    for found, expected in pairs:
        expected = np.zeros(np.shape(found)) if expected is None else expected.numpy()
        assert relative_error(found, expected) <= 1e-12


@each_cell
def test_forward_in_time_gives_the_same_gradient(name):
    rng, layer = np.random.default_rng(3), make(name)
    x, state = rng.normal(size=(4, 2, 2)), tuple(rng.normal(size=(3, 2)) for _ in layer.cell.state)
    d_hs, d_state = rng.normal(size=(4, 3, 2)), tuple(rng.normal(size=(3, 2)) for _ in layer.cell.state)
    _, _, tape = bptt.forward_through_time(layer.cell, layer.weights(), x, state)
    expected, _, d_initial = bptt.backward_through_time(layer.cell, layer.weights(), tape, d_hs, d_state)
    found, d_found = gradient_forward_in_time(layer.cell, layer.weights(), x, state, d_hs, d_state)
    pairs = [*zip(found[:4], expected[:4]), *zip(d_found, d_initial)]
    pairs += [(found.own[key], expected.own[key]) for key in expected.own or ()]
    for a, b in pairs:
        assert relative_error(a, b) <= 1e-12


# ---- against ONNX Runtime ----


def run_onnx(op, inputs, **attributes):
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    names = ["X", "W", "R", "B", "", "h", "c", "P"][: len(inputs)]
    names = [name if array is not None else "" for name, array in zip(names, inputs)]
    given = {name: array.astype(np.float32) for name, array in zip(names, inputs) if name}
    node = onnx.helper.make_node(op, names, ["Y"], **attributes)
    values = [onnx.helper.make_tensor_value_info(name, 1, array.shape) for name, array in given.items()]
    graph = onnx.helper.make_graph([node], "g", values, [onnx.helper.make_tensor_value_info("Y", 1, None)])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 14)], ir_version=8)
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, given)[0][:, 0]


def reordered(array, order):
    return np.concatenate([np.split(array, len(order))[k] for k in order])[None]


def test_peephole_is_onnxs_lstm_with_P():
    layer, x = make("peephole", 4, 3), np.random.default_rng(2).normal(size=(5, 2, 4))
    p, own = layer.params, [layer.params[f"{key}_l0"] for key in ("p_i", "p_o", "p_f")]
    order = [0, 3, 1, 2]  # i f g o -> i o f c
    bias = np.concatenate([reordered(p["bias_ih_l0"], order), reordered(p["bias_hh_l0"], order)], axis=1)
    zeros = np.zeros((1, 2, 3))
    arrays = [x, reordered(p["weight_ih_l0"], order), reordered(p["weight_hh_l0"], order), bias, None, zeros, zeros]
    y = run_onnx("LSTM", [*arrays, np.concatenate(own)[None]], hidden_size=3)
    assert relative_error(y, layer(x)[0]) <= 1e-5


def test_reset_before_is_onnxs_gru_with_linear_before_reset_0():
    layer, x = make("reset_before", 4, 3), np.random.default_rng(2).normal(size=(5, 2, 4))
    p, sign = layer.params, np.repeat([1, -1, 1], 3)  # z -> 1 − z
    W_h, b_h = p["weight_hh_l0"].copy(), p["bias_hh_l0"].copy()
    W_h[6:], b_h[6:] = p["W_n_l0"], p["b_n_l0"]
    order = [1, 0, 2]  # r z n -> z r h
    W_x, W_h = (reordered(W * sign[:, None], order) for W in (p["weight_ih_l0"], W_h))
    bias = np.concatenate([reordered(b * sign, order) for b in (p["bias_ih_l0"], b_h)], axis=1)
    y = run_onnx("GRU", [x, W_x, W_h, bias], hidden_size=3, linear_before_reset=0)
    assert relative_error(y, layer(x)[0]) <= 1e-5


# ---- the parameters of a layer ----


@each_own
def test_own_parameters_are_in_params_theta_and_the_state_dict_by_layer_and_direction(name):
    layer = make(name, num_layers=2, bidirectional=True)
    cell, suffixes = CELLS[name], ["_l0", "_l0_reverse", "_l1", "_l1_reverse"]
    expected = {key + suffix for key in cell.own for suffix in suffixes}
    assert expected <= set(layer.params) and expected == set(layer.own_names())
    other = make(name, num_layers=2, bidirectional=True, rng=7)
    other.load_state_dict(layer.state_dict())
    np.testing.assert_array_equal(other.theta, layer.theta)
    layer.theta += 1
    for key in expected:
        np.testing.assert_array_equal(layer.params[key], other.params[key] + 1)


class Shapes:
    """A cell of no use with a parameter of every kind of shape."""

    gates, state = "ab", "h"
    own = {
        "v": "H",
        "gate": "G·H",
        "double": "2*H",
        "matrix": "H,H",
        "one": "1",
        "of_x": "I",
        "drawn": "H,P",
        "number": "",
    }
    own_init = {"v": 0.5, "drawn": lambda rng, shape: rng.integers(5, 9, shape)}
    forward = backward = staticmethod(lambda *args: None)


def test_shapes_are_in_the_legends_letters_and_initial_values_numbers_or_functions():
    layer = layer_of(Shapes)(5, 3, num_layers=2, rng=0)
    shapes = {key: layer.shapes[f"{key}_l0"] for key in Shapes.own}
    assert shapes == {
        "v": (3,),
        "gate": (6,),
        "double": (6,),
        "matrix": (3, 3),
        "one": (1,),
        "of_x": (5,),
        "drawn": (3, 3),
        "number": (),
    }
    assert layer.shapes["of_x_l1"] == (3,)
    assert (layer.params["v_l0"] == 0.5).all() and set(layer.params["drawn_l1"].ravel()) <= {5, 6, 7, 8}
    assert 0 < np.abs(layer.params["matrix_l0"]).max() <= 3**-0.5
    own = layer.weights(1).own
    assert own["v"].shape == (3, 1) and own["matrix"].shape == (3, 3) and np.shares_memory(own["v"], layer.theta)
    assert layer_of(LSTMCell)(2, 3).weights().own is None


@pytest.mark.parametrize(
    "own, own_init, words",
    [
        ({"p": "Q"}, {}, ["Shapes.own", "the shape of p is 'Q'", "H, G, I, P"]),
        ({"p": "²"}, {}, ["the shape of p is '²'"]),
        ({"p": "H,0"}, {}, ["'H,0'"]),
        ({"weight_ih": "H"}, {}, ["'weight_ih' given"]),
        ({"p_l0": "H"}, {}, ["'p_l0' given", "number of a layer"]),
        ({"h_prev": "H"}, {}, ["'h_prev' given", "other than weight_ih"]),
        ({"p": "H"}, {"p": [1.0, 2.0]}, ["own_init", "p is float64 of shape (2,)", "(3,) expected"]),
        ({"p": "H"}, {"p": float("nan")}, ["own_init", "finite number"]),
        ({"p": "H"}, {"p": lambda shape: 0.0}, ["own_init: the function of p fails for (rng, (3,)): TypeError"]),
        ({"p": "H"}, {"q": 0.0}, ["own_init has q; own declares p"]),
        (["p"], {}, ["Shapes.own is ['p']; a dict"]),
    ],
)
def test_a_declaration_that_is_not_in_the_form_is_refused_in_one_sentence(own, own_init, words):
    cell = type("Shapes", (Shapes,), {"own": own, "own_init": own_init})
    with pytest.raises(ValueError) as error:
        layer_of(cell)(2, 3)
    assert all(word in str(error.value) for word in words) and "\n" not in str(error.value)


# ---- everything that takes a layer ----


@each_cell
def test_the_optimized_recurrence_falls_back_to_the_same_numbers(name):
    layer, x = make(name, 2, 64), np.random.default_rng(0).normal(size=(5, 70, 2))
    for through_time in (fused, OptimizedLSTM.through_time, type(OptimizedLSTM.through_time)(2)):
        twin = make(name, 2, 64)
        twin.through_time = through_time
        y, end, tape = layer.forward(x)
        y_2, end_2, tape_2 = twin.forward(x)
        assert relative_error(y_2, y) <= 1e-14
        grads, grads_2 = layer.backward(tape, y)[2], twin.backward(tape_2, y)[2]
        assert relative_error(grads_2.theta, grads.theta) <= 1e-13


@each_cell
def test_streams_and_copies_have_the_own_parameters_too(name):
    layer, x = make(name, num_layers=2), np.random.default_rng(0).normal(size=(6, 1, 2))
    y, _ = layer(x)
    stream = layer.stream()
    assert relative_error(np.array([stream.step(row) for row in x[:, 0]]), y[:, 0]) <= 1e-13
    assert relative_error(layer.astype(np.float32)(x.astype(np.float32))[0], y) <= 1e-5
    again = copy.deepcopy(layer)
    np.testing.assert_array_equal(again(x)[0], y)
    again.theta[...] = 7
    assert all((again.params[key] == 7).all() for key in again.own_names())
    assert all((part == 7).all() for run in (0, 1) for part in (again.weights(run).own or {}).values())
    np.testing.assert_array_equal(layer(x)[0], y)


@pytest.mark.parametrize("name", ["peephole", "coupled_gates"])
def test_gradient_flow_runs_over_the_cell(name):
    flow = gradient_flow(make(name), np.random.default_rng(0).normal(size=(4, 3, 2)), np.ones((3, 3)))
    assert set(flow.norms) == {"h", "c"} and flow.norms["c"].shape == (5,) and "f" in flow.gates


def test_a_peephole_of_zeros_is_the_lstm():
    layer, lstm = layer_of(CELLS["peephole"])(2, 3, rng=0, dtype=np.float64), npseq.LSTM(2, 3, rng=0, dtype=np.float64)
    x = np.random.default_rng(0).normal(size=(4, 2, 2))
    lstm.load_state_dict({key: array for key, array in layer.state_dict().items() if not key.startswith("p_")})
    assert relative_error(layer(x)[0], lstm(x)[0]) <= 1e-15


@each_cell
def test_a_model_of_the_cell_trains_and_is_saved_and_loaded(name, tmp_path, monkeypatch):
    monkeypatch.delitem(MODELS, "an_example", raising=False)
    register("an_example", layer_of(CELLS[name]))
    monkeypatch.setitem(MODELS, "an_example", MODELS["an_example"])  # taken away at the end
    model = npseq.Model("an_example", 2, 4, rng=0)
    batch = (np.random.default_rng(0).normal(size=(8, 5, 2)).astype(np.float32), np.ones((8, 1), np.float32), None)
    optimizer, losses = npseq.optim.Adam(model.theta, lr=0.02), []
    for _ in range(30):
        loss, grad = model.loss_and_grad(batch)
        optimizer.step(grad)
        losses.append(loss)
    assert losses[-1] < 0.5 * losses[0]
    npseq.save(tmp_path / "m.pth", model)
    again = npseq.load(tmp_path / "m.pth")
    np.testing.assert_array_equal(again.theta, model.theta)
    assert {f"rnn.{key}_l0" for key in getattr(CELLS[name], "own", ())} <= set(again.state_dict())
    del MODELS["an_example"]
    with pytest.raises(ValueError, match=f"user-defined cell {CELLS[name].__name__} .*register"):
        npseq.load(tmp_path / "m.pth")
    with pytest.raises(ValueError, match="cannot be saved: 'an_example' names another layer or cell"):
        npseq.save(tmp_path / "again.pth", model)
    assert not (tmp_path / "again.pth").exists()


@pytest.mark.parametrize(
    "name, layer, error, words",
    [
        ("lstm", layer_of(LSTMCell), ValueError, "'lstm' is a name of npseq's own"),
        ("optimized_mine", layer_of(LSTMCell), ValueError, "npseq's own"),
        ("My-Cell", layer_of(LSTMCell), ValueError, "'My-Cell' given"),
        ("mine", LSTMCell, TypeError, "subclass of npseq.layers.Recurrent with a cell expected; LSTMCell given"),
        ("mine", Recurrent, TypeError, "Recurrent given"),
    ],
)
def test_a_name_or_a_layer_that_cannot_be_registered_is_refused(name, layer, error, words):
    with pytest.raises(error, match=words):
        register(name, layer)
    assert name not in MODELS or name == "lstm"


# ---- cells that are none ----


class Plain:
    """h = tanh(a_x + a_h), a right cell from which every wrong one below is made."""

    gates, state = "h", "h"

    @staticmethod
    def forward(a_x, a_h, state):
        return (np.tanh(a_x + a_h),), (np.tanh(a_x + a_h),)

    @staticmethod
    def backward(d_state, cache):
        da = d_state[0] * (1 - cache[0] ** 2)
        return da, da, (np.zeros_like(da),)


class WithSelf:
    gates = state = "h"

    def __init__(self, scale):
        self.scale = scale

    def forward(self, a_x, a_h, state):
        return Plain.forward(a_x, a_h, state)

    def backward(self, d_state, cache):
        return Plain.backward(d_state, cache)


def without(*names):
    return type("Mine", (), {name: part for name, part in vars(Plain).items() if name not in names})


def plain_but(**parts):
    return type("Mine", (Plain,), parts)


CONTRACT = "a class with gates, state, forward and backward expected"
NO_CELLS = {
    "no gates": (without("gates"), f"Mine has no gates; {CONTRACT}"),
    "no state": (without("state"), f"Mine has no state; {CONTRACT}"),
    "no functions": (without("forward", "backward"), f"Mine has no forward, backward; {CONTRACT}"),
    "a layer": (npseq.LSTM, f"LSTM has no gates, state; {CONTRACT}"),
    "not a class": (3, f"int has no gates, state, forward, backward; {CONTRACT}"),
    "gates a number": (plain_but(gates=1), "Mine.gates is 1; different letters such as 'ifgo' expected"),
    "gates numbers": (plain_but(gates=(1, 2)), "Mine.gates is (1, 2); different letters such as 'ifgo' expected"),
    "gates a list of lists": (plain_but(gates=[["h"]]), "Mine.gates is [['h']]; different letters such as"),
    "no letter": (plain_but(state=""), "Mine.state is ''; different letters such as 'hc' expected"),
    "state the input's letter": (plain_but(state="x"), "Mine.state is 'x'; letters other than x, the input's, expected"),
    "forward a number": (plain_but(forward=3), "Mine.forward is 3; a function of a_x, a_h, state expected"),
    "an argument missing": (
        plain_but(backward=staticmethod(lambda cache: None)),
        "Mine.backward takes (cache); (d_state, cache) expected",
    ),
    "no argument for own": (plain_but(own={"p": "H"}), "Mine.forward takes (a_x, a_h, state); (a_x, a_h, state, own) e"),
    "an instance needed": (
        WithSelf,
        "WithSelf.forward takes (self, a_x, a_h, state); (a_x, a_h, state) expected: a @staticmethod, or an instance",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", NO_CELLS)
def test_what_is_no_cell_is_refused_in_one_sentence_that_names_what_is_missing(what):
    cell, words = NO_CELLS[what]
    for use in (check_cell, layer_of, lambda cell: type("Layer", (Recurrent,), {"cell": cell})(2, 3)):
        with pytest.raises(ValueError) as error:
            use(cell)
        assert str(error.value).startswith(words) and "\n" not in str(error.value)


def test_a_cell_may_be_an_instance_and_its_functions_may_have_defaults():
    class Scaled(Plain):
        @staticmethod
        def forward(a_x, a_h, state, scale=1.0):
            return Plain.forward(a_x, a_h, state)

    for cell in (Plain, Plain(), Scaled, WithSelf(2)):
        check_cell(cell).assert_ok()


@pytest.mark.parametrize("error", [ZeroDivisionError, NameError, RuntimeError, AssertionError])
def test_whatever_forward_raises_is_said_with_the_shapes(error):
    def fails(*args):
        raise error("as written")

    words = rf"Mine.forward fails for a_x \(3, 2\), .*: {error.__name__}: as written"
    with pytest.raises(ValueError, match=words):
        layer_of(plain_but(forward=staticmethod(fails)))(2, 3)(np.zeros((4, 2, 2), np.float32))
    result = check_cell(plain_but(backward=staticmethod(fails)))
    assert result.verdict == "wrong" and "Mine.backward fails for d_state ((4, 3),)" in result.faults[0]
    assert f"{error.__name__}: as written" in result.faults[0]


# ---- errors in the shapes of a cell ----


class Right:
    """h = σ(a_f) ⊙ tanh(p ⊙ a_g), c = c' + h, from which every wrong one below is made."""

    gates, state, own = "fg", "hc", {"p": "H"}

    @staticmethod
    def forward(a_x, a_h, state, own):
        f, g = gate_blocks(sigmoid(a_x + a_h), "fg")
        return (f * g * own["p"], state[1] + f), (f, g)

    @staticmethod
    def backward(d_state, cache, own):
        f, g = cache
        da = np.concatenate([f, g])
        return da, da, (0 * f, 0 * f), {"p": f.sum(1, keepdims=True)}


def wrong(function, change):
    """``Right`` with another result of one function."""
    right = getattr(Right, function)
    return type("Wrong", (Right,), {function: staticmethod(lambda *args: change(*right(*args)))})


FORWARD = {
    "a state of the wrong shape": (lambda s, c: ((s[0], s[1][:, :1]), c), ["new state of shape ((3, 2), (3, 1))"]),
    "a state that is an array": (lambda s, c: (s[0], c), ["new state of shape (3, 2)", "a tuple (h, c)"]),
    "a state too short": (lambda s, c: (s[:1], c), ["((3, 2),)", "((3, 2), (3, 2)) expected"]),
    "a list": (lambda s, c: (list(s), c), ["new state of shape [(3, 2), (3, 2)]; a tuple (h, c)"]),
    "no cache": (lambda s, c: s, ["new state of shape (3, 2)"]),
    "three values": (lambda s, c: (s, c, c), ["two values expected, the new state and the cache"]),
    "a list of both": (lambda s, c: [s, c], ["two values expected, the new state and the cache"]),
    "one array": (lambda s, c: s[0], ["returns (3, 2); two values expected"]),
}
BACKWARD = {
    "a gradient missing": (lambda *d: d[:3], ["4 values expected: da_x, da_h, d_state, d_own"]),
    "da of one gate": (lambda x, h, s, o: (x[:3], h, s, o), ["da_x of shape (3, 2); (6, 2) expected"]),
    "d_state too short": (lambda x, h, s, o: (x, h, s[:1], o), ["d_state of shape ((3, 2),)", "((3, 2), (3, 2))"]),
    "d_own without a name": (lambda x, h, s, o: (x, h, s, {}), ["d_own with nothing; a dict with p expected"]),
    "d_own not summed": (lambda x, h, s, o: (x, h, s, {"p": x[:3]}), ["gradient of p of shape (3, 2); (3, 1)"]),
}


@pytest.mark.parametrize("fault", FORWARD)
def test_a_wrong_shape_that_forward_returns_is_said_in_one_sentence(fault):
    change, words = FORWARD[fault]
    with pytest.raises(ValueError) as error:
        layer_of(wrong("forward", change))(2, 3, dtype=np.float64)(np.zeros((4, 2, 2)))
    assert "Wrong.forward" in str(error.value) and all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize("fault", BACKWARD)
def test_a_wrong_shape_that_backward_returns_is_said_in_one_sentence(fault):
    change, words = BACKWARD[fault]
    layer = layer_of(wrong("backward", change))(2, 3, dtype=np.float64)
    y, _, tape = layer.forward(np.zeros((4, 2, 2)))
    with pytest.raises(ValueError) as error:
        layer.backward(tape, y)
    assert "Wrong.backward" in str(error.value) and all(word in str(error.value) for word in words), error.value


def test_a_cache_too_short_and_arrays_that_do_not_fit_are_said_with_the_shapes_given():
    short = layer_of(wrong("forward", lambda s, c: (s, c[:1])))(2, 3, dtype=np.float64)
    y, _, tape = short.forward(np.zeros((4, 2, 2)))
    with pytest.raises(
        ValueError, match=r"Wrong.backward fails .* the cache \(\(3, 2\),\) that forward returned.*unpack"
    ):
        short.backward(tape, y)
    unfit = layer_of(type("Unfit", (Right,), {"own": {"p": "2*H"}}))(2, 3, dtype=np.float64)
    with pytest.raises(ValueError, match=r"Unfit.forward fails for a_x \(6, 2\).* own p \(6, 1\): ValueError"):
        unfit(np.zeros((4, 2, 2)))


@pytest.mark.parametrize("function, faults", [("forward", FORWARD), ("backward", BACKWARD)])
def test_the_checker_says_the_same_sentence(function, faults):
    for change, words in faults.values():
        with pytest.raises(ValueError) as error:
            check_cell(wrong(function, change), hidden_size=3, batch=2)
        assert f"Wrong.{function} returns" in str(error.value) and all(word in str(error.value) for word in words)
    result = check_cell(wrong("forward", lambda s, c: (s, c[:1])), hidden_size=3, batch=2)
    assert result.verdict == "wrong" and "Wrong.backward fails for d_state ((3, 2), (3, 2))" in result.faults[0]
    assert not result.diagnosis
    for name, letters in (("gates", ""), ("state", "hh")):
        with pytest.raises(ValueError, match=f"Wrong.{name} is '{letters}'; different letters such as"):
            check_cell(type("Wrong", (Right,), {name: letters}))


class Numbers:
    """h = tanh(s ⊙ a + a M…): parameters that are a number, a matrix and an array of three axes."""

    gates, state = "h", "h"
    own, own_init = {"s": "", "M": "H,H", "t": "H,2,1"}, {"s": 0.5}

    @staticmethod
    def forward(a_x, a_h, state, own):
        a = a_x + a_h
        h = np.tanh(own["s"] * a + own["M"] @ a + own["t"].sum(1))
        return (h,), (h, a)

    @staticmethod
    def backward(d_state, cache, own):
        (dh,), (h, a) = d_state, cache
        dz = dh * (1 - h * h)
        da = own["s"] * dz + own["M"].T @ dz
        dt = np.repeat(dz.sum(1)[:, None, None], 2, axis=1)
        return da, da, (np.zeros_like(dh),), {"s": np.array((dz * a).sum()), "M": dz @ a.T, "t": dt}


@pytest.mark.wide
def test_a_parameter_may_be_a_number_or_have_three_axes():
    check_cell(Numbers).assert_ok()
    layer = layer_of(Numbers)(2, 3, num_layers=2, bidirectional=True, checkpoint_every=2, rng=0)
    check_layer(layer, T=4, lengths=[4, 0, 3]).assert_ok()
    assert layer.params["s_l1_reverse"].shape == () and layer.params["s_l1_reverse"] == 0.5


def test_right_cells_pay_for_the_check_of_their_shapes_once():
    calls = []

    class Counted(CELLS["peephole"]):
        @staticmethod
        def forward(*args):
            calls.append(args[0].shape)
            return CELLS["peephole"].forward(*args)

    layer = layer_of(Counted)(2, 3, dtype=np.float64)
    for _ in range(3):
        layer(np.zeros((4, 2, 2)))
    assert len(calls) == 1 + 3 * 4
