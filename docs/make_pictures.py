"""The pictures in docs/: ``python docs/make_pictures.py`` (needs matplotlib) writes them where they stand.

lstm_step.svg      one LSTM step forward and backward, with equation numbers
unrolled.svg       three steps, and the three places of matrix products
gradient_flow.svg  how much the loss at the last step depends on the input k steps before, in the four models
"""

import sys
from pathlib import Path

import numpy as np

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))

import npseq  # noqa: E402

FORWARD, BACKWARD, PRODUCT, INK, PAPER = "#1f5fa8", "#c2410c", "#fde9b8", "#222222", "#ffffff"
MODELS = {
    "rnn": (npseq.RNN, {}),
    "gru": (npseq.GRU, {}),
    "lstm": (npseq.LSTM, {}),
    "optimized_lstm": (npseq.OptimizedLSTM, {}),
    "lstm, forget bias 3": (npseq.LSTM, {"forget_bias": 3.0}),
}


def gradient_flow(layer, T=60, B=16, seed=0):
    """The norm of dloss/dx_t for a loss that reads the last output alone -> (T,), by the distance from that output."""
    rng = np.random.default_rng(seed)
    y, _, tape = layer.forward(rng.standard_normal((T, B, layer.input_size)))
    dy = np.zeros_like(y)
    dy[-1] = rng.standard_normal(y[-1].shape)
    dx, _, _ = layer.backward(tape, dy)
    return np.sqrt((dx * dx).sum((1, 2)))[::-1]


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
            "backward: every arrow turned round; where one value went two ways, two gradients add"
            if back
            else "forward: one step of the LSTM",
            fontsize=11,
            color=colour,
            weight="bold",
        )
        for name, x, y in (("c'", 0.6, 5), ("h'", 0.6, 1.9), ("x", 0.6, 0.7), ("c", 10.65, 5), ("h", 10.65, 0.7)):
            box(ax, x, y, d + name, 0.7)
        for W, x, y in (("W_h", "h'", 1.9), ("W_x", "x", 0.7)):
            box(ax, 2.35, y, f"{W}ᵀ da{W[1:]}" if back else f"{W} {x} + b{W[1:]}", 1.35, fill=PRODUCT)
        for gate, y in zip("figo", (3.9, 2.9, 1.9, 0.7)):
            slope = f"d{gate} ⊙ (1 − g²)" if gate == "g" else f"d{gate} ⊙ {gate}(1 − {gate})"
            box(ax, 5.35, y, slope if back else f"{gate} = {'tanh' if gate == 'g' else 'σ'}(a_{gate})", 1.2)
        box(ax, 9.2, 2.9, "slope" if back else "tanh", 0.8)
        for sign, x, y in (("+", 3.8, 1.3), ("⊙", 6.95, 5), ("+", 8.1, 5), ("⊙", 8.1, 2.4), ("⊙", 9.2, 0.7)):
            dot(ax, x, y, sign)
        ax.text(5.35, 3.45, "(20)" if back else "(13)", fontsize=8, ha="center", color=colour)
        for points, place, forth, gradient in EDGES:
            arrow(ax, points[::-1] if back else points, colour, gradient if back else forth, place)
    return figure


def unrolled():
    figure, (ax,) = canvas(10, 5.4)
    ax.set(xlim=(0, 11.6), ylim=(0.3, 6.4))
    ax.text(0.2, 6.15, "forward", fontsize=11, color=FORWARD, weight="bold")
    ax.text(1.5, 6.15, "and backward", fontsize=11, color=BACKWARD, weight="bold")
    ax.text(3.75, 6.15, "through three steps; matrix products only in the three yellow places", fontsize=11, color=INK)
    y, slots, cells = 3.3, (0.6, 4.1, 7.6, 11.1), (2.75, 6.25, 9.75)
    box(ax, 5.9, 5.5, "3   after the loop: dW_x = Σ da_x xᵀ (31),   dW_h = Σ da_h h'ᵀ (32)", 8.6, 0.5, PRODUCT)
    box(
        ax,
        5.9,
        1.75,
        "1   before the loop: all a_x = W_x x + b_x (7);   going back: all dx = W_xᵀ da_x (34)",
        8.6,
        0.5,
        PRODUCT,
    )
    for t, x in enumerate(slots):
        box(ax, x, y, f"h_{t}", 0.6)
        ax.text(x, y - 0.55, f"slot {t}", fontsize=7.5, ha="center", color=INK)
        if t:
            arrow(ax, [(x - 0.1, y + 0.28), (x - 0.1, y + 0.9)], FORWARD)
            arrow(ax, [(x + 0.1, y + 0.9), (x + 0.1, y + 0.28)], BACKWARD)
            ax.text(x, y + 1.1, f"y_{t}, dy_{t} (29)", fontsize=8, ha="center", color=INK)
    for t, (before, x) in enumerate(zip(slots, cells), 1):
        middle = before + 1.05
        box(ax, x, y, f"cell\n{t}", 0.7, 0.95)
        box(ax, middle, y, "2\nW_h", 0.6, 0.75, PRODUCT)
        box(ax, x, 0.75, f"x_{t}", 0.6)
        for left, right, forth, gradient in (
            (before + 0.32, middle - 0.32, "", "dh (30)"),
            (middle + 0.32, x - 0.37, "a_h (8)", "da_h"),
            (x + 0.37, x + 1.03, "", "dh"),
        ):
            centre = (left + right) / 2
            arrow(ax, [(left, y + 0.12), (right, y + 0.12)], FORWARD, forth, (centre, y + 0.6))
            below = y - 0.32 if gradient == "dh" else y - 0.6
            arrow(ax, [(right, y - 0.12), (left, y - 0.12)], BACKWARD, gradient, (centre, below))
        for low, high in ((1.02, 1.48), (2.02, y - 0.5)):
            arrow(ax, [(x - 0.1, low), (x - 0.1, high)], FORWARD)
            arrow(ax, [(x + 0.1, high), (x + 0.1, low)], BACKWARD)
        ax.text(x - 0.3, 2.35, "a_x", fontsize=8, ha="center", color=FORWARD)
        ax.text(x + 0.36, 2.35, "da_x", fontsize=8, ha="center", color=BACKWARD)
        arrow(ax, [(x, y + 0.5), (x, 5.23)], BACKWARD, "da_x, da_h", (x + 0.58, 4.75))
    return figure


def flow():
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(8, 4.6), facecolor=PAPER)
    ax.set_facecolor(PAPER)
    styles = {
        "rnn": ("#777777", "-"),
        "gru": ("#0f766e", "-"),
        "lstm": (FORWARD, "-"),
        "optimized_lstm": ("#f5b301", ":"),
        "lstm, forget bias 3": (BACKWARD, "-"),
    }
    for name, (kind, options) in MODELS.items():
        colour, line = styles[name]
        ax.semilogy(
            gradient_flow(kind(4, 32, dtype=np.float64, rng=0, **options)),
            line,
            color=colour,
            label=name,
            linewidth=3 if line == ":" else 1.8,
            zorder=3 if line == ":" else 2,
        )
    ax.set(
        xlabel="steps between the input and the output that the loss reads",
        ylabel="norm of the gradient of that input",
        xlim=(0, 59),
        title="How far the gradient reaches, before training (H = 32)",
    )
    ax.grid(True, color="#dddddd", linewidth=0.6)
    ax.legend(frameon=False)
    figure.tight_layout()
    return figure


PICTURES = {"lstm_step": lstm_step, "unrolled": unrolled, "gradient_flow": flow}


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
                metadata={"Date": None} if ending == "svg" else None,
            )
            plt.close(figure)
            print(f"{name}.{ending}")


if __name__ == "__main__":
    main()
