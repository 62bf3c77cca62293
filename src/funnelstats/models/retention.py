"""How long will customers stay who must cancel to leave? The shifted beta-geometric model, from counts by renewal."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import pandas as pd
import xarray as xr

from funnelstats.distributions import sbg
from funnelstats.errors import DataError, FitError, Problem
from funnelstats.estimate import Estimate
from funnelstats.inference.parametric import Likelihood, Method, Parameter, learn
from funnelstats.inference.priors import Prior
from funnelstats.interval import DEFAULT, Interval
from funnelstats.models.learned import effective, maximum_of, parts_of
from funnelstats.models.model import Fit
from funnelstats.models.record import check_request


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Renewals:
    """Customers by what happened at their renewals.

    Parameters
    ----------
    lost : ndarray, shape (n,)
        Customers who left at renewal 1, 2, ..., n.
    stayed : ndarray, shape (n,)
        Customers last seen, still there, after renewal 1, 2, ..., n; those of the oldest cohort in the last place.
    period : str
        What a period is, such as ``"year"``.
    source : str

    Raises
    ------
    DataError
        Negative counts, unequal lengths, nobody.
    """

    lost: np.ndarray
    stayed: np.ndarray
    period: str = "year"
    source: str = "renewals"

    def __post_init__(self) -> None:
        lost, stayed = np.asarray(self.lost, dtype=float), np.asarray(self.stayed, dtype=float)
        problems = []
        if lost.ndim != 1 or lost.shape != stayed.shape or not len(lost):
            problems.append(
                Problem("lost, stayed", f"expected one of each for every renewal, found {lost.shape}, {stayed.shape}")
            )
        elif not (np.all(np.isfinite(lost) & np.isfinite(stayed)) and np.all((lost >= 0) & (stayed >= 0))):
            problems.append(
                Problem(
                    "lost, stayed",
                    f"expected counts of at least 0, found others at renewal {_at(lost, stayed)}",
                    "survival cannot rise from one period to the next",
                )
            )
        elif lost.sum() + stayed.sum() <= 0:
            problems.append(Problem("lost, stayed", "expected customers, found none"))
        if problems:
            raise DataError(self.source, problems)
        for name, values in (("lost", lost.copy()), ("stayed", stayed.copy())):
            values.setflags(write=False)
            object.__setattr__(self, name, values)

    @classmethod
    def of_survival(cls, survival: Sequence[float], *, customers: float, period: str = "year", source: str = "survival") -> Self:
        """Take one cohort's survival curve.

        Parameters
        ----------
        survival : sequence of float
            Share still there after 0, 1, 2, ... renewals; it begins with 1 (or 100, for per cent).
        customers : float
            Size of the cohort.

        Examples
        --------
        >>> Renewals.of_survival([100, 63.1, 46.8], customers=1000).lost.round(6)
        array([369., 163.])
        """
        share = np.asarray(survival, dtype=float)
        if len(share) < 2 or not np.isclose(share[0], [1, 100]).any():
            found = f"expected a curve that begins with 1 or 100, found {share[:3].tolist()}"
            raise DataError(source, [Problem("survival", found)])
        left = customers * share / share[0]
        return cls(lost=-np.diff(left), stayed=np.append(np.zeros(len(left) - 2), left[-1]), period=period, source=source)

    @property
    def n(self) -> float:
        """Number of customers."""
        return float(self.lost.sum() + self.stayed.sum())


def _at(lost: np.ndarray, stayed: np.ndarray) -> str:
    """Number the renewals whose counts are none."""
    return ", ".join(str(place + 1) for place in np.flatnonzero(~((lost >= 0) & (stayed >= 0) & np.isfinite(lost + stayed))))


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftedBetaGeometric:
    """Chances of leaving that differ between customers and not in time (Fader & Hardie 2007).

    Parameters
    ----------
    churn : Prior
        Of the mean chance of leaving at the first renewal, alpha / (alpha + beta).
    concentration : Prior
        Of alpha + beta: small where some leave at once and others stay for ever.

    Examples
    --------
    >>> fit = ShiftedBetaGeometric().fit(Renewals.of_survival([1, 0.631, 0.468, 0.382], customers=1000), seed=1)
    >>> f"{fit.survival(periods=1).sel(period=1).point:.2f}"
    '0.63'
    """

    churn: Prior = field(default_factory=lambda: Prior.of("beta", 1, 1))
    concentration: Prior = field(default_factory=lambda: Prior.of("lognormal", 2, 1.5))

    def parameters(self) -> tuple[Parameter, ...]:
        """Return mean and concentration."""
        return (Parameter(name="churn", scale="logit", prior=self.churn),
                Parameter(name="concentration", scale="log", prior=self.concentration))  # fmt: skip

    def to_shapes(self, *, churn: Any, concentration: Any) -> dict[str, Any]:
        """Return alpha and beta."""
        return {"alpha": churn * concentration, "beta": concentration - churn * concentration}

    def fit(
        self, data: Renewals, *, seed: int, method: Method = "laplace", draws: int = 1000, chains: int = 4, **sampling: Any
    ) -> "RetentionFit":  # fmt: skip
        """Condition on counts by renewal; arguments as for :meth:`BgNbd.fit`.

        Raises
        ------
        FitError
            By ``mle``, where nobody left or nobody stayed.
        """
        check_request("ShiftedBetaGeometric.fit", method=method, methods=Method, seed=seed, draws=draws, chains=chains)
        if not isinstance(data, Renewals):
            fix = "use Renewals.of_survival(...)"
            raise DataError("the data", [Problem("data", f"expected Renewals, found {type(data).__name__}", fix)])
        if method == "mle" and (data.lost.sum() == 0 or data.lost[1:].sum() + data.stayed.sum() == 0):
            found = "expected customers who left and customers who stayed: the likelihood is highest at the edge"
            raise FitError("ShiftedBetaGeometric by mle", [Problem("lost", found, 'use method="laplace", which has priors')])

        def many(**free: Any) -> np.ndarray:
            return np.asarray(sbg.total_log_likelihood(data.lost, data.stayed, **self.to_shapes(**free)))

        def tensor(*, xp: Any, **free: Any) -> Any:
            return xp.total(sbg.total_log_likelihood(data.lost, data.stayed, **self.to_shapes(**free), xp=xp))

        request: dict[str, Any] = {"method": method, "seed": seed, "draws": draws, "chains": chains}
        likelihood = Likelihood(many=many, tensor=tensor, rows=len(data.lost))
        learned = learn(self.parameters(), likelihood, starts=((0.3, 2.0), (0.1, 10.0), (0.5, 0.5)), **request, **sampling)
        parts = parts_of(self, learned, self.parameters(), self.to_shapes, shift=0.0, checks=(), sampling=sampling, request=request,
                         data=data, n=round(data.n), censored=round(data.stayed.sum()), counted="customers",
                         source=data.source)  # fmt: skip
        return RetentionFit(data=data, **parts)


@dataclass(frozen=True, eq=False, repr=False, slots=True, kw_only=True)
class RetentionFit(Fit[ShiftedBetaGeometric, Renewals]):
    """Fit of the shifted beta-geometric model."""

    def survival(self, *, periods: int) -> Estimate:
        """Share still there after 0, 1, ..., ``periods`` renewals, dims (chain, draw, period)."""
        t = np.arange(periods + 1)
        values = np.exp(sbg.log_survival(t, **self._wide()))
        return self._over("period", t, values, "share of customers still there")

    def retention(self, *, periods: int) -> Estimate:
        """Share of those still there who renew, at renewal 1, ..., ``periods``, dims (chain, draw, period)."""
        t = np.arange(1, periods + 1)
        return self._over("period", t, sbg.retention(t, **self._wide()), "share who renew, of those still there")

    def expected_lifetime(self, *, discount_rate: float) -> Estimate:
        """Discounted expected lifetime (DEL) of a new customer in periods, the first, undiscounted one included."""
        draws = sbg.expected_lifetime(rate=self._rate(discount_rate), **self._plain())
        return Estimate(draws=draws, description=f"discounted lifetime of a new customer at {discount_rate:g} per {self.data.period}",
                        unit=self.data.period)  # fmt: skip

    def residual_lifetime(self, *, renewal: Sequence[int], discount_rate: float) -> Estimate:
        """Discounted expected residual lifetime (DERL), standing just before renewals ``renewal``, dims (chain, draw, renewal).

        The period that the renewal opens is not discounted (Fader & Hardie 2010); just after the renewal before, it is less by the
        factor 1 / (1 + discount_rate).
        """
        n = np.atleast_1d(np.asarray(renewal))
        values = sbg.residual_lifetime(n, rate=self._rate(discount_rate), **self._wide())
        words = f"discounted residual lifetime just before a renewal, at {discount_rate:g} per {self.data.period}"
        return self._over("renewal", n, values, words, unit=self.data.period)

    def predict(self, new: int | None = None) -> Estimate:
        """Survival over the periods observed, or over ``new`` periods."""
        return self.survival(periods=len(self.data.lost) if new is None else new)

    def simulate(self, *, seed: int) -> Renewals:
        """As many customers, watched for as long, with new fates."""
        rng, values = self.rng("simulate", seed), self.one_draw(seed)
        watched = np.repeat(np.arange(1, len(self.data.lost) + 1), self._watched())
        theta = np.clip(rng.beta(values["alpha"], values["beta"], size=len(watched)), 1e-12, 1.0)
        at = rng.geometric(theta)
        gone = at <= watched
        size = len(self.data.lost)
        return Renewals(lost=np.bincount(at[gone], minlength=size + 1)[1 : size + 1],
                        stayed=np.bincount(watched[~gone], minlength=size + 1)[1 : size + 1],
                        period=self.data.period, source=f"simulated from {self.record.id}")  # fmt: skip

    def maximum(self) -> pd.DataFrame:
        """Maximum-likelihood estimates with their standard errors; for ``method="mle"``."""
        return maximum_of(self.tree, self.record.method)

    def summary(self, *, interval: Interval = DEFAULT) -> pd.DataFrame:
        """As of every fit; after importance resampling the effective sample size is the importance sampler's."""
        return effective(super(RetentionFit, self).summary(interval=interval), self.diagnosis)

    def _watched(self) -> np.ndarray:
        """How many customers were watched for 1, 2, ... renewals; those who left are shared out as those who stayed were watched."""
        lost, stayed = self.data.lost.copy(), self.data.stayed.copy()
        whole = stayed.copy()
        for at in range(len(lost)):  # a customer lost at renewal k was watched for k renewals at least
            later = stayed[at:]
            share = later / later.sum() if later.sum() > 0 else np.append(np.zeros(len(later) - 1), 1.0)
            whole[at:] += lost[at] * share
        counts = np.floor(whole).astype(int)
        counts[-1] += round(self.data.n) - counts.sum()
        return np.asarray(np.maximum(counts, 0))

    def _rate(self, rate: float) -> float:
        if not (np.isfinite(rate) and rate > 0):
            found = f"expected above 0, found {rate!r}: some customers would stay for ever"
            raise DataError("the lifetime", [Problem("discount_rate", found)])
        return rate

    def _plain(self) -> dict[str, xr.DataArray]:
        posterior = self.tree["posterior"].to_dataset()
        return {name: posterior[name] for name in ("alpha", "beta")}

    def _wide(self) -> dict[str, np.ndarray]:
        return {name: part.values[..., None] for name, part in self._plain().items()}

    def _over(self, dim: str, labels: np.ndarray, values: np.ndarray, words: str, unit: str = "") -> Estimate:
        draws = xr.DataArray(values, dims=("chain", "draw", dim), coords={dim: labels})
        return Estimate(draws=draws, description=words, unit=unit)
