"""What will a customer spend on a purchase, given the few seen so far? Gamma-Gamma, fitted to those who came back.

Spending is taken to be independent of how often a customer buys; ``fit.diagnose()`` shows the correlation in the data.  Customers
without a repeat purchase are no part of the likelihood, and are expected to spend what the population does.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from funnelstats.data.customers import Customers, rows_of
from funnelstats.distributions import gammagamma
from funnelstats.errors import DataError, FitError, Problem
from funnelstats.estimate import Estimate
from funnelstats.inference.diagnose import Check
from funnelstats.inference.parametric import ROUGH, Likelihood, Method, Parameter, learn
from funnelstats.inference.priors import Prior
from funnelstats.interval import DEFAULT, Interval
from funnelstats.models.buying import DRAWS, HELD, places
from funnelstats.models.learned import effective, maximum_of, parts_of
from funnelstats.models.model import Fit
from funnelstats.models.record import check_request

#: A larger correlation of frequency and spending, in absolute value, is worth a look.
CORRELATED = 0.2
FEW = 10
#: (p, q - 1, v) whose population spends the observed mean, which is 1 here: v = (q - 1) / p.
_STARTS = ((5.0, 2.5, 0.5), (1.0, 1.0, 1.0), (20.0, 5.0, 0.25))


@dataclass(frozen=True, slots=True, kw_only=True)
class GammaGamma:
    """Mean spending per purchase (Fader & Hardie 2013, note 025).

    Parameters
    ----------
    p : Prior
        Shape of the values of one customer's purchases.
    q_above_one : Prior
        Of q - 1, positive so that the population has a mean.
    v : Prior
        Scale, as a multiple of the mean value observed.

    Examples
    --------
    >>> customers = Customers.of([1, 2, 5, 0] * 5, [5, 9, 20, 0] * 5, 30.0, unit="week",
    ...                          monetary_value=[20, 35, 50, 0, 30, 25, 45, 0, 15, 60, 40, 0, 22, 33, 44, 0, 28, 31, 52, 0])
    >>> fit = GammaGamma().fit(customers, seed=1)
    >>> 20 < fit.population_mean().point < 60
    True
    """

    p: Prior = field(default_factory=lambda: Prior.of("lognormal", 1, 1))
    q_above_one: Prior = field(default_factory=lambda: Prior.of("gamma", 2, 1))
    v: Prior = field(default_factory=lambda: Prior.of("lognormal", 0, 1))

    def parameters(self) -> tuple[Parameter, ...]:
        """Return the three free parameters."""
        return tuple(Parameter(name=name, scale="log", prior=getattr(self, name)) for name in ("p", "q_above_one", "v"))

    def fit(
        self, data: Customers, *, seed: int, method: Method = "laplace", draws: int = 1000, chains: int = 4, **sampling: Any
    ) -> "SpendFit":  # fmt: skip
        """Condition on the customers with repeat purchases of a known, positive value; see :meth:`BgNbd.fit`.

        Raises
        ------
        DataError, FitError
            No amounts; nobody came back.
        """
        check_request("GammaGamma.fit", method=method, methods=Method, seed=seed, draws=draws, chains=chains)
        if not isinstance(data, Customers):
            raise DataError("the data", [Problem("data", f"expected Customers, found {type(data).__name__}")])
        back = np.flatnonzero(data.frequency > 0)
        x, mean, weight = data.frequency[back], data.monetary_value[back], data.weight[back]
        if len(missing := back[np.isnan(mean)]):
            found = (
                f"expected a value for every customer with repeat purchases, found {len(missing):,} without ({rows_of(missing)})"
            )
            fix = 'read the order book with its amounts, as in Transactions.of(..., amount="its column"), or leave these out with .select'
            raise DataError(data.source, [Problem("monetary_value", found, fix)])
        returned, paid = int(weight.sum()), mean > 0
        if not np.all(paid):
            x, mean, weight = x[paid], mean[paid], weight[paid]
        n = int(weight.sum())
        if n < 2:
            found = f"expected at least two customers with repeat purchases of a positive value, found {n}"
            raise FitError("GammaGamma", [Problem("frequency", found, "spending of the population cannot be learned from these")])
        scale = float(mean @ weight) / n
        spending = gammagamma.Spending.of(x, mean / scale, weight=weight)
        request: dict[str, Any] = {"method": method, "seed": seed, "draws": draws, "chains": chains}
        learned = learn(self.parameters(), _likelihood(spending), starts=_STARTS,
                        **request, **sampling)  # fmt: skip
        parts = parts_of(
            self, learned, self.parameters(), lambda *, p, q_above_one, v: {"p": p, "q": 1 + q_above_one, "v": v * scale},
            shift=-n * float(np.log(scale)), checks=_checks(x, mean, weight, free=returned - n), sampling=sampling, request=request,
            data=data.fingerprint, n=n, window=data.window, source=data.source,
            counted=f"customers with repeat purchases of a positive value, of {data.n:,}",
        )  # fmt: skip
        return SpendFit(data=data, **parts)


def _likelihood(spending: gammagamma.Spending) -> Likelihood:
    def expansion(*, p: float, q_above_one: float, v: float) -> tuple[float, np.ndarray, np.ndarray]:
        return gammagamma.expansion(spending, p=p, q=1 + q_above_one, v=v)

    def many(*, p: np.ndarray, q_above_one: np.ndarray, v: np.ndarray) -> np.ndarray:
        return np.asarray(gammagamma.total_log_likelihood(spending, p=p, q=1 + q_above_one, v=v))

    def tensor(*, xp: Any, p: Any, q_above_one: Any, v: Any) -> Any:
        return xp.total(gammagamma.total_log_likelihood(spending, p=p, q=1 + q_above_one, v=v, xp=xp))

    rows = len(spending.weight)
    rough = _likelihood(spending.part(-(-rows // ROUGH))) if rows > 3 * ROUGH else None
    return Likelihood(expansion=expansion, many=many, tensor=tensor, rows=rows, rough=rough)


def _checks(x: np.ndarray, mean: np.ndarray, weight: np.ndarray, *, free: int) -> tuple[Check, ...]:
    n = int(weight.sum())
    often, worth = x - float(x @ weight) / n, mean - float(mean @ weight) / n
    spread = float(np.sqrt(float(often**2 @ weight) * float(worth**2 @ weight)))
    corr = float((often * worth) @ weight) / spread if spread > 0 else 0.0
    return (
        Check(name="correlation of frequency and spending", value=corr, bound=f"within {CORRELATED}", where="the model has it at 0",
              verdict="PASS" if abs(corr) <= CORRELATED else "REVIEW"),
        Check(name="customers", value=n, bound=f"at least {FEW}", where="with so few, spending comes from the prior",
              verdict="PASS" if n >= FEW else "REVIEW"),
        Check(name="customers whose repeat purchases were free", value=free, bound="0", where="left out: the model has no zeros",
              verdict="PASS" if free == 0 else "REVIEW"),
    )  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False, slots=True, kw_only=True)
class SpendFit(Fit[GammaGamma, Customers]):
    """Fit of Gamma-Gamma."""

    @property
    def unit(self) -> str:
        """Money per purchase."""
        return f"{self.data.currency or 'money'}/purchase"

    def expected_spend(self, customers: Customers | Sequence[str] | None = None) -> Estimate:
        """Expected value of a future purchase by customer, given the mean of the past ones, dims (chain, draw, customer)."""
        data = self.data if customers is None else customers
        if not isinstance(data, Customers):
            data = self.data.select(self.data.places(data))
        values = self.flat(DRAWS)
        size = len(values["p"])
        if size * len(data.frequency) > HELD:
            found = f"{len(data.frequency):,} customers x {size:,} draws do not fit memory"
            raise DataError("expected spend", [Problem("customers", found, "use .table(), or some of the customers")])
        found = gammagamma.expected_spend(data.frequency, data.monetary_value, **values)
        draws = xr.DataArray(found.reshape(self.record.chains, -1, len(data.frequency)), dims=("chain", "draw", "customer"),
                             coords={"customer": data.names})  # fmt: skip
        return Estimate(draws=draws, description="expected value of a future purchase", unit=self.unit)

    def expected_once(self, at: Any, values: dict[str, np.ndarray]) -> np.ndarray:
        """Expected value of a future purchase of the customers at these places; parameters of shape (k, 1) give shape (k, n)."""
        return np.asarray(gammagamma.expected_spend(self.data.frequency[at], self.data.monetary_value[at], **values))

    def population_mean(self) -> Estimate:
        """Mean value of a purchase over all customers, p v / (q - 1)."""
        posterior = self.tree["posterior"].to_dataset()
        draws = posterior["p"] * posterior["v"] / (posterior["q"] - 1)
        return Estimate(draws=draws, description="mean value of a purchase over customers", unit=self.unit)

    def predict(self, new: Any = None) -> Estimate:
        """Return the population's mean value of a purchase; with ``new`` customers, theirs."""
        return self.population_mean() if new is None else self.expected_spend(new)

    def table(self, *, interval: Interval = DEFAULT) -> pd.DataFrame:
        """Expected value of a future purchase by customer: mean and bounds, made in pieces."""
        values, size = self.flat(400), 5_000
        out = np.empty((3, len(self.data.frequency)))
        for start in range(0, out.shape[1], size):
            at = slice(start, start + size)
            found = gammagamma.expected_spend(self.data.frequency[at], self.data.monetary_value[at], **values)
            out[0, at], (out[1, at], out[2, at]) = found.mean(axis=0), interval.of(found, axis=0)
        names = ("expected_spend", "expected_spend_lower", "expected_spend_upper")
        frame = pd.DataFrame(dict(zip(names, out, strict=True)), index=pd.Index(self.data.names, name="customer"))
        return frame.assign(unit=self.unit, interval=str(interval))

    def simulate(self, *, seed: int) -> Customers:
        """Return the same histories with new mean values, for all who came back."""
        rng, values = self.rng("simulate", seed), self.one_draw(seed)
        x = np.repeat(self.data.frequency, self.data.weight)
        nu = rng.gamma(values["q"], 1 / values["v"], size=len(x))
        value = np.maximum(rng.gamma(values["p"] * np.maximum(x, 1)) / np.maximum(nu, 1e-300) / np.maximum(x, 1), 1e-300)
        columns: dict[str, Any] = {name: np.repeat(getattr(self.data, name), self.data.weight) for name in ("recency", "T")}
        label = self.data.label if np.all(self.data.weight == 1) else None
        return replace(self.data, frequency=x, **columns, monetary_value=np.where(x > 0, value, np.nan), label=label,
                       weight=np.ones(len(x), dtype=np.int64), later_frequency=None, later_value=None, later=0.0,
                       source=f"simulated from {self.record.id}")  # fmt: skip

    def maximum(self) -> pd.DataFrame:
        """Maximum-likelihood estimates with their standard errors; for ``method="mle"``."""
        return maximum_of(self.tree, self.record.method)

    def summary(self, *, interval: Interval = DEFAULT) -> pd.DataFrame:
        """As of every fit; after importance resampling the effective sample size is the importance sampler's."""
        return effective(super(SpendFit, self).summary(interval=interval), self.diagnosis)

    def flat(self, most: int) -> dict[str, np.ndarray]:
        """Draws of the parameters, shape (k, 1), at most ``most`` of them, the same as of a fit of purchases."""
        posterior = self.tree["posterior"].to_dataset()
        keep = places(self.record.draws, max(1, most // self.record.chains))
        return {str(name): part.values[:, keep].reshape(-1, 1) for name, part in posterior.data_vars.items()}
