"""The options that say how a table is read, in every command that reads one."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from .. import data
from . import arguments

_WORDS = {"tab": "\t", "\\t": "\t", "blank": " ", "blanks": " ", "space": " ", "comma": ",", "semicolon": ";"}
SAID = ("sep", "decimal", "thousands", "header", "no_header", "encoding", "na", "strip", "date_format", "sheet")
OF_SERIES = ("id", "wide", "wide_rows", "active")


def add_table_options(p: arguments.Parser) -> None:
    """Add the options that say what is otherwise decided from the rows of a table, and told; rare ones."""
    p.rare |= {*SAID, "max_memory"}
    t = p.add_argument_group("reading tables (default: decided from the rows, and told)")
    arguments.add(t, "--sep CHARACTER", "between fields; tab, or blank for any number of them", _sign)
    arguments.add(t, "--decimal CHARACTER", "decimal sign of numbers", _sign)
    arguments.add(t, "--thousands CHARACTER", "sign between groups of three digits", _sign)
    header = t.add_mutually_exclusive_group()
    arguments.add(header, "--header", "the first line holds the names of the columns")
    arguments.add(header, "--no-header", "the first line holds data")
    arguments.add(t, "--encoding NAME", "of the text, such as utf-8, utf-16 or latin-1")
    about = "further mark of a missing value (repeat it, or separate several by commas); inf: infinite numbers, too"
    arguments.add(t, "--na MARK", about, arguments.names, action="extend")
    arguments.add(t, "--strip SIGN", "sign to remove from numbers, such as %% or €", arguments.names, action="extend")
    arguments.add(t, "--date-format FORMAT", "of the time column, such as %%d.%%m.%%Y %%H:%%M")
    arguments.add(t, "--sheet NAME", "of a spreadsheet")
    add_memory_option(t)
    m = p.add_argument_group("many series (default: a table with unique_id and ds, or item_id and timestamp)")
    form = m.add_mutually_exclusive_group()
    arguments.add(form, "--id COLUMN[,COLUMN]", "names the series of each row; ds may be a whole number")
    arguments.add(form, "--wide", "each column is a series")
    arguments.add(form, "--wide-rows", "each row is a series, its name first")
    arguments.add(m, "--active", "leave out series that have stopped")


def add_memory_option(p: Any) -> None:
    """Add ``--max-memory`` to a parser or a group of one."""
    about = "GiB that a compressed file may open to; default: 1, or 20 times the file's own size if that is more"
    arguments.add(p, "--max-memory GIB", about, arguments.positive)


def table_options(args: argparse.Namespace) -> data.TableOptions:
    """Return what the options say about the table."""
    said = {name: getattr(args, name) for name in (*data.TableOptions.FIELDS, "max_memory") if getattr(args, name)}
    return data.TableOptions.from_json(said | ({"header": False} if args.no_header else {}))


def as_in_training(args: argparse.Namespace, said: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of tables that hold for new data: those of the training, unless others are given; further
    marks and signs are added to its own.

    Args:
        said: at the training, as ``TableOptions.to_json``.
    """
    kept = dict(said)
    header = kept.pop("header", None)
    if header is not None and not (args.header or args.no_header):
        kept["header" if header else "no_header"] = True
    if any(getattr(args, name) for name in OF_SERIES[:3]):
        kept = {name: value for name, value in kept.items() if name not in OF_SERIES}
    values = {name: value for name, value in kept.items() if not getattr(args, name)}
    for name in {"na", "strip"} & kept.keys():
        values[name] = [*kept[name], *(getattr(args, name) or ())]
    return values


def are_said(args: argparse.Namespace) -> bool:
    """True if an option of tables, or a column, is given: then a .txt file is a table."""
    columns = ("target", "inputs", "time", "sequence", "label")
    return any(getattr(args, name, None) for name in SAID + OF_SERIES + columns)


def sequence_columns(columns: Mapping[str, str | None], *sources: str) -> dict[str, Any]:
    """Return ``sequence`` and ``label`` as ``load_sequences`` takes them: those of shipped data are known.

    Args:
        columns: as they were given. sources: of the data, and of those that the model was trained on.
    """
    if set(sources) & set(data.SHIPPED_SEQUENCES):
        return {name: column for name, column in columns.items() if column is not None}
    return dict(columns)


def _sign(text: str) -> str:
    sign = _WORDS.get(text.lower(), text)
    if len(sign) != 1:
        raise argparse.ArgumentTypeError(f"{text!r} given, one character expected")
    return sign
