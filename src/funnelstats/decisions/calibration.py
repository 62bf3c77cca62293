"""Can the probabilities in the CRM be believed? What the deals open at a past moment were said to be worth, and what became of them.

A typed-in probability is a forecast without an interval and without a date. Its calibration is the share won of the deals that carried
it; those still open are neither won nor lost, so the share is bounded from both sides.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from funnelstats.data.events import EventLog
from funnelstats.decisions.forecast_backtest import chances_of
from funnelstats.errors import DataError, Problem
from funnelstats.interval import Interval
from funnelstats.models.exits import CompetingExits
from funnelstats.models.passage import passages

_WILSON = Interval(kind="wilson")


def stated_probabilities(
    log: EventLog, *, at: object, seed: int, chances: Mapping[str, float] | None = None, probability: str | None = None,
    interval: Interval = _WILSON,
) -> pd.DataFrame:  # fmt: skip
    """Compare stated chances with what became of the deals that were open at a past moment.

    Parameters
    ----------
    log : EventLog
    at : date
        The moment; early enough for most to be decided by now.
    seed : int
        Of the fit made as of then.
    chances : mapping of str to float, optional
        Stage to the CRM's chance, as a share; the share won of the deals decided by then where not given.
    probability : str, optional
        Attribute that holds each deal's own chance (as a share or in per cent), as known then.
    interval : Interval
        Of the observed share, a kind for counts.

    Returns
    -------
    DataFrame
        Index ``stage``: ``open_then``, ``stated`` and ``model`` (mean chance of being won by now, which alone knows the ages), ``won``,
        ``lost``, ``still_open``, ``observed`` (won of those open then) with ``lower`` and ``upper`` and, were all still open won, ``at_most``;
        ``stated_inside`` and ``model_inside`` the interval; ``interval``.

    Raises
    ------
    DataError
        Nothing was open then, or a stage without a chance.
    """
    before, _ = log.split(at)
    by = () if probability is None else (probability,)
    known = before.pipeline(by, every=1)
    cells, fate = known.open, before.outcomes(log)
    if cells.empty:
        raise DataError("the stated chances", [Problem("at", f"expected deals open at {before.window.as_of.date()}, found none")])
    fit = CompetingExits().fit(known.hazards, seed=seed, draws=250)
    units = (log.window.end - before.window.end).total_seconds() / (before.window.days(1) * 86400)
    place = cells["stage"].map({name: k for k, name in enumerate(fit.stages)}).to_numpy(dtype=int)
    age = cells["age"].fillna(cells.groupby("stage")["age"].transform("median")).fillna(0).to_numpy(dtype=int)
    won, _ = passages(fit, stage=place, age=age, ends=[max(int(units), 1)])
    cells = cells.assign(stated=chances_of(known, chances, probability), model=won[..., 0].mean(axis=0))
    weighted = cells[["stated", "model"]].mul(cells["n"], axis=0).groupby(cells["stage"]).sum()
    n = cells.groupby("stage")["n"].sum()
    counts = fate.pivot_table(index="stage", columns="fate", values="n", aggfunc="sum", fill_value=0)
    counts = counts.reindex(index=n.index, columns=["won", "lost", "open"], fill_value=0)
    low, high = interval.of_counts(counts["won"].to_numpy(), np.maximum(n.to_numpy(), 1))
    table = pd.DataFrame({"open_then": n, "stated": weighted["stated"] / n, "model": weighted["model"] / n, "won": counts["won"],
                          "lost": counts["lost"], "still_open": n - counts["won"] - counts["lost"], "observed": counts["won"] / n,
                          "lower": low, "upper": high})  # fmt: skip
    table["at_most"] = (table["won"] + table["still_open"]) / n
    for name in ("stated", "model"):
        table[f"{name}_inside"] = table[name].between(table["lower"], table["upper"])
    order = [stage for stage in fit.stages if stage in table.index]
    return table.loc[order].assign(interval=str(interval))
