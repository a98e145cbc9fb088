"""Values for the equations of docs/derivation.md: a cell run by the page's own forward equations, and its gradients.

A gradient is taken by the complex step (52) on those forward equations, so that it shares nothing with the page's
backward equations, nor with npseq's. Sizes are small: T = 3 steps, B = 2 sequences, I = 2 inputs, H = 3 units.
"""

from functools import cache

import latex
import numpy as np
from derivation import blocks

T, B, I, H, ETA = 3, 2, 2, 3, 1e-30


@cache
def statements(number):
    """The statements of an equation: lists of the trees that are equal to each other."""
    return [latex.sides(statement) for statement in latex.statements(blocks()[number])]


# cell -> gates, letters of the state, names of the pre-activations that the page uses, forward equations
CELLS = {
    "rnn": (" ", "h", [9]),
    "relu": (" ", "h", [11]),
    "lstm": ("ifgo", "hc", [13, 14, 15]),
    "gru": ("rzn", "h", [21, 22, 23]),
}


class Run:
    """T steps of a cell. ``moved`` = (step, name, index): that element is moved by iη once it has its value."""

    def __init__(self, cell, seed=0, mask=None):
        rng = np.random.default_rng(seed)
        self.cell, (self.gates, self.letters, self.forward) = cell, CELLS[cell]
        G = len(self.gates)
        self.given = {
            "W_x": rng.normal(size=(G * H, I)),
            "W_h": rng.normal(size=(G * H, H)),
            "b_x": rng.normal(size=(G * H, 1)),
            "b_h": rng.normal(size=(G * H, 1)),
        }
        self.x, self.state = rng.normal(size=(T, I, B)), {letter: rng.normal(size=(H, B)) for letter in self.letters}
        self.R = rng.normal(size=(T, H, B))
        self.S = {letter: rng.normal(size=(H, B)) for letter in self.letters}
        self.mask, self.gradients = 1 if mask is None else mask, {}
        self.loss, self.steps = self.run()

    def run(self, moved=None):
        """The loss (54), and the values of each step, by name."""

        def put(values, step, name, value):
            if moved is not None and moved[:2] == (step, name):
                value = value.astype(complex)
                value[moved[2]] += 1j * ETA
            values[name] = value

        given = {}
        for name, value in self.given.items():
            put(given, None, name, value)
        state, loss, steps = dict(self.state), 0, []
        for t in range(T):
            v = dict(given, t=t)
            put(v, t, "x", self.x[t])
            for letter in self.letters:
                put(v, t, f"{letter} read", state[letter])  # by everything in this step
                v[letter + "'"] = v[f"{letter} read"]
            put(v, t, "h'", v["h'"])  # by the cell, not by W_h
            put(v, t, "a_x", v["W_x"] @ v["x"] + v["b_x"])
            put(v, t, "a_h", v["W_h"] @ (self.mask * v["h read"]) + v["b_h"])
            for gate in self.gates.strip():
                rows = slice(self.gates.index(gate) * H, (self.gates.index(gate) + 1) * H)
                for side in "xh":
                    put(v, t, f"a_{side}_{gate}", v[f"a_{side}"][rows])
                put(v, t, f"a_{gate}", v[f"a_x_{gate}"] + v[f"a_h_{gate}"])
            for number in self.forward:
                for (_, name, _), formula in statements(number):
                    put(v, t, name, latex.evaluate(formula, v))
            put(v, t, "y", v["h"])
            loss = loss + (self.R[t] * v["y"]).sum()
            state = {letter: v[letter] for letter in self.letters}
            steps.append(v)
        return loss + sum((self.S[letter] * state[letter]).sum() for letter in self.letters), steps

    def gradient(self, step, name):
        """dloss/dname by the complex step."""
        if (step, name) not in self.gradients:
            value = self.given[name] if step is None else self.steps[step][name]
            self.gradients[step, name] = d = np.empty(value.shape)
            for index in np.ndindex(value.shape):
                d[index] = self.run((step, name, index))[0].imag / ETA
        return self.gradients[step, name]

    def read(self, letter):
        """For each slot the gradient that comes from the next step, or in the last slot from the loss: a list."""
        return [self.gradient(t, f"{letter} read") for t in range(T)] + [self.S[letter]]

    def step(self, t):
        """Every value and gradient of step t by the names that the page gives them, for equations without t."""
        v = dict(self.steps[t])
        for name in [name for name in v if name not in ("t", *self.given) and " read" not in name]:
            v["d" + name] = self.gradient(t, name)
        if self.cell in ("rnn", "relu"):
            v["da"] = v["da_x"]
        v["dh'_direct"] = v["dh'"]
        for letter in self.letters:
            v[f"d{letter}^from the next step"] = self.read(letter)[t + 1]
        if "c" in self.letters:
            v["dc'"] = self.gradient(t, "c read")
        for gate in self.gates.strip():
            rows = slice(self.gates.index(gate) * H, (self.gates.index(gate) + 1) * H)
            v.update({f"{name[0]}_{name[2]}{gate}": self.given[name][rows] for name in self.given})
            if self.cell == "gru" and gate in "rz":
                v["da_" + gate] = v["da_x_" + gate]
        return v

    def through_time(self):
        """Lists over the steps (or slots), for equations with t."""
        v = dict(self.given, T=T, x=list(self.x), h=[s["h read"] for s in self.steps] + [self.steps[-1]["h"]])
        for name in ("a_x", "a_h", "x", "y"):
            v["d" + name] = [self.gradient(t, name) for t in range(T)]
        v |= {"a_x": [s["a_x"] for s in self.steps], "a_h": [s["a_h"] for s in self.steps]}
        v["dh^from the next step"] = self.read("h")
        v["dh"] = [v["dh^from the next step"][0]] + [self.gradient(t, "h") for t in range(T)]
        v |= {"d" + name: self.gradient(None, name) for name in self.given}
        v["da"] = v["da_x"]
        return v


@cache
def run(cell):
    return Run(cell)


def steps(*cells):
    return [run(cell).step(t) for cell in cells for t in range(T)]


def over_time(cell, slots=range(T)):
    """One set of values for each t, with what (30) needs of step t."""
    of_time = run(cell).through_time()
    return [{**of_time, "t": t, "dh'_direct": run(cell).gradient(t, "h'")} for t in slots]


def complex_step(f, array):
    """∂f/∂array, f giving a number."""
    d = np.empty(array.shape)
    for index in np.ndindex(array.shape):
        moved = array.astype(complex)
        moved[index] += 1j * ETA
        d[index] = np.imag(f(moved)) / ETA
    return d
