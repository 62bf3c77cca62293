"""How is one restriction of a link tested when months remember one another? A t statistic with errors as the link's own.

Also the influence of each period on the coefficients, from which the product of links and the reduced form are compared without
a variance that can turn negative.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr
from scipy.stats import t as student

from funnelstats.models.chain_equations import Equation
from funnelstats.models.chain_estimate import bandwidth, fixed_b


@dataclass(frozen=True, slots=True, kw_only=True)
class Restriction:
    """Estimate of what should be zero, its standard error, statistic and two-sided p-value."""

    estimate: float
    se: float
    statistic: float
    p: float


def added(link: Equation, column: np.ndarray, *, ordered: bool, also: tuple[np.ndarray, ...] = ()) -> Restriction | None:
    """Test that one more regressor has no slope; None where it says nothing that the others do not.

    Parameters
    ----------
    link : Equation
    column : ndarray, shape (n,)
        The regressor tested.
    ordered : bool
        Whether periods have neighbours: then errors are HAC with the fixed-b reference, else HC3 with Student's t.
    also : tuple of ndarray
        Regressors added but not tested.
    """
    from statsmodels.regression.linear_model import OLS

    known = np.column_stack([link.X, *also])
    fitted = known @ np.linalg.lstsq(known, column, rcond=None)[0]
    apart = column - fitted
    if np.linalg.norm(apart) <= 1e-7 * np.linalg.norm(column - column.mean()) or link.n - known.shape[1] < 3:
        return None
    design = np.column_stack([known, apart / np.std(apart)])  # the same test on a column that cannot spoil the conditioning
    lags = bandwidth(link.n)
    kind, options = ("HAC", {"maxlags": lags, "use_correction": True}) if ordered else ("HC3", {})
    result = OLS(link.y, design).fit(cov_type=kind, cov_kwds=options)
    estimate, se = float(result.params[-1] / np.std(apart)), float(result.bse[-1] / np.std(apart))
    return judged(estimate, se, freedom=link.n - design.shape[1], widen=fixed_b((lags + 1) / link.n) if ordered else None)


def judged(estimate: float, se: float, *, freedom: int, widen: float | None) -> Restriction:
    """Statistic and p-value: against the normal widened by ``fixed_b``, or against Student's t."""
    statistic = estimate / se
    tail = ndtr(-abs(statistic) / widen) if widen else student.sf(abs(statistic), freedom)
    return Restriction(estimate=estimate, se=se, statistic=float(statistic), p=float(2 * tail))


def influence(link: Equation) -> np.ndarray:
    """Influence of each period on the coefficients, ``(X'X)^-1 x_t u_t``, shape (n, k)."""
    _, residuals, inverse = link.least_squares()
    return np.asarray((link.X * residuals[:, None]) @ inverse)


def leave_one_out(link: Equation) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients without each period, shape (n, k), and the leverage of each period, shape (n,)."""
    beta, _, inverse = link.least_squares()
    leverage = np.einsum("ni,ij,nj->n", link.X, inverse, link.X)
    return beta - influence(link) / np.maximum(1 - leverage, 1e-12)[:, None], leverage


def long_run_variance(influences: np.ndarray, *, ordered: bool) -> float:
    """Variance of a sum of influences, shape (n,): Bartlett-weighted over neighbours where periods are in order."""
    variance = float(influences @ influences)
    if ordered:
        lags = bandwidth(len(influences))
        for lag in range(1, lags + 1):
            variance += 2 * (1 - lag / (lags + 1)) * float(influences[lag:] @ influences[:-lag])
    return variance


def holm(p: np.ndarray) -> np.ndarray:
    """P-values adjusted for their number (Holm 1979, Scandinavian Journal of Statistics 6:65-70).

    Examples
    --------
    >>> [round(float(p), 3) for p in holm(np.array([0.01, 0.04, 0.03]))]
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p)))))
    return adjusted
