r"""Evaluate the equations of docs/derivation.md on arrays, so that a test can compare what the page says with numbers.

The page's LaTeX is read with these rules. Symbols side by side are a matrix product if both are arrays, \odot is
element-wise and binds less tightly. A subscript that is an index (t, s, τ, T, a number, a sum of these) selects from a
list; any other is a part of the name, as is a superscript that begins with \text. So a_{x,t} is element t of the list
"a_x", and dh_t^{\text{from the next step}} is element t of the list "dh^from the next step". A sum without an index is
over all elements.
"""

import re
from itertools import takewhile

import numpy as np

SPACES = r"\\[,;!: ]|\\(?:Bigl|Bigr|bigl|bigr|left|right)(?![a-zA-Z])|\s+"
TOKEN = re.compile(
    r"\\begin\{bmatrix\}|\\end\{bmatrix\}|\\(?:text|operatorname|mathrm)\s*\{[^}]*\}|\\\\|\\[a-zA-Z]+|\\[{}|]"
    r"|[A-Za-z]+|\d+|.",
    re.DOTALL,
)
INDEX = re.compile(r"[tsT0-9+\-]*(?:τ[tsT0-9+\-]*)?")
SEPARATORS = {r"\quad", r"\qquad", r"\Rightarrow"}
GREEK = {"mu", "zeta", "eta", "theta", "delta", "varepsilon", "ell", "omega", "tau", "rho"}
FUNCTIONS = {"sigma", "tanh", "varphi", "exp", "log", "max", "min"}


def tokens(text):
    text = re.sub(r"\\dot\\(\w+)", r"\\\1'", text)  # a dot is a slope
    text = re.sub(r"\\tag\{\d+\}", "", text).replace(r"\tau", "τ").replace(r"\bar{a}", "abar ")
    out, place = [], 0
    while place < len(text):
        space = re.match(SPACES, text[place:])
        if space:
            place += space.end()
            continue
        match = TOKEN.match(text, place)
        place, token = match.end(), match[0]
        words = re.fullmatch(r"\\(text|operatorname|mathrm)\s*\{([^}]*)\}", token)
        out.append(("words", " ".join(words[2].split())) if words else ("token", token))
    return _joined(out)


def _joined(found):
    """d or \\Delta followed by a name is one name: d\\theta, d\\text{loss}, \\Delta Y."""
    out = []
    for kind, token in found:
        if out and out[-1] == ("token", r"\Delta"):
            out[-1] = ("words", "Δ" + token)
            continue
        if out and out[-1] == ("token", "d") and (kind == "words" or token[1:] in GREEK or token == "abar"):
            out[-1] = ("words", "d" + (token if kind == "words" or token == "abar" else token[1:]))
        elif kind == "token" and token == "abar":
            out.append(("words", "abar"))
        else:
            out.append((kind, token))
    return out


def statements(text):
    """The equations between \\Rightarrow, \\quad and \\qquad: lists of tokens. Remarks in words are left out."""
    part, depth, out = [], 0, []
    for item in [*tokens(text), ("token", r"\quad")]:
        depth += {"{": 1, "(": 1, "[": 1, "}": -1, ")": -1, "]": -1}.get(item[1], 0) if item[0] == "token" else 0
        if item[0] == "token" and item[1] in SEPARATORS and not depth:
            while part and part[-1] == ("token", ","):
                part.pop()
            if ("token", "=") in part:
                out.append(part)
            part = []
        else:
            part.append(item)
    return out


def sides(statement):
    """The expressions between the equality signs, as trees."""
    parts, part, depth = [], [], 0
    for item in statement:
        depth += {"{": 1, "}": -1}.get(item[1], 0) if item[0] == "token" else 0
        if item == ("token", "=") and not depth:
            parts.append(part)
            part = []
        else:
            part.append(item)
    return [_Reader(part).whole() for part in [*parts, part]]


class _Reader:
    """Tokens to a tree of tuples; one method for each kind of expression, the loosest binding first."""

    def __init__(self, items):
        self.items, self.place = items, 0

    def peek(self, ahead=0):
        place = self.place + ahead
        return self.items[place] if place < len(self.items) else ("end", "")

    def at(self, *symbols):
        return self.peek()[0] == "token" and self.peek()[1] in symbols

    def take(self, *symbols):
        item = self.peek()
        if symbols and not self.at(*symbols):
            raise SyntaxError(f"{symbols} expected, {item} found in {self.items}")
        self.place += 1
        return item[1]

    def whole(self):
        tree = self.sum()
        if self.peek()[0] != "end":
            raise SyntaxError(f"{self.peek()} is left over in {self.items}")
        return tree

    def sum(self):
        tree = ("negative", self.product()) if self.at("-") and self.take() else self.product()
        while self.at("+", "-"):
            tree = (self.take(), tree, self.product())
        return tree

    def product(self):
        tree = self.side_by_side()
        while self.at(r"\odot", "/"):
            tree = (self.take(), tree, self.side_by_side())
        return tree

    def side_by_side(self):
        tree = self.factor()
        while self.peek()[0] == "words" or (
            self.peek()[0] == "token" and not self.at("+", "-", r"\odot", "/", ")", "]", "}", "&", r"\\", ">", ",", "|")
        ):
            if self.at(r"\end{bmatrix}", r"\rceil", r"\cdots"):
                break
            tree = ("side by side", tree, self.factor())
        return tree

    def group(self):
        self.take("{")
        tree = self.sum()
        self.take("}")
        return tree

    def raw_group(self):
        """The text between braces, or the next token."""
        if not self.at("{"):
            return self.take()
        self.take("{")
        inside = list(takewhile(lambda item: item != ("token", "}"), self.items[self.place :]))
        self.place += len(inside) + 1
        return "".join(token for _, token in inside)

    def factor(self):
        return self.with_powers(self.base())

    def with_powers(self, tree):
        while self.at("^"):
            self.take()
            if self.at(r"\top"):
                self.take()
                tree = ("transpose", tree)
            elif self.at("{"):
                tree = ("power", tree, self.group())
            else:
                tree = ("power", tree, ("number", self.take()))
        return tree

    def base(self):
        kind, token = self.peek()
        if kind == "token" and (token == "(" or token == "|" or token == "["):
            return self.brackets(self.take())
        if kind == "token" and token.isdigit():
            self.take()
            return self.indexed("1", []) if token == "1" and self.at("_") else ("number", token)
        if kind == "token" and token.startswith("\\") and token[1:] not in GREEK:
            return self.command(self.take()[1:])
        if kind == "words" and token in ("diag", "mean", "std", "sign", "Im"):
            self.take()
            return ("call", token, [self.factor()])
        return self.name()

    def brackets(self, opening):
        tree = self.sum()
        if opening == "[":
            self.take(">")
            tree = ("greater", tree, self.sum())
        self.take({"(": ")", "|": "|", "[": "]"}[opening])
        return ("absolute", tree) if opening == "|" else tree

    def command(self, name):
        if name in ("frac", "tfrac"):
            return self.fraction()
        if name in FUNCTIONS:
            return self.function(name)
        if name in ("sum", "prod", "bigodot"):
            index = ""
            if self.at("_"):
                self.take()
                index = self.raw_group()
            if self.at("^"):
                self.take()
                self.raw_group()
            return (name, index, self.product())
        if name == "begin{bmatrix}":
            return self.matrix()
        if name in ("lceil", "sqrt"):
            tree = self.sum() if name == "lceil" else self.group()
            if name == "lceil":
                self.take(r"\rceil")
            return ("call", name, [tree])
        if name == "nabla":
            square = "²" if self.at("^") and self.take() and self.take() else ""
            return self.indexed("∇" + square + self.take(), [])
        raise SyntaxError(f"\\{name} is not known")

    def fraction(self):
        """A fraction, or the name of a derivative, ∂F/∂θ_j or dloss/dθ."""
        start = self.place
        if self.at("{") and self.items[start + 1][1] in (r"\partial", "dloss"):
            above, below = self.raw_group(), self.raw_group()
            return ("name", (above + "/" + below).replace("\\partial", "∂").replace("\\theta", "θ"), [])
        if not self.at("{"):  # \tfrac12
            digits = self.take()
            return ("/", ("number", digits[0]), ("number", digits[1:] or self.take()))
        return ("/", self.group(), self.group())

    def function(self, name):
        while self.at("'"):
            name += self.take()
        power = None
        if self.at("^"):
            self.take()
            power = self.take()
        if self.at("("):
            self.take()
            arguments = [self.sum()]
            while self.at(","):
                self.take()
                arguments.append(self.sum())
            self.take(")")
        else:
            arguments = [self.factor()]
        tree = ("call", name, arguments)
        return tree if power is None else ("power", tree, ("number", power))

    def matrix(self):
        rows = [[]]
        while not self.at(r"\end{bmatrix}"):
            if self.at(r"\\"):
                self.take()
                rows.append([])
            elif self.at("&"):
                self.take()
            elif self.at(r"\cdots"):
                self.take()
                rows[-1].append(("dots",))
            else:
                rows[-1].append(self.sum())
        self.take(r"\end{bmatrix}")
        return ("matrix", rows)

    def name(self):
        kind, token = self.peek()
        if kind not in ("token", "words") or not re.match(r"[A-Za-zΔ\\]", token):
            raise SyntaxError(f"a name expected, {self.peek()} found in {self.items}")
        self.take()
        return self.indexed(token.lstrip("\\"), [])

    def indexed(self, name, indices):
        while True:
            if self.at("'"):
                name += self.take()
            elif self.at("_"):
                self.take()
                for part in self.raw_group().split(","):
                    if part != "" and INDEX.fullmatch(part):
                        indices.append(part)
                    else:
                        name += "_" + part
            elif self.at("^") and self.peek(1)[1] == "{" and self.peek(2)[0] == "words":
                self.take()
                name += "^" + self.raw_group()
            elif self.at("[") and self.peek(2) == ("token", "]"):
                self.take()
                name += f"[{self.take()}]"
                self.take("]")
            else:
                break
        if self.at("(") and name[0] in "F∇O":
            self.take()
            tree = ("apply", name, self.sum())
            self.take(")")
            return tree
        return ("name", name, indices)


def evaluate(tree, values):
    """The value of a tree; ``values`` has the names, functions and indices ("t", "T", …)."""
    kind, *rest = tree
    if kind == "number":
        return int(rest[0])
    if kind == "name":
        return _look_up(*rest, values)
    if kind == "apply":
        return values[rest[0]](evaluate(rest[1], values))
    if kind == "call":
        return _call(rest[0], [evaluate(argument, values) for argument in rest[1]], values)
    if kind in ("sum", "prod", "bigodot"):
        return _over(kind, *rest, values)
    if kind == "matrix":
        return _matrix(rest[0], values)
    parts = [evaluate(part, values) for part in rest]
    return {
        "+": np.add,
        "-": np.subtract,
        "/": np.true_divide,
        r"\odot": np.multiply,
        "negative": np.negative,
        "side by side": _side_by_side,
        "transpose": np.transpose,
        "power": np.power,
        "greater": np.greater,
        "absolute": np.abs,
    }[kind](*parts)


def _look_up(name, indices, values):
    value = values[name]
    for index in indices:
        if name == "d" or isinstance(value, (list, tuple, dict)):
            value = value[int(eval(index, {"__builtins__": {}}, {k: values[k] for k in "tsτT" if k in values}))]
    return value


def _call(name, arguments, values):
    if name == "max":
        return np.where(np.real(arguments[0]) > arguments[1], arguments[0], arguments[1])
    known = {
        "sigma": lambda a: 1 / (1 + np.exp(-a)),
        "tanh": np.tanh,
        "exp": np.exp,
        "log": np.log,
        "min": np.minimum,
        "sign": np.sign,
        "Im": np.imag,
        "diag": lambda column: np.diag(column[:, 0]),
        "sqrt": np.sqrt,
        "lceil": np.ceil,
        "mean": lambda a: a.mean(axis=0, keepdims=True),
        "std": lambda a: a.std(axis=0, keepdims=True),
    }
    return (values.get(name) or known[name])(*arguments)


def _side_by_side(left, right):
    if np.ndim(left) and np.ndim(right):
        return left @ right
    return left * right


def _over(kind, index, body, values):
    if index in ("", "jk"):
        return np.sum(evaluate(body, values))
    if index in ("columns", "rows", "classes"):
        return evaluate(body, values).sum(
            axis={"columns": 1, "rows": 0, "classes": -1}[index], keepdims=index != "rows"
        )
    letter, start = index.split("=")
    stop = values["t"] if letter == "τ" else values["T"]
    terms = [evaluate(body, {**values, letter: k}) for k in range(int(values.get(start, start)), stop)]
    total = terms[0]
    for term in terms[1:]:
        total = {"sum": np.add, "prod": np.matmul, "bigodot": np.multiply}[kind](total, term)
    return total


def _matrix(rows, values):
    """Blocks; a number is a block of the height of its row and the width of its column."""
    if ("dots",) in rows[0]:
        return np.concatenate(values[rows[0][0][1]], axis=1)
    blocks = [[evaluate(tree, values) for tree in row] for row in rows]
    heights = [next((len(block) for block in row if np.ndim(block)), 1) for row in blocks]
    widths = [next((block.shape[1] for block in column if np.ndim(block)), 1) for column in zip(*blocks)]
    return np.block(
        [
            [block if np.ndim(block) else np.full((height, width), block) for block, width in zip(row, widths)]
            for row, height in zip(blocks, heights)
        ]
    )
