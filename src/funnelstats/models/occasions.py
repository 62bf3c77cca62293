"""How often will customers take a series of occasions, such as a yearly appeal, who never say that they have left? BG/BB."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from funnelstats.data.customers import TOUCH, Customers
from funnelstats.distributions import bgbb
from funnelstats.distributions.histories import Histories
from funnelstats.errors import DataError, Problem
from funnelstats.estimate import Estimate
from funnelstats.inference.parametric import Likelihood, Method, Parameter, learn
from funnelstats.inference.priors import Prior
from funnelstats.models.buying import BuyingFit, account, few_repeaters
from funnelstats.models.learned import parts_of
from funnelstats.models.record import check_request

_STARTS = ((0.5, 3.0, 0.2, 4.0), (0.2, 1.0, 0.5, 1.0), (0.7, 10.0, 0.1, 20.0))


def _uniform() -> Prior:
    return Prior.of("beta", 1, 1)


def _concentration() -> Prior:
    return Prior.of("lognormal", 2, 1.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class BgBb:
    """Customers who may leave between occasions (Fader, Hardie & Shang 2010).

    ``T`` counts the occasions observed, ``recency`` is the number of the last one taken, ``frequency`` how many were taken.

    Parameters
    ----------
    purchase, dropout : Prior
        Of the mean chance to take an occasion, alpha / (alpha + beta), and to leave before one, gamma / (gamma + delta).
    purchase_concentration, dropout_concentration : Prior
        Of alpha + beta and gamma + delta: large where all customers are alike.

    Examples
    --------
    >>> donors = Customers.of([0, 1, 3, 6], [0, 2, 4, 6], 6, unit="year", weight=[50, 20, 20, 10])
    >>> fit = BgBb().fit(donors, seed=1)
    >>> bool(fit.expected_purchases(horizon=5).point[3] > 2)
    True
    """

    purchase: Prior = field(default_factory=_uniform)
    purchase_concentration: Prior = field(default_factory=_concentration)
    dropout: Prior = field(default_factory=_uniform)
    dropout_concentration: Prior = field(default_factory=_concentration)

    def parameters(self) -> tuple[Parameter, ...]:
        """Return means and concentrations."""
        return (Parameter(name="purchase", scale="logit", prior=self.purchase),
                Parameter(name="purchase_concentration", scale="log", prior=self.purchase_concentration),
                Parameter(name="dropout", scale="logit", prior=self.dropout),
                Parameter(name="dropout_concentration", scale="log", prior=self.dropout_concentration))  # fmt: skip

    def to_shapes(
        self, *, purchase: Any, purchase_concentration: Any, dropout: Any, dropout_concentration: Any
    ) -> dict[str, Any]:
        """Shapes of the two beta distributions."""
        alpha, gamma = purchase * purchase_concentration, dropout * dropout_concentration
        return {"alpha": alpha, "beta": purchase_concentration - alpha, "gamma": gamma, "delta": dropout_concentration - gamma}

    def fit(
        self, data: Customers, *, seed: int, method: Method = "laplace", draws: int = 1000, chains: int = 4, **sampling: Any
    ) -> "OccasionsFit":  # fmt: skip
        """Condition on customers whose times are whole numbers of occasions; arguments as for :meth:`BgNbd.fit`."""
        check_request("BgBb.fit", method=method, methods=Method, seed=seed, draws=draws, chains=chains)
        if not isinstance(data, Customers):
            raise DataError(
                "the data", [Problem("data", f"expected Customers, found {type(data).__name__}", "use Customers.of(...)")]
            )
        if any(np.any(np.abs(part - np.round(part)) > TOUCH) for part in (data.recency, data.T)):
            found = f"expected whole numbers of occasions, found {data.unit}s in parts"
            raise DataError(
                data.source, [Problem("recency, T", found, "count occasions, or use BgNbd for purchases at any time")]
            )
        if np.any(data.frequency > data.recency + TOUCH):
            found = "expected no more purchases than occasions up to the last one taken"
            raise DataError(data.source, [Problem("frequency", found, "an occasion is taken once")])
        h = data.histories()
        rows = (h.x, np.round(h.t_x), np.round(h.T))

        def many(**free: Any) -> np.ndarray:
            return np.asarray(bgbb.total_log_likelihood(*rows, h.weight, **self.to_shapes(**free)))

        def tensor(*, xp: Any, **free: Any) -> Any:
            return xp.total(bgbb.total_log_likelihood(*rows, h.weight, **self.to_shapes(**free), xp=xp))

        wide = len(h) * int(np.max(rows[2] - rows[1]) + 1)
        likelihood = Likelihood(many=many, tensor=tensor, rows=wide)
        request: dict[str, Any] = {"method": method, "seed": seed, "draws": draws, "chains": chains}
        learned = learn(self.parameters(), likelihood, starts=_STARTS, **request, **sampling)
        parts = parts_of(self, learned, self.parameters(), self.to_shapes, shift=0.0, checks=(few_repeaters(data),),
                         sampling=sampling, request=request, **account(data))  # fmt: skip
        return OccasionsFit(data=data, **parts)


@dataclass(frozen=True, eq=False, repr=False, slots=True, kw_only=True)
class OccasionsFit(BuyingFit[BgBb]):
    """Fit of BG/BB; horizons are whole numbers of occasions."""

    def check_horizon(self, horizon: float) -> None:
        """Refuse parts of an occasion."""
        if not (horizon >= 0 and float(horizon).is_integer()):
            found = f"expected a whole number of occasions, found {horizon!r}"
            raise DataError("the horizon", [Problem("horizon", found)])

    def alive_once(self, h: Histories, values: dict[str, np.ndarray]) -> np.ndarray:
        """Probability of being there at the next occasion."""
        return np.asarray(bgbb.probability_alive(h.x, np.round(h.t_x), np.round(h.T), **values))

    def bought_once(self, h: Histories, horizon: float, values: dict[str, np.ndarray]) -> np.ndarray:
        """Expected occasions taken, were the customer there at the next one."""
        alive = self.alive_once(h, values)
        return np.asarray(bgbb.expected_purchases(int(horizon), h.x, np.round(h.t_x), np.round(h.T), **values) / alive)

    def new_once(self, horizon: np.ndarray, values: dict[str, np.ndarray]) -> np.ndarray:
        """Expected occasions taken by a newcomer."""
        columns = [bgbb.expected_purchases_new(round(span), **values) if span >= 1 else 0.0 * values["alpha"] for span in horizon]
        return np.concatenate(columns, axis=1)

    def counts_once(self, count: np.ndarray, horizon: float, h: Histories | None, values: dict[str, np.ndarray]) -> np.ndarray:
        """Probability of each count, of a newcomer or of one history."""
        if h is None:
            return np.asarray(bgbb.pmf(count, int(horizon), **values))
        return np.asarray(bgbb.pmf_given(count, int(horizon), h.x, np.round(h.t_x), np.round(h.T), **values))

    def discounted_purchases(self, *, discount_rate: float) -> Estimate:
        """Discounted expected residual occasions taken (DERT) by customer, over an endless future.

        Parameters
        ----------
        discount_rate : float
            Effective, per occasion; the next occasion is discounted once.
        """
        if not discount_rate > 0:
            found = f"expected above 0, found {discount_rate!r}: over an endless future the sum need not be finite"
            raise DataError("DERT", [Problem("discount_rate", found)])

        def quantity(h: Histories, values: dict[str, np.ndarray]) -> np.ndarray:
            return np.asarray(bgbb.discounted_purchases(h.x, np.round(h.t_x), np.round(h.T), rate=discount_rate, **values))

        return self._by_customer(None, quantity, f"discounted residual purchases at {discount_rate:g} per occasion", "purchase")

    def simulate(self, *, seed: int) -> Customers:
        """Return customers observed for the same numbers of occasions, with new histories, grouped where they were grouped."""
        rng, values = self.rng("simulate", seed), self.one_draw(seed)
        n = np.repeat(np.round(self.data.T).astype(int), self.data.weight)
        p = rng.beta(values["alpha"], values["beta"], size=len(n))
        leave = rng.beta(values["gamma"], values["delta"], size=len(n))
        there, x, t_x = np.ones(len(n), dtype=bool), np.zeros(len(n), dtype=int), np.zeros(len(n))
        for occasion in range(1, int(n.max(initial=0)) + 1):
            there = there & (rng.random(len(n)) >= leave) & (occasion <= n)
            taken = there & (rng.random(len(n)) < p)
            x, t_x = x + taken, np.where(taken, occasion, t_x)
        h = Histories.of(x, t_x, n)
        grouped = bool(np.any(self.data.weight > 1))
        columns = (h.x, h.t_x, h.T, h.weight) if grouped else (x, t_x, n, np.ones(len(n)))
        return Customers(frequency=columns[0], recency=columns[1], T=columns[2], weight=columns[3], unit=self.data.unit,
                         monetary_value=np.full(len(columns[0]), np.nan), label=None if grouped else self.data.label,
                         window=self.data.window, source=f"simulated from {self.record.id}")  # fmt: skip
