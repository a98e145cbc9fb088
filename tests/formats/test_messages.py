"""Messages name arguments in Python and options in the command."""

import ast
import pickle
import re
from pathlib import Path

import pytest

import npseq
from npseq.cli.arguments import told
from npseq.data import DataError
from npseq.formats.messages import Message, argument, marked

ROOMS = "data tasks forecast training formats nn estimators".split()


@pytest.mark.parametrize(
    "name, value, python, command",
    [
        ("num_layers", None, "num_layers", "--num-layers"),
        ("lags", [24, 168], "lags=[24, 168]", "--lags 24,168"),
        ("na", "n. a.", "na='n. a.'", "--na 'n. a.'"),
        ("decimal", ",", "decimal=','", "--decimal ','"),
        ("header", False, "header=False", "--no-header"),
        ("header", True, "header=True", "--header"),
        ("epochs", 0, "epochs=0", "--epochs 0"),
    ],
)
def test_an_argument_is_a_name_in_python_and_an_option_in_the_command(name, value, python, command):
    error = DataError(f"give {argument(name, value)}, or go")
    for one in (error, pickle.loads(pickle.dumps(error)), DataError(marked(error)), Message(marked(error))):
        assert str(one) == f"give {python}, or go" and told(one) == f"give {command}, or go"
    assert f"{error}" == str(error) == marked(str(error))


def test_no_message_of_the_library_names_an_option():
    found = []
    for room in ROOMS:
        for path in (Path(npseq.__file__).parent / room).rglob("*.py"):
            if not re.search(option := r"(^|[ '(\"])--[a-z]", text := path.read_text()):
                continue
            tree = ast.parse(text)
            texts = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            for node in ast.walk(tree):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in texts:
                    found += [f"{path.name}: {node.value}"] if re.search(option, node.value) else []
    assert not found
