"""Where is a likelihood with a known slope and curvature highest? Newton's steps, whose curvature at the end gives the errors.

Later starts are climbed from only where the end of the climb from an earlier one is not a clean maximum inside the bounds.
The result is the same :class:`~funnelstats.inference.likelihood.Maximum` as of the general maximiser, from a tenth of the evaluations.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from funnelstats.errors import FitError, Problem
from funnelstats.inference.likelihood import AT_BOUND, GRADIENT_MAX, PLATEAU, Maximum

#: Of one point: value, slope, shape (n,), and curvature, shape (n, n).
Expansion = Callable[[np.ndarray], tuple[float, np.ndarray, np.ndarray]]
#: A parameter whose information is less may have its maximum at a bound; it is looked at there.
FAINT = 0.25
#: Longest step on the free scale, most steps, and the gain that a step must still promise.
STRIDE, STEPS, GAIN = 2.0, 200, 1e-12
#: A cost is known to this relative precision.
ROUNDING = 1e-11


def climb(
    expansion: Expansion, *, names: Sequence[str], starts: Sequence[Any], bounds: Sequence[tuple[float, float]]
) -> Maximum:  # fmt: skip
    """Maximise a function of a few parameters on a free scale.

    Parameters
    ----------
    expansion : callable
        Of one point, shape (n,): the log likelihood, its slope and its curvature.
    names : sequence of str
    starts : sequence of points
    bounds : sequence of (lower, upper)
        So wide that a maximum there means "infinite".

    Returns
    -------
    Maximum

    Examples
    --------
    >>> hill = lambda p: (-2 * float((p[0] - 1) ** 2), -4 * (p - 1), np.array([[-4.0]]))
    >>> found = climb(hill, names=["x"], starts=[[0.0]], bounds=[(-50, 50)])
    >>> round(float(found.point[0]), 6), round(float(found.covariance[0, 0]), 6)
    (1.0, 0.25)
    """
    low, high = np.array(bounds, dtype=float).T

    def cost(point: np.ndarray) -> _Place:
        with np.errstate(all="ignore"):
            value, slope, bend = expansion(point)
        sound = np.isfinite(value) and np.all(np.isfinite(slope)) and np.all(np.isfinite(bend))
        return (point, -value, -slope, -bend) if sound else (point, np.inf, slope, bend)

    best: Maximum | None = None
    for start in starts:
        if not np.isfinite((place := cost(np.asarray(start, dtype=float)))[1]):
            continue
        found = _ascend(cost, place, low, high, tuple(names))
        if best is None or found.log_likelihood > best.log_likelihood:
            best = found
        if found.gradient <= GRADIENT_MAX and not (found.flat or found.boundary):
            break
    if best is None:
        raise FitError("maximum likelihood", [Problem("starts", "expected a finite likelihood at one of them, found none")])
    return best


#: A point with its cost, slope and information.
_Place = tuple[np.ndarray, float, np.ndarray, np.ndarray]
_Cost = Callable[[np.ndarray], _Place]


def _ascend(cost: _Cost, place: _Place, low: np.ndarray, high: np.ndarray, names: tuple[str, ...]) -> Maximum:
    held = np.zeros(len(low), dtype=bool)
    place = _descend(cost, place, held, low, high)
    for at in np.flatnonzero(np.diag(place[3]) < FAINT):
        for bound in (low[at], high[at]):
            moved = place[0].copy()
            moved[at] = bound
            if (there := cost(moved))[1] <= place[1] + PLATEAU:
                held[at], place = True, there
                break
    if held.any():
        place = _descend(cost, place, held, low, high)
    point, value, slope, information = place
    held = held | (np.minimum(point - low, high - point) < AT_BOUND)
    free = np.flatnonzero(~held)
    values, vectors = np.linalg.eigh(information[np.ix_(free, free)])
    keep = values > 1e-8 * max(float(values.max(initial=0.0)), 1e-300)
    covariance = np.zeros((len(low), len(low)))
    covariance[np.ix_(free, free)] = (vectors[:, keep] / values[keep]) @ vectors[:, keep].T
    flat = sorted({names[free[int(np.argmax(np.abs(vectors[:, i])))]] for i in np.flatnonzero(~keep)})
    return Maximum(names=names, point=point, log_likelihood=-value, covariance=covariance, flat=tuple(flat),
                   gradient=float(np.max(np.abs(slope[free]), initial=0.0)),
                   boundary=tuple(np.asarray(names)[held].tolist()))  # fmt: skip


def _descend(cost: _Cost, place: _Place, held: np.ndarray, low: np.ndarray, high: np.ndarray) -> _Place:
    """Newton's steps, uphill directions turned round, shortened until the cost falls; parameters that are held stay."""
    before = np.inf
    for _ in range(STEPS):
        point, value, slope, information = place
        stuck = held | ((point <= low) & (slope > 0)) | ((point >= high) & (slope < 0))
        free = np.flatnonzero(~stuck)
        values, vectors = np.linalg.eigh(information[np.ix_(free, free)])
        along = vectors.T @ slope[free]
        size = np.maximum(np.abs(values), max(1e-10 * np.abs(values).max(initial=0.0), 1e-300))
        gain, rounding = float(along**2 @ (1 / size)), ROUNDING * (1 + abs(value))
        if gain < GAIN or rounding > gain >= before:
            break
        step = np.zeros(len(point))
        step[free] = -vectors @ (along / size)
        step *= min(1.0, STRIDE / np.abs(step).max())
        moved = cost(np.clip(point + step, low, high))
        tries = 0
        while not moved[1] < value and gain > rounding and tries < 30:  # below rounding the cost cannot say, but the slope can
            step, tries = step / 4, tries + 1
            moved = cost(np.clip(point + step, low, high))
        if tries == 30 or not np.isfinite(moved[1]):
            break
        place, before = moved, gain
    return place


def by_differences(many: Callable[[np.ndarray], np.ndarray], point: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Expand a function of points, shape (k, n), by central differences.

    Steps are 1e-4 for the slope and 1e-3 for the curvature, which on a scale of logs are small and well above rounding.
    """
    n, near, far = len(point), 1e-4 * np.eye(len(point)), 1e-3 * np.eye(len(point))
    above, beside = np.triu_indices(n, 1)
    pairs = far[above] + far[beside]
    steps = np.concatenate([np.zeros((1, n)), near, -near, far, -far, pairs, -pairs])
    parts = np.split(many(point + steps), np.cumsum([1, n, n, n, n, len(pairs)]))
    single = parts[3] + parts[4]
    bend = np.diag(single - 2 * parts[0]) / 1e-6
    bend[above, beside] = (parts[5] + parts[6] - single[above] - single[beside] + 2 * parts[0]) / 2e-6
    return float(parts[0][0]), (parts[1] - parts[2]) / 2e-4, bend + np.triu(bend, 1).T
