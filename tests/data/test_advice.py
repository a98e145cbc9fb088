"""Every advice of a message of ``npseq.data`` is followed: it gives the right values, or another question.

An advice is an argument that a message names, or one of the verbs of ``VERBS``. A message with an advice that has no
test here fails ``test_every_advice_is_followed``.
"""

import ast
import gzip
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

import npseq.data
from npseq.data import DataError, TableOptions, load, load_corpus, load_sequences, load_series
from npseq.formats.messages import _ARGUMENT, marked

pd = pytest.importorskip("pandas")

ROOM = Path(npseq.data.__file__).parent
VERBS = r"(?:^|(?:[;:,—]|\bor|\band) )(?:write|give|keep|turn|convert|leave|fill|unpack|correct|name each|delete|remove|use|add|put|rename|try|split|quote|save|change|make|replace|drop)\b|pip install|needs quotes"
DAYS = [str(day) for day in np.datetime64("2024-01-01") + np.arange(40)]


def advice_in(path):
    """Each advice of a module: (module, name of the argument) or (module, the words with the verb)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in ast.walk(node)
        if part is not node
    }
    texts = [
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and isinstance(node.body[0], ast.Expr)
    ]
    inside |= {id(text) for text in texts}  # docstrings
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "argument":
            yield path.stem, node.args[0].value
        elif isinstance(node, (ast.JoinedStr, ast.Constant)) and id(node) not in inside:
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts)
            for found in re.finditer(VERBS, text):
                if " " in text:
                    yield path.stem, text[found.start() :].lstrip(";:, ")[:40]


FOLLOWED = {}


def follows(*advice):
    """A test that follows this advice, each (module, argument) or (module, beginning of the words)."""

    def take(function):
        for one in advice:
            FOLLOWED.setdefault(tuple(one.split(": ", 1)), []).append(function)
        return function

    return take


@pytest.fixture
def write(tmp_path):
    def write(content, name="t.csv", encoding="utf-8"):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return str(tmp_path / name)

    return write


def asked(function, *args, **options):
    """The message, and the arguments that it names with their values, in turn."""
    try:
        message = "\n".join(marked(note) for note in function(*args, **options).notes)
    except DataError as error:
        message = marked(error)
        assert "\n" not in message
    return message, named_in(message)


def named_in(message):
    return [(name, ast.literal_eval(value) if value else "") for name, value, _ in _ARGUMENT.findall(message)]


def said(named):
    """The options of these arguments."""
    values = {name: (value,) if name in ("na", "strip") else value for name, value in named}
    return TableOptions(**values)


def lines(header, *columns):
    return header + "\n" + "".join(",".join(map(str, row)) + "\n" for row in zip(*columns))


def test_every_advice_is_followed():
    found = {advice for path in ROOM.glob("*.py") for advice in advice_in(path)}
    known = {(module, words) for module, words in FOLLOWED}
    missing = {
        one for one in found if not any(one[0] == module and one[1].startswith(words) for module, words in known)
    }
    assert not missing, f"no test follows this advice: {sorted(missing)}"
    stale = {one for one in known if not any(one[0] == module and words.startswith(one[1]) for module, words in found)}
    assert not stale, f"no message gives this advice: {sorted(stale)}"


ONE_OPTION = {  # advice: content, values of the first column if it is followed, or words of the other question
    "columns: strip": ("a\n5 %\n7 %\n", [5, 7]),
    "columns: na": ("a\n1\nn.a.\n4\n", [1, 2.5, 4]),
    "layout: decimal": ("a;b\n1,234;2\n5,678;3\n", {"decimal": [1.234, 5.678], "thousands": [1234, 5678]}),
    "layout: thousands": ("a;b\n1,234;2\n5,678;3\n", {"decimal": [1.234, 5.678], "thousands": [1234, 5678]}),
    "layout: header": ("date,v,u,w\n2024-01-01,1,2\n2024-01-02,3,4\n", [1, 3]),
    "load: na": ("a\n1\n-inf\n4\n", [1, 2.5, 4]),
    "dates: date_format": (lines("t,a", [f"{day} 10:00 CET" for day in DAYS], range(40)), list(range(40))),
    "encodings: encoding": ("日付,v\n2024-01-01,1\n2024-01-02,4\n".encode("cp932"), [1, 4]),
}


@follows(*ONE_OPTION)
@pytest.mark.parametrize("content, expected", ONE_OPTION.values(), ids=ONE_OPTION)
def test_an_argument_with_its_value(write, content, expected):
    path = write(content)
    message, named = asked(load, path)
    assert named, message
    for name, value in named:
        table = load(path, options=said([(name, value)]))
        values = expected[name] if isinstance(expected, dict) else expected
        assert table.values[:, 0].tolist() == values, (name, value)


def test_a_mark_that_is_a_value_far_from_all_others(write):
    path = write(lines("a", [-999 if k % 9 == 4 else k * 7 % 11 for k in range(60)]))
    table = load(path, options=said(asked(load, path)[1]))
    assert table.values.min() >= 0 and table.filled.sum() == 7


def test_a_unit_is_advised_only_where_every_cell_has_it_once(write):
    for cells in (
        ["5 kW", "500 W"],
        ["5 CR", "7 DR"],
        ["<5", "7"],
        ["5*", "7"],
        ["(5", "7)"],
        ["p7", "p8"],
        ["5 %", "0.05"],
        ["5 m3", "7 m3"],
    ):
        assert asked(load, write("a,b\n" + "".join(f"{cell},{k}\n" for k, cell in enumerate(cells))))[1] == [], cells
    for cells, values in (
        (["$5", "($7.5)", "-$1"], [5, -7.5, -1]),
        (["5 kWh", "7 kWh"], [5, 7]),
        (["EUR 5", "EUR 7"], [5, 7]),
    ):
        path = write("a,b\n" + "".join(f"{cell},{k}\n" for k, cell in enumerate(cells)))
        assert load(path, options=said(asked(load, path)[1])).values[:, 0].tolist() == values


def test_a_mark_with_digits_is_not_advised_away(write):
    for mark in ("5*", "1.5.2", "12:30"):
        assert asked(load, write(f"a,b\n1,1\n2,2\n{mark},3\n4,4\n"))[1] == [], mark


@follows("columns: date_format", "columns: time")
def test_the_form_of_a_time(write):
    path = write(lines("date,a", [f"{k}h of day 2024_{k + 1:03}" for k in range(9)], range(9)))
    _, named = asked(load, path)
    assert named == [("time", "date"), ("date_format", "FORMAT")]
    assert load(path, "date", options=TableOptions(date_format="%Hh of day %Y_%j")).times[1] == np.datetime64(
        "2024-01-02T01"
    )
    words = write(lines("date,a", [f"{word} 7" for word in "one two three".split()], range(3)))
    assert asked(load, words)[1] == []  # no format of strptime reads numbers in words
    soon = write("t,a\n2024-01-01,1\nsoon,4\n")
    message, named = asked(load, soon)
    assert named == [("date_format", "")] and "'soon'" in message
    assert "a time of the form %Y-%m-%d expected" in asked(load, soon, options=TableOptions(date_format="%Y-%m-%d"))[0]
    either = write("t,a\n01/02/2024,1\n03/02/2024,2\n")
    assert asked(load, either)[1] == [("date_format", "")]
    assert load(either, options=TableOptions(date_format="%m/%d/%Y")).times[0] == np.datetime64("2024-01-02")


@follows("table_reader: encoding")
def test_an_encoding_that_does_not_fit(write):
    path = write("é,b\n1,2\n3,4\n", encoding="cp1252")
    for encoding in ("ascii", "utf-8"):
        assert asked(load, path, options=TableOptions(encoding=encoding))[1] == [("encoding", "")]
    assert "no encoding that Python knows" in asked(load, path, options=TableOptions(encoding="cp00"))[0]
    assert load(path, options=TableOptions(encoding="cp1252")).columns == ["é", "b"]
    late = write(b"a,b\n" + b"1,x\n" * 40_000 + "2,é\n".encode("cp1252"))
    assert asked(load, late, options=TableOptions(encoding="ascii"))[1] == [("encoding", "")]
    zeros = write("a,b\n1,2\n".encode("utf-32-le"))
    assert asked(load, zeros)[1] == [("encoding", "")]
    assert load(zeros, options=TableOptions(encoding="utf-32-le")).columns == ["a", "b"]


@pytest.mark.wide
@follows("table_reader: sheet")
def test_a_sheet(tmp_path):
    pytest.importorskip("openpyxl")
    with pd.ExcelWriter(tmp_path / "t.xlsx") as book:
        for name in ("one", "two"):
            pd.DataFrame({name: [1, 4, 9]}).to_excel(book, sheet_name=name, index=False)
    assert asked(load, str(tmp_path / "t.xlsx"))[1] == [("sheet", "")]
    assert load(str(tmp_path / "t.xlsx"), options=TableOptions(sheet="two")).columns == ["two"]


@follows("limits: max_memory")
def test_more_memory(tmp_path, monkeypatch):
    from npseq.data import limits

    monkeypatch.setattr(limits, "ALWAYS", 1000)
    with gzip.open(tmp_path / "a.csv.gz", "wt") as file:
        file.write("load\n" + "5\n7\n" * 40_000)
    path = str(tmp_path / "a.csv.gz")
    ((name, value),) = asked(load, path)[1]
    assert len(load(path, options=TableOptions(**{name: float(value)})).values) == 80_000


@follows("table: target")
def test_a_target_by_its_name(write):
    table = load(write(lines("site,no", [7] * 9, range(9))))
    with pytest.raises(DataError) as error:
        table.column(None)
    assert named_in(marked(error.value)) == [("target", "")] and table.column("no") == 1


STORES = lines("date,store,v,kind", DAYS * 2, ["x"] * 40 + ["y"] * 40, range(80), ["a"] * 40 + ["b"] * 40)


@follows("load: id", "load: sequence", "load: label", "load: or keep the rows of one")
def test_several_series(write):
    path = write(STORES)
    message, named = asked(load, path)
    assert named == [("id", "store"), ("sequence", "store"), ("label", "COLUMN")]
    assert [one.values[0, 0] for one in load_series(path, options=said(named[:1]))] == [0, 40]
    sequences, _ = load_sequences(path, "store", "kind")
    assert sequences.names == ["x", "y"] and np.diff(sequences.starts).tolist() == [40, 40]
    rows = [line for line in STORES.splitlines() if ",y," not in line]
    assert load(write("\n".join(rows))).values[:, 0].tolist() == list(range(40))
    later = [str(day) for day in np.datetime64("2024-06-01") + np.arange(40)]
    told, _ = asked(load, write(lines("date,shop,v", DAYS + later, ["A"] * 40 + ["B"] * 40, range(80))))
    assert "if they are several, name the column with" in told
    shops = load_series(
        write(lines("date,shop,v", DAYS + later, ["A"] * 40 + ["B"] * 40, range(80))), options=TableOptions(id="shop")
    )
    assert shops.ids == ["A", "B"]
    assert load(write(lines("date,shop,v", DAYS, ["A"] * 40, range(40)))).values[:, 0].tolist() == list(range(40))


@follows("load: time", "time_axis: time", "time_axis: sequence", "time_axis: label", "time_axis: or keep one of them")
def test_many_rows_of_one_time(write):
    rng = np.random.default_rng(0)
    hours = [k % 24 for k in range(48)]
    path = write(
        lines(
            "day,part,v,w",
            [DAYS[k // 24] for k in range(48)],
            [f"{hour}.{rng.integers(9)}" for hour in hours],
            range(48),
            rng.normal(size=48),
        )
    )
    assert asked(load, path)[1] == [("time", "DATE,HOUR"), ("sequence", "COLUMN"), ("label", "COLUMN")]
    slots = write(
        lines("day,slot,v", [DAYS[k // 24] for k in range(72)], [f"hour {k % 24}" for k in range(72)], range(72)),
        "s.csv",
    )
    assert asked(load, slots)[1] == [("id", "slot"), ("sequence", "slot"), ("label", "COLUMN"), ("time", "DATE,HOUR")]
    assert "holds '2024-01-01 hour 0', a time such as" in asked(load, slots, "day,slot")[0]  # another question
    whole = write(lines("day,part,v", [DAYS[k // 24] for k in range(48)], hours, range(48)), "w.csv")
    assert load(whole, "day,part").values[:, 0].tolist() == list(range(48))
    assert np.diff(load_sequences(path, "day", None)[0].starts).tolist() == [24, 24]
    assert load(write(lines("day,v", DAYS[:2], [0, 24]), "k.csv")).values[:, 0].tolist() == [0, 24]


@follows("load: wide_rows", "load: or turn the table")
def test_turning_a_table(write):
    table = pd.DataFrame([[1, 4, 9], [2, 5, 7]], ["p", "q"], DAYS[:3])
    message, named = asked(load, path := write(table.to_csv(index_label="page")))
    assert "turn the table" in message and [
        one.values[:, 0].tolist() for one in load_series(path, options=said(named))
    ] == [[1, 4, 9], [2, 5, 7]]
    turned = load(write(table.T.to_csv(index_label="date")))
    assert turned.columns == ["p", "q"] and turned.values.tolist() == [[1, 2], [4, 5], [9, 7]]


@follows("panel_reader: active", "panel_reader: id", "panel_reader: keep the series of one")
def test_series_of_a_panel(write):
    names = ["x"] * 40 + ["y"] * 20
    path = write(lines("ds,unique_id,y", DAYS + DAYS[:20], names, range(60)))
    _, named = asked(load_series, path)
    assert named == [("active", True)] and load_series(path, options=said(named)).ids == ["x"]
    again = write(
        lines(
            "ds,unique_id,part,y",
            (DAYS[:20] * 2) * 2,
            ["x"] * 40 + ["z"] * 40,
            (["p"] * 20 + ["q"] * 20) * 2,
            range(80),
        )
    )
    assert asked(load_series, again)[1] == [("id", "A,B")]
    both = load_series(again, options=TableOptions(id="unique_id,part"))
    assert both.ids == ["x/p", "x/q", "z/p", "z/q"] and both.values[::20, 0].tolist() == [0, 20, 40, 60]
    hours = [str(hour) for hour in np.datetime64("2024-01-01T00") + np.arange(20)]
    mixed = write(lines("ds,unique_id,y", DAYS + hours, names, range(60)))
    assert "rows of x are 1 day apart, those of y 1 hour" in asked(load_series, mixed)[0]


@follows(
    "load: correct it, or leave the cell empty",
    "load: or leave the cell empty",
    "sequence_set: fill it, or leave the sequence",
    "sequence_set: or leave the sequence out",
)
def test_a_cell_that_is_corrected_or_left_empty(write):
    assert "correct it, or leave the cell empty" in asked(load, write("a\n1\n1e300\n4\n"))[0]
    assert load(write("a\n1\n3\n4\n")).values[:, 0].tolist() == [1, 3, 4]
    assert load(write("a,b\n1,0\n,1\n4,1\n")).values[:, 0].tolist() == [1, 2.5, 4]
    empty = "s,l,a,b\n1,x,5,0\n2,y,,7\n2,y,,9\n3,x,1,1\n"
    assert "fill it, or leave the sequence out" in asked(load_sequences, write(empty), "s", "l")[0]
    assert load_sequences(write(empty.replace("2,y,,", "2,y,3,")), "s", "l")[0].names == ["1", "2", "3"]
    assert load_sequences(write(empty.replace("2,y,,7\n2,y,,9\n", "")), "s", "l")[0].names == ["1", "3"]


@follows(
    "layout: needs quotes",
    "layout: give each a separate name",
    "table_reader: give each a separate name",
)
def test_quotes_and_names(write):
    rows = "date,x\n2024-01-01,63,65\n2024-01-02,64,65\n"
    assert "needs quotes, or another separator" in asked(load, write(rows))[0]
    for better in (
        re.sub(r"(\d\d,\d\d)\n", r'"\1"\n', rows),
        rows.replace(",", ";", 1).replace("-01,", "-01;").replace("-02,", "-02;"),
    ):
        assert load(write(better)).values[:, 0].tolist() == [63.65, 64.65]
    assert "give each a separate name" in asked(load, write("a,a\n1,2\n3,5\n"))[0]
    assert load(write("a,b\n1,2\n3,5\n")).values.tolist() == [[1, 2], [3, 5]]
    frame = pd.DataFrame([[1, 2], [3, 5]], columns=["a", "a"])
    assert "give each a separate name" in asked(load, frame)[0]
    assert load(frame.set_axis(["a", "b"], axis=1)).values.tolist() == [[1, 2], [3, 5]]


@follows("sequences: name each input once", "sequences: sequence")
def test_inputs_and_times_of_sequences(write):
    path = write("s,l,a,b\n1,x,5,0\n2,y,3,7\n")
    assert "name each input once" in asked(load_sequences, path, "s", "l", ["a", "a"])[0]
    assert load_sequences(path, "s", "l", ["a"])[0].frames[:, 0].tolist() == [5, 3]
    dated = write(lines("t,s,l,a", DAYS[:4] * 2, [1] * 4 + [2] * 4, ["x"] * 4 + ["y"] * 4, range(8)))
    message, named = asked(load_sequences, dated, None, "l")
    assert named == [("sequence", "")] and "column of times" in message
    assert np.diff(load_sequences(dated, "s", "l")[0].starts).tolist() == [4, 4]


TS = "@problemName p\n@classLabel true up down\n@data\n1,2:up\n3,5:down\n"


@follows(
    "archives: task",
    "archives: write all its values",
    "archives: give it the ending",
    "archives: or write it as .csv",
    "sequence_arrays: regress",
)
def test_archives(write):
    path = write(TS, "t.ts")
    assert asked(load, path)[1] == [("task", "classify")]
    assert load_sequences(path)[0].frames[:, 0].tolist() == [1, 2, 3, 5]
    numbers = write(TS.replace("classLabel", "targetLabel").replace(":up", ":1.5").replace(":down", ":2"), "n.ts")
    assert asked(load_sequences, numbers)[1] == [("regress", True)]
    assert load_sequences(numbers, regress=True)[0].targets.tolist() == [1.5, 2]
    tsf = "@relation r\n@attribute series_name string\n@frequency daily\n@horizon 1\n@data\nT1:1,4,9\nT2:2,5,7\n"
    assert [one.values[:, 0].tolist() for one in load_series(write(tsf, "t.tsf"))] == [[1, 4, 9], [2, 5, 7]]
    arff = "@relation r\n@attribute a numeric\n@attribute b numeric\n@data\n"
    assert "write all its values" in asked(load, write(arff + "{1 5}\n{0 2}\n", "t.arff"))[0]
    assert load(write(arff + "0,5\n2,0\n", "t.arff")).values.tolist() == [[0, 5], [2, 0]]
    json = write('[{"a": 1}, {"a": 4}, {"a": 9}]', "t.csv")
    assert "give it the ending of its format, or write it as .csv" in asked(load, json)[0]
    assert load(write(pd.read_json(json).to_csv(index=False))).values[:, 0].tolist() == [1, 4, 9]


def test_the_ending_of_its_format(write):
    pytest.importorskip("openpyxl")
    pd.DataFrame({"a": [1, 4, 9]}).to_excel(write("", "t.xlsx"), index=False)
    content = Path(write("", "u.csv").replace("u.csv", "t.xlsx")).read_bytes()
    assert "give it the ending" in asked(load, write(content))[0]
    assert load(write(content, "t.xlsx")).values[:, 0].tolist() == [1, 4, 9]


@follows("sources: unpack it", "limits: leave it out")
def test_files_in_files(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in ("x.csv", "y.csv"):
            archive.writestr(name, "a\n1\n4\n9\n")
    assert "unpack it" in asked(load, str(tmp_path / "a.zip"))[0]
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        archive.extract("y.csv", tmp_path)
    assert load(str(tmp_path / "y.csv")).values[:, 0].tolist() == [1, 4, 9]
    np.savez(tmp_path / "a.npz", a=np.array([1.0, 4, 9]))
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        archive.writestr("notes.txt", "words")
    assert "leave it out" in asked(load, str(tmp_path / "a.npz"))[0]
    np.savez(tmp_path / "a.npz", a=np.array([1.0, 4, 9]))
    assert load(str(tmp_path / "a.npz")).values[:, 0].tolist() == [1, 4, 9]


@follows("corpus: tokens", "corpus: convert it to UTF-8", "corpus: convert it, or read it")
def test_a_text_in_another_encoding(write):
    for encoding in ("utf-16", "cp1252"):
        path = write("Größe\n", "t.txt", encoding)
        message, named = asked(load_corpus, path)
        assert named == [("tokens", "bytes")] and "convert it" in message
        assert len(load_corpus(path, "bytes")) == len("Größe\n".encode(encoding))
        assert len(load_corpus(write("Größe\n", "t.txt"))) == 6


@follows("table_reader: pip install", "load: pip install")
def test_a_package_that_is_missing(write, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match="pip install"):
        load(write(b"PAR1rubbishPAR1", "t.parquet"))
    monkeypatch.undo()
    with pytest.raises(DataError) as error:  # with the package: another question
        load(write(b"PAR1rubbishPAR1", "t.parquet"))
    assert "pip install" not in str(error.value) or "pyarrow" not in sys.modules
    monkeypatch.setitem(sys.modules, "npseq.data.table_reader", None)
    path = write("a;b\n1;2\n3;5\n")
    with pytest.raises(DataError, match="without pandas only plain tables are read: pip install 'pandas>=2.2'"):
        load(path)
    plain = write("t,a\n2024-01-01,1\n2024-01-02,4\n", "plain.csv")
    assert load(plain).values.tolist() == [[1], [4]] and load(plain).offset == "D"
    monkeypatch.undo()
    assert load(path).values.tolist() == [[1, 2], [3, 5]]
