"""docs/text.md: its programs run, and the one in torch gives the model's own logits."""

import re
from pathlib import Path

import numpy as np
import pytest

import npseq

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "text.md").read_text(encoding="utf-8")
OURS, THEIRS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_the_program_in_npseq_runs(capsys):
    exec(OURS, {})
    out = capsys.readouterr().out.splitlines()
    assert re.match(r"4\.\d\d nats before training", out[0]) and out[1] == "ROMEO:"


def test_the_program_in_torch_loads_the_file_and_writes_what_the_model_would(tmp_path, monkeypatch, capsys):
    torch = pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    source = npseq.data.shipped(npseq.data.SHIPPED_TEXTS["tiny_shakespeare"])
    Path("tiny_shakespeare.txt").write_bytes(Path(source).read_bytes())
    task = npseq.tasks.Text(npseq.data.load_corpus("tiny_shakespeare"))
    V = task.input_size
    model = npseq.Model("lstm", V, 256, V, loss=task.loss, outputs="all", embedding_size=64, rng=0)
    npseq.save("rnn_lstm_best.pth", model)
    torch.manual_seed(0)
    names = {}
    exec(THEIRS, names)
    assert names["characters"] == list(task.vocabulary.characters) and len(names["ids"]) == 106
    assert capsys.readouterr().out.startswith("ROMEO:")
    y = model.outputs(np.array([names["ids"][:-1]]))  # the whole text at once: the state was carried as it should be
    assert np.abs(y[0, -1, :-1] - names["logits"].detach().numpy()).max() < 1e-5


def test_the_commands_of_the_page_are_options_of_the_commands():
    from npseq.cli import neurons, sample, sequences, training_run

    assert sequences.make
    parsers = {"train": training_run.parser(), "sample": sample.parser(), "neurons": neurons.parser()}
    known = {name: set(p._option_string_actions) for name, p in parsers.items()}
    found = re.findall(r"npseq (train|sample|neurons) ([^`\n#]*)", TEXT)
    assert len(found) >= 7
    for command, options in found:
        assert set(re.findall(r"--[a-z-]+", options)) <= known[command], options


def rows_of(page):
    """The rows of every table: first cell -> the numbers after it."""
    found = re.findall(r"^\| ([^|]+) \| (\d\.\d{3}) \|(?: (\d\.\d{3}) \|)?", page, re.MULTILINE)
    return {name: [float(number) for number in numbers if number] for name, *numbers in found}


@pytest.mark.wide
def test_the_tables_have_the_n_grams_that_are_counted():
    shown = rows_of(TEXT)
    task = npseq.tasks.Text(npseq.data.load_corpus("tiny_shakespeare"), split=(0.9, 0.1, 0))
    for name, scores in task.baselines().items():
        assert shown[name] == pytest.approx([scores["nats"], scores["bits"]], abs=0.0006), name
    assert all(bits == pytest.approx(nats / np.log(2), abs=0.0015) for nats, bits in shown.values())


def test_the_defaults_of_the_page_are_those_of_the_command():
    from npseq.training.config import DEFAULTS

    said = re.search(r"The defaults of a text[^:]*: `([^`]*)`", TEXT)[1].split()
    pairs = dict(zip(said[::2], said[1::2]))
    assert {name.lstrip("-").replace("-", "_"): value for name, value in pairs.items()} == {
        name: str(value) for name, value in DEFAULTS["text"].items()
    }
