"""What units follow, how far a loss reaches, and the page that shows it."""

import base64
import json
import re

import numpy as np
import pytest

import npseq
from npseq.cli import commands
from npseq.explain.neurons import correlations, measure, properties
from npseq.explain.neurons_page import render

TEXT = 'He said "Yes (or so)" to\nAnn.\n\n"Open\n\nend'


def model(kind="optimized_lstm", size=9, **options):
    return npseq.Model(kind, size, 5, size, loss="cross_entropy", outputs="all", dtype=np.float64, rng=0, **options)


def test_the_properties_of_a_text():
    found = properties(TEXT)
    inside = "".join(c for c, value in zip(TEXT, found["quotes"]) if value)
    assert inside == '"Yes (or so)""Open\n'  # what is open ends with an empty line
    assert "".join(c for c, value in zip(TEXT, found["brackets"]) if value) == "(or so)"
    assert "".join(c for c, value in zip(TEXT, found["capitals"]) if value) == "HYAO"
    assert found["line position"][:3].tolist() == [0, 1, 2] and found["line position"][TEXT.index("Ann")] == 0


def test_correlations_are_pearsons_and_0_for_a_constant():
    rng = np.random.default_rng(0)
    units, values = rng.normal(size=(50, 3)), rng.normal(size=50)
    units[:, 2] = 4
    expected = [np.corrcoef(units[:, k], values)[0, 1] for k in (0, 1)]
    assert np.allclose(correlations(units, values), [*expected, 0], atol=1e-12)
    assert (correlations(units, np.ones(50)) == 0).all()


@pytest.mark.parametrize("kind", ["gru", "optimized_lstm"])
@pytest.mark.parametrize(
    "options", [{}, {"embedding_size": 3, "num_layers": 2}, {"learn_initial_state": True}], ids=str
)
def test_reach_is_the_gradient_of_each_loss_through_the_whole_past(kind, options):
    made, n, window = model(kind, **options), 12, 5
    made.theta += np.random.default_rng(2).normal(0, 0.3, made.theta.size)
    numbers = np.random.default_rng(1).integers(0, 9, n)
    found = measure(made, numbers, "abcdefghijkl", window)
    rows = made.embedding.params["weight"] if made.embedding else np.eye(9)
    hs, _, tape = made.rnn.forward(rows[numbers][None])
    assert np.allclose(found.units, hs[0], atol=1e-12) and np.isnan(found.nats[0])
    for t in range(1, n):
        logits, head = made.fc.forward(hs[:, t - 1])
        loss, d_logits = npseq.losses.cross_entropy(logits, numbers[t : t + 1])
        dy = np.zeros_like(hs)
        dy[:, t - 1] = made.fc.backward(head, d_logits)[0]
        norms = np.sqrt((made.rnn.backward(tape, dy)[0][0] ** 2).sum(axis=1))
        expected = np.zeros(window)
        expected[: min(t, window)] = norms[max(0, t - window) : t][::-1]
        assert found.nats[t] == pytest.approx(float(loss), rel=1e-12)
        assert np.abs(found.reach[t] - expected).max() <= 1e-12 * norms.max()


def test_a_unit_that_follows_a_property_is_found():
    made = model(size=2)
    made.theta[...] = 0
    made.params["rnn.weight_ih_l0"][2 * 5 + 3, 1] = 3.0  # g of unit 3 is large after symbol 1
    text = "aBaaBBaBaaaB"
    found = measure(made, np.array([int(c == "B") for c in text]), text, 3)
    assert np.abs(found.tracking["capitals"]).argmax() == 3 and found.tracking["capitals"][3] > 0.5


def test_the_page_holds_everything_and_no_text_can_leave_its_element():
    text = "</script><b>&\n\u2028é\U0001f600"
    made = model(size=len(text) + 1)
    found = measure(made, np.arange(len(text)), text, 4)
    page = render(found, text, "<i>title</i>")
    assert page.count("</script>") == 2 and "<b>" not in page and "<i>" not in page
    assert not re.search(r"(src|href)=|https?://|@import|url\(", page)
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])
    assert "".join(data["text"]) == text and data["title"] == "<i>title</i>"
    units = np.frombuffer(base64.b64decode(data["units"]), np.int8).reshape(len(text), 5)
    assert np.abs(units / 127 * data["largest"] - found.units).max() < 0.01
    assert np.frombuffer(base64.b64decode(data["reach"]), np.uint8).max() == 255


def test_the_command_writes_the_page(tmp_path, capsys):
    (tmp_path / "a.txt").write_text("Ann said: (no) no.\n" * 40)
    options = ["--hidden-size", "4", "--epochs", "1", "--batch-size", "4", "--quiet", "--out-dir", tmp_path]
    assert commands.main([*map(str, ["train", "--task", "text", "--data", tmp_path / "a.txt", *options])]) == 0
    argv = ["neurons", str(tmp_path / "rnn_lstm_best.pth"), "--output", str(tmp_path / "n.html"), "--length", "30"]
    with pytest.raises(SystemExit) as end:
        commands.main(argv)
    assert end.value.code == 2 and "give its location, or another text, with --data" in capsys.readouterr().err
    assert commands.main([*argv, "--data", str(tmp_path / "a.txt")]) == 0
    out = capsys.readouterr().out
    assert "4 units over 30 characters of a.txt" in out and "line position" in out
    page = (tmp_path / "n.html").read_text(encoding="utf-8")
    assert "Order units by" in page
    shown = "".join(json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])["text"])
    assert shown == "Ann said: (no) no.\nAnn said: (no)"[:30]  # from the start of a line, not from the middle of one
