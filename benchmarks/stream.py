"""Time one step of npseq's streams beside ONNX Runtime and torch's cells: python benchmarks/stream.py [--quick]

Batch 1, one layer, float32, one thread, the state carried from step to step. All run in this process, in turns of 20
ms of processor time (so that other processes do not count); a ratio is the median over the rounds of the ratio of two
turns of one round. ONNX Runtime runs a graph of one node with the state as input and output; torch's cell runs in
inference mode. With a C compiler also the exported header, as a program that is started in its turn: at -O2, and at
-O3 -march=native. Then what a forecaster's row takes: the state carried on, and the states of the last 24 starts as
columns of one batch (``streaming.WindowStream``).

OPENBLAS_CORETYPE and OPENBLAS_L2_SIZE, which choose BLAS's kernels, are removed from the environment.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from conditions import versions  # first: it sets the number of threads

# isort: split

import numpy as np

import npseq
import npseq.c
from npseq.formats import protobuf
from npseq.nn.streaming import WindowStream

KINDS, INPUTS, TURN = ("RNN", "GRU", "LSTM"), 8, 0.02
WINDOW = 24
GATES = {"RNN": [0], "GRU": [1, 0, 2], "LSTM": [0, 3, 1, 2]}  # ONNX's order of torch's blocks

TIMER = """
#include <stdio.h>
#include <time.h>
#include "net.h"
int main(void) {
    static net_state s;
    static float x[NET_INPUTS], y[NET_OUTPUTS];
    long n = 0;
    clock_t start;
    int i;
    for (i = 0; i < NET_INPUTS; i++)
        x[i] = 0.1f * (float)i;
    net_reset(&s);
    for (start = clock(); clock() - start < CLOCKS_PER_SEC / 50; n += 100)
        for (i = 0; i < 100; i++) {
            net_step(&s, x, y);
            x[0] = y[0];
        }
    printf("%.9g", (double)(clock() - start) / CLOCKS_PER_SEC / (double)n);
    return 0;
}
"""


def timed(step: Callable[[], Any]) -> Callable[[], float]:
    """Return a function that calls ``step`` for one turn and gives the seconds of one call."""

    def turn() -> float:
        count, start = 0, time.process_time()
        while (taken := time.process_time() - start) < TURN:
            for _ in range(200):
                step()
            count += 200
        return taken / count

    return turn


def rounds(turns: dict[str, Callable[[], float]], count: int) -> dict[str, list[float]]:
    """Take all turns ``count`` times, one after the other; name to the seconds of each round."""
    found: dict[str, list[float]] = {name: [] for name in turns}
    for turn in turns.values():
        turn()
    for _ in range(count):
        for name, turn in turns.items():
            found[name].append(turn())
    return found


def onnx_runtime(layer: Any, x: np.ndarray, folder: Path) -> Callable[[], Any]:
    """Return a step of ONNX Runtime: one recurrent node, the state in and out."""
    import onnxruntime

    kind, letters, H = type(layer).__name__, layer.cell.state, layer.hidden_size
    parameters, order = layer.state_dict(), GATES[kind]

    def blocks(name: str) -> np.ndarray:
        parts = np.split(parameters[name + "_l0"], len(order))
        return np.concatenate([parts[gate] for gate in order])

    constants = {"W": blocks("weight_ih"), "R": blocks("weight_hh")}
    constants["B"] = np.concatenate([blocks("bias_ih"), blocks("bias_hh")])
    attributes = {"hidden_size": H, **({"linear_before_reset": 1} if kind == "GRU" else {})}
    inputs = ["x", "W", "R", "B", "", *(letter + "_0" for letter in letters)]
    node = protobuf.node(kind, inputs, ["", *(letter + "_n" for letter in letters)], **attributes)
    size = (1, 1, H)
    given = [("x", (1, 1, INPUTS)), *((letter + "_0", size) for letter in letters)]
    model = protobuf.model(
        [node],
        "step",
        [protobuf.value_info(name, protobuf.FLOAT, shape) for name, shape in given],
        [protobuf.value_info(letter + "_n", protobuf.FLOAT, size) for letter in letters],
        [protobuf.tensor(name, array[None]) for name, array in constants.items()],
        "npseq",
        npseq.__version__,
    )
    (folder / "step.onnx").write_bytes(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(folder / "step.onnx"), options, providers=["CPUExecutionProvider"])
    feed = {"x": x[None, None], **{letter + "_0": np.zeros(size, np.float32) for letter in letters}}
    names, places = [letter + "_n" for letter in letters], [letter + "_0" for letter in letters]

    def step() -> np.ndarray:
        for place, part in zip(places, session.run(names, feed)):
            feed[place] = part
        return feed["h_0"][0, 0]

    return step


def torch_cell(layer: Any, x: np.ndarray) -> Callable[[], Any]:
    """Return a step of torch's cell."""
    import torch

    torch.set_num_threads(1)
    cell = getattr(torch.nn, type(layer).__name__ + "Cell")(INPUTS, layer.hidden_size)
    cell.load_state_dict({name.removesuffix("_l0"): torch.tensor(a) for name, a in layer.state_dict().items()})
    state, row = None, torch.tensor(x)[None]

    def step() -> Any:
        nonlocal state
        with torch.inference_mode():
            state = cell(row, state)
        return (state[0] if isinstance(state, tuple) else state)[0]

    return step


def c_program(layer: Any, folder: Path, flags: list[str]) -> Callable[[], float]:
    """Return a turn of the exported header, compiled with ``flags``."""
    npseq.c.export(layer, folder / "net.h")
    (folder / "timer.c").write_text(TIMER)
    program = folder / ("timer" + "".join(flags))
    command = [shutil.which("gcc") or "clang", "-std=c99", *flags, "timer.c", "-o", str(program)]
    subprocess.run(command, cwd=folder, check=True)
    return lambda: float(subprocess.run([str(program)], capture_output=True, check=True).stdout)


def check(steps: dict[str, Callable[[], Any]]) -> None:
    """Let all take 20 steps and see that they agree."""
    answers = {}
    for name, step in steps.items():
        for _ in range(20):
            y = step()
        answers[name] = np.asarray(y)
    for name, y in answers.items():
        assert np.abs(y - answers["npseq"]).max() < 1e-6, name


def conditions() -> dict[str, Any]:
    """Return what the figures depend on."""
    found = versions("torch", "onnxruntime")
    compiler = shutil.which("gcc") or shutil.which("clang")
    if compiler:
        shown = subprocess.run([compiler, "--version"], capture_output=True, text=True).stdout
        found["compiler"] = shown.splitlines()[0]
    return found


def main() -> None:
    """Measure and print the tables."""
    p = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    p.add_argument("--hidden", default="32,128", help="sizes; default: 32,128")
    p.add_argument("--quick", action="store_true", help="fewer rounds")
    p.add_argument("--json", metavar="FILE")
    args = p.parse_args()
    count, results = 7 if args.quick else 25, []
    print(json.dumps(conditions(), indent=1))
    print("\nµs a step (median), and how many times as long as npseq's stream (median of the rounds)\n")
    print("kind    H    npseq   ONNX Runtime       torch's cell       C -O2              C -O3 -march=native")
    x = np.random.default_rng(0).standard_normal(INPUTS).astype(np.float32)
    for H in map(int, args.hidden.split(",")):
        for kind in KINDS:
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                layer = getattr(npseq, kind)(INPUTS, H, rng=0)
                stream = layer.stream()
                steps = {
                    "npseq": lambda: stream.step(x),
                    "ONNX Runtime": onnx_runtime(layer, x, folder),
                    "torch": torch_cell(layer, x),
                }
                check(steps)
                turns = {name: timed(step) for name, step in steps.items()}
                if shutil.which("gcc") or shutil.which("clang"):
                    for flags in (["-O2"], ["-O3", "-march=native"]):
                        turns["C " + " ".join(flags)] = c_program(layer, folder, flags)
                seconds = rounds(turns, count)
            row = {"kind": kind, "H": H, "us": {name: 1e6 * median(values) for name, values in seconds.items()}}
            row["of npseq"] = {
                name: median(a / b for a, b in zip(values, seconds["npseq"])) for name, values in seconds.items()
            }
            row["of ONNX Runtime"] = {
                name: median(a / b for a, b in zip(seconds["ONNX Runtime"], values)) for name, values in seconds.items()
            }
            results.append(row)
            cells = [f"{row['us'][name]:7.2f} ({row['of npseq'][name]:5.2f})   " for name in turns if name != "npseq"]
            print(f"{kind:5} {H:4} {row['us']['npseq']:7.2f}  " + " ".join(cells), flush=True)
    print("\nhow many times as fast as ONNX Runtime")
    for row in results:
        cells = (f"{name} {value:.2f}" for name, value in row["of ONNX Runtime"].items() if name != "ONNX Runtime")
        print(f"{row['kind']:5} {row['H']:4}  " + "   ".join(cells))
    print(f"\nµs a row of a model with {INPUTS} inputs and 32 units: state carried on, windows of {WINDOW} rows")
    for kind in ("rnn", "gru", "lstm"):
        model = npseq.Model(kind, INPUTS, 32, rng=0)
        carried, windows = model.stream(), WindowStream(model, WINDOW)
        turns = {"carried": timed(lambda: carried.step(x)), "windows": timed(lambda: windows.step(x))}
        row = {name: 1e6 * median(values) for name, values in rounds(turns, count).items()}
        results.append({"kind": kind, **row})
        print(f"{kind:5} {row['carried']:7.2f} {row['windows']:7.2f}", flush=True)
    if args.json:
        Path(args.json).write_text(json.dumps({"conditions": conditions(), "rows": results}, indent=1))


if __name__ == "__main__":
    main()
