"""Samples: how a symbol is drawn, and that what is drawn follows the model."""

import itertools

import numpy as np
import pytest

import npseq
from npseq.data.corpus import Vocabulary
from npseq.nn.sampling import choose, generate

ABC = Vocabulary("characters", "abcdefg")


def model(kind="optimized_lstm", size=8, **options):
    return npseq.Model(kind, size, 6, size, loss="cross_entropy", outputs="all", rng=0, **options)


def frequencies(logits, n=4000, **options):
    rng = np.random.default_rng(0)
    options = {"temperature": 1.0, "top_k": None, **options}
    return np.bincount([choose(np.array(logits), rng=rng, **options) for _ in range(n)], minlength=len(logits)) / n


def test_symbols_are_drawn_from_the_softmax_at_the_temperature():
    logits = np.array([1.0, -0.5, 0.3, 2.0])
    for temperature in 0.5, 1.0, 2.0:
        p = np.exp(logits / temperature) / np.exp(logits / temperature).sum()
        assert np.abs(frequencies(logits, temperature=temperature) - p).max() < 0.03
    assert frequencies(logits, 20, temperature=0)[3] == 1


def test_top_k_and_what_is_excluded():
    logits = [1.0, 0.5, 0.3, 2.0]
    assert (frequencies(logits, top_k=2) > 0).tolist() == [True, False, False, True]
    assert frequencies(logits, 50, top_k=1)[3] == 1
    assert frequencies(logits, excluded=3)[3] == 0 and frequencies(logits, 20, temperature=0, excluded=3)[0] == 1
    equal = frequencies(np.zeros(300), 400, top_k=5)  # of equals the first, however many there are
    assert (equal[:5] > 0).all() and not equal[5:].any()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("temperature", [0, 1.0])
def test_outputs_that_are_not_finite_are_refused(bad, temperature):
    with pytest.raises(ValueError, match="the model's outputs are not finite"):
        choose(np.array([0.0, bad, 1.0]), temperature, None, np.random.default_rng(0))


def test_extreme_logits_and_temperatures_do_not_overflow():
    with np.errstate(all="raise", under="ignore"):
        assert choose(np.array([1e30, 0, -1e30]), 1e-3, None, np.random.default_rng(0)) == 0
        assert choose(np.float32([3e38, 0]), 2.0, None, np.random.default_rng(0)) == 0
        assert choose(np.array([0.0, 1.0, 0.5]), 1e-310, 2, np.random.default_rng(0), excluded=1) == 2


@pytest.mark.parametrize("options", [{}, {"embedding_size": 3}, {"num_layers": 2}])
@pytest.mark.parametrize("kind", ["lstm", "optimized_gru"])
def test_each_symbol_is_drawn_given_all_before_it(kind, options):
    made, prime = model(kind, **options), np.array([1, 2, 3])
    symbols = list(itertools.islice(generate(made, prime, temperature=0), 30))
    for n in 0, 1, 29:
        y = made.outputs(np.concatenate([prime, symbols[:n]]).astype(int)[None])
        assert symbols[n] == y[0, -1].argmax()


def test_the_same_seed_gives_the_same_text_and_a_long_prime_is_read_whole(monkeypatch):
    made = model()
    texts = [npseq.sample(made, 40, "abc", rng=seed, vocabulary=ABC) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2] and texts[0].startswith("abc") and len(texts[0]) == 43
    long = "abcdefg" * 40
    whole = npseq.sample(made, 20, long, temperature=0, vocabulary=ABC)
    monkeypatch.setattr("npseq.nn.sampling.PRIME_STEPS", 7)
    assert npseq.sample(made, 20, long, temperature=0, vocabulary=ABC) == whole
    assert npseq.sample(made, 0, "ab", vocabulary=ABC) == "ab"
    assert len(npseq.sample(made, 5, vocabulary=ABC)) == 5
    assert "\ufffd" not in npseq.sample(made, 300, temperature=2, rng=0, vocabulary=ABC)  # never the unknown one


def test_bytes_are_decoded_as_they_come():
    made = model(size=256)
    text = npseq.sample(made, 50, "é", temperature=2.0, rng=0, vocabulary=Vocabulary("bytes"))
    assert text[0] == "é" and len(text) <= 51


def test_what_cannot_be_sampled_is_refused():
    made = model()
    for options, words in [
        ({"temperature": -1}, "temperature must be a finite number from 0 up; -1 given"),
        ({"temperature": np.nan}, "temperature"),
        ({"top_k": 0}, "top_k must be at least 1; 0 given"),
        ({"length": -1}, "length must be at least 0; -1 given"),
        ({"prime": "xyz"}, "does not know the character 'x'"),
    ]:
        with pytest.raises(ValueError, match=words):
            npseq.sample(**{"model": made, "length": 3, "vocabulary": ABC, **options})
    with pytest.raises(ValueError, match="does not say which symbols it knows"):
        npseq.sample(made, 3)
    for other in npseq.Model("lstm", 8, 4, 8, rng=0), model("lstm", bidirectional=True):
        with pytest.raises(ValueError, match="predicts its next input"):
            npseq.sample(other, 3, vocabulary=ABC)
