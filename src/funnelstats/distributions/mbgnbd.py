"""Repeat purchases of customers who may leave after any purchase, the first one included (MBG/NBD).

As the BG/NBD, with one more toss of the coin: a customer may leave right after the first purchase, so P(alive) is below 1 also
for those who never came back.  Batislam, Denizel & Filiztekin (2007), International Journal of Research in Marketing 24:201-209.
"""

from typing import Any

import numpy as np

from funnelstats.distributions import coin, ops
from funnelstats.distributions.histories import Histories

FIRST = 1


def log_likelihood(x: Any, t_x: Any, T: Any, *, r: Any, alpha: Any, a: Any, b: Any, xp: Any = ops) -> Any:
    """Log density of (frequency, recency) given age T; arguments as for :func:`funnelstats.distributions.bgnbd.log_likelihood`.

    Examples
    --------
    >>> float(log_likelihood(0, 0.0, 40.0, r=0.25, alpha=4.0, a=0.8, b=2.5).round(6))
    -0.417928
    """
    return coin.log_likelihood(x, t_x, T, r=r, alpha=alpha, a=a, b=b, first=FIRST, xp=xp)


def total_log_likelihood(h: Histories, *, r: Any, alpha: Any, a: Any, b: Any, xp: Any = ops) -> Any:
    """Sum over weighted histories; parameters of shape (k,) give a result of that shape."""
    return coin.total_log_likelihood(h, r=r, alpha=alpha, a=a, b=b, first=FIRST, xp=xp)


def expansion(h: Histories, *, r: float, alpha: float, a: float, b: float) -> tuple[float, np.ndarray, np.ndarray]:
    """Return the total, its slope and its curvature along (r, alpha, a, b)."""
    return coin.expansion(h, r=r, alpha=alpha, a=a, b=b, first=FIRST)


def probability_alive(x: Any, t_x: Any, T: Any, *, r: Any, alpha: Any, a: Any, b: Any) -> Any:
    """Probability that a customer with this history has not left."""
    return coin.probability_alive(x, t_x, T, r=r, alpha=alpha, a=a, b=b, first=FIRST)


def expected_while_alive(horizon: Any, x: Any, T: Any, *, r: Any, alpha: Any, a: Any, b: Any) -> Any:
    """Expected purchases within ``horizon`` after T of a customer with this history who is still alive."""
    x, T = np.asarray(x, dtype=float), np.asarray(T, dtype=float)
    return coin.expected_while_alive(horizon, r=r + x, alpha=alpha + T, a=a, b=b + x + 1)


def expected_purchases(horizon: Any, x: Any, t_x: Any, T: Any, *, r: Any, alpha: Any, a: Any, b: Any) -> Any:
    """Expected purchases within ``horizon`` after T, given the history."""
    alive = probability_alive(x, t_x, T, r=r, alpha=alpha, a=a, b=b)
    return alive * expected_while_alive(horizon, x, T, r=r, alpha=alpha, a=a, b=b)


def expected_purchases_new(horizon: Any, *, r: Any, alpha: Any, a: Any, b: Any) -> Any:
    """Expected repeat purchases of a new customer within ``horizon``; the coin of the first purchase is tossed first.

    Examples
    --------
    >>> bool(expected_purchases_new(1.0, r=0.5, alpha=6.0, a=1.0, b=1.6) > 0)  # a = 1 is no exception
    True
    """
    stays = np.asarray(b) / (np.asarray(a) + b)
    return stays * coin.expected_while_alive(horizon, r=r, alpha=alpha, a=a, b=np.asarray(b) + 1)


def pmf(count: Any, horizon: Any, *, r: Any, alpha: Any, a: Any, b: Any) -> Any:
    """Probability that a new customer makes ``count`` repeat purchases within ``horizon``."""
    stays = np.asarray(b) / (np.asarray(a) + b)
    of_alive = coin.pmf_while_alive(count, horizon, r=r, alpha=alpha, a=a, b=np.asarray(b) + 1)
    return stays * of_alive + np.where(np.asarray(count) == 0, 1 - stays, 0.0)


def pmf_given(count: Any, horizon: Any, x: Any, t_x: Any, T: Any, *, r: Any, alpha: Any, a: Any, b: Any) -> Any:
    """Probability of ``count`` purchases within ``horizon`` after T, given the history."""
    x, T = np.asarray(x, dtype=float), np.asarray(T, dtype=float)
    alive = probability_alive(x, t_x, T, r=r, alpha=alpha, a=a, b=b)
    of_alive = coin.pmf_while_alive(count, horizon, r=r + x, alpha=alpha + T, a=a, b=b + x + 1)
    return alive * of_alive + np.where(np.asarray(count) == 0, 1 - alive, 0.0)
