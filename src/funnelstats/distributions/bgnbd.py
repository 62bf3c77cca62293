"""Repeat purchases of customers who may silently leave after a repeat purchase (BG/NBD).

While alive, a customer buys at a rate lambda ~ Gamma(r, rate alpha); after each repeat purchase they leave with probability
p ~ Beta(a, b).  Fader, Hardie & Lee (2005), Marketing Science 24(2):275-284, eqs. 6 to 10.  Times share one unit, set by the
data; ``alpha`` is measured in it.  A customer without repeat purchases has had no occasion to leave, so P(alive) is 1 by
construction: never compare P(alive) between models, nor call such a customer active because of it.
"""

from typing import Any

import numpy as np

from funnelstats.distributions import coin, ops
from funnelstats.distributions.histories import Histories

FIRST = 0


def log_likelihood(x: Any, t_x: Any, T: Any, *, r: Any, alpha: Any, a: Any, b: Any, xp: Any = ops) -> Any:
    """Log density of (frequency, recency) given age T; broadcasts over customers and draws.

    Parameters
    ----------
    x : array_like
        Repeat purchases.
    t_x, T : array_like
        Recency and age, in one unit; 0 <= t_x <= T, and t_x > 0 where x > 0.
    r, alpha, a, b : array_like
        Positive; ``alpha`` in the unit of time.
    xp : namespace
        ``ops`` for arrays, ``inference.tensors`` for PyTensor.

    Examples
    --------
    >>> float(log_likelihood(0, 0.0, 40.0, r=0.25, alpha=4.0, a=0.8, b=2.5).round(6))  # Fader & Hardie (2013), note 027
    -0.599474
    """
    return coin.log_likelihood(x, t_x, T, r=r, alpha=alpha, a=a, b=b, first=FIRST, xp=xp)


def total_log_likelihood(h: Histories, *, r: Any, alpha: Any, a: Any, b: Any, xp: Any = ops) -> Any:
    """Sum over weighted histories; parameters of shape (k,) give a result of that shape."""
    return coin.total_log_likelihood(h, r=r, alpha=alpha, a=a, b=b, first=FIRST, xp=xp)


def expansion(h: Histories, *, r: float, alpha: float, a: float, b: float) -> tuple[float, np.ndarray, np.ndarray]:
    """Return the total, its slope and its curvature along (r, alpha, a, b)."""
    return coin.expansion(h, r=r, alpha=alpha, a=a, b=b, first=FIRST)


def probability_alive(x: Any, t_x: Any, T: Any, *, r: Any, alpha: Any, a: Any, b: Any) -> Any:
    """Probability that a customer with this history has not left; 1 where x = 0."""
    return coin.probability_alive(x, t_x, T, r=r, alpha=alpha, a=a, b=b, first=FIRST)


def expected_while_alive(horizon: Any, x: Any, T: Any, *, r: Any, alpha: Any, a: Any, b: Any) -> Any:
    """Expected purchases within ``horizon`` after T of a customer with this history who is still alive."""
    x, T = np.asarray(x, dtype=float), np.asarray(T, dtype=float)
    return coin.expected_while_alive(horizon, r=r + x, alpha=alpha + T, a=a, b=b + x)


def expected_purchases(horizon: Any, x: Any, t_x: Any, T: Any, *, r: Any, alpha: Any, a: Any, b: Any) -> Any:
    """Expected purchases within ``horizon`` after T, given the history (eq. 10)."""
    alive = probability_alive(x, t_x, T, r=r, alpha=alpha, a=a, b=b)
    return alive * expected_while_alive(horizon, x, T, r=r, alpha=alpha, a=a, b=b)


def expected_purchases_new(horizon: Any, *, r: Any, alpha: Any, a: Any, b: Any) -> Any:
    """Expected repeat purchases of a new customer within ``horizon`` after the first purchase (eq. 9).

    Examples
    --------
    >>> round(float(expected_purchases_new(1.0, r=0.243, alpha=4.414, a=0.793, b=2.426)), 10)
    0.0532678912
    """
    return coin.expected_while_alive(horizon, r=r, alpha=alpha, a=a, b=b)


def pmf(count: Any, horizon: Any, *, r: Any, alpha: Any, a: Any, b: Any) -> Any:
    """Probability that a new customer makes ``count`` repeat purchases within ``horizon`` (eq. 8)."""
    return coin.pmf_while_alive(count, horizon, r=r, alpha=alpha, a=a, b=b)


def pmf_given(count: Any, horizon: Any, x: Any, t_x: Any, T: Any, *, r: Any, alpha: Any, a: Any, b: Any) -> Any:
    """Probability of ``count`` purchases within ``horizon`` after T, given the history."""
    x, T = np.asarray(x, dtype=float), np.asarray(T, dtype=float)
    alive = probability_alive(x, t_x, T, r=r, alpha=alpha, a=a, b=b)
    of_alive = coin.pmf_while_alive(count, horizon, r=r + x, alpha=alpha + T, a=a, b=b + x)
    return alive * of_alive + np.where(np.asarray(count) == 0, 1 - alive, 0.0)
