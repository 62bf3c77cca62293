"""What does the source article's example say, to the digit, and what did it leave unsaid? Its chapters 4 and 5, computed.

Chapter 4: spend of 10 brings 1,000 leads, coefficients 0.5 and 0.8, return 400 (amounts in 10,000 CNY).  That is the chain with
``a = 100``, ``c = 0.5``, ``e = 0.8`` and every baseline zero.  Chapter 5: a table of five rows that lie exactly on ``R = 200 +
20 M`` with ``L = 100 M``.  The two agree at one point only.
"""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd

from funnelstats.data.datasets import load_dataset
from funnelstats.data.periods import Periods, read_periods
from funnelstats.errors import DataError, DefinitionWarning, Problem
from funnelstats.models.affine import Affine
from funnelstats.models.chain import Chain
from funnelstats.models.chain_formula import formula
from funnelstats.models.chain_support import Support, amount

#: Levels of marketing that chapter 5 predicts at.
TESTED = (35, 40, 45, 50)


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class WorkedExample:
    """The example of chapter 4.

    Attributes
    ----------
    coefficients : dict of str to Fraction
        ``a`` to ``f``, exact.
    variables : dict of str to Fraction
        ``M``, ``L``, ``S``, ``R``, exact.
    units : dict of str to str
        Of each variable.
    silent : DataFrame
        What the example takes for granted without saying so: ``assumption``, ``what``, ``consequence``.
    """

    coefficients: dict[str, Fraction]
    variables: dict[str, Fraction]
    units: dict[str, str]
    silent: pd.DataFrame

    @property
    def affine(self) -> Affine:
        """Revenue as a function of marketing."""
        return Chain().at(**self.coefficients)  # type: ignore[arg-type]

    def formula(self) -> str:
        """Write the derived formula with the numbers in it."""
        return formula(Chain().paths(), {name: float(value) for name, value in self.coefficients.items()})

    def __str__(self) -> str:
        parts = ", ".join(f"{name} = {amount(float(value), self.units[name])}" for name, value in self.variables.items())
        return f"{parts}; {self.formula()}"


def worked_example() -> WorkedExample:
    """Compute chapter 4 from the numbers it states.

    Warns
    -----
    DefinitionWarning
        Names what the example leaves unsaid: baselines of zero, and units.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     example = worked_example()
    >>> float(example.variables["S"]), float(example.variables["R"])
    (500.0, 400.0)
    """
    table = load_dataset("article/chapter4").set_index("symbol")
    stated = {name: Fraction(str(table.loc[name, "value"])) for name in ("M", "L", "c", "e")}
    zero = Fraction(0)
    coefficients = {"a": stated["L"] / stated["M"], "b": zero, "c": stated["c"], "d": zero, "e": stated["e"], "f": zero}
    variables = Chain().paths().means(coefficients, stated["M"])
    units = {name: str(table.loc[name, "unit"]) for name in ("M", "L", "S", "R")}
    silent = _silent(coefficients, variables, units)
    warnings.warn("chapter 4 leaves unsaid: " + "; ".join(silent["what"]), DefinitionWarning, stacklevel=2)
    return WorkedExample(coefficients=coefficients, variables=variables, units=units, silent=silent)


def training_table() -> Periods:
    """Read the five rows of chapter 5 as periods without order: the article dates none of them."""
    return read_periods("bundled:article/chapter5")


def exact_line(x: Iterable[Any], y: Iterable[Any]) -> Affine:
    """Least-squares line in rational arithmetic, so that a line that is exact comes out exact.

    Raises
    ------
    DataError
        Fewer than two points or the same x everywhere.

    Examples
    --------
    >>> line = exact_line([10, 15, 20], [400, 500, 600])
    >>> line.slope, line.intercept
    (Fraction(20, 1), Fraction(200, 1))
    """
    levels, seen = ([Fraction(str(value)) for value in part] for part in (x, y))
    if len(levels) != len(seen) or len(set(levels)) < 2:
        raise DataError("a line", [Problem("x", "expected two or more points with different x, and as many y")])
    centre, middle = sum(levels) / len(levels), sum(seen) / len(seen)
    slope = sum((one - centre) * (other - middle) for one, other in zip(levels, seen, strict=True)) / sum(
        (one - centre) ** 2 for one in levels
    )
    return Affine(slope, middle - slope * centre)


def chapters_table(levels: Sequence[float] = (5, 10, 15, 20, 25, 30, 35, 50)) -> pd.DataFrame:
    """Chapter 4 beside chapter 5 at several levels of marketing.

    Returns
    -------
    DataFrame
        ``M``; ``chapter4`` and ``chapter5``, the revenue of each; ``ratio``; ``per_lead4``, ``per_lead5``, revenue per lead;
        ``average4``, ``average5``, revenue per unit of M; ``elasticity4``, ``elasticity5``.
    """
    first, second = _chapter4(), chapter5_line()
    leads = exact_line(*_columns("M", "L"))
    m = np.asarray(levels, dtype=float)
    four, five = (float(line.slope) * m + float(line.intercept) for line in (first, second))
    number = float(leads.slope) * m + float(leads.intercept)
    return pd.DataFrame(
        {
            "M": m,
            "chapter4": four,
            "chapter5": five,
            "ratio": four / five,
            "per_lead4": four / number,
            "per_lead5": five / number,
            "average4": four / m,
            "average5": five / m,
            "elasticity4": float(first.slope) * m / four,
            "elasticity5": float(second.slope) * m / five,
        }
    )


def chapter5_line() -> Affine:
    """Least squares of chapter 5, revenue on marketing: exactly ``R = 200 + 20 M``."""
    return exact_line(*_columns("M", "R"))


def implied_last_link(c: Fraction = Fraction(1, 2)) -> Affine:
    """Last link that chapter 5 implies if sales leads are ``c`` times leads, as chapter 4 has it: not the one of chapter 4."""
    on_leads = exact_line(*_columns("L", "R"))
    return on_leads @ Affine(Fraction(1) / c, Fraction(0))


def design_of_chapter5() -> pd.DataFrame:
    """What the two regressors of chapter 5 can tell: rank, what is identified, and the smallest of all exact solutions.

    Returns
    -------
    DataFrame
        Rows of ``quantity``, ``value``, ``meaning``.
    """
    periods = training_table()
    leads, spend, revenue = (periods.frame[name].to_numpy() for name in ("L", "M", "R"))
    design = np.column_stack([leads, spend, np.ones(len(leads))])
    line, per_spend = chapter5_line(), exact_line(spend, leads)
    shortest = np.linalg.pinv(design[:, :2] - design[:, :2].mean(axis=0)) @ (revenue - revenue.mean())
    rows = [
        ("columns", design.shape[1], "slope of L, slope of M, intercept"),
        ("rank", int(np.linalg.matrix_rank(design)), "coefficients that the table can tell"),
        ("smallest singular value", float(np.linalg.svd(design, compute_uv=False)[-1]), "zero but for rounding"),
        ("correlation of L and M", float(np.corrcoef(leads, spend)[0, 1]), "L = 100 M in every row"),
        ("identified: slope of M + 100 x slope of L", float(line.slope), "the only combination of the two slopes that is known"),
        ("identified: intercept", float(line.intercept), "revenue with no marketing and no leads"),
        ("shortest solution: slope of L", float(shortest[0]), "one of infinitely many that predict alike on L = 100 M"),
        ("shortest solution: slope of M", float(shortest[1]), "and unlike everywhere else"),
        ("leads per unit of M", float(per_spend.slope), "exact, with intercept " + str(per_spend.intercept)),
        ("residual sum of squares", float(np.sum((float(line.slope) * spend + float(line.intercept) - revenue) ** 2)),
         "zero: made-up points, from which no uncertainty can be estimated"),
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["quantity", "value", "meaning"])


def extrapolation_table(levels: Sequence[float] = TESTED) -> pd.DataFrame:
    """Leverage of the levels at which chapter 5 predicts, all of them beyond its data."""
    spend = training_table().frame["M"].to_numpy()
    found = [Support.of(level, spend, variable="M") for level in levels]
    return pd.DataFrame({"M": list(levels), "chapter5": [float(chapter5_line()(Fraction(str(level)))) for level in levels],
                         "inside": [one.inside for one in found], "leverage": [one.leverage for one in found],
                         "leverage_max_of_data": [one.leverage_max for one in found]})  # fmt: skip


def _columns(*names: str) -> list[np.ndarray]:
    frame = training_table().frame
    return [frame[name].to_numpy() for name in names]


def _chapter4() -> Affine:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DefinitionWarning)  # said once, to whoever asks for the example itself
        return worked_example().affine


def _silent(coefficients: dict[str, Fraction], variables: dict[str, Fraction], units: dict[str, str]) -> pd.DataFrame:
    zero = [name for name, value in coefficients.items() if name in "bdf" and value == 0]
    per_sale = f"{units['R']} per {units['S']}".replace("/month", "")
    rows = [
        (
            "zero baselines",
            f"{', '.join(zero)} are zero",
            "without marketing there is no revenue, and the return is the same at every level",
        ),
        (
            "unit of c",
            "c is read as a share, sales leads per lead",
            "as an index of quality it would have no unit that e could undo",
        ),
        (
            "unit of e",
            f"e is in {per_sale}, not a share",
            "read as a conversion of 80 % it would give 400 deals, not 400 x 10k CNY",
        ),
        ("one point", "a is one ratio, L / M at a single month", "a slope and a baseline cannot both come from one point"),
        (
            "same month",
            "leads, sales leads and revenue belong to the same month",
            "a sales cycle longer than a month pairs the wrong rows",
        ),
        ("no noise", "no number has an error", f"R = {float(variables['R']):g} is not a forecast"),
    ]
    return pd.DataFrame(rows, columns=["assumption", "what", "consequence"])
