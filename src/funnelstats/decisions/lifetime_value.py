"""What is each customer still worth? Purchases to come, times what each brings, discounted to the end of observation.

The value is the sum over periods k of ``margin * spend * (E[X(t_k)] - E[X(t_{k-1})]) / (1 + d)^k``: *increments* of the expected purchases,
paid at the end of each period.  Lengths are converted from the period's unit to that of the data, and a discount rate has a period.
Purchases and spending are independent given the parameters (Fader, Hardie & Lee 2005, J. Marketing Research 42:415-430).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from funnelstats.data.customers import Customers
from funnelstats.distributions.histories import Histories
from funnelstats.errors import DataError, Problem
from funnelstats.estimate import SAMPLE_DIMS, Estimate
from funnelstats.interval import DEFAULT, Interval
from funnelstats.models.buying import DRAWS, PIECE, SUMMARY_DRAWS, BuyingFit
from funnelstats.models.spend import SpendFit
from funnelstats.window import DAYS_PER, Unit


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class LifetimeValue:
    """Value of the purchases to come.

    Attributes
    ----------
    purchases, spend : fits
    horizon : int
        Periods ahead.
    margin : float
        Share of a purchase's value that counts.
    discount_rate : float
        For each period, paid at its end.
    period : str
        Unit of the horizon and of the rate.
    """

    purchases: BuyingFit[Any]
    spend: SpendFit
    horizon: int
    margin: float
    discount_rate: float
    period: Unit

    @property
    def unit(self) -> str:
        """Money."""
        return self.spend.data.currency or "money"

    @property
    def words(self) -> str:
        """The estimand without its subject."""
        kept = "" if self.margin == 1 else f", {self.margin:.0%} of it kept"
        return (f"value of purchases expected in the next {self.horizon} {self.period}s{kept}, discounted at {self.discount_rate:.3g} per "
                f"{self.period} to {self._now}")  # fmt: skip

    @property
    def _now(self) -> str:
        window = self.purchases.data.window
        return f"{window.as_of.date()}" if window is not None else "the end of observation"

    # -- results -------------------------------------------------------------------------------------------------
    def table(self, *, interval: Interval = DEFAULT) -> pd.DataFrame:
        """One row per customer, made in pieces: any number of customers fits.

        Returns
        -------
        DataFrame
            Index: the customer. Columns ``mean``, ``sd``, ``lower``, ``upper``, ``weight``, ``unit``, ``interval``.
        """
        data = self.purchases.data
        out = np.empty((4, len(data.frequency)))
        for at, found in self._pieces():
            out[0, at], out[1, at] = found.mean(axis=0), found.std(axis=0, ddof=1)
            out[2, at], out[3, at] = interval.of(found, axis=0)
        frame = pd.DataFrame(
            dict(zip(("mean", "sd", "lower", "upper"), out, strict=True)), index=pd.Index(data.names, name="customer")
        )
        return frame.assign(weight=data.weight, unit=self.unit, interval=str(interval))

    def total(self) -> Estimate:
        """Value of all customers together."""
        weight, total = self.purchases.data.weight, None
        for at, found in self._pieces():
            part = found @ weight[at]
            total = part if total is None else total + part
        return self._estimate(np.asarray(total), (), f"{self.words}; all {self.purchases.data.n:,} customers")

    def draws(self, customers: Any) -> Estimate:
        """Joint draws of some customers, by name, dims (chain, draw, customer)."""
        data, values = self.purchases.data, self.purchases.flat(DRAWS)
        keep = data.places(customers)
        h, every = data.select(keep).histories(), slice(None)
        rows = self.purchases.alive_by(h, values)(every) * self._bought_by(h, values)(every)
        spent = self.margin * self.spend.expected_once(keep, self.spend.flat(DRAWS))
        return self._estimate(rows[:, h.row] * spent, ("customer",), self.words, customer=data.names[keep])

    def newcomer(self) -> Estimate:
        """Value of one customer who makes a first purchase today: that purchase and the repeat purchases expected."""
        values, ends = self.purchases.flat(DRAWS), self._ends()
        bought = np.diff(self.purchases.new_once(ends, values), axis=1, prepend=0.0) @ self._factors()
        mean = self.spend.population_mean().draws.values.reshape(-1, 1)
        spent = mean[np.linspace(0, len(mean) - 1, len(bought)).round().astype(int), 0]
        words = f"value of one new customer: the first purchase and those expected within {self.horizon} {self.period}s"
        return self._estimate(self.margin * spent * (1 + bought), (), words)

    def __repr__(self) -> str:
        return f"<LifetimeValue of {self.purchases.data.n:,} customers: {self.words}>"

    # -- how -----------------------------------------------------------------------------------------------------
    def _ends(self) -> np.ndarray:
        """Ends of the periods in the data's unit of time."""
        return np.arange(1, self.horizon + 1) * DAYS_PER[self.period] / DAYS_PER[self.purchases.data.unit]

    def _factors(self) -> np.ndarray:
        return np.asarray((1 + self.discount_rate) ** -np.arange(1.0, self.horizon + 1))

    def _bought_by(self, h: Histories, values: dict[str, np.ndarray]) -> Callable[[slice], np.ndarray]:
        """Discounted purchases of living customers: increments times their factors, summed by parts."""
        factors = self._factors()
        return self.purchases.bought_by(h, self._ends(), factors - np.append(factors[1:], 0.0), values)

    def _pieces(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Places of some customers, and their values, shape (k, n); those of equal histories are neighbours."""
        h, values, spend = self.purchases.data.histories(), self.purchases.flat(SUMMARY_DRAWS), self.spend.flat(SUMMARY_DRAWS)
        alive_by, bought_by = self.purchases.alive_by(h, values), self._bought_by(h, values)
        order = np.argsort(h.row, kind="stable")
        size = max(1, PIECE // len(next(iter(values.values()))))
        for start in range(0, len(order), size):
            at = order[start : start + size]
            rows = slice(h.row[at[0]], h.row[at[-1]] + 1)
            yield (
                at,
                (alive_by(rows) * bought_by(rows))[:, h.row[at] - rows.start]
                * (self.margin * self.spend.expected_once(at, spend)),
            )

    def _estimate(self, values: np.ndarray, dims: tuple[str, ...], words: str, **coords: Any) -> Estimate:
        shape = (self.purchases.record.chains, -1, *values.shape[1:])
        return Estimate(
            draws=xr.DataArray(values.reshape(shape), dims=(*SAMPLE_DIMS, *dims), coords=coords),
            unit=self.unit,
            description=words,
        )


def lifetime_value(
    purchases: BuyingFit[Any], spend: SpendFit, *, horizon: int | None = None, discount_rate: float | None = None,
    period: Unit | None = None, margin: float = 1.0,
) -> LifetimeValue:  # fmt: skip
    """Value the purchases that customers are expected to make.

    Parameters
    ----------
    purchases : fit of BgNbd, MbgNbd, ParetoNbd or BgBb
    spend : fit of GammaGamma
        Of the same customers, with as many draws.
    horizon : int
        Periods ahead. It has no default, nor have the next two: what they leave out is named, all at once.
    discount_rate : float
        For each ``period``; 0 for none. A yearly rate ``y`` is ``(1 + y) ** (1 / 12) - 1`` a month.
    period : {"day", "week", "month", "year"}
        Unit of the horizon and of the rate, whatever the unit of the data.
    margin : float
        Share of a purchase's value that counts; 1 is revenue.

    Returns
    -------
    LifetimeValue

    Raises
    ------
    DataError
        A horizon that is not a whole number of periods, a rate without its period, a rate or margin that is none, fits of different customers.

    Examples
    --------
    >>> from funnelstats.data.transactions import Transactions
    >>> from funnelstats.models.purchases import BgNbd
    >>> from funnelstats.models.spend import GammaGamma
    >>> data = Transactions.of("bundled:cdnow").customers(unit="week", as_of="1997-09-30")
    >>> fits = [model.fit(data, seed=1, method="mle", draws=100) for model in (BgNbd(), GammaGamma())]
    >>> worth = lifetime_value(*fits, horizon=12, period="month", discount_rate=0.01)
    >>> worth.total().unit, bool(40_000 < worth.total().point < 120_000)
    ('USD', True)
    """
    kinds = (
        ("purchases", purchases, BuyingFit, "a fit of BgNbd, MbgNbd, ParetoNbd or BgBb"),
        ("spend", spend, SpendFit, "a fit of GammaGamma"),
    )
    wrong = [
        Problem(name, f"expected {wanted}, found {type(fit).__name__}")
        for name, fit, kind, wanted in kinds
        if not isinstance(fit, kind)
    ]
    if wrong:
        raise DataError("the lifetime value", wrong)
    one, other = purchases.data, spend.data
    each = period if period in DAYS_PER else "period"
    checks: list[tuple[str, bool, str, str]] = [
        ("horizon", _number(horizon) and float(horizon or 0).is_integer() and float(horizon or 0) >= 1,
         f"expected a whole number of {each}s, 1 or more, found {_found(horizon)}", "write horizon=12, period=\"month\" for a year"),
        ("discount_rate", _number(discount_rate) and 0 <= float(discount_rate or 0) <= 1,
         f"expected a share from 0 to 1 for each {each} (0.01 is 1%), found {_found(discount_rate)}",
         "write discount_rate=0 for none; a yearly rate y is (1 + y) ** (1 / 12) - 1 a month"),
        ("period", period in DAYS_PER, f"expected one of {', '.join(DAYS_PER)}, found {_found(period)}",
         "horizon and discount_rate are counted in it: write period=\"month\""),
        ("margin", _number(margin) and 0 < margin <= 1, f"expected a share above 0, 1 at the most (0.3 is 30%), found {_found(margin)}", "write margin=1 for revenue"),
        ("spend", _same(one, other), f"expected the customers of the purchases ({one.n:,}, in {one.unit}s), found others ({other.n:,}, in {other.unit}s)", ""),
        ("draws", (purchases.record.chains, purchases.record.draws) == (spend.record.chains, spend.record.draws),
         f"expected as many draws of both, found {purchases.record.chains} x {purchases.record.draws} and {spend.record.chains} x {spend.record.draws}", "fit both with the same chains= and draws="),
    ]  # fmt: skip
    problems = [Problem(name, found, fix) for name, good, found, fix in checks if not good]
    if problems or horizon is None or discount_rate is None or period is None:
        raise DataError("the lifetime value", problems)
    return LifetimeValue(
        purchases=purchases,
        spend=spend,
        horizon=int(horizon),
        margin=float(margin),
        discount_rate=float(discount_rate),
        period=period,
    )


def _found(value: Any) -> str:
    return "none" if value is None else repr(value)


def _number(value: Any) -> bool:
    return isinstance(value, Real) and bool(np.isfinite(float(value)))


def _same(one: Customers, other: Customers) -> bool:
    return one.unit == other.unit and np.array_equal(one.frequency, other.frequency) and np.array_equal(one.weight, other.weight)
