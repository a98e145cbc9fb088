"""The checker and models: outputs at every step, the embedding and the head."""

import numpy as np
import pytest

from npseq import gradcheck
from npseq.gradcheck import draws
from npseq.gradcheck.random_models import check_config
from npseq.nn.linear import Embedding
from npseq.nn.losses import LOSSES
from npseq.nn.model import Model
from npseq.nn.reading import READS


def case(**options):
    rng = np.random.default_rng(0)
    model = Model("optimized_gru", 4, 3, 2, loss="cross_entropy", outputs="all", rng=0, **options)
    return model, (rng.integers(4, size=(3, 5)), rng.integers(2, size=(3, 5)), [5, 0, 2])


@pytest.mark.parametrize(
    "options",
    [{}, {"embedding_size": 3}, pytest.param({"bidirectional": True, "num_layers": 2}, marks=pytest.mark.wide)],
    ids=str,
)
def test_models_are_right(options):
    model, batch = case(**options)
    result = gradcheck.check_model(model, batch)
    assert result.ok and set(result.arrays) == set(model.params)


def test_an_embedding_that_gives_a_repeated_symbol_one_gradient_is_wrong(monkeypatch):
    def backward(self, tape, dy):
        grads = self.new_gradients()
        grads["weight"][tape.kept[0]] += dy  # an index that occurs twice gets one of its gradients
        return None, grads

    monkeypatch.setattr(Embedding, "backward", backward)
    result = gradcheck.check_model(*case(embedding_size=3))
    assert result.verdict == "wrong" and result.worst.name == "embedding.weight"


def test_a_loss_that_counts_the_padding_is_wrong(monkeypatch):
    model, batch = case()
    backward = Model.backward
    monkeypatch.setattr(Model, "backward", lambda self, tape, dy: backward(self, tape, np.where(dy == 0, 1e-3, dy)))
    assert gradcheck.check_model(model, batch).verdict == "wrong"


def test_the_random_check_draws_models_of_every_loss_read_and_embedding():
    configs = [config for config in draws.covered("optimized_gru") if config.head]
    assert {config.head for config in configs} == set(LOSSES) and {config.read for config in configs} == set(READS)
    assert any(config.embedding and config.every_step and config.weighted for config in configs)
    assert all(not check_config(config) for config in configs)
