"""Are scores right, which offer for whom, and what does finding out cost? Calibration, offers and regret, each beside the numbers of a table."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from funnelstats.decisions.exploration import Exploration
from funnelstats.decisions.offers import OfferRanking
from funnelstats.errors import DataError, Problem
from funnelstats.report.figures import Chart, caption, new_figure, wrapped
from funnelstats.report.theme import FAINT, LINES, LOST, styled


def plot_calibration(tables: Mapping[str, pd.DataFrame]) -> Chart:
    """Draw observed against expected shares in groups of cases by score.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Name of a score -> its :func:`~funnelstats.models.scoring.reliability_table`, which is the table twin.

    Returns
    -------
    Chart
    """
    _refuse_many("tables", tables)
    top = max(float(table[["expected", "upper"]].max().max()) for table in tables.values())
    with styled():
        figure = new_figure(height=4.6)
        axes = figure.add_subplot()
        axes.plot([0, top], [0, top], color=FAINT, lw=1, ls="--")
        for (name, table), (colour, dash, mark) in zip(tables.items(), LINES, strict=False):
            axes.vlines(table["expected"], table["lower"], table["upper"], color=colour, lw=1.6, alpha=0.8)
            axes.plot(table["expected"], table["observed"], ls=dash, lw=1, marker=mark, color=colour, label=name)
        for axis in (axes.xaxis, axes.yaxis):
            _percent(axis)
        axes.set(xlabel="said", ylabel="happened", xlim=(0, top * 1.03), ylim=(0, top * 1.05))
        axes.set_title("What was said and what happened")
        axes.legend(loc="upper left", frameon=False, fontsize=9)
        first = next(iter(tables.values()))
        caption(
            figure,
            f"Groups of cases held out, by score. Bars: {first['interval'].iloc[0]} of the observed share. Dashed: a score that is right.",
        )
        parts = [f"{name}: " + ", ".join(f"said {row.expected:.1%}, happened {row.observed:.1%} of {row.cases:,}" for row in table.itertuples()) + "."
                 for name, table in tables.items()]  # fmt: skip
        return Chart(figure, " ".join(["Observed against expected share of yes.", *parts]))


def plot_offers(ranking: OfferRanking) -> Chart:
    """Draw the value of showing each offer to each segment, with its interval.

    Parameters
    ----------
    ranking : OfferRanking
        From :func:`~funnelstats.decisions.offers.rank_offers`; table twin: ``ranking.table()``.

    Returns
    -------
    Chart
    """
    table, offers, segments = ranking.table(), ranking.offers, ranking.segments
    _refuse_many("offers", offers)
    with styled():
        figure = new_figure(height=1.9 + 0.28 * len(segments) * (len(offers) + 1))
        axes = figure.add_subplot()
        for at, (offer, (colour, _, mark)) in enumerate(zip(offers, LINES, strict=False)):
            part = table.xs(offer, level="offer").loc[segments]
            rows = [place + (at - (len(offers) - 1) / 2) * 0.8 / len(offers) for place in range(len(segments))]
            axes.hlines(rows, part["lower"], part["upper"], color=colour, lw=2)
            axes.plot(part["value"], rows, mark, color=colour, ls="none", label=offer)
        axes.axvline(0, color=FAINT, lw=0.8)
        axes.set(ylim=(len(segments) - 0.5, -0.5), yticks=range(len(segments)))
        axes.set_yticklabels([wrapped(name, 20) for name in segments])
        axes.grid(axis="x", color=LOST, lw=0.6)
        axes.set_axisbelow(True)
        axes.set_title("Value of showing each offer once")
        axes.set_xlabel(ranking.values.unit or "share that takes it")
        figure.legend(loc="outside upper right", ncols=min(len(offers), 4), fontsize=9, frameon=False)
        caption(figure, f"Probability that it is taken x amount when taken; {ranking.values.interval}.")
        parts = [f"{segment}, {offer}: {row.value:,.4g} ({row.lower:,.4g} to {row.upper:,.4g}), best with {row.p_best:.0%}."
                 for (segment, offer), row in zip(table.index, table.itertuples(), strict=True)]  # fmt: skip
        return Chart(figure, " ".join(["Value of showing each offer to each segment.", *parts]))


def plot_exploration(play: Exploration) -> Chart:
    """Draw the value forgone by each way of choosing, over the visits.

    Parameters
    ----------
    play : Exploration
        From :func:`~funnelstats.decisions.exploration.simulate_exploration`; table twin: ``play.table()``.

    Returns
    -------
    Chart
    """
    frame = play.regret.to_frame()
    policies = [str(name) for name in play.regret.draws["policy"].values]
    with styled():
        figure = new_figure(height=4.2)
        axes = figure.add_subplot()
        for policy, (colour, dash, _) in zip(policies, LINES, strict=False):
            part = frame.xs(policy, level="policy")
            axes.fill_between(part.index, part["lower"], part["upper"], color=colour, alpha=0.13, lw=0)
            axes.plot(part.index, part["mean"], color=colour, ls=dash, lw=2, label=policy)
        axes.set(xlabel="visits", ylabel=f"value forgone {play.regret.unit}".strip(), xlim=(0, None), ylim=(0, None))
        axes.set_title("What finding out costs")
        axes.legend(loc="upper left", frameon=False, fontsize=9)
        caption(figure, f"Mean over repeated worlds and {play.regret.interval} over them. The best offer in truth: {play.best}.")
        last = play.table()
        parts = [f"{name}: {row.regret:,.4g} ({row.lower:,.4g} to {row.upper:,.4g}), the best shown at {row.best:.0%} of visits."
                 for name, row in zip(last.index, last.itertuples(), strict=True)]  # fmt: skip
        return Chart(figure, " ".join([f"Value forgone after {int(last['visits'].iloc[0]):,} visits.", *parts]))


def _percent(axis: Any) -> None:
    from matplotlib.ticker import PercentFormatter

    axis.set_major_formatter(PercentFormatter(1, decimals=0))


def _refuse_many(what: str, things: Any) -> None:
    if not 1 <= len(things) <= len(LINES):
        raise DataError("the figure", [Problem(what, f"expected 1 to {len(LINES)}, found {len(things)}", "draw some of them")])
