"""What does the last unit of marketing bring, and what does the average one? Marginal and average return, and elasticity."""

from typing import Any

import pandas as pd

from funnelstats.errors import DataError, Problem
from funnelstats.models.chain_fit import ChainFit, slope_unit


def returns(fit: ChainFit, level: float) -> pd.DataFrame:
    """Marginal and average return and elasticity at a level of the first variable.

    Returns
    -------
    DataFrame
        Rows ``marginal`` (one more unit), ``average`` (all of the outcome over all of the level), ``attributable`` (the outcome
        above its intercept over the level) and ``elasticity`` (percent per percent); with bounds, unit and meaning. On a
        straight line the marginal return is the same everywhere, and so is the attributable one: saturation is assumed away,
        not found absent.
    """
    if not level > 0:
        raise DataError("returns", [Problem("level", f"expected a positive level, found {level!r}")])
    paths = fit.paths
    at = float(fit.level(level))
    unit = slope_unit(fit.data.unit(paths.outcome), fit.data.unit(paths.source))
    quantities: dict[str, tuple[Any, str, str]] = {
        "marginal": (lambda v: paths.totals(v)[paths.source], unit, "one more unit, at any level"),
        "average": (lambda v: paths.means(v, at)[paths.outcome] / at, unit, "all of the outcome over all of the level"),
        "attributable": (
            lambda v: (paths.means(v, at)[paths.outcome] - paths.means(v, 0.0)[paths.outcome]) / at,
            unit,
            "what is above the intercept over the level",
        ),
        "elasticity": (
            lambda v: paths.totals(v)[paths.source] * at / paths.means(v, at)[paths.outcome],
            "% per %",
            "percent by one percent",
        ),
    }
    rows = []
    for name, (of, own, meaning) in quantities.items():
        found = fit.quantity(of, description=name, unit=own)
        rows.append(
            {
                "return": name,
                "estimate": found.point,
                "lower": found.lower,
                "upper": found.upper,
                "interval": str(found.shown),
                "unit": own,
                "meaning": meaning,
            }
        )
    return pd.DataFrame(rows)
