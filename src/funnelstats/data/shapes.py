"""Bring each shape of export to one form: a row per entity and stage entry, with the attributes known at that moment."""

from dataclasses import dataclass
from functools import reduce

import ibis
import ibis.expr.types as ir

from funnelstats.data import parse
from funnelstats.data.columns import nearest, resolve
from funnelstats.data.mapping import Mapping, Table
from funnelstats.data.sources import ROW
from funnelstats.errors import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaped:
    """Events of one table, the problems met on the way, and how many rows the mapping's own rule left out."""

    events: ir.Table | None
    problems: tuple[Problem, ...]
    left_out: dict[str, int]


def shape(table: ir.Table, spec: Table, mapping: Mapping) -> Shaped:
    """Read one table of an export as canonical events.

    Parameters
    ----------
    table : Table
        The source.
    spec : mapping.Table
        What its columns mean.
    mapping : Mapping
        Stages and outcomes.

    Returns
    -------
    Shaped
        ``events`` has the columns entity, stage, at, the attributes, ``_row`` and ``_shape``.
    """
    spec, problems = resolve(spec, table.columns)
    if problems:
        return Shaped(events=None, problems=tuple(problems), left_out={})
    table, left_out = _without_removed(table, spec)
    attributes, problems = _attributes(table, spec, mapping)
    attributes[ROW] = table[ROW].cast("int64") if ROW in table.columns else ibis.null("int64")
    read = _from_history if spec.shape == "events" else _from_snapshot
    events, more = read(table, spec, mapping, attributes)
    problems += more
    return Shaped(events=None if problems else events, problems=tuple(problems), left_out=left_out)


def _without_removed(table: ir.Table, spec: Table) -> tuple[ir.Table, dict[str, int]]:
    """Leave out deleted and merged records, and count them."""
    left_out = {}
    for label, column in (("deleted", spec.deleted), ("merged", spec.merged)):
        if column:
            gone = parse.flags(table, column)
            left_out[label] = int(table.filter(gone).count().execute())
            table = table.filter(~gone)
    return table, left_out


def _attributes(table: ir.Table, spec: Table, mapping: Mapping) -> tuple[dict[str, ir.Value], list[Problem]]:
    values: dict[str, ir.Value] = {}
    problems: list[Problem] = []
    for name, column in spec.columns.items():
        if name == "amount":
            amount, found = parse.numbers(table, column, decimal=spec.decimal)
            problems += found
            values[name] = ibis.null("float64") if amount is None else amount
        else:
            values[name] = table[column].cast("string").strip().nullif("") if table[column].type().is_string() else table[column].cast("string")
    values.setdefault("amount", ibis.null("float64"))
    values.setdefault("currency", ibis.null("string"))
    if mapping.currency:
        values["currency"] = ibis.coalesce(values["currency"], ibis.literal(mapping.currency))
    return values, problems


def _entity(table: ir.Table, spec: Table) -> ir.Value:
    own = table[spec.entity]
    if not spec.link:
        return own
    return ibis.coalesce(table[spec.link].cast("string").nullif(""), own.cast("string"))


def _named(table: ir.Table, spec: Table, mapping: Mapping) -> tuple[ir.Value, list[Problem]]:
    """Translate the stage column, and name values that are no stage."""
    raw = table[spec.stage].cast("string").strip().nullif("")
    known = {name: name for name in (*mapping.stages, *mapping.lost)} | spec.names
    values = table.group_by(value=raw).aggregate(n=ibis._.count()).order_by("value").execute()
    problems = []
    for value, count in values.itertuples(index=False):
        if value is None or value != value:
            if spec.shape == "events":
                problems.append(Problem(spec.stage, f"expected a stage in every row, found {count} empty"))
        elif value not in known:
            what = f"expected a known stage, found {value!r} in {count} rows"
            fix = f'{nearest(value, known)}; add "{value}" to names, stages or lost in the mapping'
            problems.append(Problem(spec.stage, what, fix))
    changed = {value: name for value, name in known.items() if value != name}
    return (raw.substitute(changed) if changed else raw), problems


def _from_history(table: ir.Table, spec: Table, mapping: Mapping, attributes: dict[str, ir.Value]) -> tuple[ir.Table, list[Problem]]:
    stage, problems = _named(table, spec, mapping)
    at, more = parse.dates(table, spec.at, date_format=spec.date_format)
    at = ibis.null("timestamp") if at is None else at
    events = table.select(entity=_entity(table, spec), stage=stage, at=at, **attributes, _shape=ibis.literal("events"))
    return events, problems + more


def _from_snapshot(table: ir.Table, spec: Table, mapping: Mapping, attributes: dict[str, ir.Value]) -> tuple[ir.Table, list[Problem]]:
    """One row per stage that has a date; with a column of the present stage, also that stage when it has none."""
    problems: list[Problem] = []
    stamps = {}
    for column in dict.fromkeys(spec.dates.values()):
        stamps[column], found = parse.dates(table, column, date_format=spec.date_format)
        problems += found
    now = None
    if spec.stage:
        now, found = _named(table, spec, mapping)
        problems += found
    if problems:
        return table, problems
    closing = {mapping.stages[-1], *mapping.lost}
    parts = []
    for outcome in (*mapping.stages, *mapping.lost):
        at = stamps[spec.dates[outcome]] if outcome in spec.dates else ibis.null("timestamp")
        keep = at.notnull() if now is None or outcome not in closing else now == outcome
        if now is not None and outcome not in closing:
            keep = keep | (now == outcome)
        if outcome in spec.dates or now is not None:
            row = {"entity": _entity(table, spec), "stage": ibis.literal(outcome), "at": at, **attributes}
            parts.append(table.filter(keep).select(**row, _shape=ibis.literal("snapshot")))
    return reduce(lambda one, other: one.union(other), parts), []
