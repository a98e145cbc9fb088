"""Train on a long table of many series; peak memory and time by the number of rows.

    python benchmarks/many_series.py [series ...]

Makes tables of 1,250 to 10,000 series of 1,000 rows (up to 330 MB of text) in a temporary folder, runs ``npseq train``
on each in a process of its own, and prints that process's time and peak resident memory, the interpreter and all
libraries included, beside the bound of 1 GiB and 4 numbers a row.
"""

import os
import subprocess
import sys
import tempfile
import time

import numpy as np

REPO = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROWS = 1000  # of each series
OPTIONS = ["--model", "optimized_gru", "--horizon", "24", "--quiet"]
CODE = """
import resource, sys
from npseq import train
status = train.main(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)  # kilobytes on Linux
sys.exit(status)
"""


def write(path, series):
    """Hourly series with a daily rhythm, at levels over four orders of magnitude."""
    rng, hours = np.random.default_rng(0), np.arange(ROWS)
    times = np.datetime_as_string(np.datetime64("2024-01-01T00:00") + 60 * hours)
    with open(path, "w") as file:
        file.write("unique_id,ds,y\n")
        for k in range(series):
            day = np.sin(2 * np.pi * (hours + rng.integers(24)) / 24)
            values = 10 ** rng.uniform(0, 4) * (1 + 0.3 * day + 0.1 * rng.normal(size=ROWS))
            file.write("".join(f"s{k},{when},{value:.3f}\n" for when, value in zip(times, values)))


def main():
    print("| series | rows | seconds | µs a row | peak, MB | bound, MB |\n|---|---|---|---|---|---|")
    for series in map(int, sys.argv[1:] or (1250, 2500, 5000, 10_000)):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "many.csv")
            write(path, series)
            started, rows = time.perf_counter(), series * ROWS
            command = [sys.executable, "-c", CODE, "--data", path, "--out-dir", folder, *OPTIONS]
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            done = subprocess.run(command, cwd=REPO, env=environment, stdout=subprocess.PIPE, text=True, check=True)
            seconds, peak = time.perf_counter() - started, int(done.stdout.splitlines()[-1])
        bound = ((1 << 30) + 4 * 8 * rows) / 1e6
        cells = f"{series:,}", f"{rows:,}", f"{seconds:.0f}", f"{1e6 * seconds / rows:.1f}", f"{peak / 1e6:.0f}"
        print("| " + " | ".join([*cells, f"{bound:.0f}"]) + " |", flush=True)


if __name__ == "__main__":
    main()
