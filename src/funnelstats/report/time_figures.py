"""How long do deals stay in each stage, and which way do they leave? Curves whose heights add up, with the medians marked.

Advanced grows from the floor (dark), lost from the ceiling (pale), and what is between them is still open (hatched).
"""

from typing import Any

import numpy as np
import pandas as pd

from funnelstats.data.stages import StageHazards
from funnelstats.interval import DEFAULT, Interval
from funnelstats.models.ages import pool, unit_of
from funnelstats.models.exits_fit import POINTS, CompetingExitsFit
from funnelstats.models.timing import incidence_curves, time_in_stage
from funnelstats.report.figures import Chart, caption, new_figure, wrapped
from funnelstats.report.theme import ADVANCED, INK, LOST, OPEN, OPEN_HATCH, styled

_PARTS = (("advanced", ADVANCED, None), ("still open", "white", OPEN_HATCH), ("lost", LOST, None))
_TIED = "\N{NO-BREAK SPACE}"
_HEAD = {"left": "Left the stage", "advanced": "Advanced", "lost": "Lost"}
#: The axis ends where this share has left in every stage, so that one very old deal does not press the rest to the edge.
SHOWN = 0.97


def plot_time_in_stage(data: StageHazards | CompetingExitsFit, *, interval: Interval = DEFAULT) -> Chart:
    """Draw the shares advanced, still open and lost by time in the stage, one panel for each stage.

    Parameters
    ----------
    data : StageHazards or CompetingExitsFit
        Segments are added up. Of a fit without groups the fitted share advanced is drawn over the counts, with its interval.
    interval : Interval
        Its mass is that of the interval of the medians.

    Returns
    -------
    Chart
        Table twin: :func:`time_table`.

    Examples
    --------
    >>> frame = pd.DataFrame({"stage": "Lead", "age": [0, 2], "at_risk": [10, 4], "advanced": [4, 1], "lost": [2, 3], "censored": 0})
    >>> plot_time_in_stage(StageHazards(frame=frame, stages=("Lead", "Won"))).alt[:62]
    'Time in stage. Lead (10 watched): half had left by unit 1; by '
    """
    hazards = pool(data.data if isinstance(data, CompetingExitsFit) else data)
    curves, times = incidence_curves(hazards, interval=interval), time_in_stage(hazards, interval=interval)
    stages, unit = hazards.stages[:-1], unit_of(hazards)
    columns = min(2, len(stages))
    rows = -(-len(stages) // columns)
    with styled():
        figure = new_figure(height=1.15 + 1.95 * rows)
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        model = data if isinstance(data, CompetingExitsFit) and not data.model.group else None
        for axes, stage in zip(grid, stages, strict=False):
            part, rows_of = curves[curves["stage"] == stage], times[times["stage"] == stage].set_index("until")
            _panel(axes, stage, part, rows_of, unit)
            if model is not None and len(part):
                _fitted(axes, model, stage, interval)
        for axes in grid[len(stages) :]:
            axes.set_axis_off()
        figure.legend(*_key(model is not None), ncols=5, loc="outside upper left", frameon=False, handlelength=1.5, fontsize=9.5,
                      columnspacing=1.3)  # fmt: skip
        caption(figure, _small_print(hazards, interval if model else None))
        return Chart(figure, _alt_text(hazards, curves, times))


def time_table(data: StageHazards | CompetingExitsFit, *, by: Any = None, interval: Interval = DEFAULT) -> Any:
    """Tabulate median and 90th percentile of the time in each stage, with intervals.

    Parameters
    ----------
    data : StageHazards or CompetingExitsFit
    by : sequence of str, optional
        Segments to keep apart; those of the data where not given.
    interval : Interval
        Its mass is that of the bounds.

    Returns
    -------
    great_tables.GT
        Rows grouped by segment; a time that was not reached says so.

    Examples
    --------
    >>> frame = pd.DataFrame({"stage": "Lead", "age": [0, 2], "at_risk": [10, 4], "advanced": [4, 1], "lost": [2, 0], "censored": [0, 3]})
    >>> "not reached" in time_table(StageHazards(frame=frame, stages=("Lead", "Won"))).as_raw_html()
    True
    """
    from great_tables import GT

    hazards = data.data if isinstance(data, CompetingExitsFit) else data
    table = time_in_stage(hazards, by=by, interval=interval)
    named = [name for name in hazards.by if name in table.columns and name not in ("stage", "until")]
    cells = pd.DataFrame({"stage": table["stage"].where(table["until"] == "left", ""), "until": table["until"].map(_HEAD)})
    cells["exits"] = [f"{row['exits']:,} of {row['entered']:,}" for row in table.to_dict("records")]
    cells["share"] = [_TIED if pd.isna(value) else f"{value:.0%}" for value in table["share"]]
    for name in ("median", "p90"):
        cells[name] = [_time(row, name) for row in table.to_dict("records")]
    if named:
        cells["segment"] = table[named].astype(str).agg(" | ".join, axis=1)
    unit, rule = table["unit"].iloc[0], table["interval"].iloc[0]
    until = f"as of {hazards.window.as_of.date()}" if hazards.window else "no dates"
    gt = GT(cells, rowname_col="stage", groupname_col="segment" if named else None, id=f"t{hazards.digest[:10]}")
    gt = gt.tab_stubhead("Stage").tab_header(title="Time in stage", subtitle=f"in {unit}s, {rule} in brackets; {until}")
    gt = gt.cols_label(
        {"until": "Until", "exits": "Exits", "share": "Share by then", "median": "Median", "p90": "90th percentile"}
    )
    gt = gt.cols_align("right", ["exits", "share", "median", "p90"]).cols_align("left", ["until"])
    gt = gt.tab_options(table_font_size="14px", heading_align="left", data_row_padding="4px")
    notes = ["Left: of all who entered, the open counted as long as they were watched (Kaplan-Meier). Advanced and lost: of those who "
             "take that way out by the last age watched (Aalen-Johansen)."]  # fmt: skip
    where = table[named].astype(str).agg(" | ".join, axis=1) + ", " if named else pd.Series("", index=table.index)
    for place, row in zip(where, table.to_dict("records"), strict=True):
        if row["note"]:
            notes.append(f"{place}{row['stage']}, {_HEAD[row['until']].lower()}: {row['note']}.")
    for note in notes[:7]:
        gt = gt.tab_source_note(note)
    return gt.tab_source_note(f"{len(notes) - 7} further notes in time_in_stage().") if len(notes) > 7 else gt


# -- the picture -------------------------------------------------------------------------------------------------
def _panel(axes: Any, stage: str, part: pd.DataFrame, times: Any, unit: str) -> None:
    from matplotlib.ticker import MaxNLocator

    entered = int(times.loc["left", "entered"])
    axes.set_title(wrapped(f"{stage}, n = {entered:,}", 34), fontsize=10.5)
    axes.set(ylim=(0, 1), yticks=[0, 0.5, 1], yticklabels=["0", "50%", "100%"])
    axes.tick_params(labelsize=9)
    axes.set_xlabel(f"{unit}s in the stage", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    if not entered:
        axes.annotate(str(times.loc["left", "note"]), (0.03, 0.5), xycoords="axes fraction", fontsize=9, style="italic")
        axes.set(xlim=(0, 1), xticks=[0])
        return
    wide = part.pivot(index="time", columns="state", values="share")
    time, advanced, still = (np.append(0.0, wide.index), np.append(0.0, wide["advanced"]), np.append(1.0, wide["open"]))
    end = float(time[np.argmax(still <= 1 - SHOWN)]) if (still <= 1 - SHOWN).any() else float(time[-1])
    axes.fill_between(time, advanced, step="post", color=ADVANCED, lw=0)
    axes.fill_between(time, advanced, advanced + still, step="post", facecolor="white", edgecolor=OPEN, hatch=OPEN_HATCH, lw=0)
    axes.fill_between(time, advanced + still, 1, step="post", color=LOST, lw=0)
    axes.set_xlim(0, max(end, 1))
    marks = MaxNLocator(4, integer=True).tick_values(0, max(end, 1))
    axes.set_xticks([mark for mark in marks if mark <= 0.96 * max(end, 1)])  # a number at the very end would leave the page
    _medians(axes, times, max(end, 1.0))


def _medians(axes: Any, times: Any, end: float) -> None:
    """A line where half have left, and its number."""
    row = times.loc["left"]
    if pd.isna(row["median"]) or row["median"] > end:
        return
    median, late = float(row["median"]), float(row["median"]) > 0.55 * end
    axes.plot([median, median], [0, 1], color=INK, lw=1.3, ls="--")
    axes.annotate(f"median {row['median']} {row['unit']}{'' if median == 1 else 's'}", (median, 0.955), va="top",
                  ha="right" if late else "left", xytext=(-4 if late else 4, 0), textcoords="offset points", fontsize=9,
                  bbox={"fc": "white", "ec": "none", "pad": 1.2})  # fmt: skip


def _fitted(axes: Any, model: CompetingExitsFit, stage: str, interval: Interval) -> None:
    """The fitted share advanced and its interval, at ages that the panel shows."""
    ages = np.unique(np.linspace(0, axes.get_xlim()[1], POINTS + 1).round())[1:]
    advanced = model.incidence(ages.tolist()).sel(stage=stage).sel(cause="advanced").with_interval(prob=interval.prob)
    at = np.append(0.0, advanced.draws["age"].values)
    low, mid, high = (np.append(0.0, part) for part in (advanced.lower, advanced.point, advanced.upper))
    for line, style in ((low, ":"), (mid, "-"), (high, ":")):
        # a white line with a dark edge is seen on dark, hatched and pale alike
        axes.plot(at, line, color=INK, lw=2.6, ls="-" if style == "-" else "None")
        axes.plot(at, line, color="white" if style == "-" else INK, lw=1.3 if style == "-" else 0.9, ls=style)


def _key(fitted: bool) -> tuple[list[Any], list[str]]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    marks: list[Any] = [Patch(facecolor=colour, hatch=hatch, edgecolor=OPEN if hatch else colour) for _, colour, hatch in _PARTS]
    names = [name for name, _, _ in _PARTS]
    marks, names = [*marks, Line2D([], [], color=INK, lw=1.3, ls="--")], [*names, "half have left"]
    return ([*marks, Line2D([], [], color=INK, lw=2.6)], [*names, "model"]) if fitted else (marks, names)


# -- the words ---------------------------------------------------------------------------------------------------
def _small_print(hazards: StageHazards, fitted: Interval | None) -> str:
    until = f", as of {hazards.window.as_of.date()}" if hazards.window else ""
    text = f"Share of those who entered the stage and were watched for a {unit_of(hazards)} at least{until}; the open count for as long " \
           "as they were watched (Aalen-Johansen)."  # fmt: skip
    if fitted:
        text += f" Model: fitted share advanced and its {Interval(prob=fitted.prob)} (dotted)."
    return f"{text} Each axis ends when {SHOWN:.0%} have left, or at the last age watched."


def _alt_text(hazards: StageHazards, curves: pd.DataFrame, times: pd.DataFrame) -> str:
    unit, sentences = unit_of(hazards), ["Time in stage."]
    for stage in hazards.stages[:-1]:
        row: Any = times[times["stage"] == stage].set_index("until").loc["left"].to_dict()
        if not row["entered"]:
            sentences.append(f"{stage}: {row['note']}.")
            continue
        last = curves[(curves["stage"] == stage)].groupby("state", sort=False)["share"].last()
        half = f"half had left by {unit} {row['median']}" if not pd.isna(row["median"]) else str(row["note"])
        shares = ", ".join(f"{last[state]:.0%} {state}" for state in ("advanced", "lost", "open"))
        sentences.append(f"{stage} ({row['entered']:,} watched): {half}; by {unit} {row['watched']}: {shares}.")
    return " ".join(sentences)


def _time(row: Any, name: str) -> str:
    """A time with its bounds, or that it was not reached."""
    if pd.isna(row[name]):
        return "not reached" if row["exits"] else "none"
    low, high = row[f"{name}_lower"], row[f"{name}_upper"]
    upper = "not reached" if pd.isna(high) else str(high)
    return f"{row[name]} ({'0' if pd.isna(low) else low} to {upper})".replace(" ", _TIED)
