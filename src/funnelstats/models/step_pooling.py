"""What does each group convert at every step, when there are too few groups and leads for more than one step at a time?

Each step is a beta-binomial of its own (:class:`~funnelstats.models.exchangeable.BetaBinomial`), so that groups learn from one another but
steps do not: exact without a sampler, and enough where one attribute is compared.  With several attributes, or where a group's steps should
learn from one another, use :class:`~funnelstats.models.hierarchical.HierarchicalConversion`.
"""

import numpy as np
import xarray as xr

from funnelstats.data.stages import StageCounts
from funnelstats.estimate import SAMPLE_DIMS, Estimate
from funnelstats.models.exchangeable import BetaBinomial
from funnelstats.models.trials import Trials


def pooled_steps(counts: StageCounts, *, seed: int, draws: int = 1000, chains: int = 4) -> Estimate:
    """Draw every group's rate at every step, pooled partially over the groups of the step.

    Parameters
    ----------
    counts : StageCounts
        By one column. Of the open, those who have waited longer than nine in ten of the advancing did count as not advanced, the younger
        are left out (:func:`~funnelstats.models.trials.settled_trials`).
    seed, draws, chains
        See :class:`~funnelstats.models.model.Model`.

    Returns
    -------
    Estimate, dims (chain, draw, group, stage)
        The dim of groups is named as the column.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [("Web", "Lead", 200), ("Web", "Won", 60), ("Fair", "Lead", 50), ("Fair", "Won", 30)]
    >>> frame = pd.DataFrame(rows, columns=["channel", "stage", "entered"])
    >>> counts = StageCounts.of(frame, stages=("Lead", "Won"), by=["channel"])
    >>> pooled_steps(counts, seed=1).sel(channel="Fair", stage="Lead").point > 0.5
    True
    """
    parts = []
    for place, stage in enumerate(counts.stages[:-1]):
        fit = BetaBinomial().fit(Trials.of_counts(counts, stage=stage), seed=seed + place, draws=draws, chains=chains)
        parts.append(fit.rates().draws.values)
    group = counts.by[0]
    labels = Trials.of_counts(counts, stage=counts.stages[0]).labels
    values = xr.DataArray(np.stack(parts, axis=-1), dims=(*SAMPLE_DIMS, group, "stage"),
                          coords={group: list(labels), "stage": list(counts.stages[:-1])})  # fmt: skip
    return Estimate(draws=values, description=f"share that advances, by {group} and stage left, pooled over {group}")


def whole_team(rates: Estimate, counts: StageCounts) -> Estimate:
    """Average the groups' rates, weighted by who entered each stage.

    Parameters
    ----------
    rates : Estimate, dims (chain, draw, group, stage)
        From :func:`pooled_steps` of the same counts.
    counts : StageCounts

    Returns
    -------
    Estimate, dims (chain, draw, stage)
        Joint with ``rates``, so that the two can be compared draw by draw.
    """
    group = counts.by[0]
    entered = counts.frame.assign(label=counts.frame[group].astype("str")).pivot(index="label", columns="stage", values="entered")
    table = entered.reindex(index=rates.draws[group].values, columns=rates.draws["stage"].values).to_numpy(dtype=float)
    weight = xr.DataArray(table / table.sum(axis=0).clip(min=1), dims=(group, "stage"))
    return Estimate(draws=(rates.draws * weight).sum(group), description=f"share that advances, all of {group} together")
