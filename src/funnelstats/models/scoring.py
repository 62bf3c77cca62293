"""Did the scores hold on cases they had not seen, and are they better than saying the base rate of everybody? Several numbers, one cannot do.

Log score and Brier score (Brier 1950, Monthly Weather Review 78:1-3) reward saying the truth; the slope and intercept of outcomes on the logit
of the score (Cox 1958, Biometrika 45:562-565) say whether scores are too far apart or too high altogether; the area under the curve says only
whether they are in the right order, with the error of DeLong, DeLong & Clarke-Pearson (1988, Biometrics 44:837-845).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, logit, ndtri
from scipy.stats import rankdata

from funnelstats.data.cases import Cases
from funnelstats.errors import DataError, Problem
from funnelstats.interval import DEFAULT, Interval

#: Scores are kept this far from nought and one, where one surprise would cost without end.
_EDGE = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """Probability that a case with yes is scored above one with no, ties half, and its interval on the logit scale."""

    point: float
    lower: float
    upper: float
    sd: float


def score_table(scores: Mapping[str, Any], test: Cases, *, base: float, interval: Interval = DEFAULT) -> pd.DataFrame:
    """Score probabilities on cases held out, beside the base rate.

    Parameters
    ----------
    scores : mapping of str to fit or array_like
        Name -> a fit with ``.scores(...)``, or probabilities of the cases of ``test``.
    test : Cases
        Not those that the fits have seen.
    base : float
        Share of yes among the cases learned from: what one would say of everybody.
    interval : Interval
        Mass of the intervals of slope, intercept and area.

    Returns
    -------
    DataFrame
        Index: ``base rate`` and the names. Columns ``cases``, ``log_score`` (mean of -log of what was said of what happened, less is better), ``brier``,
        ``skill`` (share of the base rate's log score that is saved), ``expected`` and ``observed`` (share of yes), ``slope`` and ``intercept`` of
        calibration with bounds (1 and 0 if right), ``auc`` with bounds, ``interval``.

    Examples
    --------
    >>> frame = pd.DataFrame({"x": [0, 0, 0, 1, 1, 1] * 20, "bought": [0, 0, 1, 0, 1, 1] * 20})
    >>> cases = Cases.of(frame, outcome="bought", features=["x"])
    >>> table = score_table({"right": np.where(frame["x"] == 1, 2 / 3, 1 / 3)}, cases, base=0.5)
    >>> table.loc["right", ["slope", "auc"]].round(3).tolist()
    [1.0, 0.667]
    """
    said = {"base rate": np.full(len(test.frame), base), **{name: probabilities(one, test) for name, one in scores.items()}}
    least = log_score(said["base rate"], test.outcome)
    rows = {name: _row(chance, test.outcome, least, interval) for name, chance in said.items()}
    return pd.DataFrame(rows).T.astype(float).assign(cases=len(test.frame), interval=str(Interval(prob=interval.prob)))


def reliability_table(score: Any, test: Cases, *, groups: int = 10, interval: Interval = DEFAULT) -> pd.DataFrame:
    """Expected and observed share of yes in groups of cases by score, lowest first.

    Parameters
    ----------
    score : fit or array_like
        As for :func:`score_table`.
    test : Cases
    groups : int
        Of equally many cases; cases of one score stay together, so there may be fewer.
    interval : Interval
        Its mass is that of the Wilson interval of the observed share.

    Returns
    -------
    DataFrame
        Columns ``group``, ``cases``, ``expected``, ``yes``, ``observed``, ``lower``, ``upper``, ``interval``.
    """
    chance, outcome = probabilities(score, test), test.outcome
    edges = np.unique(np.quantile(chance, np.arange(1, groups) / groups))
    place = np.searchsorted(edges, chance, side="left")
    count, yes, expected = (
        np.bincount(place, part, minlength=len(edges) + 1) for part in (np.ones_like(chance), outcome, chance)
    )
    kept = count > 0
    rule = Interval(prob=interval.prob, kind="wilson")
    lower, upper = rule.of_counts(yes[kept], count[kept])
    return pd.DataFrame({"group": np.arange(1, kept.sum() + 1), "cases": count[kept].astype(int), "expected": expected[kept] / count[kept],
                         "yes": yes[kept].astype(int), "observed": yes[kept] / count[kept], "lower": lower, "upper": upper,
                         "interval": str(rule)})  # fmt: skip


def probabilities(score: Any, test: Cases) -> np.ndarray:
    """Probabilities of the cases: those of a fit, or those given."""
    chance = np.asarray(score.scores(test)["probability"] if hasattr(score, "scores") else score, dtype=float)
    problems = []
    if chance.shape != (len(test.frame),):
        problems.append(Problem("scores", f"expected one for each of {len(test.frame):,} cases, found shape {chance.shape}"))
    elif not np.all((chance >= 0) & (chance <= 1)):
        problems.append(Problem("scores", "expected probabilities, found numbers below 0, above 1 or missing"))
    if problems:
        raise DataError("the scores", problems)
    return chance


def log_score(chance: np.ndarray, outcome: np.ndarray) -> float:
    """Mean of -log of the probability that was given to what happened, in nats; scores of nought and one are a hair's breadth off."""
    kept = np.clip(chance, _EDGE, 1 - _EDGE)
    return float(-np.mean(np.where(outcome == 1, np.log(kept), np.log1p(-kept))))


def area(chance: np.ndarray, outcome: np.ndarray, *, interval: Interval = DEFAULT) -> Area | None:
    """Area under the receiver operating characteristic with DeLong's error; None where all ended alike.

    Placement values from midranks (Sun & Xu 2014, IEEE Signal Processing Letters 21:1389-1393).
    """
    yes, no = chance[outcome == 1], chance[outcome == 0]
    m, n = len(yes), len(no)
    if min(m, n) < 2:
        return None
    ranks = rankdata(np.concatenate([yes, no]))
    above = (ranks[:m] - rankdata(yes)) / n  # of each yes: the share of noes below it
    below = 1 - (ranks[m:] - rankdata(no)) / m
    point = float(above.mean())
    sd = float(np.sqrt(above.var(ddof=1) / m + below.var(ddof=1) / n))
    if sd == 0 or not 0 < point < 1:
        return Area(point=point, lower=point, upper=point, sd=sd)
    half = ndtri((1 + interval.prob) / 2) * sd / (point * (1 - point))
    return Area(point=point, lower=float(expit(logit(point) - half)), upper=float(expit(logit(point) + half)), sd=sd)


def calibration(chance: np.ndarray, outcome: np.ndarray, *, interval: Interval = DEFAULT) -> dict[str, float]:
    """Slope of outcomes on the logit of the score, and intercept at slope one, each with its bounds; missing where it cannot be had."""
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_linear_model import GLM

    said = logit(np.clip(chance, _EDGE, 1 - _EDGE))
    z = ndtri((1 + interval.prob) / 2)
    found = dict.fromkeys(("slope", "slope_lower", "slope_upper", "intercept", "intercept_lower", "intercept_upper"), np.nan)
    if outcome.min() == outcome.max():
        return found
    level = GLM(outcome, np.ones((len(said), 1)), family=Binomial(), offset=said).fit()
    found |= _bounds("intercept", level.params[0], z * level.bse[0])
    if np.ptp(said) > 1e-6:
        both = GLM(outcome, np.column_stack([np.ones(len(said)), said]), family=Binomial()).fit()
        found |= _bounds("slope", both.params[1], z * both.bse[1])
    return found


def _bounds(name: str, point: float, half: float) -> dict[str, float]:
    return {name: float(point), f"{name}_lower": float(point - half), f"{name}_upper": float(point + half)}


def _row(chance: np.ndarray, outcome: np.ndarray, least: float, interval: Interval) -> dict[str, float]:
    loss = log_score(chance, outcome)
    found = area(chance, outcome, interval=interval)
    part = {"auc": np.nan, "auc_lower": np.nan, "auc_upper": np.nan} if found is None else {
        "auc": found.point, "auc_lower": found.lower, "auc_upper": found.upper}  # fmt: skip
    return {"cases": np.nan, "log_score": loss, "brier": float(np.mean((chance - outcome) ** 2)), "skill": 1 - loss / least if least else np.nan,
            "expected": float(chance.mean()), "observed": float(outcome.mean()), **calibration(chance, outcome, interval=interval), **part}  # fmt: skip
