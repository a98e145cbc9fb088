"""The first page of the site: everything a new user wants is one command there, and each runs."""

import html
import importlib.util
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from npseq.cli import commands
from npseq.data.sources import shipped

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "index.md").read_text(encoding="utf-8")
TABLE = [
    (row[0], re.findall(r"`(npseq [^`]*)`", row[1])) for row in re.findall(r"^\| (.+?) \| (`npseq.*) \|$", PAGE, re.M)
]


def write_data(folder):
    """The reader's own tables, and a short text."""
    rng = np.random.default_rng(0)
    hours = np.datetime64("2024-01-01T00") + np.arange(600)
    load = 100 + 20 * np.sin(np.arange(600) / 3.82) + rng.normal(0, 3, 600)
    lines = [f"{hour},{value:.2f}\n" for hour, value in zip(hours, load)]
    for name, rows in ("yours", lines[:500]), ("new", lines[400:]):
        (folder / f"{name}.csv").write_text("hour,load\n" + "".join(rows))
    for name in "cycles", "new_cycles":
        rows = [f"{k},{rng.normal(k % 2):.2f},{'ab'[k % 2]}\n" for k in range(40) for _ in range(12)]
        (folder / f"{name}.csv").write_text("cycle,current,state\n" + "".join(rows))
    sales = [f"s{k},{hour},{(k + 1) * value:.2f}\n" for k in range(3) for hour, value in zip(hours[:200], load)]
    (folder / "sales.csv").write_text("unique_id,ds,y\n" + "".join(sales))
    text = Path(shipped("tiny_shakespeare.txt")).read_text(encoding="utf-8")[:30_000]
    (folder / "short.txt").write_text(text)


def test_the_page_says_how_to_do_what_a_new_user_wants():
    wanted = {
        "forecast 48 rows, with a picture": ["predict", "--steps 48", "--plot"],
        "tune": ["compare", "--hidden-size 16,32"],
        "compare models": ["compare", "--models"],
        "resume": ["train", "--resume"],
        "label sequences": ["train", "--label"],
        "predict new rows": ["predict", "new.csv"],
        "export to ONNX, or to C": ["export", "--to"],
    }
    found = dict(TABLE)
    assert all(all(word in found[what][0] for word in words) for what, words in wanted.items())
    assert "pip install ." in PAGE and "CPU only" in PAGE and "](forecast.svg)" in PAGE
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", PAGE):
        assert target == "options.md" or (DOCS / target).exists(), target


@pytest.mark.wide
def test_each_of_its_commands_runs(tmp_path, monkeypatch, capsys):
    """A training has one epoch and few units: the last word counts."""
    for module in ("pandas", "matplotlib"):
        pytest.importorskip(module)
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path)
    assert len(TABLE) == 14
    for what, lines in TABLE:
        for line in lines:
            words = shlex.split(html.unescape(line))[1:]
            if "--resume" in words:
                words[words.index("--epochs") + 1] = "2"
            elif words[0] in ("train", "compare"):
                words += ["--epochs", "1"] + ["--hidden-size", "4"] * (what != "tune")
            words = ["short.txt" if word == "tiny_shakespeare" else word for word in words]
            assert commands.main(words) == 0, (what, line, capsys.readouterr().err)
    written = "trained.png forecast.csv forecast.png errors.png predictions.csv compare.png tuned.pth states.csv model.onnx model.h"
    assert all((tmp_path / name).stat().st_size > 200 for name in written.split())
    assert (tmp_path / "forecast.csv").read_text().count("\n") == 49
    assert (tmp_path / "all.csv").read_text().count("\n") == 3 * 24 + 1


@pytest.mark.wide
def test_its_ten_lines_run(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(code.replace("epochs=10", "epochs=1"), {})
    assert "better than the best baseline" in capsys.readouterr().out
    assert all((tmp_path / name).exists() for name in ("forecast.png", "errors.png", "traffic.pth"))


def test_the_page_of_all_options_has_every_option_of_every_command():
    spec = importlib.util.spec_from_file_location("make_options", DOCS / "make_options.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = module.page()
    for name, (place, _) in commands.COMMANDS.items():
        section = page[page.index(f"### npseq {name}\n") :].split("\n### ")[0]
        parser = importlib.import_module(place).parser()
        for action in parser._actions:
            if action.option_strings and action.dest != "help":
                assert f"`{action.option_strings[-1]}" in section, (name, action.dest)
    assert "`--sep CHARACTER` ° |" in page and "`--lr RATE` |" in page
