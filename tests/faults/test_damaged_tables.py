"""Spreadsheets and columnar files that are damaged or hostile end in one line that names them."""

import random
import warnings
import zipfile

import numpy as np
import pytest
from sandbox import scaled, seeded

from npseq import data

pd = pytest.importorskip("pandas")
SHEET = "xl/worksheets/sheet1.xml"
ENTITIES = b'<!DOCTYPE l [<!ENTITY c0 "aaaaaaaaaa">' + b"".join(
    b'<!ENTITY c%d "%s">' % (k + 1, b"&c%d;" % k * 8) for k in range(14)
)
HOSTILE = {
    "half": lambda sheet: sheet[: len(sheet) // 2],
    "entities": lambda sheet: sheet.replace(b"<worksheet", ENTITIES + b"]><worksheet", 1).replace(
        b"<v>0<", b"<v>&c14;<", 1
    ),
    "five million digits": lambda sheet: sheet.replace(b"<v>0<", b"<v>" + b"7" * 5_000_000 + b"<", 1),
    "a place that is none": lambda sheet: sheet.replace(b'r="A2"', b'r="2A"', 1),
    "nothing": lambda sheet: b"",
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    frame = pd.DataFrame({"time": pd.date_range("2024-01-01", periods=60, freq="h"), "y": np.sin(np.arange(60.0))})
    frame["who"] = "a"
    pytest.importorskip("openpyxl")
    pytest.importorskip("pyarrow")
    frame.to_excel(folder / "t.xlsx", index=False)
    frame.to_parquet(folder / "t.parquet")
    frame.to_feather(folder / "t.feather")
    with zipfile.ZipFile(folder / "t.zip", "w") as archive:
        archive.writestr("t.csv", frame.to_csv(index=False))
    return folder


def with_parts(file, change, to):
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in change(parts).items():
            archive.writestr(name, content)
    return to


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_spreadsheet_is_named_in_one_line(written, tmp_path, kind):
    file = with_parts(
        written / "t.xlsx", lambda parts: {**parts, SHEET: HOSTILE[kind](parts[SHEET])}, tmp_path / "bad.xlsx"
    )
    with pytest.raises(data.DataError, match="bad.xlsx cannot be read as .xlsx: ") as error:
        data.load(str(file))
    assert "\n" not in str(error.value) and len(str(error.value)) < 500


def test_texts_that_lie_outside_a_file_are_not_read(written, tmp_path):
    """Arrow takes the places of texts as they are: reading such a column ended the process."""
    feather = pytest.importorskip("pyarrow.feather")
    feather.write_feather(feather.read_table(written / "t.feather"), tmp_path / "t.feather", "uncompressed")
    content = (tmp_path / "t.feather").read_bytes()
    places = next(one for one in (np.arange(61, dtype=kind).tobytes() for kind in ("<i8", "<i4")) if one in content)
    far = places[: len(places) // 2] + b"\x7f\x7f\x7f\x00" + places[len(places) // 2 + 4 :]
    (tmp_path / "bad.feather").write_bytes(content.replace(places, far))
    with pytest.raises(data.DataError, match="bad.feather cannot be read as .feather: "):
        data.load(str(tmp_path / "bad.feather"))


@pytest.mark.wide
@pytest.mark.parametrize("end", ["xlsx", "parquet", "feather", "zip"])
def test_damaged_tables_open_or_end_in_one_line(written, tmp_path, end):
    rng, whole = random.Random(seeded(7)), (written / f"t.{end}").read_bytes()

    def damaged(content):
        content = bytearray(content)
        for _ in range(rng.choice([1, 3, 20])):
            content[rng.randrange(len(content))] = rng.randrange(256)
        return bytes(content[: rng.randrange(len(content))] if rng.random() < 0.3 else content)

    def one_part(parts):
        name = rng.choice(sorted(parts))
        return {**parts, name: damaged(parts[name])}

    for k in range(scaled(125)):
        file = tmp_path / f"bad.{end}"
        if end == "xlsx" and k % 2:
            with_parts(written / "t.xlsx", one_part, file)
        else:
            file.write_bytes(damaged(whole))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of openpyxl
                data.load(str(file))
        except data.DataError as error:
            assert "\n" not in str(error) and "bad." in str(error), f"trial {k}"


@pytest.mark.parametrize("text", ["time," + ",".join(f"column_{k}" for k in range(13_000)), '1,"' + "x" * 140_000])
def test_a_line_that_is_too_long_for_a_table_is_refused_for_that_reason(tmp_path, text):
    file = tmp_path / "wide.csv"
    rows = "".join(f"{k},{k % 7}\n" for k in range(30))
    file.write_text(text + "\n" + rows if text.startswith("time") else "a,b\n" + rows + text)
    with pytest.raises(
        data.DataError, match="wide.csv cannot be read as a table: a line, or .* has more than 131,072 characters"
    ):
        data.load(str(file))


def test_rows_of_labels_alone_are_no_sequences(tmp_path):
    (tmp_path / "labels.csv").write_text("class\n1\n2\n")
    with pytest.raises(data.DataError, match="labels.csv has no sequence with a number beside its label"):
        data.load_sequences(str(tmp_path / "labels.csv"), None, "class")


def test_a_table_that_is_cut_while_it_is_read_ends_in_one_line(tmp_path, monkeypatch):
    from npseq.data import table_reader

    file = tmp_path / "cut.csv"
    file.write_text("day,y\n" + "".join(f"2024-01-{k:02d},{k}\n" for k in range(1, 29)) + "soon,1\n")
    places = table_reader._Rows.places

    def cut(rows, wanted):
        file.write_text("day,y\n")
        return places(rows, wanted)

    monkeypatch.setattr(table_reader._Rows, "places", cut)
    with pytest.raises(data.DataError, match="cut.csv, time column 'day' holds 'soon'"):
        data.load(str(file))
