"""How uncertain is a product of uncertain slopes? Moments of the product of independent normals, and its distribution for two.

The delta method keeps the first-order terms, Sobel's standard error; the second-order formula adds the products of two
variances; the exact variance is ``prod(mean^2 + var) - prod(mean^2)`` (Goodman 1960, JASA 55:708-713).  The product is skewed,
so intervals that are symmetric about it miss more on one side (MacKinnon, Lockwood & Williams 2004, Multivariate Behavioral
Research 39:99-128).
"""

from collections.abc import Sequence
from itertools import combinations, pairwise

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import ndtr


def delta_sd(mean: Sequence[float], sd: Sequence[float]) -> float:
    """First-order standard deviation of a product of independent estimates.

    Examples
    --------
    >>> round(delta_sd([0.3, 0.4, 0.3], np.sqrt([0.01, 0.01, 0.02])), 7)
    0.0226495
    """
    return float(np.sqrt(_terms(mean, sd, 1)))


def second_order_sd(mean: Sequence[float], sd: Sequence[float]) -> float:
    """Standard deviation with first- and second-order terms; exact for two factors."""
    return float(np.sqrt(_terms(mean, sd, 1) + _terms(mean, sd, 2)))


def exact_sd(mean: Sequence[float], sd: Sequence[float]) -> float:
    """Standard deviation of the product of independent normals, whatever their number."""
    m, v = np.square(np.asarray(mean, dtype=float)), np.square(np.asarray(sd, dtype=float))
    return float(np.sqrt(np.prod(m + v) - np.prod(m)))


def cdf(z: float, mean: Sequence[float], sd: Sequence[float]) -> float:
    """Probability that the product of two independent normals is at most ``z``, by integration over the first factor."""
    (mx, my), (sx, sy) = mean, sd

    def below(u: float) -> float:
        x = mx + sx * u
        if x == 0:
            return float(z >= 0) * _density(u)
        inside = ndtr((z / x - my) / sy)
        return float((inside if x > 0 else 1 - inside) * _density(u))

    edges = sorted({-12.0, 12.0, *(min(max(point, -12.0), 12.0) for point in (-mx / sx, -mx / sx - 0.05, -mx / sx + 0.05, 0.0))})
    parts = (quad(below, low, high, epsabs=1e-12, epsrel=1e-10, limit=400)[0] for low, high in pairwise(edges))
    return float(sum(parts))


def quantile(p: float, mean: Sequence[float], sd: Sequence[float]) -> float:
    """Quantile of the product of two independent normals.

    Examples
    --------
    >>> [round(quantile(p, (0.3, 0.4), (0.1, 0.1)), 3) for p in (0.025, 0.975)]
    [0.034, 0.232]
    """
    centre, spread = float(np.prod(mean)), exact_sd(mean, sd)
    return float(brentq(lambda z: cdf(z, mean, sd) - p, centre - 30 * spread, centre + 30 * spread, xtol=1e-10))


def _terms(mean: Sequence[float], sd: Sequence[float], order: int) -> float:
    """Sum, over sets of ``order`` factors, of their variances times the squares of the other means."""
    m, v = np.square(np.asarray(mean, dtype=float)), np.square(np.asarray(sd, dtype=float))
    everyone = set(range(len(m)))
    return float(sum(np.prod(v[list(few)]) * np.prod(m[list(everyone - set(few))]) for few in combinations(everyone, order)))


def _density(u: float) -> float:
    return float(np.exp(-0.5 * u * u) / np.sqrt(2 * np.pi))
