"""How long does an entity stay, on average, by a fit of competing exits? Means that count no more than was watched.

A mean over all time would rest on the few who stay longest, whom nobody has watched to the end; the restricted mean is the area under
the curve of those still there, up to a stated time (Royston & Parmar 2013, BMC Med. Res. Methodol. 13:152).
"""

import numpy as np
import xarray as xr

from funnelstats.errors import DataError, Problem
from funnelstats.estimate import Estimate
from funnelstats.models.ages import unit_of
from funnelstats.models.exits_fit import CompetingExitsFit

_AT_ONCE = 32


def mean_time(fit: CompetingExitsFit, *, within: int) -> Estimate:
    """Mean time in each stage, whichever way it ends, of which no more than ``within`` counts.

    Parameters
    ----------
    fit : CompetingExitsFit
    within : int
        Whole units since entering the stage. Who leaves in the unit [a, a + 1) has stayed a + 1.

    Returns
    -------
    Estimate, dims (chain, draw, [group,] stage)
        In the unit of the data.

    Raises
    ------
    DataError
        Less than one unit.

    Examples
    --------
    >>> import pandas as pd
    >>> from funnelstats.data.stages import StageHazards
    >>> from funnelstats.models.exits import CompetingExits
    >>> frame = pd.DataFrame({"stage": "Lead", "age": [0, 1], "at_risk": [900, 450], "advanced": [450, 450], "lost": 0, "censored": 0})
    >>> fit = CompetingExits(min_exits=1).fit(StageHazards(frame=frame, stages=("Lead", "Won")), seed=1)
    >>> print(f"{float(mean_time(fit, within=2).point.item()):.1f}")
    1.5
    """
    if within < 1:
        raise DataError("the mean time in a stage", [Problem("within", f"expected at least 1, found {within}")])
    still = None
    for ages in np.array_split(np.arange(1, within), -(-within // _AT_ONCE)):
        if len(ages):
            part = fit.incidence(ages.tolist()).draws.sel(cause="open").sum("age")
            still = part if still is None else still + part
    if still is None:
        still = 0.0 * fit.incidence([1]).draws.sel(cause="open").sum("age")
    unit = unit_of(fit.data)
    words = f"mean time in the stage, of which no more than {within:,} {unit}s count"
    return Estimate(draws=(1.0 + still).drop_vars("cause"), unit=unit, description=words)


def over_groups(fit: CompetingExitsFit, each: Estimate) -> Estimate:
    """Average a quantity of every group, weighted by who entered the stage.

    Parameters
    ----------
    fit : CompetingExitsFit
        With a group.
    each : Estimate, dims (chain, draw, group, stage)

    Returns
    -------
    Estimate, dims (chain, draw, stage)
    """
    group = str(fit.model.group)
    frame = fit.data.frame
    first = frame.sort_values("age", kind="stable").drop_duplicates([group, "stage"])
    entered = first.pivot_table(index=group, columns="stage", values="at_risk", aggfunc="sum", fill_value=0)
    labels, stages = each.draws[group].values, each.draws["stage"].values
    table = entered.reindex(index=labels, columns=stages, fill_value=0).to_numpy(dtype=float)
    weight = xr.DataArray(table / table.sum(axis=0).clip(min=1), dims=(group, "stage"), coords={group: labels, "stage": stages})
    draws = (each.draws * weight).sum(group)
    return Estimate(draws=draws, unit=each.unit, description=f"{each.description}, all of {group} together")
