"""How often does a customer take one of a series of occasions, who may silently leave between them (BG/BB)?

At each occasion a customer who is still there buys with probability p ~ Beta(alpha, beta); before each they leave for good with
probability theta ~ Beta(gamma, delta).  Fader, Hardie & Shang (2010), Marketing Science 29(6):1086-1108.  ``n`` counts the
occasions observed, ``t_x`` is the number of the last one taken (0 for none), ``x`` how many were taken.
"""

from typing import Any

import numpy as np
from scipy.special import gammaln, hyp2f1

from funnelstats.distributions import ops


def log_likelihood(
    x: Any, t_x: Any, n: Any, *, alpha: Any, beta: Any, gamma: Any, delta: Any, xp: Any = ops
) -> Any:  # fmt: skip
    """Log probability of a history of occasions (eq. 5); broadcasts. The order of the occasions is given, so no coefficient.

    Parameters
    ----------
    x, t_x, n : array_like of int
        x <= t_x <= n, and t_x > 0 where x > 0.
    alpha, beta, gamma, delta : array_like
        Positive.
    xp : namespace
        ``ops`` for arrays, ``inference.tensors`` for PyTensor.

    Examples
    --------
    >>> float(log_likelihood(6, 6, 6, alpha=1.204, beta=0.75, gamma=0.657, delta=2.783).round(8))
    -2.18224845
    """
    x, t_x, n = (np.asarray(part, dtype=float) for part in (x, t_x, n))
    ways = _log_ways(x, t_x, n, alpha=alpha, beta=beta, gamma=gamma, delta=delta, xp=xp)
    top = xp.largest(ways, axis=-1)
    return top + xp.log(xp.total(xp.exp(ways - xp.widen(top)), axis=-1))


def _log_ways(x: Any, t_x: Any, n: Any, *, alpha: Any, beta: Any, gamma: Any, delta: Any, xp: Any) -> Any:
    """Log probability of the history and of having left before occasion t_x + i + 1; the last of them: not left."""
    i = np.arange(float(np.max(n - t_x)) + 1)
    alpha, beta, gamma, delta = (xp.widen(part) for part in (alpha, beta, gamma, delta))
    x, t_x, n = x[..., None], t_x[..., None], n[..., None]
    seen = np.minimum(t_x + i, n)
    stays = xp.where(t_x + i >= n, xp.betaln(gamma, delta + n), xp.betaln(gamma + 1, delta + seen))
    buys = xp.betaln(alpha + x, beta + seen - x)
    both = buys + stays - xp.betaln(alpha, beta) - xp.betaln(gamma, delta)
    return xp.where(t_x + i > n, -1e30, both)


def total_log_likelihood(
    x: Any, t_x: Any, n: Any, weight: Any, *, alpha: Any, beta: Any, gamma: Any, delta: Any, xp: Any = ops
) -> Any:  # fmt: skip
    """Sum over weighted histories; parameters of shape (k,) give a result of that shape."""
    wide = {name: xp.widen(part) for name, part in (("alpha", alpha), ("beta", beta), ("gamma", gamma), ("delta", delta))}
    return xp.total(np.asarray(weight) * log_likelihood(x, t_x, n, **wide, xp=xp), axis=-1)


def log_active(k: Any, *, gamma: Any, delta: Any) -> Any:
    """Log probability of still being there at occasion ``k`` of a new customer."""
    return ops.betaln(gamma, delta + np.asarray(k)) - ops.betaln(gamma, delta)


def probability_alive(x: Any, t_x: Any, n: Any, *, alpha: Any, beta: Any, gamma: Any, delta: Any) -> Any:
    """Probability of being there at the next occasion, n + 1, given the history (eq. 11)."""
    return np.exp(_log_active_given(1.0, x, t_x, n, alpha=alpha, beta=beta, gamma=gamma, delta=delta))


def _log_active_given(ahead: Any, x: Any, t_x: Any, n: Any, *, alpha: Any, beta: Any, gamma: Any, delta: Any) -> Any:
    x, n = np.asarray(x, dtype=float), np.asarray(n, dtype=float)
    known = log_likelihood(x, t_x, n, alpha=alpha, beta=beta, gamma=gamma, delta=delta)
    buys = ops.betaln(alpha + x, beta + n - x) - ops.betaln(alpha, beta)
    return buys + log_active(n + ahead, gamma=gamma, delta=delta) - known


def expected_purchases(
    horizon: int, x: Any, t_x: Any, n: Any, *, alpha: Any, beta: Any, gamma: Any, delta: Any
) -> Any:  # fmt: skip
    """Expected occasions taken of the next ``horizon``, given the history (eq. 13).

    Summed over the occasions, so that gamma = 1, at which the closed form divides by zero, is no exception.
    """
    x, n = np.asarray(x, dtype=float), np.asarray(n, dtype=float)
    known = log_likelihood(x, t_x, n, alpha=alpha, beta=beta, gamma=gamma, delta=delta)
    buys = ops.betaln(alpha + x, beta + n - x) - ops.betaln(alpha, beta) - known
    chance = (np.asarray(alpha) + x) / (np.asarray(alpha) + beta + n)
    there = sum(np.exp(buys + log_active(n + ahead, gamma=gamma, delta=delta)) for ahead in range(1, int(horizon) + 1))
    return chance * there


def expected_purchases_new(horizon: int, *, alpha: Any, beta: Any, gamma: Any, delta: Any) -> Any:
    """Expected occasions taken of the first ``horizon`` by a new customer (eq. 8).

    Examples
    --------
    >>> float(expected_purchases_new(10, alpha=1.203528, beta=0.749726, gamma=0.6567808, delta=2.783796).round(4))
    3.1798
    """
    there = sum(np.exp(log_active(k, gamma=gamma, delta=delta)) for k in range(1, int(horizon) + 1))
    return np.asarray(alpha) / (np.asarray(alpha) + beta) * there


def pmf(count: Any, n: int, *, alpha: Any, beta: Any, gamma: Any, delta: Any) -> Any:
    """Probability that a new customer takes ``count`` of ``n`` occasions (eq. 7)."""
    x = np.asarray(count, dtype=float)[..., None]
    seen = np.arange(int(n) + 1.0)
    alpha, beta, gamma, delta = (np.asarray(part)[..., None] for part in (alpha, beta, gamma, delta))
    possible = np.maximum(seen - x, 0.0)
    orders = gammaln(seen + 1) - gammaln(x + 1) - gammaln(possible + 1)
    ways = orders + ops.betaln(alpha + x, beta + possible) - ops.betaln(alpha, beta)
    leaves = np.where(seen < n, ops.betaln(gamma + 1, delta + seen), ops.betaln(gamma, delta + seen)) - ops.betaln(gamma, delta)
    return np.where(seen >= x, np.exp(ways + leaves), 0.0).sum(axis=-1)


def pmf_given(
    count: Any, horizon: int, x: Any, t_x: Any, n: Any, *, alpha: Any, beta: Any, gamma: Any, delta: Any
) -> Any:  # fmt: skip
    """Probability of ``count`` of the next ``horizon`` occasions, given the history."""
    x, n = np.asarray(x, dtype=float), np.asarray(n, dtype=float)
    alive = np.exp(_log_active_given(0.0, x, t_x, n, alpha=alpha, beta=beta, gamma=gamma, delta=delta))
    of_alive = pmf(count, horizon, alpha=alpha + x, beta=beta + n - x, gamma=gamma, delta=delta + n)
    return alive * of_alive + np.where(np.asarray(count) == 0, 1 - alive, 0.0)


def discounted_purchases(
    x: Any, t_x: Any, n: Any, *, rate: float, alpha: Any, beta: Any, gamma: Any, delta: Any
) -> Any:  # fmt: skip
    """Discounted expected residual occasions taken (DERT) over an endless future (eq. 14).

    Parameters
    ----------
    rate : float
        Effective rate per occasion, above 0. The occasion after the last observed one is discounted once.
    """
    x, n = np.asarray(x, dtype=float), np.asarray(n, dtype=float)
    chance = (np.asarray(alpha) + x) / (np.asarray(alpha) + beta + n)
    next_one = probability_alive(x, t_x, n, alpha=alpha, beta=beta, gamma=gamma, delta=delta)
    older = np.asarray(delta) + n + 1
    return chance * next_one / (1 + rate) * hyp2f1(1.0, older, np.asarray(gamma) + older, 1 / (1 + rate))
