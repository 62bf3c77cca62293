"""How good is each group, when every group is one of many of its kind? Partial pooling by the beta-binomial.

``wins_j ~ Binomial(trials_j, rate_j)``, ``rate_j ~ Beta(phi kappa, (1 - phi) kappa)``: ``phi`` is the mean rate of the population of
groups and ``kappa`` its concentration, the number of trials that the population is worth to a group.  Given the two, each rate has a
beta posterior; the two themselves are found on a grid, so nothing here needs a sampler (Gelman et al. 2013, Bayesian Data
Analysis, 3rd ed., section 5.3).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import expit, logit

from funnelstats.distributions.betabinomial import Tally, log_likelihood, log_pmf
from funnelstats.errors import DataError, FitError, Problem
from funnelstats.estimate import SAMPLE_DIMS, ClosedForm, Estimate, NotIdentified
from funnelstats.inference.diagnose import Check, Diagnosis, diagnose_chains
from funnelstats.inference.mcmc import Sampler, density_model, sample
from funnelstats.inference.priors import Prior
from funnelstats.inference.quadrature import EDGE_MASS, Grid
from funnelstats.inference.tree import tree_of
from funnelstats.interval import DEFAULT, Interval
from funnelstats.models.groups import GroupsFit
from funnelstats.models.likely import Independent, laplace
from funnelstats.models.record import Record, check_request
from funnelstats.models.trials import Trials, as_trials

Method = Literal["quadrature", "mcmc", "mle", "prior"]
#: With fewer groups the spread between them comes from the prior.
FEW_GROUPS = 3
#: A grid whose mass is on fewer cells is too coarse.
CELLS_MIN = 50
#: Elements of a grid evaluated at one time: 64 MB.
CHUNK = 8_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BetaBinomial:
    """Exchangeable groups with a beta distribution of rates.

    Parameters
    ----------
    mean : Prior
        Of the mean rate. Uniform by default.
    concentration : Prior
        Of the concentration. Pareto from 1 with index 1/2 by default, which is uniform in ``kappa^(-1/2)``: the spread between groups,
        as a share of the largest possible, may be anything from none to all (Gelman 2006, Bayesian Analysis 1:515-534), and equal groups are
        pooled nearly whole. It is the prior ``(alpha + beta)^(-5/2)`` of Bayesian Data Analysis (:meth:`bda3`) made proper. An index of 1.5
        (Carpenter 2016, hierarchical partial pooling for repeated binary trials) has no density at equal groups and finds a spread in noise.

    Examples
    --------
    >>> fit = BetaBinomial().fit(Trials.of([1, 4, 9, 3], [20, 14, 24, 30]), seed=1)
    >>> fit.diagnose().verdict
    'PASS'
    """

    mean: Prior = field(default_factory=lambda: Prior.of("beta", 1, 1))
    concentration: Prior = field(default_factory=lambda: Prior.of("pareto", 1, 0.5))

    @classmethod
    def bda3(cls) -> "BetaBinomial":
        """Return the model with the improper prior ``(alpha + beta)^(-5/2)`` of Gelman et al. (2013), eq. 5.9."""
        return cls(concentration=Prior.of("power", -1.5))

    def fit(
        self, data: Any, *, seed: int, method: Method = "quadrature", draws: int = 1000, chains: int = 4, tune: int = 1000,
        cores: int = 1, sampler: Sampler = "nutpie", target_accept: float = 0.9, progress: bool = False,
    ) -> "BetaBinomialFit":  # fmt: skip
        """Condition on trials.

        Parameters
        ----------
        data : Trials or StageCounts
            Counts of one step by a group.
        seed, draws, chains
            See :class:`~funnelstats.models.model.Model`.
        method : {"quadrature", "mcmc", "mle", "prior"}
            Exact by a grid; NUTS as a check; maximum likelihood with Laplace draws; or the prior, wins not looked at.
        tune, cores, sampler, target_accept, progress
            Of :func:`~funnelstats.inference.mcmc.sample`; for ``mcmc`` only.

        Raises
        ------
        FitError
            An improper prior whose posterior is improper too, as when no group has both wins and losses.
        """
        check_request("BetaBinomial.fit", method=method, methods=Method, seed=seed, draws=draws, chains=chains)
        trials = as_trials(data)
        if method not in ("mle", "prior") and not self.concentration.proper and not _has_mixed(trials):
            found = "an improper prior and no group with both wins and losses: the posterior is improper"
            raise FitError("BetaBinomial", [Problem("concentration", found, "use Prior.of('pareto', 1, 0.5)")])
        settings: dict[str, Any] = {}
        rng = np.random.default_rng([seed, 1])
        if method == "mcmc":
            settings = {"sampler": sampler, "tune": tune, "target_accept": target_accept}
            tree = sample(self._pymc(trials), seed=seed, draws=draws, chains=chains, cores=cores, progress=progress, **settings)
            diagnosis = diagnose_chains(tree, sampler=sampler)
        else:
            (mean, concentration), checks, settings = self._independent(trials, method, rng, draws * chains)
            tree = tree_of({"mean": mean.reshape(chains, draws), "concentration": concentration.reshape(chains, draws)})
            diagnosis = Diagnosis(checks=checks, method=method)
        diagnosis = Diagnosis(checks=(*diagnosis.checks, _few(trials)), method=diagnosis.method)
        record = Record.of(model=self, data=trials, method=method, seed=seed, draws=draws, chains=chains, n=int(trials.trials.sum()),
                           settings=tuple(settings.items()), counted=f"trials in {len(trials.labels):,} groups",
                           censored=trials.open, window=trials.window, source=trials.source)  # fmt: skip
        return BetaBinomialFit(model=self, data=trials, tree=tree, record=record, diagnosis=diagnosis)

    def grid(self, trials: Trials) -> Grid:
        """Posterior of (logit mean, log of the concentration above its least value) on a grid."""
        tally = Tally.of(trials.wins, trials.trials)

        def log_density(x: np.ndarray, y: np.ndarray) -> np.ndarray:
            rows = max(1, CHUNK // (max(tally.terms, 1) * max(y.size, 1)))
            if x.size > rows:
                return np.concatenate([log_density(part, y) for part in np.array_split(x, -(-x.size // rows))])
            mean, concentration = self.scales(x, y)
            with np.errstate(all="ignore"):
                value = log_likelihood(tally, mean=mean, concentration=concentration)
                jacobian = np.log(mean) + np.log1p(-mean) + y
                return value + self.mean.log_density(mean) + self.concentration.log_density(concentration) + jacobian

        rate = (trials.wins.sum() + 0.5) / (trials.trials.sum() + 1)
        return Grid.of(log_density, start=(float(logit(rate)), np.log(10.0)))

    def scales(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and concentration from the free scale."""
        return expit(x), self.concentration.support[0] + np.exp(y)

    def _independent(self, trials: Trials, method: Method, rng: np.random.Generator, size: int) -> Independent:
        """Independent draws of (mean, concentration), what was checked of them, and what was held at a bound."""
        if method == "prior":
            return (self.mean.draw(rng, size), self.concentration.draw(rng, size)), (), {}
        if method == "mle":
            return laplace(trials, rng, size)
        grid = self.grid(trials)
        edge = Check(name="edge mass", value=grid.edge_mass, bound=f"below {EDGE_MASS:g}", verdict="PASS")
        cells = Check(name="cells with mass", value=grid.cells, bound=f"at least {CELLS_MIN}", where="the grid is coarse",
                      verdict="PASS" if grid.cells >= CELLS_MIN else "REVIEW")  # fmt: skip
        return self.scales(*grid.draw(rng, size)), (edge, cells), {}

    def _pymc(self, trials: Trials) -> Any:
        tally = Tally.of(trials.wins, trials.trials)
        priors = {"mean": self.mean, "concentration": self.concentration}
        return density_model(priors, lambda **parameters: log_likelihood(tally, **parameters))

    def says(self, *, seed: int = 0, draws: int = 20_000) -> str:
        """Say what the priors mean for the rate of a group, in plain numbers."""
        rng = np.random.default_rng([seed, 2])
        mean, concentration = self.mean.draw(rng, draws), self.concentration.draw(rng, draws)
        rates = rng.beta(mean * concentration, (1 - mean) * concentration)
        lower, upper = np.quantile(rates, [0.05, 0.95])
        return f"before the data: 90% of groups have a rate within {lower:.1%} to {upper:.1%}"


@dataclass(frozen=True, eq=False, repr=False, slots=True, kw_only=True)
class BetaBinomialFit(GroupsFit[BetaBinomial]):
    """Posterior of the population (``mean``, ``concentration``) and of every group's rate."""

    def rates(self) -> Estimate:
        """Rate of each group given its own wins and all the others', dims (chain, draw, group)."""
        a, b = self._beta(self._draws("mean")[..., None], self._draws("concentration")[..., None])
        return self.labelled(self.rng("rates").beta(a, b), "conversion rate of each group, partially pooled")

    def rates_once(self, draw: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
        """One joint draw of the rates."""
        return rng.beta(*self._beta(draw["mean"], draw["concentration"]))

    def population_rate(self) -> Estimate:
        """Mean rate of the population of groups: what many new groups would convert at together."""
        return self.estimate("mean", description="mean conversion rate of the population of groups")

    def concentration(self) -> Estimate | NotIdentified:
        """How many trials the population is worth to a group: the median, as it has no mean where groups may be equal."""
        what = "concentration of the population of groups, median"
        if self._held:
            reason = "the likelihood is highest at the end of its scale: no spread, or nothing but spread"
            return NotIdentified(what, reason=reason)
        found = self.estimate("concentration", description=what, unit="trial")
        middle, lower, upper = (xr.DataArray(v) for v in (found.draws.median(SAMPLE_DIMS), found.lower, found.upper))
        return replace(found, closed_form=ClosedForm(middle, lower, upper, found.interval))

    def spread(self) -> Estimate:
        """Standard deviation of the rate between groups of the population; nearly nil when groups hardly differ."""
        mean = self._draws("mean")
        draws = xr.DataArray(np.sqrt(mean * (1 - mean) / (1 + self._draws("concentration"))), dims=SAMPLE_DIMS)
        return Estimate(draws=draws, description="standard deviation of conversion rates between groups")

    def parameters(self) -> xr.Dataset:
        """Mean, concentration and spread (both left out where the data put no bound on them) and the rate of each group."""
        dataset = GroupsFit.parameters(self)
        return dataset.drop_vars("concentration") if self._held else dataset.assign(spread=self.spread().draws)

    def summary(self, *, interval: Interval = DEFAULT) -> pd.DataFrame:
        """One row per parameter, see :meth:`Fit.summary`; without the concentration, which has no mean: its twin ``spread`` has."""
        return GroupsFit.summary(self, interval=interval).drop(index="concentration", errors="ignore")

    @property
    def _held(self) -> bool:
        return "held at a bound" in dict(self.record.settings)

    def new_group(self) -> Estimate:
        """Rate of one group never seen: the population's spread is in it, so it is wider than :meth:`population_rate`."""
        a, b = _shapes(self._draws("mean"), self._draws("concentration"))
        draws = xr.DataArray(self.rng("new group").beta(a, b), dims=("chain", "draw"))
        return Estimate(draws=draws, description="conversion rate of a new group")

    def shrinkage(self) -> Estimate:
        """Fraction of the way from a group's raw rate to the population rate: kappa / (kappa + trials)."""
        concentration = self._draws("concentration")[..., None]
        return self.labelled(concentration / (concentration + self.data.trials), "shrinkage of each group towards the population")

    def log_likelihood(self) -> xr.DataArray:
        """Log probability of each group's wins under the population, dims (chain, draw, group)."""
        mean, concentration = self._draws("mean")[..., None], self._draws("concentration")[..., None]
        return self.labelled(
            log_pmf(self.data.wins, self.data.trials, mean=mean, concentration=concentration), "log likelihood"
        ).draws

    def exact(self, *, probs: Sequence[float] = (0.05, 0.5, 0.95), labels: Sequence[str] | None = None) -> pd.DataFrame:
        """Mean, sd and quantiles by sums over the grid, without Monte Carlo error.

        Parameters
        ----------
        probs : sequence of float
            Quantiles wanted.
        labels : sequence of str, optional
            Groups whose rates are wanted; all of them by default, none for ``[]``.

        Returns
        -------
        DataFrame
            Rows ``mean``, ``concentration``, ``alpha``, ``beta`` (where the mean of a heavy-tailed concentration is mostly the
            prior's: read quantiles), then ``rate[label]``; columns ``mean``, ``sd`` and one for each of ``probs``.
        """
        if self.record.method != "quadrature":
            raise DataError("exact()", [Problem("method", f"expected a fit by quadrature, found {self.record.method}")])
        grid = self.model.grid(self.data)
        mean, concentration = self.model.scales(*grid.points())
        functions = {"mean": lambda m, k: m + 0 * k, "concentration": lambda m, k: k + 0 * m, "alpha": lambda m, k: m * k,
                     "beta": lambda m, k: (1 - m) * k}  # fmt: skip
        rows = {}
        for name, function in functions.items():
            values = function(mean, concentration)
            centre = grid.expect(values)
            spread = np.sqrt(grid.expect((values - centre) ** 2))
            quantiles = grid.quantiles(lambda x, y, f=function: f(*self.model.scales(x, y)), probs)  # type: ignore[misc]
            rows[name] = [centre, spread, *quantiles]
        for label in self.data.labels if labels is None else labels:
            rows[f"rate[{label}]"] = self._exact_rate(grid, label, probs)
        return pd.DataFrame(rows.values(), index=pd.Index(list(rows), name="parameter"), columns=["mean", "sd", *probs])

    def _exact_rate(self, grid: Grid, label: str, probs: Sequence[float]) -> list[float]:
        """Moments and quantiles of a mixture of beta distributions over the grid."""
        from scipy.optimize import brentq
        from scipy.stats import beta

        at = self.data.labels.index(label)
        weights = grid.weights.ravel()
        keep = weights > 1e-12
        m, k = np.broadcast_arrays(*self.model.scales(*grid.points()))
        a, b = _shapes(m.ravel()[keep], k.ravel()[keep])
        a, b, weights = a + self.data.wins[at], b + (self.data.trials - self.data.wins)[at], weights[keep] / weights[keep].sum()
        centres = a / (a + b)
        centre = float(weights @ centres)
        second = float(weights @ (centres * (1 - centres) / (a + b + 1) + (centres - centre) ** 2))
        quantiles = [brentq(lambda q, p=p: float(weights @ beta.cdf(q, a, b)) - p, 0.0, 1.0, xtol=1e-10) for p in probs]
        return [centre, np.sqrt(second), *quantiles]

    def _draws(self, name: str) -> np.ndarray:
        return np.asarray(self.tree["posterior"][name].values)

    def _beta(self, mean: Any, concentration: Any) -> tuple[Any, Any]:
        """Shapes of the rates; a prior fit has not looked at the wins."""
        a, b = _shapes(mean, concentration)
        if self.record.method == "prior":
            return a + 0.0 * self.data.trials, b + 0.0 * self.data.trials
        return a + self.data.wins, b + (self.data.trials - self.data.wins)


def _shapes(mean: Any, concentration: Any) -> tuple[Any, Any]:
    """Shapes of the beta distribution, kept above the smallest number so that a rate of 0 or 1 is a limit, not an error."""
    least = np.finfo(float).tiny
    return np.maximum(mean * concentration, least), np.maximum((1 - mean) * concentration, least)


def _has_mixed(trials: Trials) -> bool:
    return bool(np.any((trials.wins > 0) & (trials.wins < trials.trials)))


def _few(trials: Trials) -> Check:
    count = int((trials.trials > 0).sum())
    where = "with so few, the spread between groups comes from the prior"
    return Check(name="groups", value=count, bound=f"at least {FEW_GROUPS}", where=where,
                 verdict="PASS" if count >= FEW_GROUPS else "REVIEW")  # fmt: skip
