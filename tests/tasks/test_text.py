"""A text as a task: its parts, its streams, truncated training, n-grams, and what a file keeps."""

import math

import numpy as np
import pytest

import npseq
from npseq import data, optim, tasks
from npseq.data.corpus import Corpus, Vocabulary
from npseq.fit import fit
from npseq.nn.truncated import truncated_bptt
from npseq.tasks.ngrams import mean_surprise
from npseq.tasks.recipe import TextRecipe, from_json
from npseq.tasks.scoring import mean_loss, outputs


def corpus(text="the cat sat on the mat. " * 20):
    return Corpus("text.txt", "characters", np.array([ord(c) for c in text], np.uint32))


def model_of(task, kind="lstm", hidden=8, **options):
    return npseq.Model(kind, task.input_size, hidden, task.output_size, loss=task.loss, outputs="all", rng=0, **options)


@pytest.mark.parametrize("split", [(0.9, 0.05, 0.05), (0.9, 0.1, 0), (0.2, 0.3, 0.5), (0.001, 0.998, 0.001)])
@pytest.mark.parametrize("n", [4, 5, 23, 480])
def test_every_symbol_but_the_first_is_predicted_in_one_part(n, split):
    task = tasks.Text(corpus(("ab" * 240)[:n]), split=split)
    targets = [t + 1 for part in ("train", "validation", "test")[: 3 if split[2] else 2] for t in task.parts[part]]
    assert targets == list(range(1, n))
    assert all(len(rows) for rows in task.parts.values())
    assert split[2] or task.parts["test"] == task.parts["validation"]


def test_the_split_of_nanogpt_is_the_first_nine_tenths_and_the_rest():
    task = tasks.Text(data.load_corpus("tiny_shakespeare"), split=(0.9, 0.1, 0))
    assert task.parts["validation"][0] + 1 == int(0.9 * 1_115_394)
    assert task.parts["validation"][-1] + 1 == 1_115_393


@pytest.mark.parametrize("n", [0, 1, 3])
def test_a_text_too_short_for_its_parts_is_refused(n):
    with pytest.raises(data.DataError, match=f"text.txt has {n} characters?; at least 4 expected"):
        tasks.Text(corpus("abcd"[:n]))


@pytest.mark.parametrize(
    "split", [(0.9, 0.05), (0.9, 0.2, 0.1), (0, 0.5, 0.5), (1, 0, 0), (1.2, -0.1, -0.1), (np.nan, 0.5, 0.5)]
)
def test_a_split_that_is_none_is_refused(split):
    with pytest.raises(data.DataError, match="fractions of the training, validation and test part expected"):
        tasks.Text(corpus(), split=split)


def test_a_window_of_nothing_is_refused():
    with pytest.raises(data.DataError, match="a window of 0 symbols given; at least 1 expected"):
        tasks.Text(corpus(), window=0)


@pytest.mark.parametrize("window, batch", [(7, 3), (64, 32), (1, 1), (1000, 4), (5, 1000)])
def test_streams_are_consecutive_and_side_by_side(window, batch):
    task = tasks.Text(corpus(), window)
    train = task.parts["train"]
    chunks = list(task.streams(train, batch))
    assert len(chunks) == task.steps(batch)
    rows = np.concatenate(chunks, axis=1)
    assert (np.diff(rows, axis=1) == 1).all()
    assert np.array_equal(rows.reshape(-1), np.arange(rows.size)) and len(train) - rows.size < min(batch, len(train))
    first = task.batch(chunks[0])
    assert np.array_equal(first.x[0], task.symbols[: len(first.x[0])])
    assert np.array_equal(first.target[0], task.symbols[1 : len(first.x[0]) + 1])
    assert all(map(np.array_equal, chunks, task.streams(task.parts["train"], batch, np.random.default_rng(0))))


def test_unknown_characters_are_counted_and_predicted_as_one():
    task = tasks.Text(corpus("ab" * 90 + "xyab" * 5))
    assert task.vocabulary.characters == "ab" and task.input_size == 3
    assert (task.symbols == 2).sum() == 10
    assert any("10 not in the training part, predicted as one unknown character" in line for line in task.describe())
    assert not any("unknown" in line for line in tasks.Text(corpus()).describe())


def test_it_is_said_whether_the_state_is_carried():
    for carries, words in ((True, "the state is carried from chunk to chunk"), (False, "each from the zero state")):
        assert tasks.Text(corpus(), 7, carries=carries).describe()[-1] == f"chunks      of 7 characters; {words}"


@pytest.mark.parametrize("kind", ["rnn", "optimized_gru", "optimized_lstm"])
@pytest.mark.parametrize("embedding_size", [0, 5])
def test_a_chunk_as_long_as_the_text_is_full_backpropagation_through_time(kind, embedding_size):
    task = tasks.Text(corpus("so long a text, so long a text, so"), window=10**6)
    model = model_of(task, kind, dtype=np.float64, embedding_size=embedding_size)
    (rows,) = task.streams(task.parts["train"], 1)
    _, truncated, _ = model.loss_and_grad(task.batch(rows), state=None)
    _, full = model.loss_and_grad(task.batch(np.arange(len(task.parts["train"]))[None]))
    assert np.abs(truncated - full).max() <= 1e-12 * np.abs(full).max()
    # short chunks carry the same state, but another gradient
    task.window = 5
    state, total, losses = None, 0, []
    for rows in task.streams(task.parts["train"], 1):
        loss, grad, state = model.loss_and_grad(task.batch(rows), state=state)
        total, losses = total + grad * rows.size, [*losses, loss * rows.size]
    n = len(task.parts["train"])
    assert sum(losses) / n == pytest.approx(model.loss_of(task.batch(np.arange(n)[None])), rel=1e-12)
    assert np.abs(total / n - full).max() > 1e-6


def test_truncated_training_of_the_loop_is_that_of_the_layer():
    """The gradient of chunk after chunk, as ``truncated_bptt`` gives it for one-hot inputs."""
    task = tasks.Text(corpus("to be or not to be, that is the question"), window=6)
    model = model_of(task, "gru", dtype=np.float64)
    ids = task.symbols[: len(task.parts["train"]) + 1].astype(int)
    x = np.eye(task.input_size)[ids[None, :-1]]

    def d_loss(y, steps):
        logits, tape = model.fc.forward(y)
        _, d = npseq.losses.cross_entropy(logits, ids[None, 1:][:, steps])
        return model.fc.backward(tape, d)[0]

    state = None
    for rows, (_, _, _, grads, expected) in zip(
        task.streams(task.parts["train"], 1), truncated_bptt(model.rnn, x, d_loss, 6), strict=True
    ):
        _, grad, state = model.loss_and_grad(task.batch(rows), state=state)
        assert np.abs(grad[: model.rnn.theta.size] - grads.theta).max() <= 1e-12 * np.abs(grads.theta).max()
        assert np.allclose(state, expected, rtol=1e-12)


def trained(epochs=12, carries=True, text="abcdefgh" * 300, window=4):
    task = tasks.Text(corpus(text), window=window, carries=carries)
    model = model_of(task, "optimized_gru", 16)
    optimizer = optim.Adam(model.theta, lr=0.02)
    return task, model, fit(model, task, optimizer, epochs=epochs, batch_size=8, rng=0)


@pytest.mark.wide
def test_the_loop_carries_the_state_and_learns_what_a_chunk_alone_does_not_show():
    # after "ab" comes c or d, by what came six symbols before: longer ago than a chunk of 2
    rng = np.random.default_rng(0)
    text = "".join("xabyyyabc" if k else "zabyyyabd" for k in rng.integers(0, 2, 500))
    with_state = trained(6, True, text, window=6)[2].best_loss
    without = trained(6, False, text, window=6)[2].best_loss
    assert with_state < without - 0.02


def test_surprise_is_the_loss_of_one_stream_with_the_state_carried():
    task, model, _ = trained(1)
    rows = task.parts["validation"]
    expected = model.loss_of(task.batch(np.asarray(rows)[None]))
    nats = outputs(model, task, rows)
    assert nats.shape == (len(rows),)
    results = task.metrics(nats, rows)
    assert results["nats"] == pytest.approx(float(expected), rel=1e-5)
    assert results["bits"] == pytest.approx(results["nats"] / math.log(2))
    assert mean_loss(model, task, rows) == pytest.approx(results["nats"], rel=1e-5)  # one stream: few symbols
    task.carries = False
    chunks = [model.loss_of(task.batch(rows)) * rows.size for rows in task.streams(task.parts["validation"], 1)]
    assert task.metrics(outputs(model, task, rows), rows)["nats"] == pytest.approx(sum(chunks) / len(rows), rel=1e-5)


def test_training_loss_is_a_mean_over_symbols_whatever_the_chunks():
    task = tasks.Text(corpus(), window=50)  # chunks of 50, …, and a rest
    model = model_of(task, dtype=np.float64)
    progress = fit(model, task, optim.SGD(model.theta, lr=0.0), epochs=1, batch_size=2)
    length = len(task.parts["train"]) // 2
    one = task.batch(np.arange(2 * length).reshape(2, length))
    assert progress.history[0]["train_loss"] == pytest.approx(float(model.loss_of(one)), rel=1e-12)


# ---- baselines ----


def brute_force(train, test, size, start, order):
    total = 0.0
    for i in range(start, len(test)):
        p = 1 / size
        for n in range(1, order + 1):
            if i < n - 1:
                break
            context = tuple(test[i - n + 1 : i])
            after = [train[j] for j in range(n - 1, len(train)) if tuple(train[j - n + 1 : j]) == context]
            if after:
                kinds = len(set(after))
                p = (after.count(test[i]) + kinds * p) / (len(after) + kinds)
        total -= math.log(p)
    return total / (len(test) - start)


@pytest.mark.parametrize("n, m, start", [(80, 30, 0), (80, 30, 3), (80, 30, 12), (3, 9, 2), (1, 4, 0)])
def test_n_grams_are_witten_bells_formula(n, m, start):
    rng = np.random.default_rng(n + m)
    train, test = rng.integers(0, 4, n).astype(np.uint8), rng.integers(0, 5, m).astype(np.uint8)
    found = mean_surprise(train, test, 5, start)
    assert list(found) == [1, 2, 3, 4, 5, 6]
    for order, nats in found.items():
        assert nats == pytest.approx(brute_force(train.tolist(), test.tolist(), 5, start, order), rel=1e-12)


def test_the_baselines_see_the_training_part_alone_and_all_that_comes_before_a_symbol():
    task = tasks.Text(corpus())
    first, last = task.parts["test"][0] + 1, len(task.symbols)
    expected = mean_surprise(task.symbols[: task.parts["train"][-1] + 2], task.symbols[:last], task.input_size, first)
    found = task.baselines()
    assert [row["nats"] for row in found.values()][1:] == list(expected.values())
    assert found["uniform"]["nats"] == math.log(task.input_size)


def test_a_text_is_described_by_its_symbols():
    assert (
        tasks.Text(corpus()).describe()[0] == "data        text.txt: 480 characters, 11 different in the training part"
    )
    some = tasks.Text(Corpus("b", "bytes", np.arange(200, dtype=np.uint8)))
    assert some.describe()[0] == "data        b: 200 bytes, 256 values"


@pytest.mark.parametrize(("symbols", "streams"), [(1, 1), (2047, 1), (2048, 2), (32 * 1024 - 1, 31), (10**6, 32)])
def test_a_part_is_scored_in_at_most_32_streams_of_at_least_1024_symbols(symbols, streams):
    assert tasks.Text(corpus()).scored_side_by_side(range(symbols)) == streams


# ---- what a file keeps ----


def test_the_recipe_comes_back_and_prepares_another_text_in_the_same_way():
    task = tasks.Text(corpus(), 10, (0.8, 0.1, 0.1), carries=False)
    recipe = task.recipe()
    assert from_json(recipe.to_json()) == recipe
    other = tasks.Text.from_recipe(recipe, corpus("the dog sat on the cat" * 9))
    assert other.vocabulary == task.vocabulary and other.window == 10 and not other.carries
    assert (other.symbols == task.vocabulary.unknown).sum() == 18  # d, g
    of_bytes = tasks.Text(Corpus("b", "bytes", np.arange(200, dtype=np.uint8))).recipe()
    assert from_json(of_bytes.to_json()).alphabet == Vocabulary("bytes")


@pytest.mark.parametrize(
    "name, value",
    [
        ("vocabulary", "ba"),
        ("vocabulary", "aa"),
        ("vocabulary", "a\ud800"),
        ("vocabulary", None),
        ("tokens", "words"),
        ("window", 0),
        ("split", [0.9, 0.1]),
        ("split", [2, -1, 0]),
        ("carries", 1),
        ("count", -1),
        ("count", 1.5),
    ],
)
def test_a_recipe_that_no_text_has_is_refused(name, value):
    mapping = tasks.Text(corpus()).recipe().to_json()
    with pytest.raises(ValueError, match=f"its recipe has {name} "):
        from_json({**mapping, name: value})
    assert isinstance(from_json(mapping), TextRecipe)


def test_the_fingerprint_is_of_the_text_and_of_how_it_is_read():
    one = tasks.Text(corpus()).fingerprint()
    assert one == tasks.Text(corpus()).fingerprint()
    others = tasks.Text(corpus("The cat")), tasks.Text(corpus(), 8), tasks.Text(corpus(), carries=False)
    assert len({one, *(task.fingerprint() for task in others)}) == 4


def test_a_text_of_no_symbols_is_its_prime():
    corpus = data.Corpus("t", "characters", np.frombuffer(b"to be or not to be " * 5, np.uint8))
    task = npseq.tasks.Text(corpus, window=4)
    model = npseq.Model("rnn", task.input_size, 2, task.output_size, loss=task.loss, outputs="all", rng=0)
    assert npseq.sample(model, 0, prime="to", vocabulary=task.vocabulary) == "to"
    with pytest.raises(ValueError, match="length must be at least 0; -1 given"):
        npseq.sample(model, -1, vocabulary=task.vocabulary)
