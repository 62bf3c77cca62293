"""A file that holds counts, not events: nothing in it names a lead, and the rates can be had all the same."""

from dataclasses import dataclass
from typing import Any

import ibis.expr.types as ir
import pandas as pd

from funnelstats.data.columns import resolve
from funnelstats.data.mapping import Mapping
from funnelstats.data.sources import ROW
from funnelstats.data.stages import COUNTS, StageCounts
from funnelstats.errors import DataError, Problem


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class CountsLog:
    """Stands where an event log stands, for a source that has no events; ask it for ``stages`` only.

    Parameters
    ----------
    counts : StageCounts
        What the file holds.
    """

    counts: StageCounts

    @property
    def stage_names(self) -> tuple[str, ...]:
        """Stages in funnel order."""
        return self.counts.stages

    def stages(self, by: str | tuple[str, ...] = (), **definition: Any) -> StageCounts:
        """Add the counts up by some of their segments.

        Raises
        ------
        DataError
            A definition (window, order) was asked for, which needs events.
        """
        if definition:
            self._refuse(", ".join(definition))
        return self.counts.stages_by(*((by,) if isinstance(by, str) else by))

    def hazards(self, by: Any = ()) -> Any:
        """Refuse: time in stage needs dates."""
        return self._refuse("time in stage")

    def split(self, at: Any) -> Any:
        """Refuse: a split needs dates."""
        return self._refuse("a split in time")

    def audit(self) -> Any:
        """Refuse: the audit looks at single records."""
        return self._refuse("an audit")

    def _refuse(self, what: str) -> Any:
        fix = "read the export of events or of dates per stage instead"
        raise DataError(self.counts.source, [Problem(what, "needs the dates of single records, and this file has counts only", fix)])

    def __repr__(self) -> str:
        return f"<CountsLog {self.counts!r}"

    def _repr_html_(self) -> str:
        return self.counts._repr_html_()


def read_counts(table: ir.Table, mapping: Mapping, *, source: str) -> StageCounts:
    """Read one row per segment and stage, with ``entered`` and, where known, ``advanced``, ``lost``, ``open``.

    Parameters
    ----------
    table : Table
        The source.
    mapping : Mapping
        Shape ``counts``: ``stage`` names the column of stages, ``columns`` the counts and the segments.
    source : str
        Name for messages.

    Raises
    ------
    DataError
        Missing columns, numbers that are not counts, or counts that rise along the funnel.
    """
    spec, problems = resolve(mapping.tables[0], table.columns)
    if problems or "entered" not in spec.columns:
        problems = problems or [Problem("entered", "expected in the mapping's columns", 'columns = {entered = "..."}')]
        raise DataError(source, problems)
    frame = table.drop(*([ROW] if ROW in table.columns else [])).execute()
    stage = frame[spec.stage].replace(spec.names)
    by = [name for name in spec.columns if name not in COUNTS]
    built = pd.DataFrame({name: frame[column] for name, column in spec.columns.items()} | {"stage": stage})
    for name in [name for name in COUNTS if name in built]:
        numbers = pd.to_numeric(built[name], errors="coerce")
        bad = numbers.isna() | (numbers % 1 != 0)
        if bad.any():
            rows = [int(row) + 1 for row in built.index[bad][:3]]
            problems.append(Problem(spec.columns[name], f"expected whole numbers, found {int(bad.sum())} others (rows {rows})"))
        built[name] = numbers
    if problems:
        raise DataError(source, problems)
    return StageCounts.of(built, stages=mapping.stages, by=by, source=source)
