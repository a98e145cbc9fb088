"""Texts of every kind as symbols, and vocabularies."""

import numpy as np
import pytest

from npseq import data
from npseq.data.corpus import Vocabulary, load_corpus

TEXTS = {
    "one character": "x",
    "no line ends": "a" * 300,
    "CRLF": "one\r\ntwo\r\n",
    "emoji and combining marks": "e\u0301 \U0001f600 क्षि",
    "NUL and controls": "a\0b\x1b",
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_comes_back_from_its_symbols(tmp_path, name):
    text, path = TEXTS[name], tmp_path / "text.txt"
    path.write_bytes(text.encode())
    for tokens in "characters", "bytes":
        corpus = load_corpus(path, tokens)
        assert len(corpus) == len(text if tokens == "characters" else text.encode())
        vocabulary = Vocabulary.of(tokens, corpus.symbols)
        numbers = vocabulary.numbers(corpus.symbols)
        assert vocabulary.decode(numbers) == text
        assert np.array_equal(vocabulary.encode(text), numbers)
        assert 0 <= numbers.min() <= numbers.max() < vocabulary.size


def test_a_byte_order_mark_is_no_character(tmp_path):
    (tmp_path / "bom.txt").write_bytes(b"\xef\xbb\xbfab")
    assert len(load_corpus(tmp_path / "bom.txt")) == 2


def test_an_empty_file_and_one_that_is_not_utf8_are_refused_in_one_line(tmp_path):
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    for tokens in "characters", "bytes":
        with pytest.raises(data.DataError, match="empty.txt is empty; a text expected$"):
            load_corpus(tmp_path / "empty.txt", tokens)
    with pytest.raises(data.DataError, match=r"latin.txt is not UTF-8 \(byte 4 is 0xe9\).* tokens='bytes'$"):
        load_corpus(tmp_path / "latin.txt")
    assert load_corpus(tmp_path / "latin.txt", "bytes").symbols.tolist() == [99, 97, 102, 0xE9]
    with pytest.raises(data.DataError, match="no file"):
        load_corpus(tmp_path / "nowhere.txt")


def test_characters_that_are_not_known_have_one_number_and_cannot_be_written():
    vocabulary = Vocabulary("characters", "ac")
    assert vocabulary.size == 3 and vocabulary.unknown == 2
    assert vocabulary.numbers(np.uint32([ord(c) for c in "abcd\U0001f600"])).tolist() == [0, 2, 1, 2, 2]
    assert vocabulary.decode([0, 2, 1]) == "a\ufffdc"
    with pytest.raises(ValueError, match="does not know the character 'b'; it knows 'ac'"):
        vocabulary.encode("ab")
    signs = "".join(chr(0x4E00 + k) for k in range(201))  # of up to 200 all are named
    for count, named in ((200, signs[:200]), (201, signs[:200] + "…")):
        with pytest.raises(ValueError, match=f"it knows '{named}'$"):
            Vocabulary("characters", signs[:count]).encode("b")


def test_memory_is_proportional_to_the_file(tmp_path):
    import tracemalloc

    path = tmp_path / "line.txt"
    path.write_bytes(b"0123456789" * 100_000)  # one line
    tracemalloc.start()
    corpus = load_corpus(path)
    numbers = Vocabulary.of("characters", corpus.symbols).numbers(corpus.symbols)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert numbers.dtype == np.uint8 and corpus.symbols.itemsize == 4
    assert peak < 25 * len(corpus)


def test_the_shipped_text_is_the_one_in_common_use():
    import hashlib

    with open(data.shipped(data.SHIPPED_TEXTS["tiny_shakespeare"]), "rb") as file:
        assert hashlib.sha256(file.read()).hexdigest().startswith("86c4e6aa9db7c042")
    corpus = load_corpus("tiny_shakespeare")
    assert len(corpus) == 1_115_394 and Vocabulary.of("characters", corpus.symbols).size == 65 + 1
