"""What do the periods say of the chain, given priors? The joint posterior of all links, exactly by quadrature or by sampling.

On variables that are centred and scaled, ``y = X beta + noise`` with normal priors on slopes and baselines and a prior on the
spread of the noise.  Given the spread, ``beta`` is normal and integrates out, so one dimension per link is left: a sum over a
fine grid. With independent noise the posterior of the chain is the product of those of its links.

With ``noise="correlated"`` a common cause may move several links: ``u_k = sum_j lambda_kj u_j + v_k``, any covariance at all.
What then keeps the slopes apart is only that the first variable enters the first link alone; NUTS is used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from funnelstats.errors import DataError, Problem
from funnelstats.inference.diagnose import Check
from funnelstats.inference.mcmc import density_model, sample
from funnelstats.inference.priors import Prior
from funnelstats.models.chain_equations import Equation

#: Effect of one link's noise on a later one's, where noise may be correlated; on the scale of standardised variables.
SHARED = Prior.of("normal", 0, 0.5)
GRID = 2001
EDGE_MASS = 1e-6
Scales = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Priors:
    """Priors on standardised variables: slopes, baselines, spread of the noise."""

    slope: Prior
    baseline: Prior
    spread: Prior

    def of(self, link: Equation) -> list[Prior]:
        """One prior for each coefficient of a link."""
        return [self.baseline if at == 1 else self.slope for at in range(len(link.names))]


def standardised(link: Equation, scales: Scales) -> tuple[np.ndarray, np.ndarray]:
    """``X`` and ``y`` of a link on the standard scale."""
    X = link.X.copy()
    for at, parent in zip([0, *range(2, X.shape[1])], link.parents, strict=True):
        centre, spread = scales[parent]
        X[:, at] = (X[:, at] - centre) / spread
    centre, spread = scales[link.target]
    return X, (link.y - centre) / spread


def natural(link: Equation, gamma: np.ndarray, sigma: np.ndarray, scales: Scales) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients, shape (..., k), and spread of the noise back in the units of the data."""
    centre, spread = scales[link.target]
    beta, shift = gamma * spread, gamma[..., 1] * spread + centre
    for at, parent in zip([0, *range(2, gamma.shape[-1])], link.parents, strict=True):
        beta[..., at] = beta[..., at] / scales[parent][1]
        shift = shift - beta[..., at] * scales[parent][0]
    beta[..., 1] = shift
    return beta, sigma * spread


def prior_draws(
    links: Sequence[Equation], priors: Priors, rng: np.random.Generator, size: int, scales: Scales, *, correlated: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Draws of coefficients (size, k), spreads (size, m) and, where noise is correlated, its correlations (size, m, m)."""
    parts = [
        (np.column_stack([prior.draw(rng, size) for prior in priors.of(link)]), priors.spread.draw(rng, size)) for link in links
    ]
    innovations = np.column_stack([sigma for _, sigma in parts])
    spreads, correlation = innovations, None
    if correlated:
        shared = {pair: SHARED.draw(rng, size) for pair in _pairs(links)}
        spreads, correlation = _mixed(innovations, shared)
    pairs = [natural(link, gamma, spreads[:, at], scales) for at, (link, (gamma, _)) in enumerate(zip(links, parts, strict=True))]
    return np.concatenate([b for b, _ in pairs], axis=1), np.column_stack([s for _, s in pairs]), correlation


def quadrature(
    links: Sequence[Equation], priors: Priors, rng: np.random.Generator, size: int, scales: Scales
) -> tuple[np.ndarray, np.ndarray, tuple[Check, ...]]:
    """Independent draws from the exact posterior.

    Returns
    -------
    coefficients : ndarray, shape (size, k)
    spreads : ndarray, shape (size, m)
    checks : tuple of Check
        Posterior mass at the ends of the grid.
    """
    for name in ("slope", "baseline"):
        prior = getattr(priors, name)
        if prior.family != "normal":
            problem = Problem(name, f"expected a normal prior, found {prior}", 'use method="mcmc"')
            raise DataError("the chain by quadrature", [problem])
    coefficients, spreads, edge = [], [], 0.0
    for link in links:
        X, y = standardised(link, scales)
        mean, width = (np.array([prior.values[at] for prior in priors.of(link)]) for at in (0, 1))
        gamma, sigma, lost = _one_link(X, y, mean, width, priors.spread, rng, size)
        beta, spread = natural(link, gamma, sigma, scales)
        coefficients.append(beta)
        spreads.append(spread)
        edge = max(edge, lost)
    check = Check(name="edge mass", value=edge, bound=f"below {EDGE_MASS:g}", verdict="PASS" if edge < EDGE_MASS else "FAIL",
                  where="the prior of the spread pulls it off the grid")  # fmt: skip
    return np.concatenate(coefficients, axis=1), np.column_stack(spreads), (check,)


def _one_link(
    X: np.ndarray, y: np.ndarray, mean: np.ndarray, width: np.ndarray, spread: Prior, rng: np.random.Generator, size: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Draw from ``beta ~ N(mean, width^2)``, ``sigma ~ spread``, ``y ~ N(X beta, sigma^2)`` given ``y``.

    ``beta = mean + width V z`` with the eigenvectors V of the scaled cross-product makes the components of ``z`` independent.
    """
    W = X * width
    residual = y - X @ mean
    size_of, V = np.linalg.eigh(W.T @ W)
    size_of = np.maximum(size_of, 1e-300)
    h = V.T @ (W.T @ residual)
    least = float(np.sum((residual - W @ (V @ (h / size_of))) ** 2))
    n, k = X.shape
    centre, reach = 0.5 * np.log(least / max(n - k, 1)), min(8.0, 14 / np.sqrt(2 * max(n - k, 1)))
    log_sigma = np.linspace(centre - reach, centre + reach, GRID)
    variance = np.exp(2 * log_sigma)[:, None]
    unexplained = least + np.sum(h**2 / size_of * variance / (variance + size_of), axis=1)
    log_density = (-(n - k) * log_sigma - 0.5 * np.sum(np.log(variance + size_of), axis=1) - 0.5 * unexplained / variance[:, 0]
                   + spread.log_density(np.exp(log_sigma)) + log_sigma)  # fmt: skip
    density = np.exp(log_density - log_density.max())
    mass = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    mass /= mass[-1]
    sigma = np.exp(np.interp(rng.random(size), mass, log_sigma))
    variance = sigma[:, None] ** 2
    z = h / (variance + size_of) + np.sqrt(variance / (variance + size_of)) * rng.standard_normal((size, k))
    return mean + (z @ V.T) * width, sigma, float(mass[5] + 1 - mass[-6])


def by_mcmc(
    links: Sequence[Equation],
    priors: Priors,
    scales: Scales,
    *,
    correlated: bool,
    seed: int,
    draws: int,
    chains: int,
    **settings: Any,
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, xr.DataTree]:
    """Draws by NUTS.

    Returns
    -------
    coefficients : ndarray, shape (chains, draws, k)
    spreads : ndarray, shape (chains, draws, m)
    correlation : ndarray, shape (chains, draws, m, m), or None
    tree : DataTree
        As sampled, with the sampler's statistics.
    """
    names = {f"beta_{place}_{at}": prior for place, link in enumerate(links) for at, prior in enumerate(priors.of(link))}
    names |= {f"spread_{place}": priors.spread for place in range(len(links))}
    pairs = _pairs(links) if correlated else []
    names |= {f"shared_{later}_{earlier}": SHARED for later, earlier in pairs}
    tree = sample(density_model(names, _log_likelihood(links, scales, pairs)), seed=seed, draws=draws, chains=chains, **settings)
    posterior = tree["posterior"].to_dataset()
    innovations = np.stack([posterior[f"spread_{place}"].values for place in range(len(links))], axis=-1)
    spreads, correlation = innovations, None
    if correlated:
        shared = {pair: posterior[f"shared_{pair[0]}_{pair[1]}"].values for pair in pairs}
        spreads, correlation = _mixed(innovations, shared)
    found = []
    for place, link in enumerate(links):
        gamma = np.stack([posterior[f"beta_{place}_{at}"].values for at in range(len(link.names))], axis=-1)
        found.append(natural(link, gamma, spreads[..., place], scales))
    return np.concatenate([b for b, _ in found], axis=-1), np.stack([s for _, s in found], axis=-1), correlation, tree


def _log_likelihood(links: Sequence[Equation], scales: Scales, pairs: Sequence[tuple[int, int]]) -> Any:
    """Log likelihood of all links from cross-products, so that its cost does not grow with the number of periods."""
    parts = [standardised(link, scales) for link in links]
    columns = np.column_stack([np.column_stack([y, X]) for X, y in parts])
    cross = columns.T @ columns
    starts = np.cumsum([0, *(X.shape[1] + 1 for X, _ in parts)])
    n = len(columns)

    def log_likelihood(*, xp: Any, **values: Any) -> Any:
        residuals, total = [], -n * len(links) * 0.5 * np.log(2 * np.pi)
        for place, link in enumerate(links):
            own = {int(starts[place]): 1.0}
            own |= {int(starts[place]) + 1 + at: -values[f"beta_{place}_{at}"] for at in range(len(link.names))}
            residuals.append(own)
            innovation = dict(own)
            for earlier in (early for late, early in pairs if late == place):
                for column, weight in residuals[earlier].items():
                    innovation[column] = innovation.get(column, 0.0) - values[f"shared_{place}_{earlier}"] * weight
            squares = sum(w * v * cross[i, j] for i, w in innovation.items() for j, v in innovation.items())
            spread = values[f"spread_{place}"]
            total = total - n * xp.log(spread) - 0.5 * squares / spread**2
        return total

    return log_likelihood


def _pairs(links: Sequence[Equation]) -> list[tuple[int, int]]:
    """Numbers of the links whose noise may be shared, later before earlier."""
    return [(late, early) for late in range(len(links)) for early in range(late)]


def _mixed(innovations: np.ndarray, shared: Mapping[tuple[int, int], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Spreads and correlations of noise that passes on from link to link."""
    size = innovations.shape[-1]
    onward = np.zeros((*innovations.shape, size)) + np.eye(size)
    for late in range(size):
        for early in range(late):
            onward[..., late, :] += shared[late, early][..., None] * onward[..., early, :]
    root = onward * innovations[..., None, :]
    covariance = root @ np.swapaxes(root, -1, -2)
    spreads = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
    return spreads, covariance / (spreads[..., :, None] * spreads[..., None, :])
