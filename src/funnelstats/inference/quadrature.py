"""What is the posterior of two parameters, exactly? A grid on the free scale, sums over it, and independent draws from it.

The trapezium rule on equally spaced points converges faster than any power of the step for smooth densities that vanish at
both ends (Trefethen & Weideman 2014, SIAM Review 56:385-458), so that a hundred points a side leave no error that matters,
provided that no mass lies on the edge.  That is asserted, and the grid is widened until it holds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.interpolate import RectBivariateSpline
from scipy.optimize import minimize

from funnelstats.errors import FitError, Problem

#: Largest share of the posterior mass that may lie on the outermost rows and columns.
EDGE_MASS = 1e-5
#: Draws come from a grid finer than that of the sums by this factor each way, filled in by a cubic spline.
FINER = 6
#: A log density this far below its highest point is nil.
NIL = -18.0
MOST_WIDENINGS = 24

LogDensity = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Grid:
    """A two-dimensional posterior on equally spaced points.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Points of each axis, on the free scale.
    log_density : ndarray, shape (n, n)
        Log density at each pair, first index ``x``, up to a constant; the highest is 0.

    Examples
    --------
    >>> grid = Grid.of(lambda x, y: -0.5 * (x**2 + (y - 3) ** 2 / 4), start=(1.0, 1.0))
    >>> x, y = grid.points()
    >>> round(float(grid.expect(y)), 9), round(float(grid.expect((y - 3) ** 2)), 6)
    (3.0, 4.0)
    """

    x: np.ndarray
    y: np.ndarray
    log_density: np.ndarray

    @classmethod
    def of(cls, log_density: LogDensity, *, start: Sequence[float], size: int = 96) -> Self:
        """Find where the mass is and lay a grid over it.

        Parameters
        ----------
        log_density : callable
            Takes two arrays that broadcast against one another; the Jacobian of the free scale included.
        start : sequence of two floats
            A point with positive density.
        size : int
            Points of each axis.

        Raises
        ------
        FitError
            The mass never ends: the posterior is not a probability distribution.
        """
        mode = _mode(log_density, start)
        box = [_reach(log_density, mode, axis) for axis in (0, 1)]
        for _ in range(MOST_WIDENINGS):
            x, y = (np.linspace(*side, size) for side in box)
            values = log_density(x[:, None], y[None, :])
            values = np.where(np.isnan(values), -np.inf, values)
            grid = cls(x=x, y=y, log_density=values - values.max())
            wider = grid._wider(box)
            if wider == box:
                trimmed = grid._trimmed(box)
                if trimmed == box:
                    return grid
                wider = trimmed
            box = wider
        fix = "use a proper prior, such as Prior.of('pareto', 1, 0.5) for a concentration"
        found = f"over {EDGE_MASS:g} of the mass is still at the edge of x {box[0]}, y {box[1]}"
        raise FitError("the posterior by quadrature", [Problem("prior", f"expected a posterior that ends, but {found}", fix)])

    # -- sums ----------------------------------------------------------------------------------------------------
    @property
    def weights(self) -> np.ndarray:
        """Posterior mass of each pair of points, shape (n, n); adds up to one."""
        return _normalised(self.log_density)

    @property
    def edge_mass(self) -> float:
        """Mass of the outermost rows and columns."""
        return float(1 - self.weights[1:-1, 1:-1].sum())

    @property
    def cells(self) -> float:
        """How many cells carry the mass (inverse sum of squared weights); under some dozens the grid is too coarse."""
        return float(1 / (self.weights**2).sum())

    def points(self) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates that broadcast to the grid."""
        return self.x[:, None], self.y[None, :]

    def expect(self, values: Any) -> Any:
        """Posterior mean of values on the grid, shape (n, n) or broadcastable."""
        return (self.weights * values).sum()

    # -- the same posterior, filled in ---------------------------------------------------------------------------
    def finer(self) -> "Grid":
        """Fill in between the points by a cubic spline of the log density."""
        floor = np.maximum(self.log_density, 4 * NIL)
        spline = RectBivariateSpline(self.x, self.y, floor)
        x, y = (np.linspace(axis[0], axis[-1], FINER * (len(axis) - 1) + 1) for axis in (self.x, self.y))
        return Grid(x=x, y=y, log_density=spline(x, y))

    def quantiles(self, function: Callable[[np.ndarray, np.ndarray], Any], probs: Sequence[float]) -> np.ndarray:
        """Posterior quantiles of a function of the two parameters, shape (len(probs),)."""
        fine = self.finer()
        values = np.broadcast_to(function(*fine.points()), fine.log_density.shape).ravel()
        # a function of one parameter has one value for a whole line of points: their mass belongs together
        values, place = np.unique(values, return_inverse=True)
        mass = np.bincount(place, weights=fine.weights.ravel())
        return np.interp(probs, np.cumsum(mass) - mass / 2, values)

    def draw(self, rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Independent draws of both parameters, shape (size,) each: a cell by its mass, then a point within it."""
        fine = self.finer()
        cell = rng.choice(fine.log_density.size, size=size, p=fine.weights.ravel())
        row, column = np.unravel_index(cell, fine.log_density.shape)
        spread = rng.uniform(-0.5, 0.5, size=(2, size))
        step_x, step_y = fine.x[1] - fine.x[0], fine.y[1] - fine.y[0]
        return fine.x[row] + step_x * spread[0], fine.y[column] + step_y * spread[1]

    # -- laying it -----------------------------------------------------------------------------------------------
    def _sides(self) -> list[tuple[float, float]]:
        """Mass of the first and the last line along each axis."""
        weights = self.weights
        return [(float(m[0]), float(m[-1])) for m in (weights.sum(axis=1), weights.sum(axis=0))]

    def _wider(self, box: list[tuple[float, float]]) -> list[tuple[float, float]]:
        """Move out by half its length every side on which mass lies; a fifth of the bound each, as there are four."""
        wider = []
        for (low, high), (first, last) in zip(box, self._sides(), strict=True):
            length = high - low
            wider.append(
                (low - length / 2 if first > EDGE_MASS / 5 else low, high + length / 2 if last > EDGE_MASS / 5 else high)
            )
        return wider

    def _trimmed(self, box: list[tuple[float, float]]) -> list[tuple[float, float]]:
        """Cut a side back when more than half of an axis is empty, so that the points lie where the mass is."""
        trimmed = []
        for axis, points, (low, high) in zip((1, 0), (self.x, self.y), box, strict=True):
            marginal = self.weights.sum(axis=axis)
            alive = np.flatnonzero(marginal > EDGE_MASS / 1000)
            first, last = max(alive[0] - 2, 0), min(alive[-1] + 2, len(points) - 1)
            half = last - first < len(points) / 2
            trimmed.append((float(points[first]), float(points[last])) if half else (low, high))
        return trimmed


def _mode(log_density: LogDensity, start: Sequence[float]) -> np.ndarray:
    def cost(point: np.ndarray) -> float:
        value = float(log_density(np.array(point[0]), np.array(point[1])))
        return -value if np.isfinite(value) else 1e300

    return np.asarray(minimize(cost, np.asarray(start, dtype=float), method="Nelder-Mead", options={"maxiter": 400}).x)


def _reach(log_density: LogDensity, mode: np.ndarray, axis: int) -> tuple[float, float]:
    """Step out from the mode along one axis, doubling, until the density is nil."""
    highest = float(log_density(np.array(mode[0]), np.array(mode[1])))
    ends = []
    for sign in (-1, 1):
        step = 1e-3
        while step < 64:
            point = mode.copy()
            point[axis] += sign * step
            value = float(log_density(np.array(point[0]), np.array(point[1])))
            if not value - highest > NIL:
                break
            step *= 1.5
        ends.append(mode[axis] + sign * step)
    return float(ends[0]), float(ends[1])


def _normalised(log_density: np.ndarray) -> np.ndarray:
    weights = np.exp(log_density - log_density.max())
    return np.asarray(weights / weights.sum())
