"""What budget goes with what revenue, and how sure is that? The periods, the line, its two bands, and a plan if there is one.

The dark band holds the mean, the pale one a single period: whoever plans one month must read the pale one.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from funnelstats.decisions.planning import Plan
from funnelstats.errors import DataError, ExtrapolationWarning, Problem
from funnelstats.models.chain_fit import ChainFit
from funnelstats.report.figures import Chart, caption, new_figure
from funnelstats.report.theme import ADVANCED, FAINT, INK, OPEN, styled

_POINTS = 60


def level_table(fit: ChainFit, levels: Sequence[float] | None = None) -> pd.DataFrame:
    """Mean and single period of the outcome at levels of the first variable.

    Parameters
    ----------
    fit : ChainFit
    levels : sequence of float, optional
        In the unit of the first variable; least, quartiles and largest of those observed where not given.

    Returns
    -------
    DataFrame
        The level; ``mean``, ``lower``, ``upper`` of the mean; ``one_lower``, ``one_upper`` of one period; ``unit``; ``interval``.

    Examples
    --------
    >>> from funnelstats.data.periods import read_periods
    >>> from funnelstats.models.chain import Chain
    >>> fit = Chain().fit(read_periods("bundled:monthly_chain"), seed=1)
    >>> table = level_table(fit, [10, 15])
    >>> bool((table["one_lower"] < table["lower"]).all())
    True
    """
    if levels is None:
        levels = np.quantile(fit.observed()[fit.paths.source], [0, 0.25, 0.5, 0.75, 1])
    mean, one = fit.predict(levels), fit.predictive(levels)
    return pd.DataFrame({fit.paths.source: np.asarray(levels, dtype=float), "mean": mean.point, "lower": mean.lower, "upper": mean.upper,
                         "one_lower": one.lower, "one_upper": one.upper, "unit": mean.unit, "interval": str(mean.shown)})  # fmt: skip


def plot_chain(fit: ChainFit, plan: Plan | None = None) -> Chart:
    """Draw the outcome against the first variable, with the band of the mean, that of one period, and a plan.

    Parameters
    ----------
    fit : ChainFit
    plan : Plan, optional
        Of this chain: its target and the least level that reaches it.

    Returns
    -------
    Chart
        Table twin: :func:`level_table`.

    Raises
    ------
    DataError
        A plan of other variables.

    Examples
    --------
    >>> from funnelstats.data.periods import read_periods
    >>> from funnelstats.models.chain import Chain
    >>> fit = Chain().fit(read_periods("bundled:monthly_chain"), seed=1)
    >>> plot_chain(fit).alt[:46]
    'R against M over 36 months, with the line of t'
    """
    source, outcome = fit.paths.source, fit.paths.outcome
    if plan is not None and (plan.variable, plan.outcome) != (source, outcome):
        found = f"expected a plan of {outcome} by {source}, found {plan.outcome} by {plan.variable}"
        raise DataError("the figure of a chain", [Problem("plan", found, "plan with the fit that is drawn")])
    seen = fit.observed()
    level = plan.level if plan is not None and plan.reachable else None
    edges = [*seen[source], *([] if level is None else [level])]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExtrapolationWarning)  # the plan has said so, and the picture shows it
        bands = level_table(fit, list(np.linspace(min(edges), max(edges), _POINTS)))
    with styled():
        figure = new_figure(height=3.6)
        axes = figure.add_subplot()
        x = bands[source]
        axes.fill_between(x, bands["one_lower"], bands["one_upper"], color=ADVANCED, alpha=0.12, lw=0, label="one period")
        axes.fill_between(x, bands["lower"], bands["upper"], color=ADVANCED, alpha=0.45, lw=0, label="mean")
        axes.plot(x, bands["mean"], color=ADVANCED, lw=1.5)
        axes.scatter(seen[source], seen[outcome], s=18, facecolor="white", edgecolor=INK, lw=0.9, zorder=3, label="observed")
        if plan is not None:
            _mark(axes, plan, level)
        axes.set_xlabel(_named(source, fit.data.unit(source)))
        axes.set_ylabel(_named(outcome, fit.data.unit(outcome)))
        axes.spines[["top", "right"]].set_visible(False)
        figure.legend(loc="outside upper left", ncols=4, frameon=False, fontsize=9.5)
        caption(figure, f"Bands: {bands['interval'].iloc[0]} of the mean (dark) and of one period (pale). A line by assumption.")
        return Chart(figure, _alt_text(fit, bands, plan))


def _mark(axes: Any, plan: Plan, level: Any) -> None:
    axes.axhline(plan.target, color=OPEN, lw=1.1, ls="--", label="target")
    if level is not None:
        axes.axvline(level, color=FAINT, lw=1, ls=":")
        axes.annotate(f"{plan.assurance:.0%} sure from {level:.4g}", (level, axes.get_ylim()[0]), xytext=(-4, 6),
                      textcoords="offset points", fontsize=9, ha="right", color=INK)  # fmt: skip


def _named(name: str, unit: str) -> str:
    return f"{name}, {unit}" if unit else name


def _alt_text(fit: ChainFit, bands: pd.DataFrame, plan: Plan | None) -> str:
    source, outcome = fit.paths.source, fit.paths.outcome
    first, last = bands.iloc[0], bands.iloc[-1]
    text = f"{outcome} against {source} over {len(fit.observed())} {fit.data.length or 'row'}s, with the line of the chain: mean "
    text += "; ".join(
        f"{row['mean']:.4g} ({row['lower']:.4g} to {row['upper']:.4g}) at {source} {row[source]:.4g}" for row in (first, last)
    )
    return text + f" {first['unit']}; {first['interval']}." + (f" {plan}." if plan is not None else "")
