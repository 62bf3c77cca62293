"""How long do customers stay who must cancel to leave, when some are readier to do so than others (shifted beta-geometric)?

At each renewal a customer leaves with probability theta ~ Beta(alpha, beta), the same at every renewal for one customer.  Fader
& Hardie (2007), Journal of Interactive Marketing 21(1):76-90; Fader & Hardie (2010), Marketing Science 29(1):85-93.  Retention
rises with age although no customer grows more loyal: those who would leave have left.
"""

from typing import Any

import numpy as np
from scipy.special import hyp2f1

from funnelstats.distributions import ops


def log_survival(t: Any, *, alpha: Any, beta: Any, xp: Any = ops) -> Any:
    """Log probability of still being a customer after ``t`` renewals; broadcasts.

    Examples
    --------
    >>> float(np.exp(log_survival(1.0, alpha=1.0, beta=1.0)).round(12))
    0.5
    """
    return xp.betaln(alpha, beta + np.asarray(t, dtype=float)) - xp.betaln(alpha, beta)


def log_pmf(t: Any, *, alpha: Any, beta: Any, xp: Any = ops) -> Any:
    """Log probability of leaving at renewal ``t`` = 1, 2, ...; broadcasts."""
    return xp.betaln(alpha + 1, beta + np.asarray(t, dtype=float) - 1) - xp.betaln(alpha, beta)


def total_log_likelihood(lost: Any, stayed: Any, *, alpha: Any, beta: Any, xp: Any = ops) -> Any:
    """Log likelihood of counts by renewal.

    Parameters
    ----------
    lost : array_like, shape (n,)
        Customers who left at renewal 1, ..., n.
    stayed : array_like, shape (n,)
        Customers last seen, still there, after renewal 1, ..., n.
    alpha, beta : array_like
        Positive; of shape (k,) they give a result of that shape.
    """
    t = np.arange(1.0, len(lost) + 1)
    alpha, beta = xp.widen(alpha), xp.widen(beta)
    leaves = np.asarray(lost) * log_pmf(t, alpha=alpha, beta=beta, xp=xp)
    return xp.total(leaves + np.asarray(stayed) * log_survival(t, alpha=alpha, beta=beta, xp=xp), axis=-1)


def retention(t: Any, *, alpha: Any, beta: Any) -> Any:
    """Share of those there after renewal t - 1 who also stay at renewal ``t``."""
    t = np.asarray(t, dtype=float)
    return (np.asarray(beta) + t - 1) / (np.asarray(alpha) + beta + t - 1)


def expected_lifetime(*, rate: Any, alpha: Any, beta: Any) -> Any:
    """Discounted expected lifetime (DEL) of a new customer in periods, the first, undiscounted period included.

    Parameters
    ----------
    rate : array_like
        Discount rate per period; 0 is allowed where alpha > 1, for which the mean lifetime is finite.
    """
    _check(rate, alpha)
    return hyp2f1(1.0, beta, np.asarray(alpha) + beta, 1 / (1 + np.asarray(rate)))


def residual_lifetime(n: Any, *, rate: Any, alpha: Any, beta: Any) -> Any:
    """Discounted expected residual lifetime (DERL) of a customer about to renew for the ``n``-th time.

    Standing just before the n-th renewal, the period it opens is not discounted: Fader & Hardie (2010), eq. 6, so that the first
    term is the retention rate of that renewal. Seen just after the renewal before, it is less by the factor 1 / (1 + rate).

    Examples
    --------
    >>> float(residual_lifetime(1, rate=0.1, alpha=3.8, beta=15.2).round(2))  # table 3 of the paper
    3.31
    """
    _check(rate, alpha)
    n = np.asarray(n, dtype=float)
    older = np.asarray(beta) + n
    return retention(n, alpha=alpha, beta=beta) * hyp2f1(1.0, older, np.asarray(alpha) + older, 1 / (1 + np.asarray(rate)))


def _check(rate: Any, alpha: Any) -> None:
    if np.any(np.asarray(rate) < 0) or np.any((np.asarray(rate) == 0) & (np.asarray(alpha) <= 1)):
        raise ValueError("the lifetime is infinite: a discount rate above 0 is needed where alpha is not above 1")
