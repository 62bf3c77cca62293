"""Where is the likelihood highest, and how sharply? Maximum likelihood on a free scale, with draws and a boundary report.

Parameters live on an unbounded scale (logs, logits), where the likelihood is closest to normal and no step can leave the
parameter space.  Draws are those of the normal with the inverse observed information (Laplace's approximation).  Where the
maximum lies at an edge the parameter is named, held there, and never given an error.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize

from funnelstats.errors import FitError, Problem
from funnelstats.inference.diagnose import Check, Verdict

#: Within this distance of a bound of the free scale, a maximum is at the boundary.
AT_BOUND = 1e-2
GRADIENT_MAX = 1e-2
#: A log likelihood that falls by less than this all the way to a bound has its maximum there.
PLATEAU = 1e-4
KHAT_MAX = 0.7


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Maximum:
    """A maximum of a log likelihood.

    Attributes
    ----------
    names : tuple of str
        Of the free parameters.
    point : ndarray, shape (n,)
        On the free scale.
    log_likelihood : float
    covariance : ndarray, shape (n, n)
        Inverse observed information; zero rows for parameters at a bound.
    gradient : float
        Largest absolute slope at the point, parameters at a bound left out.
    boundary : tuple of str
        Parameters whose maximum is at a bound: the data do not say how far beyond it.
    flat : tuple of str
        Parameters along which the likelihood does not fall: not identified.
    """

    names: tuple[str, ...]
    point: np.ndarray
    log_likelihood: float
    covariance: np.ndarray
    gradient: float
    boundary: tuple[str, ...]
    flat: tuple[str, ...]

    def draw(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """Laplace draws on the free scale, shape (size, n); a parameter at a bound does not vary."""
        return np.asarray(rng.multivariate_normal(self.point, self.covariance, size=size, method="eigh"))

    def checks(self) -> tuple[Check, ...]:
        """What a diagnosis says of a maximum: its gradient, its boundary and its flat directions."""
        far = "the data put no bound on it; report what does not depend on it"
        steep = Check(name="gradient", value=self.gradient, bound=f"at most {GRADIENT_MAX}", where="the optimiser stopped early",
                      verdict="PASS" if self.gradient <= GRADIENT_MAX else "FAIL")  # fmt: skip
        edge = Check(name="parameters at a bound", value=len(self.boundary), bound="0", where=", ".join(self.boundary) or far,
                     verdict="REVIEW" if self.boundary else "PASS")  # fmt: skip
        flat = Check(name="flat directions", value=len(self.flat), bound="0", where=", ".join(self.flat),
                     verdict="FAIL" if self.flat else "PASS")  # fmt: skip
        return (steep, edge, flat)


def maximise(
    log_likelihood: Callable[[np.ndarray], float], *, names: Sequence[str], starts: Sequence[Sequence[float]],
    bounds: Sequence[tuple[float, float]], gradient: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Maximum:  # fmt: skip
    """Maximise from several starts and measure the curvature.

    Parameters
    ----------
    log_likelihood : callable
        Of one point, shape (n,).
    names : sequence of str
        Of the free parameters.
    starts : sequence of points
        The best end of them all is kept.
    bounds : sequence of (lower, upper)
        How far out to look on the free scale, wide enough that a maximum there means "infinite".
    gradient : callable, optional
        Analytic slope; without it differences are taken.

    Returns
    -------
    Maximum

    Raises
    ------
    FitError
        No start has a finite likelihood.

    Examples
    --------
    >>> found = maximise(lambda p: -((p[0] - 2) ** 2) / 2, names=["x"], starts=[[0.0]], bounds=[(-50, 50)])
    >>> round(float(found.point[0]), 4), round(float(found.covariance[0, 0]), 4)
    (2.0, 1.0)
    """

    def cost(point: np.ndarray) -> float:
        value = float(log_likelihood(point))
        return -value if np.isfinite(value) else 1e300

    slope = None if gradient is None else (lambda point: -gradient(point))

    def climb(start: Any, within: Sequence[tuple[float, float]]) -> Any:
        options = {"maxiter": 2000, "ftol": 1e-14, "gtol": 1e-8}
        return minimize(cost, np.asarray(start, dtype=float), jac=slope, method="L-BFGS-B", bounds=list(within), options=options)

    best = min((climb(start, bounds) for start in starts), key=lambda end: float(end.fun))
    if best.fun >= 1e300:
        raise FitError("maximum likelihood", [Problem("starts", "expected a finite likelihood at one of them, found none")])
    ends = [_end(cost, best, at, pair) for at, pair in enumerate(bounds)]
    if any(end is not None for end in ends):  # the climb stopped on a plateau that goes on to the bound
        pinned = [pair if end is None else (end, end) for end, pair in zip(ends, bounds, strict=True)]
        best = climb([value if end is None else end for end, value in zip(ends, best.x, strict=True)], pinned)
    point = np.asarray(best.x)
    held = np.array([min(value - low, high - value) < AT_BOUND for value, (low, high) in zip(point, bounds, strict=True)])
    free = np.flatnonzero(~held)
    information, slopes = _curvature(cost, point, free)
    covariance, flat = _inverse(information)
    full = np.zeros((len(point), len(point)))
    full[np.ix_(free, free)] = covariance
    named = np.asarray(names)
    return Maximum(
        names=tuple(names), point=point, log_likelihood=-float(best.fun), covariance=full, flat=tuple(named[free[flat]].tolist()),
        gradient=float(np.max(np.abs(slopes), initial=0.0)), boundary=tuple(named[held].tolist()),
    )  # fmt: skip


def laplace_check(log_density: Callable[[np.ndarray], Any], maximum: Maximum, draws: np.ndarray) -> Check:
    """Judge how far the normal is from the likelihood, by the Pareto k-hat of the importance ratios.

    Vehtari, Simpson, Gelman, Yao & Gabry (2024), JMLR 25(72): above 0.7 the two are too far apart.

    Parameters
    ----------
    log_density : callable
        Log likelihood of one point on the free scale.
    maximum : Maximum
    draws : ndarray, shape (n_draws, n)
        From :meth:`Maximum.draw`.
    """
    from arviz_stats.base.array import array_stats

    apart = draws - maximum.point
    inverse = np.linalg.pinv(maximum.covariance)
    ratios = np.array([float(log_density(point)) for point in draws]) + 0.5 * np.einsum("di,ij,dj->d", apart, inverse, apart)
    finite = np.maximum(ratios, ratios.max() - 700.0)  # a draw where the likelihood is nil has weight nil
    khat = float(array_stats.psislw(finite)[1]) if np.ptp(finite) > 1e-9 else 0.0  # equal ratios: nothing varies
    verdict: Verdict = "PASS" if khat <= KHAT_MAX else "REVIEW"
    where = "the likelihood is far from normal: prefer quadrature or mcmc"
    return Check(name="k-hat of Laplace", value=khat, bound=f"at most {KHAT_MAX}", verdict=verdict, where=where)


def _end(cost: Callable[[np.ndarray], float], best: Any, at: int, bounds: tuple[float, float]) -> float | None:
    """Return the bound of one parameter at which the likelihood is as high as at the best point, if there is one."""
    for bound in bounds:
        moved = np.array(best.x)
        moved[at] = bound
        if cost(moved) <= float(best.fun) + PLATEAU:
            return bound
    return None


def _curvature(cost: Callable[[np.ndarray], float], point: np.ndarray, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Observed information and slopes by central differences, steps of 1e-4 of the size of a parameter (at least 1)."""
    steps = np.zeros(len(point))
    steps[free] = 1e-4 * np.maximum(1.0, np.abs(point[free]))
    at = [np.where(np.arange(len(point)) == i, steps, 0.0) for i in free]
    centre = cost(point)
    slopes = np.array([(cost(point + d) - cost(point - d)) / (2 * d.sum()) for d in at])
    information = np.empty((len(free), len(free)))
    for row, d in enumerate(at):
        for column, e in enumerate(at):
            if row == column:
                second = cost(point + d) - 2 * centre + cost(point - d)
            else:
                second = (cost(point + d + e) - cost(point + d - e) - cost(point - d + e) + cost(point - d - e)) / 4
            information[row, column] = second / (d.sum() * e.sum())
    return information, slopes


def _inverse(information: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Invert, leaving out directions in which the likelihood does not curve; say which parameters they concern."""
    values, vectors = np.linalg.eigh((information + information.T) / 2)
    keep = values > 1e-8 * max(float(values.max(initial=0.0)), 1e-300)
    inverse = (vectors[:, keep] / values[keep]) @ vectors[:, keep].T
    return np.asarray(inverse), sorted({int(np.argmax(np.abs(vectors[:, i]))) for i in np.flatnonzero(~keep)})
