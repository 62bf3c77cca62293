"""What stands in the pipeline, what came into it lately, and what did it bring? Counts for a forecast, made where the data lie."""

from collections.abc import Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import pandas as pd

from funnelstats.data.stages import StageCounts, StageHazards
from funnelstats.window import DAYS_PER, ObservationWindow

#: Amounts of open deals are counted in classes of this many significant digits, a thousandth apart at most.
DIGITS = 4


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Pipeline:
    """All that a forecast needs to know of a log.

    Attributes
    ----------
    open : DataFrame
        ``[*by, "stage", "age", "amount", "n"]`` of the open deals; ``age`` is missing where the entry has no date, ``amount`` where there is none.
    arrivals : DataFrame
        ``[*by, "span", "n"]``: entries to the first stage in spans of equal length, 0 being the one that ends with the observation.
    spans : float
        How many of them there have been since the first entry, a fraction included.
    amounts : DataFrame
        ``[*by, "n", "mean", "sd"]`` of the won deals that have an amount.
    counts, hazards : StageCounts and StageHazards
        By the same segments.
    currency : str
    """

    open: pd.DataFrame
    arrivals: pd.DataFrame
    spans: float
    amounts: pd.DataFrame
    counts: StageCounts
    hazards: StageHazards
    currency: str


def amounts(people: ir.Table, *, by: Sequence[str]) -> pd.DataFrame:
    """Count, mean and standard deviation of the amounts of what was won."""
    won = people.filter((people.fate == "won") & people.amount.notnull())
    figures = {"n": won.amount.count(), "mean": won.amount.mean(), "sd": won.amount.std()}
    frame = (won.group_by(list(by)) if by else won).aggregate(**figures).execute()
    return (frame.sort_values(list(by)).reset_index(drop=True) if by else frame).astype(
        {"n": "int64", "mean": float, "sd": float}
    )


def standing(people: ir.Table, *, stages: Sequence[str], by: Sequence[str], window: ObservationWindow) -> pd.DataFrame:
    """Count the open entities by segment, stage, age in it and amount.

    Parameters
    ----------
    people : Table
        As :func:`funnelstats.data.reach.reach` makes it, with ``amount``.
    stages, by : sequence of str
        Required stages; segment columns.
    window : ObservationWindow
        End of observation and unit of the ages.

    Returns
    -------
    DataFrame
        Columns ``[*by, "stage", "age", "amount", "n"]``; ``age`` is missing where the entry has no date, ``amount`` where there is none.
    """
    still = people.filter(people.fate == "open")
    places, end = range(len(stages) - 1), ibis.timestamp(str(window.end))
    dated = ibis.cases(*((still.reached == k, still[f"dated_{k}"]) for k in places), else_=False)
    entry = ibis.cases(*((still.reached == k, still[f"at_{k}"]) for k in places), else_=ibis.null("timestamp"))
    age = _units(entry, end, window)
    scale = ibis.literal(10.0).pow(DIGITS - 1 - still.amount.abs().log10().floor())
    amount = ibis.ifelse(still.amount.fill_null(0) == 0, still.amount, (still.amount * scale).round(0) / scale)
    rows = still.select(*by, _k=still.reached, age=ibis.ifelse(dated, age, ibis.null("int64")), amount=amount)
    keys = [*by, "_k", "age", "amount"]
    frame = rows.group_by(keys).aggregate(n=lambda t: t.count()).order_by(keys).execute()
    frame.insert(len(by), "stage", frame.pop("_k").map(dict(enumerate(stages))).astype("str"))
    return frame.astype({"age": "float64", "amount": "float64", "n": "int64"})


def entries(
    people: ir.Table, *, by: Sequence[str], window: ObservationWindow, every: float
) -> tuple[pd.DataFrame, float]:  # fmt: skip
    """Count who entered the first stage by segment and span of length ``every``, backwards from the end of observation.

    Returns
    -------
    frame : DataFrame
        Columns ``[*by, "span", "n"]``.
    spans : float
        How many spans there have been since the first entry or the start of observation.
    """
    end, length = ibis.timestamp(str(window.end)), window.days(every) * 86400
    dated = people.filter(people.at_0.notnull())
    back = (end.epoch_seconds() - dated.at_0.epoch_seconds() - 1) / length
    rows = dated.select(*by, at=dated.at_0, span=back.floor().cast("int64"))
    keys = [*by, "span"]
    frame = rows.group_by(keys).aggregate(n=lambda t: t.count(), first=lambda t: t["at"].min()).order_by(keys).execute()
    start = window.start if window.start is not None else frame.pop("first").min() if len(frame) else window.end
    return frame[[*keys, "n"]].astype({"span": "int64", "n": "int64"}), (window.end - start).total_seconds() / length


def wins(people: ir.Table, *, final: int, since: pd.Timestamp) -> pd.DataFrame:
    """Count what was won from a moment on, by moment: ``["at", "n", "priced", "amount"]``; ``amount`` is a total."""
    at = people[f"at_{final}"]
    rows = people.filter((people.fate == "won") & (at >= ibis.timestamp(str(since)))).select(at=at, amount=people.amount)
    frame = rows.group_by("at").aggregate(
        n=lambda t: t.count(), priced=lambda t: t.amount.count(), amount=lambda t: t.amount.sum().fill_null(0.0)
    )
    return frame.order_by("at").execute().astype({"n": "int64", "priced": "int64", "amount": "float64"})


def outcomes(before: ir.Table, after: ir.Table, *, stages: Sequence[str], by: Sequence[str]) -> pd.DataFrame:
    """Count what became of those who were open at an earlier moment, by stage at that moment.

    Parameters
    ----------
    before, after : Table
        The same entities as known then and now.

    Returns
    -------
    DataFrame
        Columns ``[*by, "stage", "fate", "n"]``; ``by`` as known then; ``fate`` is won, lost or open by now.
    """
    then = before.filter(before.fate == "open").select(*by, "entity", _k=before.reached)
    now = after.select("entity", fate=after.fate)
    keys = [*by, "_k", "fate"]
    frame = then.inner_join(now, "entity").group_by(keys).aggregate(n=lambda t: t.count()).order_by(keys).execute()
    frame.insert(len(by), "stage", frame.pop("_k").map(dict(enumerate(stages))).astype("str"))
    return frame.astype({"n": "int64"})


def _units(start: ir.Value, stop: ir.Value, window: ObservationWindow) -> ir.IntegerValue:
    seconds = stop.epoch_seconds() - start.epoch_seconds()
    return ibis.greatest((seconds / (DAYS_PER[window.unit] * 86400)).floor().cast("int64"), 0)
