"""``npseq evaluate`` knows the sequences of the training by their content, whatever the file is called."""

from dataclasses import replace

import numpy as np
import pytest
from running import status

import npseq
from npseq import data, tasks
from npseq.cli import evaluate

COUNT, TESTED = 40, 6  # 15 % of them


@pytest.fixture(scope="module", params=["class", "number", "row"])
def trained(request, tmp_path_factory):
    """The folder of a model of random sequences, the lines of each, and the header."""
    folder, rng = tmp_path_factory.mktemp("sequences"), np.random.default_rng(0)
    lines = []
    for s in range(COUNT):
        rows = rng.normal(size=(rng.integers(2, 5), 2))
        label = {"class": s % 2, "number": f"{rng.normal():.3f}", "row": 0}[request.param]
        lines.append([f"s{s},{a:.6f},{b:.6f},{label if request.param != 'row' else k % 2}\n"
                      for k, (a, b) in enumerate(rows)])  # fmt: skip
    file = written(folder / "a.csv", lines)
    options = {"class": [], "number": ["--regress"], "row": ["--label-each-row"]}[request.param]
    argv = "--model rnn --epochs 1 --hidden-size 2 --quiet --sequence who --label label --out-dir".split()
    assert status([*argv, str(folder), "--data", file, *options]) == 0
    return folder, lines


def written(path, lines):
    path.write_text("who,a,b,label\n" + "".join(line for one in lines for line in one))
    return str(path)


def shown(folder, capsys, name, *more):
    capsys.readouterr()
    assert evaluate.main([str(folder / "rnn_rnn_best.pth"), "--data", str(folder / name), *more]) == 0
    return capsys.readouterr().out


def test_the_same_sequences_in_another_file_give_the_same_test_part(trained, capsys):
    folder, lines = trained
    first = shown(folder, capsys, "a.csv")
    told = f"{COUNT - TESTED} sequences that the model was trained or validated on are left out"
    assert f"{TESTED} sequences, the test part\n{told}" in first
    written(folder / "b.csv", lines)
    assert shown(folder, capsys, "b.csv") == first.replace("a.csv", "b.csv")
    written(folder / "c.csv", lines[::-1])  # in another order, under other names
    table = [line for line in shown(folder, capsys, "c.csv").splitlines() if "rnn" in line]
    assert table and table == [line for line in first.splitlines() if "rnn" in line]
    assert f"{COUNT} sequences, all of" in shown(folder, capsys, "b.csv", "--part", "all")


def test_new_sequences_of_the_same_files_name_are_all_scored(trained, capsys, tmp_path):
    folder, lines = trained
    new = [[line.replace(",0.", ",0.5").replace("s", "n") for line in one] for one in lines]
    written(tmp_path / "a.csv", new[:20] + lines[:0])
    text = shown(folder, capsys, tmp_path / "a.csv")
    assert "left out" not in text and "20 sequences, all of a.csv" in text
    model = npseq.load(folder / "rnn_rnn_best.pth")
    kept = model.metadata["seen"]
    assert len(kept) == COUNT - TESTED


def test_sequences_of_the_training_alone_have_no_test(trained, capsys):
    folder, lines = trained
    kind = npseq.load(folder / "rnn_rnn_best.pth").metadata["recipe"]["task"]
    target = {"classify": "class", "regress": "number", "label": "row"}[kind]
    options = {"regress": target == "number", "each_row": target == "row"}
    whole, _ = data.load_sequences(str(folder / "a.csv"), "who", "label", **options)
    learned = npseq.tasks.SequenceTask(whole, target=target).parts["train"]
    written(folder / "d.csv", [lines[int(whole.names[k][1:])] for k in learned])
    with pytest.raises(SystemExit) as end:
        evaluate.main([str(folder / "rnn_rnn_best.pth"), "--data", str(folder / "d.csv")])
    error = capsys.readouterr().err
    assert end.value.code == 2 and "every sequence: nothing to test on" in error and "--part all" in error


def test_an_archive_of_other_columns_is_refused(tmp_path):
    path = tmp_path / "a.ts"
    series = "".join(f"{k}.5,2.0,1.0:{k % 2}\n" for k in range(8))
    path.write_text("@problemName a\n@classLabel true 0 1\n@data\n" + series)
    sequences, _ = data.load_sequences(str(path))
    recipe = tasks.SequenceTask(sequences).recipe()
    assert tasks.SequenceDataset.from_recipe(recipe, sequences).columns == recipe.inputs
    for inputs, told in [(["x", "y"], "has no column 'x'; it has"), ([], "has the columns")]:
        with pytest.raises(data.DataError, match=told):
            tasks.SequenceDataset.from_recipe(replace(recipe, inputs=inputs), sequences)
