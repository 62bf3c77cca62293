"""How many of ``n`` trials succeed when every group has its own rate? The beta-binomial, summed over distinct counts.

``rate ~ Beta(phi kappa, (1 - phi) kappa)``, ``wins ~ Binomial(n, rate)``, with ``phi`` the mean rate and ``kappa`` the
concentration (how many trials the population is worth).  With the rate integrated out (Skellam 1948, J. R. Stat. Soc. B
10:257-261) the probability of ``y`` wins is ``C(n, y) (a)_y (b)_{n-y} / (kappa)_n``, where ``(x)_k = x (x+1) ... (x+k-1)``,
``a = phi kappa`` and ``b = kappa - a``.

``(x)_k`` is written as ``x^k`` times an excess, so that nothing cancels as ``kappa`` grows: in the limit the excess is one and
the binomial remains.  Sums over groups split into sums over distinct wins, losses and trials, each with its count.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from funnelstats.distributions import ops

#: Above this the excess is taken from Stirling's series, which is right to 1e-13 there; below it nothing cancels.
STIRLING_FROM = 12.0


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Excess:
    """The sum of ``log_excess(x, k)`` over many ``k``, as a function of ``x``.

    Attributes
    ----------
    values, weights : ndarray, shape (n_terms,)
    by_step : bool
        Whether the terms are steps: ``log(1 + i/x)`` once for each ``k`` above ``i``. A step costs a tenth of an excess, so
        steps are taken unless they are more than ten times as many.
    """

    values: np.ndarray
    weights: np.ndarray
    by_step: bool

    @classmethod
    def of(cls, counts: np.ndarray) -> Self:
        """Compress the counts; zeros and ones have no excess."""
        values, weights = np.unique(counts[counts > 1], return_counts=True)
        if not len(values) or values[-1] > 10 * len(values):
            return cls(values=values.astype(float), weights=weights.astype(float), by_step=False)
        steps = np.arange(1, values[-1])
        above = weights.sum() - np.concatenate([[0], np.cumsum(weights)])[np.searchsorted(values, steps, side="right")]
        return cls(values=steps.astype(float), weights=above.astype(float), by_step=True)

    def at(self, x: Any, *, xp: Any = ops) -> Any:
        """Evaluate; broadcasts over ``x``."""
        terms = xp.log1p(self.values / x[..., None]) if self.by_step else log_excess(x[..., None], self.values, xp=xp)
        return xp.total(self.weights * terms, axis=-1)


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Tally:
    """Wins and trials of many groups, compressed to the distinct values.

    The likelihood is a sum of one function of wins, one of losses and one of trials, so its cost follows the distinct
    values of each, which are even fewer than the distinct pairs, and not the groups.
    """

    wins: Excess
    losses: Excess
    trials: Excess
    total_wins: float
    total_losses: float

    @classmethod
    def of(cls, wins: Any, trials: Any) -> Self:
        """Count the distinct values; ``wins`` and ``trials`` have shape (n_groups,)."""
        wins, trials = np.asarray(wins), np.asarray(trials)
        losses = trials - wins
        return cls(wins=Excess.of(wins), losses=Excess.of(losses), trials=Excess.of(trials), total_wins=float(wins.sum()),
                   total_losses=float(losses.sum()))  # fmt: skip

    @property
    def terms(self) -> int:
        """Number of terms of the likelihood."""
        return sum(len(part.values) for part in (self.wins, self.losses, self.trials))


def log_excess(x: Any, k: Any, *, xp: Any = ops) -> Any:
    """Log of ``(x)_k / x^k``, which is the sum of ``log(1 + i/x)`` over ``i < k``; broadcasts.

    Parameters
    ----------
    x : array_like
        Positive.
    k : array_like
        Whole numbers of at least 0.

    Examples
    --------
    >>> bool(np.isclose(log_excess(2.0, 3), np.log(2 * 3 * 4 / 2**3)))
    True
    """
    large = xp.maximum(x, STIRLING_FROM)
    series = (large + k - 0.5) * xp.log1p(k / large) - k + _stirling(large + k) - _stirling(large)
    small = xp.minimum(x, STIRLING_FROM)
    direct = xp.gammaln(small + k) - xp.gammaln(small) - k * xp.log(small)
    return xp.where(x > STIRLING_FROM, series, direct)


def log_pmf(wins: Any, trials: Any, *, mean: Any, concentration: Any, xp: Any = ops) -> Any:
    """Log probability of ``wins`` out of ``trials`` in one group; broadcasts over groups and draws.

    Parameters
    ----------
    wins, trials : array_like of int
        0 <= wins <= trials.
    mean : array_like
        Mean rate of the population, in (0, 1).
    concentration : array_like
        Positive; large means that groups hardly differ.

    Examples
    --------
    >>> float(np.exp(log_pmf(np.arange(4), 3, mean=0.5, concentration=2.0)).round(12).sum())
    1.0
    >>> np.exp(log_pmf(np.arange(4), 3, mean=0.5, concentration=2.0))  # Beta(1, 1): every count is as likely
    array([0.25, 0.25, 0.25, 0.25])
    """
    losses = trials - wins
    ways = xp.gammaln(trials + 1.0) - xp.gammaln(wins + 1.0) - xp.gammaln(losses + 1.0)
    heart = wins * xp.log(mean) + losses * xp.log1p(-mean)
    return (
        ways
        + heart
        + (
            log_excess(mean * concentration, wins, xp=xp)
            + log_excess((1 - mean) * concentration, losses, xp=xp)
            - log_excess(concentration, trials, xp=xp)
        )
    )


def log_likelihood(tally: Tally, *, mean: Any, concentration: Any, xp: Any = ops) -> Any:
    """Log likelihood of all groups, binomial coefficients left out; broadcasts over ``mean`` and ``concentration``.

    Parameters
    ----------
    tally : Tally
        Of wins and trials.
    mean, concentration : array_like, shape (...)

    Returns
    -------
    array, shape (...)
    """
    a, b = mean * concentration, (1 - mean) * concentration
    heart = tally.total_wins * xp.log(mean) + tally.total_losses * xp.log1p(-mean)
    return heart + tally.wins.at(a, xp=xp) + tally.losses.at(b, xp=xp) - tally.trials.at(concentration, xp=xp)


def _stirling(x: Any) -> Any:
    """Remainder of Stirling's formula for log Gamma (Abramowitz & Stegun 6.1.41)."""
    inverse = 1 / x
    square = inverse * inverse
    return inverse * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square * (1 / 1680 - square / 1188))))
