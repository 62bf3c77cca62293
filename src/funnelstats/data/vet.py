"""Which records cannot be true? All of them are named together, or set aside and counted when the user says so."""

from collections.abc import Sequence
from functools import reduce

import ibis
import ibis.expr.types as ir

from funnelstats.data.checks import Check, Finding, finding, rows_text
from funnelstats.data.mapping import Mapping
from funnelstats.data.shapes import Shaped
from funnelstats.data.sources import ROW
from funnelstats.errors import Problem
from funnelstats.window import ObservationWindow

_ASIDE = 'or read with on_problem="set_aside"'


def whole_problems(events: ir.Table, window: ObservationWindow | None, *, currencies: bool) -> list[Problem]:
    """Problems that concern the export as a whole: nothing in it, nothing before its end, several currencies.

    Parameters
    ----------
    events : Table
        Canonical events.
    window : ObservationWindow or None
        None when it could not be made.
    currencies : bool
        Whether a column tells the currency, so that there could be several.
    """
    row = events.aggregate(n=events.count(), first=events["at"].min()).execute().iloc[0]
    problems = []
    if row["n"] == 0:
        problems.append(
            Problem("events", "expected at least one stage entry, found none", "check the names of stages and date columns")
        )
    elif window is not None and row["first"] == row["first"] and row["first"] >= window.end:
        what = f"expected events before the end of observation {window.as_of.date()}, found the first at {row['first'].date()}"
        problems.append(Problem("as_of", what, "give the day of the export"))
    if currencies:
        priced = events.filter(events.amount.notnull() & events.currency.notnull()).group_by("currency")
        found = priced.aggregate(n=lambda t: t.count()).order_by("currency").execute()
        if len(found) > 1:
            listed = ", ".join(f"{name} in {rows_text(count)}" for name, count in found.itertuples(index=False))
            problems.append(
                Problem("currency", f"expected one currency, found {listed}", "convert the amounts to one currency first")
            )
    return problems


def won_before_first(events: ir.Table, mapping: Mapping) -> list[Finding]:
    """Entities whose success is dated before their first stage; a bare date is no earlier than a time on that day."""
    first, last = _first_dated(mapping), mapping.stages[-1]
    won = (
        events.filter(events.stage == last)
        .group_by("entity")
        .aggregate(won=lambda t: t["at"].min(), row=lambda t: t["_row"].min())
    )
    begun = events.filter(events.stage == first).select("entity", "at").inner_join(won, "entity")
    times = begun.group_by("entity").aggregate(begun=begun["at"].min(), won=begun["won"].min(), **{ROW: begun["row"].min()})
    same_day = (times.won == times.won.truncate("D")) & (times.begun.truncate("D") == times.won)
    early = times.filter((times.won < times.begun) & ~same_day)
    count = int(early.count().execute())
    if not count:
        return []
    told = early.won.strftime("%Y-%m-%d") + " before " + early.begun.strftime("%Y-%m-%d")
    what, fix = f"expected {last} no earlier than {first}", "correct the dates"
    check = Check(reason=f"{last} before {first}", where=last, what=what, fix=fix, bad=ibis.literal(True), shown=told)
    return [finding(early, check, count, entity=early.entity)]


def _first_dated(mapping: Mapping) -> str:
    """Return the first stage, or in a snapshot the first with a date: without one nobody could be seen to be won before it."""
    if any(table.shape != "snapshot" for table in mapping.tables):
        return mapping.stages[0]
    dated = {name for table in mapping.tables for name in table.dates}
    return next((name for name in mapping.stages[:-1] if name in dated), mapping.stages[0])


def all_problems(
    parts: Sequence[Shaped], whole: Sequence[Problem], findings: Sequence[Finding], *, on_problem: str
) -> list[Problem]:
    """Everything to raise, in reading order; findings of single rows only when they are not set aside."""
    several = len(parts) > 1
    problems: list[Problem] = []
    for part in parts:
        own = [*part.problems, *((_settable(one) for one in part.findings) if on_problem != "set_aside" else ())]
        problems += [Problem(f"{part.file}, {one.where}", one.what, one.fix) for one in own] if several else own
    return [*problems, *whole, *((_settable(one) for one in findings) if on_problem != "set_aside" else ())]


def set_aside(events: ir.Table, parts: Sequence[Shaped], findings: Sequence[Finding]) -> tuple[ir.Table, dict[str, int]]:
    """Leave out entities with a finding, and those marked as gone in any table.

    Returns
    -------
    events : Table
        What is left.
    counts : dict of str to int
        Entities left out, each under the first reason; rows where there is no id to count.
    """
    kind = events.schema()["entity"]
    found = [*(one for part in parts for one in part.findings), *findings]
    gone = [part.gone.mutate(entity=part.gone.entity.cast(kind)) for part in parts if part.gone is not None]
    bad = [one.entities.select(entity=one.entities.entity.cast(kind), reason=ibis.literal(one.reason)) for one in found]
    if not gone and not bad:
        return events, {}
    reasons = list(dict.fromkeys([*("deleted", "merged"), *(one.reason for one in found)]))
    every = reduce(lambda one, other: one.union(other), [*gone, *bad])
    ranked = every.filter(every.entity.notnull()).mutate(
        rank=ibis.cases(*((every.reason == r, k) for k, r in enumerate(reasons)))
    )
    first = ranked.group_by("entity").aggregate(rank=ranked["rank"].min())
    if events.get_backend().name == "duckdb":
        first = first.get_backend().create_table(ibis.util.gen_name("left_out"), first, temp=True)
    counted = first.group_by("rank").aggregate(n=lambda t: t.count()).execute().set_index("rank")["n"]
    counts = {reason: int(counted[k]) for k, reason in enumerate(reasons) if k in counted}
    counts |= {one.reason: one.count for one in found if one.reason == "no id"}
    return events.anti_join(first, "entity").filter(events.entity.notnull()), counts


def _settable(one: Finding) -> Problem:
    return Problem(one.problem.where, one.problem.what, f"{one.problem.fix}, {_ASIDE}")
