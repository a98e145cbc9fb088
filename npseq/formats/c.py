"""Export to C: ``npseq export FILE.pth --to model.h``. One C99 header, with the weights as constants.

The header has a struct with the state of one sequence, ``NAME_reset`` and ``NAME_step``. It includes nothing, allocates
nothing, calls nothing, and is float32 throughout. The order of operations is that of ``fused/step.py``: the weights are
stored column by column, [W_h, b, W_x], with the rows of σ gates halved, so that one tanh serves all gates. What is
written here for the compiler:

- A product adds scaled columns, four at a time, to an array of pre-activations. The inner loop runs over rows and has
  no sum to reorder, so it is vectorised without ``-ffast-math``.
- All loops have constant bounds, and blocks of H rows are filled up with zeros to a multiple of four, so that gcc
  vectorises them at ``-O2``. The rows that are added remain zero.
- tanh is a short expression without a branch, which is vectorised too; ``tanhf`` is not. It is

      tanh(a) = 2 N D / (N² + D²),   N = a (p_0 + p_1 a² + p_2 a⁴),   D = 1 + q_1 a² + q_2 a⁴ + q_3 a⁶,

  from tanh(a) = 2 u / (1 + u²) with u = tanh(a/2) ≈ N/D: where u is close to ±1 its error hardly matters. The
  coefficients are our own minimax fit for |a| ≤ 9.2, beyond which tanh is ±1 in float32. The fit has an error below
  1e-8; with the rounding of float32 the error is below 2.5e-7.
"""

from __future__ import annotations

import os
import re
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._version import __version__
from ..fused.step import STEPS, LSTMStep, ReLURNNStep, RNNStep, stacked
from ..nn.model import Model
from ..nn.own_parameters import cell_name
from ..nn.reading import POOLED
from ..nn.recurrent import Recurrent
from . import atomic, c_example, paths, schema

__all__ = ["export"]

Array = NDArray[Any]

HEADER = Template("""\
/* $file: $what. Written by npseq $version.

   C99, float, nothing included, nothing allocated. One ${name}_state is one sequence:

       ${name}_state state;
       $number x[${NAME}_INPUTS], y[${NAME}_OUTPUTS];
       ${name}_reset(&state);
       ${name}_step(&state, x, y);    for each row: reads x, updates the state, writes y

   x: $x
   y: $y
$window*/
#ifndef ${NAME}_H
#define ${NAME}_H

#define ${NAME}_INPUTS $inputs
#define ${NAME}_OUTPUTS $outputs
$define_window
/* The hidden state h$and_c of each layer; rows are filled up with zeros to a multiple of four. */
typedef struct {
$fields
} ${name}_state;

$constants
/* tanh(a) to 2.5e-7: tanh(a) = 2u/(1 + u^2), u = tanh(a/2) = n/d. */
static inline float ${name}_tanh(float a)
{
    float s, n, d;
    a = a > 9.2f ? 9.2f : a;
    a = a < -9.2f ? -9.2f : a;
    s = a * a;
    n = a * (0.5f + s * (1.48783993e-2f + s * 5.69465536e-5f));
    d = 1.0f + s * (1.13090080e-1f + s * (1.20477817e-3f + s * 1.22157459e-6f));
    return 2.0f * n * d / (n * n + d * d);
}

/* The state before the first row. */
static inline void ${name}_reset(${name}_state *s)
{
    int i, k;
    for (k = 0; k < $layers; k++) {
$reset
    }
}

$functions
/* One row: x to y. */
static inline void ${name}_step(${name}_state *s, const $number *x, $number *y)
{
$step
}

#endif
""")

RNN = Template("""\
    for (i = 0; i < $H; i++)
        s->h[$k][i] = $activation;
""")

LSTM = Template("""\
    for (i = 0; i < $H4; i++)
        a[i] = ${name}_tanh(a[i]);
    for (i = 0; i < $H; i++) { /* rows: o i f g */
        const float o = 0.5f * a[i] + 0.5f;
        const float in = 0.5f * a[$H + i] + 0.5f;
        const float f = 0.5f * a[$H2 + i] + 0.5f;
        const float c = f * s->c[$k][i] + in * a[$H3 + i];
        s->c[$k][i] = c;
        $m[i] = o * ${name}_tanh(c);
    }
""")

GRU = Template("""\
    for (i = $H; i < $H3; i++) /* rows: W_hn h, r, z, W_xn x */
        a[i] = 0.5f * ${name}_tanh(a[i]) + 0.5f;
    for (i = 0; i < $H; i++) {
        const float n = ${name}_tanh(a[$H3 + i] + a[$H + i] * a[i]);
        s->h[$k][i] += a[$H2 + i] * (n - s->h[$k][i]);
    }
""")


def export(
    model: Model | Recurrent,
    path: str | os.PathLike[str],
    name: str | None = None,
    with_scaler: bool = False,
    example: bool | str = False,
) -> None:
    """Write a ``Model`` or a recurrent layer as a C header.

    ``NAME_step`` of a layer gives y of this step, its top layer's h; of a model its answer to the steps since
    ``NAME_reset``.

    Args:
        model: the weights are converted to float32.
        path: of the header.
        name: what all names in it start with; by default the file's name without its ending.
        with_scaler: x and y in the data's own units, as double: the model's scaler is in the header.
        example: also write ``main.c`` into the same folder: True for a program that reads the model's inputs as CSV and
            prints y; or the text of another program, such as that of ``forecast.c_program``.

    Raises:
        ValueError: for a layer with two directions, a cell or weights that cannot be written, a scaler that is not
            there, a name that C does not allow, or a ``main.c`` that is not npseq's.
        OSError: when a file cannot be written. A file that was there is then unchanged.
    """
    path = os.fspath(path)
    name = name_of(path) if name is None else name
    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        raise ValueError(f"name {name!r} given; a name in C, of letters, digits and _, expected")
    if getattr(model, "embedding", None) is not None:
        raise ValueError("a model with an embedding cannot be written in C")
    header = _Header(model, name, paths.name_of(path), with_scaler)
    text = header.text()
    main = program_beside(path)
    program = ""
    if example:
        c_example.check(main)
        program = example if isinstance(example, str) else header.example()
    if set(paths.name_of(path)) & set('"\\\n\r'):  # no #include can name it, so the program has the header's text
        program = program.replace(f'#include "{paths.name_of(path)}"', text)
    with atomic.replacing(path) as file:
        file.write(text.encode("utf-8", "surrogateescape"))
    if program:
        with atomic.replacing(main) as file:
            file.write(program.encode("utf-8", "surrogateescape"))


def program_beside(path: str) -> str:
    """Return the path of the example program of a header."""
    return os.path.join(os.path.dirname(path), "main.c")


def name_of(path: str) -> str:
    """Return what the names in a header start with: the file's name without its ending, as a name in C."""
    return re.sub(r"\W", "_", os.path.splitext(os.path.basename(path))[0], flags=re.ASCII)


def number(value: float) -> str:
    """Return a float32 constant of C that is read back as exactly this value."""
    text = f"{value:.9g}"
    return text + ("f" if "e" in text or "." in text else ".0f")


def double(value: float) -> str:
    """Return a double constant of C that is read back as exactly this value."""
    return repr(float(value))


def constant(c_type: str, name: str, array: Array) -> str:
    """Return the definition of an array (1-D or 2-D) of float32, float64 or integers."""
    write = str if array.dtype.kind == "i" else number if array.dtype == np.float32 else double

    def row(values: Array, indent: str) -> str:
        texts = [write(value) for value in values.tolist()]
        lines = [", ".join(texts[k : k + 8]) for k in range(0, len(texts), 8)]
        return (",\n" + indent).join(lines)

    sizes = "".join(f"[{size}]" for size in array.shape)
    if array.ndim == 1:
        body = "    " + row(array, "    ")
    else:
        body = ",\n".join("    {" + row(values, "     ") + "}" for values in array)
    return f"static const {c_type} {name}{sizes} = {{\n{body}\n}};\n"


def padded(size: int) -> int:
    """Return the next multiple of four."""
    return -(-size // 4) * 4


def _rows_padded(array: Array, blocks: int = 1) -> Array:
    """(blocks · H, …) to (blocks · padded(H), …), with zeros at the end of each block."""
    H = len(array) // blocks
    result = np.zeros((blocks, padded(H), *array.shape[1:]), np.float32)
    result[:, :H] = array.reshape(blocks, H, *array.shape[1:])
    return result.reshape(-1, *array.shape[1:])


class _Header:
    """The text of a header, part by part."""

    def __init__(self, model: Model | Recurrent, name: str, file: str, with_scaler: bool) -> None:
        self.head, self.scaling, self.window = None, None, None
        self.layer = model.rnn if isinstance(model, Model) else model
        if isinstance(model, Model):
            if model.read in POOLED:
                raise ValueError(f"a head that reads {model.read!r} of all steps has no form in C; 'final' expected")
            self.head = model.fc
            self.scaling = model.scaling if with_scaler else None
            window = schema.entry(model.metadata, "recipe", "window")
            self.window = window if schema.COUNT.fits(window) else None  # a file may come from anywhere
        if self.layer.bidirectional:
            raise ValueError(
                f"{type(self.layer).__name__} is bidirectional: its second direction starts at the end of the "
                "sequence, so it has no step; bidirectional=False expected"
            )
        if self.layer.cell not in STEPS:
            raise ValueError(f"the cell {cell_name(self.layer.cell)} has no form in C; RNN, LSTM or GRU expected")
        if not np.isfinite(model.theta.astype(np.float32)).all():
            raise ValueError("a weight is infinite or no number in float32; there is no C constant for it")
        if with_scaler and self.scaling is None:
            raise ValueError("with_scaler given, but the model has no scaler")
        self.kind = STEPS[self.layer.cell]
        self.name, self.file = name, file
        self.number = "double" if self.scaling else "float"
        self.H, self.P = padded(self.layer.hidden_size), padded(self.layer.output_size)
        self.constants: list[str] = []
        self.functions = [self._layer(k) for k in range(self.layer.num_layers)]

    # ---- the parts ----

    def _product(self, a: str, W: str, z: str, array: Array) -> str:
        """The lines of a += W z, where ``array`` (columns, rows) is Wᵀ, in groups of four columns."""
        columns, rows = array.shape
        whole = columns // 4 * 4

        def terms(indices: list[str]) -> str:
            return " + ".join(f"{W}[{k}][i] * {z}[{k}]" for k in indices)

        lines = []
        if whole:
            lines += [f"    for (k = 0; k < {whole}; k += 4)", f"        for (i = 0; i < {rows}; i++)"]
            lines.append(f"            {a} += {terms(['k', 'k + 1', 'k + 2', 'k + 3'])};")
        if whole < columns:
            lines.append(f"    for (i = 0; i < {rows}; i++)")
            lines.append(f"        {a} += {terms([str(k) for k in range(whole, columns)])};")
        return "\n".join(lines) + "\n"

    def _layer(self, k: int) -> str:
        """The function that advances layer k, whose constants are added to the others."""
        kind, name, H = self.kind, self.name, self.H
        weights = self.layer.weights(k)
        W = stacked(weights, kind.gates, kind.blocks, kind.halved).astype(np.float32)
        blocks, P = len(kind.blocks), self.layer.output_size
        W = _rows_padded(W, blocks)
        of_h, of_x = ([n for n, (_, reads) in enumerate(kind.blocks) if letter in reads] for letter in "hx")
        W_h = W[of_h[0] * H : (of_h[-1] + 1) * H, :P].T
        W_x = W[of_x[0] * H : (of_x[-1] + 1) * H, P + 1 :].T
        self.constants += [
            constant("float", f"{name}_W_h{k}", W_h),
            constant("float", f"{name}_W_x{k}", W_x),
            constant("float", f"{name}_b{k}", W[:, P]),
        ]
        offset = f"{of_x[0] * H} + " if of_x[0] else ""
        body = f"    for (i = 0; i < {blocks * H}; i++)\n        a[i] = {name}_b{k}[i];\n"
        body += self._product("a[i]", f"{name}_W_h{k}", f"s->h[{k}]", W_h)
        body += self._product(f"a[{offset}i]", f"{name}_W_x{k}", "x", W_x)
        projected = weights.W_p is not None
        values = {"name": name, "k": k, "H": H, "H2": 2 * H, "H3": 3 * H, "H4": 4 * H}
        declared = f"    float a[{blocks * H}];\n"
        if issubclass(kind, LSTMStep):
            body += LSTM.substitute(values, m="m" if projected else f"s->h[{k}]")
        elif kind in (RNNStep, ReLURNNStep):
            relu = "a[i] < 0.0f ? 0.0f : a[i]"
            body += RNN.substitute(values, activation=relu if kind is ReLURNNStep else f"{name}_tanh(a[i])")
        else:
            body += GRU.substitute(values)
        if weights.W_p is not None:
            declared = f"    float a[{blocks * H}], m[{H}], p[{self.P}];\n"
            W_p = _rows_padded(weights.W_p).T
            self.constants.append(constant("float", f"{name}_W_p{k}", W_p))
            body += f"    for (i = 0; i < {self.P}; i++)\n        p[i] = 0.0f;\n"
            body += self._product("p[i]", f"{name}_W_p{k}", "m", W_p)
            body += f"    for (i = 0; i < {self.P}; i++)\n        s->h[{k}][i] = p[i];\n"
        loops = "    int i, k;\n" if "(k = 0" in body else "    int i;\n"
        return f"static inline void {name}_layer{k}({name}_state *s, const float *x)\n{{\n{declared}{loops}{body}}}\n"

    def _step(self) -> str:
        """The body of ``NAME_step``."""
        name, top = self.name, self.layer.num_layers - 1
        lines, x = [], "x"
        if self.scaling is not None:
            for key, values in self.scaling.to_json().items():
                number = "int" if key == "skip" else "double"
                self.constants.append(constant(number, f"{name}_{key}", np.array(values)))
            x = "z"
            lines += [
                f"    for (i = 0; i < {self.layer.input_size}; i++)",
                f"        z[i] = (float)((x[i] - {name}_input_mean[i]) / {name}_input_scale[i]);",
            ]
        for k in range(top + 1):
            lines.append(f"    {name}_layer{k}(s, {x});")
            x = f"s->h[{k}]"
        source, declared = x, ["int i"]
        if self.head is not None:
            head = {key: _rows_padded(np.asarray(values, np.float32)) for key, values in self.head.params.items()}
            rows, W = len(head["weight"]), head["weight"].T
            self.constants.append(constant("float", f"{name}_W_y", W))
            self.constants.append(constant("float", f"{name}_b_y", head.get("bias", np.zeros(rows, np.float32))))
            lines += [f"    for (i = 0; i < {rows}; i++)", f"        a[i] = {name}_b_y[i];"]
            lines.append(self._product("a[i]", f"{name}_W_y", x, W).rstrip())
            declared = ["int i, k" if len(W) >= 4 else "int i", f"float a[{rows}]"]
            source = "a"
        y = f"{source}[i]"
        if self.scaling is not None:
            declared.append(f"float z[{self.layer.input_size}]")
            y = f"(double){y} * {name}_output_scale[i] + {name}_output_mean[i]"
            if self.scaling.skip is not None:  # the forecast that the inputs hold, which the network corrects
                y += f" + x[{name}_skip[i]]"
        lines += [f"    for (i = 0; i < {self.name.upper()}_OUTPUTS; i++)", f"        y[i] = {y};"]
        return "\n".join([f"    {line};" for line in declared] + lines)

    def text(self) -> str:
        """The whole file."""
        layer, name, L = self.layer, self.name, self.layer.num_layers
        kind = self.kind.__name__.removesuffix("Step")
        step = self._step()
        sizes = {"h": self.P, "c": self.H}
        reset = [f"        for (i = 0; i < {sizes[letter]}; i++)" for letter in layer.cell.state]
        for n, letter in enumerate(layer.cell.state):
            initial = "0.0f"
            if layer.learn_initial_state:
                initial = f"{name}_{letter}_0[k][i]"
                rows = _rows_padded(layer.params[letter + "_0"].T).T
                self.constants.append(constant("float", f"{name}_{letter}_0", rows))
            reset[n] += f"\n            s->{letter}[k][i] = {initial};"
        own = self.scaling is not None
        what = f"{kind}, {layer.input_size} inputs, {L} {'layer' if L == 1 else 'layers'} of {layer.hidden_size} units"
        window = define = ""
        if self.window:
            window = (
                f"\n   The model was trained on windows of {self.window} rows. For a forecast as in the training call\n"
                f"   {name}_reset, then {name}_step for each of the last {name.upper()}_WINDOW rows; take the last y.\n"
            )
            define = f"#define {name.upper()}_WINDOW {self.window}\n"
        return HEADER.substitute(
            name=name,
            NAME=name.upper(),
            file=self.file,
            number=self.number,
            what=what,
            version=__version__,
            x="the inputs, " + ("in the data's own units" if own else "as the model takes them (standardised)"),
            y="the hidden state of the top layer"
            if self.head is None
            else "the answer, " + ("in the data's own units" if own else "as the model gives it (standardised)"),
            window=window,
            define_window=define,
            inputs=layer.input_size,
            outputs=layer.output_size if self.head is None else len(self.head.params["weight"]),
            and_c=" and the cell state c" if len(layer.cell.state) > 1 else "",
            fields="\n".join(f"    float {letter}[{L}][{sizes[letter]}];" for letter in layer.cell.state),
            constants="\n".join(self.constants),
            layers=L,
            reset="\n".join(reset),
            functions="\n".join(self.functions),
            step=step,
        )

    def example(self) -> str:
        """``main.c``."""
        return c_example.text(self.name, self.file, self.number, self.window)
