"""The gradient checker: what passes, what does not, what it says, and its command."""

import re
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from torch_witness import KINDS, make_layer, make_torch

import npseq
from npseq import gradcheck
from npseq.cells import GRUCell, LSTMCell, RNNCell, gate_blocks, sigmoid
from npseq.cli import gradcheck as command
from npseq.gradcheck import check, check_cell, check_layer, hessian_vector_product
from npseq.gradcheck.planted_bugs import BUGS, plant
from npseq.gradcheck.result import relative_error
from npseq.nn.recurrent import Recurrent
from npseq.nn.registry import MODELS

X = np.array([[0.3, -0.7, 1.1], [2.0, 0.4, -0.2]])


def f(x, w):
    return (np.tanh(x) * w * w).sum()


def grad(x, w):
    return {"x": (1 - np.tanh(x) ** 2) * w * w, "w": 2 * np.tanh(x) * w}


ARRAYS = {"x": X, "w": np.array([1.0, 2.0, 3.0]) + np.zeros((2, 1))}


# ---- check ----


def test_right_gradient_of_any_function_passes():
    result = check(f, grad, ARRAYS)
    result.assert_ok()
    assert result.worst.error <= 1e-15 and set(result.arrays) == {"x", "w"}


@pytest.mark.parametrize("method, visible, hidden", [("complex", 3e-13, 3e-15), ("central", 3e-6, 3e-9)])
def test_error_in_one_element_shows_above_the_threshold_and_not_below(method, visible, hidden):
    def off_by(amount):
        def wrong(x, w):
            d = grad(x, w)
            d["w"][1, 2] += amount * np.abs(d["w"]).max()
            return d

        return check(f, wrong, ARRAYS, method=method)

    assert off_by(hidden).ok
    result = off_by(visible)
    assert not result.ok
    assert result.worst.name == "w" and result.worst.where == (1, 2)
    assert result.worst.error == pytest.approx(visible, rel=0.2)
    largest = np.abs(grad(**ARRAYS)["w"]).max()
    assert result.worst.given - result.worst.expected == pytest.approx(visible * largest, rel=0.2)


def test_error_is_relative_to_the_largest_element_of_the_whole_array():
    assert relative_error([1.0, 100.0], [2.0, 100.0]) == 0.01
    assert relative_error([0.0, 3.0], [0.0, 0.0]) == 3.0
    assert relative_error(np.zeros((0, 2)), np.zeros((0, 2))) == 0
    assert relative_error([np.nan, 1.0], [1.0, 1.0]) == np.inf
    assert relative_error([np.inf, 1.0], [1.0, 1.0]) == np.inf


def test_nan_in_a_gradient_does_not_pass():
    def wrong(x, w):
        d = grad(x, w)
        d["x"][0, 0] = np.nan
        return d

    result = check(f, wrong, ARRAYS)
    assert not result.ok and result.worst.error == np.inf
    assert "x has NaN or infinity in it" in result.diagnosis


def test_error_by_time_step_is_reported_where_it_is():
    def wrong(x, w):
        d = grad(x, w)
        d["x"][1, 0] += 1
        return d

    steps = check(f, wrong, ARRAYS, steps_of="x").steps
    assert [step.name for step in steps] == ["x[0]", "x[1]"]
    assert steps[0].error <= 1e-15 and steps[1].where == (0,) and steps[1].error > 0.1


def test_arrays_given_are_not_changed():
    before = {name: array.copy() for name, array in ARRAYS.items()}

    def writes(x, w):
        d = grad(x, w)
        x[...] = w[...] = 0
        return d

    check(f, writes, ARRAYS)
    for name, array in before.items():
        np.testing.assert_array_equal(ARRAYS[name], array)


def test_missing_gradient_wrong_shape_and_unknown_method_are_refused():
    with pytest.raises(ValueError, match="no gradient for w; it has x"):
        check(f, lambda x, w: {"x": x}, ARRAYS)
    with pytest.raises(ValueError, match=r"gradient of x has the shape \(3,\); \(2, 3\) expected"):
        check(f, lambda x, w: {"x": x[0], "w": w}, ARRAYS)
    with pytest.raises(ValueError, match="'complex' or 'central'; 'forward' given"):
        check(f, grad, ARRAYS, method="forward")


def test_table_has_a_line_for_every_array_and_time_step_with_both_values():
    layer = plant("first-step-skipped", make_layer("gru"))
    result = check_layer(layer, T=3)
    lines = str(result).splitlines()
    rows = {line.split()[0]: line for line in lines}
    assert set(layer.params) | {"x", "h", "x[0]", "x[1]", "x[2]"} <= set(rows)
    worst = result.worst
    assert rows[worst.name].endswith("WRONG")
    for value in (f"{worst.error:.1e}", f"{worst.given:.9g}", f"{worst.expected:.9g}", ",".join(map(str, worst.where))):
        assert value in rows[worst.name]
    assert not rows["x[2]"].endswith("WRONG")
    assert lines[-1].startswith("WRONG: worst ")
    with pytest.raises(AssertionError, match=re.escape(str(result))):
        result.assert_ok()


# ---- cells and layers of one's own ----


class MinimalCell:
    """A right cell of somebody's own: h = (1 − z) ⊙ h' + z ⊙ n with z = σ(a_z), n = tanh(a_n), a = a_x + a_h."""

    gates, state = "zn", "h"

    @staticmethod
    def forward(a_x, a_h, state):
        (h_prev,) = state
        a_z, a_n = gate_blocks(a_x + a_h, "zn")
        z, n = sigmoid(a_z), np.tanh(a_n)
        return ((1 - z) * h_prev + z * n,), (z, n, h_prev)

    @staticmethod
    def backward(d_state, cache):
        (dh,), (z, n, h_prev) = d_state, cache
        da = np.concatenate([dh * (n - h_prev) * z * (1 - z), dh * z * (1 - n * n)])
        return da, da, (dh * (1 - z),)


class ZFlipped(GRUCell):
    @staticmethod
    def backward(d_state, cache):
        da_x, da_h, d_before = GRUCell.backward(d_state, cache)
        H = len(da_x) // 3
        for da in (da_x, da_h):
            da[H : 2 * H] *= -1
        return da_x, da_h, d_before


class HalfTheSlope(RNNCell):
    @staticmethod
    def backward(d_state, cache):
        da, _, d_before = RNNCell.backward(d_state, cache)
        return da / 2, da / 2, d_before


class ForgetsC(LSTMCell):
    @staticmethod
    def backward(d_state, cache):
        da_x, da_h, (dh, dc) = LSTMCell.backward(d_state, cache)
        return da_x, da_h, (dh, 0 * dc)


class SingleBuffer(LSTMCell):
    """A buffer of a fixed dtype: right to seven digits."""

    @staticmethod
    def backward(d_state, cache):
        da_x, da_h, d_before = LSTMCell.backward(d_state, cache)
        return da_x.astype(np.float32), da_h.astype(np.float32), d_before


def test_cell_of_ones_own_is_checked_in_one_line():
    check_cell(MinimalCell).assert_ok()


def test_layer_of_ones_own_cell_is_checked_in_one_line():
    class MinimalLayer(Recurrent):
        cell = MinimalCell

    check_layer(MinimalLayer(2, 3, num_layers=2, bidirectional=True, rng=0), T=4, lengths=[4, 0, 2]).assert_ok()


@pytest.mark.parametrize(
    "cell, line",
    [
        (ZFlipped, "a_x: the z block has its sign flipped"),
        (HalfTheSlope, "a_h is 0.5 times what it should be"),
        (ForgetsC, "c_prev is zero everywhere"),
    ],
)
def test_wrong_cell_is_caught_and_the_error_described(cell, line):
    result = check_cell(cell)
    assert not result.ok and line in result.diagnosis


class OneCacheForAll(RNNCell):
    """Right for one step; the second writes over what the first one kept."""

    kept = np.zeros((4, 3))

    @classmethod
    def forward(cls, a_x, a_h, state):
        (h,), _ = RNNCell.forward(a_x, a_h, state)
        cls.kept[...] = h.real
        return (h,), (cls.kept,)


def test_cell_that_is_right_for_one_step_and_not_through_time_is_caught():
    result = check_cell(OneCacheForAll)
    assert result.arrays["a_x"].error <= 1e-15
    assert result.arrays["weight_hh_l0"].error > 0.01 and not result.ok


def test_fixed_single_precision_buffer_is_caught():
    result = check_cell(SingleBuffer)
    assert not result.ok and 1e-9 < result.worst.error < 1e-6


def test_check_of_a_layer_leaves_it_alone():
    layer = make_layer("lstm", dtype=np.float32, num_layers=2, dropout=0.5)
    theta, drawn = layer.theta.copy(), layer.astype(np.float32).rng.random()
    check_layer(layer, training=True).assert_ok()
    np.testing.assert_array_equal(layer.theta, theta)
    assert layer.rng.random() == drawn


def test_zero_biases_hide_nothing():
    layer = make_layer("gru")
    for name, array in layer.params.items():
        if name.startswith("bias"):
            array[...] = 0
    result = check_layer(plant("starts-from-weights", layer))
    assert all(result.arrays[name].error > 1e-3 for name in layer.params)


@pytest.mark.wide
def test_central_differences_find_what_they_can():
    layer = make_layer("lstm", num_layers=2, bidirectional=True)
    result = check_layer(layer, T=3, lengths=[3, 0, 1], method="central")
    result.assert_ok()
    assert 1e-13 < result.worst.error < 1e-7
    assert not check_layer(plant("h-of-this-step", layer), T=3, method="central").ok


def test_backward_that_writes_its_arguments_is_caught():
    class Clears(npseq.GRU):
        def backward(self, tape, dy, *args, **options):
            result = super().backward(tape, dy, *args, **options)
            dy[...] = 0
            return result

    result = check_layer(Clears(2, 3, rng=0))
    assert "backward has changed the parameters or its arguments" in result.faults


# ---- diagnosis: for each pattern that can be recognised, one line ----


@pytest.mark.parametrize(
    "bug, kind, line",
    [
        ("first-step-skipped", "lstm", "all of t = 0 is missing: x[0] is zero"),
        ("bias-without-gradient", "gru", "bias_hh_l0 is zero everywhere"),
        ("mean-for-sum", "rnn_tanh", "weight_ih_l0 is 0.125 times what it should be"),
        (
            "h-of-this-step",
            "gru",
            "equal to the gradient when dW_h is summed with the state after each step, not before it (h-of-this-step)",
        ),
        ("padding-contributes", "gru", "padding contributes: x is not zero past the end of a sequence"),
        ("bias-of-another-gate", "lstm", "bias_ih_l0: the i block is the gradient of the f block"),
        ("gate-not-stored", "lstm", "weight_hh_l0: the o block is zero everywhere"),
    ],
)
def test_what_a_wrong_gradient_looks_like_is_said(bug, kind, line):
    result = check_layer(plant(bug, make_layer(kind)), T=4, B=2, lengths=[2, 4])
    assert line in result.diagnosis, result.diagnosis


def test_flipped_sign_in_the_z_block_of_a_layer_is_said_from_a_single_step():
    class Flipped(npseq.GRU):
        cell = ZFlipped
        through_time = npseq.bptt

    result = check_layer(Flipped(2, 3, rng=0))
    assert not result.ok
    assert "with T = 1: weight_ih_l0: the z block has its sign flipped" in result.diagnosis


def test_reverse_direction_that_is_not_turned_back_is_said():
    def turned(x, w):
        return {**grad(x, w), "x": grad(x, w)["x"][::-1]}

    diagnosis = check(f, turned, ARRAYS, steps_of="x").diagnosis
    assert diagnosis == ["x is reversed in time: the reverse direction was not restored to forward order"]


@pytest.mark.wide
@pytest.mark.parametrize("bug", sorted(set(BUGS) - {"cache-overwritten", "gates-alike", "mask-drawn-again"}))
def test_every_planted_bug_with_a_wrong_first_gradient_is_recognised_by_name(bug):
    kind = "lstm" if bug in ("c-of-this-step", "dc-not-carried") else "gru"
    layer = make_layer(kind, bidirectional=True)
    result = check_layer(plant(bug, layer), T=3, lengths=[1, 3, 2])
    assert any(line.endswith(f"({bug})") for line in result.diagnosis), result.diagnosis


# ---- Hessian-vector products ----


def loss_gradient(layer, x, R):
    """θ -> dloss/dθ of Σ R ⊙ sin(y), in θ's dtype."""

    def f_grad(theta):
        at = layer.astype(theta.dtype)
        at.theta[...] = theta
        y, _, tape = at.forward(x)
        return at.backward(tape, R * np.cos(y))[2].theta

    return f_grad


@pytest.mark.parametrize("twin", ["plain", "optimized"])
@pytest.mark.parametrize("kind", KINDS)
def test_hessian_vector_product_is_that_of_torchs_double_backward(kind, twin):
    rng = np.random.default_rng(0)
    layer = make_layer(kind, twin, num_layers=2, bidirectional=True)
    x, R = rng.standard_normal((5, 2, 2)), rng.standard_normal((5, 2, 2 * layer.output_size))
    v = rng.standard_normal(layer.theta.size)
    found = hessian_vector_product(loss_gradient(layer, x, R), layer.theta, v)

    module = make_torch(kind, layer)
    parameters = list(module.parameters())
    y, _ = module(torch.tensor(x))
    gradient = torch.autograd.grad((torch.tensor(R) * y.sin()).sum(), parameters, create_graph=True)
    direction = [torch.tensor(layer.to_torch_convention(name, d)) for name, d in layer.named(v).items()]
    product = torch.autograd.grad(sum((g * d).sum() for g, d in zip(gradient, direction)), parameters)
    for (name, d), expected in zip(layer.named(found).items(), product):
        assert relative_error(layer.to_torch_convention(name, d), expected.numpy()) <= 1e-12, name


def test_hessian_is_symmetric():
    layer = make_layer("gru")
    rng = np.random.default_rng(1)
    f_grad = loss_gradient(layer, rng.standard_normal((4, 2, 2)), rng.standard_normal((4, 2, 3)))
    H = np.array([hessian_vector_product(f_grad, layer.theta, e) for e in np.eye(layer.theta.size)])
    assert relative_error(H, H.T) <= 1e-13


def test_sharpest_direction_by_scipys_lanczos_as_the_docstring_shows():
    layer = make_layer("lstm")
    rng = np.random.default_rng(2)
    f_grad = loss_gradient(layer, rng.standard_normal((4, 2, 2)), rng.standard_normal((4, 2, 3)))
    code = re.search(r"( +from scipy.*?)\n\n", hessian_vector_product.__doc__, re.DOTALL).group(1)  # 3.13 dedents
    names = {"params": layer.theta, "f_grad": f_grad, "hessian_vector_product": hessian_vector_product}
    exec("\n".join(line.strip() for line in code.splitlines()), names)
    H = np.array([hessian_vector_product(f_grad, layer.theta, e) for e in np.eye(layer.theta.size)])
    assert names["sharpness"][0] == pytest.approx(np.linalg.eigvalsh((H + H.T) / 2)[-1], rel=1e-10)


def test_direction_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"v has the shape \(2,\); that of params, \(3,\), expected"):
        hessian_vector_product(lambda theta: theta, np.zeros(3), np.zeros(2))


# ---- the command ----


def test_command_prints_one_line_a_configuration_and_the_worst_error_over_all(capsys):
    assert command.main(["--model", "gru", "optimized-rnn", "--layers", "1", "--lengths", "mixed"]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 4  # two directions; the RNN with tanh and with relu
    pattern = re.compile(r"layers=1 directions=[12] lengths=mixed.* ok +(\S+) in \w+")
    errors = [float(pattern.search(line).group(1)) for line in lines]
    assert f"6 configurations, 0 wrong; worst error {max(errors):.1e}" in last
    assert max(errors) <= 1e-14


@pytest.mark.wide
@pytest.mark.parametrize("bug", BUGS)
def test_command_shows_a_planted_bug_caught(bug, capsys):
    model = "lstm" if bug in ("c-of-this-step", "dc-not-carried") else "gru"
    layers = "2" if bug == "mask-drawn-again" else "1"
    assert command.main(["--break", bug, "--model", model, "--layers", layers]) == 1
    out = capsys.readouterr().out.splitlines()
    assert re.search(r"lengths=mixed.* WRONG", out[0])
    assert out[1].startswith("    ")  # what it looks like


def test_command_refuses_an_unknown_bug_with_one_line_and_status_2(capsys):
    with pytest.raises(SystemExit) as stopped:
        command.main(["--break", "off-by-two"])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "off-by-two" in error and "h-of-this-step" in error


def test_command_refuses_a_bug_where_it_cannot_act(capsys):
    with pytest.raises(SystemExit) as stopped:
        command.main(["--break", "z-swapped", "--model", "lstm"])
    assert stopped.value.code == 2
    assert "z-swapped has no effect in any of these configurations" in capsys.readouterr().err


def test_command_lists_the_bugs_one_a_line_name_first_no_header(capsys):
    assert command.main(["--list-bugs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(BUGS)
    assert all(len(line.split()) > 1 for line in lines)


@pytest.mark.wide
def test_command_runs_as_a_module():
    command = [sys.executable, "-m", "npseq.gradcheck", "--model", "rnn", "--layers", "1", "--method", "central"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "0 wrong" in run.stdout and not run.stderr


@pytest.mark.wide
def test_the_default_checks_all_six_models_and_the_losses_in_under_20_seconds(capsys):
    start = time.process_time()
    assert command.main([]) == 0
    assert time.process_time() - start < 20
    out = capsys.readouterr().out
    for name in [*MODELS, "loss mse", "loss cross_entropy"]:
        assert re.search(rf"^{name} ", out, re.MULTILINE), name


def test_a_function_that_drops_the_imaginary_part_is_refused_by_the_complex_step():
    x = {"x": np.arange(1, 4.0)}
    changed = np.arange(1, 4.0) + 0j
    with pytest.raises(TypeError, match="imaginary"):
        gradcheck.numerical_gradient(lambda: np.abs(changed).sum(), {"x": changed})
    result = gradcheck.check(lambda x: np.abs(x).sum(), lambda x: {"x": np.ones(3)}, x)
    assert result.verdict == "unchecked" and not result.ok and result.central.ok and "imaginary" in str(result)
    assert gradcheck.check(lambda x: np.abs(x).sum(), lambda x: {"x": np.ones(3)}, x, method="central").ok


@pytest.mark.parametrize(
    "form, word",
    [
        ("dy", "without dy"),
        ("d_state", "without d_state"),
        ("need_dx", "need_dx"),
        ("theta", "grads.theta"),
        ("call", "layer(x)"),
    ],
)
def test_a_layer_that_is_wrong_in_another_form_of_the_call_is_caught(form, word):
    class Wrong(npseq.GRU):
        def backward(self, tape, dy, d_state=None, need_dx=True):
            dx, d_initial, grads = super().backward(tape, dy, d_state, need_dx)
            if {"dy": dy is None, "d_state": d_state is None, "need_dx": not need_dx}.get(form):
                grads.theta *= 2
            if form == "theta":
                grads.theta = grads.theta * 2
            return dx, d_initial, grads

        def __call__(self, x, state=None, lengths=None):
            y, final = super().__call__(x, state, lengths)
            return (y + 1e-6 if form == "call" else y), final

    result = gradcheck.check_layer(Wrong(2, 3, rng=0))
    assert not result.ok and any(word in fault for fault in result.faults)


def test_an_instance_may_be_a_cell():
    assert gradcheck.check_cell(npseq.cells.GRUCell()).ok
