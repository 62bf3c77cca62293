"""What does a funnel look like when open deals are not drawn as lost, and no rate without its interval?

Bars count who advanced (dark), is still open (hatched) and was lost (pale); beside them stands each step's rate with its
interval, hollow where it is only "so far".
"""

from typing import Any

import numpy as np
import pandas as pd

from funnelstats.data.stages import StageCounts
from funnelstats.errors import DataError, Problem
from funnelstats.interval import Interval
from funnelstats.models.rate_table import WILSON, rate_table
from funnelstats.report.figures import Chart, caption, new_figure, wrapped
from funnelstats.report.say import percent
from funnelstats.report.theme import ADVANCED, FAINT, INK, LOST, OPEN, OPEN_HATCH, styled

#: More panels than this cannot be told apart on a page.
MOST_PANELS = 12
_PARTS = (("advanced", "advanced", ADVANCED, None), ("open", "still open", "white", OPEN_HATCH), ("lost", "lost", LOST, None))


def plot_funnel(counts: StageCounts, *, interval: Interval = WILSON) -> Chart:
    """Draw a funnel; one panel for each segment when the counts have segments.

    Parameters
    ----------
    counts : StageCounts
        Of at most 12 segments; the largest are drawn when there are more, and the caption says so.
    interval : Interval
        Rule of the bounds; a kind for counts.

    Returns
    -------
    Chart
        Table twin: :func:`~funnelstats.report.tables.funnel_table`.

    Examples
    --------
    >>> plot_funnel(StageCounts.of({"Lead": 200, "Opportunity": 50, "Won": 12})).alt[:47]
    'Funnel of 200 who entered Lead. Of 200 in Lead,'
    """
    if not len(counts.frame):
        raise DataError(counts.source, [Problem("counts", "expected at least one segment, found none")])
    table = rate_table(counts, interval=interval)
    with styled():
        return _panels(counts, table) if counts.by else _single(counts, table)


# -- one funnel --------------------------------------------------------------------------------------------------
def _single(counts: StageCounts, table: pd.DataFrame) -> Chart:
    names = [wrapped(name, 16) for name in counts.stages]
    figure = new_figure(height=1.5 + len(names) * max(0.53, 0.1 + 0.19 * _lines(names)))
    bars, rates = figure.subplots(1, 2, sharey=True, width_ratios=(5, 4))
    places = np.arange(len(table))
    _stack(bars, places, table, 1)
    for place, row in zip(places, table.itertuples(index=False), strict=True):
        bars.annotate(f"{row.entered:,}", (row.entered, place), xytext=(4, 0), textcoords="offset points", va="center")
    bars.set(yticks=places, yticklabels=names, ylim=(len(table) - 0.45, -0.55), xlim=(0, 1.2 * max(table["entered"].max(), 1)))
    bars.tick_params(left=False)
    bars.set_xticks([])
    bars.spines[["bottom", "left"]].set_visible(False)
    _rates_beside(rates, places, table)
    figure.legend(*_key(), ncols=3, loc="outside upper left", frameon=False, handlelength=1.6, fontsize=10)
    caption(figure, _small_print(counts, table))
    return Chart(figure, alt_text(counts, table))


def _rates_beside(axes: Any, places: np.ndarray, table: pd.DataFrame) -> None:
    """Step rates as points with their interval, written out above; the last row is the share of the whole."""
    for place, row in zip(places, table.to_dict("records"), strict=True):
        last = place == places[-1]
        kind = "from_start" if last else "step"
        young = row["immature_path"] if last else row["immature"]
        if pd.isna(row[f"{kind}_rate"]):
            axes.annotate(row["note"], (0, place), va="center", color=FAINT, style="italic")
            continue
        rate, low, high = (float(row[f"{kind}_{part}"]) for part in ("rate", "lower", "upper"))
        look = {"fc": "white", "ec": OPEN, "hatch": OPEN_HATCH, "lw": 0.8} if young else {"fc": ADVANCED, "ec": ADVANCED, "lw": 0}
        axes.barh(place + 0.22, high - low, left=low, height=0.2, **look)
        axes.plot([rate, rate], [place + 0.08, place + 0.36], color=INK, lw=1.4, solid_capstyle="butt")
        text = rate_text(row, kind) + (" so far" if young else "")
        whose = (", of all" if young else " of all") if last else ""
        axes.annotate(text + whose, (0, place), va="bottom", annotation_clip=False)
        axes.axhline(place + 0.22, color=LOST, lw=0.7, zorder=0)
    axes.set(xlim=(0, 1), xticks=[0, 0.5, 1], xticklabels=["0", "50%", "100%"])
    axes.tick_params(left=False, labelleft=False, labelsize=9)
    axes.spines["left"].set_visible(False)


# -- one panel for each segment ----------------------------------------------------------------------------------
def _panels(counts: StageCounts, table: pd.DataFrame) -> Chart:
    names = table[list(counts.by)].astype(str).agg(" | ".join, axis=1)
    sizes = table["entered_first"].groupby(names, sort=False).first()
    shown = sizes[sizes.rank(method="first", ascending=False) <= MOST_PANELS].index
    columns = 1 if len(shown) == 1 else 2
    rows = -(-len(shown) // columns)
    labels = [wrapped(name, 14) for name in counts.stages]
    titles = [wrapped(f"{name}, n = {sizes[name]:,}", 30) for name in shown]
    panel = 0.25 + 0.2 * _lines(titles) + len(labels) * max(0.27, 0.08 + 0.17 * _lines(labels))
    figure = new_figure(height=1.3 + rows * panel)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    places = np.arange(len(labels))
    for axes, name, title in zip(grid, shown, titles, strict=False):
        part = table[names == name]
        _stack(axes, places, part, max(int(sizes[name]), 1))
        _panel_text(axes, places, part)
        axes.set_title(title, fontsize=10.5)
        axes.set(yticks=places, yticklabels=labels, ylim=(len(labels) - 0.4, -0.6), xlim=(0, 1.68), xticks=[0, 0.5, 1])
        axes.set_xticklabels(["0", "50%", "100%"], fontsize=9)
        axes.tick_params(left=False, labelsize=10)
        axes.spines[["left", "bottom"]].set_visible(False)
    for axes in grid[len(shown) :]:
        axes.set_axis_off()
    figure.legend(*_key(), ncols=3, loc="outside upper left", frameon=False, handlelength=1.6, fontsize=10)
    hidden = len(sizes) - len(shown)
    more = f" The {hidden} smaller segments are in the table only." if hidden else ""
    caption(figure, f"Bars: share of those who entered {counts.stages[0]}. {_small_print(counts, table)}{more}")
    return Chart(figure, alt_text(counts, table[names.isin(shown)]) + more)


def _panel_text(axes: Any, places: np.ndarray, part: pd.DataFrame) -> None:
    for place, row in zip(places, part.to_dict("records"), strict=True):
        kind = "from_start" if place == places[-1] else "step"
        if pd.isna(row[f"{kind}_rate"]):
            text = row["note"]
        else:
            mark = "*" if row["immature_path" if kind == "from_start" else "immature"] else ""
            text = rate_text(row, kind) + mark
        axes.annotate(text, (1.03, place), va="center", fontsize=9.5, weight="bold" if kind == "from_start" else "normal")


# -- what both share ---------------------------------------------------------------------------------------------
def _stack(axes: Any, places: np.ndarray, table: pd.DataFrame, whole: int) -> None:
    """Stacked bars; in the last row all have arrived, so it is all dark."""
    left = np.zeros(len(table))
    for column, _, colour, hatch in _PARTS:
        size = table[column].to_numpy(dtype=float).copy()
        if column == "advanced":
            size[-1] = float(table["entered"].iloc[-1])
        some = size > 0  # an edge around nothing would look like somebody
        look = {"edgecolor": OPEN if hatch else colour, "lw": 0.8 if hatch else 0, "hatch": hatch, "color": colour}
        axes.barh(places[some], size[some] / whole, left=left[some] / whole, height=0.62, **look)
        left += size


def _lines(texts: list[str]) -> int:
    return max(text.count("\n") + 1 for text in texts)


def _key() -> tuple[list[Any], list[str]]:
    from matplotlib.patches import Patch

    patches = [Patch(facecolor=colour, hatch=hatch, edgecolor=OPEN if hatch else colour) for _, _, colour, hatch in _PARTS]
    return patches, [label for _, label, _, _ in _PARTS]


def _small_print(counts: StageCounts, table: pd.DataFrame) -> str:
    until = f", as of {counts.window.as_of.date()}" if counts.window else ""
    what = f"share of those in a stage who advanced; last row: share of all who entered {counts.stages[0]}"
    text = f"Numbers: {what}; in brackets the {table['interval'].iloc[0]}{until}."
    if table["immature"].any():
        mark = "Star" if counts.by else "Hatched interval"
        text += f' {mark}: only "so far", as over 5% of the stage are open and young.'
    return f"{text} {counts.note[:1].upper()}{counts.note[1:]}{'.' if counts.note else ''}".strip()


def alt_text(counts: StageCounts, table: pd.DataFrame) -> str:
    """Say in words what the figure shows: counts and rates of every stage, or the overall rate of every segment."""
    start = int(counts.frame.loc[counts.frame["stage"] == counts.stages[0], "entered"].sum())
    until = f", as of {counts.window.as_of.date()}" if counts.window else ""
    sentences = [f"Funnel of {start:,} who entered {counts.stages[0]}{until}."]
    for row in table.to_dict("records"):
        who = "".join(f"{row[name]} | " for name in counts.by).removesuffix(" | ")
        if row["stage"] == counts.stages[-1]:
            far = " so far" if row["immature_path"] else ""
            where = f"{who}: " if who else ""
            sentences.append(f"{where}{row['entered']:,} reached {row['stage']}{far}, {rate_text(row, 'from_start')} of all.")
        elif not counts.by:
            far = " so far" if row["immature"] else ""
            sentences.append(f"Of {row['entered']:,} in {row['stage']}, {row['advanced']:,} advanced{far}, "
                             f"{rate_text(row, 'step')}; {row['open']:,} are open, {row['lost']:,} lost.")  # fmt: skip
    return " ".join([*sentences, f"In brackets the {table['interval'].iloc[0]}."])


def rate_text(row: Any, kind: str) -> str:
    """Write one rate of a row of :func:`~funnelstats.models.rate_table.rate_table` with its bounds, or why there is none."""
    if pd.isna(row[f"{kind}_rate"]):
        return str(row["note"])
    return percent(float(row[f"{kind}_rate"]), float(row[f"{kind}_lower"]), float(row[f"{kind}_upper"]))
