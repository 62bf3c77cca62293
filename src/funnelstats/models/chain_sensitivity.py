"""How strong would an unrecorded common cause have to be to explain a link away? The tipping point, link by link.

If something moves both ends of a link, the noise of the two is correlated, ``rho``, and the fitted slope is off by ``rho s_u
s_v / var(x)``.  No data of the chain itself can tell: so the slope is shown as a function of ``rho``, in the manner of Imai,
Keele & Yamamoto (2010), Statistical Science 25:51-71.  The robustness value of Cinelli & Hazlett (2020), JRSS-B 82:39-67, is
the share of the noise of both ends that the common cause must explain to bring the slope to zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from funnelstats.errors import DataError, Problem
from funnelstats.interval import DEFAULT, Interval
from funnelstats.models.chain_equations import Equation, equations
from funnelstats.models.chain_fit import ChainFit

#: Correlations at which the curve is drawn.
GRID = tuple(np.round(np.linspace(-0.95, 0.95, 39), 2).tolist())


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Sensitivity:
    """A link and the total effect as functions of the correlation of the noise at its two ends.

    Attributes
    ----------
    link : str
        Such as ``"L -> S"``.
    curve : DataFrame
        Columns ``rho``; ``slope``, ``slope_lower``, ``slope_upper``; ``total``, ``total_lower``, ``total_upper``; ``interval``.
    tipping : float
        The correlation at which the slope, and with it the path, is zero; beyond 1 in size where none is strong enough.
    tipping_interval : float
        The smallest correlation, in size, at which the interval of the slope reaches zero; 0 where it does without any.
    robustness : float
        Robustness value, in [0, 1].
    words : str
        The same as a sentence.
    """

    link: str
    curve: pd.DataFrame
    tipping: float
    tipping_interval: float
    robustness: float
    words: str

    def __str__(self) -> str:
        return self.words

    def __repr__(self) -> str:
        return f"<Sensitivity {self.words}>"


def sensitivity(fit: ChainFit, link: str, *, rho: Sequence[float] = GRID, interval: Interval = DEFAULT) -> Sensitivity:
    """How a link and the total effect change with an unrecorded common cause of its two ends.

    Parameters
    ----------
    fit : ChainFit
    link : str
        ``"L -> S"``, one of the arrows between recorded variables.
    rho : sequence of float
        Correlations between -1 and 1, both left out.
    interval : Interval
        Of the bounds.

    Returns
    -------
    Sensitivity

    Examples
    --------
    >>> from funnelstats.data.periods import read_periods
    >>> from funnelstats.models.chain import Chain
    >>> fit = Chain().fit(read_periods("bundled:monthly_chain"), seed=1)
    >>> found = sensitivity(fit, "S -> R")
    >>> abs(found.tipping) > 0.9, 0 < found.robustness < 1
    (True, True)
    """
    arrows = {f"{arrow.source} -> {arrow.target}": arrow for arrow in fit.paths.arrows}
    problems = [] if link in arrows else [Problem("link", f"expected one of {list(arrows)}, found {link!r}")]
    problems += [] if all(-1 < value < 1 for value in rho) else [Problem("rho", "expected correlations between -1 and 1")]
    if problems:
        raise DataError("the sensitivity of a chain", problems)
    arrow = arrows[link]
    links = equations(fit.paths, fit.observed(), subject=link)
    share, ratio, freedom, t = _leverage_of_confounding(fit, links, arrow.source, arrow.target)
    values, rows = fit.values(), []
    for value in rho:
        moved = values[arrow.name] - _shift(value, share, ratio)
        total = fit.paths.totals({**values, arrow.name: moved})[fit.paths.source]
        row = {"rho": float(value)}
        for name, draws in (("slope", moved), ("total", total)):
            flat = np.asarray(draws).ravel()
            lower, upper = interval.of(flat)
            row |= {name: float(flat.mean()), f"{name}_lower": float(lower), f"{name}_upper": float(upper)}
        rows.append(row)
    curve = pd.DataFrame(rows).assign(interval=str(interval))
    slope = fit.points()[arrow.name]
    lower, upper = (float(bound) for bound in interval.of(np.asarray(values[arrow.name]).ravel()))
    tipping = _tipping(slope, share, ratio)
    reaches = 0.0 if lower <= 0 <= upper else _tipping(lower if slope > 0 else upper, share, ratio)
    strength = t**2 / freedom
    robustness = 0.5 * (np.sqrt(strength**2 + 4 * strength) - strength)
    return Sensitivity(link=link, curve=curve, tipping=tipping, tipping_interval=reaches, robustness=float(robustness),
                       words=_words(fit, link, tipping, reaches, robustness, interval))  # fmt: skip


def sensitivity_table(fit: ChainFit, *, interval: Interval = DEFAULT) -> pd.DataFrame:
    """Tipping points of every link: one row each, missing where no correlation is strong enough, with the sentence that says it."""
    found = [sensitivity(fit, f"{arrow.source} -> {arrow.target}", rho=(0.0,), interval=interval) for arrow in fit.paths.arrows]
    return pd.DataFrame({"link": [one.link for one in found], "tipping": [_possible(one.tipping) for one in found],
                         "tipping_interval": [_possible(one.tipping_interval) for one in found],
                         "robustness": [one.robustness for one in found], "words": [one.words for one in found]})  # fmt: skip


def _possible(rho: float) -> float:
    """Return what can be a correlation; missing where no common cause is strong enough."""
    return rho if abs(rho) <= 1 else float("nan")


def _leverage_of_confounding(
    fit: ChainFit, links: Sequence[Equation], source: str, target: str
) -> tuple[float, float, int, float]:
    """Share of the regressor that is its own noise, ``s_v`` over the regressor's spread, freedom, and t of the slope."""
    link = next(link for link in links if link.target == target)
    at = [0, *range(2, link.X.shape[1])][link.parents.index(source)]
    others, column = np.delete(link.X, at, axis=1), link.X[:, at]
    free = column - others @ np.linalg.lstsq(others, column, rcond=None)[0]
    own = next((other.least_squares()[1] for other in links if other.target == source), free)
    beta, residuals, inverse = link.least_squares()
    share = min(float(np.var(own) / np.var(free)), 1.0)
    t = beta[at] / np.sqrt(inverse[at, at] * residuals @ residuals / link.freedom)
    return share, float(np.std(residuals) / np.std(free)), link.freedom, float(t)


def _shift(rho: float, share: float, ratio: float) -> float:
    """Bias of the slope: ``rho sqrt(share) s_v / sd(x)``, with ``s_v`` the noise before the regressor took part of it."""
    return float(rho * np.sqrt(share) * ratio / np.sqrt(1 - rho**2 * share))


def _tipping(slope: float, share: float, ratio: float) -> float:
    """Correlation whose bias is the whole slope: the partial correlation of the two over the root of the share."""
    strength = slope / ratio
    return float(strength / np.sqrt(1 + strength**2) / np.sqrt(share))


def _words(fit: ChainFit, link: str, tipping: float, reaches: float, robustness: float, interval: Interval) -> str:
    ends = link.replace(" -> ", " and ")
    if reaches == 0.0:
        return f"{link}: the {interval.percent} interval holds zero already, with no common cause at all"
    if abs(tipping) >= 1:
        text = f"{link}: no common cause of {ends} alone could explain the whole slope"
    else:
        text = f"{link}: the slope would vanish if a common cause made the noise of {ends} correlate at {tipping:.2f}"
    if abs(reaches) < 1:
        text += f"; it could no longer be told from zero from {reaches:.2f} on"
    return text + f"; robustness value {robustness:.0%}"
