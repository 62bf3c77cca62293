"""How often will customers buy who never say that they have left? BG/NBD, MBG/NBD and Pareto/NBD.

Each is a density of ``distributions`` fitted to the distinct histories.  Times are scaled by the median age before anything is
learned, so that priors mean the same in days and in weeks; parameters are given back in the data's unit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from funnelstats.data.customers import Customers
from funnelstats.distributions import bgnbd, leaving, mbgnbd, paretonbd
from funnelstats.distributions.ahead import weighted_while_alive
from funnelstats.distributions.histories import Histories
from funnelstats.errors import DataError, FitError, Problem
from funnelstats.estimate import Estimate
from funnelstats.inference.parametric import ROUGH, Likelihood, Method, Parameter, learn
from funnelstats.inference.priors import Prior
from funnelstats.models.buying import HELD, BuyingFit, account, few_repeaters
from funnelstats.models.learned import parts_of
from funnelstats.models.record import check_request
from funnelstats.window import DAYS_PER, Unit

#: The median age of customers in the time unit of the priors.
SPAN = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Timed:
    """What the three share: a purchase rate ~ Gamma(r, rate alpha) while alive."""

    density: ClassVar[ModuleType]
    #: Shapes of the density; those of them that are times; starts on the scale of the priors.
    shapes: ClassVar[tuple[str, ...]]
    timed: ClassVar[tuple[str, ...]]
    starts: ClassVar[Sequence[Sequence[float]]]

    r: Prior = field(default_factory=lambda: Prior.of("weibull", 2, 1))
    alpha: Prior = field(default_factory=lambda: Prior.of("weibull", 2, 10))

    def parameters(self) -> tuple[Parameter, ...]:
        """Return the free parameters with their priors, in order."""
        raise NotImplementedError

    def to_shapes(self, **free: Any) -> dict[str, Any]:
        """Shapes of the density from the free parameters; arrays and tensors alike."""
        return free

    def along_free(self, slope: np.ndarray, bend: np.ndarray, free: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
        """Slope and curvature along the free parameters from those along the shapes."""
        return slope, bend

    def fit(
        self, data: Customers, *, seed: int, method: Method = "laplace", draws: int = 1000, chains: int = 4, **sampling: Any
    ) -> "PurchasesFit":  # fmt: skip
        """Condition on customers; see :class:`~funnelstats.models.model.Model`.

        Parameters
        ----------
        data : Customers
        seed, draws, chains
            See :class:`~funnelstats.models.model.Model`.
        method : {"laplace", "mle", "mcmc", "prior"}
            See :mod:`funnelstats.inference.parametric`.
        **sampling
            Of :func:`~funnelstats.inference.mcmc.sample`, for ``mcmc``.

        Raises
        ------
        FitError
            Nobody came back, and priors are not to be used: rate and loyalty cannot be told apart.
        """
        name = type(self).__name__
        check_request(f"{name}.fit", method=method, methods=Method, seed=seed, draws=draws, chains=chains)
        if not isinstance(data, Customers):
            fix = "use Transactions.of(...).customers(...) or Customers.of(...)"
            raise DataError("the data", [Problem("data", f"expected Customers, found {type(data).__name__}", fix)])
        if method == "mle" and data.repeaters == 0:
            found = "expected customers with repeat purchases, found none: any small rate explains that as well as any short life"
            raise FitError(f"{name} by mle", [Problem("frequency", found, 'use method="laplace", which has priors')])
        scale = float(np.median(data.T)) / SPAN or 1.0
        h = data.histories().times(1 / scale)
        learned = learn(self.parameters(), self.likelihood(h), method=method, seed=seed, draws=draws, chains=chains,
                        starts=self.starts, **sampling)  # fmt: skip

        def in_unit(**free: Any) -> dict[str, Any]:
            found = self.to_shapes(**free)
            return {key: found[key] * (scale if key in self.timed else 1.0) for key in self.shapes}

        parts = parts_of(self, learned, self.parameters(), in_unit, shift=-float(h.weight @ h.x) * float(np.log(scale)),
                         checks=(few_repeaters(data),), sampling=sampling,
                         request={"method": method, "seed": seed, "draws": draws, "chains": chains}, **account(data))  # fmt: skip
        return PurchasesFit(data=data, **parts)

    def likelihood(self, h: Histories) -> Likelihood:
        """Likelihood of histories in the time unit of the priors."""

        def expansion(**free: float) -> tuple[float, np.ndarray, np.ndarray]:
            value, slope, bend = self.density.expansion(h, **self.to_shapes(**free))
            return value, *self.along_free(slope, bend, free)

        def many(**free: np.ndarray) -> np.ndarray:
            return np.asarray(self.density.total_log_likelihood(h, **self.to_shapes(**free)))

        def tensor(*, xp: Any, **free: Any) -> Any:
            return xp.total(self.density.total_log_likelihood(h, **self.to_shapes(**free), xp=xp))

        rows = getattr(self.density, "effort", len)(h)
        rough = self.likelihood(h.thin(ROUGH)) if len(h) > 3 * ROUGH else None
        return Likelihood(expansion=expansion, many=many, tensor=tensor, rows=rows, rough=rough)


@dataclass(frozen=True, slots=True, kw_only=True)
class BgNbd(_Timed):
    """Customers who may leave after each repeat purchase (Fader, Hardie & Lee 2005).

    Parameters
    ----------
    r, alpha : Prior
        Shape and inverse scale of the purchase rates; ``alpha`` in tenths of the median age of the customers.
    dropout : Prior
        Of the mean chance of leaving after a purchase, a / (a + b).
    concentration : Prior
        Of a + b: large where all customers are equally loyal.

    Examples
    --------
    >>> customers = Customers.of([0, 1, 4, 2], [0, 9, 30, 12], 39.0, unit="week", weight=[60, 20, 10, 10])
    >>> fit = BgNbd().fit(customers, seed=1)
    >>> bool(fit.expected_purchases(horizon=52).point[2] > fit.expected_purchases(horizon=52).point[0])
    True
    """

    density: ClassVar[ModuleType] = bgnbd
    shapes: ClassVar[tuple[str, ...]] = ("r", "alpha", "a", "b")
    timed: ClassVar[tuple[str, ...]] = ("alpha",)
    starts: ClassVar[Sequence[Sequence[float]]] = ((0.3, 1.0, 0.25, 3.0), (1.0, 5.0, 0.1, 20.0), (0.5, 2.0, 0.5, 1.0))

    dropout: Prior = field(default_factory=lambda: Prior.of("beta", 1, 1))
    concentration: Prior = field(default_factory=lambda: Prior.of("lognormal", 2, 1.5))

    def parameters(self) -> tuple[Parameter, ...]:
        """Return rate shape, inverse scale, mean chance of leaving, concentration."""
        return (Parameter(name="r", scale="log", prior=self.r), Parameter(name="alpha", scale="log", prior=self.alpha),
                Parameter(name="dropout", scale="logit", prior=self.dropout),
                Parameter(name="concentration", scale="log", prior=self.concentration))  # fmt: skip

    def to_shapes(self, **free: Any) -> dict[str, Any]:
        """Return a and b from mean and concentration."""
        a = free["dropout"] * free["concentration"]
        return {"r": free["r"], "alpha": free["alpha"], "a": a, "b": free["concentration"] - a}

    def along_free(self, slope: np.ndarray, bend: np.ndarray, free: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
        """Apply the chain rule to a and b."""
        mean, size = free["dropout"], free["concentration"]
        to_free = np.eye(4)
        to_free[2:, 2:] = [[size, mean], [-size, 1 - mean]]  # of a and of b, along mean and concentration
        curved = to_free.T @ bend @ to_free
        curved[2, 3] = curved[3, 2] = curved[2, 3] + slope[2] - slope[3]
        return to_free.T @ slope, curved


@dataclass(frozen=True, slots=True, kw_only=True)
class MbgNbd(BgNbd):
    """As :class:`BgNbd`, with a chance of leaving after the first purchase too (Batislam, Denizel & Filiztekin 2007)."""

    density: ClassVar[ModuleType] = mbgnbd


@dataclass(frozen=True, slots=True, kw_only=True)
class ParetoNbd(_Timed):
    """Customers who may leave at any time (Schmittlein, Morrison & Colombo 1987).

    Parameters
    ----------
    r, alpha : Prior
        As for :class:`BgNbd`.
    s, beta : Prior
        Shape and inverse scale of the rates of leaving; ``beta`` in tenths of the median age.
    """

    density: ClassVar[ModuleType] = paretonbd
    shapes: ClassVar[tuple[str, ...]] = ("r", "alpha", "s", "beta")
    timed: ClassVar[tuple[str, ...]] = ("alpha", "beta")
    starts: ClassVar[Sequence[Sequence[float]]] = ((0.5, 3.0, 0.6, 4.0), (1.0, 5.0, 1.5, 10.0), (0.3, 1.0, 0.3, 1.0))

    s: Prior = field(default_factory=lambda: Prior.of("weibull", 2, 1))
    beta: Prior = field(default_factory=lambda: Prior.of("weibull", 2, 10))

    def parameters(self) -> tuple[Parameter, ...]:
        """Return the four shapes themselves."""
        return tuple(Parameter(name=name, scale="log", prior=getattr(self, name)) for name in self.shapes)


@dataclass(frozen=True, eq=False, repr=False, slots=True, kw_only=True)
class PurchasesFit(BuyingFit[Any]):
    """Fit of BG/NBD, MBG/NBD or Pareto/NBD."""

    def alive_once(self, h: Histories, values: dict[str, np.ndarray]) -> np.ndarray:
        """P(alive) of each distinct history."""
        return np.asarray(self.model.density.probability_alive(h.x, h.t_x, h.T, **values))

    def alive_by(self, h: Histories, values: dict[str, np.ndarray]) -> Callable[[slice], np.ndarray]:
        """See :class:`~funnelstats.models.buying.BuyingFit`; the integrals of a Pareto/NBD once for each pair they depend on."""
        if isinstance(self.model, ParetoNbd) and leaving.pairs(h) * len(values["r"]) <= HELD:
            return leaving.alive_by(h, **values)
        return super(PurchasesFit, self).alive_by(h, values)

    def bought_once(self, h: Histories, horizon: float, values: dict[str, np.ndarray]) -> np.ndarray:
        """Expected purchases of each distinct history, were it alive: a matter of frequency and age alone."""
        x, T, place = h.with_age()
        return np.asarray(self.model.density.expected_while_alive(horizon, x, T, **values))[:, place]

    def bought_weighted(
        self, x: np.ndarray, T: np.ndarray, ends: np.ndarray, weights: np.ndarray, values: dict[str, np.ndarray]
    ) -> np.ndarray:
        """See :class:`~funnelstats.models.buying.BuyingFit`; by a curve for each frequency where one expectation is dear."""
        if isinstance(self.model, BgNbd):
            survived = values | {"b": values["b"] + self.model.density.FIRST}  # tosses beside those at repeat purchases
            return weighted_while_alive(ends, weights, x, T, **survived)
        return super(PurchasesFit, self).bought_weighted(x, T, ends, weights, values)

    def new_once(self, horizon: np.ndarray, values: dict[str, np.ndarray]) -> np.ndarray:
        """Expected repeat purchases of a newcomer."""
        return np.asarray(self.model.density.expected_purchases_new(horizon, **values))

    def counts_once(self, count: np.ndarray, horizon: float, h: Histories | None, values: dict[str, np.ndarray]) -> np.ndarray:
        """Probability of each count, of a newcomer or of the one history in ``h``."""
        if h is None:
            return np.asarray(self.model.density.pmf(count, horizon, **values))
        return np.asarray(self.model.density.pmf_given(count, horizon, h.x, h.t_x, h.T, **values))

    def discounted_purchases(self, *, discount_rate: float, period: Unit) -> Estimate:
        """Discounted expected residual purchases (DERT) by customer, over an endless future, under the Pareto/NBD.

        Parameters
        ----------
        discount_rate : float
            Effective, for each ``period``, and above 0. A purchase is discounted to the end of observation from the moment it is made.
        period : {"day", "week", "month", "year"}
            Of the rate, whatever the unit of the data.

        Raises
        ------
        DataError
            A rate that is not positive, an unknown period, another model: of those :func:`lifetime_value` has the sum to a horizon.
        """
        problems = []
        if self.model.density is not paretonbd:
            found = f"expected a fit of ParetoNbd, found {type(self.model).__name__}"
            problems.append(Problem("fit", found, "use lifetime_value with a horizon"))
        if not discount_rate > 0:
            found = f"expected above 0, found {discount_rate!r}: over an endless future the sum need not be finite"
            problems.append(Problem("discount_rate", found))
        if period not in DAYS_PER:
            problems.append(Problem("period", f"expected one of {', '.join(DAYS_PER)}, found {period!r}"))
        if problems:
            raise DataError("DERT", problems)
        rate = float(np.log1p(discount_rate)) * DAYS_PER[self.data.unit] / DAYS_PER[period]

        def quantity(h: Histories, values: dict[str, Any]) -> np.ndarray:
            return np.asarray(paretonbd.discounted_purchases(h.x, h.t_x, h.T, rate=rate, **values))

        return self._by_customer(None, quantity, f"discounted residual purchases at {discount_rate:g} per {period}", "purchase")

    def simulate(self, *, seed: int) -> Customers:
        """Return customers of the same ages with new histories; grouped rows come back grouped."""
        rng, values = self.rng("simulate", seed), self.one_draw(seed)
        T = np.repeat(self.data.T, self.data.weight)
        x, t_x = simulate_histories(type(self.model), T, values, rng)
        h = Histories.of(x, t_x, T)
        grouped = bool(np.any(self.data.weight > 1))
        columns = (h.x, h.t_x, h.T, h.weight) if grouped else (x, t_x, T, np.ones(len(T)))
        return Customers(frequency=columns[0], recency=columns[1], T=columns[2], weight=columns[3], unit=self.data.unit,
                         monetary_value=np.full(len(columns[0]), np.nan), label=None if grouped else self.data.label,
                         window=self.data.window, source=f"simulated from {self.record.id}")  # fmt: skip


def simulate_histories(
    kind: type, T: np.ndarray, values: dict[str, Any], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw frequency and recency of customers of ages ``T``: counts first, then the time of the last one as an order statistic."""
    rate = rng.gamma(values["r"], 1 / values["alpha"], size=len(T))
    if kind is ParetoNbd:
        life = rng.exponential(size=len(T)) / np.maximum(rng.gamma(values["s"], 1 / values["beta"], size=len(T)), 1e-300)
        span = np.minimum(life, T)
        made = bought = rng.poisson(np.minimum(rate * span, 1e15))
    else:
        p = np.clip(rng.beta(values["a"], values["b"], size=len(T)), 1e-12, 1.0)
        tosses = rng.geometric(p)  # purchases until the coin says leave
        span, made = T, rng.poisson(np.minimum(rate * T, 1e15))
        bought = np.minimum(made, tosses - (1 if kind is MbgNbd else 0))
    last = rng.beta(np.maximum(bought, 1), made - bought + 1.0)
    recency = np.where(bought > 0, np.maximum(span * last, np.finfo(float).tiny), 0.0)
    return bought, np.minimum(recency, T)
