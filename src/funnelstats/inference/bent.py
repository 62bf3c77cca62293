"""How far from normal is the top of a smooth posterior? Its cubic and quartic terms, from curvatures on both sides of the mode.

With many customers a posterior is nearly normal, and each evaluation dear. Two expansions along each axis of the normal give all
third derivatives and all fourth ones but those along four different axes; a sample of the data is enough for them. What they say is
held against the posterior itself at some draws.
"""

from collections.abc import Callable

import numpy as np

from funnelstats.inference.climb import Expansion
from funnelstats.inference.likelihood import Maximum

#: Distance of the expansions from the mode, in standard deviations; draws at which the terms are checked; the largest error allowed.
REACH, CHECKED, WRONG = 1.5, 5, 0.1


def bent_normal(
    expansion: Expansion, log_density: Callable[[np.ndarray], np.ndarray], best: Maximum, rng: np.random.Generator, size: int
) -> tuple[np.ndarray, np.ndarray] | None:  # fmt: skip
    """Draw from the normal about a mode, with the log ratio of the posterior to it.

    Parameters
    ----------
    expansion : callable
        As for :func:`~funnelstats.inference.climb.climb`; of the posterior, or of a sample that stands for it.
    log_density : callable
        Of points, shape (k, n): the log posterior, shape (k,).
    best : Maximum
        The mode and its covariance.
    rng : Generator
    size : int

    Returns
    -------
    (points, log_ratios) or None
        Shapes (size, n) and (size,); None where the terms beyond the normal do not describe the posterior.

    Examples
    --------
    >>> from funnelstats.inference.climb import climb
    >>> hill = lambda p: (400 * float(p[0] - np.exp(p[0])), 400 * (1 - np.exp(p)), np.array([[-400 * np.exp(p[0])]]))  # log of a gamma
    >>> best = climb(hill, names=["u"], starts=[[0.1]], bounds=[(-50, 50)])
    >>> many = lambda points: np.array([hill(point)[0] for point in points])
    >>> points, ratios = bent_normal(hill, many, best, np.random.default_rng(1), 1000)
    >>> exact = many(points) - hill(best.point)[0]
    >>> normal = -(points[:, 0] ** 2) / 2 / best.covariance[0, 0]
    >>> bool(np.max(np.abs(ratios + normal - exact)) < 0.02)
    True
    """
    values, vectors = np.linalg.eigh(best.covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0.0)))[:, values > 1e-12 * values.max(initial=0.0)]
    n = root.shape[1]
    if best.boundary or best.flat or not n:
        return None
    steps = REACH * np.stack([root.T, -root.T], axis=1)
    bends = np.array([[root.T @ expansion(best.point + step)[2] @ root for step in pair] for pair in steps])  # (axis, side, n, n)
    centre = root.T @ expansion(best.point)[2] @ root
    third = (bends[:, 0] - bends[:, 1]) / (2 * REACH)
    fourth = (bends[:, 0] + bends[:, 1] - 2 * centre) / REACH**2
    times = np.full((n, n, n), 6.0)  # how often a term with one axis twice is met in the sum over all four places
    each = np.arange(n)
    times[:, each, each] = 3.0
    times[each, each, :] = times[each, :, each] = 2.0
    times[each, each, each] = 1.0

    def beyond(z: np.ndarray) -> np.ndarray:
        cubic = np.einsum("dk,kij,di,dj->d", z, third, z, z) / 6
        return np.asarray(cubic + np.einsum("dk,kij,di,dj->d", z**2, times * fourth, z, z) / 24)

    z = rng.standard_normal((size, n))
    points = best.point + z @ root.T
    ratios = beyond(z)
    found = log_density(np.concatenate([best.point[None], points[:CHECKED]]))
    error = found[1:] - found[0] + (z[:CHECKED] ** 2).sum(axis=1) / 2 - ratios[:CHECKED]
    return (points, ratios) if np.max(np.abs(error)) <= WRONG else None
