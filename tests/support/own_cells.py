"""The cells of examples/, each with its step written in torch, so that autograd is a second witness."""

import importlib.util
from pathlib import Path

import torch

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name):
    """The module examples/NAME.py."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CELLS = {
    "peephole": example("peephole").PeepholeCell,
    "layer_norm": example("layer_norm").LayerNormCell,
    "reset_before": example("reset_before").ResetBeforeCell,
    "coupled_gates": example("coupled_gates").CoupledCell,
}

# name -> step(a_x, a_h, state, own) -> new state; rows are units, as in the cells


def peephole(a_x, a_h, state, own):
    a_i, a_f, a_g, a_o = (a_x + a_h).chunk(4)
    c = (a_f + own["p_f"] * state[1]).sigmoid() * state[1] + (a_i + own["p_i"] * state[1]).sigmoid() * a_g.tanh()
    return (a_o + own["p_o"] * c).sigmoid() * c.tanh(), c


def layer_norm(a_x, a_h, state, own):
    def norm(v, g):
        return torch.nn.functional.layer_norm(v.T, (len(v),), g[:, 0]).T

    a_i, a_f, a_g, a_o = (norm(a_x, own["g_x"]) + norm(a_h, own["g_h"]) + own["b"]).chunk(4)
    c = a_f.sigmoid() * state[1] + a_i.sigmoid() * a_g.tanh()
    return a_o.sigmoid() * c.tanh(), c


def reset_before(a_x, a_h, state, own):
    (a_r, a_z, _), a_xn = (a_x + a_h).chunk(3), a_x.chunk(3)[2]
    z = a_z.sigmoid()
    n = (a_xn + own["W_n"] @ (a_r.sigmoid() * state[0]) + own["b_n"]).tanh()
    return ((1 - z) * state[0] + z * n,)


def coupled_gates(a_x, a_h, state, own):
    a_f, a_g, a_o = (a_x + a_h).chunk(3)
    c = a_f.sigmoid() * state[1] + (1 - a_f.sigmoid()) * a_g.tanh()
    return a_o.sigmoid() * c.tanh(), c


STEPS = {"peephole": peephole, "layer_norm": layer_norm, "reset_before": reset_before, "coupled_gates": coupled_gates}


def torch_recurrence(step, weights, x, state):
    """The outputs (T, H, B) and the final state of a loop over ``step``; all are torch tensors."""
    W_x, W_h, b_x, b_h, _, own = weights
    hs = []
    for x_t in x:
        state = step(W_x @ x_t + b_x, W_h @ state[0] + b_h, state, own or {})
        hs.append(state[0])
    return torch.stack(hs), state
