"""``npseq --print-completion``: the script completes in a real shell."""

import shutil
import subprocess
import sys

import pytest

from npseq.cli import commands


def completed(words, tmp_path):
    """What bash offers for the last of the ``words``."""
    script = tmp_path / "npseq.bash"
    run = subprocess.run([sys.executable, "-m", "npseq", "--print-completion", "bash"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    script.write_text(run.stdout)
    program = (
        f"source {script}; COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; "
        "$(complete -p npseq | sed 's/.*-F \\([^ ]*\\) .*/\\1/'); printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    found = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    return found.stdout.split()


@pytest.mark.wide
@pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
@pytest.mark.parametrize(
    "words, expected",
    [
        (["npseq", "ex"], ["exercise", "explain", "export"]),
        (["npseq", "train", "--hid"], ["--hidden-size"]),
        (["npseq", "train", "--model", "optimized_l"], ["optimized_lstm"]),
        (["npseq", "predict", "rnn_l"], ["rnn_lstm_best.pth"]),
    ],
)
def test_bash_completes_commands_options_choices_and_files(words, expected, tmp_path):
    pytest.importorskip("shtab")
    (tmp_path / "rnn_lstm_best.pth").write_bytes(b"")
    assert sorted(completed([*words[:-1], f"'{words[-1]}'"], tmp_path)) == expected


@pytest.mark.parametrize("argv", [["--print-completion"], ["--print-completion", "ksh"], ["--print-completion=csh"]])
def test_an_unknown_shell_gives_one_line(argv, capsys):
    assert commands.main(argv) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and ("bash, zsh" in message or "shtab" in message)


def test_without_shtab_the_line_names_the_command_that_installs_it(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert commands.main(["--print-completion", "bash"]) == 2
    assert "pip install shtab" in capsys.readouterr().err
