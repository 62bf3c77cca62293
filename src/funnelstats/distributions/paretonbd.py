"""Repeat purchases of customers who may silently leave at any time (Pareto/NBD).

While alive, a customer buys at a rate lambda ~ Gamma(r, rate alpha); the life is exponential with a rate mu ~ Gamma(s, rate
beta).  Schmittlein, Morrison & Colombo (1987), Management Science 33(1):1-24; Fader & Hardie (2005), note 009.  Times share one
unit.

The likelihood of a row is written with the moment of leaving ``y`` left in an integral, without a hypergeometric function:
``(r)_x alpha^r beta^s {(alpha+T)^-(r+x) (beta+T)^-s + s int_{t_x}^T (alpha+y)^-(r+x) (beta+y)^-(s+1) dy}``, which is smooth, has a
gradient, and is right where SciPy's 2F1 is infinite.  How the integral is taken, and the sum over customers, is in ``leaving``.
"""

from typing import Any

import numpy as np
from scipy.special import gammaln

from funnelstats.distributions import ops
from funnelstats.distributions.coin import expm1_ratio, log_rising
from funnelstats.distributions.leaving import FALL, legendre, log_integral
from funnelstats.distributions.leaving import effort as effort
from funnelstats.distributions.leaving import expansion as expansion
from funnelstats.distributions.leaving import total_log_likelihood as total_log_likelihood


def log_likelihood(
    x: Any, t_x: Any, T: Any, *, r: Any, alpha: Any, s: Any, beta: Any, xp: Any = ops
) -> Any:  # fmt: skip
    """Log density of (frequency, recency) given age T; broadcasts over customers and draws.

    Parameters
    ----------
    x : array_like
        Repeat purchases.
    t_x, T : array_like
        Recency and age, in one unit; 0 <= t_x <= T.
    r, alpha, s, beta : array_like
        Positive; ``alpha`` and ``beta`` in the unit of time.
    xp : namespace
        ``ops`` for arrays, ``inference.tensors`` for PyTensor.

    Examples
    --------
    >>> float(log_likelihood(4, 5.3, 10.0, r=0.55, alpha=11.67, s=0.61, beta=10.58).round(8))
    -10.72932589
    """
    x, t_x, T = (np.asarray(part, dtype=float) for part in (x, t_x, T))
    left = log_integral(r + x, s + 1, t_x, T, alpha=alpha, beta=beta, xp=xp) + xp.log(s) - xp.log(beta + t_x)
    alive = -(r + x) * xp.log1p((T - t_x) / (alpha + t_x)) - s * xp.log1p((T - t_x) / (beta + t_x))
    front = log_rising(r, x, xp=xp) - x * xp.log(alpha) - (r + x) * xp.log1p(t_x / alpha) - s * xp.log1p(t_x / beta)
    return front + xp.logaddexp(alive, left)


def probability_alive(x: Any, t_x: Any, T: Any, *, r: Any, alpha: Any, s: Any, beta: Any) -> Any:
    """Probability that a customer with this history has not left by T; 0.0 where it is below the smallest number."""
    x, t_x, T = (np.asarray(part, dtype=float) for part in (x, t_x, T))
    left = log_integral(r + x, s + 1, t_x, T, alpha=alpha, beta=beta) + np.log(s) - np.log(beta + t_x)
    alive = -(r + x) * np.log1p((T - t_x) / (alpha + t_x)) - s * np.log1p((T - t_x) / (beta + t_x))
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(left - alive))


def expected_while_alive(horizon: Any, x: Any, T: Any, *, r: Any, alpha: Any, s: Any, beta: Any) -> Any:
    """Expected purchases within ``horizon`` after T of a customer still alive; s = 1 is no exception."""
    older = np.asarray(beta) + T
    return (r + np.asarray(x)) * older / (np.asarray(alpha) + T) * -expm1_ratio(s - 1, -np.log1p(np.asarray(horizon) / older))


def expected_purchases(horizon: Any, x: Any, t_x: Any, T: Any, *, r: Any, alpha: Any, s: Any, beta: Any) -> Any:
    """Expected purchases within ``horizon`` after T, given the history (Schmittlein et al. 1987, eq. 22)."""
    alive = probability_alive(x, t_x, T, r=r, alpha=alpha, s=s, beta=beta)
    return alive * expected_while_alive(horizon, x, T, r=r, alpha=alpha, s=s, beta=beta)


def expected_purchases_new(horizon: Any, *, r: Any, alpha: Any, s: Any, beta: Any) -> Any:
    """Expected repeat purchases of a new customer within ``horizon`` (eq. 17).

    Examples
    --------
    >>> float(expected_purchases_new(1.0, r=0.5534, alpha=10.5802, s=0.6061, beta=11.6562).round(10))
    0.051004534
    """
    return expected_while_alive(horizon, 0.0, 0.0, r=r, alpha=alpha, s=s, beta=beta)


def pmf(count: Any, horizon: Any, *, r: Any, alpha: Any, s: Any, beta: Any, nodes: int = 96) -> Any:
    """Probability that a new customer makes ``count`` repeat purchases within ``horizon``."""
    given = (count, horizon, r, alpha, s, beta)
    x, t, r, alpha, s, beta = np.broadcast_arrays(*(np.asarray(part, dtype=float) for part in given))
    points, log_weights = legendre(nodes)
    scale = np.minimum(alpha, beta)
    length = np.log1p(t / scale)
    y = scale[..., None] * np.expm1(length[..., None] * points)
    density = np.log(s / beta)[..., None] - (s[..., None] + 1) * np.log1p(y / beta[..., None])
    jacobian = np.log(y + scale[..., None]) + np.log(length)[..., None] + log_weights
    leaves = np.exp(_log_nbd(x[..., None], y, r[..., None], alpha[..., None]) + density + jacobian).sum(axis=-1)
    return leaves + np.exp(_log_nbd(x, t, r, alpha) - s * np.log1p(t / beta))


def _log_nbd(x: np.ndarray, t: np.ndarray, r: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    power = np.where(x > 0, x * np.log(np.maximum(t, 1e-300) / (alpha + t)), 0.0)
    return np.asarray(log_rising(r, x) - gammaln(x + 1) - r * np.log1p(t / alpha) + power)


def pmf_given(count: Any, horizon: Any, x: Any, t_x: Any, T: Any, *, r: Any, alpha: Any, s: Any, beta: Any) -> Any:
    """Probability of ``count`` purchases within ``horizon`` after T, given the history."""
    x, T = np.asarray(x, dtype=float), np.asarray(T, dtype=float)
    alive = probability_alive(x, t_x, T, r=r, alpha=alpha, s=s, beta=beta)
    of_alive = pmf(count, horizon, r=r + x, alpha=alpha + T, s=s, beta=beta + T)
    return alive * of_alive + np.where(np.asarray(count) == 0, 1 - alive, 0.0)


def discounted_purchases(
    x: Any, t_x: Any, T: Any, *, rate: Any, r: Any, alpha: Any, s: Any, beta: Any, nodes: int = 128
) -> Any:  # fmt: skip
    """Discounted expected residual purchases (DERT) over an endless future.

    Fader, Hardie & Lee (2005), Journal of Marketing Research 42:415-430.  The closed form has Tricomi's U(1, 2-s, rate (beta+T))
    = int_0^inf (1+u)^-s exp(-rate (beta+T) u) du, which is taken here in log(1+u).

    Parameters
    ----------
    rate : array_like
        Continuously compounded, per unit of time: log(1 + d) for an effective rate d. Positive.
    """
    if np.any(np.asarray(rate) <= 0):
        raise ValueError("a discount rate above 0 is needed for an endless future")
    x, T, s = np.asarray(x, dtype=float), np.asarray(T, dtype=float), np.asarray(s, dtype=float)
    z = np.asarray(rate * (beta + T))
    points, log_weights = legendre(nodes)
    length = np.minimum(np.log1p(FALL / z), FALL / np.maximum(s - 1, 1e-9))
    w = np.asarray(length)[..., None] * points
    inside = (1 - s)[..., None] * w - z[..., None] * np.expm1(w) + log_weights
    tricomi = np.exp(inside).sum(axis=-1) * length
    alive = probability_alive(x, t_x, T, r=r, alpha=alpha, s=s, beta=beta)
    return alive * (r + x) * (beta + T) / (np.asarray(alpha) + T) * tricomi
