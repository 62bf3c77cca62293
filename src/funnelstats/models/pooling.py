"""Does it help to let groups learn from one another? One rate for all, one for each, and the compromise, side by side.

Complete pooling says that groups do not differ, no pooling that they have nothing in common; both are beta-binomial with the
concentration at infinity or at that of a fixed prior.  Partial pooling (:class:`~funnelstats.models.exchangeable.BetaBinomial`)
lets the data choose between the two.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import gammaln

from funnelstats.distributions.betabinomial import log_pmf
from funnelstats.errors import DataError, Problem
from funnelstats.estimate import Estimate
from funnelstats.inference.diagnose import Diagnosis
from funnelstats.inference.priors import Prior
from funnelstats.inference.tree import tree_of
from funnelstats.interval import DEFAULT, Interval
from funnelstats.models.exchangeable import BetaBinomial
from funnelstats.models.groups import GroupsFit
from funnelstats.models.record import Record, check_request
from funnelstats.models.trials import Trials, as_trials

Method = Literal["exact", "prior"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletePooling:
    """One conversion rate for all groups.

    Parameters
    ----------
    rate : Prior
        A beta prior, uniform by default; the posterior is then beta and needs no approximation.

    Examples
    --------
    >>> fit = CompletePooling().fit(Trials.of([30, 10], [100, 100]), seed=1)
    >>> round(fit.overall_rate().point, 2)
    0.2
    """

    rate: Prior = field(default_factory=lambda: Prior.of("beta", 1, 1))

    def __post_init__(self) -> None:
        _require_beta(self.rate)

    def fit(self, data: Any, *, seed: int, method: Method = "exact", draws: int = 1000, chains: int = 4) -> "CompletePoolingFit":
        """Condition on Trials or StageCounts of one step; see :class:`~funnelstats.models.model.Model`."""
        check_request("CompletePooling.fit", method=method, methods=Method, seed=seed, draws=draws, chains=chains)
        trials = as_trials(data)
        wins, losses = (0, 0) if method == "prior" else (trials.wins.sum(), (trials.trials - trials.wins).sum())
        a, b = self.rate.values
        rate = np.random.default_rng([seed, 1]).beta(a + wins, b + losses, size=(chains, draws))
        return CompletePoolingFit(model=self, data=trials, tree=tree_of({"common_rate": rate}),
                                  **_account(self, trials, method, seed, draws, chains))  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False, slots=True, kw_only=True)
class CompletePoolingFit(GroupsFit[CompletePooling]):
    """Posterior of one common rate."""

    def overall_rate(self) -> Estimate:
        """Return the common rate."""
        return self.estimate("common_rate", description="conversion rate, all groups pooled")

    def rates(self) -> Estimate:
        """Return the same draws for every group."""
        common = self.tree["posterior"].to_dataset()["common_rate"].values[..., None]
        return self.labelled(
            np.repeat(common, len(self.data.labels), axis=-1), "conversion rate of each group, completely pooled"
        )

    def rates_once(self, draw: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
        """Return the common rate for every group."""
        return np.full(len(self.data.labels), float(draw["common_rate"]))

    def parameters(self) -> xr.Dataset:
        """Return the common rate only: the groups' are the same number."""
        return self.tree["posterior"].to_dataset()

    def log_likelihood(self) -> xr.DataArray:
        """Log binomial probability of each group's wins, dims (chain, draw, group)."""
        rate = self.tree["posterior"].to_dataset()["common_rate"].values[..., None]
        y, n = self.data.wins, self.data.trials
        ways = gammaln(n + 1) - gammaln(y + 1) - gammaln(n - y + 1)
        with np.errstate(divide="ignore"):
            terms = np.where(y > 0, y * np.log(rate), 0.0) + np.where(n > y, (n - y) * np.log1p(-rate), 0.0)
        return self.labelled(np.maximum(ways + terms, -1e300), "log likelihood").draws


@dataclass(frozen=True, slots=True, kw_only=True)
class NoPooling:
    """A conversion rate for each group, known from its own trials only.

    Parameters
    ----------
    rate : Prior
        A beta prior, uniform by default, the same for every group and not learned.
    """

    rate: Prior = field(default_factory=lambda: Prior.of("beta", 1, 1))

    def __post_init__(self) -> None:
        _require_beta(self.rate)

    def fit(self, data: Any, *, seed: int, method: Method = "exact", draws: int = 1000, chains: int = 4) -> "NoPoolingFit":
        """Condition on Trials or StageCounts of one step; see :class:`~funnelstats.models.model.Model`."""
        check_request("NoPooling.fit", method=method, methods=Method, seed=seed, draws=draws, chains=chains)
        trials = as_trials(data)
        seen = 0 if method == "prior" else 1
        a, b = self.rate.values
        size = (chains, draws, len(trials.labels))
        rates = np.random.default_rng([seed, 1]).beta(a + seen * trials.wins, b + seen * (trials.trials - trials.wins), size=size)
        tree = tree_of({"rate": rates}, dims={"rate": ["group"]}, coords={"group": list(trials.labels)})
        return NoPoolingFit(model=self, data=trials, tree=tree, **_account(self, trials, method, seed, draws, chains))


@dataclass(frozen=True, eq=False, repr=False, slots=True, kw_only=True)
class NoPoolingFit(GroupsFit[NoPooling]):
    """Independent posteriors of the groups' rates."""

    def rates(self) -> Estimate:
        """Rate of each group from its own trials, dims (chain, draw, group)."""
        return self.estimate("rate", description="conversion rate of each group, not pooled")

    def rates_once(self, draw: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
        """Return the drawn rates."""
        return draw["rate"]

    def log_likelihood(self) -> xr.DataArray:
        """Log probability of each group's wins under the prior, the same in every draw: others say nothing of a group."""
        a, b = self.model.rate.values
        values = log_pmf(self.data.wins, self.data.trials, mean=a / (a + b), concentration=np.array(a + b))
        shape = (self.record.chains, self.record.draws, len(self.data.labels))
        return self.labelled(np.broadcast_to(values, shape).copy(), "log likelihood").draws


def pooling_table(data: Any, *, seed: int, model: BetaBinomial | None = None, interval: Interval = DEFAULT) -> pd.DataFrame:
    """Complete, no and partial pooling of the same groups, side by side.

    Parameters
    ----------
    data : Trials or StageCounts
        Counts of one step by a group.
    seed : int
    model : BetaBinomial, optional
        The partial pooling; with default priors where not given.
    interval : Interval
        Of the bounds.

    Returns
    -------
    DataFrame
        One row per group in the order given: ``wins``, ``trials``, ``raw`` (missing without trials), then for each of
        ``complete_pooling``, ``no_pooling``, ``partial_pooling`` the mean and its ``_lower`` and ``_upper``; ``shrinkage``, the
        fraction of the way from the raw rate to the population's.
    """
    trials = as_trials(data)
    partial = (model or BetaBinomial()).fit(trials, seed=seed)
    fits = {"complete_pooling": CompletePooling().fit(trials, seed=seed), "no_pooling": NoPooling().fit(trials, seed=seed),
            "partial_pooling": partial}  # fmt: skip
    table = pd.DataFrame(
        {"wins": trials.wins, "trials": trials.trials, "raw": trials.raw}, index=pd.Index(trials.labels, name="group")
    )
    for name, fit in fits.items():
        rates = fit.predict().with_interval(prob=interval.prob, kind=interval.kind)
        table[name], table[f"{name}_lower"], table[f"{name}_upper"] = rates.point.values, rates.lower.values, rates.upper.values
    return table.assign(shrinkage=partial.shrinkage().point.values, interval=str(interval))


def _require_beta(prior: Prior) -> None:
    if prior.family != "beta":
        raise DataError("a pooled rate", [Problem("rate", f"expected a beta prior, found {prior}", "use Prior.of('beta', 1, 1)")])


def _account(model: Any, trials: Trials, method: str, seed: int, draws: int, chains: int) -> dict[str, Any]:
    record = Record.of(model=model, data=trials, method=method, seed=seed, draws=draws, chains=chains, n=int(trials.trials.sum()),
                       counted=f"trials in {len(trials.labels):,} groups", censored=trials.open, window=trials.window,
                       source=trials.source)  # fmt: skip
    return {"record": record, "diagnosis": Diagnosis(checks=(), method=method)}
