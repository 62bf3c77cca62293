"""Where is a likelihood with a known slope highest? A quasi-Newton climb, then Newton's steps whose curvature gives the errors.

Several starts are looked at and the best is climbed from; the others are climbed only where that end is not a clean maximum.
The result is the same :class:`~funnelstats.inference.likelihood.Maximum` as of the general maximiser, from a tenth of the evaluations.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import minimize

from funnelstats.errors import FitError, Problem
from funnelstats.inference.likelihood import AT_BOUND, GRADIENT_MAX, PLATEAU, Maximum

Slope = Callable[[np.ndarray], tuple[float, np.ndarray]]
#: A parameter whose information is less may have its maximum at a bound; it is looked at there.
FAINT = 0.25


def climb(
    value_and_slope: Slope, *, names: Sequence[str], starts: Sequence[Sequence[float]], bounds: Sequence[tuple[float, float]]
) -> Maximum:  # fmt: skip
    """Maximise a function of a few parameters on a free scale.

    Parameters
    ----------
    value_and_slope : callable
        Of one point, shape (n,): the log likelihood and its gradient.
    names : sequence of str
    starts : sequence of points
    bounds : sequence of (lower, upper)
        So wide that a maximum there means "infinite".

    Returns
    -------
    Maximum

    Examples
    --------
    >>> found = climb(lambda p: (-2 * float((p[0] - 1) ** 2), -4 * (p - 1)), names=["x"], starts=[[0.0]], bounds=[(-50, 50)])
    >>> round(float(found.point[0]), 6), round(float(found.covariance[0, 0]), 6)
    (1.0, 0.25)
    """
    low, high = np.array(bounds).T

    def cost(point: np.ndarray) -> tuple[float, np.ndarray]:
        with np.errstate(all="ignore"):
            value, slope = value_and_slope(point)
        return (-value, -slope) if np.isfinite(value) and np.all(np.isfinite(slope)) else (1e300, np.zeros(len(point)))

    order = sorted((np.asarray(start, dtype=float) for start in starts), key=lambda start: cost(start)[0])
    best: Maximum | None = None
    for start in order:
        found = _ascend(cost, start, low, high, tuple(names))
        if found is not None and (best is None or found.log_likelihood > best.log_likelihood):
            best = found
        if found is not None and found.gradient <= GRADIENT_MAX and not found.flat:
            break
    if best is None:
        raise FitError("maximum likelihood", [Problem("starts", "expected a finite likelihood at one of them, found none")])
    return best


def _ascend(cost: Slope, start: np.ndarray, low: np.ndarray, high: np.ndarray, names: tuple[str, ...]) -> Maximum | None:
    bounds = list(zip(low, high, strict=True))
    end = minimize(cost, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500, "ftol": 1e-11, "gtol": 1e-4})
    if end.fun >= 1e300:
        return None
    point, held = np.asarray(end.x), np.zeros(len(low), dtype=bool)
    point, value, slope, information = _polish(cost, point, held | _touching(point, low, high), low, high)
    for at in np.flatnonzero(np.diag(information) < FAINT):
        for bound in (low[at], high[at]):
            moved = point.copy()
            moved[at] = bound
            if cost(moved)[0] <= value + PLATEAU:
                held[at], point = True, moved
                break
    if held.any():
        pinned = [(point[i], point[i]) if held[i] else bounds[i] for i in range(len(low))]
        end = minimize(cost, point, jac=True, method="L-BFGS-B", bounds=pinned, options={"maxiter": 500, "ftol": 1e-13})
        point = np.asarray(end.x)
    held = held | _touching(point, low, high)
    point, value, slope, information = _polish(cost, point, held, low, high)
    free = np.flatnonzero(~held)
    values, vectors = np.linalg.eigh(information[np.ix_(free, free)])
    keep = values > 1e-8 * max(float(values.max(initial=0.0)), 1e-300)
    covariance = np.zeros((len(low), len(low)))
    covariance[np.ix_(free, free)] = (vectors[:, keep] / values[keep]) @ vectors[:, keep].T
    flat = sorted({names[free[int(np.argmax(np.abs(vectors[:, i])))]] for i in np.flatnonzero(~keep)})
    return Maximum(names=names, point=point, log_likelihood=-value, covariance=covariance, flat=tuple(flat),
                   gradient=float(np.max(np.abs(slope[free]), initial=0.0)),
                   boundary=tuple(np.asarray(names)[held].tolist()))  # fmt: skip


def _touching(point: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return np.asarray(np.minimum(point - low, high - point) < AT_BOUND)


def _polish(
    cost: Slope, point: np.ndarray, held: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, float, np.ndarray, np.ndarray]:  # fmt: skip
    """Newton's steps while they help; returns the point, its cost, slope and information (zero where held)."""
    value, slope = cost(point)
    information = _information(cost, point, held)
    free = np.flatnonzero(~held)
    for _ in range(8):
        if not len(free) or np.max(np.abs(slope[free])) < 1e-6:
            break
        inner = information[np.ix_(free, free)]
        if np.linalg.eigvalsh(inner)[0] <= 0:
            break
        step = np.zeros(len(point))
        step[free] = np.linalg.solve(inner, slope[free])
        moved = np.clip(point - step, low, high)
        after = cost(moved)
        if not after[0] <= value:
            break
        gain = value - after[0]
        point, (value, slope) = moved, after
        if np.max(np.abs(step)) > 1e-3:  # the curvature has changed: measure it anew
            information = _information(cost, point, held)
        elif gain < 1e-12:
            break
    return point, value, slope, information


def _information(cost: Slope, point: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Observed information by central differences of the slope."""
    size = len(point)
    out = np.zeros((size, size))
    for i in np.flatnonzero(~held):
        h = 1e-4 * max(1.0, abs(point[i]))
        step = np.where(np.arange(size) == i, h, 0.0)
        out[i] = (cost(point + step)[1] - cost(point - step)[1]) / (2 * h)
    return np.asarray((out + out.T) / 2)
