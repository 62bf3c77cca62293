"""How are a few parameters of a smooth likelihood learned? By its maximum, by a corrected normal, or by NUTS.

``mle`` draws from the normal about the maximum of the likelihood, priors not used; ``laplace`` from the posterior, by importance
resampling of a t distribution about its mode, with k-hat (Vehtari et al. 2024, JMLR 25(72)); ``mcmc`` by the No-U-Turn sampler;
``prior`` from the priors alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr
from scipy.interpolate import CubicSpline
from scipy.special import expit

from funnelstats.inference.bent import bent_normal
from funnelstats.inference.climb import Expansion, by_differences, climb
from funnelstats.inference.diagnose import Check, Diagnosis, diagnose_chains
from funnelstats.inference.likelihood import GRADIENT_MAX, KHAT_MAX, Maximum
from funnelstats.inference.mcmc import density_model, sample
from funnelstats.inference.priors import Prior

Method = Literal["mle", "laplace", "mcmc", "prior"]
#: Free scales reach this far; a maximum there is reported as one at the boundary.
BOUNDS = {"log": (-14.0, 14.0), "logit": (-14.0, 14.0)}
#: Row evaluations that the correction of a normal may cost before its cubic and quartic terms are tried instead.
EFFORT = 1e7
#: Fewest points at which the posterior itself is evaluated.
LEAST = 1000
#: Rows of which a sample is climbed first where there are several times as many.
ROUGH = 8_000
DEGREES = 8.0
#: Share of the draws of the normal that must remain effective.
NEARLY = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter: its name, the free scale it is learned on, and its prior."""

    name: str
    scale: Literal["log", "logit"]
    prior: Prior

    def natural(self, free: Any) -> Any:
        """Back from the free scale."""
        return np.exp(free) if self.scale == "log" else expit(free)

    def slope(self, natural: Any) -> Any:
        """Derivative of the natural value along the free one."""
        return natural if self.scale == "log" else natural * (1 - natural)

    def bend(self, natural: Any) -> Any:
        """Second derivative of the natural value along the free one."""
        return natural if self.scale == "log" else natural * (1 - natural) * (1 - 2 * natural)

    def log_prior(self, free: np.ndarray) -> np.ndarray:
        """Log density on the free scale."""
        natural = np.clip(self.natural(free), 1e-300, 1 - 1e-16 if self.scale == "logit" else None)
        return np.asarray(self.prior.log_density(natural) + np.log(np.maximum(self.slope(natural), 1e-300)))

    def table(self) -> CubicSpline:
        """Spline through the log prior on the free scale: a thousandth of the cost of a call of SciPy's, for climbing only."""
        free = np.linspace(*BOUNDS[self.scale], 801)
        return CubicSpline(free, np.maximum(self.log_prior(free), -1e6))


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Likelihood:
    """A log likelihood by the names of its parameters.

    Attributes
    ----------
    many : callable
        Of arrays of shape (k,): values of shape (k,).
    tensor : callable
        Of PyTensor variables and ``xp``: a scalar.
    rows : int
        How many terms one evaluation has.
    expansion : callable, optional
        Of plain numbers: the value, its slope and its curvature, in the order of the parameters; without it differences are taken.
    rough : Likelihood, optional
        Of a sample of the data: where it is highest, the climb to the top of this one begins.
    """

    many: Callable[..., np.ndarray]
    tensor: Callable[..., Any]
    rows: int
    expansion: Callable[..., tuple[float, np.ndarray, np.ndarray]] | None = None
    rough: "Likelihood | None" = None


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Learned:
    """Draws by name, shape (chains, draws), with what was checked; the maximum where there is one."""

    draws: Mapping[str, np.ndarray]
    diagnosis: Diagnosis
    maximum: Maximum | None = None
    statistics: xr.Dataset | None = None
    effective: float = np.nan


def learn(
    parameters: Sequence[Parameter], likelihood: Likelihood, *, method: Method, seed: int, draws: int, chains: int,
    starts: Sequence[Sequence[float]], **options: Any,
) -> Learned:  # fmt: skip
    """Learn the parameters.

    Parameters
    ----------
    parameters : sequence of Parameter
    likelihood : Likelihood
    method : {"mle", "laplace", "mcmc", "prior"}
    seed, draws, chains
        As for :class:`~funnelstats.models.model.Model`.
    starts : sequence of points
        Natural values, in the order of the parameters.
    **options
        Of :func:`~funnelstats.inference.mcmc.sample`, for ``mcmc``.
    """
    names = [one.name for one in parameters]
    rng = np.random.default_rng([seed, 1])
    if method == "mcmc":
        model = density_model({one.name: one.prior for one in parameters}, likelihood.tensor)
        tree = sample(model, seed=seed, draws=draws, chains=chains, keep=tuple(names), **options)
        kept = {name: np.asarray(tree["posterior"].to_dataset()[name].values) for name in names}
        diagnosis = diagnose_chains(tree, sampler=options.get("sampler", "nutpie"))
        return Learned(draws=kept, diagnosis=diagnosis, statistics=tree["sample_stats"].to_dataset())
    shape = (chains, draws)
    if method == "prior":
        kept = {one.name: np.asarray(one.prior.draw(rng, shape)) for one in parameters}
        return Learned(draws=kept, diagnosis=Diagnosis(checks=(), method="prior"))
    weight = 1.0 if method == "laplace" else 0.0
    best = _highest(parameters, likelihood, weight, [_free(parameters, point) for point in starts])
    if method == "mle":
        points, checks, effective = best.draw(rng, chains * draws), list(best.checks()), float(chains * draws)
    else:
        points, checks, effective = _corrected(parameters, likelihood, best, rng, chains * draws)
    kept = {one.name: one.natural(column).reshape(shape) for one, column in zip(parameters, points.T, strict=True)}
    return Learned(draws=kept, diagnosis=Diagnosis(checks=tuple(checks), method=method), maximum=best, effective=effective)


def _highest(parameters: Sequence[Parameter], likelihood: Likelihood, weight: float, starts: Sequence[np.ndarray]) -> Maximum:
    """Climb on a sample first, if there is one, and from there on all the data; from every start where that end is not clean."""
    names, bounds = [one.name for one in parameters], [BOUNDS[one.scale] for one in parameters]
    expand = _on_free_scale(parameters, likelihood, weight)
    if likelihood.rough is not None:
        near = climb(_on_free_scale(parameters, likelihood.rough, weight), names=names, starts=starts, bounds=bounds)
        best = climb(expand, names=names, starts=[near.point], bounds=bounds)
        if best.gradient <= GRADIENT_MAX and not (best.flat or best.boundary):
            return best
    return climb(expand, names=names, starts=starts, bounds=bounds)


def _free(parameters: Sequence[Parameter], natural: Sequence[float]) -> np.ndarray:
    return np.array(
        [np.log(v) if one.scale == "log" else np.log(v / (1 - v)) for one, v in zip(parameters, natural, strict=True)]
    )


def _on_free_scale(parameters: Sequence[Parameter], likelihood: Likelihood, weight: float) -> Expansion:
    """Log likelihood, plus ``weight`` times the log prior, expanded; the priors are read from a spline through them."""
    priors = [one.table() for one in parameters] if weight else []
    expand = likelihood.expansion

    def analytic(point: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        assert expand is not None
        natural = [float(one.natural(u)) for one, u in zip(parameters, point, strict=True)]
        value, slope, bend = expand(**{one.name: v for one, v in zip(parameters, natural, strict=True)})
        stretch = np.array([one.slope(v) for one, v in zip(parameters, natural, strict=True)])
        curve = np.array([one.bend(v) for one, v in zip(parameters, natural, strict=True)])
        return value, slope * stretch, bend * np.outer(stretch, stretch) + np.diag(slope * curve)

    def many(points: np.ndarray) -> np.ndarray:
        return likelihood.many(**{one.name: one.natural(u) for one, u in zip(parameters, points.T, strict=True)})

    def with_priors(point: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        value, slope, bend = by_differences(many, point) if expand is None else analytic(point)
        for at, spline in enumerate(priors):
            value += float(spline(point[at]))
            slope[at], bend[at, at] = slope[at] + spline(point[at], 1), bend[at, at] + spline(point[at], 2)
        return value, slope, bend

    return with_priors


def _corrected(
    parameters: Sequence[Parameter], likelihood: Likelihood, best: Maximum, rng: np.random.Generator, size: int
) -> tuple[np.ndarray, list[Check], float]:  # fmt: skip
    """Draws of the posterior by importance resampling; where rows are many, of the normal by the terms beyond it, if these suffice."""
    if likelihood.rows * size > EFFORT:
        near = _on_free_scale(parameters, likelihood.rough or likelihood, 1.0)
        found = bent_normal(near, lambda points: _log_posterior(parameters, likelihood, points), best, rng, size)
        points, log_ratios = found or (best.point[None], np.zeros(1))
        weights, khat = _smoothed(log_ratios) if found else (np.ones(1), np.inf)
        effective = 1 / float((weights**2).sum())
        if effective > NEARLY * size and khat <= KHAT_MAX:
            return points[_resampled(weights, rng, size)], [*best.checks(), *_checks(khat, effective)], effective
    few = int(np.clip(EFFORT / likelihood.rows, min(LEAST, size), size))
    values, vectors = np.linalg.eigh(best.covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    normal = rng.standard_normal((few, len(best.point)))
    stretch = np.sqrt(DEGREES / rng.chisquare(DEGREES, few))
    points = best.point + (normal * stretch[:, None]) @ root.T
    free = int((values > 0).sum())
    square = (normal[:, values > 0] ** 2).sum(axis=1) * stretch**2
    log_t = -0.5 * (DEGREES + free) * np.log1p(square / DEGREES)
    weights, khat = _smoothed(_log_posterior(parameters, likelihood, points) - log_t)
    effective = 1 / float((weights**2).sum())
    return points[_resampled(weights, rng, size)], [*best.checks(), *_checks(khat, effective)], effective


def _resampled(weights: np.ndarray, rng: np.random.Generator, size: int) -> np.ndarray:
    """Places of ``size`` draws by systematic resampling, in random order."""
    chosen = np.searchsorted(np.cumsum(weights), (rng.random() + np.arange(size)) / size).clip(0, len(weights) - 1)
    return rng.permutation(chosen)


def _smoothed(log_ratios: np.ndarray) -> tuple[np.ndarray, float]:
    from arviz_stats.base.array import array_stats

    finite = np.where(np.isfinite(log_ratios), log_ratios, -np.inf)
    finite = np.maximum(finite, finite.max() - 700.0)
    stats: Any = array_stats
    smooth, khat = stats.psislw(-finite)  # ArviZ weighs by the inverse of what it is given, as leave-one-out needs
    weights = np.exp(np.asarray(smooth) - np.max(smooth))
    return weights / weights.sum(), float(khat)


def _log_posterior(parameters: Sequence[Parameter], likelihood: Likelihood, points: np.ndarray) -> np.ndarray:
    prior = sum(one.log_prior(column) for one, column in zip(parameters, points.T, strict=True))
    piece = max(1, int(2e5 / likelihood.rows))
    parts = np.array_split(points, -(-len(points) // piece))
    with np.errstate(all="ignore"):
        named = [{one.name: one.natural(column) for one, column in zip(parameters, part.T, strict=True)} for part in parts]
        values = [likelihood.many(**part) for part in named]
    return np.asarray(np.concatenate(values) + prior)


def _checks(khat: float, effective: float) -> list[Check]:
    far = "the posterior is far from normal: use method='mcmc'"
    return [
        Check(name="k-hat of Laplace", value=khat, bound=f"at most {KHAT_MAX}", where=far,
              verdict="PASS" if khat <= KHAT_MAX else "REVIEW"),
        Check(name="importance ESS", value=effective, bound="at least 400", where=far,
              verdict="PASS" if effective >= 400 else "REVIEW"),
    ]  # fmt: skip
