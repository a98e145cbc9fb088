"""Tables and pictures of text that the commands print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..explain.gradient_flow import OPEN, SHUT, Flow
from ..forecast.bases import MANY
from ..tasks.sequences import FREQUENT

FALLING = 0.01  # of the loss in the last tenth of the epochs, for it to be still falling

Reports = Mapping[str, Sequence[Mapping[str, Any]]]  # model -> the reports of its runs
Flows = Mapping[str, Mapping[str, Flow]]  # panel -> model -> its flow

METRICS = {  # the first of a task's scores is the one that decides
    "rmse": ("RMSE", ".1f"), "mase": ("MASE", ".3f"), "mae": ("MAE", ".1f"), "r2": ("R²", ".3f"),
    "accuracy": ("accuracy", ".1%"), "mse": ("MSE", ".5f"), "nats": ("nats", ".3f"), "bits": ("bits", ".3f"),
}  # fmt: skip
ONE_FORECAST = (
    "base alone: the network adds nothing there, so that such rows are one forecast and say nothing of networks"
)
MARKS = "█▇▆▅▄▃▂▁ "  # of the text picture, a factor of ten each


RISEN = 2.0  # times the validation loss of the base, from which on a smaller learning rate is proposed
FURTHEST = 9.99  # skill
STEPS_SHOWN = (1, 2, 3, 6, 12, 24, 48, 96, 168, 336)  # of a forecast fed back


def comparison(
    name: str,
    results: Mapping[str, Any],
    baselines: Mapping[str, Mapping[str, Any]],
    part: str = "the test part",
    target: str | None = None,
) -> str:
    """Return the table of the model and the baselines on a part of the data, the best last, with the ``target`` above.

    Several targets have a table each; more than ``MANY`` have a summary.

    The skill is 1 − RMSE / the best baseline's.
    """
    if "targets" not in results:
        return _comparison(f"{target}, on {part}" if target else f"on {part}", name, results, baselines)
    parts = {
        column: (found, {label: scores["targets"][column] for label, scores in baselines.items()})
        for column, found in results["targets"].items()
    }
    if len(parts) > MANY:
        return "\n".join(summary(f"{len(parts)} targets, on {part}", name, parts))
    return "\n\n".join(_comparison(f"{column}, on {part}", name, *found) for column, found in parts.items())


def summary(
    title: str, name: str, parts: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Mapping[str, Any]]]]
) -> list[str]:
    """Return the table of many targets, best last: each RMSE as a multiple of the best baseline's, and for how many
    targets it is the smallest.

    Args:
        parts: target -> the model's scores, and those of each baseline.
    """
    best = {column: min(r["rmse"] for r in others.values()) for column, (_, others) in parts.items()}
    labels = [*next(iter(parts.values()))[1], name]
    found = {
        label: np.array([{**others, name: own}[label]["rmse"] / (best[column] or 1.0)
                         for column, (own, others) in parts.items()])
        for label in labels
    }  # fmt: skip
    least = np.min(list(found.values()), axis=0)
    width = max(map(len, [title, *labels]))
    lines = [f"{title:{width}}  RMSE / best baseline's: median   least for"]
    for label in sorted(labels, key=lambda label: -float(np.median(found[label]))):
        ratio, count = np.median(found[label]), int((found[label] == least).sum())
        lines.append(f"{label:{width}}{ratio:32.3f}{count:12}{'  <' * (label == name)}")
    skills = dict(zip(parts, 1 - found[name]))
    low, high = min(skills, key=lambda one: skills[one]), max(skills, key=lambda one: skills[one])
    return [
        *lines,
        "",
        f"{name} is better than every baseline for {int((found[name] < 1).sum())} of {len(parts)} targets: skill from "
        f"{cut(skills[low]):.1%} ({low}) to {cut(skills[high]):.1%} ({high})",
    ]


def _comparison(title, name, results, baselines):
    columns = {key: (title, "10" + form) for key, (title, form) in METRICS.items() if key in results}
    if "rmse" in columns:
        form = "11" + figures([r["rmse"] for r in (results, *baselines.values())])
        columns = {key: (title, form) if key != "r2" else (title, own) for key, (title, own) in columns.items()}
    first = next(iter(columns))
    better = 1 if first == "accuracy" else -1
    rows = sorted([*baselines.items(), (name, results)], key=lambda row: better * row[1][first])
    best = min((r["rmse"] for r in baselines.values()), default=0) if first == "rmse" else 0
    width = max(len(title), *(len(row) for row, _ in rows))
    titles = "".join(f"{title:>{form.split('.')[0]}}" for title, form in columns.values())
    lines = [f"{title:{width}}" + titles + (f"{'skill':>9}" if best else "")]
    for row, r in rows:
        line = f"{row:{width}}" + "".join(
            f"{float('nan') if r[key] is None else r[key]:{form}}" for key, (_, form) in columns.items()
        )
        line += f"{cut(1 - r['rmse'] / best):9.1%}" if best else ""
        lines.append(line + ("  <" if row == name else ""))
    return "\n".join(lines)


def cut(skill: float) -> float:
    """Return a skill no further from 0 than ``FURTHEST``: beyond, the figure says nothing; no −0.0 %."""
    return round(min(max(skill, -FURTHEST), FURTHEST), 3) + 0.0


def figures(values: Sequence[float]) -> str:
    """Return the format of the values: so many decimals that the smallest has four significant digits, at least one."""
    least = min((value for value in values if value > 0), default=1.0)
    if not 10 <= max(values) < 1e7 or least < 0.001:
        return ".4g"
    return f".{max(1, 3 - int(np.floor(np.log10(least))))}f"


def scores_table(title: str, name: str, found: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    """Return the table of a part of ``evaluation.score``: model and baselines under their ``labels``, best last."""
    others = {labels[key]: scores for key, scores in found["baselines"].items()}
    return _comparison(title, name, found["model"], others)


def by_step_table(name: str, by_step: Sequence[Mapping[str, Any]], labels: Mapping[str, str]) -> list[str]:
    """Return a line for each baseline and the model: the RMSE at some steps, the best of each step marked."""
    steps = [row for row in by_step if row["step"] in STEPS_SHOWN or row is by_step[-1]]
    rows = {label: [row["baselines"][key]["rmse"] for row in steps] for key, label in labels.items()}
    rows[name] = [row["model"]["rmse"] for row in steps]
    width = max(map(len, rows))
    best = [min(values) for values in zip(*rows.values())]
    lines = [f"{'RMSE at step':{width}}" + "".join(f"{row['step']:>10}" for row in steps)]
    for label, values in rows.items():
        cells = [f"{value:.4g}{'*' if value == least else ' '}" for value, least in zip(values, best)]
        lines.append(f"{label:{width}}" + "".join(f"{cell:>10}" for cell in cells))
    return lines


def part_name(part: str, name: str) -> str:
    """Return how the part of the data set ``name`` is called."""
    return "the test part" if part == "test" else f"all of {name}"


def confusion_table(results: Mapping[str, Any], classes: Sequence[str]) -> str:
    """One line for each true class: its recall, and how often each class was the answer."""
    width = max(9, *(len(name) for name in classes))
    lines = ["", f"{'class':{width}}  recall  answers " + " ".join(f"{name:>4.4}" for name in classes)]
    for name, recall, counts in zip(classes, results["recall"], results["confusion"]):
        lines.append(
            f"{name:{width}}  {'     –' if recall is None else f'{recall:6.1%}'}          "
            + " ".join(f"{count:4d}" for count in counts)
        )
    return "\n".join(lines)


def remarks(
    name: str, results: Mapping[str, Any], baselines: Mapping[str, Mapping[str, Any]], losses: Sequence[float]
) -> list[str]:
    """Return what the scores of a classification mean: a baseline that is as good, chance, a loss that still falls.

    Args:
        losses: the validation loss of each epoch.
    """
    found, n, lines = results["accuracy"], int(np.sum(results["confusion"])), []
    best = max(baselines, key=lambda label: float(baselines[label]["accuracy"]))
    chance = baselines[FREQUENT]["accuracy"]
    if baselines[best]["accuracy"] >= found:
        lines.append(f"{best} is as good as {name} or better: {baselines[best]['accuracy']:.1%} against {found:.1%}")
    if found <= chance + 1.645 * np.sqrt(chance * (1 - chance) / n):  # 95 % of the draws of chance
        lines.append(f"the accuracy is at chance: the most frequent class alone has {chance:.1%} of {n:,}")
    before = losses[: -max(1, len(losses) // 10)]
    if before and min(losses) == losses[-1] < (1 - FALLING) * min(before):
        lines.append("the validation loss was still falling: more updates (--epochs) may help")
    return ["", *lines] if lines else []


def level_of(reports: Reports) -> float:
    """Return the largest of all runs' smallest validation losses: a level that every run reaches."""
    return max(min(losses_of(report)) for runs in reports.values() for report in runs)


def comparison_of_models(reports: Reports) -> str:
    """Return a Markdown table, best first: a line for each model (mean, smallest and largest run) and each baseline.

    The last column is the number of epochs until the validation loss was as small as ``level_of``.

    Args:
        reports: the reports of each model's runs.
    """
    first, level = next(iter(reports.values()))[0], level_of(reports)
    metric = next(name for name in METRICS if name in first["test"])
    title, form = METRICS[metric]
    if metric == "rmse":
        form = figures([r["rmse"] for r in [first["test"], *first["baselines"].values()]])
    labels = first.get("labels", {})
    rows = [
        (result[metric], [labels.get(name, name), "", f"{result[metric]:{form}}", "", ""])
        for name, result in first["baselines"].items()
    ]
    for name, runs in reports.items():
        scores = [report["test"][metric] for report in runs]
        reached = [next(k for k, loss in enumerate(losses_of(report), 1) if loss <= level) for report in runs]
        spread = f" ({min(scores):{form}} – {max(scores):{form}})" if len(runs) > 1 else ""
        seconds = np.median([report["seconds"] for report in runs])
        alone = sum(report.get("base_alone", False) for report in runs)
        some = f" (base alone{f' in {alone} of {len(runs)}' * (alone < len(runs))})" * bool(alone)
        size, mean = f"{runs[0]['parameters']:,}", f"{np.mean(scores):{form}}{spread}"
        rows.append((np.mean(scores), [f"**{name}**{some}", size, mean, f"{seconds:.1f}", f"{np.mean(reached):.1f}"]))
    rows.sort(key=lambda row: row[0], reverse=metric == "accuracy")
    title += " a symbol" * (metric == "nats")
    header = ["", "parameters", f"test {title}", "seconds", f"epochs to a validation loss of {level:.4g}"]
    lines = [header, ["---"] * len(header), *(cells for _, cells in rows)]
    alone = any(report.get("base_alone") for runs in reports.values() for report in runs)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + f"\n\n{ONE_FORECAST}" * alone


def loss_text(value: float) -> str:
    """Return a loss as the lines of the epochs show it."""
    return f"{value:.5f}" if value < 1000 else f"{value:.4g}"


def made_worse(start: float, last: float, lr: float) -> list[str]:
    """Return a line if the validation loss of the last epoch is far above that of the base before it."""
    told = f"training made the forecast worse: validation {start:.4g} before it, {last:.4g} at its end"
    return [f"{told}; try a smaller --lr (now {lr:g})"] * (last > RISEN * start)


def losses_of(report: Mapping[str, Any]) -> list[float]:
    """Return the validation loss of each epoch."""
    return [row["validation_loss"] for row in report["history"]]


def flow_picture(flows: Flows, width: int = 60) -> list[str]:
    """Return lines: for each panel, model and state a row of marks, the distance growing to the right."""
    lines = [
        f"‖∂L/∂h‖ by the distance from the loss, relative to the last step: {MARKS[0]} is 1, each lower mark a",
        "tenth, blank below 1e-8, ▲ above 10; the number is that of the first step",
    ]
    for panel, models in flows.items():
        lines += ["", panel]
        for name, flow in models.items():
            for letter, norms in flow.norms.items():
                relative = norms / (flow.norms["h"][0] or 1.0)
                shown = relative[np.linspace(0, len(norms) - 1, min(width, len(norms))).astype(int)]
                tenths = np.clip(-np.log10(np.maximum(shown, 1e-9)), 0, len(MARKS) - 1).round().astype(int)
                marks = "".join("▲" if value > 10 else MARKS[k] for value, k in zip(shown, tenths))
                lines.append(f"  {name + ' ∂' + letter:18} {marks} {relative[-1]:.1e}")
    return lines


def saturation_table(flows: Flows) -> list[str]:
    """Return lines: for each panel, model and gate the fractions of its values near 0 and near 1."""
    lines = [f"saturated gates: share of the values below {SHUT} and above {OPEN}"]
    for panel, models in flows.items():
        for name, flow in models.items():
            shares = ["{} {:4.0%} {:4.0%}".format(gate, *share.mean(axis=0)) for gate, share in flow.gates.items()]
            if shares:
                lines.append("   ".join([f"  {name:15}", *shares, panel]))
    return lines
