"""What is a fix worth, a lead, a customer? The section of a report on value."""

from typing import Any

import pandas as pd

from funnelstats.decisions.lead_value import lead_value
from funnelstats.decisions.rfm import rfm_scores
from funnelstats.estimate import Estimate, NotIdentified
from funnelstats.models.rates import overall_rate
from funnelstats.report.answers import plural
from funnelstats.report.asked_money import MONTHS, YEARLY, mended
from funnelstats.report.material import Material, said, worded
from funnelstats.report.section import Column, Grid, Section, Sentence
from funnelstats.units import per_entrant, spoken

_VALUE, _CUSTOMERS = "What it is worth", "Customers"


def value(m: Material) -> Section:
    """Mean amount of a deal, money per lead, and what mending the likeliest bottleneck would bring."""
    if m.events is None or "amount" not in m.events.events.columns:
        return Section(
            key="value", title=_VALUE, missing="The data hold no amounts of deals, so nothing can be said about money."
        )
    each, lead = m.ask("mean_amount"), m.ask("value_per_lead")
    sentences = [
        said(lead.card, worded(lead.estimate, lambda e: f"Won deals have brought {e} so far, those still open counted as nothing.")),
        said(each.card, worded(each.estimate, lambda e: f"A deal won is worth {e} on average.")),
    ]  # fmt: skip
    cards, grids = [each.card, lead.card], []
    if isinstance(each.estimate, Estimate):
        for more, made, grid in (_fixing(m), _segments(m, each.estimate)):
            sentences += more
            cards += made
            grids += grid
    return Section(key="value", title=_VALUE, sentences=tuple(sentences), cards=tuple(cards), grids=tuple(grids))


def _fixing(m: Material) -> tuple[list[Sentence], list[Any], list[Grid]]:
    """The likeliest bottleneck brought to its benchmark, for as many entrants as came in the fullest year."""
    found = mended(m.needed, m.seed, m.group, None, None, 1000, 4) if m.group else None
    if found is None or isinstance(found, NotIdentified):
        return (
            [Sentence(text="What a fix is worth needs a benchmark: members of a group whose best tenth is attainable.")],
            [],
            [],
        )
    made, fix = m.ask("value_of_fixing", group=m.group).card, found.fix
    text = (f"Bringing {found.stage} to {found.target:.1%} would bring {plural(fix.wins)} a year, worth {fix.money:,.0f}, if {found.entrants:,} enter "
            "and the later stages convert the added as they do the others. What the fix costs is not in it.")  # fmt: skip
    return [said(made, text)], [made], []


def _segments(m: Material, amount: Estimate) -> tuple[list[Sentence], list[Any], list[Grid]]:
    """Money per lead by channel, or by what else tells leads apart."""
    if m.segment is None:
        return [], [], []
    counts = m.needed.stages(m.segment)
    frame = counts.frame[counts.frame["stage"] == counts.stages[0]].set_index(m.segment)["entered"]
    large = frame[frame >= max(m.smallest, 1)].index.tolist()
    rate = overall_rate(counts, seed=m.seed)
    if isinstance(rate, NotIdentified) or not large:
        return [Sentence(text=f"By {m.segment}: {rate}.")] if large else [], [], []
    per_deal = Estimate(draws=amount.draws, unit=amount.unit.removesuffix("/deal"), description=amount.description)
    table = lead_value(rate, per_deal).loc[[str(name) for name in large]].rename_axis("segment").reset_index()
    won = counts.frame[counts.frame["stage"] == counts.stages[-1]].set_index(m.segment)["entered"]
    table = table.assign(entered=frame.loc[large].to_numpy(), won=won.loc[large].to_numpy())
    columns = {"segment": Column(head=m.segment.capitalize()), "entered": Column(head="Entered", kind="count"),
               "won": Column(head="Won so far", kind="count"),
               "rate": Column(head="Share won so far", kind="percent", of=("entered", "won")),
               "value_per_lead": Column(head=spoken(per_entrant(per_deal.unit, counts.stages[0])), kind="number", digits=0, of=("won",),
                                        bounds=("value_per_lead_lower", "value_per_lead_upper"))}  # fmt: skip
    note = f"Share won times the mean amount of all deals won; in brackets the {table['interval'].iloc[0]}."
    return [], [], [m.grid(f"Money per entrant by {m.segment}", table, columns, note=note)]


def customers(m: Material) -> Section:
    """Segments of customers and what a new one is worth, where an order book was given."""
    if m.orders is None:
        return Section(
            key="customers",
            title=_CUSTOMERS,
            headline=False,
            missing="No order book was given, so nothing is said about purchases after the deal.",
        )
    as_of = {} if m.orders.as_of or m.events is None else {"as_of": str(m.events.window.as_of.date())}
    made = m.ask("newcomer_value", **as_of)
    buying = made.answer.behind[0]
    book, newcomer = buying.data, made.estimate
    segments = rfm_scores(m.orders, as_of=book.window.as_of if book.window else None).summary()
    largest = segments["share"].astype(float).idxmax()
    sentences = (
        said(made.card, f"A new customer is worth {newcomer:,.0f} in the first {MONTHS} months, the first purchase included, discounted at {YEARLY:.0%} a year."),
        Sentence(text=f"{book.n:,} customers, {book.repeaters:,} of them with repeat purchases; the largest segment is {largest} "
                      f"({float(segments["share"].max()):.0%})."),
    )  # fmt: skip
    return Section(key="customers", title=_CUSTOMERS, sentences=sentences, cards=(made.card,), grids=(_rfm(m, segments),),
                   references=("batislam2007", "fader2005"))  # fmt: skip


def _rfm(m: Material, segments: pd.DataFrame) -> Grid:
    table = segments.sort_values("customers", ascending=False).reset_index()
    columns = {"segment": Column(head="Segment"), "customers": Column(head="Customers", kind="count"),
               "share": Column(head="Share", kind="percent", digits=0, of=("customers",)),
               "median_recency": Column(head="Median recency (days)", kind="number", digits=0, of=("customers",)),
               "median_frequency": Column(head="Median purchases", kind="number", digits=0, of=("customers",)),
               "median_monetary": Column(head=f"Median money ({table['currency'].iloc[0]})", kind="number", digits=0, of=("customers",))}  # fmt: skip
    return m.grid("Segments by recency, frequency and money", table, columns)
