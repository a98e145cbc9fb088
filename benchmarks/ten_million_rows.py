"""Train on a CSV of ten million rows, and compare the peak memory with the size of the series as float64.

    python benchmarks/ten_million_rows.py [rows]

Makes the file (about 260 MB for ten million rows) in a temporary folder, runs ``npseq train`` on it in a process of its
own, and prints that process's peak resident memory, the interpreter and all libraries included.
"""

import os
import subprocess
import sys
import tempfile

import numpy as np

REPO = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OPTIONS = ["--model", "optimized_rnn", "--hidden-size", "8", "--window", "6", "--batch-size", "8192", "--epochs", "1"]
CODE = """
import resource, sys
from npseq import train
status = train.main(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)  # kilobytes on Linux
sys.exit(status)
"""


def write(path, rows, chunk=100_000):
    """A value a minute with a daily rhythm."""
    rng = np.random.default_rng(0)
    with open(path, "w") as file:
        file.write("time,load\n")
        for start in range(0, rows, chunk):
            row = np.arange(start, min(start + chunk, rows))
            values = 100 + 10 * np.sin(2 * np.pi * row / 1440) + rng.normal(size=len(row))
            times = np.datetime_as_string(np.datetime64("2000-01-01T00:00") + row)
            file.write("".join(f"{time},{value:.3f}\n" for time, value in zip(times, values)))


def main():
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "load.csv")
        write(path, rows)
        print(
            f"{rows:,} rows, {os.path.getsize(path) / 1e6:.0f} MB of text; npseq train {' '.join(OPTIONS)}", flush=True
        )
        done = subprocess.run(
            [sys.executable, "-c", CODE, "--data", path, "--out-dir", folder, *OPTIONS],
            cwd=REPO,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    *printed, peak = done.stdout.splitlines()
    print("\n".join(printed))
    print(
        f"\npeak memory {int(peak) / 1e6:.0f} MB, {int(peak) / (8 * rows):.2f} times the series as float64 "
        f"({8 * rows / 1e6:.0f} MB)"
    )


if __name__ == "__main__":
    main()
