"""How does an export, whatever its shape, become one event log with one window?

Every problem of the export is collected and raised together; what can be read by a stated rule is read, and counted by
``log.audit()``.
"""

from collections import Counter
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Any, Literal

import ibis
import ibis.expr.types as ir

from funnelstats.data import datasets, presets
from funnelstats.data.checks import rows_text
from funnelstats.data.counts import CountsLog, read_counts
from funnelstats.data.events import EventLog
from funnelstats.data.mapping import Mapping
from funnelstats.data.match import match
from funnelstats.data.reading import Reading
from funnelstats.data.shapes import Shaped, shape
from funnelstats.data.sources import Part, open_parts
from funnelstats.data.vet import all_problems, set_aside, whole_problems, won_before_first
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
        What to do with entities that cannot be right (a value that cannot be read, a negative amount, success before the first
        stage, an id twice, an event without a date): raise, or leave them out, counted in the audit.

    Returns
    -------
    EventLog
        Or a CountsLog, which has ``stages`` only, when the mapping says that the file holds counts.

    Raises
    ------
    DataError
        Everything that is wrong, with rows (counted from 1 below the header) and remedies.

    Examples
    --------
    >>> import pandas as pd
    >>> deals = pd.DataFrame({"id": [1, 1, 2], "step": ["Lead", "Won", "Lead"], "on": ["2026-01-05", "2026-01-09", "2026-01-20"]})
    >>> mapping = {"stages": ["Lead", "Won"], "entity": "id", "stage": "step", "at": "on"}
    >>> log = read_crm(deals, mapping=mapping, as_of="2026-01-31")
    >>> log.stages().frame[["stage", "entered", "advanced", "open"]].values.tolist()
    [['Lead', 2, 1, 1], ['Won', 1, 0, 0]]
    """
    name, own = source, False
    if isinstance(source, str) and source.startswith("bundled:"):
        card = datasets.dataset_card(source.removeprefix("bundled:"))
        name = datasets.dataset_path(card.name)
        own = not mapping
        mapping, as_of = mapping or datasets.dataset_mapping(card.name), as_of or card.as_of
    spec = _specification(mapping, name)
    parts = open_parts(name, encoding=spec.encoding if isinstance(spec, Mapping) else spec.get("encoding", ""))
    chosen = spec if isinstance(spec, Mapping) else presets.preset(parts, spec)
    label = str(source) if isinstance(source, str | Path) else parts[0].name
    pairs = match(parts, chosen, source=label)
    label = _label(label, parts, pairs)
    if chosen.tables[0].shape == "counts":
        said = Reading.of(source, mapping=mapping, window=None, on_problem=on_problem, own_mapping=own)
        return CountsLog(counts=read_counts(*pairs[0], chosen, source=label), reading=said)
    window, problems = _window(as_of, start, unit, on_problem)
    shaped = [shape(part, table, chosen) for part, table in pairs]
    events, findings = _gather(shaped, any(part.copied for part, _ in pairs)), []
    if events is not None and not any(part.problems for part in shaped):
        problems += whole_problems(events, window, currencies=any("currency" in table.columns for _, table in pairs))
        findings = won_before_first(events, chosen)
    problems = all_problems(shaped, problems, findings, on_problem=on_problem)
    if problems or events is None or window is None:
        raise DataError(_subject(label, source, shaped), problems)
    kept, aside = set_aside(events, shaped, findings)
    if aside and not kept.count().execute():
        found = [one.problem for part in shaped for one in part.findings] + [one.problem for one in findings]
        raise DataError(
            _subject(label, source, shaped), [*found, Problem("events", "nothing is left when all of these are set aside")]
        )
    left_out = sum((Counter(part.left_out) for part in shaped), Counter())
    said = Reading.of(source, mapping=mapping, window=window, on_problem=on_problem, own_mapping=own)
    return EventLog(events=kept, stage_names=chosen.stages, lost=chosen.lost, optional=chosen.optional, window=window,
                    source=label, removed=dict(left_out) | aside, reading=said)  # fmt: skip


def _specification(mapping: Any, source: Any) -> Mapping | dict[str, Any]:
    """Parse whatever was given: a finished mapping, or a preset's name with what a mapping file adds to it."""
    if isinstance(mapping, Mapping):
        return mapping
    if mapping is None:
        columns = ", ".join(dict.fromkeys(column for part in open_parts(source) for column in part.columns[:30]))
        fix = f'mapping="salesforce", mapping="hubspot" or mapping="my_export.toml"; the columns are {columns}'
        raise DataError("the mapping", [Problem("mapping", "expected what the columns mean, found nothing", fix)])
    if not isinstance(mapping, dict | str | Path):
        raise DataError(
            "the mapping", [Problem("mapping", f"expected a path, a preset's name or a dict, found {type(mapping).__name__}")]
        )
    if isinstance(mapping, dict):
        spec, name = mapping, "mapping"
    elif str(mapping).lower().endswith(".toml") or Path(mapping).is_file():
        spec, name = Mapping.parse_toml(mapping), str(mapping)
    else:
        return {"preset": str(mapping)}
    return {"name": name, **spec} if "preset" in spec else Mapping.of(spec, name=name)


def _window(as_of: Any, start: Any, unit: Unit, on_problem: str) -> tuple[ObservationWindow | None, list[Problem]]:
    """Make the window, or say why not, so that the reader hears of the data's problems at the same time."""
    known = on_problem in ("raise", "set_aside")
    problems = [] if known else [Problem("on_problem", f"expected 'raise' or 'set_aside', found {on_problem!r}")]
    try:
        return ObservationWindow.of(as_of, start=start, unit=unit), problems
    except DataError as error:
        return None, [*error.problems, *problems]


def _gather(parts: Sequence[Shaped], copied: bool) -> ir.Table | None:
    """Stack the events of all tables; an attribute that one of them lacks is empty there. None when a table has none."""
    tables = [part.events for part in parts if part.events is not None]
    if len(tables) < len(parts):
        return None
    if len(tables) > 1:
        schema = {name: kind for table in tables for name, kind in table.schema().items()} | {"entity": "string"}
        filled = [table.select(**{name: (table[name] if name in table.columns else ibis.null(kind)).cast(kind)
                                  for name, kind in schema.items()}) for table in tables]  # fmt: skip
        tables = [reduce(lambda one, other: one.union(other), _told_once(filled, [part.linked for part in parts]))]
    if copied and (len(parts) > 1 or parts[0].melted):
        return tables[0].get_backend().create_table(ibis.util.gen_name("events"), tables[0], temp=True)
    return tables[0]


def _told_once(tables: Sequence[ir.Table], linked: Sequence[bool]) -> list[ir.Table]:
    """Leave a stage to the table in which the entity goes on, where both tell it: a lead's conversion has no time of day."""
    later = [table for table, is_linked in zip(tables, linked, strict=True) if not is_linked]
    if len(later) in (0, len(tables)):
        return list(tables)
    told = reduce(lambda one, other: one.union(other), later)
    told = told.filter(told["at"].notnull()).select("entity", "stage").distinct()
    return [
        table.anti_join(told, ["entity", "stage"]) if is_linked else table
        for table, is_linked in zip(tables, linked, strict=True)
    ]


def _label(source: str, parts: Sequence[Part], pairs: Sequence[tuple[Part, Any]]) -> str:
    """Name the files whose rows are counted and, of a folder, those whose are not."""
    counted = [part.name for part, _ in pairs]
    if len(parts) == 1 or counted[0] not in [part.name for part in parts]:  # one file, or all of them read as one table
        return source
    rest = [part.name for part in parts if part.name not in counted]
    return f"{source} ({', '.join(counted)}{'; not counted: ' + ', '.join(rest) if rest else ''})"


def _subject(label: str, source: Any, parts: Sequence[Shaped]) -> str:
    rows = sum(int(part.source.count().execute()) for part in parts if part.source is not None)
    return f"{label} ({rows_text(rows)}{' below the header' if isinstance(source, str | Path) else ''})" if rows else label
