"""docs/pytorch.md: both blocks of each section run, and what is said to be the same is the same."""

import copy
import os
import re
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

TEXT = (Path(__file__).parents[2] / "docs" / "pytorch.md").read_text(encoding="utf-8")
SECTION = re.compile(
    r"## (\d+)\. [^\n]*\n\ntorch:\n\n```python\n(.*?)```\n\nnpseq:\n\n```python\n(.*?)```\n\n"
    r"\*Same in both:\* ([^\n]*)\n",
    re.DOTALL,
)


def value(result):
    return result.detach().numpy() if isinstance(result, torch.Tensor) else result


@pytest.mark.wide
def test_all_ten_sections_run_and_give_the_same_in_float64(tmp_path):
    sections = SECTION.findall(TEXT)
    assert [int(number) for number, *_ in sections] == list(range(1, 11))
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert len(blocks) == 21
    names, here = {}, os.getcwd()
    torch.manual_seed(0)
    os.chdir(tmp_path)
    try:
        exec(blocks[0], names)
        for number, theirs, ours, same in sections:
            compared = re.findall(r"`(\w+)`", same)
            assert compared
            exec(theirs, names)
            expected = {name: copy.deepcopy(value(names.pop(name))) for name in compared}
            exec(ours, names)
            for name in compared:
                given = names.pop(name)
                if name in ("names", "shapes"):
                    assert given == expected[name], (number, name)
                else:
                    error = np.abs(given - expected[name]).max() / np.abs(expected[name]).max()
                    assert np.shape(given) == np.shape(expected[name]) and error < 1e-12, (number, name, error)
    finally:
        os.chdir(here)


def test_a_sequence_of_length_0_is_refused_by_torch_and_taken_by_npseq():
    import npseq

    x = np.ones((3, 2, 1))
    with pytest.raises(RuntimeError):
        torch.nn.utils.rnn.pack_padded_sequence(torch.tensor(x), torch.tensor([3, 0]), enforce_sorted=False)
    y, h = npseq.RNN(1, 2, dtype=np.float64)(x, lengths=[3, 0])
    assert not y[:, 1].any() and not h[:, 1].any()
