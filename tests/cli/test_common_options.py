"""``--seed``, ``--quiet`` and ``--json`` mean the same in every command."""

import importlib
import json

import pytest

from npseq.cli import arguments, commands

PARSERS = {name: importlib.import_module(module).parser for name, (module, _) in commands.COMMANDS.items()}


def actions(parser):
    """The options of a command, with those of its own subcommands."""
    for action in parser._actions:
        yield action
        for inner in (action.choices or {}).values() if hasattr(action, "_name_parser_map") else ():
            yield from actions(inner)


@pytest.mark.parametrize("command", PARSERS)
def test_an_option_of_one_name_is_one_option(command):
    for action in actions(PARSERS[command]()):
        assert "None" not in (action.help or "")  # no default is none
        if "--seed" in action.option_strings:
            assert action.type is arguments.seed and action.default == (None if command == "sample" else 0)
        if "--quiet" in action.option_strings:
            assert action.help == "print nothing but errors"
        if "--json" in action.option_strings:
            assert action.help == "print the result as JSON and nothing else"


@pytest.mark.parametrize(
    "values",
    [
        {"lags": [24, 48], "target": ["a", "b c"], "hidden_size": 5, "header": False},
        {"lags": [], "future": None, "header": True, "na": ["-9", "x"], "lr": 0.25},
    ],
)
def test_values_that_a_file_keeps_are_those_that_were_typed(values):
    found = vars(PARSERS["train"]().parse_values(values))
    assert {name: found[name] for name in values} == values


GRADCHECK = ["gradcheck", "--model", "gru", "--layers", "1", "--directions", "1", "--lengths", "mixed"]
COMPARE = "compare --models rnn --seeds 1 --epochs 1 --hidden-size 2 --base none --data".split()


@pytest.mark.wide
def test_what_is_quiet_prints_nothing_if_all_is_well(small_csv, capsys):
    for argv in (GRADCHECK, [*COMPARE, small_csv]):
        assert commands.main([*argv, "--quiet"]) == 0
        assert capsys.readouterr() == ("", "")
    assert commands.main([*GRADCHECK, "--quiet", "--break", "z-swapped"]) == 1
    assert "WRONG" in capsys.readouterr().out


@pytest.mark.wide
def test_json_is_one_value(small_csv, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert commands.main(["train", "--data", small_csv, *"--base none --hidden-size 2 --epochs 1 --quiet".split()]) == 0
    assert commands.main(["inspect", "rnn_lstm_best.pth", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"name": "rnn.weight_hh_l0", "dtype": "float32", "shape": [8, 2]} in found["tensors"]
    assert found["metadata"]["recipe"]["task"] == "forecast"
    assert commands.main([*COMPARE, small_csv, "--json"]) == 0
    (report,) = json.loads(capsys.readouterr().out)["rnn"]
    assert report["best_epoch"] in (0, 1)
    for extra, verdict, exit_status in ([], "right", 0), (["--break", "z-swapped"], "wrong", 1):
        assert commands.main([*GRADCHECK, "--json", *extra]) == exit_status
        found = json.loads(capsys.readouterr().out)
        assert found["verdict"] == verdict and found["checks"][0]["verdict"] == verdict
        assert (found["checks"][0]["error"] > found["allowed"]) == (verdict == "wrong")
