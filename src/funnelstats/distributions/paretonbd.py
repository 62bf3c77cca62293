"""Repeat purchases of customers who may silently leave at any time (Pareto/NBD).

While alive, a customer buys at a rate lambda ~ Gamma(r, rate alpha); the life is exponential with a rate mu ~ Gamma(s, rate
beta).  Schmittlein, Morrison & Colombo (1987), Management Science 33(1):1-24; Fader & Hardie (2005), note 009.  Times share one
unit.

The likelihood is written with the moment of leaving ``y`` left in an integral, without a hypergeometric function:
``(r)_x alpha^r beta^s {(alpha+T)^-(r+x) (beta+T)^-s + s int_{t_x}^T (alpha+y)^-(r+x) (beta+y)^-(s+1) dy}``, by Gauss and Legendre
in ``log(alpha+y)`` over the part that matters: smooth, with a gradient, right to 1e-8 where SciPy's 2F1 is infinite.
"""

from functools import cache
from typing import Any

import numpy as np
from scipy.special import digamma, gammaln, zeta

from funnelstats.distributions import ops
from funnelstats.distributions.coin import expm1_ratio, log_rising
from funnelstats.distributions.histories import Histories

NODES = 48
#: Enough, to 1e-9, where beta is not far below alpha.
FEWER = 20
#: The integrand falls by exp(-45) over this part of its range: what lies beyond is below rounding.
FALL = 45.0
#: Elements evaluated at one time, so few that they stay near the processor.
CHUNK = 400_000


@cache  # the roots of a polynomial of degree 96 cost more than an integral with them
def _legendre(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    points, weights = np.polynomial.legendre.leggauss(nodes)
    return (points + 1) / 2, np.log(weights / 2)


def _enough(alpha: Any, beta: Any) -> int:
    return FEWER if np.all(np.asarray(beta) > 0.3 * np.asarray(alpha)) else NODES


def _log_terms(
    x: Any, t_x: Any, T: Any, r: Any, alpha: Any, s: Any, beta: Any, nodes: int, xp: Any
) -> tuple[Any, Any, Any]:  # fmt: skip
    """Log of the integrand times its weights at each node, relative to ``(alpha+t_x)^-(r+x) (beta+t_x)^-s``; log ratios of y."""
    points, log_weights = _legendre(nodes)
    whole = xp.log1p((T - t_x) / (alpha + t_x))
    length = xp.minimum(whole, FALL / xp.maximum(r + x - 1, 1e-3))
    step = xp.widen(length) * points  # log((alpha + y) / (alpha + t_x))
    gap = xp.expm1(step) * xp.widen(alpha + t_x)  # y - t_x
    log_beta = xp.log1p(gap / xp.widen(beta + t_x))
    heart = -xp.widen(r + x - 1) * step - xp.widen(s + 1) * log_beta + log_weights
    outside = xp.log(xp.maximum(length, 1e-300)) + xp.log(s) + xp.log(alpha + t_x) - xp.log(beta + t_x)
    return heart + xp.widen(outside), step, log_beta


def _log_integral(
    x: Any, t_x: Any, T: Any, *, r: Any, alpha: Any, s: Any, beta: Any, nodes: int, xp: Any
) -> Any:  # fmt: skip
    terms, _, _ = _log_terms(x, t_x, T, r, alpha, s, beta, nodes, xp)
    top = xp.largest(terms, axis=-1)
    return top + xp.log(xp.total(xp.exp(terms - xp.widen(top)), axis=-1))


def log_likelihood(
    x: Any, t_x: Any, T: Any, *, r: Any, alpha: Any, s: Any, beta: Any, xp: Any = ops, nodes: int = NODES
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
    nodes : int
        Of the quadrature.

    Examples
    --------
    >>> float(log_likelihood(4, 5.3, 10.0, r=0.55, alpha=11.67, s=0.61, beta=10.58).round(8))
    -10.72932589
    """
    x, t_x, T = (np.asarray(part, dtype=float) for part in (x, t_x, T))
    left = _log_integral(x, t_x, T, r=r, alpha=alpha, s=s, beta=beta, nodes=nodes, xp=xp)
    alive = -(r + x) * xp.log1p((T - t_x) / (alpha + t_x)) - s * xp.log1p((T - t_x) / (beta + t_x))
    front = log_rising(r, x, xp=xp) - x * xp.log(alpha) - (r + x) * xp.log1p(t_x / alpha) - s * xp.log1p(t_x / beta)
    return front + xp.logaddexp(alive, left)


def total_log_likelihood(
    h: Histories, *, r: Any, alpha: Any, s: Any, beta: Any, xp: Any = ops, nodes: int | None = None
) -> Any:  # fmt: skip
    """Sum over weighted histories; parameters of shape (k,) give a result of that shape, in pieces that fit memory."""
    nodes = nodes or (NODES if xp is not ops else _enough(alpha, beta))
    if xp is not ops or np.ndim(r) == 0:
        rows = log_likelihood(h.x, h.t_x, h.T, r=r, alpha=alpha, s=s, beta=beta, xp=xp, nodes=nodes)
        return xp.total(h.weight * rows, axis=-1)
    piece = max(1, CHUNK // (len(h) * nodes))
    parts = [np.array_split(np.asarray(part)[..., None], -(-len(r) // piece)) for part in (r, alpha, s, beta)]
    totals = [log_likelihood(h.x, h.t_x, h.T, r=one, alpha=two, s=three, beta=four, nodes=nodes) @ h.weight
              for one, two, three, four in zip(*parts, strict=True)]  # fmt: skip
    return np.concatenate(totals)


def expansion(
    h: Histories, *, r: float, alpha: float, s: float, beta: float, nodes: int | None = None
) -> tuple[float, np.ndarray, np.ndarray]:  # fmt: skip
    """Return the total, its slope and its curvature along (r, alpha, s, beta).

    Under the integral the slope is a mean over its terms, and the curvature the mean of theirs plus their covariance.
    """
    nodes = nodes or _enough(alpha, beta)
    pieces = np.array_split(np.arange(len(h)), -(-len(h) * nodes // CHUNK))
    parts = [_expansion(h.x[at], h.t_x[at], h.T[at], h.weight[at], r, alpha, s, beta, nodes) for at in pieces]
    value = sum(part[0] for part in parts)
    slope, bend = (np.sum([part[at] for part in parts], axis=0) for at in (1, 2))
    of_x, x = np.bincount(h.at_x, weights=h.weight, minlength=len(h.xs)), h.xs
    value += of_x @ (log_rising(r, x) - x * np.log(alpha))
    slope = slope + np.array([of_x @ (digamma(r + x) - digamma(r)), -(of_x @ x) / alpha, 0.0, 0.0])
    bend = bend + np.diag([of_x @ (zeta(2, r + x) - zeta(2, r)), of_x @ x / alpha**2, 0.0, 0.0])
    return float(value), slope, bend


def _expansion(
    x: np.ndarray, t_x: np.ndarray, T: np.ndarray, weight: np.ndarray, r: float, alpha: float, s: float, beta: float, nodes: int
) -> tuple[float, np.ndarray, np.ndarray]:  # fmt: skip
    terms, step, log_beta = _log_terms(x, t_x, T, r, alpha, s, beta, nodes, ops)
    top = terms.max(axis=-1)
    shares = np.exp(terms - top[:, None])
    sums = shares.sum(axis=-1)
    left = top + np.log(sums)
    shares /= sums[:, None]
    a_age, b_age = np.log1p((T - t_x) / (alpha + t_x)), np.log1p((T - t_x) / (beta + t_x))
    alive = -(r + x) * a_age - s * b_age
    both = np.logaddexp(alive, left)
    a_front, b_front = np.log1p(t_x / alpha), np.log1p(t_x / beta)
    value = weight @ (both - (r + x) * a_front - s * b_front)
    stays, gone = np.exp(alive - both), np.exp(left - both)
    a_y, b_y = np.exp(-step) / (alpha + t_x)[:, None], np.exp(-log_beta) / (beta + t_x)[:, None]  # 1/(alpha+y), 1/(beta+y)
    inside = (step, a_y, log_beta, b_y)
    weighted = [shares * part for part in inside]
    mean = [part.sum(axis=-1) for part in weighted]
    # slopes of the two logs along (r, alpha, s, beta), factors of the terms inside, relative to y = t_x
    factor = (-np.ones_like(x), -(r + x), -np.ones_like(x), -(s + 1) * np.ones_like(x))
    of_left = [f * m for f, m in zip(factor, mean, strict=True)]
    of_alive = [-a_age, -(r + x) / (alpha + T), -b_age, -s / (beta + T)]
    of_left[2] = of_left[2] + 1 / s
    mixed = [stays * one + gone * two for one, two in zip(of_alive, of_left, strict=True)]
    common = (-a_front, r / alpha + x / alpha, -b_front, s / beta)  # alpha and beta: what divides by 1 + t_x / alpha is in y
    slope = np.array([weight @ (one + two) for one, two in zip(common, mixed, strict=True)])
    bend = np.zeros((4, 4))
    for i in range(4):
        for j in range(i, 4):
            second = np.einsum("ij,ij->i", weighted[i], inside[j])
            spread = gone * factor[i] * factor[j] * (second - mean[i] * mean[j])
            bend[i, j] = weight @ (spread + stays * gone * (of_alive[i] - of_left[i]) * (of_alive[j] - of_left[j]))
            if i == j == 1:
                bend[i, j] += weight @ ((r + x) * (gone * second + stays / (alpha + T) ** 2 - 1 / alpha**2))
            if i == j == 3:
                bend[i, j] += weight @ ((s + 1) * gone * second + s * stays / (beta + T) ** 2 - s / beta**2)
    bend[0, 1] += weight @ (1 / alpha - gone * mean[1] - stays / (alpha + T))
    bend[2, 3] += weight @ (1 / beta - gone * mean[3] - stays / (beta + T))
    bend[2, 2] -= weight @ gone / s**2
    return value, slope, bend + np.triu(bend, 1).T


def probability_alive(x: Any, t_x: Any, T: Any, *, r: Any, alpha: Any, s: Any, beta: Any) -> Any:
    """Probability that a customer with this history has not left by T; 0.0 where it is below the smallest number."""
    x, t_x, T = (np.asarray(part, dtype=float) for part in (x, t_x, T))
    left = _log_integral(x, t_x, T, r=r, alpha=alpha, s=s, beta=beta, nodes=_enough(alpha, beta), xp=ops)
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
    points, log_weights = _legendre(nodes)
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
    points, log_weights = _legendre(nodes)
    length = np.minimum(np.log1p(FALL / z), FALL / np.maximum(s - 1, 1e-9))
    w = np.asarray(length)[..., None] * points
    inside = (1 - s)[..., None] * w - z[..., None] * np.expm1(w) + log_weights
    tricomi = np.exp(inside).sum(axis=-1) * length
    alive = probability_alive(x, t_x, T, r=r, alpha=alpha, s=s, beta=beta)
    return alive * (r + x) * (beta + T) / (np.asarray(alpha) + T) * tricomi
