"""Which split, which variant, how many more leads? Choices drawn with what is not known about them.

A split is drawn beside the best of each draw, a variant beside the least difference that is worth a change, a number of leads beside
what they cost: a choice that the picture makes look clear is clear.
"""

from typing import Any

import numpy as np
import pandas as pd

from funnelstats.decisions.allocation import AVERAGE, CAUTIOUS, PRESENT, Allocation
from funnelstats.decisions.variants import Variants
from funnelstats.errors import DataError, Problem
from funnelstats.models.verdict import chance
from funnelstats.report.figures import Chart, caption, new_figure, wrapped
from funnelstats.report.theme import ADVANCED, FAINT, INK, LOST, OPEN, styled


def plot_allocation(found: Allocation) -> Chart:
    """Draw each arm's present, best and cautious spending, over the interval of the best of each draw.

    Parameters
    ----------
    found : Allocation

    Returns
    -------
    Chart
        Table twin: ``found.table()``.
    """
    table, unit = found.table(), found.response.spend_unit
    rows, arms = np.arange(len(table)), [str(arm) for arm in table.index]
    with styled():
        figure = new_figure(height=1.9 + 0.45 * len(table))
        axes = figure.add_subplot()
        axes.hlines(rows, table["lower"], table["upper"], color=LOST, lw=9, label="best of each draw")
        axes.plot(table[CAUTIOUS], rows + 0.22, "D", color=OPEN, ms=5, ls="none", label=CAUTIOUS, clip_on=False)
        axes.plot(table[AVERAGE], rows, "o", color=ADVANCED, ms=8, ls="none", label=AVERAGE, clip_on=False)
        axes.plot(table[PRESENT], rows - 0.22, "s", mfc="white", mec=INK, ms=6, ls="none", label=PRESENT, clip_on=False)
        _named(axes, arms, f"spending, {unit}")
        axes.set_xlim(left=0)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.set_title(f"Budget of {found.budget:,.6g} {unit}: {found.verdict}")
        figure.legend(loc="outside upper right", ncols=4, fontsize=9, frameon=False)
        caption(figure, f"Bar: {found.optimum.interval} of the best spending in each draw. Gain of the best on average: {found.gain}; probability "
                        f"of more than {found.min_effect:,.6g} {found.value.unit}: {chance(found.p_effect)}.")  # fmt: skip
        parts = [f"{arm}: {PRESENT} {_short(row[PRESENT])}, {AVERAGE} {_short(row[AVERAGE])}, {CAUTIOUS} {_short(row[CAUTIOUS])}, best of each draw "
                 f"{_short(row['lower'])} to {_short(row['upper'])}." for arm, row in zip(arms, table.to_dict("records"), strict=True)]  # fmt: skip
        return Chart(figure, " ".join([f"Spending by {found.response.dim} in {unit}; verdict {found.verdict}.", *parts]))


def plot_variants(found: Variants) -> Chart:
    """Draw each variant's difference to the control, beside the differences that are not worth a change.

    Parameters
    ----------
    found : Variants

    Returns
    -------
    Chart
        Table twin: ``found.table()``.
    """
    table = found.table().drop(index=found.control)
    rows, points = np.arange(len(table)), 100 * table[["difference", "difference_lower", "difference_upper"]]
    with styled():
        figure = new_figure(height=2.0 + 0.4 * len(table))
        axes = figure.add_subplot()
        axes.axvspan(-100 * found.min_effect, 100 * found.min_effect, color=LOST, alpha=0.6, lw=0)
        axes.axvline(0, color=FAINT, lw=1, ls="--")
        axes.hlines(rows, points["difference_lower"], points["difference_upper"], color=ADVANCED, lw=2)
        axes.plot(points["difference"], rows, "o", color=ADVANCED, ms=7)
        for row, share in enumerate(table["p_effect"]):
            axes.text(1.01, row, f"{share:.0%}", va="center", fontweight="bold", color=INK, transform=axes.get_yaxis_transform())
        _named(axes, [f"{name}  ({int(w):,} of {int(n):,})" for name, w, n in zip(table.index, table["wins"], table["trials"], strict=True)],
               f"percentage points above {found.control}")  # fmt: skip
        axes.set_title(found.verdict[0].upper() + found.verdict[1:])
        rate = found.rates.sel(variant=found.control)
        caption(figure, f"Line: {found.difference.interval} of the difference to {found.control}, whose rate is {rate}. Pale: differences below "
                        f"{_points(found.min_effect)}, not worth a change. Number: probability of more. Prior: {found.prior}.")  # fmt: skip
        parts = [f"{name}: {row.difference:+.1f} points ({row.difference_lower:+.1f} to {row.difference_upper:+.1f}), probability of more than the "
                 f"least effect {share:.0%}." for name, share, row in zip(table.index, table["p_effect"], points.itertuples(), strict=True)]  # fmt: skip
        return Chart(figure, " ".join([f"Differences to {found.control}; verdict {found.verdict}.", *parts, *found.cautions]))


def plot_sampling(table: pd.DataFrame) -> Chart:
    """Draw what more leads are worth and what they leave after their cost, against their number.

    Parameters
    ----------
    table : DataFrame
        From :func:`~funnelstats.decisions.sampling.sampling_table`, which is the table twin.

    Returns
    -------
    Chart
    """
    missing = [name for name in ("evsi", "evppi", "enbs", "cost", "unit") if name not in table]
    if missing or table.empty:
        what = f"expected the columns and at least one row, found no {', '.join(missing) or 'row'}"
        raise DataError("the table of more leads", [Problem("table", what, "use sampling_table(...)")])
    place = int(table["enbs"].to_numpy().argmax())
    unit, most, best = str(table["unit"].iloc[0]), table.iloc[place], f"{table.index[place]:,} leads"
    worth = table["enbs"] + table["cost"]
    with styled():
        figure = new_figure(height=3.6)
        axes = figure.add_subplot()
        axes.axhline(0, color=FAINT, lw=1)
        axes.plot(table.index, worth, color=ADVANCED, marker="o", ms=4, label="worth")
        axes.plot(table.index, table["cost"], color=FAINT, ls=":", lw=2, label="cost")
        axes.plot(table.index, table["enbs"], color=OPEN, marker="s", ms=4, ls="--", label="left after cost")
        axes.set(xlabel="further leads", ylabel=unit or "value")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter("{x:,.0f}")
        axes.set_title(f"Of these, {best} leave most" if most["enbs"] > 0 else "None of these pays")
        figure.legend(loc="outside upper right", ncols=3, fontsize=9, frameon=False)
        caption(figure, f"Worth: expected gain of the decisions served, from knowing the outcome of so many further leads. {best} change a "
                        f"decision with a probability of {most['p_change']:.0%}.")  # fmt: skip
        columns = zip(table.index, worth, table["cost"], table["enbs"], strict=True)
        parts = [f"{n:,} leads: worth {_short(w)}, cost {_short(c)}, left {_short(left)}." for n, w, c, left in columns]
        return Chart(figure, " ".join([f"Value of further leads{f' in {unit}' if unit else ''}.", *parts]))


def _short(value: float) -> str:
    """A number for reading aloud."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"


def _points(share: float) -> str:
    return f"{100 * share:g} percentage point{'' if round(100 * share, 9) == 1 else 's'}"


def _named(axes: Any, labels: list[str], words: str) -> None:
    """Name the rows, and leave the other axis room for its numbers."""
    from matplotlib.ticker import MaxNLocator

    axes.set(ylim=(len(labels) - 0.5, -0.5), yticks=range(len(labels)), xlabel=words)
    axes.set_yticklabels([wrapped(label, 30) for label in labels])
    axes.grid(axis="x", color=LOST, lw=0.6)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(6))
