"""How do cohorts compare, and which of them are too young to be judged?

One row for each time of entry, one column for each stage reached; hatched cells are only "so far".
"""

from typing import Any

import numpy as np
import pandas as pd

from funnelstats.data.stages import StageCounts
from funnelstats.errors import DataError, Problem
from funnelstats.interval import Interval
from funnelstats.models.rate_table import WILSON, rate_table
from funnelstats.report.figures import Chart, caption, new_figure, wrapped
from funnelstats.report.funnel_figures import rate_text
from funnelstats.report.theme import HEAT, INK, OPEN, OPEN_HATCH, styled

#: More rows than this leave the page; the latest are drawn.
MOST_COHORTS = 24


def plot_cohorts(counts: StageCounts, *, interval: Interval = WILSON) -> Chart:
    """Draw what share of each cohort reached each stage.

    Parameters
    ----------
    counts : StageCounts
        Counted by one column of the calendar, such as ``by="entry_month"``; the latest 24 cohorts are drawn.
    interval : Interval
        Rule of the bounds; a kind for counts.

    Returns
    -------
    Chart
        Table twin: :func:`~funnelstats.report.tables.cohort_table`.

    Raises
    ------
    DataError
        Counts by something else than one column of the calendar.
    """
    cohort = cohort_column(counts)
    if counts.by != (cohort,):
        other = next(name for name in counts.by if name != cohort)
        fix = f'pick one with counts.select({other}=...) and add up the rest with counts.stages_by("{cohort}")'
        raise DataError(counts.source, [Problem("by", f"expected cohorts only, found {', '.join(counts.by)}", fix)])
    table = rate_table(counts, interval=interval)
    names = list(dict.fromkeys(table[cohort]))
    shown = table[table[cohort].isin(names[-MOST_COHORTS:])]
    with styled():
        figure = new_figure(height=1.5 + 0.43 * min(len(names), MOST_COHORTS))
        _heat(figure.add_subplot(), counts, shown, cohort)
        caption(figure, _small_print(counts, shown, len(names) - MOST_COHORTS))
        return Chart(figure, alt_text(counts, shown, cohort))


def cohort_column(counts: StageCounts) -> str:
    """Name the column that holds the time of entry."""
    found = [name for name in counts.by if name.startswith("entry_")]
    if len(found) != 1 or not len(counts.frame):
        what = f"expected counts by one time of entry, found by {list(counts.by)}"
        raise DataError(counts.source, [Problem("by", what, 'count with by="entry_month"')])
    return found[0]


def _heat(axes: Any, counts: StageCounts, table: pd.DataFrame, cohort: str) -> None:
    """Shade each cell by its share of the largest in its column, and write share and bounds into it."""
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.patches import Rectangle

    shades, later = LinearSegmentedColormap.from_list("heat", HEAT), counts.stages[1:]
    rows = list(dict.fromkeys(table[cohort]))
    for column, stage in enumerate(later):
        cells = table[table["stage"] == stage]
        most = float(cells["from_start_rate"].fillna(0).max()) or 1.0
        for place, row in enumerate(cells.to_dict("records")):
            if pd.isna(row["from_start_rate"]):
                continue
            depth = float(row["from_start_rate"]) / most * 0.9
            young = row["immature_path"]
            look: Any = {"hatch": OPEN_HATCH, "ec": OPEN} if young else {"ec": "none"}
            axes.add_patch(Rectangle((column + 0.02, place + 0.04), 0.96, 0.92, fc=shades(depth), lw=0, **look))
            share, bounds = rate_text(row, "from_start").split(" ", 1)
            box = {"fc": shades(depth), "ec": "none", "pad": 0.8} if young else None
            ink = "white" if _luminance(shades(depth)) < 0.18 else INK  # above and below, contrast is at least 4.5
            for text, height, size in ((share, 0.32, 10.5), (bounds, 0.73, 8.5)):
                axes.text(column + 0.5, place + height, text, ha="center", va="center", color=ink, fontsize=size, bbox=box)
    sizes = table.drop_duplicates(cohort)["entered_first"]
    labels = [f"{name}\nn = {size:,}" for name, size in zip(rows, sizes, strict=True)]
    axes.set(xlim=(0, len(later)), ylim=(len(rows), 0), xticks=np.arange(len(later)) + 0.5, yticks=np.arange(len(rows)) + 0.5)
    axes.set_xticklabels([wrapped(name, 14) for name in later], color=INK)
    axes.set_yticklabels(labels, fontsize=9.5)
    axes.tick_params(length=0, top=False, bottom=False, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)


def _luminance(colour: tuple[float, ...]) -> float:
    """Relative luminance, as the Web Content Accessibility Guidelines define it."""
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _small_print(counts: StageCounts, table: pd.DataFrame, hidden: int) -> str:
    until = f", as of {counts.window.as_of.date()}" if counts.window else ""
    what = f"share of those who entered {counts.stages[0]} that reached the stage"
    text = f"Numbers: {what}, with the {table['interval'].iloc[0]}{until}. Shade: relative to the largest in the column."
    if table["immature_path"].any():
        text += ' Hatched: only "so far", a younger cohort will still rise.'
    if hidden > 0:
        text += f" {hidden} earlier cohorts are in the table only."
    return f"{text} {counts.note}".strip()


def alt_text(counts: StageCounts, table: pd.DataFrame, cohort: str) -> str:
    """Say in words what the heat map shows: each cohort's size and its share that reached the last stage."""
    last = counts.stages[-1]
    until = f", as of {counts.window.as_of.date()}" if counts.window else ""
    rows = table[table["stage"] == last].to_dict("records")
    parts = [f"{row[cohort]}: {row['entered_first']:,} entered, {rate_text(row, 'from_start')} reached {last}"
             f"{' so far' if row['immature_path'] else ''}." for row in rows]  # fmt: skip
    head = f"Heat map of {len(rows)} cohorts by {cohort.removeprefix('entry_')} of entry to {counts.stages[0]}{until}."
    return " ".join([head, *parts, f"In brackets the {table['interval'].iloc[0]}."])
