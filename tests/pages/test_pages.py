"""Pages whose Python blocks run in order and print what the text block behind them shows."""

import contextlib
import io
import re
from pathlib import Path

import pytest

import npseq

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ["gradcheck.md", "check_your_code.md", "keras.md", "estimators.md"]


@pytest.mark.wide
@pytest.mark.parametrize("page", PAGES)
def test_every_block_runs_and_prints_what_it_shows(page, tmp_path, monkeypatch):
    if page == "estimators.md":
        pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    text = (DOCS / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```\n(?:```text\n(.*?)```)?", text, re.DOTALL)
    names: dict = {}
    assert blocks and any(shown for _, shown in blocks)
    for code, shown in blocks:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code, names)
        assert printed.getvalue() == shown, code


def test_the_block_of_the_onnx_page_writes_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for code in re.findall(r"```python\n(.*?)```", (DOCS / "onnx.md").read_text(encoding="utf-8"), re.DOTALL):
        exec(code, {})
    assert (tmp_path / "gru.onnx").stat().st_size > 500


@pytest.mark.wide
def test_the_forecaster_of_the_forecasts_page_runs_and_its_file_is_a_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (DOCS / "forecasts.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text[text.index("## In Python") :], re.DOTALL)
    names: dict = {}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, names)
    assert names["forecast"].shape == (24, 3) and "persistence" in printed.getvalue()
    assert npseq.load("forecaster.pth").kind == "optimized_gru"
    answers = [names["stream"].step(float(value)) for value in names["values"][:200]]
    assert abs(answers[-1].item() - names["values"][200]) < 25  # noise of deviation 3 about a wave of height 20
