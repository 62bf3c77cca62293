"""Would the chain have foretold the last periods? Fit on those before, predict, and count how often the interval held.

Given the marketing of the held-out periods, not what followed it.  Beside it two simpler forecasts: revenue on marketing alone,
and the mean of the periods before.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from funnelstats.data.periods import Periods
from funnelstats.errors import DataError, Problem
from funnelstats.interval import DEFAULT, Interval
from funnelstats.models.chain import Chain, Method


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Backtest:
    """Held-out periods beside what was foretold.

    Attributes
    ----------
    table : DataFrame
        One row per held-out period: ``period``, the first variable, ``observed``, ``predicted``, ``lower``, ``upper``,
        ``inside``.
    coverage : float
        Share of periods inside their interval.
    interval : Interval
    errors : dict of str to float
        Root mean squared error of ``chain``, ``reduced form`` and ``mean of the periods before``, in the unit of the outcome.
    unit : str
    """

    table: pd.DataFrame
    coverage: float
    interval: Interval
    errors: dict[str, float]
    unit: str

    def __str__(self) -> str:
        errors = ", ".join(f"{name} {value:.4g}" for name, value in self.errors.items())
        inside = int(self.table["inside"].sum())
        held = f"{inside} of {len(self.table)} held-out periods inside their {self.interval}"
        return f"{held}; root mean squared error ({self.unit}): {errors}"

    def __repr__(self) -> str:
        return f"<Backtest {self}>"


def backtest(
    chain: Chain, periods: Periods, *, holdout: int, seed: int, method: Method = "ols", interval: Interval = DEFAULT
) -> Backtest:
    """Hold out the last periods, fit on the others, and compare.

    Parameters
    ----------
    chain : Chain
    periods : Periods
        In order.
    holdout : int
        Number of periods held out, counted in those of the outcome.
    seed, method
        As for :meth:`Chain.fit <funnelstats.models.chain.Chain.fit>`.
    interval : Interval
        Of one period's outcome, noise included.

    Examples
    --------
    >>> from funnelstats.data.periods import read_periods
    >>> found = backtest(Chain(), read_periods("bundled:monthly_chain"), holdout=6, seed=1)
    >>> found.errors["chain"] < found.errors["mean of the periods before"]
    True
    """
    whole = len(periods.frame)
    problems = [] if periods.length else [Problem("periods", "expected periods in order, found rows without")]
    if not 1 <= holdout < whole:
        problems.append(Problem("holdout", f"expected from 1 to {whole - 1} periods, found {holdout}"))
    if problems:
        raise DataError("the backtest", problems)
    table = periods.aligned(chain.delays())
    source, outcome = chain.variables[0], chain.variables[-1]
    held = table.iloc[len(table) - holdout :]
    fit = chain.fit(periods.rows(0, whole - holdout), seed=seed, method=method)
    level = held[source].to_numpy()
    slope, intercept = fit.affine().slope, fit.affine().intercept
    mean = np.asarray(slope).ravel()[:, None] * level + np.asarray(intercept).ravel()[:, None]
    noise = np.asarray(fit.noise_sd()).ravel()[:, None] * fit.rng("backtest").standard_normal(mean.shape)
    lower, upper = interval.of(mean + noise, axis=0)
    seen = held[outcome].to_numpy()
    before = table.iloc[: len(table) - holdout]
    straight = np.polyval(np.polyfit(before[source], before[outcome], 1), level)
    late = chain.delays()[outcome]
    frame = pd.DataFrame(
        {
            "period": periods.labels[whole - holdout :],
            source: level,
            "observed": seen,
            "predicted": mean.mean(axis=0),
            "lower": lower,
            "upper": upper,
            "inside": (lower <= seen) & (seen <= upper),
        }
    )
    if late:
        frame.insert(2, "spent", periods.labels[whole - holdout - late : whole - late])
    forecasts = {"chain": frame["predicted"].to_numpy(), "reduced form": straight,
                 "mean of the periods before": np.full(holdout, before[outcome].mean())}  # fmt: skip
    errors = {name: float(np.sqrt(np.mean((forecast - seen) ** 2))) for name, forecast in forecasts.items()}
    return Backtest(
        table=frame, coverage=float(frame["inside"].mean()), interval=interval, errors=errors, unit=periods.unit(outcome)
    )
