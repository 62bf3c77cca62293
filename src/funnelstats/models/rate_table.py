"""What share advanced at each stage? A table with both denominators, their bounds and their names.

Two denominators, never mixed: a *step* rate is ``advanced / entered`` of one stage, a *from-start* rate is ``entered`` of a
stage over ``entered`` of the first. A third, over those decided only, is a "win rate", not a conversion rate, and is named so.
"""

import warnings

import numpy as np
import pandas as pd

from funnelstats.data.stages import IMMATURE_SHARE, StageCounts
from funnelstats.errors import ImmatureWarning
from funnelstats.interval import Interval

#: The rule of bounds computed from counts.
WILSON = Interval(kind="wilson")


def stage_rates(counts: StageCounts, *, interval: Interval = WILSON) -> pd.DataFrame:
    """Tabulate every stage's rates with their bounds, each beside the name of what it is a share of.

    Parameters
    ----------
    counts : StageCounts
    interval : Interval
        Rule of the bounds; a kind for counts.

    Returns
    -------
    DataFrame
        One row per segment and stage: the counts and ``immature``; then for ``step`` (advanced of entered), ``from_start``
        (entered of those who entered the first stage) and ``decided`` (advanced of advanced or lost) the columns ``X_rate``,
        ``X_lower``, ``X_upper``, ``X_name`` (what to call it) and ``X_of`` (its denominator); ``interval``; ``note``, the
        reason where there is no rate (then missing, never a number).

    Warns
    -----
    ImmatureWarning
        Once, with the number of cells whose rate is only "so far".

    Examples
    --------
    >>> counts = StageCounts.of({"Lead": 263, "Won": 81})
    >>> rates = stage_rates(counts, interval=Interval(prob=0.95, kind="wilson"))
    >>> rates.loc[0, ["step_name", "step_of", "step_rate", "step_lower", "step_upper"]].tolist()[:2]
    ['conversion rate', 'entered Lead']
    >>> [round(float(rates.loc[0, name]), 4) for name in ("step_rate", "step_lower", "step_upper")]  # Newcombe (1998), table I
    [0.308, 0.2553, 0.3662]
    """
    warn_immature(counts)
    return rate_table(counts, interval=interval)


def rate_table(counts: StageCounts, *, interval: Interval = WILSON) -> pd.DataFrame:
    """Give the table of :func:`stage_rates` without its warning, for a reader who is shown ``immature`` in another way."""
    frame, last, first = counts.frame, counts.stages[-1], counts.stages[0]
    inner = frame["stage"] != last
    start = first_entered(counts)
    table = frame[[*counts.by, "stage", "entered", "advanced", "lost", "open"]].assign(
        entered_first=start, immature=counts.immature.to_numpy(), immature_path=immature_path(counts)
    )
    decided = frame["advanced"] + frame["lost"]
    rates = {"step": (frame["advanced"], frame["entered"].where(inner, 0)), "from_start": (frame["entered"], start),
             "decided": (frame["advanced"], decided.where(inner, 0))}  # fmt: skip
    for name, (wins, trials) in rates.items():
        table = table.join(_rate_columns(name, wins, trials, interval))
    at_start = (frame["stage"] == first) & (start > 0)
    table.loc[at_start, ["from_start_lower", "from_start_upper"]] = 1.0  # a share of itself: known, not estimated
    table["step_name"] = np.where(table["immature"], "advanced so far", "conversion rate")
    table["from_start_name"] = np.where(table["immature_path"], "reached so far", "reached")
    table["decided_name"] = np.where(frame["stage"] == counts.stages[-2], "win rate of decided", "advanced, of decided")
    table["step_of"] = "entered " + frame["stage"]
    table["from_start_of"] = f"entered {first}"
    table["decided_of"] = "advanced or lost from " + frame["stage"]
    table.loc[~inner, [f"{name}_{part}" for name in ("step", "decided") for part in ("name", "of")]] = ""
    undecided = inner & (frame["entered"] > 0) & (decided == 0)
    table["note"] = np.select(
        [~inner, frame["entered"] == 0, undecided],
        ["the last stage: nothing to advance to", "nobody entered", "nobody has advanced or been lost yet"], default="",
    )  # fmt: skip
    order = [f"{name}_{part}" for name in rates for part in ("name", "rate", "lower", "upper", "of")]
    head = [*counts.by, "stage", "entered", "advanced", "lost", "open", "entered_first", "immature", "immature_path"]
    return table.assign(interval=str(interval))[[*head, *order, "interval", "note"]]


def first_entered(counts: StageCounts) -> pd.Series:
    """Count who entered the first stage, for each row's segment."""
    entered = counts.frame["entered"].where(counts.frame["stage"] == counts.stages[0])
    groups = counts.frame[list(counts.by)].apply(tuple, axis=1) if counts.by else pd.Series(0, index=counts.frame.index)
    return entered.groupby(groups).transform("max").astype("int64") if len(entered) else entered.astype("int64")


def immature_path(counts: StageCounts) -> np.ndarray:
    """Tell for each row whether a step before its stage is immature, so that "reached" is only "so far"."""
    flags = np.asarray(counts.immature).reshape(-1, len(counts.stages))
    before = np.cumsum(flags, axis=1) - flags
    return np.ravel(before > 0)


def warn_immature(counts: StageCounts) -> None:
    """Issue the one warning of the public function that calls this."""
    cells = int(counts.immature.sum())
    if cells:
        total = int((counts.frame["stage"] != counts.stages[-1]).sum())
        why = "younger than the time in which nine in ten advance" if counts.window else "perhaps young: the counts have no dates"
        warnings.warn(
            f"{cells} of {total} rates are immature (over {IMMATURE_SHARE:.0%} of those who entered are open and {why}): "
            'they say "so far", not how many will convert', ImmatureWarning, stacklevel=3,
        )  # fmt: skip


def _rate_columns(name: str, wins: pd.Series, trials: pd.Series, interval: Interval) -> pd.DataFrame:
    known = trials > 0
    lower, upper = interval.of_counts(np.where(known, wins, 0), np.where(known, trials, 1))
    parts = {"rate": wins / trials.where(known), "lower": lower, "upper": upper}
    columns = {part: pd.Series(values, index=wins.index, dtype="Float64").where(known) for part, values in parts.items()}
    return pd.DataFrame(columns).add_prefix(f"{name}_")
