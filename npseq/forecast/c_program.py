"""``main.c`` of a forecaster: a program that reads the rows of a table and prints what ``npseq predict`` writes.

It works beside a header of ``formats.c`` with scaler, and computes what ``windows.WindowDataset`` puts into a model's
inputs: the values, the errors and forecasts of the base, the calendar, the lagged values. It keeps the inputs of one
window and runs the model over them after each row.
"""

from __future__ import annotations

from string import Template

import numpy as np

from ..formats.c import constant
from ..formats.messages import ArgumentError, argument
from .base_model import PERSISTENCE, BaseModel, shown
from .bases import BaseModels
from .recipe import ForecastRecipe

PROGRAM = Template("""\
/* cc -std=c99 -O2 main.c -o main$libraries
   ./main < table.csv

   Reads rows of a table, equally spaced in time, and prints a forecast after each:
   $columns
   A header with their names says where they are; others are passed over. Without one they are in this order. A row
   starts with $first. An empty field is a missing value. Written by npseq. */
$include#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "$file"

#define COLUMNS $count /* numbers of a row: targets first */
#define TARGETS $targets
#define HORIZON $horizon
#define OLDEST $oldest /* rows whose targets are kept */
$define
static double past[OLDEST][TARGETS], x[${NAME}_WINDOW][${NAME}_INPUTS], y[${NAME}_OUTPUTS];
static ${name}_state state;
static double values[COLUMNS];
static int known[COLUMNS], missing[COLUMNS];
static const char *const names[COLUMNS] = {$names};
static int place[COLUMNS]; /* of the columns in a line */

/* Field k of a line, without quotes, and its length; -1 if there are not so many. */
static const char *field(const char *line, int k, int *length)
{
    int i, quoted = 0;
    for (; k > 0 && *line; line++) {
        quoted ^= *line == '"';
        k -= *line == ',' && !quoted;
    }
    for (i = 0; line[i] && line[i] != '\\n' && line[i] != '\\r' && (line[i] != ',' || quoted); i++)
        quoted ^= line[i] == '"';
    *length = k > 0 ? -1 : i;
    if (i > 1 && line[0] == '"' && line[i - 1] == '"') {
        *length -= 2;
        line++;
    }
    return line;
}

/* Find the columns in the first line: 1 for a header, 0 for none, -1 with a message for one that lacks a column. */
static int read_header(const char *line)
{
    int i, k, length, found = 0, missing = 0;
    for (k = 0; k < COLUMNS; k++) {
        place[k] = -1;
        for (i = 0; place[k] < 0; i++) {
            const char *name = field(line, i, &length);
            if (length < 0)
                break;
            if ((size_t)length == strlen(names[k]) && !memcmp(name, names[k], (size_t)length))
                place[k] = i;
        }
        found += place[k] >= 0;
        missing = place[k] < 0 ? k : missing;
    }
    if (found && found < COLUMNS)
        fprintf(stderr, "the header has no column %s\\n", names[missing]);
    return found == COLUMNS ? 1 : found ? -1 : 0;
}

/* The fields that the model reads, in its order, the first one that is a date before them if there is a time. */
static const char *arranged(const char *line)
{
    static char row[65536 + COLUMNS + 1];
    int i, k, length, year, month, day;
    size_t at = 0;
    for (i = 0; $timed; i++) {
        const char *text = field(line, i, &length);
        if (length < 0)
            return "";
        if (sscanf(text, "%4d-%2d-%2d", &year, &month, &day) == 3) {
            memcpy(row, text, (size_t)length);
            at = (size_t)length;
            row[at++] = ',';
            break;
        }
    }
    for (k = 0; k < COLUMNS; k++) {
        const char *text = field(line, place[k], &length);
        if (length < 0 || at + (size_t)length + 2 > sizeof row)
            return "?";
        memcpy(row + at, text, (size_t)length);
        at += (size_t)length;
        row[at++] = ',';
    }
    row[at - 1] = 0;
    return row;
}
$parts
/* One line; 1 for a row, else 0. */
static int read_row(const char *line$time_argument)
{
    int k, all = 1;
$read_time    for (k = 0; k < COLUMNS; k++) {
        char *end;
        const double value = strtod(line, &end);
        missing[k] = end == line;
        if (missing[k] && *line != ',' && *line != '\\0' && *line != '\\n' && *line != '\\r')
            return 0;
        if (!missing[k])
            values[k] = value;
        known[k] |= !missing[k];
        all &= known[k];
        line = end;
        if (*line == ',')
            line++;
    }
    return all && (*line == '\\0' || *line == '\\n' || *line == '\\r');
}

int main(void)
{
    static char line[65536];
$declare    static const int lags[] = {$lags};
    long seen = 0, complete = 0, lines = 0;
    int i, k, header = 0;
    while (fgets(line, sizeof line, stdin)) {
        double *input;
        int at = 0;
        if (lines++ == 0 && (header = read_header(line)) < 0)
            return 2;
        if (!read_row(header ? arranged(line) : line$time_value))
            continue;
$before        for (k = 0; k < TARGETS; k++)
            past[seen % OLDEST][k] = values[k];
        seen++;
$after        if (seen < $needed)
            continue;
        input = x[complete % ${NAME}_WINDOW];
        for (k = 0; k < COLUMNS; k++)
            input[at++] = values[k];
$inputs        for (i = 0; lags[i]; i++)
            for (k = 0; k < HORIZON * TARGETS; k++) /* of the rows seen + 0, seen + 1, … less the lag */
                input[at++] = past[(seen + k / TARGETS - lags[i]) % OLDEST][k % TARGETS];
        complete++;
        if (complete < ${NAME}_WINDOW)
            continue;
        ${name}_reset(&state); /* as in the training: each window starts from the initial state */
        for (i = 0; i < ${NAME}_WINDOW; i++)
            ${name}_step(&state, x[(complete + i) % ${NAME}_WINDOW], y);
        for (k = 0; k < ${NAME}_OUTPUTS; k++)
            printf(k ? ",%.9g" : "%.9g", y[k]);
        printf("\\n");
        fflush(stdout);
    }
    if (lines && !seen)
        fprintf(stderr, "no line is a row of %d numbers\\n", COLUMNS);
    return lines && !seen ? 2 : 0;
}
""")

SECONDS = """
/* Seconds since a Monday, 00:00. Years are counted from March, so that the leap day is the last of its year. */
static long long seconds_of(int year, int month, int day, int hour, int minute, int second)
{
    const long long y = month > 2 ? year : year - 1, m = month > 2 ? month - 3 : month + 9;
    const long long days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1;
    return ((days - 719472) * 24 + hour) * 3600 + 60 * minute + second; /* 719472: Monday, 1970-01-05 */
}
"""

CALENDAR = Template("""
/* $waves as sine and cosine, and 1 on Saturdays and Sundays. */
static int calendar(long long time, double *input)
{
    const double turn = 6.283185307179586;
    const int day = (int)(time / 86400 % 7);
    const double of_day = turn * (double)(time % 86400) / 86400.0, of_week = turn * day / 7.0;
    int at = 0;
    input[at++] = sin(of_day);
    input[at++] = cos(of_day);
    input[at++] = sin(of_week);
    input[at++] = cos(of_week);
$half    input[at++] = day >= 5;
    return at;
}
""")

HALF = """\
    input[at++] = sin(2.0 * of_day);
    input[at++] = cos(2.0 * of_day);
"""

BASE = Template("""
/* The base forecast, which the network corrects: linear in the last values, and fed back. */
$constants
static double ahead[HORIZON][TARGETS], errors[$kept][TARGETS];

/* ahead = the base's forecasts of the rows seen, seen + 1, …; time is that of the row seen. */
static void forecast(long seen, long long time)
{
    int i, j, k;
    for (k = 0; k < TARGETS; k++)
        for (i = 0; i < HORIZON; i++) {
            double sum = intercepts[k][(time + i * (long long)STEP) / slot_seconds[k] % slots[k]];
            for (j = 1; j <= order[k]; j++)
                sum += weights[k][j - 1] * (j <= i ? ahead[i - j][k] : past[(seen + i - j) % OLDEST][k]);
            ahead[i][k] = sum;
        }
}
""")

BEFORE = Template("""\
        for (k = 0; k < TARGETS && seen >= $order; k++) { /* ahead[0] is the base's forecast of this row */
            if (missing[k])
                values[k] = ahead[0][k];
            errors[seen % $kept][k] = values[k] - ahead[0][k];
        }
""")

BY_SEASON = Template("""\
        for (k = 0; k < TARGETS && seen > $season; k++) /* the season before, and most of the last deviation from it */
            if (missing[k])
                values[k] = past[(seen - $season) % OLDEST][k] + $persistence
                    * (past[(seen - 1) % OLDEST][k] - past[(seen - $season - 1) % OLDEST][k]);
""")

INPUTS = Template("""\
        for (i = 0; error_lags[i]; i++)
            for (k = 0; k < TARGETS; k++)
                input[at++] = errors[(seen - error_lags[i]) % $kept][k];
        for (k = 0; k < HORIZON * TARGETS; k++)
            input[at++] = ahead[k / TARGETS][k % TARGETS];
""")

READ_TIME = """\
    int year, month, day, hour = 0, minute = 0, second = 0, length;
    if (sscanf(line, "%d-%d-%d%n", &year, &month, &day, &length) < 3)
        return 0;
    line += length;
    if (*line == ' ' || *line == 'T')
        sscanf(line + 1, "%d:%d:%d", &hour, &minute, &second);
    *time = seconds_of(year, month, day, hour, minute, second);
    while (*line && *line != ',')
        line++;
    if (*line == ',')
        line++;
"""


def text(name: str, file: str, recipe: ForecastRecipe) -> str:
    """Return the program.

    Args:
        name, file: of the header.
        recipe: of the training.

    Raises:
        ValueError: for a recipe of values known ahead, of irregular times that the model needs, or of a base that is
            no single linear forecast.
    """
    lags, base, columns = tuple(dict.fromkeys(recipe.lags)), recipe.base, [*recipe.target, *recipe.inputs]
    parts_of_base = [] if base is None else _single(base)
    timed = recipe.calendar or base is not None and base.needs_times
    if recipe.future:
        raise ArgumentError(
            f"the example cannot know {', '.join(recipe.future)} ahead: leave out {argument('example')}"
        )
    if timed and (recipe.step is None or any(part.slots.kind == "month" for part in parts_of_base)):
        raise ValueError("the rows are not equally spaced in seconds, so the example cannot know the next time")
    order, reach = (0, 0) if base is None else (base.order, base.reach)
    season = max(lags, default=1) if base is None else 1
    before = "" if base is None else BEFORE.substitute(order=order, kept=reach - order + 1)
    if season > 1:
        before = BY_SEASON.substitute(season=season, persistence=PERSISTENCE)
    values = {"order": order, "kept": reach - order + 1, "step": recipe.step or 1}
    parts, inputs = "", ""
    if timed:
        parts += SECONDS
    if recipe.calendar:
        waves = "Hour of day" + (", day of week and half a day" if base else " and day of week")
        parts += CALENDAR.substitute(half=HALF if base else "", waves=waves)
    if base is not None:
        parts += BASE.substitute(values, constants=_constants(base, recipe))
        inputs += INPUTS.substitute(values)
    if recipe.calendar:
        inputs += "        at += calendar(time + STEP, input + at);\n"
    declare = "    long long time = 0;\n" if timed or base is not None else ""
    if base is not None:
        declare += f"    static const int error_lags[] = {{{_listed([1, *base.lags, 0])}}};\n"
    return PROGRAM.substitute(
        name=name,
        NAME=name.upper(),
        file=file,
        libraries=" -lm" if recipe.calendar else "",
        include="#include <math.h>\n" if recipe.calendar else "",
        columns=", ".join(map(_in_comment, (["time"] if timed else []) + columns)),
        first="a time such as 2024-03-31 14:00" if timed else "a number",
        names=", ".join(map(_in_quotes, columns)),
        timed=int(timed),
        count=len(columns),
        targets=len(recipe.target),
        horizon=recipe.horizon,
        oldest=max(max(lags, default=1) + (season > 1), order),
        needed=max(max(lags, default=1), reach + 1),
        define=f"#define STEP {values['step']} /* seconds between rows */\n" if timed or base is not None else "",
        lags=_listed([*lags, 0]),
        parts=parts,
        declare=declare,
        time_argument=", long long *time" if timed else "",
        time_value=", &time" if timed else "",
        read_time=READ_TIME if timed else "",
        before=before,
        after=f"        if (seen >= {order})\n            forecast(seen, time + STEP);\n" if base is not None else "",
        inputs=inputs,
    )


def _single(bases: BaseModels) -> list[BaseModel]:
    """The base of each target, if each is one linear forecast of the values themselves. Raises ValueError if not."""
    found = []
    for part in bases.parts:
        if not isinstance(part, BaseModel) or part.waves or part.log:
            raise ValueError(
                f"the program computes one linear base for each target, without logarithm and waves; this model's is "
                f"{', '.join(shown(part))}"
            )
        found.append(part)
    return found


def _constants(bases: BaseModels, recipe: ForecastRecipe) -> str:
    """The definitions of the bases of all targets, in data units."""
    parts = _single(bases)
    weights = np.zeros((len(parts), max(bases.order, 1)))
    intercepts = np.zeros((len(parts), max(part.slots.count for part in parts)))
    for k, part in enumerate(parts):
        weights[k, : part.order] = part.weights
        intercepts[k, : part.slots.count] = _in_units(part, recipe.scaler.mean[k], recipe.scaler.scale[k])
    return "\n".join(
        [
            constant("int", "order", np.array([part.order for part in parts])),
            constant("double", "weights", weights),
            constant("int", "slots", np.array([part.slots.count for part in parts])),
            constant("int", "slot_seconds", np.array([part.slots.seconds for part in parts])),
            constant("double", "intercepts", intercepts),
        ]
    )


def _in_units(part: BaseModel, mean: float, scale: float) -> np.ndarray:
    """The intercepts (slots,) for values in data units: s b + m (1 − Σ φ)."""
    intercepts: np.ndarray = scale * part.intercepts + mean * (1 - part.weights.sum())
    return intercepts


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))


def _in_quotes(name: str) -> str:
    """Return a name as a string of C, its quotes doubled as in a table."""
    plain = set(range(32, 127)) - set(b'"?' + bytes([92]))
    return (
        '"'
        + "".join(chr(byte) if byte in plain else f"\\{byte:03o}" for byte in name.replace('"', '""').encode())
        + '"'
    )


def _in_comment(name: str) -> str:
    """A column's name that cannot end a comment of C, or continue a line."""
    return "".join(letter if letter.isalnum() or letter in " _-." else "?" for letter in name)
