"""The pictures in docs/: ``python docs/make_pictures.py`` (needs matplotlib) writes them where they stand.

lstm_step.svg      one LSTM step forward and backward, with equation numbers
unrolled.svg       three steps of the LSTM, and the three places of matrix products
gradient_flow.svg  how much the loss at the last step depends on the input k steps before, in the four models, and in
                   one of them along each of the two paths separately
gru_step.svg       one GRU step forward and backward
forecast.svg       what the first page's ten lines draw
exploding.svg      the same as gradient_flow.svg for an RNN whose W_h has another spectral radius
"""

import sys
from pathlib import Path

import numpy as np

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))

import npseq  # noqa: E402
from npseq import bptt  # noqa: E402
from npseq.explain.gradient_flow import carried_back  # noqa: E402

FORWARD, BACKWARD, PRODUCT, INK, PAPER = "#1f5fa8", "#c2410c", "#fde9b8", "#222222", "#ffffff"
MODELS = {
    "rnn": (npseq.RNN, {}),
    "gru": (npseq.GRU, {}),
    "lstm": (npseq.LSTM, {}),
    "optimized_lstm": (npseq.OptimizedLSTM, {}),
    "lstm, forget bias 3": (npseq.LSTM, {"forget_bias": 3.0}),
}


PATHS = "lstm, forget bias 3"  # of this model the two paths are shown separately


def gradient_flow(layer, path="both", T=60, B=16, seed=0):
    """Return the norm of dloss/dx_t for a loss that reads the last output alone: (T,), by the distance from it.

    ``path``: one of ``explain.gradient_flow.PATHS``; the other path is switched off in the backward pass.
    """
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((T, B, layer.input_size)).transpose(0, 2, 1)
    d_h = rng.standard_normal((B, layer.hidden_size)).T
    cell, weights, tapes = layer.cell, layer.weights(), []
    state = tuple(np.zeros((layer.hidden_size, B)) for _ in cell.state)
    for t in range(T):
        _, state, tape = bptt.forward_through_time(cell, weights, x[t : t + 1], state)
        tapes.append(tape)
    d_states = carried_back(cell, weights, tapes, (d_h, *(0 * part for part in state[1:])), path)
    norms = []
    for tape, d_state in zip(reversed(tapes), d_states):
        _, dx, _ = bptt.backward_through_time(cell, weights, tape, None, d_state)
        norms.append(np.sqrt((dx * dx).sum()))
    return np.array(norms)


# ---- boxes and arrows ----


def box(ax, x, y, text, width=0.9, height=0.5, fill=PAPER):
    from matplotlib.patches import FancyBboxPatch

    ax.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            facecolor=fill,
            edgecolor=INK,
            boxstyle="round,pad=0.02,rounding_size=0.08",
            linewidth=1,
            zorder=3,
        )
    )
    ax.text(x, y, text, ha="center", va="center", fontsize=9, color=INK, zorder=4)


def dot(ax, x, y, text):
    ax.scatter([x], [y], s=230, facecolor=PAPER, edgecolor=INK, linewidth=1, zorder=3)
    ax.text(x, y - 0.01, text, ha="center", va="center", fontsize=10, color=INK, zorder=4)


def joint(ax, x, y):
    """A point where a line branches: both branches carry the same."""
    ax.scatter([x], [y], s=34, color=INK, zorder=3)


def arrow(ax, points, colour, label="", place=None):
    """A line through the points with its head at the last; the label stands at ``place``."""
    ax.plot(*zip(*points), color=colour, linewidth=1.3, zorder=2, solid_capstyle="butt")
    ax.annotate(
        "",
        xy=points[-1],
        xytext=points[-2],
        zorder=2,
        arrowprops=dict(arrowstyle="-|>", color=colour, linewidth=1.3, shrinkA=0, shrinkB=0),
    )
    if label:
        ax.text(*place, label, ha="center", va="center", fontsize=8, color=colour, zorder=5)


def canvas(width, height, panels=1):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(panels, 1, figsize=(width, height), facecolor=PAPER, squeeze=False)
    for ax in axes[:, 0]:
        ax.set_axis_off()
        ax.set_aspect("equal")
    figure.subplots_adjust(0.01, 0.01, 0.99, 0.97, hspace=0.06)
    return figure, axes[:, 0]


def title(ax, *words, x=0.2, y=7.2):
    """Words of different colours, one after the other; a letter of this size is 0.094 wide on average."""
    for text, colour in words:
        ax.text(x, y, text.strip(), fontsize=11, color=colour, weight="bold" if colour != INK else "normal")
        x += 0.118 * len(text)


# each arrow of one LSTM step: its points in forward order, where its label stands, what goes forward, what comes back
EDGES = [
    ([(0.98, 5), (6.78, 5)], (3.5, 5.15), "", "dc' (18)"),
    ([(5.98, 3.9), (6.95, 3.9), (6.95, 4.83)], (6.5, 4.07), "f", "df (18)"),
    ([(7.12, 5), (7.93, 5)], (7.5, 5.17), "f ⊙ c'", ""),
    ([(8.1, 2.57), (8.1, 4.83)], (7.78, 3.7), "i ⊙ g", "dc"),
    ([(5.98, 2.9), (7.2, 2.9), (7.94, 2.5)], (6.6, 3.05), "i", "di (19)"),
    ([(5.98, 1.9), (7.2, 1.9), (7.94, 2.3)], (6.6, 2.05), "g", "dg (19)"),
    ([(8.27, 5), (10.28, 5)], (8.75, 5.17), "c (14)", "dc (17)"),
    ([(9.2, 5), (9.2, 3.17)], (9.95, 4.1), "", "dh ⊙ o ⊙\n(1 − tanh² c)"),
    ([(9.2, 2.63), (9.2, 0.87)], (9.62, 1.75), "tanh c", "dh ⊙ o"),
    ([(5.98, 0.7), (9.03, 0.7)], (7.4, 0.85), "o", "do (16)"),
    ([(9.37, 0.7), (10.28, 0.7)], (9.83, 0.87), "h (15)", "dh (29)"),
    ([(0.98, 1.9), (1.65, 1.9)], (1.32, 2.05), "", "(30)"),
    ([(0.98, 0.7), (1.65, 0.7)], (1.32, 0.85), "", "(34)"),
    ([(3.05, 1.9), (3.8, 1.9), (3.8, 1.47)], (3.5, 2.05), "a_h (8)", "da_h"),
    ([(3.05, 0.7), (3.8, 0.7), (3.8, 1.13)], (3.5, 0.53), "a_x (7)", "da_x"),
    ([(3.97, 1.3), (4.25, 1.3), (4.25, 3.9), (4.72, 3.9)], (4.0, 3.9), "", "da_f"),
    ([(4.25, 2.9), (4.72, 2.9)], (4.0, 2.9), "", "da_i"),
    ([(4.25, 1.9), (4.72, 1.9)], (4.0, 2.2), "", "da_g"),
    ([(3.97, 1.3), (4.25, 1.3), (4.25, 0.7), (4.72, 0.7)], (4.1, 0.53), "", "da_o"),
]


def lstm_step():
    figure, axes = canvas(10, 10.2, panels=2)
    for ax, back in zip(axes, (False, True)):
        ax.set(xlim=(0, 11.2), ylim=(0.1, 5.75))
        colour, d = (BACKWARD, "d") if back else (FORWARD, "")
        ax.text(
            0.2,
            5.6,
            "backward: every arrow reversed. A sum becomes a branch, and c, which was read twice, becomes a sum"
            if back
            else "forward: one step of the LSTM",
            fontsize=11,
            color=colour,
            weight="bold",
            va="center",
        )
        for name, x, y in (("c'", 0.6, 5), ("h'", 0.6, 1.9), ("x", 0.6, 0.7), ("h", 10.65, 0.7)):
            box(ax, x, y, d + name, 0.7)
        box(ax, 10.65, 5, "dc from the\nnext step" if back else "c", 0.9 if back else 0.7)
        for W, x, y in (("W_h", "h'", 1.9), ("W_x", "x", 0.7)):
            box(ax, 2.35, y, f"{W}ᵀ da{W[1:]}" if back else f"{W} {x} + b{W[1:]}", 1.35, fill=PRODUCT)
        for gate, y in zip("figo", (3.9, 2.9, 1.9, 0.7)):
            slope = f"d{gate} ⊙ (1 − g²)" if gate == "g" else f"d{gate} ⊙ {gate}(1 − {gate})"
            box(ax, 5.35, y, slope if back else f"{gate} = {'tanh' if gate == 'g' else 'σ'}(a_{gate})", 1.2)
        box(ax, 9.2, 2.9, "slope" if back else "tanh", 0.8)
        for sign, x, y in (("+", 3.8, 1.3), ("⊙", 6.95, 5), ("+", 8.1, 5), ("⊙", 8.1, 2.4), ("⊙", 9.2, 0.7)):
            if back and sign == "+":
                joint(ax, x, y)
            else:
                dot(ax, x, y, sign)
        if back:
            dot(ax, 9.2, 5, "+")
        else:
            joint(ax, 9.2, 5)
        ax.text(4.2, 4.25, "one block for each gate", fontsize=7.5, ha="center", color=INK)
        ax.text(5.35, 3.45, "(20)" if back else "(13)", fontsize=8, ha="center", color=colour)
        for points, place, forth, gradient in EDGES:
            arrow(ax, points[::-1] if back else points, colour, gradient if back else forth, place)
    return figure


GRU_EDGES = [
    ([(0.98, 5), (6.13, 5)], (3.4, 5.17), "", "dh'_direct (24)"),
    ([(6.47, 5), (8.93, 5)], (7.6, 5.17), "(1 − z) ⊙ h'", "dh"),
    ([(9.27, 5), (10.28, 5)], (9.8, 5.17), "h (23)", "dh"),
    ([(0.6, 4.72), (0.6, 2.9), (1.3, 2.9)], (0.95, 3.1), "", "(30)"),
    ([(3.1, 2.9), (3.45, 2.9), (3.45, 3.9), (3.9, 3.9)], (3.62, 4.07), "a_hz", "da_z"),
    ([(3.45, 2.9), (3.9, 2.9)], (3.68, 3.07), "a_hr", "da_r"),
    ([(3.45, 2.9), (3.45, 1.9), (6.13, 1.9)], (4.6, 2.07), "a_hn", "da_hn (26)"),
    ([(0.98, 0.7), (1.3, 0.7)], (1.12, 0.9), "", "(34)"),
    ([(3.1, 0.7), (3.7, 0.7), (3.7, 3.7), (3.9, 3.7)], (3.2, 1.3), "a_xr, a_xz", "da_r, da_z"),
    ([(3.7, 2.7), (3.9, 2.7)], (3.7, 2.7), "", ""),
    ([(3.7, 0.7), (7.4, 0.7), (7.4, 1.63)], (5.6, 0.87), "a_xn", "da_xn (25)"),
    ([(5.9, 2.9), (6.3, 2.9), (6.3, 2.07)], (6.75, 2.6), "r", "dr (26)"),
    ([(6.47, 1.9), (6.75, 1.9)], (6.6, 1.72), "", ""),
    ([(8.35, 1.9), (9.1, 1.9), (9.1, 3.73)], (9.55, 2.9), "n", "dn (24)"),
    ([(5.9, 3.9), (6.3, 3.9), (6.3, 4.83)], (6.62, 4.4), "1 − z", ""),
    ([(6.3, 3.9), (8.93, 3.9)], (7.6, 4.07), "z", "dz (24)"),
    ([(9.1, 4.07), (9.1, 4.83)], (9.5, 4.45), "z ⊙ n", "dh"),
]


def gru_step():
    figure, axes = canvas(10, 10.2, panels=2)
    for ax, back in zip(axes, (False, True)):
        ax.set(xlim=(0, 11.2), ylim=(0.1, 5.75))
        colour, d = (BACKWARD, "d") if back else (FORWARD, "")
        words = (
            "backward: every arrow reversed; z was read twice, so dz is a sum"
            if back
            else "forward: one step of the GRU"
        )
        ax.text(0.2, 5.6, words, fontsize=11, color=colour, weight="bold", va="center")
        for name, x, y in (("h'", 0.6, 5), ("x", 0.6, 0.7), ("h", 10.65, 5)):
            box(ax, x, y, d + name, 0.7)
        for W, x, y in (("W_h", "h'", 2.9), ("W_x", "x", 0.7)):
            box(ax, 2.2, y, f"{W}ᵀ da{W[1:]}" if back else f"{W} {x} + b{W[1:]}", 1.75, fill=PRODUCT)
        for gate, y in (("z", 3.9), ("r", 2.9)):
            box(
                ax,
                4.9,
                y,
                f"d{gate} ⊙ {gate}(1 − {gate}) (27)" if back else f"{gate} = σ(a_x{gate} + a_h{gate}) (21)",
                1.95,
            )
        box(ax, 7.55, 1.9, "dn ⊙ (1 − n²)" if back else "tanh (22)", 1.55)
        for sign, x, y in (("⊙", 6.3, 5), ("+", 9.1, 5), ("⊙", 6.3, 1.9), ("⊙", 9.1, 3.9)):
            joint(ax, x, y) if back and sign == "+" else dot(ax, x, y, sign)
        dot(ax, 6.3, 3.9, "+") if back else joint(ax, 6.3, 3.9)
        for points, place, forth, gradient in GRU_EDGES:
            arrow(ax, points[::-1] if back else points, colour, gradient if back else forth, place)
    return figure


def exploding():
    """The gradient of an RNN near h = 0, where the slope of tanh is 1, and with inputs of the usual size."""
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(7, 4.6), facecolor=PAPER)
    for radius, colour in ((0.9, FORWARD), (1.0, "#0f766e"), (1.1, BACKWARD)):
        for size, line, label in ((1e-4, "-", "h near 0"), (1.0, ":", "inputs of size 1")):
            layer = npseq.RNN(4, 32, dtype=np.float64, rng=0)
            W_h = layer.params["weight_hh_l0"]
            W_h *= radius / np.abs(np.linalg.eigvals(W_h)).max()
            layer.params["weight_ih_l0"][...] *= size
            layer.params["bias_ih_l0"][...] = layer.params["bias_hh_l0"][...] = 0
            norms = gradient_flow(layer)
            ax.semilogy(norms / norms[0], line, color=colour, label=f"spectral radius {radius}, {label}", linewidth=1.8)
    ax.set_facecolor(PAPER)
    ax.set(title="Where the gradient of an RNN grows, and where tanh stops it")
    ax.set(xlabel="steps back", ylabel="norm, relative to that of the last step", xlim=(0, 59))
    ax.grid(True, color="#dddddd", linewidth=0.6)
    ax.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    return figure


def unrolled():
    figure, (ax,) = canvas(10, 6.6)
    ax.set(xlim=(0, 11.6), ylim=(0.3, 7.5))
    title(ax, ("forward ", FORWARD), ("and backward ", BACKWARD))
    title(ax, ("through three steps: matrix products only in the three yellow places", INK), x=2.75)
    y, y_c, slots, cells = 3.75, 5.05, (0.6, 4.1, 7.6, 11.1), (2.75, 6.25, 9.75)
    box(ax, 5.9, 6.5, "3   after the loop: dW_x = Σ da_x xᵀ (31),   dW_h = Σ da_h h'ᵀ (32)", 8.6, 0.5, PRODUCT)
    before = "1   before the loop: all a_x = W_x x + b_x (7);   going back: all dx = W_xᵀ da_x (34)"
    box(ax, 5.9, 1.75, before, 8.6, 0.5, PRODUCT)
    for t, x in enumerate(slots):
        box(ax, x, y, f"h_{t}", 0.6)
        box(ax, x, y_c, f"c_{t}", 0.6)
        ax.text(x, 5.5, f"slot {t}", fontsize=7.5, ha="center", color=INK)
        if t:
            arrow(ax, [(x - 0.1, y - 0.28), (x - 0.1, y - 0.78)], FORWARD)
            arrow(ax, [(x + 0.1, y - 0.78), (x + 0.1, y - 0.28)], BACKWARD)
            ax.text(x, y - 1.0, f"y_{t - 1}, dy_{t - 1} (29)", fontsize=8, ha="center", color=INK)
    for t, (before, x) in enumerate(zip(slots, cells)):
        _one_step(ax, t, before, x, y, y_c)
    note = "dotted: the GRU's direct path,\ndh'_direct (24); it has no c"
    ax.text(8.0, 0.75, note, fontsize=8, ha="center", va="center", color=BACKWARD)
    return figure


def _one_step(ax, t, before, x, y, y_c):
    """Step t, between the slot at ``before`` and the next one, 3.5 further to the right; its cell is at ``x``."""
    middle = before + 1.05
    box(ax, x, (y + y_c) / 2, f"cell\n\nstep {t}", 0.75, y_c - y + 0.8)
    box(ax, middle, y, "2\nW_h", 0.6, 0.75, PRODUCT)
    box(ax, x, 0.75, f"x_{t}", 0.6)
    for left, right, forth, gradient in (
        (before + 0.32, middle - 0.32, "", "dh (30)"),
        (middle + 0.32, x - 0.39, "a_h", "da_h"),
        (x + 0.39, x + 1.03, "", "dh"),
    ):
        centre = (left + right) / 2
        arrow(ax, [(left, y + 0.12), (right, y + 0.12)], FORWARD, forth, (centre, y + 0.3))
        below = y - 0.32 if gradient == "dh" else y - 0.55
        arrow(ax, [(right, y - 0.12), (left, y - 0.12)], BACKWARD, gradient, (centre, below))
    for left, right, gradient in ((before + 0.32, x - 0.39, "dc' = dc ⊙ f (18)"), (x + 0.39, x + 1.03, "dc")):
        arrow(ax, [(left, y_c + 0.12), (right, y_c + 0.12)], FORWARD)
        arrow(ax, [(right, y_c - 0.12), (left, y_c - 0.12)], BACKWARD, gradient, ((left + right) / 2, y_c - 0.32))
    ax.plot([x - 0.39, before + 0.5, before + 0.25], [y + 0.85, y + 0.85, y + 0.32], ":", color=BACKWARD, lw=1.3)
    ax.annotate(
        "", (before + 0.2, y + 0.27), (before + 0.27, y + 0.4), arrowprops={"arrowstyle": "-|>", "color": BACKWARD}
    )
    for low, high in ((1.02, 1.48), (2.02, y - 0.42)):
        arrow(ax, [(x - 0.1, low), (x - 0.1, high)], FORWARD)
        arrow(ax, [(x + 0.1, high), (x + 0.1, low)], BACKWARD)
    ax.text(x - 0.3, 2.35, "a_x", fontsize=8, ha="center", color=FORWARD)
    ax.text(x + 0.36, 2.35, "da_x", fontsize=8, ha="center", color=BACKWARD)
    arrow(ax, [(x, y_c + 0.42), (x, 6.23)], BACKWARD, "da_x, da_h", (x + 0.58, 5.9))


def flow():
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), facecolor=PAPER, sharey=True)
    styles = {
        "rnn": ("#777777", "-"),
        "gru": ("#0f766e", "-"),
        "lstm": (FORWARD, "-"),
        "optimized_lstm": ("#f5b301", ":"),
        "lstm, forget bias 3": (BACKWARD, "-"),
    }
    for name, (kind, options) in MODELS.items():
        colour, line = styles[name]
        norms = gradient_flow(kind(4, 32, dtype=np.float64, rng=0, **options))
        thick = line == ":"
        left.semilogy(norms, line, color=colour, label=name, linewidth=3 if thick else 1.8, zorder=3 if thick else 2)
    kind, options = MODELS[PATHS]
    for path, line, label in (
        ("both", "-", "both paths"),
        ("direct", "--", "along c alone (37)"),
        ("W_h", ":", "through W_h alone"),
    ):
        norms = gradient_flow(kind(4, 32, dtype=np.float64, rng=0, **options), path)
        right.semilogy(norms, line, color=BACKWARD, label=label, linewidth=1.8)
    left.set(
        title="How far the gradient reaches, before training (H = 32)", ylabel="norm of the gradient of that input"
    )
    right.set(title=f"The two paths of “{PATHS}” separately")
    for ax in (left, right):
        ax.set_facecolor(PAPER)
        ax.set(xlabel="steps between the input and the output that the loss reads", xlim=(0, 59), ylim=(1e-16, 20))
        ax.grid(True, color="#dddddd", linewidth=0.6)
        ax.legend(frameon=False)
    figure.tight_layout()
    return figure


def forecast():
    """The ten lines of the first page: the last week of the traffic, and two days ahead."""
    return npseq.Forecaster("optimized_lstm", epochs=10, seed=0).fit("metro_traffic").plot(48)


PICTURES = {
    "forecast": forecast,
    "lstm_step": lstm_step,
    "gru_step": gru_step,
    "unrolled": unrolled,
    "gradient_flow": flow,
    "exploding": exploding,
}


TITLES = {  # what is read aloud in the place of the picture
    "forecast": "The last week of the traffic, and the forecast of two days with its 90 % interval",
    "lstm_step": "One step of the LSTM, forward and backward",
    "gru_step": "One step of the GRU, forward and backward",
    "unrolled": "Three steps forward and backward, and the three places of matrix products",
    "gradient_flow": "The gradient's norm against the distance from the loss",
    "exploding": "An RNN's gradient for three spectral radii of W_h",
}


def main(folder=DOCS, ending="svg"):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    # the same picture gives the same file: no date, no random ids; glyphs as outlines, so that no font is needed
    with matplotlib.rc_context({"svg.hashsalt": "npseq", "svg.fonttype": "path", "font.family": "DejaVu Sans"}):
        for name, draw in PICTURES.items():
            figure = draw()
            figure.savefig(
                Path(folder) / f"{name}.{ending}",
                facecolor=PAPER,
                dpi=100,
                metadata={"Date": None, "Title": TITLES[name]} if ending == "svg" else None,
            )
            plt.close(figure)
            print(f"{name}.{ending}")


if __name__ == "__main__":
    main()
