"""A file that holds counts, not events: nothing in it names a lead, and the rates can be had all the same."""

from dataclasses import dataclass
from typing import Any

import ibis
import pandas as pd

from funnelstats.data.amounts import numbers
from funnelstats.data.checks import rows_text
from funnelstats.data.columns import resolve, used
from funnelstats.data.mapping import Mapping
from funnelstats.data.names import named
from funnelstats.data.parse import trimmed
from funnelstats.data.reading import Reading
from funnelstats.data.sources import ROW, Part
from funnelstats.data.stages import COUNTS, StageCounts
from funnelstats.data.table import Table
from funnelstats.errors import DataError, Problem


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class CountsLog:
    """Stands where an event log stands, for a source that has no events; ask it for ``stages`` only.

    Parameters
    ----------
    counts : StageCounts
        What the file holds.
    reading : Reading, optional
        The words with which ``read_crm`` read it.
    """

    counts: StageCounts
    reading: Reading | None = None

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
        plain = {"order": "furthest", "window": None, "per_step_window": None, "optional": (), "exclude": ()}
        asked = [name for name, value in definition.items() if name not in plain or value not in (plain[name], None)]
        if asked:
            self._refuse(", ".join(asked))
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
        raise DataError(
            self.counts.source, [Problem(what, "needs the dates of single records, and this file has counts only", fix)]
        )

    def __repr__(self) -> str:
        return f"<CountsLog {self.counts!r}"

    def _repr_html_(self) -> str:
        return self.counts._repr_html_()


def read_counts(part: Part, spec: Table, mapping: Mapping, *, source: str) -> StageCounts:
    """Read one row per segment and stage, with ``entered`` and, where known, ``advanced``, ``lost``, ``open``.

    Parameters
    ----------
    part : Part
        The source.
    spec : mapping.Table
        Shape ``counts``: ``stage`` names the column of stages, ``columns`` the counts and the segments.
    mapping : Mapping
        Stages in order.
    source : str
        Name for messages.

    Raises
    ------
    DataError
        Missing columns, stages that are not known, numbers that are not counts, or counts that rise along the funnel.
    """
    spec, problems = resolve(spec, part.columns)
    if not problems and "entered" not in spec.columns:
        problems = [Problem("entered", "expected in the mapping's columns, found nothing", 'columns = {entered = "..."}')]
    if problems:
        raise DataError(source, problems)
    table = part.read(used(spec))
    stage = named(table, spec, mapping)
    cells = {name: trimmed(table[column]) for name, column in spec.columns.items() if name not in COUNTS}
    amounts = {
        name: numbers(table, spec.columns[name], decimal=spec.decimal, whole=True) for name in COUNTS if name in spec.columns
    }
    row = table[ROW] if ROW in table.columns else ibis.null("int64")
    rows = table.select(stage=stage.stage, **cells, **{name: one.value for name, one in amounts.items()}, row=row)
    frame = rows.filter(~stage.other).execute().sort_values("row", kind="stable", ignore_index=True)
    problems = [*stage.problems, *(problem for one in amounts.values() for problem in one.problems)]
    if not problems:
        problems = [problem for name in amounts for problem in _not_counts(frame, name, spec.columns[name])]
    if not problems and frame["stage"].isna().any():
        problems = [
            Problem(spec.stage, f"expected a stage in every row, found {int(frame['stage'].isna().sum())} empty", "fill it in")
        ]
    if problems:
        raise DataError(f"{source} ({rows_text(len(frame))})", problems)
    frame = frame.fillna(dict.fromkeys(cells, "(none)"))
    return StageCounts.of(frame.drop(columns="row"), stages=mapping.stages, by=tuple(cells), source=source)


def _not_counts(frame: pd.DataFrame, name: str, column: str) -> list[Problem]:
    bad = frame[frame[name].isna() | (frame[name] % 1 != 0) | (frame[name] < 0)]
    if bad.empty:
        return []
    shown = ", ".join("nothing" if value != value else f"{value:g}" for value in bad[name][:3])
    rows = ", ".join(str(int(row)) for row in bad["row"][:3] if row == row)
    what = f"expected whole numbers from 0 on, found {shown}" + (f" (rows {rows})" if rows else "")
    return [Problem(column, what, "give the number of entities in every row")]
