"""How does a customer buy who may leave for good after every purchase, by the toss of a coin?

While alive, purchases come at a rate lambda ~ Gamma(r, rate alpha); after a purchase the customer leaves with probability
p ~ Beta(a, b).  The BG/NBD (Fader, Hardie & Lee 2005) tosses after repeat purchases only, the MBG/NBD (Batislam, Denizel &
Filiztekin 2007, IJRM 24:201-209) after the first one too.  Both are these lines, with ``first`` = 0 or 1 tosses at the first
purchase.

With ``n = x + first`` tosses survived, a row's likelihood is ``(r)_x alpha^-x (b)_n / (a+b)_n (1 + T/alpha)^-(r+x)`` times
``1 + a / (b+n-1) ((alpha+T) / (alpha+t_x))^(r+x)``, the second term being that the last purchase was the last of all.  So nothing
overflows, and the limits r, alpha and a, b to infinity are reached without loss of digits.
"""

from typing import Any

import numpy as np
from scipy.special import betainc, betaln, digamma, expit, gammaln, hyp2f1, log_expit, polygamma

from funnelstats.distributions import ops
from funnelstats.distributions.betabinomial import log_excess
from funnelstats.distributions.histories import Histories

#: Beyond this argument the series of the expectation is slower than SciPy's hypergeometric function.
SERIES_TO = 0.97
#: Beyond this many e-folds of (1-z)^(a-1) the series overflows, and the beta distribution is narrow enough for a sum over it.
STEEP = 40.0
#: Closer than this to a = 1 SciPy's function is interpolated, since the formula divides by a - 1.
NEAR = 0.01


def log_rising(x: Any, k: Any, *, xp: Any = ops) -> Any:
    """Log of ``(x)_k = x (x+1) ... (x+k-1)``, without loss of digits for large ``x``."""
    return k * xp.log(x) + log_excess(x, k, xp=xp)


def rows(
    x_terms: Any, log_age: Any, log_recency: Any, x: Any, *, r: Any, a: Any, b: Any, first: int, xp: Any = ops
) -> Any:  # fmt: skip
    """Join the terms of a likelihood row; ``log_age`` is log(1 + T/alpha), ``log_recency`` log(1 + t_x/alpha)."""
    bought = 1.0 if first else 1.0 * (x > 0)
    left = log_odds_left(x, log_age - log_recency, r=r, a=a, b=b, first=first, xp=xp)
    return x_terms - (r + x) * log_age + bought * xp.logaddexp(0.0, left)


def log_odds_left(x: Any, log_ratio: Any, *, r: Any, a: Any, b: Any, first: int, xp: Any = ops) -> Any:
    """Log odds of having left at the last purchase against being alive; ``log_ratio`` is log((alpha+T) / (alpha+t_x))."""
    tossed = np.maximum(x + first, 1.0)  # where no coin was tossed the odds are not used
    return xp.log(a) - xp.log(b + tossed - 1.0) + (r + x) * log_ratio


def x_terms(x: Any, *, r: Any, alpha: Any, a: Any, b: Any, first: int, xp: Any = ops) -> Any:
    """Return what a row owes to its frequency alone."""
    tossed = x + first
    return log_rising(r, x, xp=xp) - x * xp.log(alpha) + log_rising(b, tossed, xp=xp) - log_rising(a + b, tossed, xp=xp)


def log_likelihood(
    x: Any, t_x: Any, T: Any, *, r: Any, alpha: Any, a: Any, b: Any, first: int, xp: Any = ops
) -> Any:  # fmt: skip
    """Log density of (frequency, recency) given age T; broadcasts. The count's x! is left out, as in the papers."""
    x, t_x, T = (np.asarray(part, dtype=float) for part in (x, t_x, T))
    terms = x_terms(x, r=r, alpha=alpha, a=a, b=b, first=first, xp=xp)
    return rows(terms, xp.log1p(T / alpha), xp.log1p(t_x / alpha), x, r=r, a=a, b=b, first=first, xp=xp)


def total_log_likelihood(
    h: Histories, *, r: Any, alpha: Any, a: Any, b: Any, first: int, xp: Any = ops
) -> Any:  # fmt: skip
    """Sum over weighted histories; parameters may be arrays of shape (k,), the result then has that shape."""
    r, alpha, a, b = (xp.widen(part) for part in (r, alpha, a, b))
    terms = x_terms(h.xs, r=r, alpha=alpha, a=a, b=b, first=first, xp=xp)[..., h.at_x]
    log_age, log_recency = xp.log1p(h.ages / alpha)[..., h.at_age], xp.log1p(h.ts / alpha)[..., h.at_t]
    return xp.total(h.weight * rows(terms, log_age, log_recency, h.x, r=r, a=a, b=b, first=first, xp=xp), axis=-1)


def value_and_gradient(
    h: Histories, *, r: float, alpha: float, a: float, b: float, first: int
) -> tuple[float, np.ndarray]:  # fmt: skip
    """Sum of :func:`total_log_likelihood` and its slope along (r, alpha, a, b)."""
    x, tossed = h.x, h.xs + first
    log_age, log_recency = np.log1p(h.ages / alpha)[h.at_age], np.log1p(h.ts / alpha)[h.at_t]
    terms = x_terms(h.xs, r=r, alpha=alpha, a=a, b=b, first=first)[h.at_x]
    odds = log_odds_left(x, log_age - log_recency, r=r, a=a, b=b, first=first)
    bought = 1.0 if first else 1.0 * (x > 0)
    value = h.weight @ (terms - (r + x) * log_age + bought * np.logaddexp(0.0, odds))
    left = h.weight * bought * expit(odds)
    of_x = np.bincount(h.at_x, weights=h.weight, minlength=len(h.xs))
    left_of_x = np.bincount(h.at_x, weights=left, minlength=len(h.xs))
    d_r = of_x @ (digamma(r + h.xs) - digamma(r)) - h.weight @ log_age + left @ (log_age - log_recency)
    ages, recencies = (h.ages / (alpha + h.ages))[h.at_age], (h.ts / (alpha + h.ts))[h.at_t]
    d_alpha = ((h.weight * (r + x)) @ ages - of_x @ h.xs - (left * (r + x)) @ (ages - recencies)) / alpha
    whole = digamma(a + b) - digamma(a + b + tossed)
    d_a = of_x @ whole + left_of_x.sum() / a
    d_b = of_x @ (whole + digamma(b + tossed) - digamma(b)) - left_of_x @ (1 / (b + np.maximum(tossed, 1.0) - 1))
    return float(value), np.array([d_r, d_alpha, d_a, d_b])


def probability_alive(
    x: Any, t_x: Any, T: Any, *, r: Any, alpha: Any, a: Any, b: Any, first: int
) -> Any:  # fmt: skip
    """Probability of not having left by T; broadcasts; 0.0 where it is below the smallest number."""
    x, t_x, T = (np.asarray(part, dtype=float) for part in (x, t_x, T))
    odds = log_odds_left(x, np.log1p((T - t_x) / (alpha + t_x)), r=r, a=a, b=b, first=first)
    return expit(-odds) if first else np.where(x > 0, expit(-odds), 1.0)


def expected_while_alive(horizon: Any, *, r: Any, alpha: Any, a: Any, b: Any) -> Any:
    """Expected purchases within ``horizon`` of a customer who is alive now: the mean of (1 - (1 + p t/alpha)^-r) / p.

    With e = a - 1, c = a + b - 1, z = t / (alpha + t) this is ``c (1 - (1-z)^e 2F1(e, c-r; c; z)) / e``, by Euler's
    transformation of Fader, Hardie & Lee (2005), eq. 9.  Taking the leading 1 out of the series removes the division by a - 1.
    """
    t, r, alpha, a, b = np.broadcast_arrays(*(np.asarray(part, dtype=float) for part in (horizon, r, alpha, a, b)))
    out = np.empty(t.shape)
    steep = (a - 1) * np.log1p(t / alpha) > STEEP
    far = (t / (alpha + t) > SERIES_TO) & ~steep
    for where, rule in ((~far & ~steep, _by_series), (far, _by_function), (steep, _by_points)):
        if where.any():
            out[where] = rule(*(part[where] for part in (t, r, alpha, a, b)))
    return out if out.ndim else out[()]


def _by_series(t: np.ndarray, r: np.ndarray, alpha: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    e, c, z = a - 1, a + b - 1, t / (alpha + t)
    log_rest = -np.log1p(t / alpha)
    term = (c - r) * z  # of n = 1: c (c-r)_n (1+e)_{n-1} / ((c)_n n!) z^n, where c cancels
    tail = term.copy()
    for n in range(1, 10_000):
        term = term * ((c - r + n) * (e + n) / ((c + n) * (n + 1))) * z
        tail += term
        if np.all(np.abs(term) <= 1e-17 * (np.abs(tail) + z)):
            break
    return np.asarray(-c * expm1_ratio(e, log_rest) - np.exp(e * log_rest) * tail)


def _by_function(t: np.ndarray, r: np.ndarray, alpha: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    near = np.abs(a - 1) < NEAR / 2
    if near.any():
        places = 1 + NEAR * np.array([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0])
        others = np.array([[np.prod([(x - q) / (p - q) for q in places if q != p]) for p in places] for x in a[near]])
        values = np.stack([_by_function(t[near], r[near], alpha[near], np.full(near.sum(), p), b[near]) for p in places], axis=-1)
        out = np.empty(t.shape)
        out[near] = (others * values).sum(axis=-1)
        out[~near] = _by_function(*(part[~near] for part in (t, r, alpha, a, b))) if (~near).any() else 0.0
        return out
    e, c, z = a - 1, a + b - 1, t / (alpha + t)
    c = np.where(np.abs(c) < 1e-9, 1e-9, c)
    return np.asarray(c * (1 - np.exp(-e * np.log1p(t / alpha)) * hyp2f1(e, c - r, c, z)) / e)


def _by_points(t: np.ndarray, r: np.ndarray, alpha: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Sum over equally spaced logits of p, which converges faster than any power of their distance."""
    centre, spread = digamma(a) - digamma(b), np.sqrt(polygamma(1, a) + polygamma(1, b))
    top = a * np.log(a / (a + b)) + b * np.log(b / (a + b))
    total, weights = np.zeros(t.shape), np.zeros(t.shape)
    for step in np.linspace(-12.0, 40.0, 417):
        logit = centre + spread * step
        p = np.maximum(expit(logit), 1e-300)
        weight = np.exp(a * log_expit(logit) + b * log_expit(-logit) - top)
        total = total + weight * -np.expm1(-r * np.log1p(p * t / alpha)) / p
        weights = weights + weight
    return np.asarray(total / weights)


def expm1_ratio(e: Any, y: Any) -> Any:
    """Return ``(exp(e y) - 1) / e``, which tends to ``y`` as ``e`` tends to 0; broadcasts."""
    e, y = np.broadcast_arrays(np.asarray(e, dtype=float), np.asarray(y, dtype=float))
    safe = np.where(np.abs(e * y) < 1e-300, 1.0, e)
    return np.where(np.abs(e * y) < 1e-300, y, np.expm1(safe * y) / safe)


def pmf_while_alive(count: Any, horizon: Any, *, r: Any, alpha: Any, a: Any, b: Any) -> Any:
    """Probability of ``count`` purchases within ``horizon`` of a customer who is alive now.

    Fader, Hardie & Lee (2005), eq. 8, with its finite sum written as the incomplete beta function: nothing cancels.
    """
    x, t, r, alpha, a, b = (np.asarray(part, dtype=float) for part in (count, horizon, r, alpha, a, b))
    z = t / (alpha + t)
    with np.errstate(divide="ignore", invalid="ignore"):
        power = np.where(x > 0, x * np.log(z), 0.0)
    exactly = log_rising(r, x) - gammaln(x + 1) - r * np.log1p(t / alpha) + power
    stays = np.exp(log_rising(b, x) - log_rising(a + b, x) + exactly)
    more = np.maximum(x, 1.0)
    last = np.exp(betaln(a + 1, b + more - 1) - betaln(a, b)) * betainc(more, r, z)
    return stays + np.where(x > 0, last, 0.0)
