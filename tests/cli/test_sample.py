"""The commands with a text: train, resume, evaluate, sample."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import npseq
from npseq.cli import commands, experiment, training_run
from npseq.data import corpus

TEXT = "the cat sat on the mat.\nthe dog sat on the cat.\n" * 30
FAST = ["--hidden-size", "12", "--window", "10", "--batch-size", "8", "--quiet", "--lr", "0.02"]
MODEL = "rnn_optimized_gru_best.pth"


def run(*argv):
    """Exit status of ``npseq``."""
    try:
        return commands.main(list(map(str, argv)))
    except SystemExit as end:
        return end.code


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    (folder / "cat.txt").write_text(TEXT)
    train(folder, folder / "cat.txt", "--epochs", "3", "--report", folder / "report.json")
    return folder


def train(folder, source, *options):
    return run("train", "--model", "optimized_gru", "--data", source, "--out-dir", folder, *FAST, *options)


def test_a_text_is_trained_and_scored_beside_n_grams(folder):
    report = json.loads((folder / "report.json").read_text())
    assert report["test"]["bits"] == pytest.approx(report["test"]["nats"] / np.log(2))
    assert {"uniform", "unigram", "2-gram, Witten–Bell", "6-gram, Witten–Bell"} <= set(report["baselines"])
    assert report["test"]["nats"] < report["baselines"]["uniform"]["nats"]
    model = npseq.load(folder / MODEL)
    assert [name.split(".")[0] for name in model.state_dict()] == ["embedding"] + ["rnn"] * 4 + ["fc"] * 2
    assert model.metadata["recipe"]["vocabulary"] == "".join(sorted(set(TEXT)))


def test_the_header_says_what_was_taken_for_a_text(folder, tmp_path, capsys):
    (tmp_path / "x.txt").write_text(TEXT + "é€" * 20)
    options = [option for option in FAST if option != "--quiet"]
    assert run("train", "--data", tmp_path / "x.txt", "--epochs", "1", "--out-dir", tmp_path, *options) == 0
    out = capsys.readouterr().out
    for words in (
        "text: the file is no table; --task forecast overrides",
        "1,480 characters",
        "40 not in the training part, predicted as one unknown character",
        "1,332 train, 74 validation, 74 test characters, in order",
        "chunks      of 10 characters; the state is carried",
        "nats      bits",
    ):
        assert words in out, out


def test_the_defaults_are_those_of_a_text_and_what_is_typed_stays(tmp_path):
    (tmp_path / "x.txt").write_text(TEXT)

    def settled(*argv):
        p = training_run.parser()
        return experiment.settled(p, p.parse_args(argv), p.given(argv))

    args = settled("--data", str(tmp_path / "x.txt"), "--window", "7")
    assert (args.task, args.window, args.hidden_size, args.schedule) == ("text", 7, 256, "cosine")
    assert settled("--data", "tiny_shakespeare").task == "text"
    assert (
        settled("--data", "metro_traffic").hidden_size == 32 == settled("--data", str(tmp_path / "no.txt")).hidden_size
    )
    assert settled("--data", str(tmp_path / "x.txt"), "--target", "a").task is None  # an option of tables
    assert settled("--data", str(tmp_path / "x.txt"), "--task", "forecast").hidden_size == 32
    assert isinstance(experiment.make_task(settled("--data", str(tmp_path / "x.txt"))), npseq.tasks.Text)


@pytest.mark.parametrize("schedule", [pytest.param("constant", marks=pytest.mark.wide), "cosine"])
@pytest.mark.parametrize("model", [pytest.param("optimized_lstm", marks=pytest.mark.wide), "gru"])
def test_a_run_that_is_resumed_gives_the_files_of_one_that_was_not(tmp_path, model, schedule, monkeypatch):
    (tmp_path / "cat.txt").write_text(TEXT)
    options = ["--model", model, "--data", tmp_path / "cat.txt", "--schedule", schedule, "--num-layers", "2"]
    options += ["--dropout", "0.2", "--embedding", "5", "--checkpoint", *FAST]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert run("train", *options, "--epochs", "4", "--out-dir", whole) == 0
    save, count = training_run.resume.save, []

    def interrupt(*arguments):  # Ctrl-C after the second epoch
        save(*arguments)
        count.append(1)
        if len(count) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(training_run.resume, "save", interrupt)
    assert run("train", *options, "--epochs", "4", "--out-dir", parts) == 130
    monkeypatch.undo()
    assert run("train", "--resume", parts / f"rnn_{model}_last.pth", "--quiet") == 0
    for name in f"rnn_{model}_best.pth", f"rnn_{model}_last.pth":
        assert (whole / name).read_bytes() == (parts / name).read_bytes()


def test_evaluate_gives_the_score_of_the_report_and_takes_other_texts(folder, tmp_path, capsys):
    report = json.loads((folder / "report.json").read_text())
    assert run("evaluate", folder / MODEL, "--data", folder / "cat.txt") == 0
    out = capsys.readouterr().out
    assert f"{report['test']['nats']:.3f}" in out and "5-gram, Witten–Bell" in out and "the test part" in out
    (tmp_path / "other.txt").write_text("the cat sat on the zebra.\n" * 4)
    assert run("evaluate", folder / MODEL, "--data", tmp_path / "other.txt") == 0
    out = capsys.readouterr().out
    assert "103 characters, all of other.txt" in out and "12 of them unknown to the model" in out and "uniform" in out
    assert run("evaluate", folder / MODEL) == 2
    assert "was trained on cat.txt" in capsys.readouterr().err
    assert run("predict", folder / MODEL, "--data", folder / "cat.txt", "--output", tmp_path / "x.csv") == 2
    assert "use npseq sample" in capsys.readouterr().err


def test_the_text_of_the_training_is_known_by_its_content(folder, tmp_path, capsys):
    (tmp_path / "renamed.txt").write_text(TEXT)
    assert run("evaluate", folder / MODEL, "--data", tmp_path / "renamed.txt") == 0
    assert "72 characters, the test part" in capsys.readouterr().out
    (tmp_path / "cat.txt").write_text(TEXT + "the cat sat.\n")  # of the same name, and another text
    assert run("evaluate", folder / MODEL, "--data", tmp_path / "cat.txt") == 0
    out = capsys.readouterr().out
    assert "1,452 characters, all of cat.txt\nthe text is no longer the one that the model was trained on" in out
    recipe = npseq.tasks.recipe.from_json({**npseq.load(folder / MODEL).metadata["recipe"], "digest": ""})
    assert recipe.is_of(npseq.data.load_corpus(tmp_path / "cat.txt"))  # of a file without it, by its name


def test_without_a_test_part_the_table_names_the_validation_part(folder, tmp_path, capsys):
    options = [option for option in FAST if option != "--quiet"]
    split = ["--split", "0.9,0.1", "--epochs", "1", "--out-dir", tmp_path]
    assert run("train", "--data", folder / "cat.txt", *options, *split) == 0
    out = capsys.readouterr().out
    assert "on the validation part" in out and "on the test part" not in out
    assert run("evaluate", tmp_path / "rnn_lstm_best.pth", "--data", folder / "cat.txt") == 0
    out = capsys.readouterr().out
    assert "144 characters, the validation part" in out and "on the validation part" in out
    assert run("evaluate", tmp_path / "rnn_lstm_best.pth", "--data", folder / "cat.txt", "--part", "all") == 0
    assert "on all of cat.txt" in capsys.readouterr().out
    assert run("evaluate", tmp_path / "rnn_lstm_best.pth", "--data", "metro_traffic") == 2
    assert "metro_traffic is a table; a text expected: tiny_shakespeare, or a file" in capsys.readouterr().err


def test_samples_go_to_standard_output(folder, capsys):
    options = ["sample", folder / MODEL, "--length", "40", "--prime", "the ", "--temperature", "0.8", "--seed", "1"]
    texts = []
    for seed in "1", "1", "2":
        assert run(*options[:-1], seed) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] != texts[2] and texts[0].startswith("the ") and len(texts[0]) == 4 + 40 + 1
    model = npseq.load(folder / MODEL)
    assert npseq.sample(model, 40, "the ", 0.8, rng=1) + "\n" == texts[0]
    assert run("sample", folder / MODEL, "--length", "9", "--temperature", "0", "--top-k", "3") == 0
    assert len(capsys.readouterr().out) == 10


@pytest.mark.parametrize(
    "options, words",
    [
        (["--prime", "the Ω"], "does not know the character 'Ω'"),
        (["--temperature", "2.5"], "a number from 0 to 2 expected"),
        (["--temperature", "-1"], "a number from 0 to 2 expected"),
        (["--top-k", "0"], "from 1 to 10⁹ expected"),
        (["--length", "x"], "'x' given"),
    ],
)
def test_a_wrong_option_of_sample_is_one_line_and_exit_2(folder, capsys, options, words):
    assert run("sample", folder / MODEL, *options) == 2
    out, err = capsys.readouterr()
    assert not out and words in err and err.count("\n") == 1


def test_a_model_of_another_task_writes_no_text(tmp_path, capsys):
    npseq.save(tmp_path / "m.pth", npseq.Model("lstm", 3, rng=0))
    assert run("sample", tmp_path / "m.pth") == 2
    assert "m.pth does not say how its data were prepared" in capsys.readouterr().err
    assert run("sample", tmp_path / "none.pth") == 2


def test_ctrl_c_ends_the_text_and_its_line(folder, monkeypatch):
    class Impatient(io.StringIO):
        def write(self, text):
            if len(self.getvalue()) >= 12 and text != "\n":
                raise KeyboardInterrupt
            return super().write(text)

    out = Impatient()
    monkeypatch.setattr(sys, "stdout", out)
    from npseq.cli import sample

    assert sample.main([str(folder / MODEL), "--prime", "the "]) == 130
    assert out.getvalue().endswith("\n") and out.getvalue().startswith("the ")


@pytest.mark.parametrize(
    "name, content",
    [
        ("one line", "abc " * 5000),
        ("no line ends", "x" * 500),
        ("CRLF", TEXT.replace("\n", "\r\n")),
        ("emoji", "\U0001f600e\u0301 " * 60),
        ("line ends alone", "\n" * 100),
        ("zero bytes", "a\0b c\n" * 50),
        ("a mark of the byte order", "\ufeff" + TEXT),
        ("shorter than a chunk", "abcde"),
    ],
)
def test_any_text_can_be_learned_and_written(tmp_path, name, content):
    (tmp_path / "t.txt").write_bytes(content.encode())
    assert train(tmp_path, tmp_path / "t.txt", "--task", "text", "--epochs", "1", "--hidden-size", "4") == 0
    assert len(npseq.sample(npseq.load(tmp_path / MODEL), 20, rng=0)) == 20


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "is empty; a text expected"),
        (b"\xef\xbb\xbf", "is empty; a text expected"),
        (b"x", "has 1 character; at least 4 expected"),
        (b"caf\xe9 " * 50, "--tokens bytes"),
        (TEXT.encode("utf-16"), "is UTF-16: convert it to UTF-8, or read it with --tokens bytes"),
        (TEXT.encode("utf-16-le"), "is UTF-16"),
        (TEXT.encode("utf-16-be"), "is UTF-16"),
    ],
)
def test_what_is_no_text_is_refused_in_one_line_and_nothing_is_written(tmp_path, capsys, content, words):
    (tmp_path / "t.txt").write_bytes(content)
    assert train(tmp_path / "out", tmp_path / "t.txt", "--task", "text") == 2
    err = capsys.readouterr().err
    assert words in err and err.count("\n") == 1 and not os.path.exists(tmp_path / "out" / MODEL)


@pytest.mark.parametrize("content", ["abcd efgh " * 20_000, '"' + "a line\n" * 30_000])
def test_a_line_or_a_quote_longer_than_any_field_makes_a_txt_no_table(tmp_path, content):
    (tmp_path / "t.txt").write_text(content)
    assert npseq.data.kind_of(str(tmp_path / "t.txt")) == "text"


def test_zero_bytes_make_a_txt_no_table(tmp_path, capsys):
    (tmp_path / "t.txt").write_bytes(b"1 2\0\n3 4\0\n" * 50)
    assert train(tmp_path, tmp_path / "t.txt", "--epochs", "1", "--report", tmp_path / "r.json") == 0
    assert "nats" in json.loads((tmp_path / "r.json").read_text())["test"]


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("notes.md", TEXT, "has two columns 'the'"),
        ("program.bin", "\0\1\2" * 99, "is not text: it holds zero bytes"),
        ("poem.txt", "Chapter 1\nChapter 2\n" * 9, "holds 'Chapter', a number expected"),
    ],
)
def test_what_is_no_table_may_be_a_text(tmp_path, capsys, name, content, words):
    pytest.importorskip("pandas")
    (tmp_path / name).write_text(content)
    assert train(tmp_path / "out", tmp_path / name) == 2
    err = capsys.readouterr().err
    assert words in err and err.endswith("; --task text reads the file as a text\n") and err.count("\n") == 1
    assert train(tmp_path / "out", tmp_path / name, "--target", "load") == 2
    assert "--task text" not in capsys.readouterr().err  # an option of tables was typed


@pytest.mark.wide
def test_the_shipped_text_is_known_where_a_run_is_resumed(tmp_path, capsys, monkeypatch):
    (tmp_path / "short.txt").write_text(Path(corpus.shipped("tiny_shakespeare.txt")).read_text(encoding="utf-8")[:9000])
    monkeypatch.setattr(corpus, "shipped", lambda file: str(tmp_path / "short.txt"))
    options = ["--hidden-size", "2", "--checkpoint"]
    assert train(tmp_path, "tiny_shakespeare", "--schedule", "constant", "--epochs", "1", *options) == 0
    assert run("train", "--resume", tmp_path / "rnn_optimized_gru_last.pth", "--epochs", "2") == 0
    assert "continued   from" in capsys.readouterr().out
    assert run("compare", "--data", "tiny_shakespear") == 2
    assert "tiny_shakespeare" in capsys.readouterr().err


def test_bytes_of_any_file(tmp_path, capsys):
    (tmp_path / "any.bin").write_bytes(bytes(range(256)) * 4)
    options = ["--task", "text", "--tokens", "bytes", "--epochs", "1"]
    assert train(tmp_path, tmp_path / "any.bin", *options) == 0
    assert npseq.load(tmp_path / MODEL).config["input_size"] == 256
    assert run("evaluate", tmp_path / MODEL, "--data", tmp_path / "any.bin") == 0
    assert "52 bytes, the test part" in capsys.readouterr().out
    assert run("sample", tmp_path / MODEL, "--length", "30", "--seed", "0") == 0


@pytest.mark.parametrize(
    "options, words",
    [
        (["--bidirectional"], "--bidirectional reads the symbols"),
        (["--optimizer", "lbfgs"], "takes all examples at once"),
        (["--loss", "mse"], "cross entropy is the loss"),
        (["--task", "text", "--target", "a"], "--target is for tables"),
        (["--regress"], "--regress is for tables"),
        (["--horizon", "3"], "--horizon is for tables"),
        (["--lags", "1"], "--lags is for tables"),
        (["--base", "none"], "--base is for tables"),
        (["--task", "text", "--sep", "blank"], "--sep is for tables"),
        (["--split", "0.5,0.2"], "fractions expected that add up to 1"),
    ],
)
def test_options_that_do_not_suit_a_text_are_named(folder, tmp_path, capsys, options, words):
    assert train(tmp_path, folder / "cat.txt", *options) == 2
    err = capsys.readouterr().err
    assert words in err and err.count("\n") == 1


@pytest.mark.parametrize("options", [["--tokens", "bytes"], ["--split", "0.8,0.1,0.1"], ["--embedding", "4"]])
def test_options_of_a_text_do_not_suit_a_table(tmp_path, capsys, options):
    assert train(tmp_path, "metro_traffic", *options) == 2
    assert "is for texts, and metro_traffic is none" in capsys.readouterr().err


def test_compare_takes_a_text(folder, capsys):
    argv = ["--models", "optimized_gru,optimized_rnn", "--seeds", "1", "--epochs", "1", "--data", folder / "cat.txt"]
    assert run("compare", *argv, *[option for option in FAST if option != "--quiet"]) == 0
    assert "test nats a symbol" in capsys.readouterr().out


@pytest.mark.wide
def test_the_text_comes_as_it_is_made(folder):
    """The first characters are there before the last ones are asked for."""
    command = [sys.executable, "-m", "npseq", "sample", str(folder / MODEL), "--length", "1000000", "--prime", "the "]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.read(30).startswith(b"the ")
        process.stdout.close()
        process.terminate()
        process.wait(30)
