"""``main.c`` beside an exported header: a program that reads CSV and prints what the model answers.

For a forecaster of ``npseq train`` with its scaler in the header, the program reads the rows of the table, and computes
the calendar and the lagged values as ``tasks.windows.Windows`` does. For any other model it reads the model's inputs.
"""

from __future__ import annotations

import os
from string import Template
from typing import Any

from . import schema

MARK = "Written by npseq"
RECIPE = {  # what the program needs of a recipe, which may come from anywhere
    "target": schema.listed(schema.TEXT),
    "inputs": schema.listed(schema.TEXT),
    "window": schema.COUNT,
    "horizon": schema.COUNT,
    "lags": schema.listed(schema.COUNT),
    "step": schema.optional(schema.COUNT),
    "calendar": schema.BOOLEAN,
}

MAIN = Template("""\
/* cc -std=c99 -O2 main.c -o main
   ./main < rows.csv

   Reads rows of ${NAME}_INPUTS numbers, separated by commas, and prints ${NAME}_OUTPUTS for each. Written by npseq. */
#include <stdio.h>
#include <stdlib.h>

#include "$file"

/* One line to x; 1 for a row of numbers, 0 for any other line. */
static int read_row(char *line, $number *x)
{
    int i;
    char *end;
    for (i = 0; i < ${NAME}_INPUTS; i++) {
        x[i] = ($number)strtod(line, &end);
        if (end == line)
            return 0;
        while (*end == ' ' || *end == ',' || *end == ';' || *end == '\\t')
            end++;
        line = end;
    }
    return *line == '\\0' || *line == '\\n' || *line == '\\r';
}

int main(void)
{
    static char line[65536];
    static ${name}_state state;
$declarations
    long number = 0;
    int i;

    ${name}_reset(&state);
    while (fgets(line, sizeof line, stdin)) {
        number++;
        if (!read_row(line, $x)) {
            if (number > 1) /* the first line may be a header */
                fprintf(stderr, "line %ld: %d numbers expected\\n", number, ${NAME}_INPUTS);
            continue;
        }
$advance
        for (i = 0; i < ${NAME}_OUTPUTS; i++)
            printf(i ? ",%.9g" : "%.9g", (double)y[i]);
        printf("\\n");
        fflush(stdout);
    }
    return 0;
}
""")

ADVANCE = "        {name}_step(&state, x, y);"
ADVANCE_WINDOW = """\
        rows++;
        if (rows < {NAME}_WINDOW)
            continue;
        {name}_reset(&state); /* as in the training: each window starts from the initial state */
        for (i = 0; i < {NAME}_WINDOW; i++)
            {name}_step(&state, x[(rows + i) % {NAME}_WINDOW], y);"""


FORECAST = Template("""\
/* cc -std=c99 -O2 main.c -o main$libraries
   ./main < table.csv

   Reads rows of a table, equally spaced in time, and prints a forecast after each:
   $columns
   A line that does not start with $first is passed over; an empty field repeats the value before. Written by npseq. */
$include#include <stdio.h>
#include <stdlib.h>

#include "$file"

#define COLUMNS $count /* numbers of a row: targets first */
#define TARGETS $targets
#define HORIZON $horizon
#define OLDEST $oldest /* rows that the lagged values reach back */

static double past[OLDEST][TARGETS], x[${NAME}_WINDOW][${NAME}_INPUTS], y[${NAME}_OUTPUTS];
static ${name}_state state;
static double values[COLUMNS];
$calendar
/* One line; 1 for a row, else 0. */
static int read_row(const char *line$time_argument)
{
    int k;
$read_time    for (k = 0; k < COLUMNS; k++) {
        char *end;
        const double value = strtod(line, &end);
        if (end != line)
            values[k] = value;
        else if (*line != ',' && *line != '\\n' && *line != '\\r')
            return 0;
        line = end;
        if (*line == ',')
            line++;
    }
    return *line == '\\0' || *line == '\\n' || *line == '\\r';
}

int main(void)
{
    static char line[65536];
    static const int lags[] = {$lags};
    long seen = 0, complete = 0;
    int i, k;
$declare_time
    while (fgets(line, sizeof line, stdin)) {
        double *input;
        int at = 0;
        if (!read_row(line$time_value))
            continue;
        for (k = 0; k < TARGETS; k++)
            past[seen % OLDEST][k] = values[k];
        seen++;
        if (seen < OLDEST)
            continue;
        input = x[complete % ${NAME}_WINDOW];
        for (k = 0; k < COLUMNS; k++)
            input[at++] = values[k];
$add_calendar        for (i = 0; lags[i]; i++)
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
    return 0;
}
""")

CALENDAR = Template("""
#define STEP $step /* seconds between rows */

/* Seconds since a Monday, 00:00. Years are counted from March, so that the leap day is the last of its year. */
static long long seconds_of(int year, int month, int day, int hour, int minute, int second)
{
    const long long y = month > 2 ? year : year - 1, m = month > 2 ? month - 3 : month + 9;
    const long long days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1;
    return ((days - 719472) * 24 + hour) * 3600 + 60 * minute + second; /* 719472: Monday, 1970-01-05 */
}

/* Hour of day and day of week as sine and cosine, and 1 on Saturdays and Sundays. */
static int calendar(long long time, double *input)
{
    const double turn = 6.283185307179586;
    const int day = (int)(time / 86400 % 7);
    const double of_day = turn * (double)(time % 86400) / 86400.0, of_week = turn * day / 7.0;
    input[0] = sin(of_day);
    input[1] = cos(of_day);
    input[2] = sin(of_week);
    input[3] = cos(of_week);
    input[4] = day >= 5;
    return 5;
}
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


def check(path: str) -> None:
    """Raise ValueError if there is a file that npseq has not written."""
    if not os.path.exists(path):
        return
    with open(path, encoding="utf-8", errors="replace") as file:
        if MARK not in file.read(2000):
            raise ValueError(f"{path} is there, and npseq has not written it: move it, or leave out the example")


def text(name: str, file: str, number: str, window: int | None) -> str:
    """Return the program that reads the model's inputs.

    Args:
        name, file: of the header. number: the C type of x and y.
        window: rows from which a model gives its answer; None for a state that is carried on from row to row.
    """
    NAME = name.upper()
    rows = f"[{NAME}_WINDOW]" if window else ""
    declared = f"    static {number} x{rows}[{NAME}_INPUTS], y[{NAME}_OUTPUTS];"
    return MAIN.substitute(
        name=name,
        NAME=NAME,
        file=file,
        number=number,
        declarations=declared + ("\n    long rows = 0;" if window else ""),
        x=f"x[rows % {NAME}_WINDOW]" if window else "x",
        advance=(ADVANCE_WINDOW if window else ADVANCE).format(name=name, NAME=NAME),
    )


def forecast_text(name: str, file: str, recipe: Any) -> str:
    """Return the program that reads the rows of a table, for a header with scaler.

    Args:
        name, file: of the header. recipe: of the training, as a weights file keeps it.

    Raises:
        ValueError: for a recipe that is none, or one of irregular times with a calendar.
    """
    values = schema.check(recipe, RECIPE, "its recipe", others=True)
    lags, calendar = list(dict.fromkeys(values["lags"])), values["calendar"]
    if calendar and values["step"] is None:
        raise ValueError(
            "the times of the training were irregular, so the example cannot know the time of the next row"
        )
    columns = [*values["target"], *values["inputs"]]
    first = "a time such as 2024-03-31 14:00" if calendar else "a number"
    shown = [_in_comment(name) for name in (["time"] if calendar else []) + columns]
    return FORECAST.substitute(
        name=name,
        NAME=name.upper(),
        file=file,
        libraries=" -lm" if calendar else "",
        include="#include <math.h>\n" if calendar else "",
        columns=", ".join(shown),
        first=first,
        count=len(columns),
        targets=len(values["target"]),
        horizon=values["horizon"],
        oldest=max(lags, default=1),
        lags=", ".join(map(str, [*lags, 0])),
        calendar=CALENDAR.substitute(step=values["step"]) if calendar else "",
        time_argument=", long long *time" if calendar else "",
        time_value=", &time" if calendar else "",
        declare_time="    long long time = 0;\n" if calendar else "",
        read_time=READ_TIME if calendar else "",
        add_calendar="        at += calendar(time + STEP, input + at);\n" if calendar else "",
    )


def _in_comment(name: str) -> str:
    """A column's name that cannot end a comment of C, or continue a line."""
    return "".join(letter if letter.isalnum() or letter in " _-." else "?" for letter in name)
