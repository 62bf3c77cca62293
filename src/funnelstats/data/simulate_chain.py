"""What would monthly marketing, leads, sales leads and revenue look like if the chain between them were known?

The source article's chain with noise: ``L = a M + b + noise``, ``S = c L + d + noise``, ``R = e S + f + noise``.  Leads and sales
leads are whole numbers, so rounding adds a variance of 1/12 to their noise.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from funnelstats.data.world import normals
from funnelstats.errors import DataError, Problem


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class SimulatedChain:
    """Periods whose truth is known.

    Parameters
    ----------
    periods : DataFrame
        Columns ``month, M, L, S, R``: marketing spend in units of 10,000 of the currency, leads, sales leads, revenue in units of
        10,000 of the currency.
    parameters : dict of str to float
        ``a`` (leads per unit of M), ``b`` (leads), ``c``, ``d`` (sales leads), ``e`` (units of R per sales lead), ``f`` (units
        of R).
    noise : dict of str to float
        Standard deviation of the noise of ``L, S, R``, in their own units.
    """

    periods: pd.DataFrame
    parameters: dict[str, float]
    noise: dict[str, float]

    @property
    def slope(self) -> float:
        """Total effect of M on R: e c a."""
        return self.parameters["e"] * self.parameters["c"] * self.parameters["a"]


def simulate_chain(
    *, seed: int, months: int = 36, start: str = "2023-07-01", a: float = 80.0, b: float = 200.0, c: float = 0.5, d: float = 20.0,
    e: float = 0.8, f: float = 30.0, noise: tuple[float, float, float] = (60.0, 25.0, 20.0),
    spend: tuple[float, float] = (6.0, 20.0),
) -> SimulatedChain:  # fmt: skip
    """Simulate the chain from marketing to revenue, month by month.

    Parameters
    ----------
    seed : int
        Equal seeds give equal bytes.
    months : int
        Length.
    start : str
        First month.
    a, b, c, d, e, f : float
        The chain's slopes and baselines, in the units of :class:`SimulatedChain`.
    noise : tuple of float
        Standard deviations of L, S and R around their lines.
    spend : tuple of float
        Lowest and highest monthly spend M.

    Returns
    -------
    SimulatedChain

    Examples
    --------
    >>> simulate_chain(seed=1, months=3).periods.columns.tolist()
    ['month', 'M', 'L', 'S', 'R']
    """
    problems = [Problem("months", f"expected at least 1, found {months}")] if months < 1 else []
    problems += [Problem("noise", f"expected zero or more, found {noise}")] if min(noise) < 0 else []
    problems += [] if 0 <= spend[0] <= spend[1] else [Problem("spend", f"expected lowest before highest, from 0, found {spend}")]
    if problems:
        raise DataError("the simulated chain", problems)
    rng = np.random.default_rng([seed, 0])
    spent = np.round(spend[0] + (spend[1] - spend[0]) * rng.random(months), 2)
    leads = np.round(np.maximum(a * spent + b + noise[0] * normals(rng, months), 0))
    sales = np.round(np.clip(c * leads + d + noise[1] * normals(rng, months), 0, leads))
    revenue = np.round(e * sales + f + noise[2] * normals(rng, months), 2)
    month = pd.date_range(start, periods=months, freq="MS").astype("datetime64[us]")
    frame = pd.DataFrame({"month": month, "M": spent, "L": leads.astype("int64"), "S": sales.astype("int64"), "R": revenue})
    values = {"a": a, "b": b, "c": c, "d": d, "e": e, "f": f}
    return SimulatedChain(periods=frame, parameters=values, noise=dict(zip("LSR", noise, strict=True)))
