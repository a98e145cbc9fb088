"""Modules in the current folder, beside the data, are never imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import npseq

pytestmark = pytest.mark.wide

NAMES = """types signal json csv random tempfile threading struct pickle secrets queue socket logging numbers
statistics bisect decimal copy string calendar numpy scipy pandas npseq""".split()
CELL = "import json\nfrom npseq.cells import LSTMCell\nclass Mine(LSTMCell):\n    pass\n"


def test_no_command_and_no_worker_imports_from_the_current_folder(tmp_path, small_csv):
    assert len(NAMES) == 24
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text(f"open('imported', 'a').write('{name} ')\nraise ImportError('{name}')\n")
    (tmp_path / "data.csv").write_text(Path(small_csv).read_text())
    (tmp_path / "cell.py").write_text(CELL)
    (tmp_path / "text.txt").write_text("a text of few letters, " * 60)
    start = (
        tmp_path.parent / "start_npseq.py"
    )  # as the console script: Python puts its folder first, not the current one
    start.write_text("import sys\nfrom npseq.cli import main\nif __name__ == '__main__':\n    sys.exit(main())\n")
    environment = {**os.environ, "PYTHONPATH": str(Path(npseq.__file__).parent.parent), "OMP_NUM_THREADS": "1"}
    small = "--data data.csv --epochs 1 --hidden-size 2 --window 6 --base none --lags none --quiet"
    for command, status in [
        (f"compare --models rnn,gru --seeds 1 --jobs 2 {small}", 0),
        (f"train --cell cell.py {small}", 0),
        (f"train --model rnn {small}", 0),
        ("evaluate rnn_rnn_best.pth --data data.csv", 0),
        ("predict rnn_rnn_best.pth --data data.csv --output out.csv", 0),
        ("stream rnn_rnn_best.pth", 0),
        ("export rnn_rnn_best.pth --to model.h", 0),
        ("inspect rnn_rnn_best.pth", 0),
        ("exercise start rnn_step", 0),
        ("exercise grade rnn_step.py", 1),
        ("explain", 0),
        ("gradcheck --help", 0),
        (f"flow --models rnn --output f.csv {small.removesuffix(' --quiet')}", 0),
        ("train --data text.txt --task text --name text --epochs 1 --hidden-size 2 --quiet", 0),
        ("sample text.pth --length 3", 0),
        ("neurons text.pth --data text.txt --output n.html --length 30", 0),
    ]:
        done = subprocess.run(
            [sys.executable, str(start), *command.split()],
            cwd=tmp_path,
            env=environment,
            input=Path(small_csv).read_text(),
            capture_output=True,
            text=True,
        )
        assert not (tmp_path / "imported").exists(), f"{command}: {(tmp_path / 'imported').read_text()}"
        assert done.returncode == status, (command, done.stderr)
