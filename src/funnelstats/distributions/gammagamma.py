"""What does a customer spend on average, when only the mean of a few purchases is known (Gamma-Gamma)?

A purchase is worth z ~ Gamma(p, rate nu) with nu ~ Gamma(q, rate v) of the customer, independent of how often they buy.  Fader
& Hardie (2013), note 025; Colombo & Jiang (1999).  ``v`` is in money; the mean over customers is p v / (q - 1), so q > 1 is asked
for: at q <= 1 it would be infinite.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.special import digamma, zeta

from funnelstats.distributions import ops


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Spending:
    """Repeat purchases and their mean value, with what the likelihood needs summed up once.

    Attributes
    ----------
    xs, of_x : ndarray
        Distinct frequencies, and how many customers have each.
    begin : ndarray of int
        First row of each of them; rows are in their order.
    total : ndarray, shape (n_rows,)
        Frequency times mean value.
    weight : ndarray, shape (n_rows,)
    constant : float
        Sum of ``-log`` of the mean value.
    log_total : float
        Sum of frequency times log of the total.
    """

    xs: np.ndarray
    of_x: np.ndarray
    begin: np.ndarray
    total: np.ndarray
    weight: np.ndarray
    constant: float
    log_total: float

    @classmethod
    def of(cls, x: Any, mean: Any, *, weight: Any = None) -> Self:
        """Sum up; x >= 1 and mean > 0 in every row."""
        x, mean = np.asarray(x), np.asarray(mean, dtype=float)
        weight = np.ones(len(x)) if weight is None else np.asarray(weight, dtype=float)
        x = x.astype(np.int16) if x.max(initial=0) < 2**15 else x  # few bytes sort, and compare, in a fraction of the time
        order = np.argsort(x, kind="stable")
        x = x[order]
        begin = np.flatnonzero(np.diff(x, prepend=x[:1] - 1))
        return cls._ordered(x[begin].astype(float), begin, mean[order] * x, weight[order])

    @classmethod
    def _ordered(cls, xs: np.ndarray, begin: np.ndarray, total: np.ndarray, weight: np.ndarray) -> Self:
        of_x, logs = np.add.reduceat(weight, begin), np.add.reduceat(weight * np.log(total), begin)
        return cls(xs=xs, of_x=of_x, begin=begin, total=total, weight=weight, log_total=float(logs @ xs),
                   constant=float(of_x @ np.log(xs) - logs.sum()))  # fmt: skip

    @property
    def x(self) -> np.ndarray:
        """Frequency of each row."""
        return np.repeat(self.xs, np.diff(self.begin, append=len(self.total)))

    def part(self, step: int) -> Self:
        """Every ``step``-th row, standing for as many."""
        first = -(-self.begin // step)  # of the rows kept, the first of each frequency, if there is one
        some = np.diff(first, append=-(-len(self.total) // step)) > 0
        return self._ordered(self.xs[some], first[some], self.total[::step], step * self.weight[::step])

    def per_x(self, values: np.ndarray) -> np.ndarray:
        """Weighted sums over the customers of each frequency; values of shape (..., n_rows)."""
        return np.asarray(np.add.reduceat(self.weight * values, self.begin, axis=-1))


def log_likelihood(x: Any, mean: Any, *, p: Any, q: Any, v: Any, xp: Any = ops) -> Any:
    """Log density of the mean value of ``x`` >= 1 purchases (note 025, eq. 1a); broadcasts.

    Parameters
    ----------
    x : array_like
        Number of purchases the mean is of.
    mean : array_like
        Positive, in money.
    p, q, v : array_like
        Positive; ``v`` in money.
    """
    x, mean = np.asarray(x, dtype=float), np.asarray(mean, dtype=float)
    share = p * x * np.log(x * mean) - (p * x + q) * xp.log(v + x * mean) + q * xp.log(v)
    return xp.gammaln(p * x + q) - xp.gammaln(p * x) - xp.gammaln(q) - np.log(mean) + share


def total_log_likelihood(s: Spending, *, p: Any, q: Any, v: Any, xp: Any = ops) -> Any:
    """Sum over customers; parameters of shape (k,) give a result of that shape."""
    p, q, v = xp.widen(p), xp.widen(q), xp.widen(v)
    terms = xp.total(s.of_x * (xp.gammaln(p * s.xs + q) - xp.gammaln(p * s.xs) - xp.gammaln(q)), axis=-1)
    logs = xp.log1p(s.total / v)
    if xp is ops:
        spread = xp.total((p * s.xs + q) * s.per_x(logs), axis=-1)
    else:
        spread = xp.total(s.weight * (p * s.x + q) * logs, axis=-1)
    return terms + s.constant + xp.total(p * (s.log_total - (s.of_x @ s.xs) * xp.log(v)), axis=-1) - spread


def expansion(s: Spending, *, p: float, q: float, v: float) -> tuple[float, np.ndarray, np.ndarray]:
    """Return the total, its slope and its curvature along (p, q, v)."""
    n, x, shape = s.of_x, s.xs, p * s.xs
    share = s.total / (v + s.total)
    logs, once, twice = (s.per_x(part) for part in (_log1p(s.total / v), share, share * (2 - share)))
    bought, log_v = n @ x, np.log(v)
    value = n @ (ops.gammaln(shape + q) - ops.gammaln(shape) - ops.gammaln(q)) + s.constant
    value += p * (s.log_total - bought * log_v) - logs @ (shape + q)
    d_p = (n * x) @ (digamma(shape + q) - digamma(shape)) + s.log_total - bought * log_v - logs @ x
    d_q = n @ (digamma(shape + q) - digamma(q)) - logs.sum()
    d_v = ((shape + q) @ once - p * bought) / v
    both = zeta(2, shape + q)
    pp, pq, qq = (n * x**2) @ (both - zeta(2, shape)), (n * x) @ both, n @ (both - zeta(2, q))
    pv, qv, vv = (x @ once - bought) / v, once.sum() / v, (p * bought - (shape + q) @ twice) / v**2
    return float(value), np.array([d_p, d_q, d_v]), np.array([[pp, pq, pv], [pq, qq, qv], [pv, qv, vv]])


def _log1p(y: np.ndarray) -> np.ndarray:
    """Log of 1 + y >= 1 to the last digit, by the logarithm that processors are quick at and what rounding took from 1 + y."""
    whole = 1 + y
    return np.asarray(np.log(whole) + (y - (whole - 1)) / whole)


def expected_spend(x: Any, mean: Any, *, p: Any, q: Any, v: Any) -> Any:
    """Expected value of a future purchase, given the mean of ``x`` past ones (note 025, eq. 5); with x = 0 the population's mean.

    Examples
    --------
    >>> expected_spend([2, 0], [22.35, np.nan], p=6.248804, q=3.744588, v=15.447744).round(2)
    array([24.66, 35.17])
    """
    x = np.asarray(x, dtype=float)
    total = np.where(x > 0, x * np.nan_to_num(np.asarray(mean, dtype=float)), 0.0)
    return p * (v + total) / (p * x + q - 1)
