"""The program in C of a trained forecaster: it reads the table and prints what ``npseq predict`` writes."""

import csv
import subprocess
from pathlib import Path

import numpy as np
import pytest
from compiling import COMPILERS, SANITIZED, built, needs_a_compiler
from running import status

import npseq
from npseq.cli import export, predict
from npseq.forecast import c_program
from npseq.tasks.recipe import from_json

pytestmark = needs_a_compiler


def trained(folder, table, options):
    """Train on the table; the weights file and the cells that ``npseq predict`` writes, one row a forecast."""
    words = f"--model gru --epochs 1 --window 6 --hidden-size 5 --no-refit --quiet {options}".split()
    assert status([*words, "--data", str(table), "--out-dir", str(folder)]) == 0
    file, out = str(folder / "rnn_gru_best.pth"), str(folder / "forecast.csv")
    assert predict.main([file, "--data", str(table), "--output", out]) == 0
    with open(out) as rows:
        return file, np.array([[float(cell) for cell in row[2:]] for row in list(csv.reader(rows))[1:]])


def compiled(folder, file, *more):
    """Export with the example, compile it by the line in its first comment, with the sanitisers; the program's path."""
    assert export.main([file, "--to", str(folder / "m.h"), "--with-scaler", "--example"]) == 0
    words = (folder / "main.c").read_text().splitlines()[0].removeprefix("/* ").split()
    assert words[0] == "cc"
    libraries = [word for word in words if word.startswith("-l")]
    words = [word for word in words[1:] if word not in libraries]
    command = [COMPILERS[0], *words, "-Wall", "-Wextra", "-Werror", *SANITIZED, *libraries]
    subprocess.run(command, cwd=folder, check=True)
    return str(folder / "main")


def printed(program, table):
    with open(table) as rows:
        done = subprocess.run([program], stdin=rows, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return np.array([[float(cell) for cell in line.split(",")] for line in done.stdout.splitlines()])


@pytest.mark.wide
@pytest.mark.parametrize(
    "options",
    [
        "--base none --lags none --horizon 2",
        "--base none --lags 24,5 --horizon 2",
        "--base linear --horizon 3 --lags 24",
        "--base seasonal --log no",
    ],
)
def test_it_gives_what_predict_gives(tmp_path, small_csv, options):
    file, expected = trained(tmp_path, small_csv, options)
    found = printed(compiled(tmp_path, file), small_csv)
    assert found.size == expected.size and np.allclose(found.reshape(expected.shape), expected, rtol=1e-6)


@pytest.mark.wide
@pytest.mark.parametrize("base", [" --base linear", " --base none --lags 24,5"])
def test_of_several_columns_with_missing_values(tmp_path, small_csv, base):
    lines = Path(small_csv).read_text().splitlines()
    rng = np.random.default_rng(0)
    rows = [f"{line},{20 + k % 24 + rng.normal():.2f},{k % 7}" for k, line in enumerate(lines[1:])]
    for k in (300, 301, 420):
        hour, _, warm, day = rows[k].split(",")
        rows[k] = f"{hour},,{warm},{day}"
    rows[350] = ",".join([*rows[350].split(",")[:2], "", ""])
    (tmp_path / "table.csv").write_text("\n".join(["hour,load,warm,day", *rows]) + "\n")
    file, expected = trained(tmp_path, tmp_path / "table.csv", "--target warm,load --inputs day --horizon 2" + base)
    columns = npseq.load(file).metadata["recipe"]
    order = [lines[0].split(",")[0], *columns["target"], *columns["inputs"]]
    names = ["hour", "load", "warm", "day"]
    table = [dict(zip(names, row.split(","))) for row in rows]
    (tmp_path / "ordered.csv").write_text(
        "\n".join([",".join(order), *(",".join(row[name] for name in order) for row in table)]) + "\n"
    )
    found = printed(compiled(tmp_path, file), tmp_path / "ordered.csv")
    assert found.size == expected.size and np.allclose(found.reshape(expected.shape), expected, rtol=1e-6)


@pytest.mark.wide
def test_its_times_are_those_of_numpy(tmp_path, small_csv):
    file, _ = trained(tmp_path, small_csv, "--base none --lags none")
    compiled(tmp_path, file)
    (tmp_path / "t.c").write_text(
        '#define main other\n#include "main.c"\n#undef main\nint main(void) {\n    int d[3];\n'
        '    while (scanf("%d-%d-%d", d, d + 1, d + 2) == 3)\n'
        '        printf("%lld\\n", seconds_of(d[0], d[1], d[2], 1, 2, 3));\n    return other();\n}\n'
    )
    days = np.arange("1970-01-05", "2105-01-01", 13, dtype="datetime64[D]")
    program = built(COMPILERS[0], tmp_path, "t.c", "-O0", "-lm")
    done = subprocess.run([program], input="\n".join(map(str, days)), capture_output=True, text=True, check=True)
    expected = (days - days[0]).astype("timedelta64[s]").astype(int) + 3723
    assert [int(line) for line in done.stdout.split()] == expected.tolist()


def test_what_it_cannot_know_is_refused_by_name(tmp_path, small_csv):
    file, _ = trained(tmp_path, small_csv, "--base none --lags none")
    recipe = npseq.load(file).metadata["recipe"]
    for change, words in [({"step": None}, "equally spaced"), ({"future": ["load*/"], "inputs": []}, "ahead")]:
        changed = {**recipe, **change}
        if "future" in change:
            changed |= {"mean": [0.0, 0.0], "spread": [1.0, 1.0]}
        with pytest.raises(ValueError, match=words):
            c_program.text("m", "m.h", from_json(changed))
    evil = from_json({**recipe, "target": ["a*/ b\\"]})
    assert "a?? b?" in c_program.text("m", "m.h", evil)


@pytest.mark.wide
def test_columns_are_found_by_the_names_of_the_header(tmp_path):
    rows = np.round(np.random.default_rng(0).normal(size=(90, 3)), 3).cumsum(0)
    table = tmp_path / "t.csv"
    write_table(table, ["time", 'lo"ad é', "b", "x"], rows)
    options = "--horizon 2 --lags none --base none"
    words = f"--model gru --epochs 1 --window 6 --hidden-size 5 --no-refit --quiet {options}".split()
    argv = ["--data", str(table), "--target", 'lo"ad é', "--inputs", "b", "--out-dir", str(tmp_path)]
    assert status([*words, *argv]) == 0
    file = str(tmp_path / "rnn_gru_best.pth")
    assert export.main([file, "--to", str(tmp_path / 'm"1.h'), "--with-scaler", "--example", "--name", "m"]) == 0
    command = [
        COMPILERS[0],
        "-std=c99",
        "main.c",
        "-o",
        "main",
        "-Wall",
        "-Wextra",
        "-Wpedantic",
        "-Werror",
        *SANITIZED,
    ]
    subprocess.run([*command, "-lm"], cwd=tmp_path, check=True)
    program = str(tmp_path / "main")
    expected = printed(program, table)
    assert len(expected) == 85
    write_table(tmp_path / "other.csv", ["x", "b", "time", "more", 'lo"ad é'], rows[:, [2, 1, 1, 0]], at=2)
    assert np.array_equal(printed(program, tmp_path / "other.csv"), expected)
    for names, word in ((["time", "x", "b", "y"], 'no column lo""ad'), (["time", "k", "l", "m"], "no line is a row")):
        write_table(tmp_path / "bad.csv", names, rows, cell="a" if "line" in word else None)
        with open(tmp_path / "bad.csv") as given:
            done = subprocess.run([program], stdin=given, capture_output=True, text=True)
        assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1 and word in done.stderr


def write_table(path, names, rows, at=0, cell=None):
    """Write a table whose column ``at`` has the times."""
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for k, row in enumerate(rows.tolist()):
            row = [cell or value for value in row]
            writer.writerow([*row[:at], f"2024-01-{1 + k // 24:02d} {k % 24:02d}:00", *row[at:]])
