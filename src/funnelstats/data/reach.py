"""How far did each entity get, when, and how did it end?

One pass over the events, one row per entity. ``reached`` is the number of required stages beyond the first that it got to
(0 = only the first), ``at_0 ... at_K`` are the moments of entry, ``fate`` is won, lost or open.

An entity's *last* event decides its fate: lost and later seen in an open stage means reopened, so open; won and later
back in a stage is not won. Where dates tie, success beats an open stage and loss beats both. Under a rule of order other than
``furthest``, who won out of order is lost to the funnel.
"""

from collections.abc import Callable, Sequence
from functools import cache, reduce
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from funnelstats.data.definition import Definition

FAR = ibis.timestamp("9999-12-31")
LONG_AGO = ibis.timestamp("0001-01-01")


def reach(
    events: ir.Table, *, stages: Sequence[str], lost: Sequence[str], definition: Definition, by: Sequence[str] = ()
) -> ir.Table:
    """Summarise events to one row per entity.

    Parameters
    ----------
    events : Table
        Columns entity, stage, at and the attributes named in ``by``, nothing after the end of observation.
    stages : sequence of str
        Required stages in funnel order.
    lost : sequence of str
        Outcomes that end an entity.
    definition : Definition
        Which rule of order applies; windows are applied later, in :mod:`funnelstats.data.tally`.
    by : sequence of str
        Attributes to carry: the latest value known.

    Returns
    -------
    Table
        Columns entity, ``by``, ``at_0`` ... ``at_K``, ``dated_0`` ... ``dated_K`` (false where a skipped or undated stage
        borrowed the moment of the next one, so that its duration is unknown), reached, fate, ended (moment of loss).
    """
    stage, final = events.stage, len(stages) - 1
    at = events["at"].fill_null(FAR)  # an undated entry is an entry all the same
    own = {f"own_{k}": at.min(where=stage == name) for k, name in enumerate(stages)}
    ends = {
        "last": events["at"].max(),
        "last_won": at.max(where=stage == stages[-1]),
        "last_lost": at.max(where=stage.isin(lost)),
    }
    attributes = {name: latest(events, name) for name in by}
    people = events.group_by("entity").aggregate(**attributes, **own, **ends)
    people = people.mutate(**_moments(people, final), **_ends(people), reached=_furthest(people, final))
    if definition.order != "furthest":
        people = _in_order(events, people, stages, definition.order)
    reached = ibis.ifelse((people.fate == "won") & (people.reached >= final), final, ibis.least(people.reached, final - 1))
    fate = ibis.ifelse((people.fate == "won") & (reached < final), "lost", people.fate)  # won, but out of this order
    dated = {f"dated_{k}": (people[f"own_{k}"] == people[f"at_{k}"]).fill_null(False) for k in range(final + 1)}
    keep = ["entity", *by, *(f"at_{k}" for k in range(final + 1)), *dated, "reached", "fate", "ended"]
    return people.mutate(reached=reached, fate=fate, **dated).select(*keep)


def latest(events: ir.Table, name: str) -> ir.Scalar:
    """Return the last value known of an attribute; an undated one where there is no other."""
    at = events["at"].fill_null(LONG_AGO)
    if events.get_backend().name == "duckdb":
        # its own arg_max skips nulls as well, and is twice as fast as the ordered first() that Ibis writes for it
        return _arg_max(events[name].type())(events[name], at)
    return events[name].argmax(at, where=events[name].notnull())


@cache  # one function for one type: Ibis takes two expressions for the same only where their functions are
def _arg_max(kind: dt.DataType) -> Callable[[ir.Value, ir.Value], ir.Scalar]:
    """Return DuckDB's aggregate of that name for values of one type."""
    return ibis.udf.agg.builtin(_no_body, name="arg_max", signature=((kind, dt.timestamp), kind))


def _no_body(value: Any, at: Any) -> Any:
    """Stand for a function of the engine."""


def _ends(people: ir.Table) -> dict[str, ir.Value]:
    """Fate by the last event, and the moment of loss where it has a date."""
    is_lost = _later(people.last_lost, people.last) & _later(people.last_lost, people.last_won)
    is_won = _later(people.last_won, people.last)
    return {"fate": ibis.cases((is_lost, "lost"), (is_won, "won"), else_="open"), "ended": people.last_lost.nullif(FAR)}


def _later(one: ir.Value, other: ir.Value) -> ir.BooleanValue:
    """Whether ``one`` is no earlier than ``other``, where a missing ``other`` is earlier than everything."""
    return one.notnull() & (other.isnull() | (one >= other))


def _moments(people: ir.Table, final: int) -> dict[str, ir.Value]:
    """Moment of entry to each stage or, where that is earlier or the only one known, to a later stage."""
    first: dict[str, ir.Value] = {}
    moment: ir.Value = FAR
    for k in range(final, -1, -1):
        # coalesced because on some engines the least of a value and nothing is nothing
        own = people[f"own_{k}"].fill_null(FAR)
        moment = ibis.least(own, moment) if first else own
        first[f"at_{k}"] = moment.nullif(FAR)
    return first


def _furthest(people: ir.Table, final: int) -> ir.IntegerValue:
    return ibis.cases(*((people[f"own_{k}"].notnull(), k) for k in range(final, 0, -1)), else_=0)


def _in_order(events: ir.Table, people: ir.Table, stages: Sequence[str], order: str) -> ir.Table:
    """Replace ``at_k`` and ``reached`` by those of the chain of stages under a rule of order."""
    chains = {"ordered": _ordered, "strict": _strict, "any": _any}
    chain = chains[order](events, stages)
    kept = people.drop(*(f"at_{k}" for k in range(len(stages))), "reached")
    joined = kept.inner_join(chain, "entity")
    steps = range(len(stages) - 1, 0, -1)
    return joined.mutate(reached=ibis.cases(*((joined[f"at_{k}"].notnull(), k) for k in steps), else_=0))


def _ordered(events: ir.Table, stages: Sequence[str]) -> ir.Table:
    """Each stage's first entry that is no earlier than the entry counted for the stage before."""
    first = events.filter(events.stage == stages[0])
    chain = first.group_by("entity").aggregate(at_0=first["at"].min())
    for k, name in enumerate(stages[1:], start=1):
        here = events.filter(events.stage == name).select("entity", "at")
        after = here.inner_join(chain.select("entity", _from=chain[f"at_{k - 1}"]), "entity")
        after = after.filter(after["at"] >= after["_from"]).group_by("entity").aggregate(**{f"at_{k}": lambda t: t["at"].min()})
        chain = chain.left_join(after, "entity").drop("entity_right")
    return chain


def _strict(events: ir.Table, stages: Sequence[str]) -> ir.Table:
    """Entries whose immediate predecessors are exactly the stages before; repeated saves of one stage are one entry."""
    rank = ibis.cases(*((events.stage == name, k) for k, name in enumerate(stages)), else_=len(stages))
    window = ibis.window(group_by="entity", order_by=["at", "_rank"])
    ranked = events.mutate(_rank=rank)
    ranked = ranked.mutate(_before=ranked.stage.lag().over(window))
    ranked = ranked.filter(ranked["_before"].isnull() | (ranked["_before"] != ranked.stage))
    ranked = ranked.mutate(**{f"lag_{j}": ranked.stage.lag(j).over(window) for j in range(1, len(stages))})
    times = {}
    for k, name in enumerate(stages):
        conditions = [ranked.stage == name, *(ranked[f"lag_{j}"] == stages[k - j] for j in range(1, k + 1))]
        times[f"at_{k}"] = ranked["at"].min(where=reduce(lambda one, other: one & other, conditions))
    chain = ranked.group_by("entity").aggregate(**times)
    return chain.filter(chain.at_0.notnull())


def _any(events: ir.Table, stages: Sequence[str]) -> ir.Table:
    """All stages so far entered, in whatever order; the moment is that of the last of them."""
    chain = events.group_by("entity").aggregate(
        **{f"first_{k}": events["at"].min(where=events.stage == s) for k, s in enumerate(stages)}
    )
    times = {}
    for k in range(len(stages)):
        firsts = [chain[f"first_{j}"] for j in range(k + 1)]
        all_there = reduce(lambda one, other: one & other, [first.notnull() for first in firsts])
        times[f"at_{k}"] = ibis.ifelse(all_there, ibis.greatest(*firsts) if k else firsts[0], ibis.null("timestamp"))
    return chain.filter(chain.first_0.notnull()).select("entity", **times)
