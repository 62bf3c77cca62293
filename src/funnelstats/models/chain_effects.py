"""Do the roads to the same effect agree? Total, direct and indirect effects by every method, in one table.

Delta: Sobel (1982). Monte Carlo: MacKinnon, Lockwood & Williams (2004), draws of the coefficients multiplied. Bootstrap: whole
periods in blocks, all links on the same resample. Posterior: joint draws. Reduced form: the last variable on the first alone,
right for the total whatever lies between.  Where the chain's assumptions hold all of them agree; where the reduced form stands
apart, one of them is broken.
"""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from scipy.special import ndtri

from funnelstats.data.periods import Periods
from funnelstats.errors import DataError, Problem
from funnelstats.estimate import Estimate
from funnelstats.interval import DEFAULT, Interval
from funnelstats.models.chain import Chain
from funnelstats.models.chain_fit import ChainFit

Way = Literal["delta", "monte carlo", "bootstrap", "posterior", "reduced form"]
COLUMNS = ("effect", "method", "estimate", "se", "lower", "upper", "interval", "unit", "note")


def effect_table(
    chain: Chain,
    periods: Periods,
    *,
    seed: int,
    ways: Sequence[Way] = get_args(Way),
    interval: Interval = DEFAULT,
    draws: int = 1000,
    posterior: Literal["quadrature", "mcmc"] = "quadrature",
    **options: Any,
) -> pd.DataFrame:
    """Total, indirect and direct effect and the intercept, by each method.

    Parameters
    ----------
    chain : Chain
    periods : Periods
    seed : int
    ways : sequence of str
        Which methods: ``"delta"``, ``"monte carlo"``, ``"bootstrap"``, ``"posterior"``, ``"reduced form"``.
    interval : Interval
        Mass of every interval.
    draws : int
        Of each of four chains.
    posterior : {"quadrature", "mcmc"}
        How the posterior is drawn from.
    **options
        Further arguments of :meth:`Chain.fit <funnelstats.models.chain.Chain.fit>` by least squares, such as
        ``errors="classical"``.

    Returns
    -------
    DataFrame
        One row per effect and method: ``estimate``, ``se``, ``lower``, ``upper``, ``interval`` (mass, kind and method), ``unit``,
        ``note``. The direct effect is zero by assumption where the chain has no arrow for it.

    Examples
    --------
    >>> from funnelstats.data.periods import read_periods
    >>> table = effect_table(Chain(), read_periods("bundled:monthly_chain"), seed=1, ways=["delta", "reduced form"])
    >>> table.loc[table["effect"] == "total", ["method", "estimate"]].round(1).to_records(index=False).tolist()
    [('delta', 34.9), ('reduced form', 35.1)]
    """
    unknown = [way for way in ways if way not in get_args(Way)]
    if unknown:
        raise DataError(
            "the table of effects", [Problem("ways", f"expected some of {', '.join(get_args(Way))}, found {unknown}")]
        )
    fits: dict[str, ChainFit] = {}
    if {"delta", "monte carlo", "reduced form"} & set(ways):
        fits["monte carlo"] = fits["delta"] = chain.fit(periods, seed=seed, draws=draws, **options)
    if "bootstrap" in ways:
        fits["bootstrap"] = chain.fit(periods, seed=seed, method="bootstrap", draws=draws)
    if "posterior" in ways:
        fits["posterior"] = chain.fit(periods, seed=seed, method=posterior, draws=draws)
    rows = []
    for effect in ("total", "indirect", "direct", "intercept"):
        for way in ways:
            if way == "reduced form":
                continue
            estimate = named_effect(fits[way], effect)
            rows.append(
                _assumed(effect, way, estimate)
                if effect == "direct" and not np.any(estimate.draws)
                else delta(fits[way], effect, interval)
                if way == "delta"
                else _drawn(effect, way, estimate, interval)
            )
    if "reduced form" in ways:
        reduced = fits["delta"].reduced_form()
        rows += [{**delta(reduced, effect, interval), "method": "reduced form"} for effect in ("total", "intercept")]
    frame = pd.DataFrame(rows, columns=list(COLUMNS)).fillna({"note": ""})
    order = {effect: at for at, effect in enumerate(("total", "indirect", "direct", "intercept"))}
    return frame.sort_values("effect", key=lambda column: column.map(order), kind="stable").reset_index(drop=True)


def named_effect(fit: ChainFit, effect: str) -> Estimate:
    """Effect of a fit by the name it has in the table."""
    return {"total": fit.total_effect, "indirect": fit.indirect_effect, "direct": fit.direct_effect, "intercept": fit.intercept}[
        effect
    ]()


def delta(fit: ChainFit, effect: str, interval: Interval = DEFAULT) -> dict[str, Any]:
    """One row by the delta method: ``sqrt(g' V g)`` and a symmetric interval.

    Parameters
    ----------
    fit : ChainFit
        By a method that gives a covariance: ``"ols"``, ``"sur"``, ``"3sls"`` or ``"bootstrap"``.
    effect : str
        ``"total"``, ``"indirect"``, ``"direct"`` or ``"intercept"``.
    interval : Interval
    """
    if "/estimate" not in fit.tree.groups:
        raise DataError(
            "the delta method", [Problem("fit", f"expected a fit by a formula, found {fit.record.method}", 'use method="ols"')]
        )
    group = fit.tree["estimate"].to_dataset()
    points, paths = fit.points(), fit.paths
    total, intercept = paths.gradient(points)
    gradient = intercept if effect == "intercept" else dict(total)
    straight = next((arrow.name for arrow in paths.arrows if (arrow.source, arrow.target) == (paths.source, paths.outcome)), "")
    if effect == "indirect" and len(paths.variables) > 2 and straight:
        gradient[straight] -= 1.0
    if effect == "direct":
        gradient = {name: float(name == straight) for name in gradient}
    g = np.array([float(gradient[str(name)]) for name in group["coefficient"].values])
    se = float(np.sqrt(g @ group["covariance"].values @ g))
    reach = float(ndtri((1 + interval.prob) / 2)) * float(group["stretch"])
    found = named_effect(fit, effect)
    return {
        "effect": effect,
        "method": "delta",
        "estimate": found.point,
        "se": se,
        "lower": found.point - reach * se,
        "upper": found.point + reach * se,
        "interval": f"{interval.percent} symmetric (normal) interval",
        "unit": found.unit,
    }


def _drawn(effect: str, way: str, estimate: Estimate, interval: Interval) -> dict[str, Any]:
    shown = estimate.with_interval(prob=interval.prob, kind=interval.kind)
    return {
        "effect": effect,
        "method": way,
        "estimate": estimate.point,
        "se": estimate.sd,
        "lower": shown.lower,
        "upper": shown.upper,
        "interval": str(shown.interval),
        "unit": estimate.unit,
    }


def _assumed(effect: str, way: str, estimate: Estimate) -> dict[str, Any]:
    return {"effect": effect, "method": way, "estimate": 0.0, "interval": "none: assumed", "unit": estimate.unit,
            "note": "zero by assumption: the chain has no such arrow"}  # fmt: skip
