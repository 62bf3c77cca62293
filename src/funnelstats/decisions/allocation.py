"""How should a budget be split over channels or stages, and is another split clearly better than the present one?

Four splits are set side by side on the same joint draws: the present one, the best on average, the best in the worst draws (a
cautious one), and the best of each draw, which nobody can choose but which says how sure the split is.  Bounds of each arm, the
budget and a second limit (hours of consultants) hold in every draw.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd
import xarray as xr

from funnelstats.decisions.filling import Pieces, fill, settle, tail_mean
from funnelstats.decisions.limits import limits
from funnelstats.decisions.response import Response
from funnelstats.errors import DataError, Problem
from funnelstats.estimate import SAMPLE_DIMS, Estimate
from funnelstats.models.verdict import CLEAR, chance

#: The splits that can be chosen, as they are called in tables.
PRESENT, AVERAGE, CAUTIOUS = "present", "best on average", "cautious"
#: Verdicts that recommend the split that is best on average.
MOVES = ("move", "must move")


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Allocation:
    """A budget split, and what is known of how good the split is.

    Attributes
    ----------
    splits : DataFrame
        Spending by arm (rows) of the splits that can be chosen (columns ``present``, ``best on average``, ``cautious``).
    optimum : Estimate, dims (chain, draw, arm)
        Best split of each draw.
    value : Estimate, dims (chain, draw, action)
        Value of each split that can be chosen: three actions, ready for :func:`~funnelstats.decisions.information.evpi`.
    ideal : Estimate
        Value of the best split of each draw.
    budget, min_effect, tail : float
        What may be spent; the least gain worth a change; the share of worst draws that the cautious split looks at.
    hours : Series
        For each split the most it needs of the second resource in any draw; zeros where there is none.
    capacity : float
        Limit of that resource; infinite where there is none.
    clear : float
        Probability of a gain above ``min_effect`` from which the change is recommended.
    response : Response
    allowed : bool
        Whether the present split keeps the limits; where it does not it is never recommended.
    cautions : tuple of str
        What makes the comparison with the present split less than fair.
    """

    splits: pd.DataFrame
    optimum: Estimate
    value: Estimate
    ideal: Estimate
    budget: float
    min_effect: float
    tail: float
    hours: pd.Series
    capacity: float
    clear: float
    response: Response
    allowed: bool = True
    cautions: tuple[str, ...] = ()

    @property
    def gain(self) -> Estimate:
        """Value of the split that is best on average, less that of the present one."""
        draws = self.value.draws.sel(action=AVERAGE, drop=True) - self.value.draws.sel(action=PRESENT, drop=True)
        return Estimate(
            draws=draws, unit=self.value.unit, description="gain of the split that is best on average over the present one"
        )

    @property
    def regret(self) -> Estimate:
        """Value given up by each split against the best of each draw, dims (chain, draw, action)."""
        return (self.ideal - self.value).described("value given up against the best split of each draw")

    @property
    def p_better(self) -> float:
        """Probability that the split that is best on average brings more than the present one."""
        return float(self.gain.probability(lambda d: d > 0))

    @property
    def p_effect(self) -> float:
        """Probability that it brings more than the present one by over ``min_effect``."""
        return float(self.gain.probability(lambda d: d > self.min_effect))

    @property
    def verdict(self) -> str:
        """``move``, ``not worth moving`` or ``no clear difference``: the gain against ``min_effect``.

        ``must move`` where the present split does not keep the limits.
        """
        if not self.allowed:
            return "must move"
        if self.p_effect >= self.clear:
            return "move"
        return "not worth moving" if 1 - self.p_effect >= self.clear else "no clear difference"

    @property
    def recommended(self) -> pd.Series:
        """The split to choose: best on average where the verdict is ``move`` or ``must move``, else the present one."""
        return self.splits[AVERAGE if self.verdict in MOVES else PRESENT]

    def table(self) -> pd.DataFrame:
        """One row per arm: the splits, the change, the best of each draw with bounds, and P(the best of a draw spends more)."""
        best = self.optimum.to_frame().rename(columns={"mean": "optimum"}).drop(columns="sd")
        present = xr.DataArray(self.splits[PRESENT].to_numpy(), dims=self.response.dim)
        more = pd.Series(self.optimum.probability(lambda d: d > present).values, index=self.splits.index, name="p_more")
        return self.splits.assign(change=self.splits[AVERAGE] - self.splits[PRESENT]).join(best).join(more)

    def outcomes(self) -> pd.DataFrame:
        """One row per split: spending, hours, value with bounds, mean of its worst draws, regret, P(better than present)."""
        frame = self.value.to_frame().rename(columns={"mean": "value"}).drop(columns="sd")
        draws = self.value.draws.stack(sample=SAMPLE_DIMS).transpose("action", "sample").values
        own = {"spending": self.splits.sum(), "hours": self.hours,
               "worst_mean": pd.Series([tail_mean(row, self.tail) for row in draws], index=frame.index),
               "regret": self.regret.to_frame()["mean"],
               "p_better": pd.Series((draws > draws[0]).mean(axis=1), index=frame.index)}  # fmt: skip
        return frame.assign(**own)

    def __str__(self) -> str:
        least = f"{self.min_effect:,.6g} {self.value.unit}".rstrip()
        text = f"gain over the present split {self.gain}; probability of more than {least}: {chance(self.p_effect)}"
        if self.verdict in MOVES:
            moves = self.splits[AVERAGE] - self.splits[PRESENT]
            said = ", ".join(
                f"{arm} {move:{'+,.0f' if abs(move) >= 100 else '+,.3g'}}"
                for arm, move in moves.items()
                if abs(move) > 1e-6 * self.budget
            )
            text = f"{self.verdict} {said or 'nothing'} {self.response.spend_unit}: {text}"
        else:
            text = f"{self.verdict}: {text}"
        return ". ".join([text, *self.cautions])

    def __repr__(self) -> str:
        return f"<Allocation {self}>\n{self.table()}"

    def _repr_html_(self) -> str:
        tables = (frame.to_html(float_format="{:,.4g}".format) for frame in (self.table(), self.outcomes()))
        return f"<p>{escape(str(self))}</p>" + "".join(tables)


def allocate(
    response: Response, *, budget: float, present: Mapping[str, float], min_effect: float,
    bounds: Mapping[str, tuple[float, float]] | None = None, hours: Mapping[str, float] | Estimate | None = None,
    capacity: float | None = None, tail: float = 0.1, clear: float = CLEAR,
) -> Allocation:  # fmt: skip
    """Split a budget.

    Parameters
    ----------
    response : Response
        What spending on each arm brings, in joint draws. For value net of what is spent, ``response.net_of_spend()``.
    budget : float
        The most that may be spent, in the unit of spending. What brings nothing stays unspent.
    present : mapping of str to float
        The split to compare with.
    min_effect : float
        Least gain worth a change, in the unit of value: what the change itself costs. There is no recommendation without it.
    bounds : mapping of str to (float, float)
        Least and most spending on an arm; from 0 to as far as its response is believed where not given.
    hours : mapping of str to float, or Estimate with the arms as its label
        What a unit of spending needs of a second resource: leads per unit of money times hours per lead. Where it is an
        estimate, a split keeps the limit in every draw.
    capacity : float
        How much of that there is.
    tail : float
        Share of worst draws whose mean the cautious split makes largest (conditional value at risk).
    clear : float
        Probability of a gain above ``min_effect`` from which the change is recommended.

    Returns
    -------
    Allocation

    Raises
    ------
    DataError
        Unknown arms, bounds that cannot be kept within the budget or the capacity, all problems at once.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> brings = Estimate.of(rng.normal([3, 2, 1], 0.3, (500, 3)), unit="", description="value per CNY",
    ...                      coords={"channel": ["Web", "Fair", "Phone"]})
    >>> response = Response.linear(brings, upto={"Web": 60, "Fair": 60, "Phone": 60}, spend_unit="CNY")
    >>> found = allocate(response, budget=90, present={"Web": 30, "Fair": 30, "Phone": 30}, min_effect=5)
    >>> found.verdict, found.recommended.round().to_dict()
    ('move', {'Web': 60.0, 'Fair': 30.0, 'Phone': 0.0})
    """
    cut = limits(response, budget, bounds, hours, capacity)
    now, allowed, cautions = _present(response, present, cut, budget)
    _check(min_effect=min_effect, tail=tail, clear=clear)
    chosen = {PRESENT: now, AVERAGE: settle(cut, budget), CAUTIOUS: settle(cut, budget, tail=tail)}
    best = fill(cut, budget).reshape(*response.values[0].shape[:2], len(response.arms))
    dim, labels = response.dim, {response.dim: list(response.arms)}
    optimum = Estimate(draws=xr.DataArray(best, dims=(*SAMPLE_DIMS, dim), coords=labels), unit=response.spend_unit,
                       description=f"best spending by {dim} in each draw")  # fmt: skip
    worth = {name: response.at(split).draws.sum(dim) for name, split in chosen.items()}
    value = xr.concat(worth.values(), dim=pd.Index(list(worth), name="action")).transpose(*SAMPLE_DIMS, "action")
    return Allocation(
        splits=pd.DataFrame(chosen, index=pd.Index(response.arms, name=dim)),
        optimum=optimum,
        value=Estimate(draws=value, unit=response.unit, description="value of each split"),
        ideal=Estimate(draws=response.at(best).draws.sum(dim), unit=response.unit, description="value of the best split of each draw"),
        hours=pd.Series({name: float((cut.hours @ split).max()) for name, split in chosen.items()}),
        budget=float(budget), min_effect=float(min_effect), tail=tail, capacity=cut.capacity, clear=clear, response=response,
        allowed=allowed,
        cautions=cautions,
    )  # fmt: skip


def _present(
    response: Response, present: Mapping[str, float], cut: Pieces, budget: float
) -> tuple[np.ndarray, bool, tuple[str, ...]]:
    problems = [
        Problem("present", f"expected a number for each {response.dim}, found none for {arm}")
        for arm in response.arms
        if arm not in present
    ]
    problems += [
        Problem("present", f"expected one of {list(response.arms)}, found {arm!r}") for arm in present if arm not in response.arms
    ]
    for arm, levels in zip(response.arms, response.levels, strict=True):
        if arm in present and not levels[0] <= float(present[arm]) <= levels[-1] * (1 + 1e-12):
            problems.append(
                Problem(f"present spending on {arm}", f"expected from {levels[0]:g} to {levels[-1]:g}, found {present[arm]!r}")
            )
    if problems:
        raise DataError("an allocation", problems)
    now, said = np.array([float(present[arm]) for arm in response.arms]), []
    close, need = 1 + 1e-9, float((cut.hours @ now).max())
    if abs(now.sum() - budget) > 1e-6 * budget:
        said.append(f"The present split spends {now.sum():,.6g}, the budget is {budget:,.6g} {response.spend_unit}: part of the gain is "
                    "the size, not the split")  # fmt: skip
    if need > cut.capacity * close:
        said.append(f"The present split needs up to {need:,.4g} hours, more than the {cut.capacity:,.6g} there are")
    if outside := [
        arm for arm, x, low, top in zip(response.arms, now, cut.low, cut.top(), strict=True) if x < low / close or x > top * close
    ]:
        said.append(f"The present split is outside the bounds of {', '.join(outside)}")
    allowed = now.sum() <= budget * (1 + 1e-6) and need <= cut.capacity * close and not outside
    return now, bool(allowed), tuple(said)


def _check(*, min_effect: float, tail: float, clear: float) -> None:
    problems = []
    if not (np.isfinite(min_effect) and min_effect >= 0):
        problems.append(Problem("min_effect", f"expected the least gain worth a change, 0 or more, found {min_effect!r}"))
    if not 0 < tail <= 1:
        problems.append(Problem("tail", f"expected a share of the draws, such as 0.1, found {tail!r}"))
    if not 0.5 < clear <= 1:
        problems.append(Problem("clear", f"expected a probability above 0.5 and up to 1, found {clear!r}"))
    if problems:
        raise DataError("an allocation", problems)
