"""What is the density of crossed effects on several logits, and its slope? Written out and compiled once, not for each model.

Parameters of the free scale, one flat vector: ``base`` (stage), the average logit over the levels observed; for each grouping
``log_sd`` (stage), ``vine`` (pair; logit of ``(partial correlation + 1)/2``; none for a grouping with few levels) and ``rows``
(level but one, stage).

*Sum to zero.* Effects of the levels observed are their common mean and a part that adds up to zero over levels.  The counts speak
of the second and of ``base`` only, so the mean is left out here and drawn afterwards (``multilevel.py``); that takes away the ridge
between the average and the effects.  *Partly centred.* ``rows = raw * sd ** centring`` with ``raw`` standard normal: 0 where a level
says little, 1 where its counts say nearly all (Papaspiliopoulos, Roberts & Skoeld 2007, Statistical Science 22:59-73).  *Correlated.*
``effect = sd * (C raw)``; under LKJ(eta) the partial correlations of the C-vine that make up ``C`` are independent betas
(Lewandowski, Kurowicka & Joe 2009, Journal of Multivariate Analysis 100:1989-2001), so no determinant is needed.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numba
import numpy as np

#: A slope by hand and a cached machine code: a general compiler takes ten seconds for every new model, this none.
_compiled = numba.njit(cache=True, nogil=True, error_model="numpy")


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class CrossedDensity:
    """Log density and slope of a crossed multi-stage logit with binomial counts.

    Attributes
    ----------
    wins, trials : ndarray of float, shape (n_cells,)
    stage : ndarray of int, shape (n_cells,)
    level : ndarray of int, shape (n_groupings, n_cells)
    levels : ndarray of int, shape (n_groupings,)
        How many levels each grouping has.
    centring : ndarray, shape (n_groupings, n_stages)
        From 0 to 1. The posterior does not depend on it, the ease of sampling does.
    correlated : ndarray of bool, shape (n_groupings,)
        Whether effects of different stages are correlated; independent otherwise.
    stages : int
    base : tuple of float
        Mean and sd of the normal prior of each average logit.
    spread : float
        Scale of the half-normal prior of each sd.
    eta : float
        Of LKJ.
    """

    wins: np.ndarray
    trials: np.ndarray
    stage: np.ndarray
    level: np.ndarray
    levels: np.ndarray
    centring: np.ndarray
    correlated: np.ndarray
    stages: int
    base: tuple[float, float]
    spread: float
    eta: float

    @property
    def starts(self) -> np.ndarray:
        """First position of each grouping in the flat vector, and its length at the end."""
        lengths = self.stages + self.vines + (self.levels - 1) * self.stages
        return self.stages + np.concatenate([[0], np.cumsum(lengths)])

    @property
    def vines(self) -> np.ndarray:
        """Number of correlations of each grouping."""
        return np.where(self.correlated, len(pairs(self.stages)), 0)

    def split(self, point: np.ndarray, grouping: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Views of ``log_sd``, ``vine`` and ``rows`` of a grouping, along the last axis of any array of points."""
        start, stop = self.starts[grouping : grouping + 2]
        first = start + self.stages
        second = first + self.vines[grouping]
        rows = point[..., second:stop].reshape(*point.shape[:-1], -1, self.stages)
        return point[..., start:first], point[..., first:second], rows

    def function(self) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
        """Log density, up to a constant, and its slope, shape (size,), as a function of the point; what is fixed is worked out once."""
        fixed = (self.wins, self.trials, self.stage, self.level, self.levels, self.centring, self.vines, self.starts, *self.base,
                 self.spread, vine_shapes(self.stages, self.eta))  # fmt: skip
        return lambda point: _density(point, *fixed)


@_compiled
def _density(point, wins, trials, stage, level, levels, centring, vines, starts, mean, sd, spread, shapes):  # type: ignore
    """Counts first, through the effects of every grouping; then each grouping's prior and its share of the slope."""
    count = starts[0]
    slope = np.zeros_like(point)
    effects, pulls = np.zeros((2, len(levels), levels.max(), count))
    for g in range(len(levels)):
        _effects(point, starts[g], levels[g], vines[g], centring[g], spread, effects[g])
    value = 0.0
    for cell in range(len(wins)):
        s = stage[cell]
        logit = point[s]
        for g in range(len(levels)):
            logit += effects[g, level[g, cell], s]
        small = np.exp(-abs(logit))
        value += wins[cell] * logit - trials[cell] * (max(logit, 0.0) + np.log1p(small))
        miss = wins[cell] - trials[cell] * (1.0 if logit > 0 else small) / (1.0 + small)
        slope[s] += miss
        for g in range(len(levels)):
            pulls[g, level[g, cell], s] += miss
    for s in range(count):
        z = (point[s] - mean) / sd
        value -= 0.5 * z * z
        slope[s] -= z / sd
    for g in range(len(levels)):
        value += _prior(point, slope, starts[g], levels[g], vines[g], centring[g], spread, pulls[g], shapes)
    return value, slope


@_compiled
def _unpack(point, start, levels, vines, centring, spread):  # type: ignore
    """Return sd, its slope by what is sampled, partial correlations, the Cholesky factor and rows of one grouping."""
    count = len(centring)
    sampled = point[start : start + count]
    sd, sd_slope = np.exp(sampled), np.exp(sampled)
    for s in range(count):
        if centring[s] == 0.0:  # on a signed scale zero is a place like any other, not the end of the world
            sd[s], sd_slope[s] = spread * sampled[s], spread
    partial = np.tanh(point[start + count : start + count + vines] / 2)
    factor = np.eye(count)
    if vines > 0:
        at = 0
        for row in range(count):
            left = 1.0
            for column in range(row):
                factor[row, column] = partial[at] * left
                left *= np.sqrt(1 - partial[at] ** 2)
                at += 1
            factor[row, row] = left
    first = start + count + vines
    return sd, sd_slope, partial, factor, point[first : first + (levels - 1) * count].reshape((levels - 1, count))


@_compiled
def _effects(point, start, levels, vines, centring, spread, out):  # type: ignore
    """Effects that add up to zero over levels, into ``out``."""
    sd, _, _, factor, rows = _unpack(point, start, levels, vines, centring, spread)
    unit = np.abs(sd) ** -centring
    root = np.sqrt(float(levels))
    for s in range(len(sd)):
        total = 0.0
        for r in range(levels - 1):
            free = 0.0
            for t in range(s + 1):
                free += factor[s, t] * unit[t] * rows[r, t]
            out[r, s] = free * sd[s]
            total += out[r, s]
        for r in range(levels - 1):
            out[r, s] -= total / (root + levels)
        out[levels - 1, s] = -total / root


@_compiled
def _prior(point, slope, start, levels, vines, centring, spread, pull, shapes):  # type: ignore
    """Log prior of one grouping; adds its slope and the counts' pull on the effects into ``slope``."""
    sd, sd_slope, partial, factor, rows = _unpack(point, start, levels, vines, centring, spread)
    count = len(sd)
    unit = np.abs(sd) ** -centring
    first = start + count + vines
    root = np.sqrt(float(levels))
    total = np.zeros(count)
    for r in range(levels - 1):
        total += pull[r]
    to_factor = np.zeros((count, count))
    raw, to_raw, to_sd = np.zeros((3, count))
    value = 0.0
    for r in range(levels - 1):
        for s in range(count):
            raw[s] = rows[r, s] * unit[s]
            to_raw[s] = -raw[s]
            value -= 0.5 * raw[s] * raw[s]
        for s in range(count):
            force = pull[r, s] - total[s] / (root + levels) - pull[levels - 1, s] / root
            for t in range(s + 1):
                to_raw[t] += force * sd[s] * factor[s, t]
                to_factor[s, t] += force * sd[s] * raw[t]
                to_sd[s] += force * factor[s, t] * raw[t]
        for s in range(count):
            slope[first + r * count + s] += to_raw[s] * unit[s]
            if centring[s] > 0.0:
                to_sd[s] -= centring[s] * to_raw[s] * raw[s] / sd[s]
    at = 0
    for s in range(count):
        ratio = sd[s] / spread
        value -= 0.5 * ratio * ratio
        slope[start + s] += (to_sd[s] - ratio / spread) * sd_slope[s]
        if centring[s] > 0.0:
            plain = 1 - (levels - 1) * centring[s]
            value += plain * point[start + s]
            slope[start + s] += plain
        left = 1.0
        for t in range(s if vines > 0 else 0):
            z = partial[at]
            later = 0.0
            for u in range(t + 1, s + 1):
                later += to_factor[s, u] * factor[s, u]
            slope[start + count + at] += 0.5 * ((1 - z * z) * to_factor[s, t] * left - z * later) - shapes[at] * z
            value += shapes[at] * np.log((1 - z * z) / 4)
            left *= np.sqrt(1 - z * z)
            at += 1
    return value


def pairs(count: int) -> list[tuple[int, int]]:
    """Pairs (row, column < row) in the order of the vine."""
    return [(row, column) for row in range(1, count) for column in range(row)]


def vine_shapes(count: int, eta: float) -> np.ndarray:
    """Beta shapes of ``(partial correlation + 1) / 2`` under LKJ(eta), one for each pair."""
    return np.array([eta + (count - 2 - column) / 2 for _, column in pairs(count)])


def factor_of(partial: np.ndarray, count: int) -> np.ndarray:
    """Cholesky factor of a correlation matrix from partial correlations, shape (..., n_pairs) to (..., count, count).

    Examples
    --------
    >>> factor = factor_of(np.array([0.5]), 2)
    >>> (factor @ factor.T).round(12)
    array([[1. , 0.5],
           [0.5, 1. ]])
    """
    factor = np.zeros((*partial.shape[:-1], count, count))
    left = np.ones((*partial.shape[:-1], count))
    for at, (row, column) in enumerate(pairs(count)):
        factor[..., row, column] = partial[..., at] * left[..., row]
        left[..., row] = left[..., row] * np.sqrt(1 - partial[..., at] ** 2)
    factor[..., np.arange(count), np.arange(count)] = left
    return factor


def spread_out(free: np.ndarray, levels: int) -> np.ndarray:
    """Effects that add up to zero over levels from one row fewer, by an orthonormal map; shape (..., levels - 1, n) to (..., levels, n)."""
    total = free.sum(axis=-2, keepdims=True)
    root = np.sqrt(levels)
    return np.concatenate([free - total / (root + levels), -total / root], axis=-2)
