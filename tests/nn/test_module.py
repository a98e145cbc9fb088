"""Copies of parameters and gradients: the named views stay views of the copy's own flat vector."""

import copy
import pickle

import numpy as np
import pytest

import npseq

COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda thing: pickle.loads(pickle.dumps(thing))}


@pytest.mark.parametrize("method", COPIES)
def test_a_copy_of_gradients_has_views_of_its_own_vector(method):
    layer = npseq.OptimizedGRU(2, 3, rng=0)
    y, _, tape = layer.forward(np.ones((4, 2, 2), np.float32))
    _, _, grads = layer.backward(tape, np.ones_like(y))
    twin = COPIES[method](grads)
    assert type(twin) is type(grads) and list(twin) == list(grads) and np.array_equal(twin.theta, grads.theta)
    assert not np.shares_memory(twin.theta, grads.theta)
    for name, view in twin.items():
        assert np.shares_memory(view, twin.theta) and np.array_equal(view, grads[name])
    twin.theta[...] = 0
    assert all((view == 0).all() for view in twin.values()) and grads.theta.any()


def test_a_shallow_copy_of_gradients_shares_the_vector():
    grads = npseq.Linear(2, 3, rng=0).new_gradients()
    twin = copy.copy(grads)
    assert twin.theta is grads.theta and all(np.shares_memory(twin[name], grads.theta) for name in grads)


@pytest.mark.parametrize("method", COPIES)
@pytest.mark.parametrize("order", [("model", "optimizer"), ("optimizer", "model"), ("layer", "model", "optimizer")])
def test_a_model_and_its_optimizer_copied_together_stay_together(method, order):
    parts = {"model": npseq.Model("optimized_lstm", 2, 3, 1, rng=0)}
    parts |= {"layer": parts["model"].rnn, "optimizer": npseq.optim.SGD(parts["model"].theta, lr=1.0)}
    before = parts["model"].theta.copy()
    made = dict(zip(order, COPIES[method](tuple(parts[name] for name in order))))
    made["optimizer"].step(np.ones_like(before))
    assert np.array_equal(made["model"].theta, before - 1) and np.array_equal(parts["model"].theta, before)
    for view in made["model"].rnn.params.values():
        assert np.shares_memory(view, made["model"].theta)


def test_the_text_of_a_layer_has_its_sizes_and_the_options_that_are_not_the_defaults():
    assert repr(npseq.GRU(2, 3)) == "GRU(2, 3, dtype=float32)"
    text = "OptimizedLSTM(2, 3, num_layers=2, bidirectional=True, dtype=float64)"
    assert repr(npseq.OptimizedLSTM(2, 3, num_layers=2, bidirectional=True, dtype="float64")) == text
