"""What do fits of repeat buying have in common? Who is still a customer, and how often each will buy, both with their bounds.

Quantities by customer are worked out once for each distinct history and looked up, over at most :data:`DRAWS` of the draws: a
thousand are enough for an interval, and a million customers times four thousand draws would fill 32 GB.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from funnelstats.data.customers import Customers
from funnelstats.distributions.histories import Histories
from funnelstats.errors import DataError, Problem
from funnelstats.estimate import Estimate
from funnelstats.inference.diagnose import Check
from funnelstats.interval import DEFAULT, Interval
from funnelstats.models.learned import effective, maximum_of
from funnelstats.models.model import Fit

#: Most draws that are used for quantities by customer.
DRAWS = 1000
#: Most numbers held at one time for all customers together (800 MB); tables are made in pieces and have no such bound.
HELD = 100_000_000
PIECE = 200_000
SUMMARY_DRAWS = 400
FEW_REPEATERS = 10


@dataclass(frozen=True, eq=False, repr=False, slots=True, kw_only=True)
class BuyingFit[M](Fit[M, Customers]):
    """Fit of repeat purchases."""

    @abstractmethod
    def alive_once(self, h: Histories, values: dict[str, np.ndarray]) -> np.ndarray:
        """P(alive) of each distinct history; parameters of shape (k, 1) give shape (k, n_rows)."""

    @abstractmethod
    def bought_once(self, h: Histories, horizon: float, values: dict[str, np.ndarray]) -> np.ndarray:
        """Expected purchases within ``horizon`` of each distinct history, were it alive."""

    def bought_weighted(
        self, x: np.ndarray, T: np.ndarray, ends: np.ndarray, weights: np.ndarray, values: dict[str, np.ndarray]
    ) -> np.ndarray:
        """Weighted sum over horizons of the expected purchases of living customers, by frequency and age; shape (k, n)."""
        h = Histories.of(x, np.where(x > 0, T, 0.0), T)
        total = np.sum(
            [weight * self.bought_once(h, float(end), values) for end, weight in zip(ends, weights, strict=True)], axis=0
        )
        return np.asarray(total[:, h.row])

    def alive_by(self, h: Histories, values: dict[str, np.ndarray]) -> Callable[[slice], np.ndarray]:
        """Return P(alive) of any rows of ``h``, shape (k, n), made when they are asked for."""
        return lambda rows: self.alive_once(h.part(rows), values)

    def bought_by(
        self, h: Histories, ends: np.ndarray, weights: np.ndarray, values: dict[str, np.ndarray]
    ) -> Callable[[slice], np.ndarray]:
        """Return what living customers of any rows of ``h`` will buy up to each end, times its weight; shape (k, n).

        It depends on frequency and age alone, and there are far fewer such pairs than histories: each is worked out once.
        """
        x, T, pair = h.with_age()
        if len(x) * len(next(iter(values.values()))) > HELD:
            return lambda rows: self.bought_weighted(h.x[rows], h.T[rows], ends, weights, values)
        bought = self.bought_weighted(x, T, ends, weights, values)
        return lambda rows: bought[:, pair[rows]]

    @abstractmethod
    def new_once(self, horizon: np.ndarray, values: dict[str, np.ndarray]) -> np.ndarray:
        """Expected repeat purchases of a newcomer; horizons of shape (m,), parameters of shape (k, 1)."""

    @abstractmethod
    def counts_once(self, count: np.ndarray, horizon: float, h: Histories | None, values: dict[str, np.ndarray]) -> np.ndarray:
        """Probability of each count, of a newcomer or of one history."""

    # -- quantities ----------------------------------------------------------------------------------------------
    def probability_alive(self, customers: Customers | Sequence[str] | None = None) -> Estimate:
        """Probability of still being a customer at the end of observation, dims (chain, draw, customer).

        Parameters
        ----------
        customers : Customers or sequence of str, optional
            Others than those fitted, or some of them by name; all of those fitted by default.

        Returns
        -------
        Estimate
            Given the history. Under the BG/NBD it is 1 by construction where the frequency is 0; it must not be compared between
            models.
        """
        return self._by_customer(customers, self.alive_once, "probability of still being a customer", "")

    def expected_purchases(self, *, horizon: float, customers: Customers | Sequence[str] | None = None) -> Estimate:
        """Expected purchases within ``horizon`` after the end of observation, given the history, dims (chain, draw, customer).

        Parameters
        ----------
        horizon : float
            In the data's unit of time.
        customers
            As for :meth:`probability_alive`.
        """
        self.check_horizon(horizon)

        def both(h: Histories, values: dict[str, np.ndarray]) -> np.ndarray:
            return np.asarray(self.alive_once(h, values) * self.bought_once(h, horizon, values))

        words = f"expected purchases in the next {horizon:g} {self.data.unit}s"
        return self._by_customer(customers, both, words, "purchase")

    def expected_purchases_new(self, *, horizon: float | Sequence[float]) -> Estimate:
        """Expected repeat purchases of a newcomer within ``horizon`` after the first purchase; several horizons make a dim."""
        spans = np.atleast_1d(np.asarray(horizon, dtype=float))
        for span in spans:
            self.check_horizon(float(span))
        values = self.new_once(spans, self.flat()).reshape(self.record.chains, self.record.draws, len(spans))
        draws = xr.DataArray(values, dims=("chain", "draw", "horizon"), coords={"horizon": spans})
        words = f"expected repeat purchases of a newcomer within the horizon ({self.data.unit}s)"
        return Estimate(
            draws=draws if np.ndim(horizon) else draws.sel(horizon=horizon, drop=True), description=words, unit="purchase"
        )

    def pmf(self, *, horizon: float, most: int = 10) -> Estimate:
        """Probability of 0, 1, ..., ``most`` repeat purchases of a newcomer within ``horizon``, dims (chain, draw, count)."""
        self.check_horizon(horizon)
        count = np.arange(most + 1)
        values = self.counts_once(count, horizon, None, self.flat())
        draws = xr.DataArray(values.reshape(self.record.chains, self.record.draws, -1), dims=("chain", "draw", "count"),
                             coords={"count": count})  # fmt: skip
        return Estimate(draws=draws, description=f"probability of this many repeat purchases in {horizon:g} {self.data.unit}s")

    def predict(self, new: Sequence[float] | None = None) -> Estimate:
        """Expected repeat purchases up to each distinct age T of the data, or to the ages ``new``; dims (chain, draw, age)."""
        ages = np.unique(self.data.T) if new is None else np.asarray(new, dtype=float)
        values = self.new_once(ages, self.flat()).reshape(self.record.chains, self.record.draws, len(ages))
        draws = xr.DataArray(values, dims=("chain", "draw", "age"), coords={"age": ages})
        return Estimate(draws=draws, description=f"expected repeat purchases up to an age ({self.data.unit}s)", unit="purchase")

    def table(self, *, horizon: float, interval: Interval = DEFAULT, customers: Customers | None = None) -> pd.DataFrame:
        """One row per customer, made in pieces: any number of customers fits.

        Returns
        -------
        DataFrame
            Index: the customer. Columns ``probability_alive`` and ``expected_purchases`` with their ``_lower`` and ``_upper``;
            the horizon and its unit are in ``horizon``, the rule of the bounds in ``interval``.
        """
        self.check_horizon(horizon)
        data = self._customers(customers)
        h = data.histories()
        columns: dict[str, np.ndarray] = {}
        for name in ("probability_alive", "expected_purchases"):
            for part in ("", "_lower", "_upper"):
                columns[name + part] = np.empty(len(h))
        values = self.flat(SUMMARY_DRAWS)
        alive_by, bought_by = self.alive_by(h, values), self.bought_by(h, np.array([horizon]), np.ones(1), values)
        for at in pieces(h, values):
            alive = alive_by(at)
            for name, found in (("probability_alive", alive), ("expected_purchases", alive * bought_by(at))):
                columns[name][at] = found.mean(axis=0)
                columns[f"{name}_lower"][at], columns[f"{name}_upper"][at] = interval.of(found, axis=0)
        frame = pd.DataFrame(
            {name: column[h.row] for name, column in columns.items()}, index=pd.Index(data.names, name="customer")
        )
        return frame.assign(horizon=f"{horizon:g} {data.unit}s", interval=str(interval))

    # -- how -----------------------------------------------------------------------------------------------------
    def maximum(self) -> pd.DataFrame:
        """Maximum-likelihood estimates with their standard errors; for ``method="mle"``.

        Returns
        -------
        DataFrame
            Index: parameter. Columns ``estimate``, ``se`` (delta method); ``attrs["log_likelihood"]``.
        """
        return maximum_of(self.tree, self.record.method)

    def summary(self, *, interval: Interval = DEFAULT) -> pd.DataFrame:
        """As of every fit; after importance resampling the effective sample size is the importance sampler's."""
        return effective(super(BuyingFit, self).summary(interval=interval), self.diagnosis)

    def check_horizon(self, horizon: float) -> None:
        """Refuse a horizon that is no length of time."""
        if not (np.isfinite(horizon) and horizon >= 0):
            found = f"expected a length of time in {self.data.unit}s, found {horizon!r}"
            raise DataError("the horizon", [Problem("horizon", found)])

    def flat(self, most: int | None = None) -> dict[str, np.ndarray]:
        """Draws of the parameters, shape (k, 1), at most ``most`` of them, evenly taken from every chain."""
        posterior = self.tree["posterior"].to_dataset()
        keep = places(self.record.draws, None if most is None else max(1, most // self.record.chains))
        return {str(name): part.values[:, keep].reshape(-1, 1) for name, part in posterior.data_vars.items()}

    def _customers(self, customers: Any) -> Customers:
        if customers is None:
            return self.data
        if isinstance(customers, Customers):
            if customers.unit != self.data.unit:
                found = f"expected times in {self.data.unit}s, as fitted, found {customers.unit}s"
                raise DataError("the customers", [Problem("unit", found, f'use customers.in_unit("{self.data.unit}")')])
            return customers
        return self.data.select(self.data.places(customers))

    def _by_customer(
        self, customers: Any, quantity: Callable[[Histories, dict[str, np.ndarray]], np.ndarray], words: str, unit: str
    ) -> Estimate:  # fmt: skip
        data = self._customers(customers)
        values = self.flat(DRAWS)
        size = len(next(iter(values.values())))
        if size * len(data.frequency) > HELD:
            found = f"{len(data.frequency):,} customers x {size:,} draws do not fit memory"
            raise DataError(words, [Problem("customers", found, "use .table(horizon=...), or name the customers you want")])
        h = data.histories()
        out = np.empty((size, len(h)))
        for at in pieces(h, values):
            out[:, at] = quantity(h.part(at), values)
        draws = xr.DataArray(out[:, h.row].reshape(self.record.chains, -1, len(h.row)), dims=("chain", "draw", "customer"),
                             coords={"customer": data.names})  # fmt: skip
        return Estimate(draws=draws, description=words, unit=unit)


def places(draws: int, most: int | None) -> np.ndarray:
    """Which draws to keep so that at most ``most`` remain, evenly spaced."""
    return np.arange(draws) if most is None or draws <= most else np.linspace(0, draws - 1, most).round().astype(int)


def pieces(h: Histories, values: dict[str, np.ndarray]) -> Iterator[slice]:
    """Cut the distinct histories so that draws times rows stay small."""
    size = max(1, PIECE // len(next(iter(values.values()))))
    for start in range(0, len(h), size):
        yield slice(start, min(start + size, len(h)))


def few_repeaters(data: Customers) -> Check:
    """Are there enough customers who came back for the data to speak?"""
    return Check(name="customers with repeat purchases", value=data.repeaters, bound=f"at least {FEW_REPEATERS}",
                 where="with so few, rate and loyalty come from the prior",
                 verdict="PASS" if data.repeaters >= FEW_REPEATERS else "REVIEW")  # fmt: skip


def account(data: Customers) -> dict[str, Any]:
    """What a record says of customers."""
    return {"data": data.fingerprint, "n": data.n, "window": data.window, "source": data.source,
            "counted": f"{'customer' if data.n == 1 else 'customers'}, {data.repeaters:,} of them with repeat purchases"}  # fmt: skip
