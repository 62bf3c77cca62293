"""Count entities by segment, stage, fate and age: the one histogram from which counts and hazards both follow.

Everything up to here runs in the engine; what crosses into Python has as many rows as there are segments times stages
times ages, whatever the number of leads.
"""

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from funnelstats.data.definition import Definition
from funnelstats.distributions.hazard import incidence
from funnelstats.window import DAYS_PER, ObservationWindow

#: Share of those who will advance that have done so by the age at which an open entity stops counting as young.
MATURE = 0.9
FATES = ("advanced", "lost", "open", "in")


def tally(
    people: ir.Table, *, stages: Sequence[str], by: Sequence[str], definition: Definition, window: ObservationWindow
) -> pd.DataFrame:
    """Histogram of stays: one stay for each entity and required stage it entered, the last stage included.

    Parameters
    ----------
    people : Table
        As :func:`funnelstats.data.reach.reach` makes it.
    stages, by : sequence of str
        Required stages; segment columns.
    definition : Definition
        Its windows are applied here.
    window : ObservationWindow
        End of observation and unit.

    Returns
    -------
    DataFrame
        Columns ``[*by, "k", "fate", "age", "n"]``: place of the stage, advanced / lost / open / in (the last stage), whole
        units spent in the stage (missing where a date is), number of stays.
    """
    final = len(stages) - 1
    reached = _within(people, [people[f"at_{k}"] for k in range(final + 1)], definition, window)
    people = people.mutate(reached=reached)
    stays = people.select(*by, _stay=ibis.array([_stay(people, k, final, definition, window) for k in range(final + 1)]).unnest())
    rows = stays.filter(stays["_stay"].notnull()).group_by(*by, "_stay").aggregate(n=lambda t: t.count()).execute()
    rest, kind = divmod(rows["_stay"], len(FATES))
    age, rows["k"] = divmod(rest, final + 1)
    return rows.assign(fate=kind.map(dict(enumerate(FATES))), age=(age - 1).astype("float64").where(age > 0))[
        [*by, "k", "fate", "age", "n"]
    ]


def _stay(people: ir.Table, k: int, final: int, definition: Definition, window: ObservationWindow) -> ir.IntegerValue:
    """Age, stage and fate of a stay as one number, null where the stage was not reached: engines group by a number fastest."""
    if k == final:
        return ibis.ifelse(people.reached >= k, k * len(FATES) + FATES.index("in"), ibis.null("int64"))
    dated, end = people[f"dated_{k}"], ibis.timestamp(str(window.end))
    advanced = people.reached > k
    is_open = ibis.literal(False) if definition.window else people.fate == "open"
    until = ibis.cases((advanced, people[f"at_{k + 1}"]), (is_open, end), else_=people.ended)
    age = _units(people[f"at_{k}"], until, window)
    if definition.per_step_window:
        is_open = is_open & ~(dated & (age >= definition.per_step_window)).fill_null(False)
    fate = ibis.cases((advanced, FATES.index("advanced")), (is_open, FATES.index("open")), else_=FATES.index("lost"))
    known = ibis.ifelse(dated & until.notnull(), age + 1, 0)
    return ibis.ifelse(people.reached >= k, (known * (final + 1) + k) * len(FATES) + fate, ibis.null("int64"))


def _units(start: ir.Value, stop: ir.Value, window: ObservationWindow) -> ir.IntegerValue:
    """Whole units of time between two moments, never below zero."""
    seconds = stop.epoch_seconds() - start.epoch_seconds()
    return ibis.greatest((seconds / (DAYS_PER[window.unit] * 86400)).floor().cast("int64"), 0)


def _within(people: ir.Table, moments: list[ir.Value], definition: Definition, window: ObservationWindow) -> ir.IntegerValue:
    """How far each entity got within the windows of the definition."""
    reached: ir.Value = people.reached
    for limit, origin in ((definition.window, 0), (definition.per_step_window, -1)):
        if limit:
            seconds = limit * DAYS_PER[window.unit] * 86400
            late = [((moments[k].epoch_seconds() - moments[k + origin if origin else 0].epoch_seconds()) > seconds, k - 1)
                    for k in range(1, len(moments))]  # fmt: skip
            reached = ibis.least(reached, ibis.cases(*late, else_=len(moments) - 1))
    return reached


def to_counts(histogram: pd.DataFrame, *, stages: Sequence[str], by: Sequence[str]) -> pd.DataFrame:
    """Add the histogram up to the frame of :class:`~funnelstats.data.stages.StageCounts`."""
    youth = {k: age for k, age in enumerate(_maturities(histogram, len(stages)))}
    age, fate, n = histogram["age"], histogram["fate"], histogram["n"]
    young = age.isna() | (age < histogram["k"].map(youth))
    parts = {name: n.where(fate == name, 0) for name in ("advanced", "lost", "open")}
    parts = {"entered": n, **parts, "maturing": parts["open"].where(young, 0)}
    keys = [*by, "k"]
    sums = histogram[keys].assign(**parts).groupby(keys, as_index=False, dropna=False).sum()
    segments = histogram[list(by)].drop_duplicates() if by else pd.DataFrame(index=[0])
    grid = segments.merge(pd.DataFrame({"k": range(len(stages))}), how="cross").merge(sums, on=keys, how="left")
    grid[list(parts)] = grid[list(parts)].fillna(0).astype("int64")
    grid = grid.sort_values(keys, kind="stable").assign(stage=lambda t: t["k"].map(dict(enumerate(stages))))
    return grid[[*by, "stage", *parts]].reset_index(drop=True)


def to_hazards(histogram: pd.DataFrame, *, stages: Sequence[str], by: Sequence[str]) -> pd.DataFrame:
    """Turn the histogram into the frame of :class:`~funnelstats.data.stages.StageHazards`.

    An entity still open after ``c`` complete units was at risk at the ages 0 ... c-1 and is censored at age c-1; one that has
    not completed a unit was never at risk. So a hazard is never diluted by time that was only partly watched.
    """
    stays = histogram[(histogram["fate"] != "in") & histogram["age"].notna()].copy()
    stays["age"] = stays["age"].astype("int64") - (stays["fate"] == "open")
    stays = stays[stays["age"] >= 0]
    keys, exits = [*by, "k"], {"advanced": "advanced", "lost": "lost", "censored": "open"}
    parts = {name: stays["n"].where(stays["fate"] == fate, 0) for name, fate in exits.items()}
    wide = stays[[*keys, "age"]].assign(**parts).groupby([*keys, "age"], dropna=False).sum()
    leaving = wide.sum(axis=1)
    at_risk = leaving[::-1].groupby(level=keys, dropna=False).cumsum()[::-1]
    frame = wide.assign(at_risk=at_risk).reset_index()
    frame["stage"] = frame["k"].map(dict(enumerate(stages)))
    counts = ["at_risk", "advanced", "lost", "censored"]
    return frame[[*by, "stage", "age", *counts]].astype(dict.fromkeys(counts, "int64")).rename_axis(columns=None)


def _maturities(histogram: pd.DataFrame, n_stages: int) -> list[float]:
    """Age by which 90 % of those who will advance from each stage have done so (Aalen-Johansen, all segments together)."""
    pooled = histogram.groupby(["k", "fate", "age"], dropna=False)["n"].sum().reset_index()
    frame = to_hazards(pooled, stages=[str(k) for k in range(n_stages)], by=())
    ages = []
    for k in range(n_stages):
        part = frame[frame["stage"] == str(k)]
        advanced, _, _ = incidence(part["advanced"] / part["at_risk"], part["lost"] / part["at_risk"])
        done = len(advanced) > 0 and advanced[-1] > 0
        # no one has advanced yet: nobody can tell how long it takes, so everyone open is young
        ages.append(float(part["age"].iloc[int(np.argmax(advanced >= MATURE * advanced[-1]))] + 1) if done else np.inf)
    return ages
