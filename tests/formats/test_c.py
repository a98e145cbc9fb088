"""The C export: it compiles without a warning, runs clean under the sanitisers, and gives npseq's numbers."""

import subprocess

import numpy as np
import pytest
from compiling import COMPILERS, SANITIZED, built, needs_a_compiler

import npseq
import npseq.formats.c
from npseq import checkpoint
from npseq.cli import export
from npseq.nn.model import Model
from npseq.nn.streaming import WindowStream

STEPS, BOUND = 1000, 1e-6
SCALING = {
    "input_mean": [1e6, 0.0, -5.0],
    "input_scale": [2.0, 1.0, 0.1],
    "output_mean": [100.0, -1e3],
    "output_scale": [4.0, 0.5],
}


def randomised(thing, scale=0.25):
    """Weights with which rounding errors do not grow from step to step."""
    thing.theta[...] = np.random.default_rng(7).normal(0, scale, thing.theta.shape)
    return thing


KINDS = {
    "rnn": (npseq.RNN, {}),
    "relu": (npseq.RNN, {"nonlinearity": "relu"}),
    "gru": (npseq.GRU, {}),
    "lstm": (npseq.LSTM, {}),
    "projected": (npseq.LSTM, {"proj_size": 3}),
    "double": (npseq.OptimizedGRU, {"dtype": np.float64}),
}
OPTIONS = [{}, {"num_layers": 2, "bias": False}, {"num_layers": 3, "learn_initial_state": True}]
QUICK = [("rnn", 0), ("relu", 1), ("gru", 0), ("gru", 2), ("lstm", 1), ("lstm", 2), ("projected", 0), ("double", 1)]


def layer(kind, options):
    make, own = KINDS[kind]
    return randomised(make(3, 6, **own, **OPTIONS[options])), False


THINGS = {f"{kind}_{options}": layer(kind, options) for kind, options in QUICK}
THINGS["model"] = Model("lstm", 3, 32, 1, rng=0, num_layers=2), False
THINGS["scaled"] = randomised(Model("gru", 3, 5, 2, scaling=SCALING)), True
OTHERS = {
    f"{kind}_{options}": layer(kind, options)
    for kind in KINDS
    for options in range(len(OPTIONS))
    if (kind, options) not in QUICK
}
ALL = {"quick": THINGS, "others": OTHERS}


DRIVER = """
static int run_NAME(void) {
    NAME_state s;
    NUMBER x[NAME_INPUTS_], y[NAME_OUTPUTS_];
    double z[NAME_INPUTS_], w[NAME_OUTPUTS_];
    int i;
    NAME_reset(&s);
    while (fread(z, sizeof z, 1, stdin) == 1) {
        for (i = 0; i < NAME_INPUTS_; i++)
            x[i] = (NUMBER)z[i];
        NAME_step(&s, x, y);
        for (i = 0; i < NAME_OUTPUTS_; i++)
            w[i] = y[i];
        if (fwrite(w, sizeof w, 1, stdout) != 1)
            return 1;
    }
    return 0;
}
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """group -> two programs with every header of the group, at -O2 and with the sanitisers, for each compiler; the
    argument says which header runs."""
    made = {}

    def of(group):
        if group not in made:
            folder = tmp_path_factory.mktemp("c")
            parts, main = ["#include <stdio.h>\n#include <string.h>\n"], []
            for name, (thing, scaled) in ALL[group].items():
                npseq.c.export(thing, folder / f"{name}.h", with_scaler=scaled)
                text = DRIVER.replace("NAME_INPUTS_", f"{name.upper()}_INPUTS")
                text = text.replace("NAME_OUTPUTS_", f"{name.upper()}_OUTPUTS").replace("NAME", name)
                text = text.replace("NUMBER", "double" if scaled else "float")
                parts.append(f'#include "{name}.h"\n{text}')
                main.append(f'    if (!strcmp(v[1], "{name}")) return run_{name}();\n')
            parts.append(f"int main(int n, char **v) {{\n    if (n < 2) return 2;\n{''.join(main)}    return 3;\n}}\n")
            (folder / "all.c").write_text("".join(parts))
            options = ["-O2"], SANITIZED
            made[group] = [built(compiler, folder, "all.c", *some) for compiler in COMPILERS for some in options]
        return made[group]

    return of


def ran(program, x, *arguments):
    """y of each row of x (T, I)."""
    done = subprocess.run([program, *arguments], input=np.float64(x).tobytes(), capture_output=True)
    assert done.returncode == 0 and done.stderr == b"", done.stderr.decode()[:2000]
    return np.frombuffer(done.stdout, np.float64).reshape(len(x), -1)


@needs_a_compiler
@pytest.mark.wide
@pytest.mark.parametrize("group, name", [*(("quick", name) for name in THINGS), *(("others", name) for name in OTHERS)])
def test_a_thousand_steps_are_npseqs_and_the_sanitisers_find_nothing(programs, group, name):
    thing, scaled = ALL[group][name]
    x = np.random.default_rng(0).standard_normal((STEPS, 3)).astype(np.float32)
    stream = thing.stream()
    expected = np.array([stream.step(row) for row in x], np.float64)
    if scaled:
        x = x * np.array(SCALING["input_scale"]) + SCALING["input_mean"]
    for program in programs(group):
        y = ran(program, x, name)
        if scaled:
            y = (y - SCALING["output_mean"]) / SCALING["output_scale"]
        assert y.shape == expected.shape
        assert np.abs(y - expected).max() <= BOUND


@needs_a_compiler
def test_tanh_is_exact_to_its_bound_everywhere(tmp_path):
    npseq.c.export(npseq.RNN(1, 1), tmp_path / "m.h")
    (tmp_path / "t.c").write_text(
        '#include <stdio.h>\n#include "m.h"\nint main(void) {\n    double z;\n'
        "    while (fread(&z, 8, 1, stdin) == 1) {\n        z = m_tanh((float)z);\n"
        "        if (fwrite(&z, 8, 1, stdout) != 1) return 1;\n    }\n    return 0;\n}\n"
    )
    a = np.concatenate([np.linspace(-12, 12, 100_001), np.logspace(-40, 38, 1001), [np.inf, -np.inf, 0]])
    a = a.astype(np.float32).astype(np.float64)[:, None]
    program = built(COMPILERS[0], tmp_path, "t.c", "-O2")
    found = ran(program, a)
    assert np.abs(found - np.tanh(a)).max() <= 2.5e-7
    small = (np.abs(a) < 1e-2) & (np.abs(a) > 1e-37)
    assert np.abs(found[small] / np.tanh(a[small]) - 1).max() <= 5e-7
    assert np.isnan(ran(program, np.full((1, 1), np.nan))).all()


def test_constants_are_read_back_exactly():
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2**32, 20_000, dtype=np.uint64).astype(np.uint32).view(np.float32)
    special = np.array([0, -0.0, 1, -3, 1e10, 1e-45, 1.17549435e-38, 3.4028235e38], np.float32)
    for value in np.concatenate([values[np.isfinite(values)], special]):
        text = npseq.formats.c.number(float(value))
        assert text.endswith("f") and ("." in text or "e" in text)
        assert np.float32(text[:-1]).tobytes() == value.tobytes()


@needs_a_compiler
@pytest.mark.parametrize("window", [None, 4])
def test_the_example_compiles_with_its_own_line_and_prints_forecasts(tmp_path, window):
    model = randomised(Model("gru", 3, 5, 2, scaling=SCALING))
    if window:
        model.metadata = {"recipe": {"window": window}}
    npseq.save(tmp_path / "m.pth", model, model.metadata if window else None)
    argv = [str(tmp_path / "m.pth"), "--to", str(tmp_path / "m.h"), "--with-scaler", "--example"]
    assert export.main(argv) == 0 and export.main(argv) == 0  # its own main.c is written again
    compile_line = (tmp_path / "main.c").read_text().splitlines()[0].removeprefix("/* ")
    words = compile_line.replace("cc ", f"{COMPILERS[0]} -Wall -Wextra -Werror ", 1).split()
    subprocess.run(words, cwd=tmp_path, check=True)
    x = np.random.default_rng(0).standard_normal((9, 3)) * SCALING["input_scale"] + SCALING["input_mean"]
    rows = ["a,b,c", *(",".join(map(repr, row.tolist())) for row in x)]
    rows[5] = "1,two,3"  # the header is no row, and this neither
    done = subprocess.run(
        [str(tmp_path / "main")], input="\n".join(rows) + "\n", capture_output=True, text=True, check=True
    )
    y = np.array([line.split(",") for line in done.stdout.splitlines()], np.float64)
    x = np.delete(x, 4, axis=0)
    if window:
        expected = [model.predict(x[t - window : t]) for t in range(window, len(x) + 1)]
    else:
        expected = [model.predict(x[:t]) for t in range(1, len(x) + 1)]
    assert np.abs(y - expected).max() <= 1e-4 and y.shape == np.shape(expected)
    assert done.stderr == "line 6: 3 numbers expected\n"
    for wrong in ["a,b,c,d"] + 9 * ["1,2,3,4"], ["a,b"] + 9 * ["1,2"]:  # without names nothing could be passed over
        given = "\n".join(wrong) + "\n"
        done = subprocess.run([str(tmp_path / "main")], input=given, capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", "line 2: 3 numbers expected\n")
    (tmp_path / "main.c").write_text("int main(void) { return 0; }\n")
    with pytest.raises(SystemExit):
        export.main(argv)
    assert "Written by npseq" not in (tmp_path / "main.c").read_text()


@needs_a_compiler
def test_any_layer_of_a_torch_state_dict_is_exported_by_its_prefix(tmp_path):
    torch = pytest.importorskip("torch")
    module = torch.nn.ModuleDict({"lstm": torch.nn.LSTM(3, 5, 2), "rnn": torch.nn.RNN(3, 4, nonlinearity="relu")})
    module["out"] = torch.nn.Linear(5, 1)
    torch.save(module.state_dict(), tmp_path / "torch.pth")
    x = np.random.default_rng(0).standard_normal((50, 3))
    for prefix, more in (("lstm.", []), ("rnn.", ["--nonlinearity", "relu"])):
        to = str(tmp_path / f"{prefix}h")
        argv = [str(tmp_path / "torch.pth"), "--prefix", prefix, "--to", to, "--name", "net", "--example", *more]
        assert export.main(argv) == 0
        program = built(COMPILERS[0], tmp_path, "main.c", "-O2")
        rows = "".join(",".join(map(repr, row.tolist())) + "\n" for row in x)
        done = subprocess.run([program], input=rows, capture_output=True, text=True, check=True)
        y = np.array([line.split(",") for line in done.stdout.splitlines()], np.float64)
        with torch.no_grad():
            expected = module[prefix[:-1]](torch.tensor(x, dtype=torch.float32))[0].numpy()
        assert np.abs(y - expected).max() <= BOUND


def test_what_has_no_form_in_c_is_refused_by_name_and_nothing_is_written(tmp_path, capsys):
    class Own:
        gates, state = "h", "h"

    own = npseq.GRU(3, 4)
    own.cell = Own
    instance = npseq.GRU(3, 4)
    instance.cell = Own()
    broken = npseq.RNN(3, 4)
    broken.theta[0] = np.nan
    for thing, options, message in [
        (npseq.LSTM(3, 4, bidirectional=True), {}, "LSTM is bidirectional"),
        (Model("gru", 3, 4, bidirectional=True), {}, "GRU is bidirectional"),
        (own, {}, "the cell Own has no form"),
        (instance, {}, "the cell Own has no form"),
        (broken, {}, "weight"),
        (npseq.LSTM(3, 4), {"with_scaler": True}, "scaler"),
        (Model("gru", 3, 4), {"with_scaler": True}, "scaler"),
        (npseq.LSTM(3, 4), {"name": "2nd"}, "'2nd'"),
    ]:
        with pytest.raises(ValueError, match=message):
            npseq.c.export(thing, tmp_path / "m.h", **options)
    file = str(tmp_path / "m.pth")
    npseq.save(file, Model("lstm", 3, 4, bidirectional=True))
    checkpoint.save(tmp_path / "other.pth", {"a": np.zeros(3, np.float32)})
    before = sorted(tmp_path.iterdir())
    for argv, words in [
        ([file, "--to", str(tmp_path / "m.h")], ["bidirectional"]),
        ([file, "--to", str(tmp_path / "m.c")], [".onnx or .h"]),
        ([file, "--to", str(tmp_path / "m.h"), "--with-state"], ["--with-state", ".h"]),
        ([file, "--to", str(tmp_path / "m.onnx"), "--example"], ["--example", ".onnx"]),
        ([str(tmp_path / "other.pth"), "--to", str(tmp_path / "m.h"), "--prefix", "x."], ["x.weight_ih_l0"]),
    ]:
        with pytest.raises(SystemExit) as end:
            export.main(argv)
        shown = capsys.readouterr().err
        assert end.value.code == 2 and shown.count("\n") == 1 and all(word in shown for word in words)
    assert sorted(tmp_path.iterdir()) == before


def test_the_header_says_what_a_window_is(tmp_path):
    model = Model("lstm", 3, 4)
    model.metadata = {"recipe": {"window": 24}}
    npseq.c.export(model, tmp_path / "my-model.h")
    text = (tmp_path / "my-model.h").read_text()
    assert "#define MY_MODEL_WINDOW 24" in text and "my_model_step(" in text
    assert WindowStream(model, 24).window == 24
