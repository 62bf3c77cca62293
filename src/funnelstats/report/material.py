"""What does a report work from? One log and what is computed of it once, however many sections use it.

Numbers that have a name (:func:`~funnelstats.report.quantities.quantity`) are asked by that name, so that the page says what anybody
can compute again from its card.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from funnelstats.data.counts import CountsLog
from funnelstats.data.events import EventLog
from funnelstats.data.stages import StageCounts, StageHazards
from funnelstats.data.transactions import Transactions
from funnelstats.estimate import Estimate, NotIdentified
from funnelstats.models.exits import CompetingExits
from funnelstats.models.exits_fit import CompetingExitsFit
from funnelstats.models.hierarchical_fit import HierarchicalFit
from funnelstats.models.model import Fit
from funnelstats.report.asked_choices import Pooled, pooled_bottleneck
from funnelstats.report.asked_league import crossed
from funnelstats.report.cards import Card
from funnelstats.report.quantities import Asked, of_orders, quantity
from funnelstats.report.section import Column, Grid, Sentence

#: Columns that make up the case mix have no more labels than this; with more, the cells outnumber the wins.
MOST_LABELS = 12
#: Groups whose members are compared, where no column is called owner, have no more of them than this.
MOST_MEMBERS = 40
#: Cells of the crossed model, at most: beyond it the case mix is made of fewer columns.
MOST_CELLS = 600


@dataclass(frozen=True, eq=False, kw_only=True)
class Material:
    """A log, the choices made for the report, and what they lead to.

    Parameters
    ----------
    log : EventLog, CountsLog or None
        None where only fits are reported.
    fits : tuple of Fit
        Made by the caller; a competing-exits fit is used in place of the report's own, and so is a hierarchical one where names
        are shown, for it knows the members by theirs.
    orders : Transactions, optional
        Purchases of customers.
    seed : int
        Of every fit and quantity.
    draws, chains : int
        Of the crossed model, which alone needs a sampler.
    smallest : int
        The least count that is shown.
    names : bool
        Whether ids of records may stand in tables.
    """

    log: EventLog | CountsLog | None
    fits: tuple[Fit, ...] = ()
    orders: Transactions | None = None
    seed: int = 0
    draws: int = 500
    chains: int = 4
    smallest: int = 10
    names: bool = False
    asked: dict[tuple[Any, ...], Asked] = field(default_factory=dict)

    # -- what the log holds --------------------------------------------------------------------------------------
    @cached_property
    def counts(self) -> StageCounts:
        """All leads together."""
        return self.needed.stages()

    @property
    def needed(self) -> EventLog | CountsLog:
        """The log, by those who cannot do without."""
        assert self.log is not None, "a section that needs a log was asked without one"
        return self.log

    @property
    def events(self) -> EventLog | None:
        """The log where it has single records."""
        return self.log if isinstance(self.log, EventLog) else None

    @property
    def attributes(self) -> tuple[str, ...]:
        """Columns that can make segments."""
        return self.log.attributes if isinstance(self.log, EventLog) else self.log.counts.by if self.log else ()

    @cached_property
    def labels(self) -> dict[str, int]:
        """Column -> number of its labels."""
        return {name: self.needed.stages(name).frame[name].nunique() for name in self.attributes}

    @property
    def group(self) -> str | None:
        """Whose members are compared: consultants, or else the first column with a few labels."""
        several = [name for name, count in self.labels.items() if count > 1]
        return "owner" if "owner" in several else next((name for name in several if self.labels[name] <= MOST_MEMBERS), None)

    @property
    def mix(self) -> list[str]:
        """Columns of the case mix, none where the cells would outnumber what can be learned."""
        few = [name for name, count in self.labels.items() if name != self.group and 1 < count <= MOST_LABELS]
        for size in (2, 1):
            chosen = few[:size]
            if self.labels[str(self.group)] * int(np.prod([self.labels[name] for name in chosen])) <= MOST_CELLS:
                return chosen
        return []

    @property
    def segment(self) -> str | None:
        """By what leads are told apart when their worth is asked: the channel, or the first column of the mix."""
        return (
            "channel"
            if "channel" in self.labels and self.labels["channel"] > 1
            else next(iter(self.mix), None)
            if self.group
            else None
        )

    @cached_property
    def hazards(self) -> StageHazards:
        """Ages at which stages were left."""
        hazards: StageHazards = self.needed.hazards()
        return hazards

    # -- what is learned -----------------------------------------------------------------------------------------
    @cached_property
    def exits(self) -> CompetingExitsFit:
        """Chances of leaving by age."""
        given = [fit for fit in self.fits if isinstance(fit, CompetingExitsFit) and fit.model.group is None]
        return given[0] if given else CompetingExits().fit(self.hazards, seed=self.seed)

    @cached_property
    def pooled(self) -> Pooled | NotIdentified:
        """Stages compared with the best decile of the group."""
        return pooled_bottleneck(self.needed, self.seed, str(self.group), 0.0, 1000, 4)

    @cached_property
    def conversion(self) -> HierarchicalFit:
        """Rates of the members on one mix of leads."""
        return self.given_conversion or crossed(self.needed, (str(self.group), *self.mix), self.seed, self.draws, self.chains)

    @property
    def given_conversion(self) -> HierarchicalFit | None:
        """A crossed fit that the caller made, where names are shown."""
        fits = (fit for fit in self.fits if isinstance(fit, HierarchicalFit) and fit.model.groups[0] == self.group)
        return next(fits, None) if self.names else None

    def used(self) -> list[Fit]:
        """Fits behind what has been said so far, each once, those of the caller first."""
        own: list[Fit] = [self.__dict__[name] for name in ("exits", "conversion") if name in self.__dict__]
        pooled = self.__dict__.get("pooled")
        own += pooled.fits if isinstance(pooled, Pooled) else ()
        behind = [fit for asked in self.asked.values() for fit in asked.answer.behind if isinstance(fit, Fit)]
        return list({fit.record.id: fit for fit in (*self.fits, *own, *behind)}.values())

    # -- how it is said ------------------------------------------------------------------------------------------
    def ask(self, name: str, **settings: Any) -> Asked:
        """A quantity of the log, or of the order book, by name; computed once."""
        key = (name, *sorted((one, str(value)) for one, value in settings.items()))
        if key not in self.asked:
            data = self.orders if of_orders(name) and self.orders is not None else self.needed
            self.asked[key] = quantity(data, name, seed=self.seed, **settings)
        return self.asked[key]

    def grid(self, title: str, frame: Any, columns: dict[str, Column], **more: Any) -> Grid:
        """A table without small counts."""
        return Grid.of(title, frame, columns, smallest=self.smallest, **more)


def said(card: Card, text: str) -> Sentence:
    """A sentence that rests on a card; where the diagnosis failed, that stands in place of the number."""
    if not card.citable:
        text = f'No number for "{card.estimand}": its diagnosis failed ({card.diagnosis}), so it may not be cited.'
    return Sentence(text=text, card=card.id)


def worded(estimate: Estimate | NotIdentified, make: Callable[[Any], str]) -> str:
    """A sentence about an estimate, or why there is none."""
    return make(estimate) if isinstance(estimate, Estimate) else f"{_capital(estimate.description)}: {estimate}."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
