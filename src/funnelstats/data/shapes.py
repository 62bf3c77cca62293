"""How does each shape of export become one form: a row per entity and stage entry, with the attributes known at that moment?"""

from dataclasses import dataclass, field, replace

import ibis
import ibis.expr.types as ir

from funnelstats.data.amounts import numbers
from funnelstats.data.checks import Cells, Check, Finding, finding
from funnelstats.data.columns import resolve, used
from funnelstats.data.mapping import Mapping
from funnelstats.data.names import named
from funnelstats.data.parse import dates, filled
from funnelstats.data.rows import KEY, belonging, unmarked
from funnelstats.data.snapshot import judge, melt, read_snapshot, records
from funnelstats.data.sources import ROW, Part
from funnelstats.data.table import Table
from funnelstats.errors import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaped:
    """Events of one table, and what was met on the way.

    Parameters
    ----------
    file : str
        Name of the table's file.
    source : Table or None
        What was read; None when a column is missing.
    melted : bool
        Whether one row of the source gives several events.
    linked : bool
        Whether its entities go on in another table.
    events : Table or None
        Columns entity, stage, at, the attributes, ``_row`` and ``_shape``; None when a column is missing.
    problems : tuple of Problem
        Of the mapping or of a column as a whole.
    findings : tuple of Finding
        Of single rows.
    left_out : dict of str to int
        Rows that the mapping's own rules leave out.
    gone : Table or None
        Entities marked as deleted or merged: columns entity and reason.
    """

    file: str
    source: ir.Table | None = None
    melted: bool = False
    linked: bool = False
    events: ir.Table | None = None
    problems: tuple[Problem, ...] = ()
    findings: tuple[Finding, ...] = ()
    left_out: dict[str, int] = field(default_factory=dict)
    gone: ir.Table | None = None


def shape(part: Part, spec: Table, mapping: Mapping) -> Shaped:
    """Read one table of an export as canonical events.

    Parameters
    ----------
    part : Part
        The source.
    spec : mapping.Table
        What its columns mean.
    mapping : Mapping
        Stages and outcomes.
    """
    spec, problems = resolve(spec, part.columns)
    if problems:
        return Shaped(file=part.name, problems=tuple(problems))
    source = part.read(used(spec))
    kept = belonging(source, spec)
    clean = unmarked(kept.table, spec)
    table = clean.table
    entry = read_snapshot(table, spec, mapping) if spec.shape == "snapshot" else _entry(table, spec, mapping)
    attributes = _attributes(table, spec, mapping)
    nameless = Check(
        reason="no id", where=spec.entity, what="expected an id in every row", fix="fill it in", bad=table[KEY].isnull()
    )
    checks = (nameless, *entry.checks, *attributes.checks, *clean.checks)
    flags = {f"_bad{place}": check.bad.fill_null(False) for place, check in enumerate(checks)}
    flat = table.select(entity=table[KEY], **entry.values, **attributes.values, **flags)
    if part.copied:  # read the texts once
        flat = flat.get_backend().create_table(ibis.util.gen_name("flat"), flat, temp=True)
    sums = {name: flat[name].sum() for name in flags} | (records(flat, mapping) if spec.shape == "snapshot" else {})
    row = flat.aggregate(**sums).fill_null(0).execute().iloc[0]
    findings = [
        finding(table, check, int(row[name]), entity=table[KEY]) for name, check in zip(flags, checks, strict=True) if row[name]
    ]
    names = ("entity", "stage", "at", *attributes.values)
    if spec.shape == "snapshot":
        judged = judge(row, table, spec, mapping)
        entry = replace(entry, problems=(*entry.problems, *judged.problems), left_out=entry.left_out | judged.left_out)
        findings += judged.findings
        events = melt(flat, mapping).select(*names, _shape=ibis.literal("snapshot"))
    else:
        events = flat.filter(~flat["_other"]).select(*names, _shape=ibis.literal("events"))
    left_out = kept.left_out | clean.left_out | entry.left_out
    return Shaped(file=part.name, source=source, melted=spec.shape == "snapshot", linked=bool(spec.link), events=events,
                  problems=(*entry.problems, *attributes.problems), findings=tuple(findings), left_out=left_out,
                  gone=clean.gone)  # fmt: skip


def _attributes(table: ir.Table, spec: Table, mapping: Mapping) -> Cells:
    """Every attribute, the amount and its currency among them, and the row's number."""
    values: dict[str, ir.Value] = {
        name: table[column].cast("string") for name, column in spec.columns.items() if name != "amount"
    }
    values |= {"amount": ibis.null("float64"), "currency": values.get("currency", ibis.null("string")).upper()}
    values["_row"] = table[ROW].cast("int64") if ROW in table.columns else ibis.null("int64")
    if mapping.currency:
        values["currency"] = ibis.coalesce(values["currency"], ibis.literal(mapping.currency))
    if "amount" not in spec.columns:
        return Cells(values=values)
    column = spec.columns["amount"]
    amount = numbers(table, column, decimal=spec.decimal)
    negative = Check(reason="negative amount", where=column, what="expected no negative amount", shown=table[column],
                     fix="pass refunds as their own event", bad=amount.value < 0)  # fmt: skip
    return Cells(values=values | {"amount": amount.value}, checks=(*amount.checks, negative), problems=amount.problems)


def _entry(table: ir.Table, spec: Table, mapping: Mapping) -> Cells:
    """The stage entered and the moment, one per row."""
    name = named(table, spec, mapping)
    at = dates(table, spec.at, date_format=spec.date_format)
    own = table[spec.at]
    checks = [Check(reason="no stage", where=spec.stage, what="expected a stage in every row", fix="fill it in",
                    bad=name.stage.isnull() & ~name.other)]  # fmt: skip
    if not at.problems:
        checks.append(Check(reason="no date", where=spec.at, what="expected a date for every stage entry", fix="fill it in",
                            bad=(filled(own) if own.type().is_string() else own).isnull()))  # fmt: skip
    return Cells(values={"stage": name.stage, "at": at.value, "_other": name.other}, checks=(*checks, *at.checks),
                 problems=(*name.problems, *at.problems), left_out=name.dropped)  # fmt: skip
