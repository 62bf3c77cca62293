"""How many of how many, and how long does it take? The sections of a report on the funnel and on time."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd

from funnelstats.data.stages import StageCounts
from funnelstats.estimate import Estimate
from funnelstats.models.rate_table import rate_table
from funnelstats.models.timing import OPEN_SHARE, time_in_stage
from funnelstats.report.answers import plural
from funnelstats.report.funnel_figures import plot_funnel
from funnelstats.report.material import Material, said, worded
from funnelstats.report.section import Column, Grid, Picture, Section, Sentence
from funnelstats.report.time_figures import plot_time_in_stage

_NO_DATES = "The data are counts without the dates of single records, so nothing can be said about time."


def funnel(m: Material) -> Section:
    """Who entered, advanced, was lost or is open at each stage, and what share was won."""
    counts, last = m.counts, m.counts.stages[-1]
    first = counts.stages[0]
    won, decided = m.ask("overall_rate"), m.ask("win_rate_of_decided")
    so_far = " so far" if counts.immature.any() else ""
    until = f", as of {counts.window.as_of:%d %B %Y}" if counts.window else ""
    entered, still = int(counts.frame["entered"].iloc[0]), int(counts.frame["open"].sum())
    sentences = [
        said(won.card, worded(won.estimate, lambda e: f"{e} of the {entered:,} who entered {first} are {last}{so_far}{until}.")),
        said(
            decided.card,
            worded(
                decided.estimate, lambda e: f"Of those who were won or lost, {e} were won: a win rate, which leaves the open out."
            ),
        ),
        Sentence(text=_open(still, entered, int(counts.frame["entered"].iloc[-1]), m.smallest)),
    ]
    grid = funnel_grid(m)
    told = [stage for row, stage in enumerate(counts.stages[:-1]) if (row, "step_rate") not in grid.hidden]
    steps = [m.ask("step_rate", stage=stage) for stage in told]
    for stage, one in zip(told, steps, strict=True):
        sentences.append(said(one.card, worded(one.estimate, partial(_advanced, counts, stage))))
    if counts.note:
        sentences.append(Sentence(text=f"{counts.note[:1].upper()}{counts.note[1:]}."))
    if grid.hidden:
        sentences.append(
            Sentence(
                text=f"What would show a count under {m.smallest} is left out: cells of the table, the share of their step, the figure."
            )
        )
    pictures = () if grid.hidden else (Picture(title="The funnel", chart=plot_funnel(counts), twin=grid),)
    return Section(key="funnel", title="The funnel", sentences=tuple(sentences), references=("wilson1927", "brown2001"),
                   cards=tuple(one.card for one in (won, decided, *steps)), pictures=pictures, grids=() if pictures else (grid,))  # fmt: skip


def funnel_grid(m: Material) -> Grid:
    """Counts and shares of every stage."""
    table = rate_table(m.counts)
    last = table["stage"] == m.counts.stages[-1]
    table.loc[last, ["advanced", "lost", "open"]] = pd.NA
    columns = {
        "stage": Column(head="Stage"),
        **{name: Column(head=name.capitalize(), kind="count") for name in ("entered", "advanced", "lost", "open")},
        "step_rate": Column(head="Advanced, of those who entered the stage", kind="percent", bounds=("step_lower", "step_upper"), of=("entered", "advanced")),
        "from_start_rate": Column(head=f"Entered, of all who entered {m.counts.stages[0]}", kind="percent", bounds=("from_start_lower", "from_start_upper"), of=("entered",)),
        "decided_rate": Column(head="Advanced, of those decided", kind="percent", bounds=("decided_lower", "decided_upper"), of=("advanced", "lost")),
    }  # fmt: skip
    note = f"In brackets the {table['interval'].iloc[0]}. Definition: {m.counts.definition}."
    return m.grid("Stages", table, columns, note=note)


def _open(still: int, entered: int, won: int, smallest: int) -> str:
    if 0 < still < smallest:
        return f"Fewer than {smallest} are open."
    if not still:
        return "None is open, so no share will move."
    return (f"{still:,} are open and count as neither won nor lost. Were all of them won, the share won would be {(won + still) / entered:.1%}; "
            "were all lost, it would stay as it is.")  # fmt: skip


def _young(counts: StageCounts, stage: str) -> str:
    young = counts.immature[counts.frame["stage"] == stage]
    return " so far, which will rise" if bool(young.any()) else ""


def time(m: Material) -> Section:
    """How long each stage takes, the open counted as long as they were watched."""
    if m.events is None:
        return Section(key="time", title="Time in stage", missing=_NO_DATES)
    table = time_in_stage(m.hazards)
    left = table[table["until"] == "left"]
    timed = left[(left["exits"] > 0) & left["median"].notna()]
    if timed.empty:
        return Section(
            key="time", title="Time in stage", missing="No stage was left by half of those who entered it on a dated day."
        )
    slowest = str(timed["stage"].iloc[int(timed["median"].astype(float).to_numpy().argmax())])
    median, final = m.ask("median_time", stage=slowest), m.ask("eventual_conversion", stage=m.counts.stages[0])
    sentences = [
        said(median.card, worded(median.estimate, lambda e: f"{slowest} takes longest: by the fitted curve half have left it after {plural(e)}.")),
        said(final.card, worded(final.estimate, lambda e: f"In the end {e} of those who enter {m.counts.stages[0]} will be {m.counts.stages[-1]}, "
                                                          "if late deals go on as the longest-watched did.")),
    ]  # fmt: skip
    unsure = left[(left["open_share"] > OPEN_SHARE) & (left["entered"] > 0)]["stage"].tolist()
    if unsure:
        sentences.append(
            Sentence(
                text=f"In {', '.join(unsure)} over {OPEN_SHARE:.0%} are still open at the last age watched: what they will do is not known."
            )
        )
    chart = plot_time_in_stage(m.exits)
    picture = Picture(title="Advanced, lost and open by age in the stage", chart=chart, twin=_times(m, table))
    return Section(key="time", title="Time in stage", sentences=tuple(sentences), pictures=(picture,), cards=(median.card, final.card),
                   references=("kaplan1958", "aalen1978", "allison1982"))  # fmt: skip


def _advanced(counts: StageCounts, stage: str, rate: Estimate) -> str:
    return f"From {stage}, {rate} advanced{_young(counts, stage)}."


def _times(m: Material, table: pd.DataFrame) -> Grid:
    words = {"left": "left the stage", "advanced": "advanced", "lost": "were lost"}
    shown = table.assign(until=table["until"].map(words))
    for name in ("median", "p90"):
        shown[name] = [_time(row, name) for row in table.to_dict("records")]
    columns = {"stage": Column(head="Stage"), "until": Column(head="Until they"), "entered": Column(head="Watched", kind="count"),
               "exits": Column(head="Exits", kind="count"), "share": Column(head="Share by the last age", kind="percent", of=("exits",)),
               "median": Column(head="Median", of=("exits",)), "p90": Column(head="90th percentile", of=("exits",))}  # fmt: skip
    note = f"In {table['unit'].iloc[0]}s, in brackets the {table['interval'].iloc[0]}. Advanced and lost: of those who take that way out."
    return m.grid("Time in stage", shown, columns, note=note)


def _time(row: Mapping[Any, Any], name: str) -> str:
    if pd.isna(row[name]):
        return "not reached" if row["exits"] else "–"
    low, high = row[f"{name}_lower"], row[f"{name}_upper"]
    return f"{row[name]} ({0 if pd.isna(low) else low}\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}{'not reached' if pd.isna(high) else high})"
