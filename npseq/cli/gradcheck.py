"""``npseq gradcheck``: every layer, loss and kind of model of npseq checked."""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from .. import status
from ..gradcheck import failures, survey
from ..gradcheck.bugs import planted_bugs
from ..gradcheck.checks import THRESHOLD, check_cell, check_initialisation, check_layer, check_model
from ..gradcheck.diagnosis.failure import failure
from ..gradcheck.result import ArrayError, Result, worst_verdict
from ..nn.model import Model
from ..nn.registry import MODELS
from . import arguments, own_cell

LENGTHS = [5, 0, 3, 1]  # the "mixed" ones: unsorted, with T = 5, 1 and 0
OUTPUTS: dict[str, dict[str, Any]] = {  # of models, whose inputs are indices
    "outputs at every step": {"outputs": "all"},
    "outputs at every step, embedding": {"outputs": "all", "embedding_size": 3},
    "one output, embedding": {"embedding_size": 3},
}
VARIANTS = {"rnn": [{}, {"nonlinearity": "relu"}], "lstm": [{}, {"proj_size": 2}], "gru": [{}]}
OPTIONS: list[dict[str, Any]] = [  # of layers of two directions and mixed lengths, beside those of the grid
    {"recurrent_dropout": 0.3},
    {"checkpoint_every": 3},
    {"learn_initial_state": True, "bias": False, "batch_first": True},
]


def parser() -> arguments.Parser:
    """Return the parser of the command's options."""
    parser = arguments.Parser(
        prog="npseq gradcheck",
        description="Check the hand-written gradients of npseq's layers, losses and models to 1e-13. Exit status: 0 if "
        "every gradient is right, 1 if one is wrong, 4 if none is wrong but one could not be checked.",
        epilog="example: npseq gradcheck --model gru --break z-swapped",
    )
    about = f"any of {', '.join(MODELS)} (default: all, and the losses)"
    arguments.add(parser, "--model NAME", about, arguments.name, nargs="+", choices=list(MODELS))
    own_cell.add_option(parser, "check the cell of a file, alone and in layers")
    arguments.add(parser, "--layers L", "numbers of layers (default: 1 2)", arguments.positive_int, nargs="+")
    arguments.add(parser, "--directions", "1, 2 or both (default: 1 2)", int, nargs="+", choices=[1, 2])
    about = f"all sequences as long as the batch, or {LENGTHS} (default: both)"
    arguments.add(parser, "--lengths", about, nargs="+", choices=["equal", "mixed"])
    about = f"draw configurations at random for that long (default: {survey.COUNT} of them)"
    arguments.add(parser, "--seconds N", about, arguments.positive)
    arguments.add(parser, "--only CONFIG", "check one configuration again, as the report of a failure names it")
    about = "complex step, or the textbook's central differences (default: %(default)s)"
    arguments.add(parser, "--method", about, default="complex", choices=list(THRESHOLD))
    arguments.add_seed(parser, "weights, data and masks")
    arguments.add_quiet(parser)
    arguments.add_json(parser)
    arguments.add(parser, "--first", "stop at the first gradient that is not right")
    arguments.add(parser, "--verbose", "print the gradient and its numerical values side by side where it is worst")
    about = "plant a bug, in configurations in which it has an effect, and show how it is caught"
    arguments.add(
        parser, "--break BUG", about, lambda text: text.replace("_", "-"), dest="bug", choices=list(planted_bugs.BUGS)
    )
    arguments.add(parser, "--list-bugs", "list the bugs that --break accepts, one per line")
    return parser


def _cases(arguments: argparse.Namespace) -> Iterator[tuple[str, planted_bugs.Case]]:
    """Yield the configurations to check, as (description, Case)."""
    defaults: tuple[list, list, list] = ([1, 2], [1, 2], ["equal", "mixed"])
    if arguments.bug:  # one configuration of each model is enough to see it
        defaults = ([2], [2], ["mixed"])
    given = (arguments.layers, arguments.directions, arguments.lengths)
    grid = [values or default for values, default in zip(given, defaults)]
    for name in arguments.model or ([arguments.cell.name] if arguments.cell else MODELS):
        for L, D, ends, variant in itertools.product(*grid, VARIANTS.get(name.split("_")[-1], [{}])):
            extra = dict(variant, dropout=0.3) if L > 1 else variant
            layer = MODELS[name](2, 3, num_layers=L, bidirectional=D == 2, rng=arguments.seed, **extra)
            text = f"{name} layers={L} directions={D} lengths={ends}" + "".join(f" {k}={v}" for k, v in extra.items())
            lengths = LENGTHS if ends == "mixed" else None
            yield text, planted_bugs.Case(layer, max(LENGTHS), len(LENGTHS), lengths, training=L > 1)


def _further_checks(name: str, seed: int) -> Iterator[tuple[str, Callable, Any]]:
    """Yield (description, check, subject) for what the grid does not cover: other options, and models with a head."""
    for options in OPTIONS:
        layer = MODELS[name](2, 3, bidirectional=True, rng=seed, **options)
        text = f"{name} directions=2 lengths=mixed" + "".join(f" {k}={v}" for k, v in options.items())
        case = planted_bugs.Case(layer, max(LENGTHS), len(LENGTHS), LENGTHS, not layer.learn_initial_state, True)
        yield text, _check_case, case
    for text, options in OUTPUTS.items():
        yield f"model of {name}, {text}", _check_model, (name, options)


def _check_case(case: planted_bugs.Case, arguments: argparse.Namespace) -> Result:
    layer = planted_bugs.plant(arguments.bug, case.layer) if arguments.bug else case.layer
    try:
        options = {name: getattr(case, name) for name in ("T", "B", "lengths", "with_state", "training")}
        result = check_layer(layer, **options, method=arguments.method, rng=arguments.seed)
    except Exception as error:  # an edited cells.py or bptt.py may fail anywhere
        return _failed(error, arguments)
    result.faults += check_initialisation(layer)
    return result


def _failed(error: Exception, arguments: argparse.Namespace) -> Result:
    """Return the result for an exception that is not backward's."""
    unknown = ArrayError("forward", float("inf"), (), float("nan"), float("nan"))
    line = failure(error).replace("backward raises", "forward raises", 1)
    return Result({"forward": unknown}, THRESHOLD[arguments.method], arguments.method, faults=[line])


def _check_cell(cell: Any, arguments: argparse.Namespace) -> Result:
    return check_cell(cell, method=arguments.method, rng=arguments.seed)


def _check_model(case: tuple[str, dict[str, Any]], arguments: argparse.Namespace) -> Result:
    kind, options = case
    rng = np.random.default_rng(arguments.seed)
    model = Model(kind, 4, 3, 2, loss="cross_entropy", dtype=np.float64, rng=rng, **options)
    model.theta += rng.uniform(-0.3, 0.3, model.theta.shape)
    shape = (len(LENGTHS), max(LENGTHS))
    target = rng.integers(2, size=shape if model.every_step else len(LENGTHS))
    return check_model(model, (rng.integers(4, size=shape), target, LENGTHS), method=arguments.method)


def _lines(result: Result) -> list[str]:
    """What is said of a gradient that is not right."""
    wrong = [f"wrong: {result.wrong_arrays()}"] if result.wrong and not result.worst.name == "forward" else []
    return wrong + result.findings()


def _report(text: str, result: Result, verbose: bool) -> None:
    word = {"right": "ok   ", "wrong": "WRONG", "unchecked": "unchecked"}[result.verdict]
    print(f"{text}  {word}  {result.worst.error:.1e} in {result.worst.name}", flush=True)
    for line in _lines(result) + (result.side_by_side() if verbose and not result.right else []):
        print(f"    {line}", flush=True)


def _as_dict(text: str, result: Result) -> dict[str, Any]:
    error = float(result.worst.error)
    return {
        "name": text.strip(),
        "verdict": result.verdict,
        "error": error if np.isfinite(error) else None,
        "tensor": result.worst.name,
        "findings": _lines(result),
    }


def main(argv: list[str] | None = None) -> int:
    """Run the command.

    Returns:
        0 if every gradient is right, 1 if one is wrong, 4 if none is wrong but one could not be checked.

    Raises:
        SystemExit: with status 2, for wrong usage.
    """
    p = parser()
    arguments = p.parse_args(argv)
    if arguments.list_bugs:
        width = max(map(len, planted_bugs.BUGS))
        for bug in planted_bugs.BUGS.values():
            print(f"{bug.name:{width}}  {bug.what}")
        return status.OK
    if arguments.only:
        try:
            return _report_survey([survey.repeated(arguments.only)], arguments)
        except ValueError as error:
            p.error(str(error))
    chosen = arguments.layers or arguments.directions or arguments.lengths or arguments.method != "complex"
    if not (arguments.bug or arguments.cell or chosen):
        models = arguments.model or list(MODELS)
        found = survey.survey(models, arguments.seed, seconds=arguments.seconds, parts=not arguments.model)
        return _report_survey(found, arguments)
    return _check_grid(p, arguments, chosen)


def _check_grid(p: arguments.Parser, arguments: argparse.Namespace, chosen: Any) -> int:
    """Check layers element by element: options that are given, planted bugs, a cell of the user's own."""
    acts = planted_bugs.BUGS[arguments.bug].acts if arguments.bug else lambda case: True
    checks: list[tuple[str, Callable, Any]] = [
        (text, _check_case, case) for text, case in _cases(arguments) if acts(case)
    ]
    if not checks:
        p.error(
            f"{arguments.bug} has no effect in any of these configurations; "
            "leave out --model, --layers, --directions and --lengths"
        )
    if arguments.cell and not arguments.bug and not own_cell.is_layer(arguments.cell.found):
        checks.insert(0, (f"{arguments.cell.name} alone", _check_cell, arguments.cell.found))
    own_layer = arguments.cell and own_cell.is_layer(arguments.cell.found)  # which may take other options
    if arguments.cell and not (arguments.bug or chosen or own_layer):
        checks += _further_checks(arguments.cell.name, arguments.seed)
    width = max(len(text) for text, _, _ in checks)
    results: list[Result] = []
    for text, run, subject in checks:
        result = run(subject, arguments)
        results.append(result)
        if not arguments.json and not (arguments.quiet and result.right):
            _report(f"{text:{width}}", result, arguments.verbose)
        if arguments.first and not result.right:
            break
    if arguments.json:
        told = [_as_dict(text, result) for (text, _, _), result in zip(checks, results)]
        print(json.dumps({"verdict": worst_verdict(results), "allowed": THRESHOLD[arguments.method], "checks": told}))
    if not arguments.json and not arguments.quiet:
        _summary(results, arguments.method)
    return status.OF_VERDICT[worst_verdict(results)]


def _report_survey(outcomes: Iterable[survey.Outcome], arguments: argparse.Namespace) -> int:
    """Print a line a model, and what is known about each failure. Returns the exit status."""
    counts: dict[str, list[int]] = {}
    failed, told = [], []
    for outcome in outcomes:
        of_name = counts.setdefault(outcome.name, [0, 0])
        of_name[0] += 1
        if outcome.findings:
            of_name[1] += 1
            failed.append(outcome)
            if arguments.first:
                break
    verdict = "wrong" if failed else "right"
    explained = [(outcome.name, failures.failure_of(outcome)) for outcome in survey.distinct(failed)]
    for name, (checked, wrong) in counts.items():
        lines = [line for other, found in explained if other == name for line in found]
        told.append({"name": name, "verdict": "wrong" if wrong else "right", "checked": checked, "wrong": wrong})
        told[-1].update(findings=lines, error=max((o.error for o in failed if o.name == name), default=0.0))
        if not np.isfinite(told[-1]["error"]):
            told[-1]["error"] = None
        if not arguments.json and (wrong or not arguments.quiet):
            checks = f"{checked} configuration{'s' * (checked > 1)}"
            words = f"WRONG  {wrong} of {checks}" if wrong else f"ok     {checks}"
            print("\n    ".join([f"{name:{max(map(len, counts))}}  {words}", *lines]), flush=True)
    if arguments.json:
        print(json.dumps({"verdict": verdict, "allowed": survey.ALLOWED, "checks": told}))
    elif not arguments.quiet:
        checked = sum(n for n, _ in counts.values())
        print(f"{checked} configurations, {len(failed)} wrong; seed {arguments.seed}, {survey.ALLOWED:.0e} allowed")
    return status.OF_VERDICT[verdict]


def _summary(results: list[Result], method: str) -> None:
    worst = max((result.worst for result in results), key=lambda found: found.error)
    counts = {verdict: sum(result.verdict == verdict for result in results) for verdict in status.OF_VERDICT}
    unchecked = f", {counts['unchecked']} unchecked" if counts["unchecked"] else ""
    print(
        f"{len(results)} configurations, {counts['wrong']} wrong{unchecked}; worst error {worst.error:.1e} in "
        f"{worst.name}, {THRESHOLD[method]:.0e} allowed"
    )
