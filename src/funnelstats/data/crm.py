"""Read a CRM export, whatever its shape, as one event log with one window.

Every problem of the export is collected and raised together; what can be read by a stated rule is read, and counted by
``log.audit()``.
"""

from functools import reduce
from pathlib import Path
from typing import Any, Literal

import ibis
import ibis.expr.types as ir

from funnelstats.data import datasets, presets
from funnelstats.data.counts import CountsLog, read_counts
from funnelstats.data.events import EventLog
from funnelstats.data.mapping import Mapping, Table
from funnelstats.data.shapes import Shaped, shape
from funnelstats.data.sources import ROW, open_tables
from funnelstats.data.vet import vet
from funnelstats.errors import DataError, Problem
from funnelstats.window import ObservationWindow, Unit


def read_crm(
    source: Any, *, mapping: Any = None, as_of: Any = None, start: Any = None, unit: Unit = "day",
    on_problem: Literal["raise", "set_aside"] = "raise",
) -> EventLog | CountsLog:  # fmt: skip
    """Read an export as an event log.

    Parameters
    ----------
    source : path, DataFrame, Ibis table or ``"bundled:NAME"``
        CSV, Parquet, a folder, a glob; any Ibis backend. A bundled data set brings its own mapping and ``as_of``.
    mapping : Mapping, dict, path of a TOML file, or ``"salesforce"`` or ``"hubspot"``
        What the columns mean.
    as_of : date
        Until when the data were complete; events after it are not counted.
    start : date, optional
        Count only entities that entered from this date on.
    unit : {"day", "week", "month", "year"}
        Unit of all durations.
    on_problem : {"raise", "set_aside"}
        What to do with entities that cannot be right (a negative amount, success before the first stage, an id twice, an
        event without a date): raise, or leave them out, counted in the audit.

    Returns
    -------
    EventLog
        Or a CountsLog, which has ``stages`` only, when the mapping says that the file holds counts.

    Raises
    ------
    DataError
        Everything that is wrong, with rows and remedies.

    Examples
    --------
    >>> import pandas as pd
    >>> deals = pd.DataFrame({"id": [1, 1, 2], "stage": ["Lead", "Won", "Lead"], "date": ["2026-01-05", "2026-01-09", "2026-01-20"]})
    >>> log = read_crm(deals, mapping={"stages": ["Lead", "Won"], "entity": "id", "stage": "stage", "at": "date"}, as_of="2026-01-31")
    >>> log.stages().frame[["stage", "entered", "advanced", "open"]].values.tolist()
    [['Lead', 2, 1, 1], ['Won', 1, 0, 0]]
    """
    name, label = source, source if isinstance(source, str | Path) else type(source).__name__
    if isinstance(source, str) and source.startswith("bundled:"):
        card = datasets.dataset_card(source.removeprefix("bundled:"))
        name = datasets.dataset_path(card.name)
        mapping, as_of = mapping or datasets.dataset_mapping(card.name), as_of or card.as_of
    tables = open_tables(name)
    chosen = _mapping(mapping, next(iter(tables.values())).columns)
    if chosen.tables[0].shape == "counts":
        return CountsLog(counts=read_counts(next(iter(tables.values())), chosen, source=str(label)))
    window = ObservationWindow.of(as_of, start=start, unit=unit)
    parts = [shape(table, spec, chosen) for table, spec in _matched(tables, chosen, str(label))]
    problems = [problem for part in parts for problem in part.problems]
    if problems:
        raise DataError(_subject(str(label), tables), problems)
    events = _union([part.events for part in parts if part.events is not None])
    if any(ROW in table.columns for table in tables.values()):  # a file or frame in the embedded engine: read it once
        events = events.get_backend().create_table("events", events, temp=True)
    kept, set_aside = vet(events, chosen, window, subject=_subject(str(label), tables), on_problem=on_problem)
    return EventLog(
        events=kept, stage_names=chosen.stages, lost=chosen.lost, optional=chosen.optional, window=window, source=str(label),
        removed=_left_out(parts) | set_aside,
    )  # fmt: skip


def _mapping(mapping: Any, columns: Any) -> Mapping:
    """Parse whatever was given as a mapping."""
    if isinstance(mapping, Mapping):
        return mapping
    if mapping is None:
        fix = 'mapping="salesforce", mapping="hubspot" or mapping="my_export.toml"'
        raise DataError("the mapping", [Problem("mapping", "expected what the columns mean, found nothing", fix)])
    if isinstance(mapping, dict):
        return Mapping.of(mapping)
    if str(mapping) in presets.PRESETS or not str(mapping).endswith(".toml"):
        return presets.preset(str(mapping), columns)
    spec = Mapping.parse_toml(mapping)
    if "preset" in spec:
        return presets.extend(presets.preset(spec["preset"], columns), spec, name=str(mapping))
    return Mapping.of(spec, name=str(mapping))


def _matched(tables: dict[str, ir.Table], mapping: Mapping, source: str) -> list[tuple[ir.Table, Table]]:
    """Pair the files of the source with the tables of the mapping, by file name where there is more than one."""
    if len(tables) == 1 and len(mapping.tables) == 1:
        return [(next(iter(tables.values())), mapping.tables[0])]
    pairs = [(table, spec) for file, table in tables.items() for spec in mapping.tables if spec.file and spec.file in file]
    if not pairs:
        wanted = ", ".join(repr(spec.file) for spec in mapping.tables if spec.file)
        what = f"expected files whose names contain {wanted or 'one table'}, found {sorted(tables)}"
        raise DataError(source, [Problem("file", what, "rename the files, or give the one that holds the stage entries")])
    return pairs


def _union(tables: list[ir.Table]) -> ir.Table:
    """Stack events of several tables; an attribute that one of them lacks is empty there."""
    if len(tables) == 1:
        return tables[0]
    schema = {name: kind for table in tables for name, kind in table.schema().items()} | {"entity": "string"}
    filled = [table.select(**{name: (table[name] if name in table.columns else ibis.null(kind)).cast(kind)
                              for name, kind in schema.items()}) for table in tables]  # fmt: skip
    return reduce(lambda one, other: one.union(other), filled)


def _left_out(parts: list[Shaped]) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in parts:
        for reason, count in part.left_out.items():
            total[reason] = total.get(reason, 0) + count
    return total


def _subject(source: str, tables: dict[str, ir.Table]) -> str:
    rows = sum(int(table.count().execute()) for table in tables.values())
    return f"{source} ({rows:,} rows)"
