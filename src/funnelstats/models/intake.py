"""How many will come in? Counts of past spans, whose rate wanders, with a memory that fades as fast as the counts say.

In each span ``y ~ Poisson(rate)``.  From one span to the next the rate keeps its mean and loses part of what was known of it: a
Gamma(a, b) becomes Gamma(w a, w b), with ``w`` in (0, 1] (Harvey & Fernandes 1989, J. Bus. Econ. Statist. 7:407-422).  So ``y`` given the past is negative
binomial, ``w`` has a likelihood in closed form, summed over a grid, and ``w = 1`` is a Poisson process at one rate for ever.  The
groups share ``w``, each with its own Gamma; so their sum is the model of the total.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

#: Memory: how much of the weight of what was known stays after a span. A flat prior over these.
MEMORY = np.linspace(0.4, 1.0, 61)
_LEAST = 1e-6


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Intake:
    """Counts by group and span, oldest first.

    Attributes
    ----------
    counts : ndarray, shape (n_groups, n_spans)
    exposure : float
        Length of the oldest span as a share of the others; below 1 only when it is the only one.
    """

    counts: np.ndarray
    exposure: float = 1.0

    def memory(self) -> np.ndarray:
        """Posterior of the memory over :data:`MEMORY`."""
        total = self.counts.sum(axis=0)
        seen = np.flatnonzero(total)
        if not len(seen):
            return np.full(len(MEMORY), 1 / len(MEMORY))
        shape, rate, log_like = np.zeros_like(MEMORY), np.zeros_like(MEMORY), np.zeros_like(MEMORY)
        for place in range(seen[0], len(total)):
            shape, rate, y = MEMORY * shape, MEMORY * rate, total[place]
            if place > seen[0]:
                log_like += gammaln(shape + y) - gammaln(shape) + shape * np.log(rate) - (shape + y) * np.log1p(rate)
            shape, rate = shape + y, rate + (self.exposure if place == 0 else 1.0)
        weight = np.exp(log_like - log_like.max())
        return np.asarray(weight / weight.sum())

    def draw(self, rng: np.random.Generator, *, draws: int, periods: int) -> np.ndarray:
        """Draw the rates of the spans to come, shape (draws, n_groups, periods).

        Examples
        --------
        >>> rates = Intake(counts=np.full((1, 12), 40)).draw(np.random.default_rng(1), draws=2000, periods=3)
        >>> [f"{mean:.0f}" for mean in rates.mean(axis=0)[0]]
        ['40', '40', '40']
        """
        w = rng.choice(MEMORY, size=draws, p=self.memory())[:, None]
        age = np.arange(self.counts.shape[1])[::-1]
        fade = w[:, 0, None] ** age
        length = np.ones(len(age))
        length[0] = self.exposure
        shape = np.maximum((fade[:, None, :] * self.counts).sum(axis=-1), _LEAST)
        rate = rng.gamma(shape) / (fade * length).sum(axis=-1, keepdims=True)
        out = np.empty((*rate.shape, periods))
        for period in range(periods):
            moved = rng.beta(np.maximum(w * shape, _LEAST), np.maximum((1 - w) * shape, _LEAST)) / w
            rate = np.where(w < 1, rate * moved, rate)
            shape = np.maximum(w * shape, _LEAST)
            out[..., period] = rate
        return np.where(self.counts.any(axis=1)[:, None], out, 0.0)
