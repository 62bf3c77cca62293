"""What does a reader need beside the picture? The same numbers as a table, each column naming its denominator and its interval.

Tables are made with great_tables, which shows them in notebooks and writes HTML; the numbers themselves, to compute with, are
those of :func:`~funnelstats.models.rate_table.stage_rates`.
"""

from typing import Any

import pandas as pd

from funnelstats.data.stages import IMMATURE_SHARE, StageCounts
from funnelstats.interval import Interval
from funnelstats.models.rate_table import WILSON, rate_table
from funnelstats.report.cohort_figures import cohort_column
from funnelstats.report.funnel_figures import rate_text

_TIED = "\N{NO-BREAK SPACE}"
_COUNTS = {"entered": "Entered", "advanced": "Advanced", "open": "Open", "lost": "Lost"}


def funnel_table(counts: StageCounts, *, interval: Interval = WILSON) -> Any:
    """Tabulate a funnel: counts, step rate, share of all and share of the decided, each with its interval.

    Parameters
    ----------
    counts : StageCounts
    interval : Interval
        Rule of the bounds; a kind for counts.

    Returns
    -------
    great_tables.GT
        Rows grouped by segment; immature shares are marked "so far" in the cell.

    Examples
    --------
    >>> html = funnel_table(StageCounts.of({"Lead": 200, "Opportunity": 50, "Won": 12})).as_raw_html()
    >>> "25%" in html, "90% Wilson interval in brackets" in html
    (True, True)
    """
    table = rate_table(counts, interval=interval)
    cells = pd.DataFrame({"stage": table["stage"], **{name: table[name].map("{:,}".format) for name in _COUNTS}})
    for kind, young in (("step", "immature"), ("from_start", "immature_path"), ("decided", "immature")):
        cells[kind] = [_cell(row, kind, young) for row in table.to_dict("records")]
    last = table["stage"] == counts.stages[-1]
    cells.loc[last, ["advanced", "open", "lost", "step", "decided"]] = ""
    if counts.by:
        cells["segment"] = table[list(counts.by)].astype(str).agg(" | ".join, axis=1)
    head = {"stage": "Stage", **_COUNTS, "step": "Advanced, of those who entered the stage",
            "from_start": f"Entered, of all who entered {counts.stages[0]}",
            "decided": "Advanced, of those decided (win rate)"}  # fmt: skip
    title = f"Funnel from {counts.stages[0]} to {counts.stages[-1]}"
    return _styled(cells, head, title, counts, table, named="stage", numbers=[*_COUNTS, "step", "from_start", "decided"])


def cohort_table(counts: StageCounts, *, interval: Interval = WILSON) -> Any:
    """Tabulate what share of each cohort reached each stage, and how many are still open.

    Parameters
    ----------
    counts : StageCounts
        Counted by a column of the calendar, such as ``by="entry_month"``, and perhaps by more.
    interval : Interval
        Rule of the bounds; a kind for counts.

    Returns
    -------
    great_tables.GT
        One row for each cohort, grouped by what else was counted by.

    Raises
    ------
    DataError
        Counts without a time of entry.
    """
    cohort = cohort_column(counts)
    table = rate_table(counts, interval=interval)
    rows = table.to_dict("records")
    later = {f"to {stage}": [_cell(row, "from_start", "immature_path") for row in rows if row["stage"] == stage]
             for stage in counts.stages[1:]}  # fmt: skip
    first = table[table["stage"] == counts.stages[0]].reset_index(drop=True)
    still = table["open"].to_numpy().reshape(-1, len(counts.stages)).sum(axis=1)
    cells = pd.DataFrame({"cohort": first[cohort].astype(str), "entered": first["entered"].map("{:,}".format),
                          "open": [f"{number:,}" for number in still], **later})  # fmt: skip
    other = [name for name in counts.by if name != cohort]
    if other:
        cells["segment"] = first[other].astype(str).agg(" | ".join, axis=1)
    head = {"cohort": cohort.removeprefix("entry_").capitalize() + " of entry", "entered": f"Entered {counts.stages[0]}",
            "open": "Still open", **{f"to {stage}": f"Reached {stage}" for stage in counts.stages[1:]}}  # fmt: skip
    title = f"Cohorts by {cohort.removeprefix('entry_')} of entry: share of those who entered {counts.stages[0]}"
    return _styled(cells, head, title, counts, table, named="cohort", numbers=["entered", "open", *later])


def _cell(row: Any, kind: str, young: str) -> str:
    far = f" so{_TIED}far" if row[young] and not pd.isna(row[f"{kind}_rate"]) else ""
    return rate_text(row, kind).replace(" ", _TIED) + far


def _styled(
    cells: pd.DataFrame, head: dict[str, str], title: str, counts: StageCounts, table: pd.DataFrame, *, named: str,
    numbers: list[str],
) -> Any:  # fmt: skip
    """Put names, notes and marks around the cells; the id is of the content, so that the same table is the same HTML."""
    from great_tables import GT

    until = f"as of {counts.window.as_of.date()}" if counts.window else "no dates"
    grouped = "segment" if "segment" in cells else None
    gt = GT(cells, rowname_col=named, groupname_col=grouped, id=f"t{counts.digest[:10]}")
    gt = gt.tab_stubhead(head[named]).cols_label({name: head[name] for name in numbers})
    gt = gt.tab_header(title=title, subtitle=f"{table['interval'].iloc[0]} in brackets; {until}")
    gt = gt.cols_align("right", numbers).tab_options(table_font_size="14px", heading_align="left", data_row_padding="4px")
    notes = [f"Definition: {counts.definition}. Source: {counts.source}."]
    if table["immature"].any():
        notes.insert(
            0, f'"So far": over {IMMATURE_SHARE:.0%} of those who entered are open and young, so the share will still rise.'
        )
    if counts.note:
        notes.append(f"{counts.note[:1].upper()}{counts.note[1:]}.")
    for note in notes:
        gt = gt.tab_source_note(note)
    return gt
