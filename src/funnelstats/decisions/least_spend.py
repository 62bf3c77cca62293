"""How much must be spent at least to reach a target, split in the best way, and with what assurance?"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from funnelstats.decisions.filling import Pieces, settle
from funnelstats.decisions.limits import limits
from funnelstats.decisions.response import Response
from funnelstats.errors import DataError, Problem
from funnelstats.estimate import Estimate, NotIdentified

_HALVINGS = 24


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class LeastSpend:
    """The least budget for a target, each budget split as is best on average.

    Attributes
    ----------
    target, assurance : float
    on_average : float or NotIdentified
        Least budget whose value reaches the target on average; NotIdentified, with what can be reached, where there is none.
    assured : float or NotIdentified
        Least budget that reaches it with the probability asked for.
    splits : DataFrame
        Spending by arm of each of the two that exists.
    limit : float
        The largest budget looked at: the upper bounds together.
    unit, spend_unit : str
    """

    target: float
    assurance: float
    on_average: float | NotIdentified
    assured: float | NotIdentified
    splits: pd.DataFrame
    limit: float
    unit: str
    spend_unit: str

    def __str__(self) -> str:
        goal = f"{self.target:,.6g} {self.unit}".rstrip()
        parts = [
            f"{words} {found}" if isinstance(found, NotIdentified) else f"{words} {found:,.6g} {self.spend_unit}"
            for words, found in (("on average", self.on_average), (f"with an assurance of {self.assurance:.0%}", self.assured))
        ]
        return f"least spending for {goal}: {'; '.join(parts)}"

    def __repr__(self) -> str:
        return f"<LeastSpend {self}>"


def least_spend(
    response: Response, *, target: float, assurance: float = 0.8, bounds: Mapping[str, tuple[float, float]] | None = None,
    hours: Mapping[str, float] | Estimate | None = None, capacity: float | None = None,
) -> LeastSpend:  # fmt: skip
    """Least budget that reaches a target.

    Parameters
    ----------
    response : Response
    target : float
        In the unit of value, all arms together.
    assurance : float
        Probability with which it is to be reached.
    bounds, hours, capacity
        As for :func:`~funnelstats.decisions.allocation.allocate`.

    Returns
    -------
    LeastSpend

    Examples
    --------
    >>> brings = Estimate.of([[3.0, 1.0]] * 10, description="value per CNY", coords={"channel": ["Web", "Fair"]})
    >>> print(least_spend(Response.linear(brings, upto=100, spend_unit="CNY"), target=320))
    least spending for 320 CNY: on average 120 CNY; with an assurance of 80% 120 CNY
    """
    problems = []
    if not np.isfinite(target):
        problems.append(Problem("target", f"expected a number, found {target!r}"))
    if not 0 < assurance < 1:
        problems.append(Problem("assurance", f"expected a probability between 0 and 1, such as 0.8, found {assurance!r}"))
    if problems:
        raise DataError("the least spending", problems)
    tops = [(bounds or {}).get(arm, (0, levels[-1]))[1] for arm, levels in zip(response.arms, response.levels, strict=True)]
    limit = float(sum(tops))
    cut = limits(response, limit, bounds, hours, capacity)

    def mean(budget: float) -> tuple[float, np.ndarray]:
        split = settle(cut, budget)
        return float(cut.value(split).mean()), split

    def reached(budget: float) -> tuple[float, np.ndarray]:
        split = settle(cut, budget)
        return float(np.mean(cut.value(split) >= target - 1e-9 * abs(target))), split

    found = {
        "on average": _least(mean, target - 1e-9 * abs(target), cut, limit),
        "assured": _least(reached, assurance, cut, limit),
    }
    what = f"least spending for {target:.6g}"
    reasons = {"on average": f"at most {mean(limit)[0]:,.6g} {response.unit} can be reached on average".replace("  ", " "),
               "assured": f"the probability is at most {reached(limit)[0]:.0%}"}  # fmt: skip
    splits = {name: pair[1] for name, pair in found.items() if pair}
    answers = {
        name: pair[0]
        if pair
        else NotIdentified(what, f"{reasons[name]} within the limits (up to {limit:,.6g} {response.spend_unit})")
        for name, pair in found.items()
    }
    return LeastSpend(target=target, assurance=assurance, on_average=answers["on average"], assured=answers["assured"], limit=limit,
                      splits=pd.DataFrame(splits, index=pd.Index(response.arms, name=response.dim)), unit=response.unit,
                      spend_unit=response.spend_unit)  # fmt: skip


def _least(
    measure: Callable[[float], tuple[float, np.ndarray]], wanted: float, cut: Pieces, limit: float
) -> tuple[float, np.ndarray] | None:
    """Halve the range of budgets until the least that reaches what is wanted is known to one in sixteen million of the limit."""
    low = float(max(cut.low.sum(), 1e-9 * limit))
    best = measure(limit)
    if best[0] < wanted:
        return None
    if measure(low)[0] >= wanted:
        return low, measure(low)[1]
    high, split = limit, best[1]
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        value, tried = measure(middle)
        low, high, split = (low, middle, tried) if value >= wanted else (middle, high, split)
    return float(split.sum()), split
