"""docs/promises.md: files of 0.2.0, kept in tests/files, are read with the same predictions. They are never made again."""

import csv
from pathlib import Path

import numpy as np
import pytest

from npseq.cli import commands

FILES = Path(__file__).parents[1] / "files"


def rows_of(path):
    with open(path) as file:
        return list(csv.DictReader(file))


def test_a_forecaster_of_0_2_0_predicts_what_it_did(tmp_path, capsys):
    k = np.arange(200)
    load = 50 + 10 * np.sin(2 * np.pi * k / 24) + ((k * 7919) % 13) / 13
    hours = np.datetime64("2024-01-01T00") + k
    (tmp_path / "d.csv").write_text("hour,load\n" + "".join(f"{h},{v:.4f}\n" for h, v in zip(hours, load)))
    argv = [str(FILES / "forecast_0_2_0.pth"), "--data", str(tmp_path / "d.csv"), "--output", str(tmp_path / "p.csv")]
    assert commands.main(["predict", *argv, "--steps", "4"]) == 0
    found = [float(row["load"]) for row in rows_of(tmp_path / "p.csv")]
    assert np.allclose(found, [59.4245014, 57.98418913, 55.0725396, 52.81987541], rtol=1e-4)
    assert commands.main(["inspect", argv[0]]) == 0
    assert "hidden_size 2" in capsys.readouterr().out


def test_a_classifier_of_0_2_0_answers_what_it_did(tmp_path):
    pytest.importorskip("pandas")
    lines = ["id,a,b,kind"]
    for s in range(40):
        for t in range(5):
            a, b = (s % 2) * 2 + ((s * 31 + t * 17) % 11) / 11, ((s * 13 + t * 7) % 5) / 5
            lines.append(f"{s},{a:.4f},{b:.4f},{'xy'[s % 2]}")
    (tmp_path / "d.csv").write_text("\n".join(lines) + "\n")
    argv = [str(FILES / "classes_0_2_0.pth"), "--data", str(tmp_path / "d.csv"), "--output", str(tmp_path / "p.csv")]
    assert commands.main(["predict", *argv]) == 0
    found = [float(row["p_x"]) for row in rows_of(tmp_path / "p.csv")[:3]]
    assert np.allclose(found, [0.4855, 0.5014, 0.4904], atol=2e-4)
