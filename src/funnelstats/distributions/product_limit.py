"""What share has left by each age, by which exit, and how sure is that, when some are still inside? From counts alone.

Still inside: Kaplan & Meier (1958), JASA 53:457-481, with Greenwood's variance.  Left by one of several exits: Aalen & Johansen
(1978), Scand. J. Statist. 5:141-150.  The variance is the delta method of independent multinomial exits at each age, the formula
of Dinse & Larson (1986), Biometrika 73:379-386, and Marubini & Valsecchi (1995), Analysing Survival Data, eq. 10.12, which Stata
and SAS print; that of Aalen (1978), which R's cmprsk prints, differs in small samples.
"""

from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from scipy.stats import chi2, norm

Transform = Literal["log-log", "log", "plain"]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Curves:
    """Shares inside and left by each exit, after each age.

    Attributes
    ----------
    at_risk : ndarray, shape (n_ages,)
        Still inside when the age began.
    inside, inside_se : ndarray, shape (n_ages,)
        Kaplan-Meier share and its standard error.
    left, left_se : ndarray, shape (n_exits, n_ages)
        Aalen-Johansen incidence of each exit and its standard error; the sum over exits and ``inside`` is one.
    among, among_se : ndarray, shape (n_exits, n_ages)
        Incidence as a share of its last value: how the time is spread among those who take that exit by the last age;
        zero where nobody does.

    Examples
    --------
    >>> curves = Curves.of([6, 5, 4, 3, 2, 1], [[0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 0]])
    >>> curves.left[1].round(3), (curves.left_se[1] ** 2).round(3)  # the example of PROC LIFETEST with Aalen-Johansen
    (array([0. , 0. , 0. , 0.2, 0.4, 0.4]), array([0.   , 0.   , 0.   , 0.032, 0.048, 0.048]))
    """

    at_risk: np.ndarray
    inside: np.ndarray
    inside_se: np.ndarray
    left: np.ndarray
    left_se: np.ndarray
    among: np.ndarray
    among_se: np.ndarray

    @classmethod
    def of(cls, at_risk: Any, exits: Any) -> Self:
        """Compute from counts.

        Parameters
        ----------
        at_risk : array_like, shape (n_ages,)
            Positive; ages in order, those without an exit may be left out.
        exits : array_like, shape (n_exits, n_ages)
            Who left by each way at each age.
        """
        n, d = np.asarray(at_risk, dtype=float), np.atleast_2d(np.asarray(exits, dtype=float))
        gone = d.sum(axis=0)
        inside = np.cumprod(1 - gone / n)
        before = np.concatenate([[1.0], inside[:-1]])
        left = np.cumsum(before * d / n, axis=1)
        # after everyone has left nothing changes any more, so the infinite weight meets a difference of nil
        weight = np.where(gone < n, gone / (n * np.where(gone < n, n - gone, 1)), 0.0)
        sums = (np.cumsum(before**2 * d * (n - d) / n**3, axis=1), np.cumsum(before * d / n**2, axis=1),
                np.cumsum(before * d / n**2 * left, axis=1), np.cumsum(weight)[None], np.cumsum(weight * left, axis=1),
                np.cumsum(weight * left**2, axis=1))  # fmt: skip
        last = left[:, -1:]
        own, with_last = _covariance(left, left, sums), _covariance(left, last, sums)
        safe = np.where(last > 0, last, 1.0)
        among = left / safe
        spread = own + among**2 * own[:, -1:] - 2 * among * with_last
        return cls(at_risk=n, inside=inside, inside_se=inside * np.sqrt(np.cumsum(weight)), left=left, left_se=_root(own),
                   among=among, among_se=_root(spread) / safe)  # fmt: skip


def bounds(
    share: Any, se: Any, at_risk: Any, *, prob: float, transform: Transform = "log-log"
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Confidence bounds of shares.

    Parameters
    ----------
    share, se, at_risk : array_like
        Estimate, standard error, and how many were watched that long.
    prob : float
        Mass between the bounds.
    transform : {"log-log", "log", "plain"}
        The scale on which the bounds are symmetric: ``log(-log(share))`` keeps them inside (0, 1) (Kalbfleisch & Prentice 1980; for
        an incidence Choudhury 2002, Statistics in Medicine 21:1129-1144; SAS and Stata), ``log(share)`` is the default of R's
        survfit. Where the share is 0 or 1 none has a width: the bound is Wilson's for none, or all, of ``at_risk``.

    Returns
    -------
    lower, upper : ndarray
    """
    x, s, n = np.broadcast_arrays(np.asarray(share, dtype=float), np.asarray(se, dtype=float), np.asarray(at_risk, dtype=float))
    z = norm.ppf(0.5 + prob / 2)
    edge = (x <= 1e-12) | (x >= 1 - 1e-12)
    y = np.where(edge, 0.5, x)
    if transform == "log-log":
        factor = np.exp(z * s / (y * np.abs(np.log(y))))
        lower, upper = y**factor, y ** (1 / factor)
    elif transform == "log":
        lower, upper = y * np.exp(-z * s / y), np.minimum(y * np.exp(z * s / y), 1)
    else:
        lower, upper = np.maximum(y - z * s, 0), np.minimum(y + z * s, 1)
    reach = z**2 / (n + z**2)  # Wilson (1927) at no success
    lower = np.where(edge, np.where(x < 0.5, 0.0, 1 - reach), lower)
    return lower, np.where(edge, np.where(x < 0.5, reach, 1.0), upper)


def first_at(times: Any, curve: Any, level: float) -> float | None:
    """First time at which a rising curve has come to ``level``; None where it never does.

    With the bounds of the curve in its place this inverts the interval of the curve into one of the quantile (Brookmeyer & Crowley
    1982, Biometrics 38:29-41).
    """
    reached = np.asarray(curve) >= level - 1e-12
    return float(np.asarray(times)[int(np.argmax(reached))]) if reached.any() else None


def log_rank(at_risk: Any, exits: Any) -> tuple[float, int, float]:
    """Test that groups leave at the same rate at every age (Mantel 1966, Cancer Chemother. Rep. 50:163-170).

    Parameters
    ----------
    at_risk, exits : array_like, shape (n_groups, n_ages)

    Returns
    -------
    statistic, degrees, p : float, int, float
        Chi-squared, and the chance of one as large were there no difference.
    """
    n, d = np.asarray(at_risk, dtype=float), np.asarray(exits, dtype=float)
    use = n.sum(axis=0) > 1
    n, d = n[:, use], d[:, use]
    all_n, all_d = n.sum(axis=0), d.sum(axis=0)
    share = n / all_n
    gap = (d - share * all_d).sum(axis=1)
    scale = all_d * (all_n - all_d) / (all_n - 1)
    cov = np.diag((share * scale).sum(axis=1)) - (share * scale) @ share.T
    rank = int(np.linalg.matrix_rank(cov, hermitian=True))
    statistic = float(gap @ np.linalg.pinv(cov, hermitian=True) @ gap)
    return statistic, rank, float(chi2.sf(statistic, max(rank, 1)))


def _covariance(one: np.ndarray, other: np.ndarray, sums: tuple[np.ndarray, ...]) -> np.ndarray:
    """Covariance of the incidences at two ages, the first no later than the second."""
    own, cross, cross_left, weight, weight_left, weight_square = sums
    both = one + other
    return own - both * cross + 2 * cross_left + one * other * weight - both * weight_left + weight_square


def _root(variance: np.ndarray) -> np.ndarray:
    """Square root of what is positive up to rounding."""
    return np.sqrt(np.where(variance > 1e-15, variance, 0.0))
