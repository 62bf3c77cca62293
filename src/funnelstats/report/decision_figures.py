"""Which stage, whose, and how sure? Bottleneck, league and shrinkage at one glance.

Each figure draws what a table already says, with the same numbers: the bars and whiskers are probabilities and intervals, never
bare points.
"""

from typing import Any

import numpy as np
import pandas as pd

from funnelstats.decisions.bottleneck import Bottleneck
from funnelstats.decisions.league import League
from funnelstats.errors import DataError, Problem
from funnelstats.report.figures import Chart, caption, new_figure, wrapped
from funnelstats.report.theme import ADVANCED, FAINT, INK, LOST, OPEN, OPEN_HATCH, styled

#: More rows than this leave the page.
MOST_ROWS = 40
_VERDICTS = {"above the target": (ADVANCED, "o"), "below the target": (OPEN, "s"), "not distinguishable": (FAINT, "D"),
             "cannot compare": (FAINT, "x")}  # fmt: skip


def plot_bottleneck(found: Bottleneck) -> Chart:
    """Draw for each stage the probability of each rank, rank one being the bottleneck.

    Parameters
    ----------
    found : Bottleneck
        From :func:`~funnelstats.decisions.bottleneck.bottleneck`.

    Returns
    -------
    Chart
        Table twin: ``found.table()``.
    """
    ranks, first = found.ranks, found.probability
    stages = list(ranks.index)
    with styled():
        figure = new_figure(height=1.6 + 0.5 * len(stages))
        axes = figure.add_subplot()
        left = np.zeros(len(stages))
        for place, rank in enumerate(ranks.columns):
            width = ranks[rank].to_numpy()
            look: Any = (
                {"fc": ADVANCED}
                if place == 0
                else {"fc": "white", "ec": OPEN, "hatch": OPEN_HATCH}
                if place == 1
                else {"fc": LOST}
            )
            axes.barh(range(len(stages)), width, left=left, height=0.62, lw=0.8, **({"ec": "white"} | look))
            left += width
        for row, stage in enumerate(stages):
            axes.text(1.02, row, f"{first[stage]:.0%}", va="center", fontweight="bold", color=INK)
        axes.set(xlim=(0, 1.12), ylim=(len(stages) - 0.5, -0.5), yticks=range(len(stages)), xticks=[0, 0.5, 1])
        axes.set_yticklabels([wrapped(stage, 18) for stage in stages])
        axes.set_xticklabels(["0%", "50%", "100%"])
        axes.set_title(f"Bottleneck: {found.verdict}")
        axes.set_xlabel("share of joint draws")
        caption(figure, f"Dark: the stage has the largest {found.criterion} on reaching {found.benchmark}; hatched: the second "
                        "largest; pale: further ranks. Number: P(bottleneck), the largest gain and one worth fixing.")  # fmt: skip
        parts = [f"{stage}: P(bottleneck) {first[stage]:.0%}." for stage in stages]
        return Chart(figure, " ".join([f"Bars of rank probabilities by {found.criterion}; verdict {found.verdict}.", *parts]))


def plot_league(league: League) -> Chart:
    """Draw each member's adjusted rate with its interval, the share won so far as an open mark, and the target.

    Parameters
    ----------
    league : League
        From :func:`~funnelstats.decisions.league.league_table`; the first 40 members by expected rank are drawn.

    Returns
    -------
    Chart
        Table twin: ``league.frame``.
    """
    frame, hidden = league.frame.iloc[:MOST_ROWS], max(0, len(league.frame) - MOST_ROWS)
    rule = league.rates.interval
    with styled():
        figure = new_figure(height=1.9 + 0.3 * len(frame))
        axes = figure.add_subplot()
        axes.axvline(league.target, color=FAINT, lw=1, ls="--")
        for verdict, (colour, mark) in _VERDICTS.items():
            part = frame[frame["verdict"] == verdict]
            if len(part):
                rows = [frame.index.get_loc(name) for name in part.index]
                axes.hlines(rows, part["lower"], part["upper"], color=colour, lw=2)
                axes.plot(part["adjusted"], rows, mark, color=colour, ls="none", label=verdict)
        axes.plot(frame["raw"], range(len(frame)), "o", mfc="white", mec=INK, ms=5, ls="none", label="won so far", zorder=3)
        _rows(axes, [f"{name}  (n = {int(entered):,})" for name, entered in frame["entered"].items()])
        axes.set_title("Members by expected rank")
        figure.legend(loc="outside upper right", ncols=3, fontsize=9, frameon=False)
        more = f" {hidden} further members are in the table only." if hidden else ""
        caption(figure, f"Adjusted rate with the {rule}: {league.rates.description}. Dashed: the target, {league.target:.2%}. A verdict "
                        f"needs a probability of at least 95%.{more}")  # fmt: skip
        parts = [f"{name}: {row.adjusted:.1%} ({row.lower:.1%} to {row.upper:.1%}), "
                 f"{'' if pd.isna(row.raw) else f'won so far {row.raw:.1%}, '}{row.verdict}."
                 for name, row in frame.iterrows()]  # fmt: skip
        return Chart(figure, " ".join([f"League of {len(league.frame)} members, target {league.target:.2%}, {rule}.", *parts]))


def plot_shrinkage(table: pd.DataFrame) -> Chart:
    """Draw how far partial pooling moves each group's raw rate towards the rate of all.

    Parameters
    ----------
    table : DataFrame
        From :func:`~funnelstats.models.pooling.pooling_table`, which is the table twin.

    Returns
    -------
    Chart

    Raises
    ------
    DataError
        Not a pooling table.
    """
    missing = [name for name in ("raw", "partial_pooling", "complete_pooling", "trials") if name not in table]
    if missing:
        raise DataError(
            "the pooling table", [Problem(", ".join(missing), "column expected, not found", "use pooling_table(...)")]
        )
    shown = table.sort_values("raw", ascending=False).iloc[:MOST_ROWS]
    with styled():
        figure = new_figure(height=1.7 + 0.28 * len(shown))
        axes = figure.add_subplot()
        rows, common = np.arange(len(shown)), float(shown["complete_pooling"].iloc[0])
        axes.axvline(common, color=FAINT, lw=1, ls="--")
        axes.hlines(rows, shown["partial_pooling_lower"], shown["partial_pooling_upper"], color=ADVANCED, lw=2)
        axes.hlines(rows, shown["raw"], shown["partial_pooling"], color=OPEN, lw=1.2, zorder=3)
        axes.plot(shown["raw"], rows, "o", mfc="white", mec=INK, ms=5, label="raw rate", zorder=3)
        axes.plot(shown["partial_pooling"], rows, "o", color=ADVANCED, ms=6, label="partially pooled", zorder=4)
        _rows(axes, [f"{name}  (n = {int(n):,})" for name, n in shown["trials"].items()])
        axes.set_title("Raw rates are pulled together")
        figure.legend(loc="outside upper right", ncols=2, fontsize=9, frameon=False)
        caption(figure, f"Bars: {shown['interval'].iloc[0]} of the partially pooled rate. Dashed: all groups together, {common:.1%}. The fewer "
                        "trials (n), the further a raw rate is moved.")  # fmt: skip
        parts = [
            f"{name}: raw {row.raw:.1%} of {int(row.trials):,}, pooled {row.partial_pooling:.1%}."
            for name, row in shown.iterrows()
        ]
        return Chart(
            figure, " ".join([f"Raw and partially pooled rates of {len(table)} groups; all together {common:.1%}.", *parts])
        )


def _rows(axes: Any, labels: list[str]) -> None:
    """Label one row for each member, and read the other axis as percentages."""
    from matplotlib.ticker import PercentFormatter

    axes.set(ylim=(len(labels) - 0.5, -0.5), yticks=range(len(labels)))
    axes.set_yticklabels([wrapped(label, 34) for label in labels], fontsize=9.5)
    low, high = axes.get_xlim()
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0 if high - low > 0.05 else 1))
    axes.grid(axis="x", color=LOST, lw=0.6)
    axes.set_axisbelow(True)
