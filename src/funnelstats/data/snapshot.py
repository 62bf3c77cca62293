"""When did each record of a snapshot enter which stage, where the export keeps one date for each?

A record is in its present stage even when that has no date. A final or lost date counts only when the present stage, where
there is one, agrees with it: an expected close date is no success. A date without a time of day is no earlier than another
moment of the same record on that day.
"""

from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise
from operator import or_
from typing import Any

import ibis
import ibis.expr.types as ir

from funnelstats.data.checks import Cells, Check, Finding, finding
from funnelstats.data.mapping import Mapping
from funnelstats.data.names import Named, named
from funnelstats.data.parse import dates
from funnelstats.data.rows import KEY
from funnelstats.data.table import Table
from funnelstats.errors import Problem

#: The order of two stages is doubted when, of at least so many records with both dates, more than half contradict it.
_ENOUGH = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What records as wholes have wrong, and how many entered nothing."""

    problems: tuple[Problem, ...] = ()
    findings: tuple[Finding, ...] = ()
    left_out: dict[str, int] = field(default_factory=dict)


def read_snapshot(table: ir.Table, spec: Table, mapping: Mapping) -> Cells:
    """Take from each record the moment of entry to outcome number k (``_at_k``) and whether it got there (``_in_k``).

    Parameters
    ----------
    table : Table
        The source, with its key.
    spec : mapping.Table
        Columns of the dates and of the present stage.
    mapping : Mapping
        Stages and lost outcomes.
    """
    parsed = {column: dates(table, column, date_format=spec.date_format) for column in dict.fromkeys(spec.dates.values())}
    now = named(table, spec, mapping) if spec.stage else None
    moments, stays = [], []
    for place, name in enumerate((*mapping.stages, *mapping.lost)):
        at = parsed[spec.dates[name]].value if name in spec.dates else ibis.null("timestamp")
        stays.append(_stays(name, at, now, closing=place >= len(mapping.stages) - 1))
        moments.append(at)
    unreadable = reduce(or_, [check.bad.fill_null(False) for one in parsed.values() for check in one.checks], ibis.literal(False))
    other = ibis.literal(False) if now is None else now.other
    values = {"_own": table[spec.entity], "_nothing": ~(reduce(or_, stays) | unreadable | other)}
    values |= {f"_at_{k}": at for k, at in enumerate(moments)} | {f"_in_{k}": stay for k, stay in enumerate(stays)}
    problems = [problem for one in parsed.values() for problem in one.problems] + ([] if now is None else [*now.problems])
    checks = tuple(check for one in parsed.values() for check in one.checks)
    return Cells(values=values, checks=checks, problems=tuple(problems), left_out={} if now is None else now.dropped)


def _stays(name: str, at: ir.Value, now: Named | None, *, closing: bool) -> ir.BooleanValue:
    """Whether a record counts as having got to an outcome."""
    if now is None:
        return at.notnull()
    here = (now.stage == name).fill_null(False)
    return here if closing else (here | at.notnull()) & ~now.other


def melt(flat: ir.Table, mapping: Mapping) -> ir.Table:
    """Make one row per outcome that a record got to."""
    outcomes = (*mapping.stages, *mapping.lost)
    parts = [
        flat.filter(flat[f"_in_{k}"]).mutate(stage=ibis.literal(name), at=_lifted(flat, k)) for k, name in enumerate(outcomes)
    ]
    return reduce(lambda one, other: one.union(other), parts)


def _lifted(flat: ir.Table, k: int) -> ir.TimestampValue:
    """Move a bare date up to what happened before on that day."""
    at = flat[f"_at_{k}"]
    lifted = at
    for j in range(k):
        earlier = flat[f"_at_{j}"]
        same = flat[f"_in_{j}"] & (at == at.truncate("D")) & (earlier.truncate("D") == at)
        lifted = ibis.greatest(lifted, ibis.ifelse(same.fill_null(False), earlier, at))
    return lifted


def records(flat: ir.Table, mapping: Mapping) -> dict[str, ir.Scalar]:
    """Figures by which :func:`judge` tells ids given twice, records that enter nothing, and stages in the wrong order."""
    sums = {"ids": flat["_own"].count(), "people": flat["_own"].nunique(), "nothing": flat["_nothing"].sum()}
    for k, (one, other) in enumerate(pairwise(range(len(mapping.stages)))):
        first, second = flat[f"_at_{one}"], flat[f"_at_{other}"]
        both = flat[f"_in_{one}"] & flat[f"_in_{other}"] & first.notnull() & second.notnull()
        sums |= {f"both{k}": both.sum(), f"back{k}": (both & (second < first.truncate("D"))).sum()}
    return sums


def judge(row: Any, table: ir.Table, spec: Table, mapping: Mapping) -> Judged:
    """Say what the figures of :func:`records` mean."""
    problems = []
    for k, (one, other) in enumerate(pairwise(mapping.stages)):
        both, back = int(row[f"both{k}"]), int(row[f"back{k}"])
        if both >= _ENOUGH and back > both / 2:
            what = f"expected {other!r} after {one!r}, found it before in {back:,} of {both:,} records with both dates"
            problems.append(Problem(spec.dates[other], what, "name the stages in funnel order: stages = [...]"))
    findings = (_twice(table, spec),) if row["ids"] > row["people"] else ()
    left_out = {"no stage and no date": int(row["nothing"])} if row["nothing"] else {}
    return Judged(problems=tuple(problems), findings=findings, left_out=left_out)


def _twice(table: ir.Table, spec: Table) -> Finding:
    own = table[spec.entity]
    ids = table.select(own=own).group_by("own").aggregate(n=lambda t: t.count()).filter(lambda t: t.n > 1)
    check = Check(reason="id twice", where=spec.entity, what="expected each id once in a snapshot", bad=own.isin(ids.own),
                  fix="keep one row per id, or map the file as events")  # fmt: skip
    return finding(table, check, int(table.filter(check.bad).count().execute()), entity=table[KEY])
