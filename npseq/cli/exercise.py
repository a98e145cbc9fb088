"""``npseq exercise``: exercises in backpropagation through time, graded value by value."""

from __future__ import annotations

import argparse
import json
import os

from .. import status
from ..explain.exercises.catalogue import EXERCISES
from ..explain.exercises.exercise import ExerciseError
from ..explain.exercises.grading import SECONDS, Report, exercise_of, grade_file
from ..formats import atomic
from . import arguments, output
from .streams import shown

PRINTED_LINES = 10  # of what a file prints
EXAMPLE = "example: npseq exercise start lstm-backward; npseq exercise grade lstm_backward.py"


def parser() -> arguments.Parser:
    """Return the parser of the command's options."""
    parser = arguments.Parser(
        prog="npseq exercise", epilog=EXAMPLE, description="Write backward passes yourself and have them graded."
    )
    commands = parser.add_subparsers(dest="command", metavar="{list,start,grade,hint,solution}", required=True)
    commands.add_parser("list", help="show the exercises, from easy to hard")
    start = _with_name(commands, "start", "write the file to fill in")
    arguments.add(start, "--dir DIR", "folder of the file; default: the current one", default=".")
    grade = commands.add_parser("grade", help="run files and show their points; status 0 if all have all points")
    arguments.add(grade, "files FILE.py", nargs="+")
    arguments.add_json(grade)
    arguments.add(grade, "--timeout S", "for each file", arguments.positive, SECONDS)
    hint = _with_name(commands, "hint", "show a hint")
    arguments.add(hint, "--number N", "which", arguments.positive_int, 1)
    _with_name(commands, "solution", "print the solved file")
    return parser


def _with_name(commands: argparse._SubParsersAction[arguments.Parser], name: str, text: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text)
    arguments.add(parser, "name NAME", kind=_exercise)
    if name != "hint":
        arguments.add_seed(parser, "the numbers")
    return parser


def _exercise(text: str) -> str:
    name = text.replace("_", "-").lower()
    if name not in EXERCISES:
        raise argparse.ArgumentTypeError(f"{text!r} given, one of {', '.join(EXERCISES)} expected")
    return name


def main(argv: list[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit status: 0; for ``grade`` 1 if a point is missing. Wrong usage: SystemExit with status 2.
    """
    p = parser()
    args = p.parse_args(argv)
    with p.refusing():
        run = {"list": _list, "start": _start, "grade": _grade, "hint": _hint, "solution": _solution}
        return run[args.command](args)


def _list(args: argparse.Namespace) -> int:
    width = max(map(len, EXERCISES))
    for exercise in EXERCISES.values():
        print(f"{exercise.name:{width}}  {exercise.minutes:3} min  {exercise.title}")
    return status.OK


def _start(args: argparse.Namespace) -> int:
    exercise = EXERCISES[args.name]
    output.check_folder(args.dir)
    path = os.path.normpath(os.path.join(args.dir, exercise.name.replace("-", "_") + ".py"))
    if os.path.lexists(path):
        raise ExerciseError(f"{path} exists and is left as it is; give another --dir, or remove it")
    with atomic.replacing(path) as file:
        file.write(exercise.start(args.seed).encode("utf-8"))
    print(f"{path}: {exercise.title}, about {exercise.minutes} minutes")
    print(f"fill in what is TODO, then: npseq exercise grade {path}")
    return status.OK


def _grade(args: argparse.Namespace) -> int:
    """Every file has one result, whatever is wrong with another."""
    if len(args.files) == 1:
        exercise_of(args.files[0])
    reports = [_graded(path, args.timeout) for path in args.files]
    if args.json:
        print(json.dumps([report.as_dict() for report in reports], indent=2))
    else:
        print("\n\n".join(_text(report) for report in reports))
    return status.OK if all(report.points == report.of > 0 for report in reports) else status.UNEXPECTED


def _graded(path: str, seconds: float) -> Report:
    try:
        return grade_file(path, seconds)
    except (ExerciseError, OSError, ValueError) as error:
        return Report(path, "", 0, [], str(error).removeprefix(f"{path}: "))


def _text(report: Report) -> str:
    if not report.exercise:
        return f"{shown(report.file)}: {shown(report.error or '')}"
    points = f"{report.points} of {report.of} points"
    lines = [f"{shown(report.file)}: {report.exercise}, seed {report.seed}: {points}"]
    lines += [f"  prints: {shown(line)}" for line in report.printed.splitlines()[:PRINTED_LINES]]
    if report.error is not None:
        return "\n".join([*lines, f"  {shown(report.error)}"])
    width = max(len(outcome.name) for outcome in report.outcomes)
    for outcome in report.outcomes:
        equation = "" if outcome.equation is None else f"({outcome.equation})"
        message = shown(outcome.message or "")
        lines.append(f"  {outcome.points} of {outcome.of}  {outcome.name:{width}} {equation:5} {message}".rstrip())
    first = report.first_wrong
    if first is not None:
        equation = "" if first.equation is None else f", equation ({first.equation}) in docs/derivation.md"
        number = EXERCISES[report.exercise].hint_for(first.name)
        hint = f"npseq exercise hint {report.exercise} --number {number}"
        lines.append(f"first wrong: {first.name}{equation}; {hint} helps")
    return "\n".join(lines)


def _hint(args: argparse.Namespace) -> int:
    hints = EXERCISES[args.name].hints
    if args.number > len(hints):
        raise ExerciseError(f"--number {args.number} given, but {args.name} has {len(hints)} hints")
    print(f"hint {args.number} of {len(hints)}: {hints[args.number - 1]}")
    return status.OK


def _solution(args: argparse.Namespace) -> int:
    print(EXERCISES[args.name].solution(args.seed), end="")
    return status.OK
