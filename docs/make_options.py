"""The page of all options, ``options.md``, from the parsers of the commands: ``conf.py`` writes it at each build."""

import argparse
import importlib
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))

from npseq.cli.commands import GROUPS  # noqa: E402


def page():
    """Return the page: for each command its options by subject, the rare ones marked."""
    lines = ["# All options", "", "Made from the commands themselves. ° is shown by `-h all` only.", ""]
    for title, group in GROUPS.items():
        lines += [f"## To {title}", ""]
        for name, (module, about) in group.items():
            lines += [f"### npseq {name}", "", f"{about[0].upper()}{about[1:]}.", ""]
            lines += list(options(importlib.import_module(module).parser()))
    return "\n".join(lines) + "\n"


def options(parser):
    """Yield the lines of the tables of a parser, one for each group, and of its own commands."""
    formatter = argparse.HelpFormatter("npseq")
    for group in parser._action_groups:
        own = [one for one in group._group_actions if one.help is not argparse.SUPPRESS and one.dest != "help"]
        if not own or isinstance(own[0], argparse._SubParsersAction):
            continue
        yield from [f"**{group.title}**", "", "| | |", "|---|---|"]
        for one in own:
            form = formatter._format_action_invocation(one).split(", ")[-1].replace("|", "\\|")
            about = formatter._expand_help(one) if one.help else ""
            about = about.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
            yield f"| `{form}`{' °' if one.dest in getattr(parser, 'rare', ()) else ''} | {about} |"
        yield ""
    for one in parser._actions:
        for name, inner in one.choices.items() if isinstance(one, argparse._SubParsersAction) else ():
            yield from [f"`{parser.prog} {name}`", ""]
            yield from options(inner)


if __name__ == "__main__":
    (DOCS / "options.md").write_text(page(), encoding="utf-8")
