"""What will living customers buy within each of several horizons, each with its weight? Once for each frequency, not each history.

Of the BG/NBD and its like, whose expectation of ``x`` purchases by age ``T`` is ``c F_x(t / (alpha+T))``: for one draw and one
frequency a smooth curve.  It is evaluated at Chebyshev's points in ``log(1 + t / (alpha+T))`` and read in between; every second
point is held against the others, and where they do not tell it the expectation is evaluated itself.
"""

import numpy as np

from funnelstats.distributions.coin import expected_while_alive

#: Points of the curve; every second one must tell the others to this share of the largest: all of them are then right to its square.
POINTS, TOLD = 21, 1e-5
#: Shortest range of the curve: of one age and one horizon it would be a point.
NARROW = 1e-3
#: Numbers held at one time.
CHUNK = 4_000_000


def weighted_while_alive(
    ends: np.ndarray, weights: np.ndarray, x: np.ndarray, T: np.ndarray, *,
    r: np.ndarray, alpha: np.ndarray, a: np.ndarray, b: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Sum of weighted expectations of purchases within each horizon, of customers alive at T.

    Parameters
    ----------
    ends, weights : ndarray, shape (n_ends,)
        Horizons, in the unit of T, and what an expectation counts.
    x, T : ndarray, shape (n_rows,)
        Frequency and age.
    r, alpha, a, b : ndarray, shape (k, 1)
        Draws of the shapes.

    Returns
    -------
    ndarray, shape (k, n_rows)

    Examples
    --------
    >>> shapes = {name: np.array([[value]]) for name, value in {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}.items()}
    >>> weighted_while_alive(np.array([26.0, 52.0]), np.array([0.5, 0.5]), np.array([2.0]), np.array([38.9]), **shapes).round(6)
    array([[1.664296]])
    """
    ages, at_age = np.unique(T, return_inverse=True)
    size = max(1, CHUNK // (POINTS * len(ages)))
    parts = [slice(start, start + size) for start in range(0, len(r), size)]
    pieces = [_piece(ends, weights, x, ages, at_age, r[at], alpha[at], a[at], b[at]) for at in parts]
    return np.concatenate(pieces)


def _piece(
    ends: np.ndarray, weights: np.ndarray, x: np.ndarray, ages: np.ndarray, at_age: np.ndarray,
    r: np.ndarray, alpha: np.ndarray, a: np.ndarray, b: np.ndarray,
) -> np.ndarray:  # fmt: skip
    xs, at_x = np.unique(x, return_inverse=True)
    places = np.log1p(ends / (alpha + ages)[..., None])  # (k, n_ages, n_ends)
    low = places.min(axis=(1, 2))
    half = np.maximum(places.max(axis=(1, 2)) - low, NARROW) / 2
    points = (low + half)[:, None] + half[:, None] * _COSINES
    curve = expected_while_alive(
        np.expm1(points)[:, None], r=(r + xs)[..., None], alpha=1.0, a=a[..., None], b=(b + xs)[..., None]
    )
    missed = np.abs(curve[..., 1::2] - curve[..., ::2] @ _BETWEEN).max(axis=-1)
    if np.any(missed > TOLD * curve.max(axis=-1)):
        alone = [
            weight * expected_while_alive(end, r=r + x, alpha=alpha + ages[at_age], a=a, b=b + x)
            for end, weight in zip(ends, weights, strict=True)
        ]
        return np.sum(alone, axis=0)
    along = np.zeros((*places.shape[:2], POINTS))
    for at, weight in enumerate(weights):
        along += weight * _reading(points, places[..., at])
    out = np.empty((len(r), len(x)))
    for at in range(len(xs)):
        rows = np.flatnonzero(at_x == at)
        out[:, rows] = (along[:, at_age[rows]] @ curve[:, at, :, None])[..., 0]
    return out


def _reading(points: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Share of each point, shape (k, m), in the value at each place, shape (k, n): barycentric, Berrut & Trefethen (2004), eq. 5.4."""
    gap = places[..., None] - points[:, None]
    gap[gap == 0] = 1e-300
    share = _signs(points.shape[-1]) / gap
    return np.asarray(share / share.sum(axis=-1, keepdims=True))


def _signs(points: int) -> np.ndarray:
    signs = (-1.0) ** np.arange(points)
    signs[[0, -1]] /= 2
    return signs


_COSINES = np.cos(np.pi * np.arange(POINTS) / (POINTS - 1))
#: From every second point to the others.
_BETWEEN = _reading(_COSINES[None, ::2], _COSINES[None, 1::2])[0].T
