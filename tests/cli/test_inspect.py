"""``npseq inspect``: a card of the model from the file alone, which says what the training was and what it found."""

import json
import re

import numpy as np
import pytest
from running import status

from npseq import checkpoint
from npseq.cli import commands


@pytest.fixture(scope="module")
def trained(tmp_path_factory, small_csv):
    folder = tmp_path_factory.mktemp("card")
    words = f"--data {small_csv} --model gru --hidden-size 3 --epochs 2 --lr 0.002 --base linear --window 6 --horizon 2"
    assert status([*words.split(), "--quiet", "--out-dir", str(folder), "--report", str(folder / "r.json")]) == 0
    return str(folder / "rnn_gru_best.pth"), json.loads((folder / "r.json").read_text())


def test_the_card_has_data_split_settings_scores_base_and_a_hash(trained, capsys):
    file, report = trained
    assert commands.main(["inspect", file]) == 0
    shown = capsys.readouterr().out
    card = dict(re.findall(r"^(\w[\w ]{0,10}?)  +(.*)$", shown.split("\n\n")[0], re.MULTILINE))
    assert card["task"] == "forecast" and re.fullmatch(r"small.csv, hash [0-9a-f]{16}", card["data"])
    assert card["target"] == "load; 2 rows ahead, from the last 6" and card["base"].startswith("load: ")
    assert card["trained on"].startswith("428 rows up to 2024-03-") and card["split"].endswith(" test")
    assert card["settings"].startswith("model gru, epochs 2, hidden_size 3, lr 0.002, ")
    assert card["validation"].startswith(f"loss {min(r['validation_loss'] for r in report['history']):.5g}"[:8])
    assert f"the model: rmse {report['test']['rmse']:.5g}, mae {report['test']['mae']:.5g}" in shown
    assert f"persistence: rmse {report['baselines']['persistence']['rmse']:.5g}" in shown
    assert "rnn.weight_hh_l0" in shown and "own metadata" not in shown
    assert commands.main(["inspect", file, "--all"]) == 0 and "npseq's own metadata" in capsys.readouterr().out


def test_the_report_holds_every_setting(trained):
    settings = trained[1]["settings"]
    typed = {"hidden_size": 3, "lr": 0.002, "base": "linear", "window": 6, "horizon": 2, "epochs": 2}
    assert settings | typed == settings and {"clip", "optimizer", "patience", "scale", "dtype"} <= set(settings)


@pytest.mark.parametrize("card", [{"scores": 3, "split": [1], "settings": {"a": None}}, {"validation_loss": "x"}, {}])
def test_a_card_of_any_content_is_shown(trained, tmp_path, capsys, card):
    found = checkpoint.load(trained[0])
    metadata = {**found.metadata, "card": {**card, "scores": {"model": {"targets": {"a": [1]}, "rmse": 10**30}}}}
    checkpoint.save(tmp_path / "a.pth", {name: np.asarray(value) for name, value in found.content.items()}, metadata)
    assert commands.main(["inspect", str(tmp_path / "a.pth")]) == 0
    assert capsys.readouterr().out.startswith("task        forecast\n")
