"""How long does it take to leave a stage, and which way, when many are still inside?

Those still open are neither lost nor left out: they count among those at risk for as long as they were watched.  Shares still in
stage are Kaplan & Meier's, shares advanced and lost are Aalen & Johansen's, see
:mod:`~funnelstats.distributions.product_limit`.  Calling the lost "censored" instead would overstate who advances.

Times are whole units: what happens in ``[age, age + 1)`` has happened by time ``age + 1``.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from funnelstats.data.stages import StageHazards
from funnelstats.distributions.product_limit import Curves, bounds, first_at, log_rank
from funnelstats.errors import DataError, Problem
from funnelstats.interval import DEFAULT, Interval
from funnelstats.models.ages import EXITS, AgeTable, unit_of

STATES = (*EXITS, "open")
#: What a time is the time to: any exit, or one exit among those who take it.
UNTIL = ("left", *EXITS)
#: With a larger share still open at the last age watched, what they will do moves every later number.
OPEN_SHARE = 0.05


def incidence_curves(hazards: StageHazards, *, by: Sequence[str] | None = None, interval: Interval = DEFAULT) -> pd.DataFrame:
    """Tabulate the share advanced, lost and still open by each time in the stage.

    Parameters
    ----------
    hazards : StageHazards
        From ``log.hazards(by=...)``.
    by : sequence of str, optional
        Segments to keep apart; those of ``hazards`` where not given, ``()`` for all together.
    interval : Interval
        Its mass; the kind is symmetric on the scale ``log(-log(share))``, and Wilson's where the share is 0 or 1.

    Returns
    -------
    DataFrame
        Columns ``[*by, "stage", "time", "state", "share", "se", "lower", "upper", "at_risk", "interval", "unit"]``; one row for each
        state and each time at which somebody left or ceased to be watched. The three shares of a time add up to one. ``at_risk``
        were watched in the unit that ends at ``time``.

    Examples
    --------
    >>> frame = pd.DataFrame({"stage": "Lead", "age": [0, 2], "at_risk": [10, 4], "advanced": [4, 1], "lost": [2, 0], "censored": [0, 3]})
    >>> curves = incidence_curves(StageHazards(frame=frame, stages=("Lead", "Won")))
    >>> curves.pivot(index="time", columns="state", values="share").round(3).loc[3].to_dict()
    {'advanced': 0.5, 'lost': 0.2, 'open': 0.3}
    """
    table, unit, parts = AgeTable.of(hazards, by=by), unit_of(hazards), []
    for segment, labels in enumerate(table.segments):
        for place, stage in enumerate(table.stages):
            age, at_risk, exits = table.rows(segment, place)
            curves = Curves.of(at_risk, exits) if len(age) else None
            for state in STATES if curves else ():
                share, se = _curve(curves, state)
                lower, upper = bounds(share, se, at_risk, prob=interval.prob)
                columns = {
                    "stage": stage,
                    "time": age + 1,
                    "state": state,
                    "share": share,
                    "se": se,
                    "lower": lower,
                    "upper": upper,
                }
                parts.append(pd.DataFrame({**dict(zip(table.by, labels, strict=True)), **columns, "at_risk": at_risk}))
    return pd.concat(parts, ignore_index=True).assign(interval=rule(interval), unit=unit)


def time_in_stage(
    hazards: StageHazards, *, by: Sequence[str] | None = None, interval: Interval = DEFAULT
) -> pd.DataFrame:  # fmt: skip
    """Tabulate median and 90th percentile of the time to leave each stage, to advance and to be lost.

    Parameters
    ----------
    hazards, by, interval
        As for :func:`incidence_curves`. The bounds of a time are those of the curve, inverted (Brookmeyer & Crowley 1982, Biometrics
        38:29-41).

    Returns
    -------
    DataFrame
        One row per segment, stage and ``until``: ``"left"`` is the time to either exit, of all who entered; ``"advanced"`` and
        ``"lost"`` are the times of those who take that exit by the last age watched. Columns ``entered`` (watched for a unit at
        least), ``exits``, ``share`` (who took the exit by then), ``median``, ``median_lower``, ``median_upper``, ``p90``,
        ``p90_lower``, ``p90_upper`` in whole units, ``watched`` (the last age), ``open_share`` (still open then), ``interval``,
        ``unit``, ``note``. A missing time was not reached, and ``note`` says why.

    Examples
    --------
    >>> frame = pd.DataFrame({"stage": "Lead", "age": [0, 2], "at_risk": [10, 4], "advanced": [4, 1], "lost": [2, 0], "censored": [0, 3]})
    >>> table = time_in_stage(StageHazards(frame=frame, stages=("Lead", "Won")))
    >>> print(table["median"][0], table["p90"][0], table["note"][0])
    1 <NA> upper bound of median not reached; p90 not reached: 30% are still open after 3 units
    """
    table, unit, rows = AgeTable.of(hazards, by=by), unit_of(hazards), []
    for segment, labels in enumerate(table.segments):
        for place, stage in enumerate(table.stages):
            head = {**dict(zip(table.by, labels, strict=True)), "stage": stage}
            rows += [head | row for row in _times(*table.rows(segment, place), interval, unit)]
    whole = ["entered", "exits", "watched", *(f"{name}{end}" for name in ("median", "p90") for end in ("", "_lower", "_upper"))]
    frame = pd.DataFrame(rows).astype(dict.fromkeys(whole, "Int64") | dict.fromkeys(("share", "open_share"), "Float64"))
    return frame.assign(interval=rule(interval), unit=unit)[[*table.by, "stage", "until", "entered", "exits", "share", *whole[3:],
                                                             "watched", "open_share", "interval", "unit", "note"]]  # fmt: skip


def compare_times(hazards: StageHazards, *, by: Sequence[str] | None = None, until: str = "left") -> pd.DataFrame:
    """Test for each stage whether segments leave it at the same pace (log-rank).

    Parameters
    ----------
    hazards, by
        As for :func:`incidence_curves`; two segments or more.
    until : {"left", "advanced", "lost"}
        The exits compared; with one exit it is the rate of that exit among those still inside (cause-specific hazard).

    Returns
    -------
    DataFrame
        Columns ``stage``, ``segments``, ``statistic`` (chi-squared), ``degrees``, ``p``, ``until``; a stage with fewer than two
        segments at risk is left out.
    """
    table = AgeTable.of(hazards, by=by)
    if until not in UNTIL:
        raise DataError("the comparison of times", [Problem("until", f"expected one of {', '.join(UNTIL)}, found {until!r}")])
    if len(table.segments) < 2:
        raise DataError("the comparison of times", [Problem("by", f"expected two segments or more, found {len(table.segments)}")])
    rows, exits = [], table.exits.sum(axis=0) if until == "left" else table.exits[EXITS.index(until)]
    for place, stage in enumerate(table.stages):
        there = table.at_risk[:, place, 0] > 0
        if there.sum() > 1:
            figures = log_rank(table.at_risk[there, place], exits[there, place])
            rows.append((stage, int(there.sum()), *figures, until))
    return pd.DataFrame(rows, columns=["stage", "segments", "statistic", "degrees", "p", "until"])


def rule(interval: Interval) -> str:
    """Name of the interval of a curve or a time in stage."""
    return f"{interval.percent} log-log interval"


def _curve(curves: Any, state: str) -> tuple[np.ndarray, np.ndarray]:
    if state == "open":
        return curves.inside, curves.inside_se
    return curves.left[EXITS.index(state)], curves.left_se[EXITS.index(state)]


def _times(age: np.ndarray, at_risk: np.ndarray, exits: np.ndarray, interval: Interval, unit: str) -> list[dict[str, Any]]:
    """Rows of :func:`time_in_stage` for one segment and stage."""
    if not len(age):
        bare = {"entered": 0, "exits": 0, "note": f"nobody was watched for a whole {unit}"}
        return [{"until": until} | bare for until in UNTIL]
    curves, watched = Curves.of(at_risk, exits), int(age[-1]) + 1
    still = float(curves.inside[-1])
    common = {"entered": int(at_risk[0]), "watched": watched, "open_share": still}
    rows = []
    for until in UNTIL:
        if until == "left":
            count, share = int(exits.sum()), 1 - still
            lower, upper = (1 - bound for bound in bounds(curves.inside, curves.inside_se, at_risk, prob=interval.prob)[::-1])
            curve = 1 - curves.inside
        else:
            way = EXITS.index(until)
            count, share, curve = int(exits[way].sum()), float(curves.left[way][-1]), curves.among[way]
            lower, upper = bounds(curve, curves.among_se[way], exits[way].sum(), prob=interval.prob)
            lower, upper = np.where(curve == 0, 0, lower), np.where(curve >= 1 - 1e-12, 1, upper)
        notes, row = [], {"until": until, **common, "exits": count, "share": share}
        for name, level in (("median", 0.5), ("p90", 0.9)):
            time = first_at(age + 1, curve, level) if count else None
            row[name] = time
            for end, bound in (("lower", upper), ("upper", lower)):
                row[f"{name}_{end}"] = first_at(age + 1, bound, level) if time is not None else None
            if time is None and count:
                notes.append(f"{name} not reached: {still:.0%} are still open after {watched} {unit}s")
            elif row[f"{name}_upper"] is None and count:
                notes.append(f"upper bound of {name} not reached")
        if not count:
            notes = ["nobody left" if until == "left" else f"nobody {'advanced' if until == 'advanced' else 'was lost'}"]
        elif until != "left" and still > OPEN_SHARE:
            notes.append(f"of those who do within {watched} {unit}s; {still:.0%} are still open then")
        rows.append({**row, "note": "; ".join(notes)})
    return rows
