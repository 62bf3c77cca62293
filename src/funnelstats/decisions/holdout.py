"""Did the customers do what the model said? Scores of the held-out span, beside a naive forecast.

Naive is the rate of the calibration span continued: ``frequency / T`` times the length of the held-out span.  A model that does not beat it
has nothing to say of these customers.  No single score will do: the total can be right while every customer is wrong.
"""

from typing import Any

import numpy as np
import pandas as pd

from funnelstats.data.customers import Customers
from funnelstats.distributions.histories import Histories
from funnelstats.errors import DataError, Problem
from funnelstats.interval import DEFAULT, Interval
from funnelstats.models.buying import BuyingFit

#: Counts are looked at up to this many beyond the largest observed.
BEYOND = 20
#: Counts that suffice for most histories.
FEW = 8
#: Draws over which the predictive distribution of a history is averaged.
_DRAWS = 8


def holdout_scores(fit: BuyingFit[Any], *, interval: Interval = DEFAULT) -> pd.DataFrame:
    """Score a fit on the held-out purchases of its own customers.

    Parameters
    ----------
    fit : fit of BgNbd, MbgNbd, ParetoNbd or BgBb
        To customers that were read with ``holdout=``.
    interval : Interval
        Of the predictive intervals whose coverage is counted. Counts are whole numbers, so they cover at least their mass if the model is right.

    Returns
    -------
    DataFrame
        Index: the model and ``naive``. Columns ``actual``, ``expected`` (all customers), ``bias`` (expected over actual, less 1), ``mae``, ``rmse``
        (purchases per customer), ``gini`` (normalised: 1 for the true order, 0 for none), ``decile_mape`` (mean relative error over tenths of customers by
        forecast), ``slope`` (of actual on expected: 1 if calibrated, below 1 if forecasts are too far apart), ``coverage``, ``interval``.

    Raises
    ------
    DataError
        No purchases were held out.

    Examples
    --------
    >>> from funnelstats.data.transactions import Transactions
    >>> from funnelstats.models.purchases import BgNbd
    >>> data = Transactions.of("bundled:cdnow").customers(unit="week", as_of="1997-09-30", holdout="1998-06-30")
    >>> scores = holdout_scores(BgNbd().fit(data, seed=1, method="mle", draws=100))
    >>> bool(scores.loc["BgNbd", "mae"] < scores.loc["naive", "mae"])
    True
    """
    data, actual = _held_out(fit)
    expected = fit.table(horizon=data.later)["expected_purchases"].to_numpy()
    naive = data.frequency / np.maximum(data.T, 1e-9) * data.later
    rows = {type(fit.model).__name__: _scores(actual, expected, data.weight) | {"coverage": _coverage(fit, actual, interval)},
            "naive": _scores(actual, naive, data.weight) | {"coverage": np.nan}}  # fmt: skip
    return (
        pd.DataFrame(rows)
        .T.astype(float)
        .rename_axis("forecast")
        .assign(interval=str(interval), horizon=f"{data.later:g} {data.unit}s")
    )


def holdout_table(fit: BuyingFit[Any], *, groups: int = 10) -> pd.DataFrame:
    """Actual and expected purchases of the held-out span by tenths of customers, those expected to buy least first.

    Returns
    -------
    DataFrame
        Columns ``group`` (1 = least expected), ``customers``, ``actual``, ``expected`` (purchases per customer), ``error`` (relative).
    """
    data, actual = _held_out(fit)
    expected = fit.table(horizon=data.later)["expected_purchases"].to_numpy()
    return _deciles(actual, expected, data.weight, groups)


def _held_out(fit: BuyingFit[Any]) -> tuple[Customers, np.ndarray]:
    data = fit.data
    if data.later_frequency is None:
        fix = 'read them with .customers(unit=..., as_of=..., holdout="a later date")'
        raise DataError(data.source, [Problem("later_frequency", "expected purchases of a held-out span, found none", fix)])
    return data, np.asarray(data.later_frequency, dtype=float)


def _scores(actual: np.ndarray, expected: np.ndarray, weight: np.ndarray) -> dict[str, float]:
    total, said = float(actual @ weight), float(expected @ weight)
    gap = expected - actual
    table = _deciles(actual, expected, weight, 10)
    centred = expected - said / weight.sum()
    spread = float((centred**2) @ weight)
    seen = table[table["actual"] > 0]
    return {"actual": total, "expected": said, "bias": said / total - 1 if total else np.nan,
            "mae": float(np.abs(gap) @ weight / weight.sum()), "rmse": float(np.sqrt(gap**2 @ weight / weight.sum())),
            "gini": _gini(actual, expected, weight) / _gini(actual, actual, weight) if total else np.nan,
            "decile_mape": float((seen["error"].abs()).mean()) if len(seen) else np.nan,
            "slope": float((centred * actual) @ weight / spread) if spread else np.nan}  # fmt: skip


def _gini(actual: np.ndarray, by: np.ndarray, weight: np.ndarray) -> float:
    """Area between the line of equality and the share of purchases of those ranked highest; ties are shared out."""
    order = pd.DataFrame({"by": by, "weight": weight, "bought": actual * weight}).groupby("by").sum().sort_index(ascending=False)
    people, bought = (np.concatenate([[0.0], np.cumsum(order[name]) / order[name].sum()]) for name in ("weight", "bought"))
    return float(2 * np.trapezoid(bought, people) - 1)


def _deciles(actual: np.ndarray, expected: np.ndarray, weight: np.ndarray, groups: int) -> pd.DataFrame:
    order = np.argsort(expected, kind="stable")
    before = np.cumsum(weight[order]) - weight[order]
    group = np.empty(len(order), dtype=int)
    group[order] = np.minimum(before * groups // weight.sum(), groups - 1).astype(int) + 1
    parts = pd.DataFrame({"group": group, "customers": weight, "actual": actual * weight, "expected": expected * weight})
    table = parts.groupby("group", as_index=False).sum()
    table[["actual", "expected"]] = table[["actual", "expected"]].div(table["customers"], axis=0)
    return table.assign(error=table["expected"] / table["actual"].where(table["actual"] > 0) - 1)


def _coverage(fit: BuyingFit[Any], actual: np.ndarray, interval: Interval) -> float:
    """Share of customers whose count lies in the central predictive interval."""
    data, h = fit.data, fit.data.histories()
    most, values = int(actual.max(initial=0)) + BEYOND, fit.flat(_DRAWS)
    levels = np.array([0.5 - interval.prob / 2 + 1e-12, 0.5 + interval.prob / 2 - 1e-12])
    bounds = np.array([_bounds(fit, h.part(slice(row, row + 1)), values, levels, most) for row in range(len(h))])
    low, high = bounds[h.row].T
    return float(((actual >= low) & (actual <= high)) @ data.weight / data.weight.sum())


def _bounds(fit: BuyingFit[Any], h: Histories, values: dict[str, np.ndarray], levels: np.ndarray, most: int) -> np.ndarray:
    """Counts at which the predictive distribution of one history passes the levels; few are looked at where few suffice."""
    looked = min(FEW, most)
    while True:
        pmf = fit.counts_once(np.arange(looked), fit.data.later, h, values).reshape(-1, looked).mean(axis=0)
        reached = np.cumsum(pmf)
        if reached[-1] >= levels[-1] or looked == most:
            return np.searchsorted(reached, levels)
        looked = min(4 * looked, most)
