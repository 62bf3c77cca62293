"""Do purchases come as expected, and how sure is each tier? Figures of customers, each with the numbers of a table."""

from typing import Any

import numpy as np
import pandas as pd

from funnelstats.decisions.tiers import ValueTiers
from funnelstats.errors import DataError, Problem
from funnelstats.report.figures import Chart, caption, new_figure
from funnelstats.report.theme import ADVANCED, FAINT, HEAT, INK, LOST, OPEN, OPEN_HATCH, styled

#: Most steps of a figure of tiers: more would not be seen.
_BINS = 250


def plot_tracking(frame: pd.DataFrame, *, split: Any = None, unit: str = "week", what: str = "repeat purchases") -> Chart:
    """Draw purchases as they came and as they were expected: cumulative above, by period below.

    Parameters
    ----------
    frame : DataFrame
        One row per period, in order: ``period`` (number or date), ``actual``, ``expected``; ``cumulative_actual`` and
        ``cumulative_expected`` where they do not begin at the first row; ``expected_lower`` and ``expected_upper`` where known.
    split : number or date, optional
        The last period that the model saw; what follows is held out.
    unit : str
        Name of a period.
    what : str
        What is counted.

    Returns
    -------
    Chart
        Table twin: ``frame`` itself.

    Raises
    ------
    DataError
        Missing columns, no rows, numbers that are missing, or a split outside of the periods.

    Examples
    --------
    >>> frame = pd.DataFrame({"period": [1, 2, 3], "actual": [40, 30, 25], "expected": [38.0, 31.0, 27.0]})
    >>> plot_tracking(frame, split=2).alt
    'Repeat purchases by week, 1 to 3. Up to 2: 70 actual, 69 expected (-1.4%). After 2, held out: 25 actual, 27 expected (+8.0%).'
    """
    frame = _tracked(frame, split)
    with styled():
        figure = new_figure(height=5.2)
        top, bottom = figure.subplots(2, 1, sharex=True)
        for axes, prefix, title in ((top, "cumulative_", f"Cumulative {what}"), (bottom, "", f"{what.capitalize()} by {unit}")):
            axes.plot(frame["period"], frame[f"{prefix}actual"], color=ADVANCED, lw=2, label="actual")
            axes.plot(frame["period"], frame[f"{prefix}expected"], color=OPEN, lw=2, ls="--", label="expected")
            axes.set_title(title)
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
            axes.grid(axis="y", color=LOST, lw=0.6)
            if split is not None:
                axes.axvline(split, color=FAINT, lw=1, ls=":")
        banded = "expected_lower" in frame and "expected_upper" in frame
        if banded:
            bottom.fill_between(frame["period"], frame["expected_lower"], frame["expected_upper"], color=OPEN, alpha=0.2, lw=0)
        for axes in (top, bottom):
            axes.set_ylim(bottom=0)
        if split is not None:
            top.annotate("held out", (split, 0.04), xycoords=("data", "axes fraction"), xytext=(5, 0), textcoords="offset points",
                         fontsize=9, color=FAINT)  # fmt: skip
        top.legend(loc="upper left", frameon=False, fontsize=9.5)
        bottom.set_xlabel(unit)
        if frame["period"].dtype.kind == "M":
            from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

            marks = AutoDateLocator(minticks=3, maxticks=6)
            bottom.xaxis.set(major_locator=marks, major_formatter=ConciseDateFormatter(marks))
        text = "Solid: as they came. Dashed: as the model expected them."
        text += " Dotted: end of what it was fitted to." if split is not None else ""
        caption(figure, text + (" Band: bounds of the expected number." if banded else ""))
        return Chart(figure, _tracking_words(frame, split, unit, what))


def plot_tiers(tiers: ValueTiers) -> Chart:
    """Draw how sure each tier is, from the most valuable customer to the least.

    Parameters
    ----------
    tiers : ValueTiers

    Returns
    -------
    Chart
        Table twins: ``tiers.summary()``, ``tiers.cutoffs`` and ``tiers.boundary``.

    Examples
    --------
    >>> from funnelstats.decisions.tiers import value_tiers
    >>> draws = np.random.default_rng(1).normal([[100], [80], [60], [40], [20]], 8, size=(5, 2000))
    >>> plot_tiers(value_tiers(draws, shares={"A": 0.4, "B": 0.6})).alt[:70]
    'Tiers of 5 customers by value of a customer. A: 2 customers, 60% of th'
    """
    ordered = tiers.frame.sort_values("value", ascending=False, kind="stable")
    end = np.cumsum(ordered["weight"].to_numpy())
    edges = np.append(0.0, end) / end[-1]
    levels = ordered[[f"p_{name}" for name in tiers.names]].to_numpy()
    if len(levels) > _BINS:  # more would not be seen, and a million steps would not be drawn
        group = np.minimum((edges[:-1] * _BINS).astype(int), _BINS - 1)
        mass = np.bincount(group, weights=ordered["weight"])
        wide = np.stack([np.bincount(group, weights=ordered["weight"] * column) for column in levels.T], axis=1)
        levels, edges = (wide / np.maximum(mass, 1e-300)[:, None])[mass > 0], np.append(0.0, np.cumsum(mass[mass > 0])) / end[-1]
    with styled():
        figure = new_figure(height=3.9)
        axes = figure.add_subplot()
        _stack(axes, edges, levels, tiers.names)
        axes.set(xlim=(0, 1), ylim=(0, 1), yticks=[0, 0.5, 1], yticklabels=["0%", "50%", "100%"], xticks=[0, 0.25, 0.5, 0.75, 1])
        axes.set_xticklabels(["0%", "25%", "50%", "75%", "100%"])
        axes.set_xlabel("customers, from the most valuable to the least")
        axes.set_ylabel("probability of the tier")
        count = int(tiers.boundary["weight"].sum())
        axes.set_title(f"{count:,} of {int(end[-1]):,} customers stand on a border")
        figure.legend(loc="outside upper right", ncols=len(tiers.names), frameon=False, fontsize=9.5, handlelength=1.5)
        caption(
            figure,
            f"Probability by {tiers.description}; {tiers.rule}. On a border: no tier has a probability of {tiers.level:.0%}.",
        )
        return Chart(figure, _tier_words(tiers, int(end[-1])))


# -- tracking ----------------------------------------------------------------------------------------------------
def _tracked(frame: pd.DataFrame, split: Any) -> pd.DataFrame:
    missing = [name for name in ("period", "actual", "expected") if name not in frame]
    if missing:
        raise DataError("the tracking frame", [Problem(", ".join(missing), "column expected, not found")])
    problems = [] if len(frame) else [Problem("period", "expected at least one, found none")]
    problems += [Problem(name, f"expected a number in every period, found {int(frame[name].isna().sum())} without")
                 for name in ("actual", "expected") if frame[name].isna().any()]  # fmt: skip
    if not frame["period"].is_monotonic_increasing:
        problems.append(Problem("period", "expected periods in order", 'use frame.sort_values("period")'))
    if split is not None and len(frame) and not frame["period"].iloc[0] <= split <= frame["period"].iloc[-1]:
        found = f"expected one of the periods {frame['period'].iloc[0]} to {frame['period'].iloc[-1]}, found {split}"
        problems.append(Problem("split", found))
    if problems:
        raise DataError("the tracking frame", problems)
    sums = {f"cumulative_{name}": frame[name].cumsum() for name in ("actual", "expected") if f"cumulative_{name}" not in frame}
    return frame.assign(**sums)


def _tracking_words(frame: pd.DataFrame, split: Any, unit: str, what: str) -> str:
    def total(part: pd.DataFrame) -> str:
        actual, expected = float(part["actual"].sum()), float(part["expected"].sum())
        off = f" ({expected / actual - 1:+.1%})" if actual else ""
        return f"{actual:,.0f} actual, {expected:,.0f} expected{off}"

    def named(period: Any) -> str:
        return str(period.date()) if isinstance(period, pd.Timestamp) else str(period)

    head = f"{what.capitalize()} by {unit}, {named(frame['period'].iloc[0])} to {named(frame['period'].iloc[-1])}."
    if split is None:
        return f"{head} In all: {total(frame)}."
    seen, later = frame[frame["period"] <= split], frame[frame["period"] > split]
    return f"{head} Up to {named(split)}: {total(seen)}." + (
        f" After {named(split)}, held out: {total(later)}." if len(later) else ""
    )


# -- tiers -------------------------------------------------------------------------------------------------------
def _stack(axes: Any, edges: np.ndarray, levels: np.ndarray, names: list[str]) -> None:
    """Areas on top of one another: dark for the top tier, paler down; every second one hatched or dotted."""
    from matplotlib.colors import LinearSegmentedColormap

    shades, floor = LinearSegmentedColormap.from_list("heat", HEAT), np.zeros(len(levels) + 1)
    for place, name in enumerate(names):
        height = np.append(levels[:, place], levels[-1, place])
        colour = shades(0.92 - 0.8 * place / max(len(names) - 1, 1))
        look: Any = (
            {"hatch": OPEN_HATCH if place % 4 == 1 else "....", "facecolor": "white", "edgecolor": OPEN}
            if place % 2
            else {"facecolor": colour}
        )
        axes.fill_between(edges, floor, floor + height, step="post", lw=0, label=name, **look)
        floor = floor + height
    axes.axhline(1, color=INK, lw=0.8)


def _tier_words(tiers: ValueTiers, n: int) -> str:
    say = [f"Tiers of {n:,} customers by {tiers.description}."]
    for name, row in tiers.summary().iterrows():
        least, cut = "", tiers.cutoffs.to_dict("index").get(name)
        if cut:
            least = f", at least {cut['least']:,.4g} ({cut['lower']:,.4g} to {cut['upper']:,.4g}) {tiers.unit}".rstrip()
        say.append(f"{name}: {int(row['customers']):,} customers, {row['share_of_value']:.0%} of the value{least}; "
                   f"{int(row['boundary']):,} on a border.")  # fmt: skip
    return " ".join(say)
