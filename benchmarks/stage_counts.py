"""Stage counts by channel from a Parquet event log: this package beside hand-written DuckDB SQL, polars and pandas.

Every contender counts, for each channel and stage, who entered, advanced, was lost and is open, and the median time to advance.
``funnelstats`` also builds the histogram of ages in each stage, from which it flags immature cells and all hazards follow, and
it accepts repeated, skipped, backward and reopened records, which the others could not, but for the second SQL, which follows the
same rules; its ``read_crm`` checks the whole log first, and is timed apart.
The counts of all contenders are compared before anything is timed.
"""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.document import markdown_table, write_section
from benchmarks.event_log import AS_OF, MAPPING, STAGES, write_log
from benchmarks.measure import THREADS, in_child, machine, report, timed

SIZES = (1_000_000, 10_000_000)
REPEATS = 3


def sql(path: str) -> Any:
    """One pass: a conditional minimum per entity and stage, then one aggregate per channel."""
    import duckdb

    first = ", ".join(f"min(\"at\") filter (stage = '{name}') as t{k}" for k, name in enumerate(STAGES))
    last = len(STAGES) - 1
    sums = ", ".join(
        f"count(t{k}) as e{k}" + ("" if k == last else
        f", count(t{k}) filter (t{k + 1} is null and l is not null) as l{k}, "
        f"median(epoch(t{k + 1}) - epoch(t{k})) as m{k}") for k in range(last + 1)
    )  # fmt: skip
    people = (
        f"select any_value(channel) as channel, {first}, min(\"at\") filter (stage = 'Lost') as l from '{path}' group by entity"
    )
    con = duckdb.connect(config={"threads": THREADS})
    rows = con.execute(f"select channel, {sums} from ({people}) group by channel order by channel").fetchall()
    return [[row[1 + 3 * k] for k in range(last + 1)] + [row[2 + 3 * k] for k in range(last)] for row in rows]


def sql_same_rules(path: str) -> Any:
    """Hand-written too, but with the rules of this package: latest channel, fate by the last event, ages of all stays."""
    import duckdb

    last, final = len(STAGES) - 1, STAGES[-1]
    own = ", ".join(f"min(\"at\") filter (stage = '{name}') as t{k}" for k, name in enumerate(STAGES))
    ends = f'max("at") as z, max("at") filter (stage = \'{final}\') as w, max("at") filter (stage = \'Lost\') as l'
    people = f"select arg_max(channel, \"at\") as channel, {own}, {ends} from '{path}' where \"at\" < '{AS_OF}'::date + 1 group by entity"
    moments = ", ".join(f"least({', '.join(f't{j}' for j in range(k, last + 1))}) as a{k}" for k in range(last + 1))
    fate = "case when l >= z and l >= coalesce(w, l) then 1 when w >= z then 0 else 2 end"
    furthest = " ".join(f"when t{k} is not null then {k}" for k in range(last, 0, -1))
    walked = f"select channel, {moments}, {fate} as fate, case {furthest} else 0 end as reached, l from ({people})"
    stays = []
    for k in range(last):
        until = f"case when reached > {k} then a{k + 1} when fate = 2 then '{AS_OF}'::timestamp + interval 1 day else l end"
        age = f"cast(floor((epoch({until}) - epoch(a{k})) / 86400) as bigint)"
        stays.append(
            f"case when reached >= {k} then {age} * 64 + {k} * 4 + case when reached > {k} then 0 else fate + (fate = 0)::int end end"
        )
    stays.append(f"case when reached >= {last} then {last} * 4 end")
    con = duckdb.connect(config={"threads": THREADS})
    rows = con.execute(f"select channel, stay, count(*) from (select channel, unnest([{', '.join(stays)}]) as stay from ({walked})) "
                       "where stay is not null group by channel, stay").fetchall()  # fmt: skip
    counts = {channel: [0] * (2 * last + 1) for channel in sorted({row[0] for row in rows})}
    for channel, stay, n in rows:
        k, fate_code = stay % 64 // 4, stay % 4
        counts[channel][k] += n
        if k < last and fate_code == 1:
            counts[channel][last + 1 + k] += n
    return list(counts.values())


def with_polars(path: str) -> Any:
    """Do the same in polars' lazy engine, streaming."""
    import polars as pl

    first = [pl.col("at").filter(pl.col("stage") == name).min().alias(f"t{k}") for k, name in enumerate(STAGES)]
    lost = pl.col("at").filter(pl.col("stage") == "Lost").min().alias("l")
    last = len(STAGES) - 1
    people = pl.scan_parquet(path).group_by("entity").agg(pl.col("channel").first(), *first, lost)
    sums = [pl.col(f"t{k}").count().alias(f"e{k}") for k in range(last + 1)]
    sums += [
        (pl.col(f"t{k}").is_not_null() & pl.col(f"t{k + 1}").is_null() & pl.col("l").is_not_null()).sum().alias(f"l{k}")
        for k in range(last)
    ]
    sums += [(pl.col(f"t{k + 1}") - pl.col(f"t{k}")).median().alias(f"m{k}") for k in range(last)]
    frame = (
        people.group_by("channel")
        .agg(*sums)
        .with_columns(pl.col("channel").cast(pl.String))
        .sort("channel")
        .collect(engine="streaming")
    )
    return [list(row[1 : 2 * last + 2]) for row in frame.iter_rows()]


def with_pandas(path: str) -> Any:
    """Do the same as a pandas user would: pivot to one row per entity, then group."""
    import pandas as pd

    frame = pd.read_parquet(path)
    times = frame.pivot_table(index="entity", columns="stage", values="at", aggfunc="min", observed=True)
    channel = frame.drop_duplicates("entity").set_index("entity")["channel"].astype(str)
    grouped = times.groupby(channel.reindex(times.index))
    entered = grouped[list(STAGES)].count()
    for k, name in enumerate(STAGES[:-1]):
        lost = times[name].notna() & times[STAGES[k + 1]].isna() & times["Lost"].notna()
        entered[f"l{k}"] = lost.groupby(channel.reindex(times.index)).sum()
        entered[f"m{k}"] = (times[STAGES[k + 1]] - times[name]).groupby(channel.reindex(times.index)).median()
    return entered[[*STAGES, *(f"l{k}" for k in range(len(STAGES) - 1))]].sort_index().values.tolist()


def ours(path: str) -> Any:
    """Count with a log that has been read, and anew each time: a log keeps what it has counted."""
    counts = replace(_log(path)).stages("channel").frame
    entered = counts["entered"].to_numpy().reshape(-1, len(STAGES))
    lost = counts["lost"].to_numpy().reshape(-1, len(STAGES))[:, :-1]
    return np.hstack([entered, lost]).tolist()


_LOGS: dict[str, Any] = {}


def _log(path: str) -> Any:
    if path not in _LOGS:
        _LOGS[path] = read(path)
    return _LOGS[path]


def read(path: str) -> Any:
    """Read and check the log, without counting."""
    from funnelstats.data.crm import read_crm

    return read_crm(path, mapping=MAPPING, as_of=AS_OF)


CONTENDERS = {"DuckDB SQL by hand": sql, "DuckDB SQL by hand, the same rules": sql_same_rules, "funnelstats, log.stages": ours, "funnelstats, read_crm": lambda path: read(path) and None,
              "polars, streaming": with_polars, "pandas": with_pandas}  # fmt: skip


def main(arguments: list[str]) -> None:
    """Measure every contender at each size given (default: one and ten million rows)."""
    if arguments[:1] == ["--child"]:
        _, name, path, repeats = arguments
        if name == "funnelstats, log.stages":
            _log(path)
        report(timed(lambda: CONTENDERS[name](path), repeats=int(repeats)))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for size in [int(float(size)) for size in arguments] or SIZES:
            path = Path(folder) / f"{size}.parquet"
            written = write_log(path, rows=size)
            found = {name: in_child("benchmarks.stage_counts", "--child", name, str(path), str(REPEATS)) for name in CONTENDERS}
            results = [timing.result for timing in found.values() if timing.result is not None]
            assert all(result == results[0] for result in results), "the contenders do not agree on the counts"
            base = found["DuckDB SQL by hand"].median
            rows += [[f"{written:,}", name, f"{timing.cold:.2f}", f"{timing.median:.2f}", f"{timing.median / base:.2f}", f"{timing.peak:.2f}"]
                     for name, timing in found.items()]  # fmt: skip
            print("\n".join(" ".join(row) for row in rows[-len(found) :]), flush=True)
    table = markdown_table(["rows", "contender", "cold, s", f"warm, s (median of {REPEATS})", "ratio to SQL", "peak, GB"], rows)
    body = f"{' '.join((__doc__ or '').split())}\n\n{machine('duckdb', 'ibis-framework', 'polars', 'pandas')}\n\n{table}"
    write_section("stage_counts", "Stage counts from an event log", body)


if __name__ == "__main__":
    main(sys.argv[1:])
