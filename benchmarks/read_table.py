"""Read a CSV of three million rows with npseq.data.load and with pandas.read_csv alone, in alternation.

    python benchmarks/read_table.py [rows]

Makes a file of a time and three columns (about 107 MB for three million rows) in a temporary folder. Each reading is a
process of its own. Prints the seconds without imports, and the peak memory that reading adds, also as a multiple of the
numbers kept. pandas alone leaves the times as text: the third way is pandas with the times parsed.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import conditions
import numpy as np

ROUNDS = 3
WAYS = {
    "npseq.data.load": "from npseq.data import load, table_reader; read = lambda: load(path).values.nbytes",
    "pandas.read_csv": "import pandas; read = lambda: pandas.read_csv(path).shape[0] * 24",
    "pandas, times": "import pandas; read = lambda: pandas.read_csv(path, parse_dates=['time']).shape[0] * 24",
}
CODE = """
import re, sys, time
sys.path.insert(0, {repo!r})
path = {path!r}
{way}
peak = lambda: 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])  # Linux
before, start = peak(), time.perf_counter()
kept = read()
print(time.perf_counter() - start, peak() - before, kept)
"""


def write(path: Path, rows: int, chunk: int = 100_000) -> None:
    """Write a row a minute."""
    rng = np.random.default_rng(0)
    with open(path, "w") as file:
        file.write("time,load,temp,wind\n")
        for start in range(0, rows, chunk):
            row = np.arange(start, min(start + chunk, rows))
            times = np.datetime_as_string(np.datetime64("2000-01-01T00:00") + row)
            values = rng.normal(size=(len(row), 3)).tolist()
            file.write("".join(f"{t},{a:.3f},{b:.3f},{c:.2f}\n" for t, (a, b, c) in zip(times, values)))


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 3_000_000
    repo = str(Path(__file__).resolve().parent.parent)
    print(conditions.versions("pandas"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        write(path, rows)
        print(f"{rows:,} rows, {path.stat().st_size / 1e6:.0f} MB of text", flush=True)
        found: dict[str, list[list[float]]] = {way: [] for way in WAYS}
        for _ in range(ROUNDS):
            for way, lines in WAYS.items():
                code = CODE.format(repo=repo, path=str(path), way=lines)
                done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
                found[way].append([float(number) for number in done.stdout.split()])
    for way, runs in found.items():
        seconds = " ".join(f"{run[0]:.2f}" for run in runs)
        peak, kept = max(run[1] for run in runs), runs[0][2]
        print(f"{way:15}  seconds {seconds}  memory {peak / 1e6:.0f} MB, {peak / kept:.2f} times the numbers kept")


if __name__ == "__main__":
    main()
