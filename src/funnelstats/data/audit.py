"""What is wrong with this export, and how far does each defect move the headline?

Each check flags entities. Its effect is the change of the share won so far when the flagged entities are left out, which
tells an analyst what is worth mending first. A defect of amounts or of repeated saves cannot move a count, and who has it depends
on how far a deal got, so leaving those out would measure progress, not dirt: such a check has no effect by construction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import ibis
import ibis.expr.types as ir
import pandas as pd

from funnelstats.window import ObservationWindow

#: So many entities at one instant that is not midnight look like one bulk edit, not like so many decisions.
BULK = 20
#: Checks that cannot move who counts as won.
INERT = ("repeated", "amounts", "no_amount", "zero_amount", "zero_lost", "tied")
#: An open entity is stale at twice the age by which this share of the decided was decided.
MATURE = 0.9


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Audit:
    """Result of :meth:`EventLog.audit`.

    Attributes
    ----------
    frame : DataFrame
        One row per check: ``check``, ``rule`` (how such records are read), ``entities`` (flagged), ``first`` (up to three
        ids), ``won_without`` (share won so far without them) and ``effect`` (that minus the headline, a difference of shares).
    headline : float
        Share won so far of all entered.
    entities : int
        All entities.
    not_checked : tuple of str
        What this export cannot be checked for, with the reason.
    source : str
        Name of the export.
    """

    frame: pd.DataFrame
    headline: float
    entities: int
    not_checked: tuple[str, ...]
    source: str

    @property
    def found(self) -> pd.DataFrame:
        """The checks that found something, the one that moves the headline most first."""
        some = self.frame[self.frame["entities"] > 0]
        return some.sort_values("effect", key=lambda effect: effect.abs(), ascending=False).reset_index(drop=True)

    def __repr__(self) -> str:
        head = f"<Audit of {self.source}: {self.headline:.2%} of {self.entities:,} entities won so far>"
        return "\n".join([head, self.found.to_string(index=False), *(f"not checked: {text}" for text in self.not_checked)])

    def _repr_html_(self) -> str:
        from html import escape

        head, *_ = repr(self).partition("\n")
        formats = {"effect": "{:+.2%}".format, "won_without": "{:.2%}".format, "entities": "{:,}".format}
        missed = "".join(f"<li>not checked: {escape(text)}</li>" for text in self.not_checked)
        return f"<p>{escape(head[1:-1])}</p>{self.found.to_html(index=False, formatters=formats)}<ul>{missed}</ul>"


def audit(
    observed: ir.Table, people: ir.Table, *, stages: Sequence[str], lost: Sequence[str], window: ObservationWindow,
    attributes: Sequence[str], removed: dict[str, int], all_events: ir.Table, source: str,
) -> Audit:  # fmt: skip
    """Run every check.

    Parameters
    ----------
    observed, all_events : Table
        Events up to the end of observation; all that were read.
    people : Table
        One row per entity, as :func:`funnelstats.data.reach.reach` makes it.
    stages, lost, window, attributes, removed, source
        Of the log.
    """
    flagged = _flags(observed, people, stages, lost, attributes).join(
        _row_flags(observed, all_events, window), "entity", how="left"
    )
    flagged = flagged.inner_join(people.select("entity", "fate", _stale=_stale(people, observed, window)), "entity")
    checks = {**_rules(stages, attributes), "nothing recorded for long": (flagged["_stale"], "open, as recorded")}
    flagged = flagged.select("entity", "fate", **{f"c{i}": (flagged[test] if isinstance(test, str) else test).fill_null(False)
                                                  for i, (test, _) in enumerate(checks.values())})  # fmt: skip
    # the flags are asked several times below; a temporary table spares the engine the same pass over all events
    table = flagged.get_backend().create_table(ibis.util.gen_name("audit"), flagged, temp=True)
    won = table.fate == "won"
    sums = {"_all": table.count(), "_won": won.sum()}
    for i in range(len(checks)):
        sums |= {f"n{i}": table[f"c{i}"].sum(), f"w{i}": (table[f"c{i}"] & won).sum()}
    row = table.aggregate(**sums).execute().iloc[0]
    headline = row["_won"] / row["_all"]
    rows = []
    for i, (name, (test, rule)) in enumerate(checks.items()):
        n = int(row[f"n{i}"])
        first = table.filter(table[f"c{i}"]).order_by("entity").limit(3).execute()["entity"] if n else []
        rest = row["_all"] - n
        moves = rest and not (isinstance(test, str) and test in INERT)
        without = (row["_won"] - row[f"w{i}"]) / rest if moves else headline
        rows.append((name, rule, n, ", ".join(map(str, first)), without, without - headline))
    rows += [(f"left out: {reason}", "not counted anywhere", count, "", headline, 0.0) for reason, count in removed.items()]
    frame = pd.DataFrame(rows, columns=["check", "rule", "entities", "first", "won_without", "effect"])
    return Audit(frame=frame, headline=float(headline), entities=int(row["_all"]), source=source,
                 not_checked=_not_checked(attributes))  # fmt: skip


def _rules(stages: Sequence[str], attributes: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Name each check with its flag and the rule by which such records are read."""
    rules = {
        "stage skipped": ("skipped", "counted as having passed the stage"),
        "moved backwards": ("backward", "counted at the furthest stage"),
        "stage saved again": ("repeated", "the first entry counts"),
        "reopened after a loss": ("reopened", "not lost; the last event decides"),
        "recycled to the first stage": ("recycled", "one entity, entered once"),
        "won, then moved on": ("undone", "not won; the last event decides"),
        "entry without a date": ("undated", "counted; has no age"),
        "two stages at one moment": ("tied", "the later stage counts as later"),
        "one of many at one instant": ("bulk", "counted as recorded"),
        "dated after the end of observation": ("future", "the event is not counted yet"),
        "amount changed": ("amounts", "the last amount counts"),
        "won without an amount": ("no_amount", "left out of mean amounts"),
        "won with amount zero": ("zero_amount", "counted as zero"),
        "lost with amount zero": ("zero_lost", "left out of mean amounts"),
    }
    for name in attributes:
        rules[f"{name} missing"] = (f"no_{name}", "its own segment (none)")
        rules[f"{name} changed"] = (f"many_{name}", "the last one counts")
    return rules


def _flags(events: ir.Table, people: ir.Table, stages: Sequence[str], lost: Sequence[str], attributes: Sequence[str]) -> ir.Table:
    """One row per entity with what its own events tell."""
    stage, at, final = events.stage, events["at"], stages[-1]
    dated = set(events.filter(at.notnull()).select("stage").distinct().execute()["stage"])  # a stage nobody dates is not skipped
    last = {k: at.max(where=stage == name) for k, name in enumerate(stages)}
    later = [last[k] > at.min(where=stage.isin(stages[k + 1 :])) for k in range(len(stages) - 1)]
    asked = [name for name in stages if name in dated]
    seen = reduce(lambda one, other: one + other, [(stage == name).any().cast("int64") for name in asked])
    place = ibis.cases(*((stage == name, k + 1) for k, name in enumerate(asked)), else_=0)
    last_won, first_lost = last[len(stages) - 1], at.min(where=stage.isin(lost))
    amount = events.amount.argmax(at, where=events.amount.notnull())
    flags: dict[str, ir.Value] = {
        "skipped": seen < place.max(),
        "backward": reduce(lambda one, other: one | other, [test.fill_null(False) for test in later]),
        "repeated": events.count() > events.stage.nunique(),
        "reopened": first_lost < at.max(where=stage.notin(lost)),
        "recycled": first_lost < last[0],
        "undone": (last_won < at.max(where=stage != final)),
        "undated": at.isnull().any(),
        "tied": at.nunique() < events.count() - at.isnull().sum(),
        "amounts": events.amount.nunique() > 1,
        "no_amount": (stage == final).any() & amount.isnull(),
        "zero_amount": (stage == final).any() & (amount == 0),
        "zero_lost": stage.isin(lost).any() & ~(stage == final).any() & (amount == 0),
    }
    for name in attributes:
        flags |= {f"no_{name}": events[name].count() == 0, f"many_{name}": events[name].nunique() > 1}
    return events.group_by("entity").aggregate(**flags)


def _row_flags(observed: ir.Table, all_events: ir.Table, window: ObservationWindow) -> ir.Table:
    """Flags that need other entities' events, or events after the end of observation."""
    timed = observed.filter(observed["at"].notnull() & (observed["at"] != observed["at"].truncate("D")))
    crowded = timed.group_by("at").aggregate(_n=timed.entity.nunique()).filter(lambda t: t["_n"] >= BULK)
    bulk = timed.semi_join(crowded, "at").select("entity").distinct()
    future = all_events.filter(all_events["at"] >= ibis.timestamp(str(window.end))).select("entity").distinct()
    marked = [
        table.mutate(bulk=ibis.literal(is_bulk), future=ibis.literal(not is_bulk))
        for table, is_bulk in ((bulk, True), (future, False))
    ]
    both = marked[0].union(marked[1])
    return both.group_by("entity").aggregate(bulk=both.bulk.any(), future=both.future.any())


def _stale(people: ir.Table, observed: ir.Table, window: ObservationWindow) -> ir.Value:
    """Open, and entered longer ago than nine in ten of the lost and won took twice over."""
    moments = [name for name in people.columns if name.startswith("at_")]
    over = ibis.coalesce(people.ended, people[moments[-1]])
    decided = people.filter(people.fate != "open").select(s=over.epoch_seconds() - people.at_0.epoch_seconds())
    limit = decided.aggregate(q=decided.s.quantile(MATURE)).execute()["q"].iloc[0]
    if limit != limit:
        return ibis.literal(False)
    age = ibis.timestamp(str(window.end)).epoch_seconds() - people.at_0.epoch_seconds()
    return (people.fate == "open") & (age > 2 * float(limit))


def _not_checked(attributes: Sequence[str]) -> tuple[str, ...]:
    missed = ["close dates pushed back: an export of stage entries does not keep them",
              "time zones: times are taken as written, or as UTC where they name a zone"]  # fmt: skip
    if "company" not in attributes:
        missed.append("several deals of one company: map a column to company")
    return tuple(missed)
