"""Which rows of a table break a rule, how many are there, and what do the first of them look like?

All rules of a table are counted in one pass; a second pass fetches examples only where something was found.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import ibis
import ibis.expr.types as ir

from funnelstats.data.sources import ROW
from funnelstats.errors import Problem

_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A condition that no row should meet.

    Parameters
    ----------
    reason : str
        Short name, for the audit of what was set aside.
    where : str
        Column, as the source spells it.
    what : str
        What was expected.
    fix : str
        What to do about it.
    bad : BooleanValue
        True for the rows that break the rule.
    shown : Value, optional
        What to show of such a row besides its id.
    called : str
        What such rows are called in the message; "other" when empty.
    """

    reason: str
    where: str
    what: str
    fix: str
    bad: ir.BooleanValue
    shown: ir.Value | None = None
    called: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Values to take from each row, what to check of them, and what is wrong or left out already."""

    values: dict[str, ir.Value]
    checks: tuple[Check, ...] = ()
    problems: tuple[Problem, ...] = ()
    left_out: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A check that found something: the text for the user, and the entities to leave out when told to."""

    reason: str
    problem: Problem
    count: int
    entities: ir.Table


def finding(table: ir.Table, check: Check, count: int, *, entity: ir.Value) -> Finding:
    """Say what a check found, with the first rows."""
    shown = ibis.null("string") if check.shown is None else check.shown.cast("string")
    row = table[ROW] if ROW in table.columns else ibis.null("int64")
    rows = table.select(entity=entity, shown=shown, row=row, bad=check.bad).filter(lambda t: t.bad)
    first = rows.order_by(["row", "entity"]).limit(_SHOWN).execute()
    listed = "; ".join(_example(*values) for values in first[["entity", "shown", "row"]].itertuples(index=False))
    others = f"{count:,} {check.called or ('other' if count == 1 else 'others')}"
    problem = Problem(check.where, f"{check.what}, found {others}{', first' if count > _SHOWN else ''}: {listed}", check.fix)
    return Finding(reason=check.reason, problem=problem, count=count, entities=rows.select("entity"))


def _example(entity: object, shown: object, row: float) -> str:
    """Spell one row: the value in question, the id and the row's number, as far as there are any."""
    value = repr(shown) if isinstance(shown, str) else ""
    of = "" if entity is None or entity != entity else f"id {entity}"
    place = "" if row is None or row != row else f"row {int(row)}"
    behind = ", ".join(part for part in (of, place) if part)
    return f"{value} ({behind})" if value and behind else value or behind or "a row"


def examine(table: ir.Table, checks: Sequence[Check], *, entity: ir.Value) -> list[Finding]:
    """Count every check in one pass, and look at examples of those that found something."""
    if not checks:
        return []
    sums = {f"c{place}": check.bad.sum() for place, check in enumerate(checks)}
    counts = table.aggregate(**sums).fill_null(0).execute().iloc[0]
    return [finding(table, check, int(count), entity=entity) for check, count in zip(checks, counts, strict=True) if count]


def rows_text(count: int) -> str:
    """Spell a number of rows."""
    return "1 row" if count == 1 else f"{count:,} rows"
