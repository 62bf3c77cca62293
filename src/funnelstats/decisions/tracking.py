"""Week by week, did a cohort buy as often as the model says? Actual and expected repeat purchases, calibration and held out."""

from typing import Any

import ibis
import numpy as np
import pandas as pd

from funnelstats.data.transactions import Transactions
from funnelstats.errors import DataError, Problem
from funnelstats.interval import DEFAULT, Interval
from funnelstats.models.buying import BuyingFit
from funnelstats.window import DAYS_PER, ObservationWindow


def tracking_table(fit: BuyingFit[Any], transactions: Transactions, *, until: Any, interval: Interval = DEFAULT) -> pd.DataFrame:
    """Repeat purchases of the cohort in each unit of time, actual and expected.

    Parameters
    ----------
    fit : fit of BgNbd, MbgNbd or ParetoNbd
        To customers of ``transactions``.
    transactions : Transactions
    until : date
        Last day.
    interval : Interval
        Of the bounds, which are about the parameters and not about the luck of a week.

    Returns
    -------
    DataFrame
        One row per unit of the data's time: ``period``, ``end``, ``actual``, ``expected``, ``expected_lower``, ``expected_upper``, ``cumulative_actual``,
        ``cumulative_expected``, ``held_out``, ``unit``, ``interval``. The last, unfinished unit is left out.

    Raises
    ------
    DataError
        Customers without dates; a last day before the first unit of time is over.

    Examples
    --------
    >>> from funnelstats.models.purchases import BgNbd
    >>> orders = Transactions.of("bundled:cdnow")
    >>> fit = BgNbd().fit(orders.customers(unit="week", as_of="1997-09-30"), seed=1, method="mle", draws=50)
    >>> table = tracking_table(fit, orders, until="1998-06-30")
    >>> int(table["cumulative_actual"].iloc[-1])
    4339
    """
    window = fit.data.window
    if window is None or window.start is None:
        raise DataError(
            "the tracking of a cohort",
            [Problem("window", "expected customers with dates, found none", "make them with Transactions.customers()")],
        )
    days = DAYS_PER[fit.data.unit]
    start, cut = window.start.normalize(), window.as_of.normalize()
    last = ObservationWindow.of(until, unit=fit.data.unit).as_of.normalize()
    size = int(((last - start).days + 1) // days)
    if size < 1:
        found = f"expected a day at least one {fit.data.unit} after the first purchase on {start.date()}, found {last.date()}"
        raise DataError("the tracking of a cohort", [Problem("until", found)])
    ends = days * np.arange(1, size + 1)
    daily = _daily(transactions, cut, last)
    at = np.minimum(((pd.to_datetime(daily["day"]) - start).dt.days.to_numpy() // days).astype(int), size)
    actual = np.bincount(at, weights=daily["n"], minlength=size + 1)[:size]
    expected = _expected(fit, ends / days - ((cut - start).days + 1) / days)
    steps = np.diff(expected, axis=1, prepend=0.0)
    lower, upper = interval.of(steps, axis=0)
    frame = pd.DataFrame({"period": np.arange(1, size + 1), "end": start + pd.to_timedelta(ends - 1, unit="D").round("D"), "actual": actual,
                          "expected": steps.mean(axis=0), "expected_lower": lower, "expected_upper": upper})  # fmt: skip
    frame["cumulative_actual"], frame["cumulative_expected"] = frame["actual"].cumsum(), expected.mean(axis=0)
    return frame.assign(held_out=frame["end"] > cut, unit=f"purchases/{fit.data.unit}", interval=str(interval))


def _expected(fit: BuyingFit[Any], shift: np.ndarray) -> np.ndarray:
    """Expected repeat purchases of all customers up to each moment, shape (k, n_moments); ``shift`` counts from the end of calibration."""
    ages, place = np.unique(fit.data.T, return_inverse=True)
    weight = np.bincount(place, weights=fit.data.weight)
    values = fit.flat(100)
    out = [fit.new_once(np.maximum(ages + moment, 0.0), values) @ weight for moment in shift]
    return np.stack(out, axis=1)


def _daily(transactions: Transactions, cut: pd.Timestamp, last: pd.Timestamp) -> pd.DataFrame:
    """Repeat purchases by day, of customers whose first purchase was by ``cut``; counted by the engine."""
    t = transactions.table.filter((ibis._["amount"] >= 0) | ibis._["amount"].isnull())
    each = t.select(customer=t["customer"], day=t["at"].date()).distinct()
    each = each.mutate(first=each["day"].min().over(ibis.window(group_by=each["customer"])))
    kept = each.filter(
        (each["first"] <= ibis.date(str(cut.date())))
        & (each["day"] > each["first"])
        & (each["day"] <= ibis.date(str(last.date())))
    )
    return kept.group_by("day").aggregate(n=kept.count()).order_by("day").execute()
