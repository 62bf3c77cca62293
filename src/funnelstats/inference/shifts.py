"""How far is each group above or below all of them, on the logit scale? A normal approximation, its spread integrated on a grid.

Group ``g`` had ``n`` trials and ``y`` successes in each of several cells with base chances ``p``.  Its shift ``d`` moves all of them,
``logit p + d``, and shifts are normal with standard deviation ``sd`` around zero.  The likelihood of each shift is taken as normal at its penalised
maximum (Laplace), after which ``sd`` has a density in closed form, summed over a grid, and every shift is normal given it.  In a blink
what the No-U-Turn sampler does in minutes; the base chances are held at their estimates while the shifts are learned.
"""

import numpy as np
from scipy.special import expit, logit

from funnelstats.inference.priors import Prior

_STEPS = 60
#: Spread of the mild penalty under which the maximum is sought: even a group that never failed has one.
_WIDE = 1.5
GRID = np.concatenate([[1e-3], np.linspace(0.02, 2.0, 100)])


def shifts(
    trials: np.ndarray, wins: np.ndarray, base: np.ndarray, block: np.ndarray, *, spread: Prior, rng: np.random.Generator,
    size: tuple[int, ...],
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Draw the shifts of groups and their spread.

    Parameters
    ----------
    trials, wins : ndarray, shape (n_groups, n_cells)
    base : ndarray, shape (n_cells,)
        Chances of all groups together.
    block : ndarray of int, shape (n_cells,)
        Cells of one block share a shift; each block has its own spread.
    spread : Prior
        Of the standard deviations.
    rng : Generator
    size : tuple of int
        Shape of the draws.

    Returns
    -------
    shift : ndarray, shape (*size, n_groups, n_blocks)
    sd : ndarray, shape (*size, n_blocks)
    """
    blocks = int(block.max()) + 1
    centre, precision = _likelihoods(trials, wins, logit(np.clip(base, 1e-9, 1 - 1e-9)), block, blocks)
    shift, sd = np.empty((*size, len(trials), blocks)), np.empty((*size, blocks))
    prior = np.exp(spread.log_density(GRID))
    width = np.gradient(GRID)
    for one in range(blocks):
        variance = GRID[:, None] ** 2 + 1 / precision[None, :, one]
        log_like = -0.5 * (np.log(variance) + centre[:, one] ** 2 / variance).sum(axis=1)
        weight = prior * width * np.exp(log_like - log_like.max())
        sd[..., one] = GRID[rng.choice(len(GRID), size=size, p=weight / weight.sum())]
        kept = 1 / (precision[:, one] + sd[..., None, one] ** -2)
        shift[..., one] = kept * precision[:, one] * centre[:, one] + np.sqrt(kept) * rng.standard_normal((*size, len(trials)))
    return shift, sd


def _likelihoods(
    trials: np.ndarray, wins: np.ndarray, base: np.ndarray, block: np.ndarray, blocks: int
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Centre and precision of the normal that stands for the likelihood of each shift, shape (n_groups, n_blocks)."""
    member = np.eye(blocks)[block]
    at = np.zeros((len(trials), blocks))
    for _ in range(_STEPS):
        chance = expit(base + at[:, block])
        slope, curve = (wins - trials * chance) @ member, (trials * chance * (1 - chance)) @ member
        at += np.clip((slope - at / _WIDE**2) / (curve + _WIDE**-2), -1, 1)
    precision = np.maximum(curve, 1e-9)
    return np.where(curve > 1e-9, at + slope / precision, 0.0), precision
