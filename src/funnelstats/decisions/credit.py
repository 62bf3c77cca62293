"""What does lending to this client cost in expectation, and which interest pays for it? Expected loss = PD x LGD x EAD.

PD is the probability of default, LGD the share of the exposure that is lost when it happens, EAD the exposure.  For one period with funding at
``c``, a loan breaks even at the rate ``r`` with ``(1 - PD)(1 + r) + PD (1 - LGD) = 1 + c``, so ``r = (c + PD LGD) / (1 - PD)``.  All of it is
computed draw by draw: the mean of a ratio is not the ratio of means.

A default probability is learned from those who were lent to.  Of the declined the data say nothing (Hand & Henley 1993, IMA Journal of Mathematics
Applied in Business & Industry 5:45-55): what is said of approved clients holds for clients whom the same rule would approve.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from funnelstats.data.cases import Cases
from funnelstats.errors import DataError, Problem
from funnelstats.estimate import Estimate, NotIdentified
from funnelstats.models.scores import ScoreFit

#: Fewer defaults than this say nothing reliable of what is lost in one.
LEAST_DEFAULTS = 10


def loss_given_default(
    exposure: Any, lost: Any, *, seed: int, draws: int = 1000, chains: int = 4
) -> Estimate | NotIdentified:  # fmt: skip
    """Share of the exposure that is lost in a default, weighted by exposure.

    Parameters
    ----------
    exposure, lost : array_like, shape (n_defaults,)
        Of the loans in default.
    seed, draws, chains
        Of the Bayesian bootstrap (Rubin 1981, Annals of Statistics 9:130-134).

    Returns
    -------
    Estimate or NotIdentified
        Not identified with fewer than ten defaults.

    Examples
    --------
    >>> str(loss_given_default([100.0] * 3, [40, 50, 60], seed=1))
    'not identified: 3 loans in default, at least 10 are needed'
    """
    exposure, lost = np.asarray(exposure, dtype=float), np.asarray(lost, dtype=float)
    what = "share of the exposure lost in a default"
    if exposure.shape != lost.shape or not np.all(exposure > 0) or not np.all(np.isfinite(lost)):
        found = f"expected a positive exposure and a loss for each default, found shapes {exposure.shape} and {lost.shape}"
        raise DataError("the losses", [Problem("exposure, lost", found)])
    if len(exposure) < LEAST_DEFAULTS:
        return NotIdentified(what, reason=f"{len(exposure)} loans in default, at least {LEAST_DEFAULTS} are needed")
    weight = np.random.default_rng([seed, 29]).standard_exponential((draws * chains, len(exposure)))
    values = (weight @ lost) / (weight @ exposure)
    return Estimate(draws=xr.DataArray(values.reshape(chains, draws), dims=("chain", "draw")), description=what)


def break_even_rate(default: Estimate, loss: Estimate, *, funding: float = 0.0) -> Estimate:
    """Interest for the period at which a loan neither earns nor loses in expectation.

    Parameters
    ----------
    default : Estimate
        Probability of default over the period of the loan.
    loss : Estimate
        Loss given default, a share; same chains and draws.
    funding : float
        What the money costs over the period, a share.

    Examples
    --------
    >>> certain = Estimate.of(np.full(10, 0.1), description="PD")
    >>> half = Estimate.of(np.full(10, 0.5), description="LGD")
    >>> round(break_even_rate(certain, half, funding=0.03).point, 4)
    0.0889
    """
    if bool((default.draws >= 1).any()):
        raise DataError(
            "the break-even rate", [Problem("default", "expected probabilities below one: no rate pays for certain loss")]
        )
    return replace((funding + default * loss) / (1 + -default), description="interest at which a loan breaks even", unit="")


def credit_table(
    fit: ScoreFit[Any], loans: Cases, *, loss: Estimate, exposure: str, by: str = "", funding: float = 0.0, charged: float | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Price loans by expected loss, in groups.

    Parameters
    ----------
    fit : fit of LogisticScore or HierarchicalScore
        Of default, on loans that have ended.
    loans : Cases
        To be priced.
    loss : Estimate
        Loss given default; the same chains and draws as the fit.
    exposure : str
        Column of the amounts lent.
    by : str
        Column of the groups; the cases' own segment where empty.
    funding, charged : float
        What the money costs, and the interest asked, over the period of a loan.

    Returns
    -------
    DataFrame
        Index: the groups and ``all``. Columns ``loans``, ``exposure``, ``default`` (weighted by exposure), ``expected_loss``, ``break_even`` each with
        ``_lower`` and ``_upper``, ``p_pays`` (probability that the interest charged is above break-even; missing where none is given), ``interval``.
    """
    by = by or loans.roles.segment
    missing = [Problem(name, "column expected, not found") for name in (by, exposure) if name not in loans.frame]
    if missing:
        raise DataError(loans.source, missing)
    frame = loans.frame
    amounts = pd.to_numeric(frame[exposure]).to_numpy(dtype=float)
    if not np.all(amounts > 0):
        raise DataError(
            loans.source, [Problem(exposure, "expected positive amounts lent in every row", "keep approved loans only")]
        )
    rows = {}
    for name in [*sorted(frame[by].astype(str).unique()), "all"]:
        here = np.ones(len(frame), dtype=bool) if name == "all" else (frame[by].astype(str) == name).to_numpy()
        default = weighted_default(fit, frame[here], amounts[here])
        lost = replace(default * loss * float(amounts[here].sum()), unit=loans.currency)
        rate = break_even_rate(default, loss, funding=funding)
        rows[name] = {"loans": int(here.sum()), "exposure": float(amounts[here].sum())} | {
            f"{part}{end}": value for part, one in (("default", default), ("expected_loss", lost), ("break_even", rate))
            for end, value in (("", one.point), ("_lower", one.lower), ("_upper", one.upper))
        } | {"p_pays": np.nan if charged is None else rate.probability(lambda d: d < charged)}  # fmt: skip
    table = pd.DataFrame(rows).T.rename_axis(by)
    return table.astype({"loans": int}).assign(interval=str(loss.interval))


def weighted_default(fit: ScoreFit[Any], frame: pd.DataFrame, amounts: np.ndarray) -> Estimate:
    """Probability of default of a unit of money lent: the mean over loans, weighted by exposure, draw by draw."""
    draws = (fit.predict(frame).draws * amounts).sum("case") / amounts.sum()
    return Estimate(draws=draws, description="probability of default of a unit lent")
