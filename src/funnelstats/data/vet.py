"""Refuse what cannot be true, all of it at once: two currencies, a negative amount, success before the first stage."""

from dataclasses import dataclass
from typing import Literal

import ibis.expr.types as ir

from funnelstats.data.mapping import Mapping
from funnelstats.data.sources import ROW
from funnelstats.errors import DataError, Problem
from funnelstats.window import ObservationWindow


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A condition that no true record meets, with what to say of those that do."""

    reason: str
    where: str
    what: str
    fix: str
    bad: ir.Table


def vet(
    events: ir.Table, mapping: Mapping, window: ObservationWindow, *, subject: str, on_problem: Literal["raise", "set_aside"]
) -> tuple[ir.Table, dict[str, int]]:
    """Check canonical events.

    Parameters
    ----------
    events : Table
        As :func:`funnelstats.data.shapes.shape` makes them.
    mapping : Mapping
        Stages and outcomes.
    window : ObservationWindow
        For the check that anything was observed before its end.
    subject : str
        Name and size of the source, for the error.
    on_problem : {"raise", "set_aside"}
        Raise, or leave out the entities concerned.

    Returns
    -------
    events : Table
        What is left.
    set_aside : dict of str to int
        Entities left out, by reason.

    Raises
    ------
    DataError
        Every problem with its count and first rows.
    """
    if on_problem not in ("raise", "set_aside"):
        raise DataError(subject, [Problem("on_problem", f"expected 'raise' or 'set_aside', found {on_problem!r}")])
    problems = _whole(events, window)
    checks = [check for check in _checks(events, mapping) if check.bad.count().execute()]
    if problems or (checks and on_problem == "raise"):
        raise DataError(subject, problems + [_problem(check) for check in checks])
    set_aside = {}
    for check in checks:
        set_aside[check.reason] = int(check.bad.entity.nunique().execute())
        events = events.anti_join(check.bad.filter(check.bad.entity.notnull()), "entity").filter(events.entity.notnull())
    return events, set_aside


def _whole(events: ir.Table, window: ObservationWindow) -> list[Problem]:
    """Problems that concern the export as a whole."""
    problems = []
    row = events.aggregate(n=events.count(), first=events["at"].min(), last=events["at"].max()).execute().iloc[0]
    if row["n"] == 0:
        problems.append(Problem("events", "expected at least one stage entry, found none", "check the names of stages and date columns"))
    elif row["first"] == row["first"] and row["first"] >= window.end:
        what = f"expected events before the end of observation {window.as_of.date()}, found the first at {row['first'].date()}"
        problems.append(Problem("as_of", what, "give the day of the export"))
    currencies = events.filter(events.currency.notnull() & events.amount.notnull()).group_by("currency")
    found = currencies.aggregate(n=lambda t: t.count()).order_by("currency").execute()
    if len(found) > 1:
        listed = ", ".join(f"{name} in {count:,} rows" for name, count in found.itertuples(index=False))
        problems.append(Problem("currency", f"expected one currency, found {listed}", "convert the amounts to one currency first"))
    return problems


def _checks(events: ir.Table, mapping: Mapping) -> list[Check]:
    nameless = events.filter(events.entity.isnull())
    dateless = events.filter(events["at"].isnull() & (events["_shape"] == "events"))
    negative = events.filter(events.amount < 0)
    once = events.filter(events["_shape"] == "snapshot").group_by("entity", "stage").aggregate(_n=lambda t: t.count(), **_row(events))
    first, last = mapping.stages[0], mapping.stages[-1]
    times = events.group_by("entity").aggregate(
        begun=events["at"].min(where=events.stage == first), won=events["at"].min(where=events.stage == last), **_row(events)
    )
    return [
        Check(reason="no id", where="entity", what="expected an id in every row", fix="fill it in", bad=nameless),
        Check(reason="no date", where="at", what="expected a date for every stage entry", fix="fill it in", bad=dateless),
        Check(reason="negative amount", where="amount", what="expected no negative amount", fix="pass refunds as their own event",
              bad=negative),
        Check(reason="id twice", where="entity", what="expected each id once in a snapshot",
              fix="keep one row per id, or map the file as events", bad=once.filter(once["_n"] > 1)),
        Check(reason=f"{last} before {first}", where=last, what=f"expected {last} no earlier than {first}",
              fix="correct the dates", bad=times.filter(times.won < times.begun)),
    ]  # fmt: skip


def _row(events: ir.Table) -> dict[str, ir.Scalar]:
    return {ROW: events[ROW].min()}


def _problem(check: Check) -> Problem:
    count = int(check.bad.count().execute())
    first = check.bad.order_by([ROW, "entity"]).limit(3).select("entity", ROW).execute()
    shown = [f"{entity}" + (f" (row {int(row)})" if row == row else "") for entity, row in first.itertuples(index=False)]
    fix = check.fix + ', or read with on_problem="set_aside"'
    return Problem(check.where, f"{check.what}, found {count:,} otherwise, first: {', '.join(shown)}", fix)
