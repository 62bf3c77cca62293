"""The log of one funnel: who entered which stage when, over one window of observation.

Underneath lies an Ibis expression, so the counting runs where the data lie; only sufficient statistics cross into Python.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import ibis
import ibis.expr.types as ir
import pandas as pd

from funnelstats.data.audit import Audit, audit
from funnelstats.data.columns import nearest
from funnelstats.data.definition import Definition, Order
from funnelstats.data.pipeline import Pipeline, amounts, entries, outcomes, standing, wins
from funnelstats.data.reach import reach
from funnelstats.data.reading import Reading
from funnelstats.data.stages import StageCounts, StageHazards
from funnelstats.data.tally import tally, to_counts, to_hazards
from funnelstats.data.won import describe
from funnelstats.errors import DataError, Problem
from funnelstats.window import ObservationWindow

_CALENDAR = {"entry_year": "%Y", "entry_month": "%Y-%m", "entry_week": "%G-W%V", "entry_day": "%Y-%m-%d"}
_OWN = ("entity", "stage", "at", "_row", "_shape", "amount", "currency")


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class EventLog:
    """Stage entries of leads or deals, watched until ``window.as_of``.

    Parameters
    ----------
    events : Table
        Ibis table with the columns entity, stage, at and attributes; one row per stage entry.
    stage_names : tuple of str
        Funnel order, the last being success.
    lost : tuple of str
        Outcomes that end an entity without success.
    optional : tuple of str
        Stages that may be skipped.
    window : ObservationWindow
        Start and end of observation, and the unit of durations.
    source : str
        Where the events come from.
    removed : dict of str to int
        What reading left out by a stated rule, by reason.
    reading : Reading, optional
        The words with which ``read_crm`` read it, to read it again; None for a part of a log.
    """

    events: ir.Table
    stage_names: tuple[str, ...]
    lost: tuple[str, ...]
    window: ObservationWindow
    optional: tuple[str, ...] = ()
    source: str = "events"
    removed: dict[str, int] = field(default_factory=dict)
    reading: Reading | None = None
    #: Counts and histograms made before, of a few hundred rows each: a report asks for the same ones a score of times.
    _known: dict[tuple[tuple[str, ...], Definition], StageCounts] = field(default_factory=dict, init=False, repr=False)
    _counted: dict[tuple[tuple[str, ...], Definition], tuple[pd.DataFrame, str]] = field(
        default_factory=dict, init=False, repr=False
    )
    _won: dict[tuple[str, ...], pd.DataFrame] = field(default_factory=dict, init=False, repr=False)

    @property
    def attributes(self) -> tuple[str, ...]:
        """What a segment can be made of, besides the calendar of entry."""
        return tuple(name for name in self.events.columns if name not in _OWN)

    @property
    def observed(self) -> ir.Table:
        """The events up to the end of observation; the undated ones are known from the present stage alone."""
        return self.events.filter(self.events["at"].isnull() | (self.events["at"] < ibis.timestamp(str(self.window.end))))

    @property
    def entities(self) -> ir.Table:
        """One row per lead or deal: attributes, moment of entry to each stage, how far it got, its fate and amount."""
        definition = Definition(optional=self.optional)
        return self._reach(definition, (*self.attributes, *(n for n in ("amount", "currency") if n in self.events.columns)))

    @property
    def currency(self) -> str:
        """ISO code of the amounts; empty where the export names none."""
        found = self.events.select("currency").distinct().execute()["currency"].dropna()
        return str(found.iloc[0]) if len(found) else ""

    def stages(
        self, by: str | Sequence[str] = (), *, order: Order = "furthest", window: float | None = None,
        per_step_window: float | None = None, optional: Sequence[str] | None = None, exclude: Sequence[str] = (),
    ) -> StageCounts:  # fmt: skip
        """Count who entered, advanced, was lost or is open at each stage.

        Parameters
        ----------
        by : str or sequence of str
            Attributes, or ``entry_year``, ``entry_quarter``, ``entry_month``, ``entry_week``, ``entry_day``.
        order, window, per_step_window, optional, exclude
            See :class:`~funnelstats.data.definition.Definition`.

        Returns
        -------
        StageCounts

        Raises
        ------
        DataError
            Names that the log does not have.
        """
        skip = self.optional if optional is None else tuple(optional)
        definition = Definition(
            order=order, window=window, per_step_window=per_step_window, optional=skip, exclude=tuple(exclude)
        )
        key = ((by,) if isinstance(by, str) else tuple(by), definition)
        if key not in self._known:
            histogram, by, required, note = self._histogram(*key)
            self._known[key] = StageCounts(frame=to_counts(histogram, stages=required, by=by), stages=required, by=by,
                                           window=self.window, definition=definition, source=self.source, note=note)  # fmt: skip
        return replace(self._known[key], frame=self._known[key].frame.copy())

    def hazards(self, by: str | Sequence[str] = ()) -> StageHazards:
        """Count who was at risk, advanced, was lost or censored at each age in each stage; parameters as for :meth:`stages`."""
        histogram, by, required, _ = self._histogram(by, Definition(optional=self.optional))
        frame = to_hazards(histogram, stages=required, by=by)
        return StageHazards(frame=frame, stages=required, by=by, window=self.window, source=self.source)

    def won_amounts(self, by: str | Sequence[str] = ()) -> pd.DataFrame:
        """Describe the amounts of what was won: n, n without an amount, mean, sd and total in ``currency``, per segment."""
        by = (by,) if isinstance(by, str) else tuple(by)
        if by not in self._won:
            people = self._people(by)
            self._won[by] = describe(people.filter(people.fate == "won"), by).assign(currency=self.currency)
        return self._won[by].copy()

    def pipeline(self, by: str | Sequence[str] = (), *, every: float) -> Pipeline:
        """Count what a forecast needs: what is open, came in by spans of length ``every``, was won, and left each stage at which age."""
        by = (by,) if isinstance(by, str) else tuple(by)
        required, people = self._required(self.optional), self._people(by).cache()
        histogram = tally(people, stages=required, by=by, definition=Definition(optional=self.optional), window=self.window)
        came, spans = entries(people, by=by, window=self.window, every=every)
        shared: dict[str, Any] = {"stages": required, "by": by, "window": self.window, "source": self.source}
        return Pipeline(open=standing(people, stages=required, by=by, window=self.window), arrivals=came, spans=spans,
                        amounts=amounts(people, by=by), currency=self.currency,
                        counts=StageCounts(frame=to_counts(histogram, stages=required, by=by), **shared),
                        hazards=StageHazards(frame=to_hazards(histogram, stages=required, by=by), **shared))  # fmt: skip

    def wins(self, *, since: Any) -> pd.DataFrame:
        """Count what was won from ``since`` on, by moment: ``["at", "n", "priced", "amount"]``."""
        return wins(self._people(()), final=len(self._required(self.optional)) - 1, since=pd.Timestamp(since))

    def outcomes(self, later: Self, by: str | Sequence[str] = ()) -> pd.DataFrame:
        """Count what became, in a ``later`` log of the same deals, of those open in this one: ``[*by, "stage", "fate", "n"]``."""
        by = (by,) if isinstance(by, str) else tuple(by)
        return outcomes(self._people(by), later._people(()), stages=self._required(self.optional), by=by)

    def audit(self) -> Audit:
        """List what is wrong with this export and how far each defect moves the headline rate."""
        people = self._reach(Definition(optional=self.optional), (*self.attributes, "amount"))
        return audit(self.observed, people, stages=self._required(self.optional), lost=self.lost, window=self.window,
                     attributes=self.attributes, removed=self.removed, all_events=self.events, source=self.source)  # fmt: skip

    def split(self, at: Any) -> tuple[Self, Self]:
        """Cut in time: a training log that knows nothing from ``at`` on, and a holdout log of the entities that entered since."""
        before, after = self.window.split(at)
        return replace(self, window=before, reading=None), replace(self, window=after, reading=None)

    # -- how -----------------------------------------------------------------------------------------------------
    def _required(self, optional: Sequence[str]) -> tuple[str, ...]:
        return tuple(name for name in self.stage_names if name not in optional)

    def _people(self, by: Sequence[str]) -> ir.Table:
        """One row per entity with its segments and amount."""
        return self._segmented(self._reach(Definition(optional=self.optional), (*self._carried(by), "amount")), by)

    def _carried(self, by: Sequence[str]) -> list[str]:
        known = (*self.attributes, *_CALENDAR, "entry_quarter")
        problems = [Problem(name, "no such segment", nearest(name, known)) for name in by if name not in known]
        if problems:
            raise DataError(self.source, problems)
        return [name for name in by if name in self.attributes]

    def _reach(self, definition: Definition, carried: Sequence[str]) -> ir.Table:
        events = self.observed
        if definition.exclude:
            events = events.anti_join(events.filter(events.stage.isin(definition.exclude)), "entity")
        people = reach(events, stages=self._required(definition.optional), lost=self.lost, definition=definition, by=carried)
        if self.window.start is not None:
            people = people.filter(people.at_0 >= ibis.timestamp(str(self.window.start)))
        return people

    def _segmented(self, people: ir.Table, by: Sequence[str]) -> ir.Table:
        entry = people.at_0
        calendar: dict[str, ir.Value] = {name: entry.strftime(_CALENDAR[name]) for name in by if name in _CALENDAR}
        if "entry_quarter" in by:
            calendar["entry_quarter"] = entry.year().cast("string") + "-Q" + entry.quarter().cast("string")
        named = {name: people[name].fill_null("(none)") for name in by if name in self.attributes}
        return people.mutate(**named, **{name: value.fill_null("(undated)") for name, value in calendar.items()})

    def _histogram(
        self, by: str | Sequence[str], definition: Definition
    ) -> tuple[pd.DataFrame, tuple[str, ...], tuple[str, ...], str]:
        by, required = (by,) if isinstance(by, str) else tuple(by), self._required(definition.optional)
        if (by, definition) not in self._counted:
            definition.check(self.stage_names, self.lost)
            if definition.order != "furthest":
                self._check_dated(definition.order)
            people, note = self._old_enough(self._segmented(self._reach(definition, self._carried(by)), by), definition)
            self._counted[by, definition] = tally(people, stages=required, by=by, definition=definition, window=self.window), note
        histogram, note = self._counted[by, definition]
        return histogram, by, required, note

    def _old_enough(self, people: ir.Table, definition: Definition) -> tuple[ir.Table, str]:
        """Those whose whole window has been watched, and a note of how many are left out."""
        if not definition.window:
            return people, ""
        whole = ibis.interval(seconds=round(self.window.days(definition.window) * 86400))
        old = people.at_0 + whole <= ibis.timestamp(str(self.window.end))
        total, kept = people.count().execute(), people.filter(old).count().execute()
        note = f"{total - kept:,} of {total:,} entrants are younger than the window and left out, converted or not"
        return people.filter(old), note

    def _check_dated(self, order: str) -> None:
        """Refuse a rule of order where a stage is only ever known without its date."""
        found = self.observed.group_by("stage").aggregate(dated=self.observed["at"].notnull().any()).execute()
        bare = [name for name in self.stage_names if name in set(found.loc[~found["dated"], "stage"])]
        if bare:
            what = f"order {order!r} needs dates for every stage, and this export has none for {', '.join(bare)}"
            raise DataError(self.source, [Problem("order", what, 'use order="furthest"')])

    def __repr__(self) -> str:
        row = self.observed.aggregate(n=self.observed.count(), people=self.observed.entity.nunique()).execute().iloc[0]
        return (f"<EventLog of {self.source}: {row['people']:,} entities, {row['n']:,} stage entries, "
                f"{' > '.join(self.stage_names)}; {self.window}>")  # fmt: skip

    def _repr_html_(self) -> str:
        from html import escape

        head = self.events.drop("_row", "_shape").limit(5).execute().to_html(index=False, na_rep="–")
        return f"<p>{escape(repr(self)[1:-1])}</p>{head}"
