"""How much does the headline depend on what one chooses to call a conversion?

The share won is shown under each rule of order and, where a window is given, for entrants whose window has passed. A rule that
the export cannot answer stands in the table with its reason.
"""

from typing import Any, get_args

import pandas as pd

from funnelstats.data.definition import Order
from funnelstats.data.events import EventLog
from funnelstats.errors import DataError
from funnelstats.interval import Interval

WILSON = Interval(kind="wilson")


def definition_table(log: EventLog, *, window: float | None = None, interval: Interval = WILSON) -> pd.DataFrame:
    """Compare the share won under each definition.

    Parameters
    ----------
    log : EventLog
        The log.
    window : float, optional
        Time from entry within which success must come, in the log's unit.
    interval : Interval
        A kind for counts.

    Returns
    -------
    DataFrame
        Columns definition, entered, won, share_won, lower, upper, interval, note; shares of 1. Where there is no number the
        note says why.
    """
    choices: list[dict[str, Any]] = [{"order": order} for order in get_args(Order)]
    choices += [{"window": window}] if window else []
    choices += [{"order": "ordered", "optional": (name,)} for name in log.stage_names[1:-1]]
    return pd.DataFrame([_row(log, choice, interval) for choice in choices]).convert_dtypes()


def _row(log: EventLog, choice: dict[str, Any], interval: Interval) -> dict[str, Any]:
    name = "; ".join(f"{key} {', '.join(value) if isinstance(value, tuple) else value}" for key, value in choice.items())
    try:
        counts = log.stages(**choice)
    except DataError as error:
        return {"definition": name, "note": error.problems[0].what}
    entered, won = (int(counts.frame["entered"].iloc[place]) for place in (0, -1))
    if not entered:
        return {"definition": name, "entered": 0, "won": 0, "note": "no one entered under this rule"}
    lower, upper = interval.of_counts(won, entered)
    return {"definition": name, "entered": entered, "won": won, "share_won": won / entered, "lower": float(lower),
            "upper": float(upper), "interval": str(interval), "note": counts.note}  # fmt: skip
