"""What would a shop's order book look like if every customer's rate, loyalty and spending were known?

While alive, a customer buys at rate lambda ~ Gamma(r, rate alpha); after each repeat purchase they leave with probability
p ~ Beta(a, b) (BG/NBD: Fader, Hardie & Lee 2005, Marketing Science 24:275-284).  An order is worth z ~ Gamma(p, rate nu) with
nu ~ Gamma(q, rate v), independent of the rate, so the mean order is p v / (q - 1) (Fader & Hardie 2013, note 025).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import betaincinv, gammaincinv

from funnelstats.errors import DataError, Problem
from funnelstats.window import DAYS_PER, ObservationWindow, Unit


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class SimulatedOrders:
    """Orders whose truth is known.

    Parameters
    ----------
    orders : DataFrame
        Columns ``customer, at, amount, currency``, one row per order up to ``as_of``.
    customers : DataFrame
        Truth by customer: ``customer, rate`` (orders per unit of time while alive), ``leave`` (chance after each repeat order),
        ``alive`` (at ``as_of``), ``mean_amount``, ``later`` (orders in the equal span after ``as_of``).
    parameters : dict of str to float
        ``r, alpha, a, b, p, q, v``; ``alpha`` in units of time, ``v`` in money.
    window : ObservationWindow
        First possible order, end of observation, unit.
    """

    orders: pd.DataFrame
    customers: pd.DataFrame
    parameters: dict[str, float]
    window: ObservationWindow


def simulate_orders(
    *, seed: int, n_customers: int = 1_500, as_of: object = "2026-06-30", start: object = "2025-01-01", unit: Unit = "week",
    joined_within: float = 12.0, r: float = 0.6, alpha: float = 6.0, a: float = 0.8, b: float = 2.5, p: float = 6.0,
    q: float = 4.0, v: float = 150.0, currency: str = "CNY",
) -> SimulatedOrders:  # fmt: skip
    """Simulate orders of customers who first buy soon after ``start`` and may silently leave.

    Parameters
    ----------
    seed : int
        Equal seeds give equal bytes.
    n_customers : int
        Customers, each with a first order within ``joined_within`` units after ``start``.
    as_of, start : date
        End of observation, begin of the cohort.
    unit : {"day", "week", "month", "year"}
        Unit of ``alpha`` and of rates.
    joined_within : float
        Span of first orders, in units.
    r, alpha, a, b : float
        BG/NBD; mean rate r / alpha, mean chance of leaving a / (a + b).
    p, q, v : float
        Gamma-Gamma; v in ``currency``; q above 1, so that the mean exists.
    currency : str
        ISO code.

    Returns
    -------
    SimulatedOrders

    Examples
    --------
    >>> world = simulate_orders(seed=1, n_customers=100)
    >>> world.orders["customer"].nunique()
    100
    """
    values = {"r": r, "alpha": alpha, "a": a, "b": b, "p": p, "q": q, "v": v}
    problems = [Problem(name, f"expected a positive number, found {value}") for name, value in values.items() if not value > 0]
    problems += [] if q > 1 else [Problem("q", f"expected above 1, so that a mean order exists, found {q}")]
    if problems:
        raise DataError("the simulated orders", problems)
    window = ObservationWindow.of(as_of, start=start, unit=unit)
    rng = np.random.default_rng([seed, 0])
    rate = gammaincinv(r, rng.random(n_customers)) / alpha
    leave = betaincinv(a, b, rng.random(n_customers))
    nu = gammaincinv(q, rng.random(n_customers)) / v
    assert window.start is not None
    length = window.age(window.start)
    joined = joined_within * rng.random(n_customers)
    customer, when, left = _process(rng, rate, leave, joined, until=2 * length)
    seen = when < length
    amount = np.maximum(np.round(gammaincinv(p, rng.random(len(when))) / nu[customer], 2), 0.01)
    ids = pd.array([f"C{place + 1:05d}" for place in range(n_customers)], dtype="str")
    at = window.start + pd.to_timedelta(np.floor(when[seen] * DAYS_PER[unit] * 86_400), unit="s")
    orders = pd.DataFrame({"customer": ids.take(customer[seen]), "at": at.astype("datetime64[us]"), "amount": amount[seen]})
    orders = orders.assign(currency=currency).sort_values(["customer", "at"], kind="stable", ignore_index=True)
    later = np.bincount(customer[~seen], minlength=n_customers)
    truth = pd.DataFrame({"customer": ids, "rate": rate, "leave": leave, "alive": left > length, "mean_amount": p / nu})
    truth["later"] = later
    return SimulatedOrders(orders=orders, customers=truth, parameters=values, window=window)


def _process(
    rng: np.random.Generator, rate: np.ndarray, leave: np.ndarray, joined: np.ndarray, *, until: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Every order by ``until``: whose, when; and when each customer left (infinity for never). One pass per order number."""
    left = np.full(len(rate), np.inf)
    who, now = np.arange(len(rate)), joined.copy()
    customers, times = [who], [now]
    while len(who):
        now = now - np.log1p(-rng.random(len(who))) / rate[who]
        gone = rng.random(len(who)) < leave[who]
        bought = now < until
        left[who[bought & gone]] = now[bought & gone]
        customers.append(who[bought])
        times.append(now[bought])
        who, now = who[bought & ~gone], now[bought & ~gone]
    return np.concatenate(customers), np.concatenate(times), left
