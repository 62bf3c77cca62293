"""What are the coefficients of all links, with which errors, and what else would have done as well? Least squares and its draws.

With independent errors between the links, least squares of each equation by itself is maximum likelihood of the whole system
(the Jacobian is one and the likelihood factorises).  Errors: ``"hac"`` allows for heteroskedasticity and for memory between
neighbouring periods (Newey & West 1987, Econometrica 55:703-708), ``"hc3"`` for heteroskedasticity only (MacKinnon & White
1985), ``"classical"`` for neither.  Draws are multivariate t; with classical errors they are exactly the posterior under the
reference prior.  HAC errors and block resamples are widened for the few blocks that a short series has (:func:`fixed_b`), or 90
% intervals would hold 82 %.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from funnelstats.errors import DataError, FitError, Problem
from funnelstats.models.chain_equations import Equation
from funnelstats.models.chain_system import SystemEquation, fit_system

Errors = Literal["hac", "hc3", "classical"]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Joint:
    """Estimates of all coefficients together.

    Attributes
    ----------
    names : tuple of str
        Coefficients, equation by equation.
    point : ndarray, shape (k,)
    covariance : ndarray, shape (k, k)
    spread : ndarray, shape (m,)
        Standard deviation of the noise of each equation.
    correlation : ndarray, shape (m, m)
        Of the noise between equations; the identity where they are taken to be independent.
    freedom : tuple of int
        Degrees of freedom of each equation.
    blocks : tuple of int
        Number of coefficients of each equation.
    settings : tuple of (str, value)
        What was chosen on the way.
    stretch : float, optional
        Draws are normal times this factor where given, else t.
    """

    names: tuple[str, ...]
    point: np.ndarray
    covariance: np.ndarray
    spread: np.ndarray
    correlation: np.ndarray
    freedom: tuple[int, ...]
    blocks: tuple[int, ...]
    settings: tuple[tuple[str, Any], ...] = ()
    stretch: float | None = None

    def draw(self, rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Draws of the coefficients, shape (size, k), and of the spreads, shape (size, m).

        Each equation has one chi-squared factor that widens its coefficients and its noise together; where a ``stretch`` is
        given, coefficients have that instead.
        """
        factor = np.column_stack([np.sqrt(nu / rng.chisquare(nu, size)) for nu in self.freedom])
        values, vectors = np.linalg.eigh(self.covariance)
        away = rng.standard_normal((size, len(self.point))) * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
        wide = np.repeat(factor, self.blocks, axis=1) if self.stretch is None else self.stretch
        return self.point + away * wide, self.spread * factor


def bandwidth(n: int) -> int:
    """Lags that the HAC covariance looks back: ``4 (n / 100)^(2/9)``, rounded down (Newey & West 1994)."""
    return min(int(4 * (n / 100) ** (2 / 9)), n - 2)


def fixed_b(share: float) -> float:
    """How much wider than normal an interval has to be whose variance was estimated with blocks of ``share`` of the periods.

    Kiefer & Vogelsang (2005), Econometric Theory 21:1130-1164: critical values of the t statistic with a Bartlett kernel, table
    for 5 % in each tail, over that of the normal distribution. Moving blocks estimate the same variance (Kuensch 1989).

    Examples
    --------
    >>> round(fixed_b(0.1), 3)
    1.135
    """
    return (1.6449 + 2.1859 * share + 0.3142 * share**2 - 0.3427 * share**3) / 1.6449


def least_squares(links: Sequence[Equation], *, errors: Errors) -> Joint:
    """Ordinary least squares of each link by itself.

    Parameters
    ----------
    links : sequence of Equation
    errors : {"hac", "hc3", "classical"}

    Returns
    -------
    Joint
        Covariance in blocks: nothing between equations.
    """
    sizes = [len(link.names) for link in links]
    covariance = np.zeros((sum(sizes), sum(sizes)))
    points, spreads, at = [], [], 0
    for link, size in zip(links, sizes, strict=True):
        beta, residuals, inverse = link.least_squares()
        spread = float(np.sqrt(residuals @ residuals / link.freedom))
        covariance[at : at + size, at : at + size] = inverse * spread**2 if errors == "classical" else _robust(link, errors)
        points.append(beta)
        spreads.append(spread)
        at += size
    lags, n = bandwidth(links[0].n), links[0].n
    settings = (("errors", errors), *((("lags", lags),) if errors == "hac" else ()))
    return Joint(
        names=tuple(name for link in links for name in link.names),
        point=np.concatenate(points),
        covariance=covariance,
        spread=np.array(spreads),
        correlation=np.eye(len(links)),
        freedom=tuple(link.freedom for link in links),
        blocks=tuple(sizes),
        settings=settings,
        stretch=fixed_b((lags + 1) / n) if errors == "hac" else None,
    )


def _robust(link: Equation, errors: Errors) -> np.ndarray:
    from statsmodels.regression.linear_model import OLS

    options = {"maxlags": bandwidth(link.n), "use_correction": True} if errors == "hac" else {}
    return np.asarray(OLS(link.y, link.X).fit(cov_type=errors.upper(), cov_kwds=options, use_t=True).cov_params())


def as_system(links: Sequence[Equation], *, method: Literal["sur", "3sls"], source: str) -> Joint:
    """Fit all links together, allowing their errors to be correlated.

    ``"sur"`` still takes every regressor as exogenous, which correlated errors contradict in a chain: it is offered for
    comparison. ``"3sls"`` uses the source as the only instrument, so it needs a chain without skip arrows; then every equation
    is just identified, three stages give the numbers of two, and the product of the slopes *is* the slope of the last variable
    on the first.

    Raises
    ------
    FitError
        A skip arrow with ``"3sls"``: more slopes than instruments.
    """
    if method == "3sls":
        point, covariance, sigma = _just_identified(links, source)
    else:
        parts = [
            SystemEquation(name=link.target, y=link.y, exogenous=dict(zip(link.names, link.X.T, strict=True))) for link in links
        ]
        found = fit_system(parts, method="sur", divisor="freedom", subject="sur of the chain")
        point, covariance, sigma = found.point, found.covariance, found.residual_covariance
    spread = np.sqrt(np.diag(sigma))
    alike = np.eye(len(links)) + (sigma / np.outer(spread, spread) - np.eye(len(links))) * (1 - 1e-8)  # so that it has an inverse
    return Joint(
        names=tuple(name for link in links for name in link.names),
        point=point,
        covariance=covariance,
        spread=spread,
        correlation=alike,
        freedom=tuple(link.freedom for link in links),
        blocks=tuple(len(link.names) for link in links),
        settings=(("residual covariance", "divisor sqrt((n-ki)(n-kj))"),),
    )


def _just_identified(links: Sequence[Equation], source: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Instrumental estimates with as many instruments as slopes: ``(W'X)^-1 W'y``, whatever the residual covariance is.

    In closed form, because the residual covariance of such fits can be singular, which the general engine has to invert.
    """
    problems = [
        Problem(f"{' and '.join(link.parents)} -> {link.target}", f"{len(link.parents)} slopes and only one instrument, {source}: "
                "not identified", "leave the skip arrow out")
        for link in links
        if len(link.parents) > 1
    ]  # fmt: skip
    if problems:
        raise FitError("3sls of the chain", problems)
    instrument = links[0].X - links[0].X.mean(axis=0) * np.array([1.0, 0.0])  # centred, the constant left as it is
    projections = [np.linalg.inv(instrument.T @ link.X) for link in links]
    points = [inverse @ (instrument.T @ link.y) for inverse, link in zip(projections, links, strict=True)]
    residuals = np.column_stack([link.y - link.X @ point for link, point in zip(links, points, strict=True)])
    left = np.array([link.freedom for link in links])
    sigma = residuals.T @ residuals / np.sqrt(np.outer(left, left))
    middle = instrument.T @ instrument
    blocks = [[sigma[i, j] * projections[i] @ middle @ projections[j].T for j in range(len(links))] for i in range(len(links))]
    return np.concatenate(points), np.block(blocks), sigma


def block_length(n: int, *, ordered: bool) -> int:
    """Length of a block of periods: the cube root of their number, rounded up; 1 where rows have no order."""
    return int(np.ceil(n ** (1 / 3))) if ordered else 1


def bootstrap(
    links: Sequence[Equation], rng: np.random.Generator, size: int, *, block: int,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Resample whole periods, in blocks of neighbours, and fit every link to the same resample.

    Kuensch (1989), Annals of Statistics 17:1217-1241. All links see the same periods, so what they share stays shared.

    Parameters
    ----------
    links : sequence of Equation
    rng : Generator
    size : int
        Replicates.
    block : int
        Length of a block.

    Returns
    -------
    coefficients, spreads : ndarray, shape (size, k) and (size, m)
        Coefficients are moved away from their estimates by ``sqrt(n / (n - k))`` and :func:`fixed_b`.

    Raises
    ------
    FitError
        So few periods that resamples are often without noise or without variation.
    """
    n = links[0].n
    if not 1 <= block <= n:
        raise DataError("the block bootstrap", [Problem("block", f"expected from 1 to {n} periods, found {block}")])
    starts = rng.integers(0, n - block + 1, size=(size, -(-n // block)))
    rows = (starts[..., None] + np.arange(block)).reshape(size, -1)[:, :n]
    weights = np.zeros((size, n))
    np.add.at(weights, (np.arange(size)[:, None], rows), 1.0)
    coefficients, spreads = zip(*(_weighted(link, weights) for link in links), strict=True)
    beta, sigma = np.concatenate(coefficients, axis=1), np.stack(spreads, axis=1)
    bad = ~(np.isfinite(beta).all(axis=1) & (sigma > 0).all(axis=1))
    if bad.mean() > 0.01:
        what = f"{bad.mean():.0%} of resamples have no variation left in {n} periods"
        raise FitError("the bootstrap", [Problem("periods", what, 'too few for it: use method="ols" or "quadrature"')])
    good = np.flatnonzero(~bad)
    picked = np.where(bad, good[rng.integers(0, len(good), size)], np.arange(size))
    point = np.concatenate([link.least_squares()[0] for link in links])
    short = np.concatenate([np.full(len(link.names), np.sqrt(n / link.freedom)) for link in links])
    return point + (beta[picked] - point) * short * (fixed_b(block / n) if block > 1 else 1.0), sigma[picked]


def _weighted(link: Equation, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least squares of one link under many sets of weights, from cross-products of centred columns."""
    centre, spread = link.X.mean(axis=0), link.X.std(axis=0)
    centre[1], spread[1] = 0.0, 1.0
    scaled = np.column_stack([(link.X - centre) / spread, (link.y - link.y.mean()) / link.y.std()])
    cross = np.einsum("bn,ni,nj->bij", weights, scaled, scaled, optimize=True)
    inner, with_y, squares = cross[:, :-1, :-1], cross[:, :-1, -1], cross[:, -1, -1]
    solvable = np.linalg.cond(inner) < 1e10
    inner = np.where(solvable[:, None, None], inner, np.eye(inner.shape[1]))
    gamma = np.linalg.solve(inner, with_y[..., None])[..., 0]
    sigma = np.sqrt(np.maximum(squares - np.einsum("bi,bi->b", gamma, with_y), 0.0) / link.freedom)
    sigma = np.where(solvable & (sigma > 1e-7), sigma, np.nan)
    beta = gamma / spread
    beta[:, 1] = gamma[:, 1] - (beta * centre).sum(axis=1)
    beta *= link.y.std()
    beta[:, 1] += link.y.mean()
    return beta, sigma * link.y.std()
