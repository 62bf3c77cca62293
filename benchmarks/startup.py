"""How long until the first number? ``import funnelstats``, and the first funnel table from an export of 100,000 rows.

Each line is a new Python process, timed from outside by its own clock: what an analyst waits after pressing the key. The
imports of what others build on are measured beside it, for they are the floor.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.document import markdown_table, write_section
from benchmarks.event_log import AS_OF, MAPPING, write_log
from benchmarks.measure import machine

ROWS = 100_000
REPEATS = 5


def seconds(code: str, *arguments: str) -> float:
    """Median wall time of a new Python that runs ``code``, over that of one that runs nothing."""

    def once(text: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", text, *arguments], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start

    once(code)  # files into the page cache, byte code written
    return median(once(code) - once("pass") for _ in range(REPEATS))


def main(arguments: list[str]) -> None:
    """Measure imports and the first table from a CSV and a Parquet file."""
    import duckdb

    with tempfile.TemporaryDirectory() as folder:
        parquet, csv = Path(folder) / "log.parquet", Path(folder) / "log.csv"
        rows = write_log(parquet, rows=ROWS)
        duckdb.sql(f"copy (from '{parquet}') to '{csv}'")
        table = (
            "import sys, funnelstats as fs; "
            f"print(fs.read_crm(sys.argv[1], mapping={MAPPING!r}, as_of={AS_OF!r}).stages('channel').frame)"
        )
        found = {
            "import funnelstats": seconds("import funnelstats"),
            "import pandas": seconds("import pandas"),
            "import ibis, duckdb, pandas": seconds("import ibis, duckdb, pandas; ibis.duckdb.connect()"),
            f"first table, CSV of {rows:,} rows": seconds(table, str(csv)),
            f"first table, Parquet of {rows:,} rows": seconds(table, str(parquet)),
        }
    lines = [[name, f"{value:.2f}"] for name, value in found.items()]
    print("\n".join(" ".join(line) for line in lines))
    body = f"{' '.join((__doc__ or '').split())}\n\n{machine('duckdb', 'ibis-framework', 'pandas')}\n\n"
    write_section("startup", "Starting up", body + markdown_table(["new process", f"s (median of {REPEATS})"], lines))
