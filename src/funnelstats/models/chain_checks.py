"""Is the chain the right shape for these periods? What it assumes, tested one assumption at a time.

If the links are straight, no arrow is missing and the links share no noise, the product of their slopes and the slope of the
last variable on the first estimate the same number; the product more precisely.  A gap between them (Hausman 1978, Econometrica
46:1251-1271) says that something is broken; the other rows say what it may be.  No test sees an unrecorded cause of two
*neighbouring* variables, nor an error that all of them share through the first: for those see
:mod:`funnelstats.models.chain_sensitivity`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import chi2
from scipy.stats import t as student

from funnelstats.data.periods import Periods
from funnelstats.models.chain import Chain
from funnelstats.models.chain_equations import Equation, equations, inflation
from funnelstats.models.chain_estimate import bandwidth, fixed_b
from funnelstats.models.chain_restrictions import Restriction, added, holm, influence, judged, leave_one_out, long_run_variance

#: P-value, adjusted within the family, under which a row is marked.
LEVEL = 0.05
#: Change of the total effect, in its standard errors, by one single period that is marked.
INFLUENTIAL = 1.0
COLUMNS = ("check", "where", "value", "se", "statistic", "p", "p_adjusted", "verdict", "meaning")


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Specification:
    """Every check of a chain, and the worst verdict.

    Attributes
    ----------
    table : DataFrame
        Columns ``check``, ``where``, ``value`` (what should be zero, or the measure named), ``se``, ``statistic``, ``p``,
        ``p_adjusted`` (Holm, within arrows, noise, lines and stability together), ``verdict`` (PASS or REVIEW), ``meaning``.
    product, reduced : float
        Product of the links (sum over paths), and slope of the last variable on the first alone.
    """

    table: pd.DataFrame
    product: float
    reduced: float

    @property
    def verdict(self) -> str:
        """PASS, or REVIEW where any row asks for it."""
        return "REVIEW" if (self.table["verdict"] == "REVIEW").any() else "PASS"

    def __str__(self) -> str:
        marked = self.table[self.table["verdict"] == "REVIEW"]
        if marked.empty:
            return f"PASS: {len(self.table)} checks, none against the chain"
        return "REVIEW: " + "; ".join(f"{row['check']}, {row['where']}: {row['meaning']}" for _, row in marked.iterrows())

    def __repr__(self) -> str:
        return f"<Specification {self}>"

    def _repr_html_(self) -> str:
        return f"<p><b>{self.verdict}</b></p>{self.table.to_html(index=False, float_format='{:.4g}'.format, na_rep='')}"


def check_chain(chain: Chain, periods: Periods) -> Specification:
    """Check what a chain assumes against its periods.

    Parameters
    ----------
    chain : Chain
    periods : Periods

    Returns
    -------
    Specification

    Examples
    --------
    >>> from funnelstats.data.periods import read_periods
    >>> found = check_chain(Chain(), read_periods("bundled:monthly_chain"))
    >>> round(found.product, 1), round(found.reduced, 1)
    (34.9, 35.1)
    """
    paths, table, ordered = chain.paths(), periods.aligned(chain.delays()), bool(periods.length)
    links = equations(paths, table, subject=f"{' -> '.join(paths.variables)} in {periods.source}")
    headline, product, reduced = _product_against_reduced(chain, table, links, ordered)
    family = [
        *_missing_arrows(chain, table, links, ordered),
        *_shared_noise(links),
        *_lines(links, ordered),
        *_stability(links, ordered),
    ]
    adjusted = holm(np.array([row["p"] for row in family]))
    for row, p in zip(family, adjusted, strict=True):
        row["p_adjusted"] = float(p)
        row["verdict"] = "REVIEW" if p < LEVEL else "PASS"
    rows = [*headline, *family, *_memory(links, ordered), *_influence(chain, links, periods.labels), *_collinearity(links)]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return Specification(table=frame, product=product, reduced=reduced)


def _row(check: str, where: str, tested: Restriction, meaning: str) -> dict[str, Any]:
    return {
        "check": check,
        "where": where,
        "value": tested.estimate,
        "se": tested.se,
        "statistic": tested.statistic,
        "p": tested.p,
        "p_adjusted": tested.p,
        "verdict": "REVIEW" if tested.p < LEVEL else "PASS",
        "meaning": meaning,
    }


def _product_against_reduced(chain: Chain, table: pd.DataFrame, links: tuple[Equation, ...], ordered: bool) -> tuple[
    list[dict[str, Any]], float, float]:  # fmt: skip
    """Difference of the two estimates of the total effect, robustly and by Hausman's formula."""
    paths = chain.paths()
    values = {name: value for link in links for name, value in zip(link.names, link.least_squares()[0], strict=True)}
    product = float(paths.totals(values)[paths.source])
    first, ones = table[paths.source].to_numpy(), np.ones(len(table))
    short = Equation(target=paths.outcome, parents=(paths.source,), names=("slope", "level"), y=table[paths.outcome].to_numpy(),
                     X=np.column_stack([first, ones]))  # fmt: skip
    beta, residuals, inverse = short.least_squares()
    reduced = float(beta[0])
    gradient, _ = paths.gradient(values)
    parts = [influence(link) @ np.array([gradient[name] for name in link.names]) for link in links]
    apart = np.sum(parts, axis=0) - influence(short)[:, 0]
    variance = long_run_variance(apart, ordered=ordered) * short.n / short.freedom
    if len(links) < 2 or np.sqrt(variance) < 1e-9 * abs(reduced):
        return [], product, reduced
    widen = fixed_b((bandwidth(short.n) + 1) / short.n) if ordered else None
    tested = judged(product - reduced, float(np.sqrt(variance)), freedom=short.freedom, widen=widen)
    through = f"{paths.source} -> {paths.outcome}"
    meaning = "an arrow is missing, a variable between is measured with error, links share noise, or a line bends"
    rows = [_row("product of links less reduced form", through, tested, meaning)]
    own = sum(_variance(link, gradient) for link in links)
    gap = float(inverse[0, 0] * residuals @ residuals / short.freedom) - own
    hausman: dict[str, Any] = {"check": "Hausman", "where": through, "value": gap, "verdict": "PASS"}
    if gap <= 0:
        hausman["meaning"] = "not available: the reduced form is the more precise of the two in these periods"
    else:
        statistic = (product - reduced) ** 2 / gap
        p = float(chi2.sf(statistic, 1))
        hausman |= {
            "statistic": statistic,
            "p": p,
            "p_adjusted": p,
            "meaning": "the same, with classical errors; value is the variance gap",
            "verdict": "REVIEW" if p < LEVEL else "PASS",
        }
    return [*rows, hausman], product, reduced


def _variance(link: Equation, gradient: dict[str, float]) -> float:
    _, residuals, inverse = link.least_squares()
    g = np.array([gradient[name] for name in link.names])
    return float(g @ inverse @ g * (residuals @ residuals) / link.freedom)


def _missing_arrows(chain: Chain, table: pd.DataFrame, links: tuple[Equation, ...], ordered: bool) -> list[dict[str, Any]]:
    """An earlier variable that is no parent should add nothing."""
    names, rows = chain.paths().variables, []
    for link in links:
        for source in names[: names.index(link.target)]:
            tested = None if source in link.parents else added(link, table[source].to_numpy(), ordered=ordered)
            if tested:
                known = " and ".join(link.parents)
                meaning = f"{source} tells of {link.target} beside {known}: an arrow, shared noise or a measuring error"
                rows.append(_row("missing arrow", f"{source} -> {link.target}", tested, meaning))
    return rows


def _shared_noise(links: tuple[Equation, ...]) -> list[dict[str, Any]]:
    """Residuals of different links should not go together."""
    rows = []
    for at, late in enumerate(links):
        for early in links[:at]:
            r = float(np.corrcoef(early.least_squares()[1], late.least_squares()[1])[0, 1])
            freedom = late.freedom - 1
            if freedom < 2:
                continue
            statistic = r * np.sqrt(freedom / max(1 - r * r, 1e-12))
            tested = Restriction(estimate=r, se=float(np.sqrt(max(1 - r * r, 1e-12) / freedom)), statistic=float(statistic),
                            p=float(2 * student.sf(abs(statistic), freedom)))  # fmt: skip
            where = f"{early.target} and {late.target}"
            rows.append(_row("correlation of residuals", where, tested, f"something moves {where} beside the links"))
    return rows


def _lines(links: tuple[Equation, ...], ordered: bool) -> list[dict[str, Any]]:
    rows = []
    for link in links:
        for at, parent in zip([0, *range(2, link.X.shape[1])], link.parents, strict=True):
            column = link.X[:, at]
            tested = added(link, (column - column.mean()) ** 2, ordered=ordered)
            if tested:
                rows.append(_row("curvature", f"{parent} -> {link.target}", tested, "the line bends: the return is not constant"))
    return rows


def _stability(links: tuple[Equation, ...], ordered: bool) -> list[dict[str, Any]]:
    """The slope of the second half should be that of the first."""
    rows = []
    for link in links if ordered else ():
        late = (np.arange(link.n) >= link.n // 2).astype(float)
        column = link.X[:, 0]
        tested = added(link, late * (column - column.mean()), ordered=True, also=(late,))
        if tested:
            meaning = "the slope of the second half is another than that of the first"
            rows.append(_row("change of slope", f"{link.parents[0]} -> {link.target}", tested, meaning))
    return rows


def _memory(links: tuple[Equation, ...], ordered: bool) -> list[dict[str, Any]]:
    """Neighbouring residuals: Ljung-Box. It moves standard errors, not estimates, so it asks for no review."""
    if not ordered or links[0].n < 8:
        return []
    from statsmodels.stats.diagnostic import acorr_ljungbox

    rows = []
    for link in links:
        residuals, lags = link.least_squares()[1], max(bandwidth(link.n), 1)
        found = acorr_ljungbox(residuals, lags=[lags])
        p = float(found["lb_pvalue"].iloc[0])
        first = float(np.corrcoef(residuals[1:], residuals[:-1])[0, 1])
        meaning = 'neighbours remember one another: keep errors="hac"' if p < LEVEL else "no memory seen"
        rows.append({"check": "memory of residuals", "where": link.target, "value": first, "p": p, "p_adjusted": p,
                     "statistic": float(found["lb_stat"].iloc[0]), "verdict": "PASS", "meaning": meaning})  # fmt: skip
    return rows


def _influence(chain: Chain, links: tuple[Equation, ...], labels: list[str]) -> list[dict[str, Any]]:
    """Total effect without the one period that moves it most."""
    paths = chain.paths()
    without, levers = zip(*(leave_one_out(link) for link in links), strict=True)
    values = {name: beta[:, at] for link, beta in zip(links, without, strict=True) for at, name in enumerate(link.names)}
    points = {name: value for link in links for name, value in zip(link.names, link.least_squares()[0], strict=True)}
    total, gradient = float(paths.totals(points)[paths.source]), paths.gradient(points)[0]
    se = float(np.sqrt(sum(_variance(link, gradient) for link in links)))
    change = np.asarray(paths.totals(values)[paths.source]) - total
    most = int(np.argmax(np.abs(change)))
    meaning = f"without {labels[most]} the total effect is {total + change[most]:.4g} in place of {total:.4g}"
    moved = {
        "check": "most influential period",
        "where": labels[most],
        "value": float(change[most]),
        "se": se,
        "meaning": meaning,
        "statistic": float(change[most] / se),
        "verdict": "REVIEW" if abs(change[most]) > INFLUENTIAL * se else "PASS",
    }
    place = int(np.argmax(levers[0]))
    meaning = f"{paths.source} of {labels[place]} is the farthest from the mean; the average leverage is {2 / links[0].n:.3g}"
    return [
        moved,
        {
            "check": "largest leverage",
            "where": labels[place],
            "value": float(levers[0][place]),
            "verdict": "PASS",
            "meaning": meaning,
        },
    ]


def _collinearity(links: tuple[Equation, ...]) -> list[dict[str, Any]]:
    rows = []
    for link in links:
        if len(link.parents) > 1:
            worst = max(inflation(link).items(), key=lambda pair: pair[1])
            rows.append({"check": "variance inflation", "where": f"{worst[0]} -> {link.target}", "value": worst[1],
                         "verdict": "REVIEW" if worst[1] > 10 else "PASS",
                         "meaning": "the regressors move together, so their slopes are hard to tell apart"})  # fmt: skip
    return rows
