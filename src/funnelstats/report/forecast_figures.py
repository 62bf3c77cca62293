"""How much, when, and would one have known? Forecasts with their P10, P50 and P90, and back-tests beside what came."""

from typing import Any

import numpy as np
import pandas as pd

from funnelstats.decisions.forecast import ALL, Forecast
from funnelstats.decisions.forecast_backtest import ForecastBacktest
from funnelstats.digits import decimals
from funnelstats.report.figures import Chart, caption, new_figure, wrapped
from funnelstats.report.plain import Plain
from funnelstats.report.theme import ADVANCED, INK, LOST, OPEN, OPEN_HATCH, styled

#: More rows than this leave the page.
MOST_ROWS = 30
WORDS = {"wins": "Deals won", "revenue": "Revenue"}


def forecast_table(made: Forecast) -> Plain:
    """Write a forecast as a table: P10, P50 and P90 and the mean with its interval, of wins and of revenue.

    Parameters
    ----------
    made : Forecast
        The numbers to compute with are those of its ``table()``.

    Returns
    -------
    Plain
        One row for each (group and) period, and for all periods together.
    """
    frame = made.table()
    keys = [name for name in (made.by, "period") if name]
    parts = [frame[frame["quantity"] == name].set_index(keys) for name in frame["quantity"].unique()]
    columns: dict[str, Any] = {}
    for part in parts:
        name, unit, rule = (str(part[column].iloc[0]) for column in ("quantity", "unit", "interval"))
        head = name if unit == "deal" else f"{name}, {unit}"
        for mark in ("p10", "p50", "p90"):
            columns[f"{head}: {mark.upper()}"] = [_short(row[mark], row) for _, row in part.iterrows()]
        columns[f"mean ({rule})" if name == "wins" else f"mean, {unit} ({rule})"] = [
            f"{_short(row['mean'], row, more=1)} ({_short(row['lower'], row)} to {_short(row['upper'], row)})"
            for _, row in part.iterrows()
        ]
    return Plain(pd.DataFrame(columns, index=parts[0].index).reset_index())


def plot_forecast(made: Forecast) -> Chart:
    """Draw wins and revenue to come: by period or, where there are groups, by group over the whole horizon.

    Parameters
    ----------
    made : Forecast
        The first 30 groups by expected wins are drawn.

    Returns
    -------
    Chart
        Table twin: :func:`forecast_table`.
    """
    frame, rule = made.table(), made.wins.interval
    names = list(frame["quantity"].unique())
    key = made.by or "period"
    shown = frame[frame["period"] == ALL] if made.by else frame[frame["period"] != ALL]
    order = (
        list(shown[shown["quantity"] == "wins"].sort_values("mean", ascending=False)[key])
        if made.by
        else list(shown[key].unique())
    )
    hidden, order = max(0, len(order) - MOST_ROWS), order[:MOST_ROWS]
    with styled():
        figure = new_figure(height=1.9 + 0.36 * len(order))
        panels = np.atleast_1d(figure.subplots(1, len(names), sharey=True))
        for axes, name in zip(panels, names, strict=True):
            part = shown[shown["quantity"] == name].set_index(key).loc[order]
            _bars(axes, part)
            unit = str(part["unit"].iloc[0])
            axes.set_title(WORDS[name] if unit == "deal" else f"{WORDS[name]}, {unit}", fontsize=10.5)
            _thousands(axes)
        if made.by is None:
            _standing(panels[0], made)
        panels[0].set(ylim=(len(order) - 0.5, -0.5), yticks=range(len(order)))
        panels[0].set_yticklabels([wrapped(str(label), 26) for label in order], fontsize=9.5)
        more = f" {hidden} further groups are in the table only." if hidden else ""
        open_too = " Hatched: mean of those that are open today." if made.by is None else ""
        caption(figure, f"Thick: P10 to P90; thin: {rule}; mark: P50.{open_too}{more}")
        head = (
            f"Forecast for {made.periods[0][0].date()} to {(made.periods[-1][1] - pd.Timedelta(microseconds=1)).date()} by {key}."
        )
        parts = [f"{row[key]}, {row['quantity']}: P10 {_short(row['p10'], row)}, P50 {_short(row['p50'], row)}, P90 {_short(row['p90'], row)}."
                 for _, row in shown[shown[key].isin(order)].iterrows()]  # fmt: skip
        return Chart(figure, " ".join([head, *parts]))


def plot_forecast_backtest(found: ForecastBacktest) -> Chart:
    """Draw each past forecast of the whole horizon beside what came and what the weighted pipeline said.

    Parameters
    ----------
    found : ForecastBacktest

    Returns
    -------
    Chart
        Table twin: ``found.table`` and ``found.scores()``.
    """
    whole = found.table[found.table["period"] == ALL]
    names = list(whole["quantity"].unique())
    with styled():
        figure = new_figure(height=1.3 + 1.9 * len(names))
        for axes, name in zip(np.atleast_1d(figure.subplots(len(names), 1, sharex=True)), names, strict=True):
            part = whole[whole["quantity"] == name]
            x = np.arange(len(part))
            axes.vlines(x, part["lower"], part["upper"], color=ADVANCED, lw=1.2)
            axes.vlines(x, part["p10"], part["p90"], color=ADVANCED, lw=5, alpha=0.55, label="forecast, P10 to P90")
            axes.plot(x, part["weighted"], "s", color=OPEN, ms=6, ls="none", label="weighted pipeline")
            axes.plot(x, part["observed"], "o", mfc="white", mec=INK, mew=1.4, ms=7, ls="none", label="came")
            axes.set_ylim(bottom=0)
            axes.set_title(f"{WORDS[name]}, {found.units[name]}" if name == "revenue" else WORDS[name], fontsize=10.5)
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
            axes.spines[["top", "right"]].set_visible(False)
            axes.set_xticks(x, [str(at.date()) for at in part["origin"]], fontsize=9)
        axes.set_xlabel("forecast made at the end of")
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=3, frameon=False, fontsize=9.5)
        caption(
            figure,
            f"Each forecast looks {found.horizon} ahead. Thin: {found.interval}. The weighted pipeline has no horizon and no interval.",
        )
        parts = [f"{row['origin'].date()}, {row['quantity']}: came {_short(row['observed'], row)}, forecast {_short(row['lower'], row)} to "
                 f"{_short(row['upper'], row)}, weighted pipeline {_short(row['weighted'], row)}." for _, row in whole.iterrows()]  # fmt: skip
        return Chart(figure, " ".join([f"Back-test: {found}.", *parts]))


def _bars(axes: Any, part: pd.DataFrame) -> None:
    rows = np.arange(len(part))
    axes.hlines(rows, part["lower"], part["upper"], color=ADVANCED, lw=1.2, zorder=3)
    axes.hlines(rows, part["p10"], part["p90"], color=ADVANCED, lw=6, alpha=0.55, zorder=2)
    axes.plot(part["p50"], rows, "o", mfc="white", mec=INK, ms=5.5, ls="none", zorder=4)
    axes.set_xlim(left=0)
    axes.grid(axis="x", color=LOST, lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _standing(axes: Any, made: Forecast) -> None:
    """Mean number of wins that are open today, under the bars."""
    mean = np.atleast_1d(made.standing.point.values)
    axes.barh(range(len(mean)), mean, height=0.62, fc="white", ec=OPEN, hatch=OPEN_HATCH, lw=0.7, zorder=1)


def _thousands(axes: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    top = axes.get_xlim()[1]
    scale, letter = (1e6, " M") if top >= 2e6 else (1e3, " k") if top >= 2e4 else (1.0, "")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value / scale:g}{letter if value else ''}")


def _short(value: float, row: Any, *, more: int = 0) -> str:
    """A number to the digits that its interval is worth; whole where it counts deals."""
    places = 0 if row["unit"] == "deal" else min(decimals(float(row["lower"]), float(row["upper"])) + 1, 0)
    places = places + more if row["unit"] == "deal" else places
    return f"{round(float(value), places) + 0.0:,.{max(places, 0)}f}"
