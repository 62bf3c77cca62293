"""Which stage or lost outcome does a value of the source mean?"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import ibis
import ibis.expr.types as ir

from funnelstats.data.checks import rows_text
from funnelstats.data.mapping import Mapping
from funnelstats.data.parse import is_nothing
from funnelstats.data.sources import ROW
from funnelstats.data.table import Table, nearest
from funnelstats.errors import Problem

#: More different values than this are no stages: probably the wrong column.
_MOST = 500
_LISTED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """The stage column in the mapping's names; null where ``other`` says that the row is not of this funnel."""

    stage: ir.StringValue
    other: ir.BooleanValue
    problems: tuple[Problem, ...] = ()
    dropped: dict[str, int] = field(default_factory=dict)


def named(table: ir.Table, spec: Table, mapping: Mapping) -> Named:
    """Translate the values of ``spec.stage``; case and blanks around them do not matter.

    Parameters
    ----------
    table : Table
        The source.
    spec : mapping.Table
        Its stage column and names.
    mapping : Mapping
        Stages and lost outcomes.
    """
    raw = table[spec.stage].cast("string")
    known = {_fold(name): name for name in (*mapping.stages, *mapping.lost)} | {
        _fold(value): name for value, name in spec.names.items()
    }
    found = table.select(value=raw).filter(lambda t: t.value.notnull()).group_by("value").aggregate(n=lambda t: t.count())
    counts = found.order_by([ibis.desc("n"), "value"]).limit(_MOST + 1).execute().set_index("value")["n"]
    nothing = [value for value in counts.index if is_nothing(value) and _fold(value) not in known]
    unknown = [value for value in counts.index if _fold(value) not in known and value not in nothing]
    problems = _problems(table, raw, spec, mapping, unknown, too_many=len(counts) > _MOST)
    changed = {value: known[_fold(value)] for value in counts.index if known.get(_fold(value), value) != value}
    dropped = [value for value, name in changed.items() if name == ""]
    left_out = {f"stage {value!r}": int(counts[value]) for value in dropped}
    other = raw.isin(dropped).fill_null(False) if dropped else ibis.literal(False)
    changed = {value: name for value, name in changed.items() if name}
    stage = raw.substitute(changed) if changed else raw  # a source that uses the mapping's own names stays a plain column
    if dropped or nothing:
        stage = ibis.ifelse(raw.isin([*dropped, *nothing]), ibis.null("string"), stage)
    return Named(stage=stage, other=other, problems=tuple(problems), dropped=left_out)


def _problems(
    table: ir.Table, raw: ir.StringValue, spec: Table, mapping: Mapping, unknown: Sequence[str], *, too_many: bool
) -> list[Problem]:  # fmt: skip
    if too_many or len(unknown) > _LISTED:
        several = f"more than {_MOST:,}" if too_many else f"{len(unknown):,}"
        what = f"expected stages, found {several} other values, among them {', '.join(map(repr, unknown[:3]))}"
        return [Problem(spec.stage, what, f"known: {', '.join((*mapping.stages, *mapping.lost))}; is this the column of stages?")]
    if not unknown:
        return []
    rows = table.select(value=raw, row=table[ROW] if ROW in table.columns else ibis.null("int64"))
    figures = (
        rows.filter(rows.value.isin(unknown)).group_by("value").aggregate(n=lambda t: t.count(), first=lambda t: t.row.min())
    )
    return [_unknown(spec, mapping, *row) for row in figures.order_by("value").execute().itertuples(index=False)]


def _unknown(spec: Table, mapping: Mapping, value: str, count: int, first: Any) -> Problem:
    where = "" if first is None or first != first else f", first in row {int(first)}"
    outcomes = (*mapping.stages, *mapping.lost)
    hint = nearest(value, [*outcomes, *spec.names])
    if hint[-1] != "?":
        hint = f"known: {', '.join(outcomes)}"
    add = f'add "{value}" to names, stages or lost in the mapping'
    if mapping.name.startswith("preset "):
        add = f'write a mapping file with preset = "{mapping.name.split()[1]}" and, under [names], "{value}" = one of its stages'
    what = f"expected a known stage, found {value!r} in {rows_text(count)}{where}"
    return Problem(spec.stage, what, f"{hint}{' Else ' if hint[-1] == '?' else '; '}{add}")


def _fold(value: str) -> str:
    return " ".join(value.split()).casefold()
