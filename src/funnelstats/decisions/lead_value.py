"""What is a lead worth, and what may it cost? The chance of winning it times the value of a customer won, by segment."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from funnelstats.errors import DataError, Problem
from funnelstats.estimate import SAMPLE_DIMS, Estimate
from funnelstats.interval import DEFAULT, Interval


def lead_value(
    rate: Estimate, value: Estimate, *, cost: Mapping[str, float] | float | None = None, interval: Interval = DEFAULT
) -> pd.DataFrame:
    """Value per lead, and beside its cost the ratio of lifetime value to the cost of acquisition (LTV:CAC).

    Parameters
    ----------
    rate : Estimate, dims (chain, draw[, segment])
        Share of leads that are won, such as ``overall_rate(log.stages("channel"))``.
    value : Estimate, dims (chain, draw)
        Of one customer won, such as ``lifetime_value(...).newcomer()``; taken as independent of the rate.
    cost : mapping of str to float, or float, optional
        Of one lead, by segment or the same for all, in the money of ``value``.
    interval : Interval
        Of the bounds.

    Returns
    -------
    DataFrame
        One row per segment: ``rate``, ``value_per_lead`` with ``_lower`` and ``_upper``; with a cost also ``cost_per_win`` (infinite where nobody was won), ``ltv_to_cac`` with bounds and
        ``p_pays``, the probability that a lead brings more than it costs; ``unit``, ``interval``.

    Raises
    ------
    DataError
        A segment without a cost, a cost that is not positive, more than one segment column.

    Examples
    --------
    >>> rate = Estimate.of([0.02, 0.03, 0.04], description="leads won")
    >>> value = Estimate.of([900.0, 1000.0, 1100.0], unit="EUR", description="value of a customer")
    >>> float(lead_value(rate, value)["value_per_lead"].iloc[0])
    30.0
    """
    segments = [str(dim) for dim in rate.draws.dims if dim not in SAMPLE_DIMS]
    problems = [] if len(segments) <= 1 else [Problem("rate", f"expected at most one segment, found {segments}")]
    flat = rate.draws.stack(sample=SAMPLE_DIMS).transpose("sample", ...)
    names = [str(name) for name in flat[segments[0]].values] if segments else ["all"]
    costs = {name: cost for name in names} if isinstance(cost, int | float) else dict(cost or {})
    missing = [name for name in names if name not in costs]
    if cost is not None and missing:
        problems.append(Problem("cost", f"expected one for each {segments[0] if segments else 'lead'}, found none for {missing}"))
    bad = [name for name, one in costs.items() if not one > 0]
    problems += [Problem("cost", f"expected positive ones, found others for {bad}")] if bad else []
    if problems:
        raise DataError("the value of a lead", problems)
    rates = flat.values.reshape(len(flat), -1)
    drawn = value.draws.values.ravel()
    # two posteriors that know nothing of each other: any pairing of their draws is a joint draw
    worth = rates * drawn[np.linspace(0, len(drawn) - 1, len(rates)).round().astype(int)][:, None]
    share = np.asarray(rate.point if isinstance(rate.point, xr.DataArray) else [rate.point], dtype=float).ravel()
    centre = value.point * share
    frame = pd.DataFrame({"rate": share, "value_per_lead": centre}, index=pd.Index(names, name=segments[0] if segments else ""))
    low, high = interval.of(worth, axis=0)
    # where nobody, or everybody, was won the bound is the share itself, which draws only approach
    low, high = np.minimum(low, centre), np.maximum(high, centre)
    frame["value_per_lead_lower"], frame["value_per_lead_upper"] = low, high
    if cost is not None:
        each = np.array([costs[name] for name in names])
        with np.errstate(divide="ignore"):
            frame["cost_per_win"] = each / share
        frame["ltv_to_cac"], frame["ltv_to_cac_lower"], frame["ltv_to_cac_upper"] = centre / each, low / each, high / each
        frame["p_pays"] = (worth > each).mean(axis=0)
    return frame.assign(unit=f"{value.unit}/lead", interval=str(interval))
