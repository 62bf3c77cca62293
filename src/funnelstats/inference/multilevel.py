"""How do crossed groups move several logits at once? Effects of their levels are normal, and correlated over stages.

``logit p = typical[stage] + sum over groupings g of effect_g[level, stage]``, ``effect_g[level] ~ Normal(0, diag(sd_g) R_g diag(sd_g))``, with
``R_g`` a correlation matrix over stages, LKJ (Lewandowski, Kurowicka & Joe 2009, Journal of Multivariate Analysis 100:1989-2001).
The prior of the intercept is put on the average logit over the levels observed, of which one knows most beforehand; ``typical``
is what remains when the mean of the drawn levels is taken off, as uncertain as the levels are few.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import chi2

from funnelstats.inference.crossed import CrossedDensity, factor_of, pairs, spread_out, vine_shapes
from funnelstats.inference.mcmc import Sampler, sample, sample_function
from funnelstats.inference.priors import Prior
from funnelstats.inference.tree import tree_of

#: With fewer levels the correlations between stages are not estimated but nil: four stages have six of them.
CORRELATED_FROM = 10
#: A grouping is centred at a stage only where its levels differ beyond chance, at this level of Cochran's test, of few levels and of many. Where
#: they may be equal after all, centred effects make the funnel that samplers stick in, the narrower the more levels there are, so they are centred by
#: half at most until no doubt is left. Effects that are known well make a ridge with their spread when they are not centred.
BEYOND_CHANCE, MANY_FROM, BEYOND_DOUBT, HALF = (0.02, 1e-4), 10, 1e-6, 0.5


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Cells:
    """Aggregated binomial counts with their levels.

    Attributes
    ----------
    wins, trials, stage : ndarray of int, shape (n_cells,)
        ``stage`` is an index into ``stages``.
    level : dict of str to ndarray of int, shape (n_cells,)
        For each grouping, an index into its labels.
    stages : tuple of str
    labels : dict of str to tuple of str
    """

    wins: np.ndarray
    trials: np.ndarray
    stage: np.ndarray
    level: Mapping[str, np.ndarray]
    stages: tuple[str, ...]
    labels: Mapping[str, tuple[str, ...]]

    def correlated(self, group: str) -> bool:
        """Whether the correlations between stages are estimated."""
        return len(self.stages) > 1 and len(self.labels[group]) >= CORRELATED_FROM


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperpriors:
    """Priors of the average logit of a stage (normal), of the sd of effects (half-normal), and the parameter of LKJ."""

    average: Prior
    spread: Prior
    correlation: float


def sample_crossed(
    cells: Cells, priors: Hyperpriors, *, seed: int, draws: int, chains: int, sampler: Sampler, **settings: Any
) -> xr.DataTree:
    """Sample the posterior.

    Returns
    -------
    DataTree
        ``posterior`` with ``typical`` (stage), and for each grouping g ``sd_g`` (stage), ``corr_g`` (stage, stage_) where it is
        estimated, ``effect_g`` (g, stage), all on the logit scale; ``sample_stats``.
    """
    rng = np.random.default_rng([seed, 3])
    if sampler == "pymc":
        raw = sample(crossed_logits(cells, priors), seed=seed, draws=draws, chains=chains, sampler="pymc", **settings)
        drawn = {str(name): value.values for name, value in raw["posterior"].to_dataset().data_vars.items()}
        return _tree(cells, drawn, sample_stats=raw["sample_stats"].to_dataset())
    density = crossed_density(cells, priors)
    raw = sample_function(density.function(), start=_start(density), seed=seed, draws=draws, chains=chains, **settings)
    points = raw["posterior"].to_dataset()["point"].values
    drawn = {"base": points[..., : density.stages]}
    for at, (group, names) in enumerate(cells.labels.items()):
        sampled, vine, rows = density.split(points, at)
        sd = np.where(density.centring[at] > 0, np.exp(sampled), priors.spread.values[0] * sampled)
        standard = spread_out(rows * np.abs(sd[..., None, :]) ** -density.centring[at], len(names))
        mean = rng.standard_normal((*standard.shape[:-2], 1, density.stages)) / np.sqrt(len(names))
        drawn |= {f"sd_{group}": sd, f"partial_{group}": (1 + np.tanh(vine / 2)) / 2, f"raw_{group}": standard + mean}
    return _tree(cells, drawn, sample_stats=raw["sample_stats"].to_dataset())


def draw_crossed(cells: Cells, priors: Hyperpriors, *, rng: np.random.Generator, draws: int, chains: int) -> xr.DataTree:
    """Draw the same parameters from their prior; no sampler is needed."""
    size, count = (chains, draws), len(cells.stages)
    drawn = {"base": priors.average.draw(rng, (*size, count))}
    for group, names in cells.labels.items():
        shape = vine_shapes(count, priors.correlation)
        drawn[f"sd_{group}"] = priors.spread.draw(rng, (*size, count))
        drawn[f"partial_{group}"] = rng.beta(shape, shape, size=(*size, len(shape)))
        drawn[f"raw_{group}"] = rng.standard_normal((*size, len(names), count))
    return _tree(cells, drawn)


def crossed_density(cells: Cells, priors: Hyperpriors) -> CrossedDensity:
    """Write the posterior as a function for the sampler."""
    centring = np.array([[_centring(cells, group, stage) for stage in range(len(cells.stages))] for group in cells.labels])
    return CrossedDensity(
        wins=cells.wins.astype(float), trials=cells.trials.astype(float), stage=np.ascontiguousarray(cells.stage, dtype=np.int64),
        level=np.ascontiguousarray(np.stack(list(cells.level.values())), dtype=np.int64), stages=len(cells.stages),
        levels=np.array([len(names) for names in cells.labels.values()]), centring=centring, eta=priors.correlation,
        correlated=np.array([cells.correlated(group) for group in cells.labels]), spread=priors.spread.values[0],
        base=(priors.average.values[0], priors.average.values[1]),
    )  # fmt: skip


def crossed_logits(cells: Cells, priors: Hyperpriors) -> Any:
    """Write the same posterior as a PyMC model: plain, slower to start, and a check of the function."""
    import pymc as pm
    import pytensor.tensor as pt

    count = len(cells.stages)
    coords = {"stage": list(cells.stages), **{group: list(names) for group, names in cells.labels.items()}}
    with pm.Model(coords=coords) as model:
        logit = priors.average.variable("base", dims="stage")[cells.stage]
        for group, level in cells.level.items():
            sd = priors.spread.variable(f"sd_{group}", dims="stage")
            raw = pm.Normal(f"raw_{group}", dims=(group, "stage"))
            if cells.correlated(group):
                shape = vine_shapes(count, priors.correlation)
                partial = pm.Beta(f"partial_{group}", alpha=shape, beta=shape, shape=len(shape))
                raw = pt.dot(raw, _factor_tensor(2 * partial - 1, count).T)
            effect = raw * sd
            logit = logit + (effect - effect.mean(axis=0))[level, cells.stage]
        pm.Binomial("wins", n=cells.trials, logit_p=logit, observed=cells.wins)
    return model


def _factor_tensor(partial: Any, count: int) -> Any:
    """Spell :func:`~funnelstats.inference.crossed.factor_of` in PyTensor."""
    import pytensor.tensor as pt

    rows, left = [[pt.constant(0.0)] * count for _ in range(count)], [pt.constant(1.0)] * count
    for at, (row, column) in enumerate(pairs(count)):
        rows[row][column] = partial[at] * left[row]
        left[row] = left[row] * pt.sqrt(1 - partial[at] ** 2)
    for at in range(count):
        rows[at][at] = left[at]
    return pt.stack([pt.stack(row) for row in rows])


def _centring(cells: Cells, group: str, stage: int) -> float:
    """Judge how much of what is seen of a grouping's levels at a stage is spread rather than chance, from 0 to 1.

    DerSimonian & Laird (1986), Controlled Clinical Trials 7:177-188, on empirical logits. It chooses a parametrisation only.
    """
    here = cells.stage == stage
    size = len(cells.labels[group])
    wins, trials = (np.bincount(cells.level[group][here], part[here], minlength=size) for part in (cells.wins, cells.trials))
    wins, trials = wins[trials > 0], trials[trials > 0]
    if len(trials) < 2:
        return 0.0
    logit = np.log((wins + 0.5) / (trials - wins + 0.5))
    variance = 1 / (wins + 0.5) + 1 / (trials - wins + 0.5)
    weight = 1 / variance
    apart = np.sum(weight * (logit - np.average(logit, weights=weight)) ** 2)
    chance = chi2.sf(apart, len(trials) - 1)
    if chance > BEYOND_CHANCE[size >= MANY_FROM]:
        return 0.0
    spread = (apart - (len(trials) - 1)) / (weight.sum() - (weight**2).sum() / weight.sum())
    return min(float(spread / (spread + np.median(variance))), HALF if chance > BEYOND_DOUBT else 1.0)


def _start(density: CrossedDensity) -> np.ndarray:
    """Start at no effect and a third of a logit of spread."""
    point = np.zeros(density.starts[-1])
    for at in range(len(density.levels)):
        density.split(point, at)[0][:] = np.where(density.centring[at] > 0, np.log(0.3), 0.3 / density.spread)
    return point


def _tree(cells: Cells, drawn: Mapping[str, np.ndarray], **groups: xr.Dataset) -> xr.DataTree:
    """Effects and correlations from standardised effects; a negative sd is turned round with all that depends on its sign."""
    count = len(cells.stages)
    typical = drawn["base"].copy()
    posterior: dict[str, np.ndarray] = {"typical": typical}
    dims: dict[str, list[str]] = {"typical": ["stage"]}
    for group in cells.labels:
        sd, effect = drawn[f"sd_{group}"], drawn[f"raw_{group}"]
        posterior[f"sd_{group}"], dims[f"sd_{group}"] = np.abs(sd), ["stage"]
        if cells.correlated(group):
            factor = factor_of(2 * drawn[f"partial_{group}"] - 1, count)
            effect = effect @ np.swapaxes(factor, -1, -2)
            sign = np.sign(sd)
            correlation = factor @ np.swapaxes(factor, -1, -2) * sign[..., :, None] * sign[..., None, :]
            correlation[..., np.arange(count), np.arange(count)] = 1.0  # exactly, not up to rounding: it is no parameter
            posterior[f"corr_{group}"] = correlation
            dims[f"corr_{group}"] = ["stage", "stage_"]
        posterior[f"effect_{group}"], dims[f"effect_{group}"] = effect * sd[..., None, :], [group, "stage"]
        typical -= posterior[f"effect_{group}"].mean(axis=-2)
    labels: dict[str, Sequence[str]] = {"stage": cells.stages, "stage_": cells.stages, **cells.labels}
    return tree_of(posterior, dims=dims, coords=labels, **groups)
