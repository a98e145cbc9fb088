"""The interactive page: its engine computes npseq's numbers, and its bugs are npseq's planted bugs."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import npseq
from npseq.cells import GRUCell, LSTMCell, RNNCell, gate_blocks, sigmoid
from npseq.cli import explain as command
from npseq.explain import page
from npseq.explain.derivatives import EquationError, derive, parse
from npseq.explain.equations import BACKWARD, CELLS, FORWARD, evaluate
from npseq.explain.worked_example import WorkedExample, disagreements, explain, weights_of
from npseq.gradcheck import planted_bugs, relative_error

WEB = Path(page.__file__).parent / "web"
SUPPORT = Path(__file__).parents[1] / "support"


class CoupledCell:
    """The LSTM with i = 1 − f; its forward reads h' nowhere but in W_h."""

    gates, state = "fgo", "hc"
    equations = """
    f = σ(a_xf + a_hf)
    g = tanh(a_xg + a_hg)
    o = σ(a_xo + a_ho)
    c = f * c_prev + (1 - f) * g
    h = o * tanh(c)
    """

    @staticmethod
    def forward(a_x, a_h, state):
        a_f, a_g, a_o = gate_blocks(a_x + a_h, "fgo")
        f, g, o = sigmoid(a_f), np.tanh(a_g), sigmoid(a_o)
        c = f * state[1] + (1 - f) * g
        return (o * np.tanh(c), c), (f, g, o, state[1], c)

    @staticmethod
    def backward(d_state, cache):
        (dh, dc), (f, g, o, c_prev, c) = d_state, cache
        do, dc = dh * np.tanh(c), dc + dh * o * (1 - np.tanh(c) ** 2)
        df, dg = dc * (c_prev - g), dc * (1 - f)
        da = np.concatenate([df * f * (1 - f), dg * (1 - g * g), do * o * (1 - o)])
        return da, da, (np.zeros_like(dh), dc * f)


# the same without its equations
SilentCell = type("SilentCell", (), {k: v for k, v in vars(CoupledCell).items() if k != "equations"})


class PeepCell:
    """h = tanh(a + p ⊙ h'): a cell with a parameter of its own, whose h' is read twice."""

    gates, state, own = "h", "h", {"p": "H"}
    equations = "h = tanh(a_x + a_h + p * h_prev)"

    @staticmethod
    def forward(a_x, a_h, state, own):
        h = np.tanh(a_x + a_h + own["p"] * state[0])
        return (h,), (h, state[0])

    @staticmethod
    def backward(d_state, cache, own):
        h, h_prev = cache
        da = d_state[0] * (1 - h**2)
        return da, da, (own["p"] * da,), {"p": (da * h_prev).sum(axis=1, keepdims=True)}


# ---- the equations of a cell of one's own ----


@pytest.mark.parametrize("model", list(CELLS))
def test_the_backward_equations_that_are_derived_are_those_of_the_table(model):
    cell, rng = CELLS[model], np.random.default_rng(0)
    text = "\n".join(f"{name} = {formula.replace('h_direct', 'h_prev')}" for _, name, formula in FORWARD[model])
    derived = derive(parse(text, cell.gates, cell.state), cell.gates, cell.state)
    given = {f"a_{side}{gate}" for side in "xh" for gate in (cell.gates if len(cell.gates) > 1 else [""])}
    given |= {"h_direct", "c_prev", "dh", "dc_carried"}
    values = {name: rng.normal(size=3) for name in sorted(given)}
    for _, name, formula in FORWARD[model]:
        values[name] = evaluate(formula, values)
    found, table = dict(values), dict(values)
    for _, name, formula in derived:
        found[name] = evaluate(formula, found)
    for _, name, formula in BACKWARD[model]:
        table[name] = evaluate(formula, table)
    names = {name for _, name, _ in BACKWARD[model]}
    assert names <= set(found) and len(names) == len(derived)
    for name in names:
        assert relative_error(found[name], table[name]) < 1e-14


@pytest.mark.parametrize("input_size", [1, 3])
@pytest.mark.parametrize("cell, name", [(CoupledCell, "df"), (PeepCell, "dp")])
def test_a_cell_of_ones_own_is_explained_and_agrees_with_its_code(cell, name, input_size):
    network = WorkedExample(cell, 2, 3, input_size=input_size)
    lines, steps, gradients = explain(network)
    assert disagreements(network, lines, steps, gradients) == []
    assert any(line.name == name for line in lines) and all(line.number != 18 for line in lines)


def test_the_gradient_of_an_own_parameter_that_is_wrong_is_found():
    class Wrong(PeepCell):
        @staticmethod
        def backward(d_state, cache, own):
            da_x, da_h, d_before, d_own = PeepCell.backward(d_state, cache, own)
            return da_x, da_h, d_before, {"p": 2 * d_own["p"]}

    network = WorkedExample(Wrong, 2, 2)
    assert disagreements(network, *explain(network)) == ["dp of bptt.py"]


def test_a_cell_that_is_an_object_goes_by_the_name_of_its_class():
    assert WorkedExample(CoupledCell(), 2, 3).description.name == "CoupledCell"
    assert page.page_data(CoupledCell())["start"] == "CoupledCell"


def test_equations_that_are_not_the_cells_are_found():
    class Wrong(CoupledCell):
        equations = CoupledCell.equations.replace("(1 - f) * g", "(1 + f) * g")

    network = WorkedExample(Wrong, 2, 2)
    assert any("of bptt.py" in name for name in disagreements(network, *explain(network)))
    with pytest.raises(ValueError, match="Wrong: its forward computes another h"):
        page.build(Wrong)


@pytest.mark.parametrize(
    "text, word",
    [
        ("h = tanh(a_x + q)", "uses q"),
        ("h tanh(a_x)", "name = expression"),
        ("h = tanh(a_x", "not an expression"),
        ("h = __import__('os')", "names, numbers"),
        ("h = a_x.real", "names, numbers"),
        ("h = a_x ** a_h", "exponent"),
        ("g = tanh(a_x)", "a line h = … is missing"),
        ("h = tanh(a_x)\nh = a_x", "defined twice"),
    ],
)
def test_equations_that_cannot_be_used_are_named_in_one_line(text, word):
    with pytest.raises(EquationError, match=re.escape(word)) as error:
        parse(text, "h", "h")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "expression, at",
    [("a_x / (1 + a_h**2)", 0.3), ("exp(-a_x) - relu(a_h)", 0.2), ("-(a_x - 2 * a_h) ** 3", 0.1)],
)
def test_every_operation_is_differentiated(expression, at):
    forward = parse(f"h = {expression}", "h", "h")
    values = {"a_x": np.array([at, 0.7]), "a_h": np.array([-0.4, 0.9])}
    values["h"] = evaluate(forward[0].formula, values)
    values["dh"] = np.array([1.5, -0.5])
    backward = {name: evaluate(formula, values) for _, name, formula in derive(forward, "h", "h")}
    for side in "xh":
        moved = {**values, f"a_{side}": values[f"a_{side}"] + 1e-30j}
        true = values["dh"] * np.imag(evaluate(forward[0].formula, moved)) / 1e-30
        assert relative_error(backward.get(f"da_{side}", backward.get("da")), true) < 1e-14


# ---- the engine, in node ----


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    """Run requests through the page's engine."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    data = page.page_data(CoupledCell)
    data["models"] |= page.page_data(PeepCell)["models"]

    def answers(requests):
        file = tmp_path_factory.mktemp("engine") / "requests.json"
        file.write_text(json.dumps({"data": data, "requests": requests}), encoding="utf-8")
        done = subprocess.run(
            [node, SUPPORT / "run_engine.js", WEB / "engine.js", file], capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    answers.data = data
    return answers


def test_the_page_computes_the_numbers_of_npseq(ask):
    cells = {"CoupledCell": CoupledCell, "PeepCell": PeepCell, **CELLS}
    sizes = [(T, H, I) for T, H, I in page.CHECKED_SIZES]
    requests = [{"model": name, "T": T, "H": H, "I": I} for name in cells for T, H, I in sizes]
    for request, answer in zip(requests, ask(requests)["answers"]):
        network = WorkedExample(cells[request["model"]], 3, 12, 0, 2)
        found = page.npseq_gradients(page.part_of(network, request["T"], request["H"], request["I"]))
        assert relative_error(np.array(answer["h"]), found.pop("h")) < 1e-13
        assert relative_error(np.array(answer["dx"]), found.pop("dx")) < 1e-13
        for name, expected in found.items():
            assert relative_error(np.array(answer["gradients"][name]), expected) < 1e-13, name


WEIGHTS = {
    "rnn": ["W_h", 0, 1],
    "lstm": ["W_hf", 1, 0],
    "gru": ["b_xn", 0, None],
    "CoupledCell": ["W_xg", 1, 0],
    "PeepCell": ["p", 1, None],
}


def test_the_matrix_adds_up_to_the_gradient_and_the_complex_step(ask):
    requests = [{"model": name, "T": 5, "H": 2, "I": 1, "weight": weight} for name, weight in WEIGHTS.items()]
    for request, answer in zip(requests, ask(requests)["answers"]):
        name, row, column = request["weight"]
        gradient = answer["gradients"][name][row]
        gradient = gradient if column is None else gradient[column]
        matrix = np.array(answer["matrix"])
        assert abs(matrix.sum() - gradient) < 1e-14 and abs(answer["complexStep"] - gradient) < 1e-14
        assert (np.triu(matrix, 1) == 0).all() and (np.diag(matrix) != 0).all()  # no step acts on an earlier loss


def test_the_page_cuts_and_switches_off_as_npseq_does(ask):
    base = {"T": 6, "H": 2, "I": 1}
    requests = [{"model": "gru", **base, "options": {"cut": 2}}]
    requests += [{"model": "lstm", **base, "options": options} for options in ({"W_h": False}, {"direct": False})]
    cut, without_W_h, without_c = ask(requests)["answers"]
    network = page.part_of(WorkedExample(GRUCell, 3, 12, 0, 2), 6, 2, 1)
    layer = layer_of(npseq.GRU, network)
    parts = npseq.layers.truncated_bptt(layer, network.xs, lambda y, s: network.dys[s], 2, state_of(network))
    total = sum(grads.theta.copy() for _, _, _, grads, _ in parts)
    assert relative_error(flat(cut, network), total) < 1e-13
    # the two paths of the LSTM: npseq's backward without W_h, and without what the cell passes back itself
    network = page.part_of(WorkedExample(LSTMCell, 3, 12, 0, 2), 6, 2, 1)
    layer = layer_of(npseq.LSTM, network)
    broken = planted_bugs.plant("dc-not-carried", layer)
    _, _, tape = broken.forward(network.xs, state_of(network))
    _, _, grads = broken.backward(tape, network.dys)
    assert relative_error(flat(without_c, network), grads.theta) < 1e-13
    _, _, tape = layer.forward(network.xs, state_of(network))
    layer.params["weight_hh_l0"][...] = 0
    _, _, grads = layer.backward(tape, network.dys)
    assert relative_error(flat(without_W_h, network), grads.theta) < 1e-13


def layer_of(kind, network):
    """npseq's layer with the parameters of a worked example."""
    H, I = len(network.state["h"]), network.xs.shape[1]
    layer = kind(I, H, dtype=np.float64)
    for name, stacked in zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), weights_of(network, network.given)):
        layer.params[name + "_l0"][...] = stacked.reshape(layer.params[name + "_l0"].shape)
    return layer


def state_of(network):
    parts = tuple(part[None] for part in network.state.values())
    return parts if len(parts) > 1 else parts[0]


def flat(answer, network):
    """The page's gradients as npseq's flat vector."""
    return np.concatenate(
        [
            np.array(answer["gradients"][name + gate]).ravel()
            for name in ("W_x", "W_h", "b_x", "b_h")
            for gate in network.gates
        ]
    )


KINDS = {"rnn": (npseq.RNN, RNNCell), "lstm": (npseq.LSTM, LSTMCell), "gru": (npseq.GRU, GRUCell)}


def test_every_bug_of_the_page_gives_the_gradient_of_the_planted_bug(ask):
    bugs = ask.data["bugs"]
    assert len(bugs) >= 15
    requests = [
        {"model": model, "T": 4, "H": 2, "I": 1, "options": {"bug": bug["name"]}}
        for bug in bugs
        for model in KINDS
        if (model in bug["formulas"] if bug["formulas"] else not bug["several_gates"] or model != "rnn")
    ]
    for request, answer in zip(requests, ask(requests)["answers"]):
        name, (kind, cell) = request["options"]["bug"], KINDS[request["model"]]
        network = page.part_of(WorkedExample(cell, 3, 12, 0, 2), 4, 2, 1)
        broken = planted_bugs.plant(name, layer_of(kind, network))
        _, _, tape = broken.forward(network.xs, state_of(network))
        _, _, grads = broken.backward(tape, network.dys)
        assert relative_error(flat(answer, network), grads.theta) < 1e-13, (name, request["model"])


def test_the_spectral_radius(ask):
    radius = np.abs(np.linalg.eigvals([[0.5, -0.8], [0.3, 0.2]])).max()
    assert abs(ask([])["radius"] - radius) < 1e-9


# ---- the file ----


def test_the_page_is_one_small_file_that_needs_no_network(tmp_path, capsys):
    path = tmp_path / "explain.html"
    assert command.main(["--model", "gru", "--html", str(path)]) == 0
    text = path.read_text(encoding="utf-8")
    assert len(text.encode()) < 250_000 and "250" not in capsys.readouterr().err
    assert not re.search(r"""(src|href)\s*=\s*["'](?!#)|https?://(?!www\.w3\.org)|@import|fetch\(|XMLHttp""", text)
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1])
    assert data["start"] == "gru" and set(data["models"]) == set(CELLS)
    for marker in ("/* STYLE */", "/* SCRIPT */", "/* DATA */"):
        assert marker not in text


def test_the_lines_of_code_that_the_page_shows_are_there():
    lines, root = page.code_lines(), Path(npseq.__file__).parent
    assert {7, 8, 9, 14, 17, 20, 23, 29, 30, 31, 32, 33, 34} <= set(lines)
    for file, number, text in lines.values():
        there = (root / file).read_text(encoding="utf-8").splitlines()[number - 1 :]
        assert all(line == other.strip() for line, other in zip(text.splitlines(), there)) and text[0] != "#"
    # of a condition what is done under it; of a name that is assigned twice both lines
    assert "W_x @ x" in lines[7][2] and "a_x + b_x" in lines[7][2]
    assert not lines[29][2].startswith("if") and "d_state[0] + d_output" in lines[29][2]
    assert not lines[39][2].startswith("if") and "np.where(valid" in lines[39][2]


def test_a_cell_without_equations_gets_its_recorded_values():
    data = page.page_data(SilentCell)
    recorded = data["models"]["SilentCell"]["recorded"]
    assert "forward" not in data["models"]["SilentCell"] and len(recorded["steps"]) == recorded["T"]
    assert set(recorded["steps"][0]) >= {"x", "a_x", "a_h", "h", "c", "dh", "dc", "dx", "dh_prev"}
    assert "SilentCell" in page.build(SilentCell)


def test_own_parameters_of_any_shape_are_recorded():
    class Cell:
        gates, state, own = "ab", "h", {"p": "H,H", "q": "", "r": "H", "s": "2*H"}

        @staticmethod
        def forward(a_x, a_h, state, own):
            return (np.tanh(own["p"] @ state[0] * own["q"] + own["r"] + own["s"][: len(state[0])]),), (state[0], own)

        @staticmethod
        def backward(d_state, cache, own):
            zero = np.zeros((2 * len(cache[0]), cache[0].shape[1]))
            return zero, zero, (np.zeros_like(cache[0]),), {name: np.zeros_like(value) for name, value in own.items()}

    recorded = page.page_data(Cell)["models"]["Cell"]["recorded"]
    shapes = {name: np.shape(recorded["gradients"][name]) for name in Cell.own}
    assert shapes == {"p": (2, 2), "q": (), "r": (2, 1), "s": (4, 1)}


def test_every_text_of_the_page_is_there_in_chinese():
    """Each literal that the scripts look up, each marked element, each bug: in the table, and nothing else is."""
    scripts = {name: (WEB / name).read_text(encoding="utf-8") for name in page.SCRIPTS}
    every = "\n".join(scripts.values())
    texts = set(re.findall(r'\btr\(\s*"([^"]*)"', every)) | set(re.findall(r'FormulaError\([^"\n]*"([^"]*)"', every))
    texts |= set(re.findall(r'(?:title|question|because|AT_THE_END)(?:: | = )"([^"]*)"', scripts["lesson.js"]))
    texts |= set(re.findall(r'\["([^"]*)", \(r\)', scripts["lesson.js"])) | {"{0} steps", "{0} step"}
    texts |= set(re.findall(r'(?:\?|:) "(unfinished[^"]*)"', every))
    html = (WEB / "page.html").read_text(encoding="utf-8")
    texts |= {" ".join(m[1].split()) for m in re.findall(r"<(\w+)[^>]* data-tr>(.*?)</\1>", html, re.DOTALL)}
    texts |= {bug["what"] for bug in page.BUGS}
    texts |= {hint for exercise in page.exercise_data()["exercises"].values() for hint in exercise["hints"]}
    table = json.loads((WEB / "chinese.json").read_text(encoding="utf-8"))
    assert set(table) == texts and len(texts) > 100
    for english, chinese in table.items():
        assert set(re.findall(r"\{\d\}", english)) == set(re.findall(r"\{\d\}", chinese)), english


def test_the_command_takes_a_cell_from_a_file(tmp_path, capsys):
    (tmp_path / "own.py").write_text(
        "import numpy as np\n"
        "class Cell:\n"
        "    gates, state = 'h', 'h'\n"
        "    equations = 'h = tanh(a_x + 2 * a_h)'\n"
        "    @staticmethod\n"
        "    def forward(a_x, a_h, state):\n"
        "        h = np.tanh(a_x + 2 * a_h)\n"
        "        return (h,), (h,)\n"
        "    @staticmethod\n"
        "    def backward(d_state, cache):\n"
        "        da = d_state[0] * (1 - cache[0] ** 2)\n"
        "        return da, 2 * da, (np.zeros_like(da),)\n",
        encoding="utf-8",
    )
    assert command.main(["--cell", f"{tmp_path}/own.py:Cell", "--only", "da_h"]) == 0
    assert "da_h = dh ⊙ (1 − h²) ⊙ 2" in capsys.readouterr().out


@pytest.mark.parametrize(
    "argv, word",
    [
        (["--html", "page.txt"], ".html"),
        (["--html", "absent/folder/x.html", "--model", "gru2"], "gru2"),
        (["--cell", "absent.py:Cell"], "absent.py: no such file"),
    ],
)
def test_wrong_usage_of_explain_is_one_line(argv, word, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        command.main(argv)
    error = capsys.readouterr().err
    assert end.value.code == 2 and error.count("\n") == 1 and word in error and list(tmp_path.iterdir()) == []


@pytest.mark.wide
def test_the_script_passes_the_syntax_check_of_node(tmp_path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    for name in page.SCRIPTS:
        assert subprocess.run([node, "--check", WEB / name]).returncode == 0
