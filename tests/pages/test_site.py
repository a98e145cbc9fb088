"""The built site: no page asks anything of another host, every equation is shown, the notebook runs."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from browser import drive

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.wide
PAGES = ["index", "study", "study.zh-CN", "tour", "tour.zh-CN", "derivation", "ten_steps", "glossary", "start"]
PAGES += ["from_csv_to_decision"]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The pages, without the reference, which takes most of the time, and with the notebook not run."""
    python = Path(sys.executable)
    if importlib.util.find_spec("sphinx") is None:
        python = ROOT / ".venv-docs" / "bin" / "python"
    if not python.exists():
        pytest.skip("sphinx is not installed: run make docs")
    folder = tmp_path_factory.mktemp("site")
    options = ["-D", "exclude_patterns=_build,reference", "-D", "nb_execution_mode=off", "-q", "-b", "html"]
    command = [python, "-m", "sphinx", *options, ROOT / "docs", folder / "html", "-d", folder / "trees"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder / "html"


def test_no_page_asks_anything_of_another_host_and_every_equation_is_shown(site, tmp_path):
    from npseq.explain import page

    (site / "explain.html").write_text(page.build(), encoding="utf-8")
    pages = {name: (site / f"{name}.html").as_uri() for name in [*PAGES, "explain"]}
    seen = drive("drive_site.js", {"pages": list(pages.values())}, tmp_path)
    for name, url in pages.items():
        found = seen[url]
        assert found["elsewhere"] == [] and found["asked"] >= 1, name
        assert found["shown"] == found["all"] and found["raw"] == 0 and found["images"] == [], (name, found)
    assert seen[pages["derivation"]]["all"] > 100
    downloads = list(site.glob("_downloads/*/from_csv_to_decision.ipynb"))
    assert downloads and "explain.html" in (site / "study.html").read_text(encoding="utf-8")


def test_the_notebook_runs_from_the_file_to_the_decision(capsys, monkeypatch):
    pytest.importorskip("pandas")
    notebook = json.loads((ROOT / "docs" / "from_csv_to_decision.ipynb").read_text(encoding="utf-8"))
    names: dict = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []  # the build runs it
            exec(
                "".join(cell["source"]).replace("epochs=3", "epochs=1").replace("hidden_size=16", "hidden_size=4"),
                names,
            )
    out = capsys.readouterr().out
    assert "close the lane on" in out and "the worst case" in out and "best fixed time" in out
