"""When may a customer have left who has not been seen since? The integral over that moment, and its sum over all customers.

Of the Pareto/NBD.  With ``E`` the greatest age of all, integration by parts turns the likelihood of a customer who bought x times,
last at t and was watched until T, ``(r)_x alpha^r beta^s`` times ``(alpha+T)^-(r+x) (beta+T)^-s + s int_t^T ...``, into

``(alpha+E)^-(r+x) (beta+E)^-s + (r+x) int_T^E (alpha+y)^-(r+x+1) (beta+y)^-s dy + s int_t^E (alpha+y)^-(r+x) (beta+y)^-(s+1) dy``.

All three are positive, so that nothing is lost by subtraction, and the first two depend on (x, T) alone and the third on (x, t): there
are far fewer such pairs than different histories.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from scipy.special import digamma, expit, zeta

from funnelstats.distributions import ops
from funnelstats.distributions.coin import log_rising
from funnelstats.distributions.histories import Histories

#: Enough for 1e-10, whatever the scales of alpha, beta and the times, and however many purchases.
NODES = 20
#: The integrand falls by exp(-30) over this part of its range: what lies beyond is less than the error of the nodes.
FALL = 30.0
#: Exponents beyond this overflow.
STEEPEST = 600.0
#: Elements evaluated at one time, so few that they stay near the processor.
CHUNK = 100_000

#: Frequency and time of each pair, and the pair of each row.
Pairs = tuple[np.ndarray, np.ndarray, np.ndarray]
#: Of each pair: the log, its slope along (r, alpha, s, beta), shape (n, 4), and its curvature, shape (n, 4, 4).
Terms = tuple[np.ndarray, np.ndarray, np.ndarray]


@cache  # the roots of a polynomial of degree 96 cost more than an integral with them
def legendre(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Points in (0, 1) and the logs of their weights."""
    points, weights = np.polynomial.legendre.leggauss(nodes)
    return (points + 1) / 2, np.log(weights / 2)


def log_nodes(
    p: Any, q: Any, t: Any, end: Any, *, alpha: Any, beta: Any, xp: Any = ops
) -> tuple[Any, Any, Any]:  # fmt: skip
    """Log of ``(alpha+y)^-p (beta+y)^-q dy`` at each node between ``t`` and ``end``, relative to y = t.

    With the log ratios of c+y and of d+y, c the smaller of alpha and beta and d the larger.

    By Gauss and Legendre in ``log(c+y)``, over the part that matters: beyond ``length`` the integrand has fallen by FALL, since the
    log ratio of d+y is at least that of c+y plus ``log(ratio)``.
    """
    points, log_weights = legendre(NODES)
    first = alpha <= beta
    small, near, far = xp.minimum(alpha, beta), xp.where(first, p, q), xp.where(first, q, p)
    ratio = (small + t) / (xp.maximum(alpha, beta) + t)
    most = xp.minimum(xp.log1p((end - t) / (small + t)), (FALL - far * xp.log(ratio)) / (p + q - 1))
    rise = xp.minimum((FALL + xp.maximum(1 - near, 0.0) * most) / far, STEEPEST)
    length = xp.minimum(most, xp.minimum(FALL / xp.maximum(near - 1, 1e-9), xp.log1p(xp.expm1(rise) / ratio)))
    step = xp.widen(length) * points
    other = xp.log1p(xp.expm1(step) * xp.widen(ratio))
    heart = -xp.widen(near - 1) * step - xp.widen(far) * other + log_weights
    outside = xp.widen(xp.log(xp.maximum(length, 1e-300)) + xp.log(small + t))
    return heart + outside, step, other


def log_integral(p: Any, q: Any, t: Any, end: Any, *, alpha: Any, beta: Any, xp: Any = ops) -> Any:
    """Log of the integral of ``(alpha+y)^-p (beta+y)^-q`` from ``t`` to ``end``, relative to y = t; broadcasts."""
    terms, _, _ = log_nodes(p, q, t, end, alpha=alpha, beta=beta, xp=xp)
    top = xp.largest(terms, axis=-1)
    return top + xp.log(xp.total(xp.exp(terms - xp.widen(top)), axis=-1))


def pairs(h: Histories) -> int:
    """How many pairs of frequency and age, and of frequency and recency, there are."""
    return len(h.with_age()[0]) + len(h.with_recency()[0])


def effort(h: Histories) -> int:
    """Elements that one evaluation of the sum costs."""
    return len(h) + NODES * pairs(h)


def total_log_likelihood(
    h: Histories, *, r: Any, alpha: Any, s: Any, beta: Any, xp: Any = ops
) -> Any:  # fmt: skip
    """Sum over weighted histories; parameters of shape (k,) give a result of that shape, in pieces that fit memory."""
    aged, last = h.with_age(), h.with_recency()
    of_x = np.bincount(h.at_x, weights=h.weight, minlength=len(h.xs))

    def summed(shapes: Any) -> Any:
        _, there, left = _by_pair(aged, last, h.ages[-1], shapes, xp)
        of_frequency = of_x * (log_rising(shapes[0], h.xs, xp=xp) - h.xs * xp.log(shapes[1]))
        of_history = h.weight * xp.logaddexp(there[..., aged[2]], left[..., last[2]])
        return xp.total(of_frequency, axis=-1) + xp.total(of_history, axis=-1)

    if xp is not ops or np.ndim(r) == 0:
        return summed([xp.widen(part) for part in (r, alpha, s, beta)])
    columns = np.stack([r, alpha, s, beta])[..., None]
    pieces = np.array_split(columns, -(-len(r) // max(1, CHUNK // effort(h))), axis=1)
    return np.concatenate([summed(piece) for piece in pieces])


def _by_pair(aged: Pairs, last: Pairs, end: float, shapes: Any, xp: Any) -> tuple[Any, Any, Any]:
    """Logs of being alive and of the first two terms of the module's head, by frequency and age; of the third, by frequency and recency."""
    (x, T, _), (x_last, t, _) = aged, last
    r, alpha, s, beta = shapes
    until = {"alpha": alpha, "beta": beta, "xp": xp}
    ever = -(r + x) * xp.log1p(end / alpha) - s * xp.log1p(end / beta)
    alive = -(r + x) * xp.log1p(T / alpha) - s * xp.log1p(T / beta)
    again = log_integral(r + x + 1, s, T, end, **until) + xp.log(r + x) - xp.log(alpha + T)
    left = log_integral(r + x_last, s + 1, t, end, **until) + xp.log(s) - xp.log(beta + t)
    left = left - (r + x_last) * xp.log1p(t / alpha) - s * xp.log1p(t / beta)
    return alive, xp.logaddexp(ever, again + alive), left


def alive_by(h: Histories, *, r: Any, alpha: Any, s: Any, beta: Any) -> Callable[[slice], np.ndarray]:
    """Probability of being alive of any rows of ``h``, for parameters of shape (k, 1): made when asked for, from what is kept by pair."""
    size, aged, last = max(1, CHUNK // effort(h)), h.with_age(), h.with_recency()
    columns = np.stack([r, alpha, s, beta])
    parts = [_by_pair(aged, last, h.ages[-1], columns[:, start : start + size], ops) for start in range(0, len(r), size)]
    alive, there, left = (np.concatenate(some) for some in zip(*parts, strict=True))
    at_age, at_last, ever = aged[2], last[2], np.exp(there - alive)

    def of(rows: slice) -> np.ndarray:
        with np.errstate(over="ignore"):
            return np.asarray(1 / (ever[:, at_age[rows]] + np.exp(left[:, at_last[rows]] - alive[:, at_age[rows]])))

    return of


def expansion(
    h: Histories, *, r: float, alpha: float, s: float, beta: float
) -> tuple[float, np.ndarray, np.ndarray]:  # fmt: skip
    """Return the total, its slope and its curvature along (r, alpha, s, beta).

    Under an integral the slope is a mean over its terms, and the curvature the mean of theirs plus their covariance.
    """
    (x, T, at_age), (x_last, t, at_last), end = h.with_age(), h.with_recency(), float(h.ages[-1])
    at = (r, alpha, s, beta)
    there = _either(_ever(x, end, *at), _integral(x, T, end, *at, 1))
    left = _integral(x_last, t, end, *at, 0)
    odds = left[0][at_last] - there[0][at_age]
    gone = expit(odds)
    value = h.weight @ (there[0][at_age] + np.logaddexp(0.0, odds))
    slope, bend = np.zeros(4), np.zeros((4, 4))
    for terms, place, share in ((there, at_age, 1 - gone), (left, at_last, gone)):
        times = np.bincount(place, weights=h.weight * share, minlength=len(terms[0]))
        slope, bend = slope + times @ terms[1], bend + np.tensordot(times, terms[2], 1)
    apart = there[1][at_age] - left[1][at_last]
    bend += apart.T @ ((h.weight * gone * (1 - gone))[:, None] * apart)
    of_x, x = np.bincount(h.at_x, weights=h.weight, minlength=len(h.xs)), h.xs
    value += of_x @ (log_rising(r, x) - x * np.log(alpha))
    slope += np.array([of_x @ (digamma(r + x) - digamma(r)), -(of_x @ x) / alpha, 0.0, 0.0])
    bend += np.diag([of_x @ (zeta(2, r + x) - zeta(2, r)), of_x @ x / alpha**2, 0.0, 0.0])
    return float(value), slope, bend


def _either(one: Terms, two: Terms) -> Terms:
    """Log of the sum of what two logs are of."""
    share = expit(two[0] - one[0])
    less, more = (1 - share)[:, None], share[:, None]
    apart = one[1] - two[1]
    bend = less[..., None] * one[2] + more[..., None] * two[2] + (less * more)[..., None] * apart[:, :, None] * apart[:, None, :]
    return np.logaddexp(one[0], two[0]), less * one[1] + more * two[1], bend


def _ever(x: np.ndarray, end: float, r: float, alpha: float, s: float, beta: float) -> Terms:
    """``-(r+x) log(1 + end/alpha) - s log(1 + end/beta)``."""
    ones, a, b = np.ones(len(x)), np.log1p(end / alpha), np.log1p(end / beta)
    by_a, by_b = end / alpha / (alpha + end), end / beta / (beta + end)
    slope = np.stack([-a * ones, (r + x) * by_a, -b * ones, s * by_b * ones], axis=1)
    bend = np.zeros((len(x), 4, 4))
    bend[:, 0, 1] = bend[:, 1, 0] = by_a
    bend[:, 2, 3] = bend[:, 3, 2] = by_b
    bend[:, 1, 1], bend[:, 3, 3] = -(r + x) * by_a * (1 / alpha + 1 / (alpha + end)), -s * by_b * (1 / beta + 1 / (beta + end))
    return -(r + x) * a - s * b, slope, bend


def _integral(
    x: np.ndarray, t: np.ndarray, end: float, r: float, alpha: float, s: float, beta: float, bought: int
) -> Terms:  # fmt: skip
    """Log of the second integral of the module's head (``bought`` 1), or of the third (0), times ``alpha^(r+x) beta^s``."""
    pieces = np.array_split(np.arange(len(x)), -(-len(x) * NODES // CHUNK))
    parts = [_piece(x[at], t[at], end, r, alpha, s, beta, bought) for at in pieces]
    value, slope, bend = (np.concatenate(some) for some in zip(*parts, strict=True))
    return value, slope, bend


def _piece(
    x: np.ndarray, t: np.ndarray, end: float, r: float, alpha: float, s: float, beta: float, bought: int
) -> Terms:  # fmt: skip
    p, q, k = r + x + bought, s + 1.0 - bought, r + x
    terms, *steps = log_nodes(p, q, t, end, alpha=alpha, beta=beta)
    step, log_beta = steps if alpha <= beta else steps[::-1]
    top = terms.max(axis=-1)
    shares = np.exp(terms - top[:, None])
    sums = shares.sum(axis=-1)
    shares /= sums[:, None]
    inside = np.empty((len(x), 4, NODES))
    inside[:, 0], inside[:, 2] = -step, -log_beta
    inside[:, 1] = np.exp(-step) * (-p / (alpha + t))[:, None]
    inside[:, 3] = np.exp(-log_beta) * (-q / (beta + t))[:, None]
    mean = (inside @ shares[..., None])[..., 0]
    second = (inside * shares[:, None]) @ inside.transpose(0, 2, 1)
    bend = second - mean[:, :, None] * mean[:, None, :]
    bend[:, 0, 1] += 1 / alpha + mean[:, 1] / p
    bend[:, 2, 3] += 1 / beta + mean[:, 3] / q
    bend[:, 1, 0], bend[:, 3, 2] = bend[:, 0, 1], bend[:, 2, 3]
    bend[:, 1, 1] += second[:, 1, 1] / p - k / alpha**2
    bend[:, 3, 3] += second[:, 3, 3] / q - s / beta**2
    a, b = np.log1p(t / alpha), np.log1p(t / beta)
    slope = mean + np.stack([-a, k / alpha, -b, np.full(len(x), s / beta)], axis=1)
    value = top + np.log(sums) - k * a - s * b
    if bought:
        value, slope[:, 0], bend[:, 0, 0] = value + np.log(k) - np.log(alpha + t), slope[:, 0] + 1 / k, bend[:, 0, 0] - 1 / k**2
    else:
        value, slope[:, 2], bend[:, 2, 2] = value + np.log(s) - np.log(beta + t), slope[:, 2] + 1 / s, bend[:, 2, 2] - 1 / s**2
    return value, slope, bend
