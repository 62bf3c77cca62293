"""How are many pooled levels learned in a second? The likelihood as a normal about its own best point, everything after that in closed form.

``logit p = typical + sum over groupings g of effect_g[level]``, ``effect_g[level] ~ Normal(0, sd_g)``.  With ``H`` the information of the counts at the
best point and ``r`` their pull, effects given the spreads are normal and the spreads' own density follows by integrating them out (Tierney & Kadane
1986, JASA 81:82-86; Breslow & Clayton 1993, JASA 88:9-25).  Best point and spreads are found in turn.  Spreads are then drawn from a normal on the log
scale and weighted by that density, so their skewness is kept; how many of the proposals count is the check.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.optimize import minimize
from scipy.special import expit

from funnelstats.inference.diagnose import Check, Diagnosis
from funnelstats.inference.multilevel import Cells, Hyperpriors
from funnelstats.inference.tree import tree_of

#: Proposals of the spreads, and how many of them must count.
PROPOSALS, EFFECTIVE_MIN = 2000, 200
#: Widening of the normal from which they are proposed.
_WIDER = 1.3
_TURNS, _CHUNK = 60, 200


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class _Quadratic:
    """Log likelihood ``r'b - b'Hb/2`` of the effects, and the places of each grouping's."""

    information: np.ndarray
    pull: np.ndarray
    group: np.ndarray
    prior: tuple[float, float]
    scale: float

    def precision(self, log_sd: np.ndarray) -> np.ndarray:
        """Prior precision of each effect, shape (..., size); that of the average first."""
        own = np.exp(-2 * np.asarray(log_sd))
        return np.concatenate([np.full((*own.shape[:-1], 1), self.prior[1] ** -2), own[..., self.group]], axis=-1)

    def pulled(self) -> np.ndarray:
        """Pull of the counts and of the prior's mean."""
        return self.pull + np.eye(1, len(self.pull))[0] * self.prior[0] / self.prior[1] ** 2

    def log_density(self, log_sd: np.ndarray) -> np.ndarray:
        """Log density of the logs of the spreads, effects integrated out; shape (n,) for (n, n_groupings)."""
        precision = self.precision(log_sd)
        out = np.empty(len(log_sd))
        for start in range(0, len(log_sd), _CHUNK):
            part = slice(start, start + _CHUNK)
            whole = self.information + precision[part, :, None] * np.eye(precision.shape[1])
            r = self.pulled()
            best = np.linalg.solve(whole, np.broadcast_to(r[:, None], (len(whole), len(r), 1)))[..., 0]
            out[part] = 0.5 * (best @ r) + 0.5 * np.log(precision[part]).sum(axis=1) - 0.5 * np.linalg.slogdet(whole)[1]
        return out + (log_sd - 0.5 * (np.exp(log_sd) / self.scale) ** 2).sum(axis=1)


def pooled_effects(
    cells: Cells, priors: Hyperpriors, *, seed: int, draws: int, chains: int
) -> tuple[xr.DataTree, Diagnosis]:  # fmt: skip
    """Draw from the posterior of a single logit with crossed, pooled effects.

    Returns
    -------
    DataTree, Diagnosis
        ``posterior`` as from :func:`~funnelstats.inference.multilevel.sample_crossed`: ``typical``, ``sd_g``, ``effect_g``.
    """
    rng = np.random.default_rng([seed, 5])
    quadratic, mode, turns = _settle(cells, priors)
    root = _root(quadratic, mode)
    proposed = mode + _WIDER * rng.standard_normal((PROPOSALS, len(mode))) @ root.T
    away = np.linalg.solve(root, (proposed - mode).T) / _WIDER
    weight = quadratic.log_density(proposed) + 0.5 * (away**2).sum(axis=0)
    weight = np.exp(weight - weight.max())
    weight /= weight.sum()
    effective = float(1 / (weight**2).sum())
    chosen = np.sort(rng.choice(PROPOSALS, size=draws * chains, p=weight))
    points = _draw_effects(quadratic, proposed, chosen, rng)
    order = rng.permutation(draws * chains)
    tree = _tree_of(cells, np.exp(proposed[chosen[order]]), points[order], (chains, draws))
    counts = Check(name="proposals that count", value=effective, bound=f"at least {EFFECTIVE_MIN}",
                   verdict="PASS" if effective >= EFFECTIVE_MIN else "REVIEW", where="the spreads are not near normal: use method='mcmc'")  # fmt: skip
    settled = Check(
        name="turns until settled", value=turns, bound=f"below {_TURNS}", verdict="PASS" if turns < _TURNS else "REVIEW"
    )
    return tree, Diagnosis(checks=(counts, settled), method="laplace")


def _settle(cells: Cells, priors: Hyperpriors) -> tuple[_Quadratic, np.ndarray, int]:
    """Best point given the spreads, spreads given the point, until neither moves."""
    sizes = [len(names) for names in cells.labels.values()]
    rows = np.column_stack(
        [np.ones(len(cells.wins)), *(np.eye(size)[cells.level[name]] for name, size in zip(cells.labels, sizes, strict=True))]
    )
    known = {"group": np.repeat(np.arange(len(sizes)), sizes), "prior": (priors.average.values[0], priors.average.values[1]),
             "scale": priors.spread.values[0]}  # fmt: skip
    log_sd, point = np.full(len(sizes), np.log(0.5)), np.zeros(rows.shape[1])
    point[0] = np.log((cells.wins.sum() + 0.5) / ((cells.trials - cells.wins).sum() + 0.5))
    turn, moved = 0, np.inf
    while moved > 1e-3 and turn < _TURNS:
        turn += 1
        chance = expit(rows @ point)
        information = rows.T @ (rows * (cells.trials * chance * (1 - chance))[:, None])
        pull = information @ point + rows.T @ (cells.wins - cells.trials * chance)
        quadratic = _Quadratic(information=information, pull=pull, **known)  # type: ignore[arg-type]
        best = minimize(
            lambda at, q=quadratic: -float(q.log_density(at[None])[0]), log_sd, method="L-BFGS-B", bounds=[(-7, 3)] * len(sizes)
        )
        moved = np.abs(best.x - log_sd).max()
        whole = information + np.diag(quadratic.precision(best.x))
        step = _shortened(np.linalg.solve(whole, quadratic.pulled()) - point, point, rows, cells, quadratic, best.x)
        moved, log_sd, point = max(moved, np.abs(rows @ step).max()), best.x, point + step
    return quadratic, log_sd, turn


def _shortened(
    step: np.ndarray, point: np.ndarray, rows: np.ndarray, cells: Cells, quadratic: _Quadratic, log_sd: np.ndarray
) -> np.ndarray:  # fmt: skip
    """Halve Newton's step until the posterior of the effects rises: far from its top the quadratic promises too much."""
    precision, centre = quadratic.precision(log_sd), np.eye(1, len(point))[0] * quadratic.prior[0]

    def height(at: np.ndarray) -> float:
        logit = rows @ at
        return float(cells.wins @ logit - cells.trials @ np.logaddexp(0, logit) - 0.5 * precision @ (at - centre) ** 2)

    start = height(point)
    for _ in range(20):
        if height(point + step) >= start - 1e-9:
            break
        step = step / 2
    return step


def _root(quadratic: _Quadratic, mode: np.ndarray) -> np.ndarray:
    """Cholesky factor of the covariance of the normal at the mode, from second differences; where the density hardly bends, a unit."""
    size, step = len(mode), 0.1
    shifts = step * np.eye(size)
    pairs = [(i, j) for i in range(size) for j in range(i, size)]
    corners = np.array([mode + a * shifts[i] + b * shifts[j] for i, j in pairs for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1))])
    value = quadratic.log_density(corners).reshape(-1, 4)
    bend = np.zeros((size, size))
    for (i, j), (pp, pm, mp, mm) in zip(pairs, value, strict=True):
        bend[i, j] = bend[j, i] = -(pp - pm - mp + mm) / (4 * step**2)
    strength, axes = np.linalg.eigh(bend)
    return np.linalg.cholesky((axes / np.maximum(strength, 0.5)) @ axes.T)


def _draw_effects(quadratic: _Quadratic, proposed: np.ndarray, chosen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One draw of all effects for each chosen spread, shape (n_draws, size)."""
    out = np.empty((len(chosen), len(quadratic.pull)))
    precision = quadratic.precision(proposed)
    places, counts = np.unique(chosen, return_counts=True)
    start = 0
    for place, count in zip(places, counts, strict=True):
        lower = np.linalg.cholesky(quadratic.information + np.diag(precision[place]))
        mean = np.linalg.solve(lower.T, np.linalg.solve(lower, quadratic.pulled()))
        out[start : start + count] = mean + np.linalg.solve(lower.T, rng.standard_normal((len(mean), count))).T
        start += count
    return out


def _tree_of(cells: Cells, spreads: np.ndarray, points: np.ndarray, size: tuple[int, int]) -> xr.DataTree:
    posterior: dict[str, np.ndarray] = {"typical": points[:, :1].reshape(*size, 1)}
    dims: dict[str, list[str]] = {"typical": ["stage"]}
    start = 1
    for at, (name, labels) in enumerate(cells.labels.items()):
        posterior[f"sd_{name}"], dims[f"sd_{name}"] = spreads[:, at].reshape(*size, 1), ["stage"]
        stop = start + len(labels)
        posterior[f"effect_{name}"], dims[f"effect_{name}"] = points[:, start:stop].reshape(*size, -1, 1), [name, "stage"]
        start = stop
    labelled: Mapping[str, tuple[str, ...]] = {"stage": cells.stages, **cells.labels}
    return tree_of(posterior, dims=dims, coords=labelled)
