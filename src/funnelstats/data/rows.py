"""Which rows of a table belong to the funnel at all? Those left out are counted, each under the first reason that applies."""

from dataclasses import dataclass, field, replace
from functools import reduce
from operator import or_

import ibis
import ibis.expr.types as ir

from funnelstats.data.amounts import deleted, merged
from funnelstats.data.checks import Check
from funnelstats.data.columns import used
from funnelstats.data.parse import dates, present, trimmed
from funnelstats.data.table import Table

#: Column added to a source: the id under which an entity is counted.
KEY = "_funnel_entity"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is left of a table, how many rows were left out and why, and entities to be left out of every other table too."""

    table: ir.Table
    left_out: dict[str, int] = field(default_factory=dict)
    gone: ir.Table | None = None
    checks: tuple[Check, ...] = ()


def belonging(table: ir.Table, spec: Table) -> Kept:
    """Take blanks off texts, add the entity's key, leave out empty rows and those with another value than ``only`` asks for.

    One pass tells what there is to do, so that a clean table stays the plain scan it was.
    """
    asked = [name for name in dict.fromkeys([spec.entity, spec.stage, spec.at, *spec.dates.values()]) if name]
    plain_first = sorted(asked, key=lambda name: table[name].type().is_string())
    empty = reduce(lambda rest, name: ibis.ifelse(_empty(table[name]), rest, False), reversed(plain_first), ibis.literal(True))
    tests = {"empty row": empty}
    tests |= {f"{column} is not {value}": (_bare(table[column]) != value).fill_null(True) for column, value in spec.only.items()}
    blanks = {name: _has_blanks(table[name]).sum() for name in used(spec) if table[name].type().is_string()}
    kept, figures = _without(table, tests, blanks)
    table = kept.table
    table = table.mutate(**{name: trimmed(table[name]) for name in blanks if figures[name]})
    return replace(kept, table=table.mutate(**{KEY: _key(table, spec)}))


def unmarked(table: ir.Table, spec: Table) -> Kept:
    """Leave out deleted and merged records.

    A row of a snapshot stands for its record. A record with a history is gone when its last row says so: an earlier mark was
    undone. A record that goes on under the id of another table (``link``) is left out by itself, the other stays.
    """
    flags: dict[str, ir.BooleanValue] = {}
    checks: tuple[Check, ...] = ()
    if spec.deleted:
        flags["deleted"], checks = deleted(table, spec.deleted)
    if spec.merged:
        flags["merged"] = merged(table, spec.merged)
    kept, _ = _without(table, flags)
    if not kept.left_out or spec.link:
        return Kept(table=kept.table, left_out=kept.left_out, checks=checks)
    if spec.shape == "snapshot":
        marked = [table.filter(flag).select(entity=table[KEY], reason=ibis.literal(name)) for name, flag in flags.items()]
        return Kept(table=kept.table, gone=reduce(_union, marked), checks=checks)
    at = dates(table, spec.at, date_format=spec.date_format).value
    gone = reduce(_union, [_finally(table, flag, at, name) for name, flag in flags.items()])
    return Kept(table=table.anti_join(gone, table[KEY] == gone.entity), gone=gone, checks=checks)


def _key(table: ir.Table, spec: Table) -> ir.Value:
    own = present(table[spec.entity], backend=table.get_backend())
    return ibis.coalesce(table[spec.link].cast("string"), own.cast("string")) if spec.link else own


def _bare(value: ir.Value) -> ir.Value:
    return value.strip() if value.type().is_string() else value.cast("string")


def _empty(value: ir.Value) -> ir.BooleanValue:
    if not value.type().is_string():
        return value.isnull()
    return value.isnull() | ibis.ifelse(value.startswith(" "), value.strip() == "", value == "")


def _has_blanks(value: ir.StringValue) -> ir.BooleanValue:
    """Whether there is something to take off, asked without a regular expression."""
    ends = [test for blank in (" ", "\u00a0") for test in (value.startswith(blank), value.endswith(blank))]
    return reduce(or_, ends, value == "")


def _without(
    table: ir.Table, tests: dict[str, ir.BooleanValue], also: dict[str, ir.Scalar] | None = None
) -> tuple[Kept, dict[str, int]]:  # fmt: skip
    """Filter rows out, counted in one pass with whatever else is asked; a table with nothing to leave out stays as it is."""
    sums, before = {}, ibis.literal(False)
    for place, test in enumerate(tests.values()):
        sums[f"n{place}"] = (test & ~before).sum()
        before = before | test
    sums |= {f"a{place}": scalar for place, scalar in enumerate((also or {}).values())}
    if not sums:
        return Kept(table=table), {}
    row = table.aggregate(**sums).fill_null(0).execute().iloc[0]
    left_out = {reason: int(row[f"n{place}"]) for place, reason in enumerate(tests) if row[f"n{place}"]}
    applied = [tests[reason] for reason in left_out]
    kept = Kept(table=table.filter(~reduce(or_, applied)) if applied else table, left_out=left_out)
    return kept, {name: int(row[f"a{place}"]) for place, name in enumerate(also or {})}


def _finally(table: ir.Table, flag: ir.BooleanValue, at: ir.Value, reason: str) -> ir.Table:
    """Entities whose last row is marked."""
    rows = table.select(entity=table[KEY], at=at, flag=flag)
    last = rows.group_by("entity").aggregate(any=rows.flag.any(), marked=rows["at"].max(where=rows.flag), last=rows["at"].max())
    return last.filter(last.any & (last.marked >= last.last).fill_null(True)).select("entity", reason=ibis.literal(reason))


def _union(one: ir.Table, other: ir.Table) -> ir.Table:
    return one.union(other)
