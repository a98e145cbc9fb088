"""``npseq compare`` with lists: every setting is tried on the validation part, one is tested, and nothing is done twice."""

import json
import re
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from running import ended, status

from npseq.cli import compare, search
from npseq.training import run as run_module

GRID = "--hidden-size 2,3 --lr 0.001,0.01 --seeds 2 --epochs 1".split()


@pytest.fixture
def here(tmp_path, small_csv, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return ["--data", small_csv, "--models", "rnn", "--base", "seasonal"]


@pytest.mark.wide
def test_the_setting_with_the_smallest_validation_loss_is_kept_and_it_alone_is_tested(
    here, tmp_path, capsys, monkeypatch
):
    ran, fit = [], run_module.fit
    monkeypatch.setattr(run_module, "fit", lambda *a, **k: ran.append(k["progress"]) or fit(*a, **k))
    assert compare.main([*here, *GRID, "--json", "--output", "all.json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads((tmp_path / "all.json").read_text())
    assert len(ran) == 9 and ran[-1].epoch == 1 and not any(ran[:8])  # the last one had been done: it is kept
    mean = {}
    for run in found["runs"]:
        mean.setdefault((run["setting"]["hidden_size"], run["setting"]["lr"]), []).append(run["loss"])
        assert set(run) == set(search.RUN)  # nothing of the test part
    assert len(mean) == 4 and all(len(losses) == 2 for losses in mean.values())
    best = min(mean, key=lambda key: np.mean(mean[key]))
    assert (found["chosen"]["hidden_size"], found["chosen"]["lr"]) == best
    assert found["seed"] == int(np.argmin(mean[best]))
    # the file is that of the training by itself
    words = (
        f"--model rnn --hidden-size {best[0]} --lr {best[1]} --epochs 1 --seed {found['seed']} --out-dir other --quiet"
    )
    assert status([*here[:2], *here[4:], *words.split(), "--report", "one.json"]) == 0
    assert (tmp_path / "rnn_rnn_best.pth").read_bytes() == (tmp_path / "other" / "rnn_rnn_best.pth").read_bytes()
    assert json.loads((tmp_path / "one.json").read_text())["test"] == found["report"]["test"]
    # the table, from the record: best first, with the names of the options
    assert compare.main([*here, *GRID]) == 0
    shown = capsys.readouterr()
    rows = re.findall(r"^\| (\d) \| ([\d.]+) \| \d+ \| ([\d.]+) \(", shown.out, re.MULTILINE)
    assert [float(loss) for *_, loss in rows] == sorted(round(np.mean(losses), 5) for losses in mean.values())
    assert "| hidden size | lr | parameters | validation loss |" in shown.out and "8 runs are in " in shown.err


def test_a_search_that_was_interrupted_goes_on_where_it_stopped(here, monkeypatch, capsys):
    done = []

    def run(setting, seed, *_):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append((tuple(setting.values()), seed))
        found = dict.fromkeys(search.RUN) | {"setting": setting, "seed": seed, "losses": [1.0], "seconds": 0.0}
        return found | {"loss": 1.0, "best_epoch": 1}, None

    monkeypatch.setattr(search, "validate", run)
    monkeypatch.setattr(search.training_run, "train", lambda args, **_: SimpleNamespace(status=0, report=None))
    with pytest.raises(KeyboardInterrupt):
        compare.main([*here, *GRID])
    assert "the same command goes on" in capsys.readouterr().err
    done.append("the interruption")
    assert compare.main([*here, *GRID, "--quiet"]) == 0 == compare.main([*here, *GRID, "--quiet"])
    assert len(done) == 9 == len(set(done))
    assert compare.main([*here, *GRID, "--quiet", "--clip", "0.5"]) == 0  # another training: none of these is its own
    assert len(done) == 17


def stub(epochs_of):
    """A runner whose trainings give the loss hidden_size / epochs, and the epochs that each was given."""

    def run(setting, seed, *_):
        epochs_of.setdefault(setting["hidden_size"], []).append(setting.get("epochs", 8))
        loss = 1.0 if setting["hidden_size"] == 1 else setting["hidden_size"] / setting.get("epochs", 8)
        return {"setting": setting, "seed": seed, "loss": loss, "seconds": 0.0, "why": None, "parameters": 1}, None

    @contextmanager
    def runner(jobs):
        yield lambda validate, *call: partial(run, *call)

    return runner


class Kept(SimpleNamespace):
    def key(self, setting, seed):
        return repr((setting, seed))

    def add(self, key, run, progress):
        self.runs[key] = run


def test_of_trials_the_better_half_is_trained_for_twice_the_epochs(capsys):
    sizes = ",".join(str(size) for size in range(10, 50))
    args = compare.parser().parse_args(f"--hidden-size {sizes} --trials 6 --trials-seed 3 --seeds 1 --quiet".split())
    args.models = ["rnn"]
    drawn = [setting["hidden_size"] for setting in search.settings_of(args)]
    assert len(drawn) == 6 == len(set(drawn)) and drawn == [s["hidden_size"] for s in search.settings_of(args)]
    args.trials_seed = 4
    assert drawn != [setting["hidden_size"] for setting in search.settings_of(args)]
    args.trials_seed, epochs_of = 3, {}
    tried = search._tried(args, None, 8, Kept(runs={}), str, stub(epochs_of))
    smallest = sorted(drawn)
    assert [epochs_of[size] for size in smallest] == [[2, 4, 8], [2, 4, 8], [2, 4], [2], [2], [2]]
    assert [one.setting["hidden_size"] for one in tried] == smallest


@pytest.mark.parametrize("trials, epochs, times", [(1, 8, 0), (2, 8, 1), (8, 8, 3), (9, 8, 3), (8, 3, 1), (8, 1, 0)])
def test_settings_are_halved_until_one_is_left_or_an_epoch_at_the_start(trials, epochs, times):
    args = compare.parser().parse_args(["--trials", str(trials)])
    assert search.halvings(args, trials, epochs) == times


@pytest.mark.parametrize(
    "argv, word",
    [
        (["--hidden-size", "2,x"], "'x' given"),
        (["--dropout", "0,1.5"], "--dropout"),
        (["--hidden-size", "2,3", "--seed", "1"], "--seed"),
        (["--trials", "0"], "--trials"),
        (["--lr", "0.1,0.2", "--output", "rnn_rnn_best.pth"], "same file"),
        (["--lr", "0.1,0.2", "--output", "."], "is a folder"),
        (["--lr", "0.1,0.2", "--name", "a", "--report", "a_search.json"], "same file"),
        (["--dropout", "0.1,0.2"], "no setting could be trained"),
        (["--hidden-size", "2,3", "--name", "broken"], "broken_search.json is no record"),
    ],
)
def test_a_search_refuses_in_one_line(here, tmp_path, capsys, argv, word):
    (tmp_path / "broken_search.json").write_text('{"a": {"loss": "x"}}')
    assert ended(compare.main, [*here, "--seeds", "1", "--epochs", "1", *argv, "--quiet"]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and word in message and not list(tmp_path.glob("*.pth"))
    records = [path.name for path in tmp_path.glob("*.json")]  # there is one if something was trained
    assert records == ["broken_search.json"] or word == "no setting could be trained"


def test_a_setting_that_diverges_is_told_in_the_table_and_the_others_go_on(here, capsys):
    argv = [*here, "--lr", "0.001,1e38", "--optimizer", "sgd", "--seeds", "1", "--epochs", "1", "--hidden-size", "2"]
    assert compare.main(argv) == 0
    shown = capsys.readouterr().out
    assert (
        re.search(r"\| 1e\+38 \|  \| the .* is no longer finite in epoch 1", shown)
        and "chosen      --model rnn" in shown
    )


def test_a_run_of_lbfgs_is_trained_again(here, capsys):
    assert compare.main([*here, "--optimizer", "lbfgs", "--hidden-size", "2,3", "--seeds", "1", "--epochs", "1"]) == 0
    assert "trained again, kept and tested\n" in capsys.readouterr().out


def test_one_value_of_each_is_a_comparison_of_models_and_keeps_no_file(here, tmp_path, capsys):
    assert compare.main([*here, "--hidden-size", "2", "--seeds", "1", "--epochs", "1"]) == 0
    assert "**rnn**" in capsys.readouterr().out and list(tmp_path.iterdir()) == []


@pytest.mark.wide
def test_the_python_of_the_page_runs(capsys):
    page = (Path(__file__).parents[2] / "docs" / "tune.md").read_text(encoding="utf-8")
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(block, {})
    assert re.search(r"^1 \d\.\d+ .*\nchosen: [48]$", capsys.readouterr().out, re.DOTALL | re.MULTILINE)
