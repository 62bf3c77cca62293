"""What do several equations say together, when their errors may be correlated? SUR, two- and three-stage least squares.

Zellner (1962), JASA 57:348-368; Zellner & Theil (1962), Econometrica 30:54-78.  The engine is linearmodels.  The residual
covariance has two conventions, which move three-stage standard errors by several percent, so it is named: ``"n"`` divides by
the number of rows (Stata, linearmodels), ``"freedom"`` by ``sqrt((n - k_i)(n - k_j))`` (systemfit's "geomean").
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from funnelstats.errors import DataError, FitError, Problem

Method = Literal["ols", "2sls", "sur", "3sls"]
Divisor = Literal["n", "freedom"]
ITERATIONS = 500
#: A residual correlation matrix with a smaller determinant is singular.
SINGULAR = 1e-8


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class SystemEquation:
    """One equation: name, left-hand side, and columns by the name of their coefficient (a constant among them).

    Attributes
    ----------
    name : str
    y : ndarray, shape (n,)
    exogenous, endogenous : mapping of str to ndarray
        Regressors that are, and are not, independent of the errors.
    instruments : mapping of str to ndarray
        What moves the endogenous regressors and is in no other way in this equation.
    """

    name: str
    y: np.ndarray
    exogenous: Mapping[str, np.ndarray]
    endogenous: Mapping[str, np.ndarray] = field(default_factory=dict)
    instruments: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class SystemFit:
    """Estimates of a system.

    Attributes
    ----------
    names : tuple of str
        ``"equation:coefficient"``.
    point : ndarray, shape (k,)
    covariance : ndarray, shape (k, k)
    residual_covariance : ndarray, shape (m, m)
        Under the divisor asked for.
    iterations : int
    """

    names: tuple[str, ...]
    point: np.ndarray
    covariance: np.ndarray
    residual_covariance: np.ndarray
    iterations: int

    def table(self) -> pd.DataFrame:
        """Estimate and standard error of each coefficient."""
        return pd.DataFrame(
            {"estimate": self.point, "se": np.sqrt(np.diag(self.covariance))}, index=pd.Index(self.names, name="coefficient")
        )


def fit_system(
    equations: Sequence[SystemEquation],
    *,
    method: Method,
    divisor: Divisor = "freedom",
    iterate: bool = False,
    subject: str = "the system",
) -> SystemFit:
    """Estimate a system of linear equations.

    Parameters
    ----------
    equations : sequence of SystemEquation
    method : {"ols", "2sls", "sur", "3sls"}
        ``"ols"`` and ``"sur"`` take every regressor as exogenous.
    divisor : {"n", "freedom"}
        Convention of the residual covariance.
    iterate : bool
        Repeat ``"sur"`` or ``"3sls"`` until the residual covariance does not change.
    subject : str
        Named in errors.

    Raises
    ------
    FitError
        Fewer instruments than endogenous regressors, a singular residual covariance, an iteration that does not settle.
    """
    if method not in ("ols", "2sls", "sur", "3sls"):
        raise DataError(subject, [Problem("method", f"expected ols, 2sls, sur or 3sls, found {method!r}")])
    _require_instruments(equations, method, subject)
    fitted = _run(equations, method, divisor, iterate, subject)
    found = _residual_covariance(fitted, equations, divisor)
    names = tuple(f"{part.name}:{name}" for part in equations for name in (*part.exogenous, *part.endogenous))
    labels = [name.replace(":", "_", 1) for name in names]
    covariance = fitted.cov.loc[labels, labels].to_numpy()
    return SystemFit(names=names, point=fitted.params[labels].to_numpy(), covariance=covariance, residual_covariance=found,
                     iterations=int(fitted.iterations))  # fmt: skip


def _run(equations: Sequence[SystemEquation], method: Method, divisor: Divisor, iterate: bool, subject: str) -> Any:
    from linearmodels.system import IV3SLS, SUR

    single = method in ("ols", "sur")
    model = (SUR if single else IV3SLS)({part.name: _as_linearmodels(part, exogenous_only=single) for part in equations})
    how: Literal["ols", "gls"] = "ols" if method in ("ols", "2sls") else "gls"
    singular = FitError(subject, [Problem("residual covariance", "it tends to a singular matrix: the equations are not separate",
                                          "do not iterate, or leave one of them out")])  # fmt: skip
    if how == "gls" and _singular(np.asarray(model.fit(method="ols", cov_type="unadjusted").sigma)):
        raise singular
    try:
        fitted = model.fit(
            method=how, cov_type="unadjusted", debiased=divisor == "freedom", iterate=iterate, iter_limit=ITERATIONS, tol=1e-9
        )
    except np.linalg.LinAlgError as error:
        raise singular from error
    if how == "gls" and _singular(np.asarray(fitted.sigma)):
        raise singular
    if iterate and fitted.iterations >= ITERATIONS:
        raise FitError(subject, [Problem("iteration", f"expected to settle, did not in {ITERATIONS} rounds")])
    return fitted


def _singular(sigma: np.ndarray) -> bool:
    return bool(np.linalg.det(sigma / np.sqrt(np.outer(np.diag(sigma), np.diag(sigma)))) < SINGULAR)


def _as_linearmodels(part: SystemEquation, *, exogenous_only: bool) -> dict[str, Any]:
    exogenous = {**part.exogenous, **part.endogenous} if exogenous_only else part.exogenous
    found = {"dependent": pd.Series(part.y, name=part.name), "exog": pd.DataFrame(dict(exogenous))}
    if not exogenous_only and part.endogenous:
        found |= {"endog": pd.DataFrame(dict(part.endogenous)), "instruments": pd.DataFrame(dict(part.instruments))}
    return found


def _residual_covariance(fitted: Any, equations: Sequence[SystemEquation], divisor: Divisor) -> np.ndarray:
    residuals = np.asarray(fitted.resids)
    n = len(residuals)
    left = np.array([n - (len(part.exogenous) + len(part.endogenous) if divisor == "freedom" else 0) for part in equations])
    return np.asarray(residuals.T @ residuals / np.sqrt(np.outer(left, left)))


def _require_instruments(equations: Sequence[SystemEquation], method: Method, subject: str) -> None:
    if method in ("ols", "sur"):
        return
    problems = [
        Problem(
            part.name, f"{len(part.endogenous)} endogenous regressors and {len(part.instruments)} instruments: not identified"
        )
        for part in equations
        if len(part.instruments) < len(part.endogenous)
    ]
    if problems:
        raise FitError(subject, problems)
