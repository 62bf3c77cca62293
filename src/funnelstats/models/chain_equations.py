"""Which regression belongs to each link, and can its coefficients be had from these periods at all?

Every link is ``y = X beta + u``.  What would make ``X'X`` singular, or leave nothing to estimate the noise from, is refused here
by name, so that no number is ever read off a singular matrix.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from funnelstats.errors import FitError, Problem
from funnelstats.models.chain_paths import Paths

#: A column of ``X`` whose part not explained by the others is smaller than this share of it is taken to be one with them.
COLLINEAR = 1e-7
#: A residual smaller than this share of the spread of ``y`` is rounding, not noise.
NO_NOISE = 1e-9


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Equation:
    """One link as a regression.

    Attributes
    ----------
    target : str
    parents : tuple of str
        Regressors besides the constant.
    names : tuple of str
        Coefficients: slope of the first parent, intercept, other slopes. The order of the columns of ``X``.
    y : ndarray, shape (n,)
    X : ndarray, shape (n, k)
        The column of ones stands second.
    """

    target: str
    parents: tuple[str, ...]
    names: tuple[str, ...]
    y: np.ndarray
    X: np.ndarray

    @property
    def n(self) -> int:
        """Number of periods."""
        return len(self.y)

    @property
    def freedom(self) -> int:
        """Periods left to estimate the noise from."""
        return self.n - len(self.names)

    def least_squares(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Coefficients, residuals and ``(X'X)^-1``, from a QR decomposition of centred and scaled columns."""
        centre, spread = self.X.mean(axis=0), self.X.std(axis=0)
        spread[1], centre[1] = 1.0, 0.0
        scaled = (self.X - centre) / spread
        scaled[:, 1] = 1.0
        q, r = np.linalg.qr(scaled)
        back = np.diag(1 / spread)  # beta = back @ (coefficients of the scaled columns)
        back[1] -= np.where(np.arange(len(spread)) == 1, 0.0, centre / spread)
        root = back @ np.linalg.inv(r)
        beta = root @ (q.T @ self.y)
        residuals = self.y - q @ (q.T @ self.y)
        return beta, residuals, root @ root.T


def equations(paths: Paths, table: pd.DataFrame, *, subject: str) -> tuple[Equation, ...]:
    """Build the regressions of all links.

    Parameters
    ----------
    paths : Paths
    table : DataFrame
        One column per observed variable, aligned.
    subject : str
        Named in the error.

    Raises
    ------
    FitError
        Fewer periods than coefficients, a constant or collinear regressor, a link without noise; all of them together.
    """
    built, problems = [], []
    for target, baseline in paths.baselines:
        first, *others = paths.into(target)
        sources = (first.source, *(arrow.source for arrow in others))
        columns = [table[first.source], pd.Series(1.0, index=table.index), *(table[arrow.source] for arrow in others)]
        equation = Equation(target=target, parents=sources, names=(first.name, baseline, *(arrow.name for arrow in others)),
                            y=table[target].to_numpy(dtype=float), X=np.column_stack(columns))  # fmt: skip
        found = refusals(equation)
        problems += found
        built.append(equation)
    if problems:
        raise FitError(subject, problems)
    return tuple(built)


def refusals(equation: Equation) -> list[Problem]:
    """Reasons for which a link cannot be estimated; none where it can."""
    where = f"{' and '.join(equation.parents)} -> {equation.target}"
    if equation.freedom < 1:
        what = f"fewer periods than coefficients: {equation.n} for {len(equation.names)} and the noise"
        return [Problem(where, what, f"at least {len(equation.names) + 1} are needed, and many more to be sure of anything")]
    constant = [name for name, column in zip(_columns(equation), equation.X.T, strict=True) if name and not _varies(column)]
    if constant:
        what = f"{' and '.join(constant)} is the same in all {equation.n} periods, so its slope is not identified"
        return [Problem(where, what, "periods with different values are needed")]
    tied = collinear(equation)
    if tied:
        what = f"{tied}: only one combination of their slopes is identified, no slope by itself"
        return [Problem(where, what, "leave one of the arrows out")]
    if not _varies(equation.y):
        what = f"{equation.target} is the same in all {equation.n} periods: there is no noise to estimate from"
        return [Problem(where, what, "check the column")]
    _, residuals, _ = equation.least_squares()
    if np.linalg.norm(residuals) <= NO_NOISE * np.linalg.norm(equation.y - equation.y.mean()):
        what = "zero residual: the points lie exactly on a line, so its uncertainty is not identified"
        return [Problem(where, what, "constructed or copied columns? exact_line gives the line itself")]
    return []


def collinear(equation: Equation) -> str:
    """Say which regressor is a linear function of the others; empty where none is."""
    names = _columns(equation)
    for at, name in enumerate(names):
        if not name:
            continue
        others = np.delete(equation.X, at, axis=1)
        scaled = others / np.maximum(np.abs(others).max(axis=0), 1e-300)
        column = equation.X[:, at]
        fitted = scaled @ np.linalg.lstsq(scaled, column, rcond=None)[0]
        if np.linalg.norm(column - fitted) <= COLLINEAR * np.linalg.norm(column - column.mean()):
            rest = [other for other in names if other and other != name]
            return f"{name} is an exact linear function of {' and '.join(rest)}"
    return ""


def inflation(equation: Equation) -> dict[str, float]:
    """Variance inflation of each regressor: 1 / (1 - R2) of it on the others; 1 where it is alone."""
    found = {}
    for at, name in enumerate(_columns(equation)):
        if name:
            others, column = np.delete(equation.X, at, axis=1), equation.X[:, at]
            residual = column - others @ np.linalg.lstsq(others, column, rcond=None)[0]
            found[name] = float(np.sum((column - column.mean()) ** 2) / np.sum(residual**2))
    return found


def _columns(equation: Equation) -> Sequence[str]:
    first, *others = equation.parents
    return (first, "", *others)


def _varies(column: np.ndarray) -> bool:
    return bool(np.ptp(column) > 1e-12 * np.abs(column).max(initial=0.0))
