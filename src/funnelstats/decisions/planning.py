"""How much marketing brings the target, with what assurance? The least budget, and how doubtful it is.

``plan`` asks for the least M with ``P(R >= target) >= assurance`` over joint draws of the coefficients and the noise of a
period.  With a slope that may be zero no budget need exist: then the answer is "not reachable", with the highest probability
there is.
"""

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from funnelstats.errors import DataError, ExtrapolationWarning, Problem
from funnelstats.estimate import Estimate, NotIdentified
from funnelstats.interval import DEFAULT
from funnelstats.models.chain_fit import ChainFit
from funnelstats.models.chain_inverse import LevelSet, inverse_prediction, level_set
from funnelstats.models.chain_support import Support, amount

Of = Literal["period", "mean"]
#: Assurances shown beside the one asked for.
LADDER = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
#: A budget is looked for up to this many times the largest seen.
FAR = 10.0
GRID = 160


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Plan:
    """A budget for a target.

    Attributes
    ----------
    target : float
    assurance : float
        Probability asked for.
    of : {"period", "mean"}
        Whether one period, noise included, or the mean of many is to reach the target.
    level : float or NotIdentified
        Least level of the first variable with that assurance; NotIdentified with the reason where there is none.
    variable, unit, outcome, outcome_unit : str
    limit : float
        How far was looked.
    best : float
        Highest probability of the target at any level up to the limit.
    slope_positive : float
        Probability that the total effect is positive: what the probability of the target tends to as the level grows.
    chain_set, reduced_set : LevelSet
        Levels whose mean is compatible with the target, by the product of links and by the reduced form (Fieller).
    support : Support or None
        Where the level lies among the data.
    ladder : DataFrame
        Columns ``assurance``, ``level``, ``note``.
    caution : str
        What the plan takes for granted.
    """

    target: float
    assurance: float
    of: Of
    level: float | NotIdentified
    variable: str
    unit: str
    outcome: str
    outcome_unit: str
    limit: float
    best: float
    slope_positive: float
    chain_set: LevelSet
    reduced_set: LevelSet
    support: Support | None
    ladder: pd.DataFrame
    caution: str

    @property
    def reachable(self) -> bool:
        """Whether some level within the limit has the assurance asked for."""
        return not isinstance(self.level, NotIdentified)

    def __str__(self) -> str:
        when = "in one period" if self.of == "period" else "on average"
        goal = f"{amount(self.target, self.outcome_unit)} of {self.outcome} {when}"
        if isinstance(self.level, NotIdentified):
            return f"{goal} with assurance {self.assurance:.0%}: not reachable, {self.level.reason}"
        text = f"{goal} with assurance {self.assurance:.0%}: least {self.variable} {amount(self.level, self.unit)}"
        text += f"; the mean reaches it at {self.chain_set}"
        return text + (f". {self.support}" if self.support and not self.support.inside else "")

    def __repr__(self) -> str:
        return f"<Plan {self}>"

    def _repr_html_(self) -> str:
        return f"<p>{self}</p>{self.ladder.to_html(index=False, float_format='{:.4g}'.format)}<p>{self.caution}</p>"


def plan(
    fit: ChainFit,
    *,
    target: float,
    assurance: float = 0.8,
    of: Of = "period",
    limit: float | None = None,
    prob: float = DEFAULT.prob,
) -> Plan:
    """Least level of the first variable that reaches a target with a stated probability.

    Parameters
    ----------
    fit : ChainFit
    target : float
        Of the last variable, in its unit.
    assurance : float
        Probability asked for, between 0 and 1.
    of : {"period", "mean"}
        One period (noise included) or the mean.
    limit : float, optional
        Largest level considered; ten times the largest seen where not given.
    prob : float
        Confidence of the sets of levels.

    Returns
    -------
    Plan

    Warns
    -----
    ExtrapolationWarning
        The level lies outside the observed range; with the density of the data there.

    Examples
    --------
    >>> from funnelstats.data.periods import read_periods
    >>> from funnelstats.models.chain import Chain
    >>> fit = Chain().fit(read_periods("bundled:monthly_chain"), seed=1)
    >>> found = plan(fit, target=500, assurance=0.9)
    >>> found.reachable, found.chain_set.bounded
    (True, True)
    """
    limit = _checked(fit, target, assurance, of, limit)
    seen, paths = fit.observed(), fit.paths
    probability = _reach(fit, target, of)
    levels = np.linspace(0.0, limit, GRID)
    levels = np.unique(np.concatenate([levels, np.linspace(0.0, float(seen[paths.source].max()), GRID // 2)]))
    chances = np.array([probability(level) for level in levels])
    slopes = np.asarray(fit.affine().slope).ravel()
    positive = float(np.mean(slopes > 0))
    found = _least(probability, levels, chances, assurance)
    rows = [(share, _least(probability, levels, chances, share)) for share in sorted({*LADDER, assurance})]
    ladder = pd.DataFrame({"assurance": [share for share, _ in rows], "level": [level for _, level in rows],
                           "note": ["" if np.isfinite(level) else "not reachable" for _, level in rows]})  # fmt: skip
    unit = fit.data.unit(paths.source)
    what = f"least {paths.source} for {target:.6g}"
    reason = (
        f"the probability is at most {chances.max():.0%} up to {paths.source} = {limit:.4g}; the slope is positive with "
        f"probability {positive:.0%}"
    )
    support = Support.of(found, seen[paths.source].to_numpy(), variable=paths.source, unit=unit) if np.isfinite(found) else None
    if support and not support.inside and found > support.low:
        warnings.warn(f"{support}. The plan assumes that the line stays straight there.", ExtrapolationWarning, stacklevel=2)
    caution = "the line stays straight" + (
        "" if fit.model.causal else "; M was not set by design, so the plan takes an association for an effect"
    )
    return Plan(
        target=target,
        assurance=assurance,
        of=of,
        level=found if np.isfinite(found) else NotIdentified(what, reason),
        variable=paths.source,
        unit=unit,
        outcome=paths.outcome,
        outcome_unit=fit.data.unit(paths.outcome),
        limit=limit,
        best=float(chances.max()),
        slope_positive=positive,
        chain_set=chain_levels(fit, target, prob=prob),
        support=support,
        ladder=ladder,
        caution=caution,
        reduced_set=inverse_prediction(seen[paths.source], seen[paths.outcome], target, prob=prob, unit=unit),
    )


def chain_levels(fit: ChainFit, target: float, *, prob: float = DEFAULT.prob) -> LevelSet:
    """Levels whose mean is compatible with a target, from the joint draws of slope and intercept."""
    whole = fit.affine()
    pair = np.stack([np.asarray(whole.intercept).ravel(), np.asarray(whole.slope).ravel()])
    points, paths = fit.points(), fit.paths
    return level_set(
        target,
        intercept=float(paths.means(points, 0.0)[paths.outcome]),
        slope=float(paths.totals(points)[paths.source]),
        covariance=np.cov(pair),
        critical=float(ndtri((1 + prob) / 2)),
        prob=prob,
        unit=fit.data.unit(paths.source),
    )


def break_even(fit: ChainFit, target: float) -> Estimate | NotIdentified:
    """Level at which the mean meets the target, draw by draw; NotIdentified where the slope is not clear of zero."""
    paths = fit.paths
    what = f"{paths.source} at which the mean of {paths.outcome} is {target:.6g}"
    if not chain_levels(fit, target).bounded:
        return NotIdentified(what, "the slope is not clear of zero, so no bounded set of levels can be given; see chain_levels")
    return fit.quantity(lambda values: (target - paths.means(values, 0.0)[paths.outcome]) / paths.totals(values)[paths.source],
                        description=what, unit=fit.data.unit(paths.source))  # fmt: skip


def _checked(fit: ChainFit, target: float, assurance: float, of: str, limit: float | None) -> float:
    most = float(fit.observed()[fit.paths.source].max())
    limit = FAR * most if limit is None else float(limit)
    problems = []
    if not np.isfinite(target):
        problems.append(Problem("target", f"expected a number, found {target!r}"))
    if not 0 < assurance < 1:
        problems.append(Problem("assurance", f"expected a probability between 0 and 1, such as 0.8, found {assurance!r}"))
    if of not in ("period", "mean"):
        problems.append(Problem("of", f"expected period or mean, found {of!r}"))
    if not limit > 0:
        problems.append(Problem("limit", f"expected a positive level, found {limit!r}"))
    if problems:
        raise DataError("a plan", problems)
    return limit


def _reach(fit: ChainFit, target: float, of: str) -> Any:
    """Probability of the target as a function of the level, the noise of a period integrated out."""
    whole = fit.affine()
    slope, intercept = np.asarray(whole.slope).ravel(), np.asarray(whole.intercept).ravel()
    sd = np.asarray(xr.DataArray(fit.noise_sd())).ravel()
    if of == "mean":
        return lambda level: float(np.mean(intercept + slope * level >= target))
    return lambda level: float(np.mean(ndtr((intercept + slope * level - target) / sd)))


def _least(probability: Any, levels: np.ndarray, chances: np.ndarray, share: float) -> float:
    """First level at which the probability is reached, found on the grid and then exactly; infinite where there is none."""
    above = np.flatnonzero(chances >= share)
    if not len(above):
        return float("inf")
    first = int(above[0])
    if first == 0:
        return float(levels[0])
    return float(
        brentq(lambda level: probability(level) - share, levels[first - 1], levels[first], xtol=1e-9 * float(levels[-1]))
    )
