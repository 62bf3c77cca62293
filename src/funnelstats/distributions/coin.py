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
from scipy.special import betainc, betaln, digamma, expit, gammaln, hyp2f1, log_expit, polygamma, zeta

from funnelstats.distributions import ops
from funnelstats.distributions.betabinomial import log_excess
from funnelstats.distributions.histories import Histories

#: Beyond this argument the series of the expectation is slower than SciPy's hypergeometric function.
SERIES_TO = 0.97
#: Values whose series are summed together, so few that they stay near the processor.
PIECE = 4_000
#: Beyond this many e-folds of (1-z)^(a-1) the series overflows, and the beta distribution is narrow enough for a sum over it.
STEEP = 40.0
#: Beyond this many e-folds of (1+z)^(r-c) the series alternates and loses digits: customers are alike, and buy often.
LOST = 8.0
#: Most points of a sum over logits.
MOST = 4_000
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
    log_age, log_recency = xp.log1p(h.ages / alpha), xp.log1p(h.ts / alpha)
    total = xp.total(_of(h.at_x, h.weight, h.xs) * x_terms(h.xs, r=r, alpha=alpha, a=a, b=b, first=first, xp=xp), axis=-1)
    exposed = _of(h.at_age, h.weight, h.ages) * r + _of(h.at_age, h.weight * h.x, h.ages)
    total = total - xp.total(exposed * log_age, axis=-1)
    at = _tossed(h, first)
    log_ratio = log_age[..., h.at_age[at]] - log_recency[..., h.at_t[at]]
    left = log_odds_left(h.x[at], log_ratio, r=r, a=a, b=b, first=first, xp=xp)
    return total + xp.total(h.weight[at] * xp.logaddexp(0.0, left), axis=-1)


def _of(place: np.ndarray, weight: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Sum of weights at each distinct value."""
    return np.bincount(place, weights=weight, minlength=len(values))


def _tossed(h: Histories, first: int) -> slice:
    """Rows in which a coin was tossed; rows are in order of frequency."""
    return slice(0 if first else int(np.searchsorted(h.at_x, np.searchsorted(h.xs, 0.5))), None)


def expansion(
    h: Histories, *, r: float, alpha: float, a: float, b: float, first: int
) -> tuple[float, np.ndarray, np.ndarray]:  # fmt: skip
    """Sum of :func:`total_log_likelihood`, with slope and curvature along (r, alpha, a, b)."""
    value, slope, bend = np.zeros(1), np.zeros(4), np.zeros((4, 4))
    for add in (_of_age, _of_frequency, _of_leaving):
        value, slope, bend = (old + new for old, new in zip((value, slope, bend), add(h, r, alpha, a, b, first), strict=True))
    return float(value[0]), slope, bend + np.triu(bend, 1).T


Terms = tuple[Any, np.ndarray, np.ndarray]


def _of_age(h: Histories, r: float, alpha: float, a: float, b: float, first: int) -> Terms:
    """``-(r + x) log(1 + T/alpha)``, summed over customers of one age; of the curvature the upper half, as of the others."""
    there = _of(h.at_age, h.weight, h.ages)
    exposed = there * r + _of(h.at_age, h.weight * h.x, h.ages)
    log_age, share = np.log1p(h.ages / alpha), h.ages / (alpha + h.ages)
    bend = np.zeros((4, 4))
    bend[0, 1], bend[1, 1] = there @ share / alpha, -(exposed @ (share * (2 - share))) / alpha**2
    return -(exposed @ log_age), np.array([-(there @ log_age), exposed @ share / alpha, 0.0, 0.0]), bend


def _of_frequency(h: Histories, r: float, alpha: float, a: float, b: float, first: int) -> Terms:
    """The terms of frequency alone."""
    x, tossed, n = h.xs, h.xs + first, _of(h.at_x, h.weight, h.xs)
    whole, whole_bend = n @ (digamma(a + b) - digamma(a + b + tossed)), n @ (zeta(2, a + b) - zeta(2, a + b + tossed))
    bought = n @ x / alpha
    slope = [n @ (digamma(r + x) - digamma(r)), -bought, whole, whole + n @ (digamma(b + tossed) - digamma(b))]
    bend = np.diag([n @ (zeta(2, r + x) - zeta(2, r)), bought / alpha, whole_bend, whole_bend])
    bend[2, 3] = whole_bend
    bend[3, 3] += n @ (zeta(2, b + tossed) - zeta(2, b))
    return n @ x_terms(x, r=r, alpha=alpha, a=a, b=b, first=first), np.array(slope), bend


def _of_leaving(h: Histories, r: float, alpha: float, a: float, b: float, first: int) -> Terms:
    """``log(1 + odds)`` of having left at the last purchase, the only term that needs every distinct history."""
    at = _tossed(h, first)
    at_x, at_t, at_age, weight = h.at_x[at], h.at_t[at], h.at_age[at], h.weight[at]
    if not len(weight):
        return 0.0, np.zeros(4), np.zeros((4, 4))
    begin = np.flatnonzero(np.diff(at_x, prepend=-1))
    x = h.xs[at_x[begin]]
    shape, coin = r + x, 1 / (b + x + first - 1)
    age, recency = h.ages / (alpha + h.ages), h.ts / (alpha + h.ts)
    log_ratio = np.log1p(h.ages / alpha)[at_age] - np.log1p(h.ts / alpha)[at_t]
    gap = recency[at_t] - age[at_age]  # of log_ratio the slope along log(alpha)
    rise = (age * (2 - age))[at_age] - (recency * (2 - recency))[at_t]
    odds = np.repeat(np.log(a * coin), sizes := np.diff(begin, append=len(at_x))) + np.repeat(shape, sizes) * log_ratio
    small = np.exp(-np.abs(odds))
    left = weight * np.where(odds > 0, 1.0, small) / (1 + small)
    both = left / (1 + small) * np.where(odds > 0, small, 1.0)

    def per(values: np.ndarray) -> np.ndarray:
        return np.asarray(np.add.reduceat(values, begin))

    one, of_r, of_alpha, curve = per(left), per(left * log_ratio), per(left * gap), per(left * rise)
    b_r, b_alpha = both * log_ratio, both * gap
    two, v_r, v_alpha = per(both), per(b_r), per(b_alpha)
    rr, ra, aa = per(b_r * log_ratio), per(b_r * gap), per(b_alpha * gap)
    slope = np.array([of_r.sum(), shape @ of_alpha / alpha, one.sum() / a, -(coin @ one)])
    bend = np.zeros((4, 4))
    bend[0] = [rr.sum(), (shape @ ra + of_alpha.sum()) / alpha, v_r.sum() / a, -(coin @ v_r)]
    bend[1, 1:] = [(shape**2 @ aa + shape @ curve) / alpha**2, shape @ v_alpha / alpha / a, -((shape * coin) @ v_alpha) / alpha]
    bend[2, 2:] = (two.sum() - one.sum()) / a**2, -(coin @ two) / a
    bend[3, 3] = coin**2 @ (two + one)
    return weight @ (np.maximum(odds, 0.0) + np.log1p(small)), slope, bend


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
    steep = ((a - 1) * np.log1p(t / alpha) > STEEP) | ((r - a - b) * np.log1p(t / (alpha + t)) > LOST)
    far = (t / (alpha + t) > SERIES_TO) & ~steep
    for where, rule in ((~far & ~steep, _by_series), (far, _by_function), (steep, _by_points)):
        if where.any():
            out[where] = rule(*(part[where] for part in (t, r, alpha, a, b)))
    return out if out.ndim else out[()]


def _by_series(t: np.ndarray, r: np.ndarray, alpha: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    e, c, z = a - 1, a + b - 1, t / (alpha + t)
    tail = np.empty(t.shape)
    for start in range(0, len(z), PIECE):
        at = slice(start, start + PIECE)
        tail[at] = _tail(e[at], c[at], c[at] - r[at], z[at])
    log_rest = -np.log1p(t / alpha)
    return np.asarray(-c * expm1_ratio(e, log_rest) - np.exp(e * log_rest) * tail)


def _tail(e: np.ndarray, c: np.ndarray, d: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Terms from n = 1: c (d)_n (1+e)_{n-1} / ((c)_n n!) z^n, where c cancels."""
    term = d * z
    tail = term.copy()
    top, other, below = d.copy(), e.copy(), c.copy()
    for n in range(1, 10_000):
        for part in (top, other, below):
            part += 1
        term *= top
        term *= other
        term *= z
        term /= below
        term /= n + 1
        tail += term
        if n % 4 == 0 and np.all(np.abs(term) <= 1e-17 * (np.abs(tail) + z)):
            break
    return tail


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
    """Sum over equally spaced logits of p, which converges faster than any power of their distance.

    Of ``(1 - (1 + p z)^-r) / p`` less ``r z (1-p)^((r+1) z / 2)``, which is the same where p is small, and less ``(1 - (1+z)^-r) p^2``,
    which is where p is 1. Their means are known, and what is left falls as p^(a+2) and (1-p)^(b+1), however small a and b are.
    """
    z, power = t / alpha, (r + 1) * t / alpha / 2
    last, steepness = -np.expm1(-r * np.log1p(z)), np.log1p(r * z)
    spread, wider = np.sqrt(polygamma(1, a) + polygamma(1, b)), 12 * np.sqrt(polygamma(1, a + 2) + polygamma(1, b + 1))
    centre = digamma(a + 2) - digamma(b + 1)
    low = np.maximum(
        np.minimum(centre, -steepness) - 36 / (a + 2) - wider, np.log(a / b) - 12 * spread - (40 + 2 * steepness) / a
    )
    high = centre + 36 / (b + 1) + wider
    count = int(min(np.ceil(np.max((high - low) / np.minimum(0.25, spread / 1.5), initial=1.0)), MOST))
    total, norm = np.zeros(t.shape), betaln(a, b)
    for share in (np.arange(count) + 0.5) / count:
        logit = low + (high - low) * share
        log_p, log_rest = log_expit(logit), log_expit(-logit)
        p = np.exp(log_p)
        inside = -np.expm1(-r * np.log1p(p * z)) / p - r * z * np.exp(power * log_rest) - last * p**2
        total = total + np.exp(a * log_p + b * log_rest - norm) * inside
    known = r * z * np.exp(betaln(a, b + power) - norm) + last * a * (a + 1) / (a + b) / (a + b + 1)
    return np.asarray(known + total * (high - low) / count)


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
