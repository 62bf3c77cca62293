"""How do consultant, channel and region move each step of the funnel? Sequential logits with crossed, partially pooled effects.

Of those who reach a stage, a share advances: ``advanced ~ Binomial(settled, p)``, one logit for each step (continuation-ratio model,
Tutz 1991, Computational Statistics & Data Analysis 11:275-295), ``logit p = typical[step] + sum over groups g of effect_g[level, step]``.
Effects of one group are normal around zero with an sd of their own at each step, and correlated over steps, so that a consultant's
many leads tell something of the few deals (Gelman & Hill 2007, Data Analysis Using Regression, ch. 13-14). How much is pooled is
learned. The likelihood needs counts only: one row for each distinct cell, whatever the number of leads.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import xarray as xr
from scipy.special import expit

from funnelstats.data.stages import StageCounts
from funnelstats.errors import DataError, Problem
from funnelstats.estimate import Estimate
from funnelstats.inference.diagnose import Check, Diagnosis, diagnose_chains
from funnelstats.inference.mcmc import Sampler
from funnelstats.inference.multilevel import Hyperpriors, draw_crossed, sample_crossed
from funnelstats.inference.priors import Prior
from funnelstats.models.cells import CellTable
from funnelstats.models.hierarchical_fit import HierarchicalFit
from funnelstats.models.record import Record, check_request
from funnelstats.models.trials import Denominator

Method = Literal["mcmc", "prior"]
#: With fewer levels the spread between them comes from the prior.
FEW_LEVELS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class HierarchicalConversion:
    """Conversion of every step by crossed groups, partially pooled.

    Parameters
    ----------
    groups : sequence of str
        Columns of the counts, such as ``("owner", "channel")``; the first is the one that decisions are about.
    average : Prior
        Normal, of the logit of each step averaged over the levels observed. By default 90 % of average rates lie within 8 % and 92 %.
    spread : Prior
        Half-normal, of the sd of effects on the logit, at each step and for each group.
    correlation : float
        Of the LKJ prior; 1 is uniform over correlation matrices, more is closer to none. Groups with fewer than ten levels have
        effects that are independent over steps.
    denominator : {"settled", "decided", "entered"}
        What counts as a trial, see :func:`~funnelstats.models.trials.settled_trials`.

    Examples
    --------
    >>> model = HierarchicalConversion(groups=["owner", "channel"])
    >>> model.groups
    ('owner', 'channel')
    >>> rate = model.prior_rates(seed=1)
    >>> bool(rate.lower < 0.1 and rate.upper > 0.9)
    True
    """

    groups: Sequence[str]
    average: Prior = field(default_factory=lambda: Prior.of("normal", 0, 1.5))
    spread: Prior = field(default_factory=lambda: Prior.of("half_normal", 1))
    correlation: float = 2.0
    denominator: Denominator = "settled"

    def __post_init__(self) -> None:
        groups = (self.groups,) if isinstance(self.groups, str) else tuple(self.groups)
        object.__setattr__(self, "groups", groups)
        problems = []
        if not groups or len(set(groups)) < len(groups):
            problems.append(Problem("groups", f"expected one column or more, all different, found {list(groups)}"))
        for name, prior, family in (("average", self.average, "normal"), ("spread", self.spread, "half_normal")):
            if prior.family != family:
                problems.append(Problem(name, f"expected a {family} prior, found {prior}"))
        if not self.correlation > 0:
            problems.append(Problem("correlation", f"expected a positive number, found {self.correlation!r}"))
        if self.denominator not in get_args(Denominator):
            found = f"expected one of {', '.join(get_args(Denominator))}, found {self.denominator!r}"
            problems.append(Problem("denominator", found))
        if problems:
            raise DataError("HierarchicalConversion", problems)

    def fit(
        self, data: StageCounts, *, seed: int, method: Method = "mcmc", draws: int = 1000, chains: int = 4, tune: int = 1000,
        cores: int = 1, sampler: Sampler = "nutpie", target_accept: float = 0.95, progress: bool = False,
    ) -> HierarchicalFit:  # fmt: skip
        """Condition on counts.

        Parameters
        ----------
        data : StageCounts
            By the groups of the model, and by further columns where models are to be compared.
        seed, draws, chains
            See :class:`~funnelstats.models.model.Model`.
        method : {"mcmc", "prior"}
            NUTS; or draws from the prior, where only the levels and the number of entrants are looked at.
        tune, cores, sampler, target_accept, progress
            Of :func:`~funnelstats.inference.mcmc.sample`; for ``mcmc`` only. ``pymc`` samples a plainly written twin of the model.

        Raises
        ------
        DataError
            Data that are not stage counts, a group that they do not have, no trial at all.
        """
        check_request("HierarchicalConversion.fit", method=method, methods=Method, seed=seed, draws=draws, chains=chains)
        if not isinstance(data, StageCounts):
            found = f"expected StageCounts, found {type(data).__name__}"
            raise DataError("the data", [Problem("data", found, "use log.stages(by=...) or StageCounts.of(frame, by=...)")])
        table = CellTable.of(data, groups=self.groups, denominator=self.denominator)
        priors = Hyperpriors(average=self.average, spread=self.spread, correlation=self.correlation)
        few = tuple(_few(name, len(levels)) for name, levels in table.labels.items())
        settings: dict[str, Any] = {}
        if method == "prior":
            tree = draw_crossed(table.rows(), priors, rng=np.random.default_rng([seed, 1]), draws=draws, chains=chains)
            diagnosis = Diagnosis(checks=few, method=method)
        else:
            settings = {"sampler": sampler, "tune": tune, "target_accept": target_accept}
            tree = sample_crossed(
                table.rows(), priors, seed=seed, draws=draws, chains=chains, cores=cores, progress=progress, **settings
            )
            found = diagnose_chains(tree, sampler=sampler)
            diagnosis = Diagnosis(checks=(*found.checks, *few), method=found.method)
        record = Record.of(
            model=self, data=data, method=method, seed=seed, draws=draws, chains=chains, n=int(table.trials.sum()),
            settings=tuple(settings.items()), counted=f"trials in {len(table.entrants):,} cells by {', '.join(self.groups)}",
            censored=int(data.frame["open"].sum()), window=data.window, source=data.source,
        )  # fmt: skip
        return HierarchicalFit(model=self, data=data, tree=tree, record=record, diagnosis=diagnosis)

    def prior_rates(self, *, seed: int = 0, draws: int = 20_000) -> Estimate:
        """Rate of one step in one new cell, before any data."""
        rng = np.random.default_rng([seed, 2])
        logit = self.average.draw(rng, draws)
        for _ in self.groups:
            logit = logit + self.spread.draw(rng, draws) * rng.standard_normal(draws)
        values = xr.DataArray(expit(logit)[None], dims=("chain", "draw"))
        return Estimate(draws=values, description="conversion rate of one step in one cell, before the data")

    def says(self, *, seed: int = 0) -> str:
        """Say what the priors mean in plain numbers.

        Examples
        --------
        >>> HierarchicalConversion(groups="owner").says()
        'before the data: 90% of cells convert within 5.2% to 95.1% at a step; one sd of owner moves a rate of one half to 52% to 88%'
        """
        rate = self.prior_rates(seed=seed)
        spread = self.spread.draw(np.random.default_rng([seed, 3]), 20_000)
        low, high = expit(np.quantile(spread, [0.05, 0.95]))
        names = " or ".join(self.groups)
        return (
            f"before the data: 90% of cells convert within {rate.lower:.1%} to {rate.upper:.1%} at a step; "
            f"one sd of {names} moves a rate of one half to {low:.0%} to {high:.0%}"
        )


def _few(group: str, count: int) -> Check:
    where = f"levels of {group}: with so few, the spread between them comes from the prior"
    return Check(name=f"levels of {group}", value=count, bound=f"at least {FEW_LEVELS}", where=where,
                 verdict="PASS" if count >= FEW_LEVELS else "REVIEW")  # fmt: skip
