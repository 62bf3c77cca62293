"""What does a customer spend on average, when only the mean of a few purchases is known (Gamma-Gamma)?

A purchase is worth z ~ Gamma(p, rate nu) with nu ~ Gamma(q, rate v) of the customer, independent of how often they buy.  Fader
& Hardie (2013), note 025; Colombo & Jiang (1999).  ``v`` is in money; the mean over customers is p v / (q - 1), so q > 1 is asked
for: at q <= 1 it would be infinite.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.special import digamma

from funnelstats.distributions import ops


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Spending:
    """Repeat purchases and their mean value, with what the likelihood needs summed up once.

    Attributes
    ----------
    xs, at_x : ndarray
        Distinct frequencies, and which of them each row has.
    total : ndarray, shape (n_rows,)
        Frequency times mean value.
    weight : ndarray, shape (n_rows,)
    constant : float
        Sum of ``-log`` of the mean value.
    log_total : float
        Sum of frequency times log of the total.
    """

    xs: np.ndarray
    at_x: np.ndarray
    total: np.ndarray
    weight: np.ndarray
    constant: float
    log_total: float

    @classmethod
    def of(cls, x: Any, mean: Any, *, weight: Any = None) -> Self:
        """Sum up; x >= 1 and mean > 0 in every row."""
        x, mean = np.asarray(x, dtype=float), np.asarray(mean, dtype=float)
        weight = np.ones(len(x)) if weight is None else np.asarray(weight, dtype=float)
        xs, at_x = np.unique(x, return_inverse=True)
        total = x * mean
        return cls(xs=xs, at_x=at_x, total=total, weight=weight, constant=-float(weight @ np.log(mean)),
                   log_total=float((weight * x) @ np.log(total)))  # fmt: skip


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
    of_x = np.bincount(s.at_x, weights=s.weight, minlength=len(s.xs))
    terms = xp.total(of_x * (xp.gammaln(p * s.xs + q) - xp.gammaln(p * s.xs) - xp.gammaln(q)), axis=-1)
    logs = xp.log1p(s.total / v)
    spread = xp.total(s.weight * (p * s.xs[s.at_x] + q) * logs, axis=-1)
    return terms + s.constant + xp.total(p * (s.log_total - (of_x * s.xs).sum() * xp.log(v)), axis=-1) - spread


def value_and_gradient(s: Spending, *, p: float, q: float, v: float) -> tuple[float, np.ndarray]:
    """Return the total and its slope along (p, q, v)."""
    of_x = np.bincount(s.at_x, weights=s.weight, minlength=len(s.xs))
    logs = np.log1p(s.total / v)
    logs_of_x = np.bincount(s.at_x, weights=s.weight * logs, minlength=len(s.xs))
    shape = p * s.xs
    value = of_x @ (ops.gammaln(shape + q) - ops.gammaln(shape) - ops.gammaln(q)) + s.constant
    bought = of_x @ s.xs
    value += p * (s.log_total - bought * np.log(v)) - logs_of_x @ (shape + q)
    d_p = of_x @ (s.xs * (digamma(shape + q) - digamma(shape))) + s.log_total - bought * np.log(v) - logs_of_x @ s.xs
    d_q = of_x @ (digamma(shape + q) - digamma(q)) - logs_of_x.sum()
    d_v = -p * bought / v + (s.weight * (shape[s.at_x] + q)) @ (s.total / (v + s.total)) / v
    return float(value), np.array([d_p, d_q, d_v])


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
