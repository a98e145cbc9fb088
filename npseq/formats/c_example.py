"""``main.c`` beside an exported header: a program that reads a model's inputs as CSV and prints what it answers.

``forecast.c_program`` has the program of a forecaster, which reads the rows of a table.
"""

from __future__ import annotations

import os
from string import Template

MARK = "Written by npseq"

MAIN = Template("""\
/* cc -std=c99 -O2 main.c -o main
   ./main < rows.csv

   Reads rows of ${NAME}_INPUTS numbers, separated by commas, and prints ${NAME}_OUTPUTS for each. The model's inputs
   have no names: a row holds them alone, in their order. Written by npseq. */
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
    long number = 0, taken = 0;
    int i;

    ${name}_reset(&state);
    while (fgets(line, sizeof line, stdin)) {
        number++;
        if (!read_row(line, $x)) {
            if (number > 1) /* the first line may be a header */
                fprintf(stderr, "line %ld: %d numbers expected\\n", number, ${NAME}_INPUTS);
            if (number > 1 && !taken)
                return 2; /* the table has other columns */
            continue;
        }
        taken++;
$advance
        for (i = 0; i < ${NAME}_OUTPUTS; i++)
            printf(i ? ",%.9g" : "%.9g", (double)y[i]);
        printf("\\n");
        fflush(stdout);
    }
    if (number && !taken)
        fprintf(stderr, "no line is a row of %d numbers\\n", ${NAME}_INPUTS);
    return number && !taken ? 2 : 0;
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
