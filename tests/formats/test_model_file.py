"""Models in weights files: which of several weights, what stands beside them, and what a file may claim."""

import json
import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import npseq
from npseq import checkpoint
from npseq.checkpoint import CheckpointError
from npseq.cli import commands
from npseq.formats.model_file import save_model
from npseq.nn.layers import Recurrent

X = np.random.default_rng(1).normal(size=(2, 5, 3)).astype("f4")


def weights(seed=0, kind="lstm", **options):
    """A model and its state_dict, as torch has it."""
    model = npseq.Model(kind, 3, 4, 2, rng=seed, **options)
    return model, model.state_dict()


def loaded(tmp_path, content, *names, **options):
    checkpoint.save(tmp_path / "m.pth", content)
    return npseq.load(tmp_path / "m.pth", *names, **options)


def refusal(tmp_path, content, **options):
    with pytest.raises(CheckpointError) as error:
        loaded(tmp_path, content, **options)
    message = str(error.value)
    assert "m.pth" in message and "\n" not in message
    return message


# ---- several state_dicts ----


@pytest.mark.parametrize(
    "wrap, names",
    [
        (lambda a, b: {"epoch": 9, "model": a, "model_ema": b}, ["model", "model_ema"]),
        (lambda a, b: {"state_dict": a, "best_state_dict": b}, ["state_dict", "best_state_dict"]),
        (
            lambda a, b: {"nets": {"g": a, "d": b}, "optimizer": {"state": {0: {"step": np.ones(1)}}}},
            ["nets.g", "nets.d"],
        ),
        (lambda a, b: [a, (b,)], ["0", "1.0"]),
        (lambda a, b: {**a, "ema": b}, [".", "ema"]),
    ],
)
def test_of_several_weights_none_is_taken_unasked_and_each_can_be_named(tmp_path, wrap, names):
    (first, a), (second, b) = weights(0), weights(1)
    content = wrap(a, b)
    message = refusal(tmp_path, content)
    assert f"has 2 state_dicts, {names[0]!r}, {names[1]!r}" in message
    for name, model in zip(names, (first, second)):
        found = loaded(tmp_path, content, weights=name)
        assert np.array_equal(found.theta, model.theta)
    expression = re.search(r"alone: (.*) \(and 1 more\)$", message).group(1)
    layer = eval(expression, {"npseq": npseq, "path": tmp_path / "m.pth"})
    assert np.array_equal(layer.theta, first.rnn.theta)
    assert f"no weights 'x'; {names[0]!r}, {names[1]!r} expected" in refusal(tmp_path, content, weights="x")
    with pytest.raises(CheckpointError, match="2 state_dicts"):
        _ = checkpoint.load(tmp_path / "m.pth").state_dict


def test_weights_under_the_prefix_of_their_names_can_be_named(tmp_path):
    (first, a), (second, b) = weights(0), weights(1)
    content = {**{"online_model." + k: v for k, v in a.items()}, **{"ema_model.module." + k: v for k, v in b.items()}}
    assert "2 recurrent layers in it, under 'online_model.rnn.' 'ema_model.module.rnn.'" in refusal(tmp_path, content)
    assert np.array_equal(loaded(tmp_path, content, weights="ema_model").theta, second.theta)
    assert np.array_equal(loaded(tmp_path, {"state_dict": content}, weights="online_model").theta, first.theta)


def test_one_state_dict_is_found_under_any_name_beside_tensors_of_other_things(tmp_path):
    model, state = weights()
    content = {"loss": np.ones(3), "optimizer": {"state": {0: {"exp_avg": np.ones((4, 3))}}}, "runs": [{"net": state}]}
    assert np.array_equal(loaded(tmp_path, content).theta, model.theta)


def test_layers_without_a_head_are_refused_with_the_expression_that_reads_them(tmp_path):
    layers = [npseq.GRU(3, 4, rng=k) for k in range(2)]
    content = {"iteration": 7, "en": layers[0].state_dict(), 'd"e\n': layers[1].state_dict()}
    assert "has 2 state_dicts, 'en', " in refusal(tmp_path, content)
    message = refusal(tmp_path, content, weights="en")
    assert "none; the weight and bias of one linear layer expected" in message
    expression = re.search(r"alone: (.*) \(and 1 more\)$", message).group(1)
    assert '.content["en"]' in expression
    layer = eval(expression, {"npseq": npseq, "path": tmp_path / "m.pth"})
    assert np.array_equal(layer.theta, layers[0].theta)


# ---- tensors beside the weights ----


@pytest.mark.parametrize(
    "name, value",
    [
        ("n_averaged", np.array(7)),
        ("criterion.weight", np.ones(2, "f4")),
        ("loss_fn.pos_weight", np.ones(2, "f4")),
        ("val_loss.mean_value", np.array(0.5, "f4")),
        ("val_loss.weight", np.array(2.0, "f4")),
        ("scale_mean", np.zeros(3, "f4")),
        ("accuracy.confmat", np.ones((2, 2), int)),
        ("mask", np.ones((4, 4), bool)),
    ],
)
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_tensor_of_no_layer_is_passed_over_and_named(tmp_path, name, value, prefix):
    model, state = weights()
    content = {name: value, **{prefix + k: v for k, v in state.items()}}
    with pytest.warns(UserWarning, match=f"passed over, as no part of the model: {name} {value.dtype} ") as told:
        found = loaded(tmp_path, content, read="final")
    assert np.array_equal(found.outputs(X), model.outputs(X)) and len(told) == 1


@pytest.mark.parametrize(
    "others",
    [
        {"proj.weight": np.ones((4, 4))},
        {"conv.weight": np.ones((2, 4, 3))},
        {"norm.weight": np.ones(2), "norm.bias": np.ones(2)},
        {"bn.running_mean": np.ones(2), "bn.weight": np.ones(2)},
        {"rms.weight": np.ones(4)},
        {"prelu.weight": np.ones(1)},
        {"h0": np.ones((1, 4))},
        {"out.bias": np.ones(3)},
    ],
    ids=str,
)
def test_a_tensor_of_another_layer_is_refused_by_name(tmp_path, others):
    message = refusal(tmp_path, {**weights()[1], **others})
    assert list(others)[0] in message and message.endswith(', "rnn.")')  # the one layer, and no more


def test_many_tensors_of_no_layer_are_counted(tmp_path):
    content = {**weights()[1], **{f"count{k}": np.array(k) for k in range(9)}}
    with pytest.warns(UserWarning, match=r"count5 int64 \(\), … \(3 more\)$"):
        loaded(tmp_path, content)


def test_a_list_of_averaged_weights_beside_the_weights_is_named(tmp_path):
    model, state = weights()
    shadows = list(state.values())
    content = {"model": state, "ema": {"decay": 0.99, "shadow_params": shadows}, "losses": [np.ones(3)] * 9}
    with pytest.warns(UserWarning, match="passed over, as no part of the model: the list ema.shadow_params$"):
        found = loaded(tmp_path, content)
    assert np.array_equal(found.theta, model.theta)


def test_parts_that_were_saved_one_by_one_are_named(tmp_path):
    _, state = weights()
    content = {part: {k[len(part) + 1 :]: v for k, v in state.items() if k.startswith(part)} for part in ("rnn", "fc")}
    content["optimizer"] = {"state": {0: {"exp_avg": np.ones(3)}}}
    message = refusal(tmp_path, content)
    assert "dicts of tensors in it: 'rnn', 'fc'; a recurrent layer alone: " in message


# ---- what a file may claim ----

HUGE = 10**9
CLAIMS = {  # shapes of arrays, and sizes that the metadata claim with them
    "inputs of a layer without rows": ({"rnn.weight_ih_l0": (0, HUGE)}, {"input_size": HUGE}),
    "rows": ({"rnn.weight_ih_l0": (12, 3)}, {}),
    "a head without inputs": ({"fc.weight": (HUGE, 0)}, {"output_size": HUGE}),
    "layers": ({f"rnn.weight_hh_l{k}": () for k in range(1, 2000)}, {"num_layers": 2000}),
    "units": ({"rnn.weight_hh_l0": (0, HUGE)}, {"hidden_size": HUGE}),
    "units and inputs": ({"rnn.weight_hh_l0": (0, HUGE), "rnn.weight_ih_l0": (0, HUGE)}, {"input_size": HUGE}),
    "indices": ({"embedding.weight": (HUGE, 0)}, {"input_size": HUGE, "embedding_size": 3}),
}


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize(
    "claim", [pytest.param(claim, marks=[pytest.mark.wide] * (claim == "layers")) for claim in CLAIMS]
)
def test_shapes_are_compared_before_anything_is_made(tmp_path, claim, own):
    model, state = weights()
    shapes, sizes = CLAIMS[claim]
    state.update({name: np.zeros(shape, "f4") for name, shape in shapes.items()})
    metadata = {"npseq": 2, "config": {**model.config, **sizes}, "scaling": None}
    checkpoint.save(tmp_path / "m.pth", state, metadata if own else None)
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError, match="m.pth holds no model that npseq knows: "):
            npseq.load(tmp_path / "m.pth")
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_lists_in_lists_are_gone_through_once(tmp_path):
    content = [weights()[1]]
    for _ in range(6):
        content = [content] * 100
    assert len(checkpoint.Checkpoint({"nets": content}).names()) == 1


@pytest.mark.parametrize("own", [True, False])
def test_nothing_is_drawn_before_the_weights_of_a_file(tmp_path, monkeypatch, own):
    model, _ = weights(recurrent_init="orthogonal", embedding_size=0)
    path = tmp_path / "m.pth"
    save_model(path, model)
    if not own:
        checkpoint.save(path, checkpoint.load(path).content)
    monkeypatch.setattr(Recurrent, "_initialise", None)
    found = npseq.load(path)
    assert np.array_equal(found.theta, model.theta)
    assert found.rnn.rng.random() >= 0  # dropout draws
    monkeypatch.undo()
    assert npseq.LSTM(2, 3).theta.any() and npseq.Linear(2, 3).theta.any() and npseq.Embedding(2, 3).theta.any()


@pytest.mark.parametrize("argv", [["evaluate"], ["train", "--resume"]])
@pytest.mark.parametrize("version, words", [(99, "format 99"), ("1", "format '1'"), (True, "format True")])
def test_a_newer_or_unknown_format_is_refused_by_its_number(tmp_path, capsys, argv, version, words):
    options = "--data adding --length 4 --batch-size 512 --epochs 1 --quiet --checkpoint --hidden-size 2 --out-dir"
    assert commands.main(["train", *options.split(), str(tmp_path)]) == 0
    kind = "last" if "--resume" in argv else "best"
    path = tmp_path / f"rnn_lstm_{kind}.pth"
    file = checkpoint.load(path)
    assert file.metadata["npseq"] == 2
    file.metadata["npseq"] = version
    checkpoint.save(path, file.content, file.metadata)
    with pytest.raises(SystemExit) as end:
        commands.main([*argv, str(path)])
    message = capsys.readouterr().err
    assert end.value.code == 2 and message.count("\n") == 1 and words in message
    assert "up to 2" in message or "from 1 to 2" in message


# ---- the commands ----


@pytest.mark.wide
def test_the_commands_take_the_name_of_the_weights(tmp_path, small_csv, capsys):
    small = ["--data", small_csv, *"--base none --hidden-size 2 --quiet --epochs 1 --out-dir".split()]
    assert commands.main(["train", *small, str(tmp_path / "a")]) == 0
    best, file = tmp_path / "a" / "rnn_lstm_best.pth", str(tmp_path / "m.pth")
    kept = checkpoint.load(best)
    other = {name: array + np.float32(0.5) for name, array in kept.state_dict.items()}
    checkpoint.save(file, {"model": kept.content, "model_ema": other}, kept.metadata)
    data, out = ["--data", small_csv], str(tmp_path / "out.csv")
    uses = {
        "evaluate": ["evaluate", file, *data],
        "predict": ["predict", file, *data, "--output", out],
        "export": ["export", file, "--to", str(tmp_path / "m.h")],
        "a layer": ["export", file, "--to", str(tmp_path / "m.h"), "--prefix", "rnn."],
        "train": ["train", *small, str(tmp_path / "b"), "--lr", "1e-12", "--init", file],
    }
    for argv in uses.values():
        with pytest.raises(SystemExit) as end:
            commands.main(argv)
        message = capsys.readouterr().err
        assert end.value.code == 2 and message.count("\n") == 1 and "2 state_dicts, 'model', 'model_ema'" in message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "m.pth"]
    said = {}
    for name in ("model", "model_ema"):
        for use, argv in uses.items():
            assert commands.main([*argv, "--weights", name]) == 0, use
            said[use, name] = capsys.readouterr().out
        said["predict", name] = Path(out).read_text()
        said["export", name] = (tmp_path / "m.h").read_text()
        begun = npseq.load(tmp_path / "b" / "rnn_lstm_best.pth")
        assert np.allclose(begun.rnn.theta, npseq.load(file, weights=name).rnn.theta, atol=1e-4)
    assert all(said[use, "model"] != said[use, "model_ema"] for use in ("evaluate", "predict", "export"))
    with pytest.raises(SystemExit) as end:
        commands.main(["train", *small, str(tmp_path / "b"), "--weights", "model"])
    assert end.value.code == 2 and "--init, and there is none" in capsys.readouterr().err


def test_inspect_counts_each_state_dict_or_the_one_that_is_named(tmp_path, capsys):
    path = str(tmp_path / "m.pth")
    checkpoint.save(path, {"model": weights()[1], "ema": {**weights()[1], "n_averaged": np.array(3)}})
    assert commands.main(["inspect", path]) == 0
    assert "\n6 tensors in model, 154 parameters\n7 tensors in ema, 155 parameters\n" in capsys.readouterr().out
    assert commands.main(["inspect", path, "--weights", "ema", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["parameters"] == 155 and shown["tensors"][-1]["name"] == "n_averaged"
    assert commands.main(["inspect", path, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tensors"][0]["name"] == "model.rnn.weight_ih_l0"
    with pytest.raises(SystemExit) as end:
        commands.main(["inspect", path, "--weights", "x"])
    assert end.value.code == 2 and "'model', 'ema' expected" in capsys.readouterr().err
