"""Which level of marketing brings the target, and which levels cannot be ruled out? The set of them, by inversion.

``M* = (R* - intercept) / slope`` is a ratio: where the slope is not clear of zero, no bounded interval can hold it with any
stated confidence (Fieller 1954, JRSS-B 16:175-185).  The set of levels whose mean is compatible with the target is then two
half-lines or the whole line, and it is returned as such.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from funnelstats.errors import DataError, FitError, Problem
from funnelstats.interval import DEFAULT
from funnelstats.models.chain_support import amount


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelSet:
    """Levels that a target does not rule out.

    Attributes
    ----------
    shape : {"interval", "two half-lines", "whole line"}
        Bounded only where the slope is clear of zero.
    lower, upper : float
        Ends of the interval; of the gap between two half-lines; infinite for the whole line.
    point : float
        Where the line itself meets the target; infinite for a slope of zero.
    prob : float
        Confidence.
    unit : str

    Examples
    --------
    >>> print(level_set(100, intercept=0, slope=2, covariance=[[1, 0], [0, 0.0001]], critical=2.0))
    50 (90% Fieller set 48.89 to 51.12)
    >>> print(level_set(100, intercept=0, slope=0.1, covariance=[[1, 0], [0, 0.01]], critical=2.0))
    1,000 (90% Fieller set: at most -999.9 or at least 333.2; the slope is not clear of zero)
    """

    shape: Literal["interval", "two half-lines", "whole line"]
    lower: float
    upper: float
    point: float
    prob: float = DEFAULT.prob
    unit: str = ""

    @property
    def bounded(self) -> bool:
        """Whether the set is an interval."""
        return self.shape == "interval"

    def __contains__(self, level: float) -> bool:
        inside = self.lower <= level <= self.upper
        return inside if self.shape == "interval" else not inside or self.shape == "whole line"

    def __str__(self) -> str:
        head, rule = amount(self.point, self.unit), f"{round(100 * self.prob, 6):g}% Fieller set"
        if self.shape == "interval":
            return f"{head} ({rule} {self.lower:.4g} to {self.upper:.4g})"
        if self.shape == "whole line":
            return f"{head} ({rule}: every level; the slope is not clear of zero)"
        return f"{head} ({rule}: at most {self.lower:.4g} or at least {self.upper:.4g}; the slope is not clear of zero)"


def level_set(
    target: float, *, intercept: float, slope: float, covariance: object, critical: float, noise: float = 0.0,
    prob: float = DEFAULT.prob, unit: str = "",
) -> LevelSet:  # fmt: skip
    """Levels ``x`` at which ``intercept + slope x`` is within ``critical`` standard errors of the target.

    Parameters
    ----------
    target : float
    intercept, slope : float
        Estimates.
    covariance : array_like, shape (2, 2)
        Of intercept and slope, in that order.
    critical : float
        Quantile of the t or normal distribution.
    noise : float
        Variance to add: that of the target itself, where it is one observation and not a mean.
    prob, unit
        Shown with the set.

    Returns
    -------
    LevelSet
    """
    v = np.asarray(covariance, dtype=float)
    point = (target - intercept) / slope if slope else float(np.inf)
    # shift the origin to where the variance of the line is least, so that the quadratic keeps its digits
    shift = -v[0, 1] / v[1, 1] if v[1, 1] > 0 else 0.0
    apart, least = target - intercept - slope * shift, v[0, 0] + 2 * v[0, 1] * shift + v[1, 1] * shift**2
    a = slope**2 - critical**2 * v[1, 1]
    c = apart**2 - critical**2 * (max(least, 0.0) + noise)
    inner = (slope * apart) ** 2 - a * c
    if inner < 0 or a == 0:
        return LevelSet(shape="whole line", lower=-np.inf, upper=np.inf, point=point, prob=prob, unit=unit)
    low, high = sorted((slope * apart + sign * np.sqrt(inner)) / a + shift for sign in (-1, 1))
    return LevelSet(
        shape="interval" if a > 0 else "two half-lines",
        lower=float(low),
        upper=float(high),
        point=float(point),
        prob=prob,
        unit=unit,
    )


def inverse_prediction(
    x: object, y: object, target: float, *, prob: float = DEFAULT.prob, mean_response: bool = True, unit: str = "",
) -> LevelSet:  # fmt: skip
    """Levels of ``x`` at which a straight line fitted to the data meets a target (calibration by inversion).

    Parameters
    ----------
    x, y : array_like, shape (n,)
    target : float
        A value of ``y``.
    prob : float
        Confidence of the set.
    mean_response : bool
        Whether the target is a mean of ``y`` (a plan for the average month) or one observation of it (an instrument's reading).
    unit : str
        Of ``x``.

    Raises
    ------
    FitError
        Fewer than three points, a constant ``x``, or points exactly on a line.

    Examples
    --------
    >>> reading = inverse_prediction([1, 2, 3, 4], [2.1, 3.9, 6.2, 7.8], 5.0, prob=0.95)
    >>> f"{reading.lower:.3f} {reading.upper:.3f}"
    '2.271 2.729'
    """
    from scipy.stats import t

    levels, seen = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if levels.shape != seen.shape or levels.ndim != 1:
        raise DataError(
            "inverse prediction", [Problem("x", f"expected as many numbers as in y, found {levels.shape} and {seen.shape}")]
        )
    n = len(levels)
    if n < 3 or np.ptp(levels) == 0:
        raise FitError(
            "inverse prediction", [Problem("x", "expected three or more points with different x: the slope is not identified")]
        )
    centre, squares = levels.mean(), np.sum((levels - levels.mean()) ** 2)
    slope = float(np.sum((levels - centre) * seen) / squares)
    residual = seen - seen.mean() - slope * (levels - centre)
    variance = float(residual @ residual / (n - 2))
    if variance <= 1e-18 * np.var(seen):
        raise FitError(
            "inverse prediction", [Problem("y", "zero residual: the points lie exactly on a line, no uncertainty is identified")]
        )
    covariance = variance * np.array([[1 / n + centre**2 / squares, -centre / squares], [-centre / squares, 1 / squares]])
    return level_set(
        target,
        intercept=float(seen.mean() - slope * centre),
        slope=slope,
        covariance=covariance,
        prob=prob,
        unit=unit,
        critical=float(t.ppf((1 + prob) / 2, n - 2)),
        noise=0.0 if mean_response else variance,
    )
