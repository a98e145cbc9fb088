"""One-line edits of the code that is checked: each changes a gradient or an output within the documented options.

``python tests/support/edits.py [--all] [NUMBER …]`` applies them to copies of npseq, runs ``npseq gradcheck`` on each and says
which were caught, and whether the report names the file, the function, and the line or the variable.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

REPO = Path(__file__).resolve().parents[2]


class Edit(NamedTuple):
    """``old`` is replaced by ``new`` where it first stands after ``after``; ``names``: words of the line, one of which is said."""

    file: str
    function: str
    old: str
    new: str
    names: str
    after: str = ""


EDITS = [
    # cells.py
    Edit("cells.py", "sigmoid", "0.5 * np.tanh(0.5 * a) + 0.5", "0.5 * np.tanh(0.5 * a) + 0.49999", "sigmoid i r"),
    Edit("cells.py", "RNNCell.forward", "h = np.tanh(a_x + a_h)", "h = np.tanh(a_x + 0.9999 * a_h)", "h"),
    Edit("cells.py", "RNNCell.backward", "da = dh * (1 - h * h)", "da = dh * (1 - h * h * h)", "da"),
    Edit("cells.py", "ReLURNNCell.backward", "np.where(h.real <= 0, 0, dh)", "np.where(h.real <= 0.2, 0, dh)", "da"),
    Edit("cells.py", "ReLURNNCell.forward", "np.where(a.real <= 0, 0, a)", "np.where(a.real <= 0, 0.01 * a, a)", "h"),
    Edit("cells.py", "LSTMCell.forward", "c = f * c_prev + i * g", "c = f * c_prev + i * i * g", "c"),
    Edit("cells.py", "LSTMCell.backward", "dc = dc + dh * o * (1", "dc = dc + dh * i * (1", "dc"),
    Edit("cells.py", "LSTMCell.backward", "di * i * (1 - i), df", "di * i * (1 - f), df", "da di"),
    Edit("cells.py", "LSTMCell.backward", "(np.zeros_like(dh), dc_prev)", "(np.zeros_like(dh), dc)", "dc_prev dc"),
    Edit("cells.py", "GRUCell.forward", "n = np.tanh(a_xn + r * a_hn)", "n = np.tanh(a_xn + a_hn)", "n"),
    Edit("cells.py", "GRUCell.backward", "dh * z, dh * (1 - z)", "dh * z, dh * (1 - r)", "dh_prev"),
    Edit("cells.py", "GRUCell.backward", "da_xn * a_hn, da_xn * r", "da_xn * a_hn, da_xn * z", "da_hn"),
    # bptt.py
    Edit("bptt.py", "forward_through_time", "np.arange(T)[:, None] < np.asarray(lengths)", "np.arange(T)[:, None] <= np.asarray(lengths)", "valid"),
    Edit("bptt.py", "_forward_steps", "a_h = W_h @ h if b_h is None else W_h @ h + b_h", "a_h = W_h @ h if b_h is None else W_h @ h - b_h", "a_h"),
    Edit("bptt.py", "_forward_steps", "h = state[0] if h_mask is None else h_mask * state[0]", "h = state[0] if t == 0 or h_mask is None else h_mask * state[0]", "h"),
    Edit("bptt.py", "_backward_steps", "d_new = (d_state[0] + d_output,)", "d_new = (d_state[0] + 0.999 * d_output,)", "d_new"),
    Edit("bptt.py", "_backward_steps", "d_past = tuple(np.where(valid[t], 0, d) for d in d_new)", "d_past = tuple(np.where(valid[t], 0, d) for d in d_new[::-1])", "d_past"),
    Edit("bptt.py", "_backward_steps", "dh = W_h.T @ da_h if h_mask is None", "dh = W_h.T @ da_x if h_mask is None", "dh"),
    Edit("bptt.py", "_backward_steps", "da_x.sum(0).sum(1)[:, None]", "da_h.sum(0).sum(1)[:, None]", "db_x b_x"),
    Edit("bptt.py", "_backward_steps", "h_before = slots[0][:-1]", "h_before = slots[0][1:]", "h_before"),
    Edit("bptt.py", "_backward_steps", "np.matmul(W_x.T, da_x, out=d_x)", "np.matmul(W_x.T, da_h, out=d_x)", "d_x dx"),
    Edit("bptt.py", "_sum_of_products", "np.add.at(total, x, da.transpose(0, 2, 1))", "total[x] = da.transpose(0, 2, 1)", "total dW_x"),
    Edit("bptt.py", "backward_through_time", "total += part", "total[...] = part", "total"),
    Edit("bptt.py", "_segments", "slice(t, min(t + size, T))", "slice(t, min(t + size + (size > 2), T))", "_segments slice"),
    # fused/kernels.py and kernel_base.py
    Edit("fused/kernel_base.py", "Kernel.stack", "(b_x[source] + b_h[source])[:, 0]", "(b_x[source] + 0.99 * b_h[source])[:, 0]", "stack W"),
    Edit("fused/kernel_base.py", "Kernel.unpack", "return Weights(dW[:, H : H + I], dW[:, :H], db, db)", "return Weights(dW[:, H : H + I], dW[:, :H], db, 0.5 * db)", "unpack db b_h"),
    Edit("fused/kernels.py", "RNNKernel.factors", "np.subtract(1, K[:, 0], out=K[:, 0])", "np.subtract(1.0001, K[:, 0], out=K[:, 0])", "K"),
    Edit("fused/kernels.py", "RNNKernel.forward", "add(h, a_x, h)", "add(h, h, h)", "h a_x"),
    Edit("fused/kernels.py", "ReLURNNKernel.factors", ".real <= 0", ".real < 0", "zero K"),
    Edit("fused/kernels.py", "LSTMKernel.forward", "multiply(o, tanh_c, h)", "multiply(o, c, h)", "h"),
    Edit("fused/kernels.py", "LSTMKernel.factors", "np.subtract(i, K_g, K_g)", "np.subtract(f, K_g, K_g)", "K_g"),
    Edit("fused/kernels.py", "LSTMKernel.factors", "np.copyto(K_next, f)", "np.copyto(K_next, o)", "K_next"),
    Edit("fused/kernels.py", "LSTMKernel.factors", "np.subtract(1, o, K_o)", "np.subtract(1, i, K_o)", "K_o"),
    Edit("fused/kernels.py", "LSTMKernel.backward", "add(dc_here, steps.gradient_at_end[t], dc_here)", "pass", "dc_here gradient_at_end"),
    Edit("fused/kernels.py", "LSTMKernel.backward", "add(dc, dc_here, dc_here)", "add(dc, dc, dc_here)", "dc_here"),
    Edit("fused/kernels.py", "GRUKernel._run", "add(a_hn, bias, a_hn)", "pass", "a_hn"),
    Edit("fused/kernels.py", "GRUKernel._run", "subtract(n, h_prev, q)", "subtract(n, h, q)", "q"),
    Edit("fused/kernels.py", "GRUKernel.factors", "np.subtract(1, z, out=K_h)", "np.subtract(1, r, out=K_h)", "K_h"),
    Edit("fused/kernels.py", "GRUKernel.factors", "np.multiply(K_r, a_hn, out=K_r)", "np.multiply(K_r, n, out=K_r)", "K_r"),
    Edit("fused/kernels.py", "GRUKernel.backward", "add(dh, direct, dh)", "pass", "dh direct"),
    Edit("fused/kernels.py", "GRUKernel.add_dW", "dW[:H, -1] += D[:H].sum(1)", "dW[:H, -1] += D[:H, 1:].sum(1)", "dW bias"),
    Edit("fused/kernels.py", "GRUKernel.unpack", "db[H:], np.concatenate([db[H : 3 * H], db[:H]])", "db[H:], np.concatenate([db[H : 3 * H], db[3 * H :]])", "unpack db b_h"),
    # the rest of fused/
    Edit("fused/through_time.py", "_backward", "(T - 1) // n * n, -1, -n", "(T - 1) // n * n, 0 if T > n else -1, -n", "start"),
    Edit("fused/through_time.py", "_forward_packed", "part[t + shift][:, packing.columns[starting]] = given[:, packing.sequences[starting]]", "part[t + shift][:, packing.columns[starting]] = 0", "part"),
    Edit("fused/through_time.py", "backward_through_time", "d_outputs[packing.last_slots - 1, :, packing.columns] += d_state[0][:, packing.sequences].T", "d_outputs[packing.last_slots - 1, :, packing.columns] = d_state[0][:, packing.sequences].T", "d_outputs"),
    Edit("fused/through_time.py", "_backward_packed", "part[:, packing.columns[starting]] = 0", "part[:, packing.columns[starting]] *= 0.5", "part"),
    Edit("fused/through_time.py", "_forward", "if x.ndim == 2 else None", "if x.ndim == 2 else workspace.W_h", "W_h"),
    Edit("fused/through_time.py", "backward_through_time", "d_outputs = None if d_hs is None else d_hs[order]", "d_outputs = None if d_hs is None else d_hs", "d_outputs"),
    Edit("fused/workspace.py", "ForwardWorkspace.hoist", "x = self.Z[first:last, H:]", "x = self.Z[first + (first > 0) : last + (first > 0), H:]", "x a_x"),
    Edit("fused/packing.py", "Packing.packed", "found[self.idle] = 0", "pass", "found idle"),
    Edit("fused/packing.py", "Packing._number", "lengths[sequence] - 1 - step if reverse", "lengths[sequence] - step if reverse and step.size > 99999 else T - 1 - step if reverse", "row"),
    Edit("fused/packing.py", "Packing.unpack", "outputs[self.steps :] = 0", "outputs[self.steps :] = 1e-3", "outputs"),
    Edit("fused/batch_parallel.py", "_sum", "return sum(parts[1:], start=parts[0])", "return sum(parts[1:3], start=parts[0])", "_sum sum"),
    Edit("fused/batch_parallel.py", "BatchParallel.forward_through_time", "None if lengths is None else lengths[columns]", "None if lengths is None else lengths[: columns.stop - columns.start]", "lengths"),
    Edit("fused/one_hot.py", "TableGradient.add", "self.indices[start : start + n]", "self.indices[:n]", "indices"),
    Edit("fused/one_hot.py", "split", "W[rows, H:-1] + W[rows, -1:]", "W[rows, H:-1] + 0.5 * W[rows, -1:]", "table split"),
    Edit("fused/memory_layout.py", "gathered", "steps.reshape(n, blocks * rows, B).transpose(0, 2, 1)", "steps.reshape(n, blocks * rows, B)[::-1].transpose(0, 2, 1)", "buffer gathered"),
    Edit("fused/through_time.py", "_load", "workspace.Z[first:last, H : H + I] = x", "workspace.Z[first:last, H : H + I] = x if first < 64 else 0", "x Z"),
    Edit("fused/workspace.py", "ForwardWorkspace.look_up", "self._hoisted_first = table, indices, first", "self._hoisted_first = table, indices, 0 * first", "_hoisted_first look_up"),
    # nn/
    Edit("nn/recurrent.py", "Recurrent._run", "x = y if masks[-1] is None else y * masks[-1]", "x = y if masks[-1] is None or k == 1 else y * masks[-1]", "x masks"),
    Edit("nn/recurrent.py", "Recurrent._dropout_mask", "(rng.random(shape) >= p) / (1 - p)", "(rng.random(shape) >= p) / (1 - p * p)", "_dropout_mask mask"),
    Edit("nn/recurrent.py", "Recurrent.backward", "grads[letter + \"_0\"][...] = d.sum(1)", "grads[letter + \"_0\"][...] = d.mean(1)", "grads d"),
    Edit("nn/recurrent.py", "Recurrent.backward", "dx = d_x if dx is None else dx + d_x", "dx = d_x", "dx"),
    Edit("nn/recurrent.py", "Recurrent._store", "grads[name + suffix][...] = d.reshape", "grads[name + suffix][...] += 0.5 * d.reshape", "grads"),
    Edit("nn/torch_shapes.py", "rows", "whole[run] = part.T", "whole[run] = part.T if run < 3 else 0", "whole"),
    Edit("nn/losses.py", "mse", "we * (2 / e.size)", "we * (2 / len(e))", "mse"),
    Edit("nn/losses.py", "huber", "sign * wm / e.size", "sign * m / e.size", "huber"),
    Edit("nn/losses.py", "cross_entropy", "used / max(used.sum(), 1)", "used / used.size", "cross_entropy weight"),
    Edit("nn/losses.py", "cross_entropy", "label_smoothing / K, q.dtype", "label_smoothing / (K + 1), q.dtype", "cross_entropy q"),
    Edit("nn/linear.py", "Linear.backward", "rows.T @ x.reshape(len(rows), -1)", "rows[:64].T @ x.reshape(len(rows), -1)[:64]", "dW weight"),
    Edit("nn/linear.py", "Linear.backward", "grads[\"bias\"][...] = rows.sum(0)", "grads[\"bias\"][...] = rows.mean(0)", "db bias"),
    Edit("nn/model.py", "Model._d_read", "d_state[0][-D:]", "d_state[0][:D]", "d_state"),
    Edit("nn/model.py", "Model._read", "h = h[-D:]", "h = h[:D]", "h"),
    Edit("nn/module.py", "_loss", "weights = None if weights is None else weights[there]", "weights = None", "weights"),
]  # fmt: skip


def edited(source: str, edit: Edit) -> str:
    """Return the source of a file with one edit.

    Raises:
        ValueError: if the edit's line is not there.
    """
    method = edit.function.rpartition(".")
    start = source.index(f"class {method[0]}") if method[0] else 0
    start = source.index(f"def {method[2]}(", start)
    at = source.index(edit.old, start)
    return source[:at] + edit.new + source[at + len(edit.old) :]


def line_number(source: str, edit: Edit) -> int:
    """Return the line of the edit."""
    method = edit.function.rpartition(".")
    start = source.index(f"class {method[0]}") if method[0] else 0
    start = source.index(f"def {method[2]}(", start)
    return source.count("\n", 0, source.index(edit.old, start)) + 1


def run(edits: list[Edit], folder: Path, *options: str) -> tuple[int, str]:
    """Return the exit status and the report of ``npseq gradcheck`` in a copy of npseq with some edits."""
    shutil.copytree(REPO / "npseq", folder / "npseq", ignore=shutil.ignore_patterns("__pycache__"))
    for edit in edits:
        path = folder / "npseq" / edit.file
        path.write_text(edited(path.read_text("utf-8"), edit), "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "npseq", "gradcheck", *options]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    return done.returncode, done.stdout + done.stderr


FILES = "cells|bptt|kernel_base|kernels|through_time|packing|batch_parallel|one_hot|memory_layout|workspace|recurrent"
FILES += "|torch_shapes|losses|linear|model|module|step|pool|blas|layers|streaming|validation|parameters"


def judged(edit: Edit, status: int, report: str) -> dict[str, bool]:
    """Return what the report says of an edit: caught, the file, the function, the line or a variable, another file."""
    source = (REPO / "npseq" / edit.file).read_text("utf-8")
    file, name = edit.file.rpartition("/")[2], edit.function.rpartition(".")[2]
    blame = "\n".join(line for line in report.splitlines() if line.strip().startswith("error in "))
    files = set(re.findall(rf"\b(?:{FILES})\.py", blame))
    line = f"{file}:{line_number(source, edit)}" in blame
    words = any(re.search(rf"(?<![\w.]){re.escape(word)}(?!\w)", blame) for word in edit.names.split())
    function = file in files and bool(re.search(rf"\b{re.escape(name)}\b", blame))
    return {
        "caught": status == 1,
        "file": file in files,
        "function": function,
        "line": line or words and function,
        "elsewhere": bool(files) and file not in files,
    }


def models_of(edit: Edit) -> list[str]:
    """Return the models that run a line, for a quick look at one edit."""
    kinds = [kind for kind in ("rnn", "lstm", "gru") if kind in edit.function.lower()] or ["rnn", "lstm", "gru"]
    fused = edit.file.startswith("fused/")
    return [f"optimized_{kind}" for kind in kinds] if fused else kinds


def main(numbers: list[int], *options: str) -> None:
    """Try edits one by one and print what was found."""
    total: dict[str, int] = {}
    chosen = numbers or range(len(EDITS))
    for k in chosen:
        with tempfile.TemporaryDirectory() as folder:
            quick = (
                ["--model", *models_of(EDITS[k])]
                if "--first" in options and "losses" not in EDITS[k].file and "linear" not in EDITS[k].file
                else []
            )
            status, report = run([EDITS[k]], Path(folder), *options, *quick)
        found = judged(EDITS[k], status, report)
        for what, there in found.items():
            total[what] = total.get(what, 0) + there
        missing = [what for what in ("caught", "file", "function", "line") if not found[what]]
        print(
            k,
            EDITS[k].file,
            EDITS[k].function,
            "" if not missing else f"not {missing}",
            "ELSEWHERE" * found["elsewhere"],
            flush=True,
        )
        if missing and numbers:
            print(report)
    print(json.dumps(total), "of", len(chosen))


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:] if word.isdigit()], *(word for word in sys.argv[1:] if not word.isdigit()))
